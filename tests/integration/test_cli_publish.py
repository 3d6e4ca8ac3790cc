"""`healthsync publish` on a running service: what the receipt said, event by event, and what it exits with."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE_S
from tests.support.service import HEALTHSYNC, Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Service(tmp_path / "data") as running:
        running.cli("user", "add", "alice", "--consent", "all")
        yield running


def event(name: str, bpm: int = 70) -> dict:
    return {"id": name, "type": "heart_rate", "start_time": "2026-01-01T00:00:00Z", "value": {"bpm": bpm}}


def run(service: Service, *words: str, stdin: bytes = b"") -> tuple[int, list[dict], bytes]:
    done = subprocess.run(
        [*HEALTHSYNC, "publish", *words, "--user", "alice", "--device", "watch", "--json"],
        env=os.environ | {"HEALTHSYNC_DATA": str(service.data)}, input=stdin,
        capture_output=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_each_event_is_told_what_became_of_it(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "events.json"
    file.write_text(json.dumps(event("one")))
    code, told, _ = run(service, str(file))
    assert (code, [(each["id"], each["outcome"]) for each in told]) == (0, [("one", "stored")])
    for words in (("-",), ("-", "--wait"), ("--wait", "-"), ("-", "--wait", "10s")):
        code, told, said = run(service, *words, stdin=file.read_bytes())
        assert (code, [each["outcome"] for each in told]) == (0, ["duplicate"]), (words, said)
    code, told, _ = run(service, "-", stdin=json.dumps([event("two"), event("three", 900)]).encode())
    assert code == 1
    assert [(each["outcome"], each["reason"], each["field"]) for each in told] == [
        ("stored", None, None),
        ("rejected", "out_of_range", "value.bpm"),
    ]


def test_an_event_that_is_refused_is_told_by_its_receipt_alone(service: Service) -> None:
    run(service, "-", stdin=json.dumps(event("first")).encode())
    code, told, said = run(service, "-", stdin=json.dumps(event("four", 900)).encode())
    assert (code, [each["outcome"] for each in told]) == (1, ["rejected"])
    assert said == b""


def test_what_cannot_be_read_is_an_error_with_its_fix(service: Service, tmp_path: Path) -> None:
    for words, stdin in (((str(tmp_path / "none.json"),), b""), (("-",), b"no JSON"), (("-", "--wait", "soon"), b"{}")):
        code, _, said = run(service, *words, stdin=stdin)
        assert code
        assert json.loads(said)["error"]["fix"]
