"""What commands say that publish as a device does: whose connection they take over, and what is held until its time."""

import asyncio
import json
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.cli import publish
from healthsync_mqtt.cli.imports import ImportOutcome
from healthsync_mqtt.cli.publication import Summary
from healthsync_mqtt.client import Rejected, Results, Stored
from healthsync_mqtt.client.carriage import Load, Mark, MarkFile
from healthsync_mqtt.errors import UnavailableError
from tests.support.answering import PEER, answering

HELD = Rejected(id="early", reason="future_time", held=True)
BAD = Rejected(id="bad", reason="out_of_range")
RESULTS = Results([Stored(id="now"), HELD, BAD], stored=1, duplicate=0, rejected=2)


@pytest.fixture
def typed(lines: Any, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Lines of commands that come as far as their connection; alice's watch is connected."""
    lines("user", "add", "alice", "--consent", "all")
    for device in ("watch", "ring"):
        lines("device", "add", "alice", device)
    lines("sample", str(tmp_path / "walk.fit"))
    event = {"id": "e", "type": "heart_rate", "start_time": "2026-01-01T00:00:00Z", "value": {"bpm": 70}}
    (tmp_path / "event.json").write_text(json.dumps(event))

    def nobody_there(conversation: Coroutine[Any, Any, Any]) -> None:
        conversation.close()
        raise UnavailableError("nobody is there")

    with answering(data, "alice-watch"):
        monkeypatch.setattr(asyncio, "run", nobody_there)
        yield {
            "publish": f"publish {tmp_path}/event.json --user alice",
            "import": f"import {tmp_path}/event.json --user alice",
            "replay": f"replay {tmp_path}/walk.fit --user alice",
        }


@pytest.mark.parametrize("command", ["publish", "import", "replay"])
def test_whose_connection_is_taken_over_is_said(run: Any, typed: dict[str, str], command: str) -> None:
    taken = run(*typed[command].split(), "--device", "watch").stderr
    assert f"alice-watch is connected, from {PEER}" in taken
    assert "--device" in taken
    assert "is connected" not in run(*typed[command].split(), "--device", "ring").stderr


def test_an_event_that_waits_for_its_time_is_shown_as_held() -> None:
    shown = publish._described(HELD)
    assert (shown["outcome"], shown["reason"]) == ("held", "future_time")
    assert publish._described(BAD)["outcome"] == "rejected"


def test_what_is_held_is_counted_among_the_rejected(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    summary = Summary()
    summary.add(RESULTS)
    assert (summary.as_dict()["rejected"], summary.as_dict()["held"]) == (2, 1)
    summary.show(as_json=False)
    assert "1: they are stored when their time has come" in capsys.readouterr().out

    mark = Mark()
    mark.add([Load({"type": "heart_rate"})] * 3, RESULTS)
    kept = MarkFile(tmp_path / "mark.json")
    kept.write(mark)
    outcome = ImportOutcome()
    outcome.mark.join(kept.read())
    assert (outcome.as_dict()["rejected"], outcome.as_dict()["held"]) == (2, 1)
