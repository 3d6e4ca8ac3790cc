"""What is stored and done, over HTTP: refusals, the audit log, sinks, the status; what a person takes along."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from healthsync_mqtt.cli.main import program
from healthsync_mqtt.sinks.config import Sinks, made
from healthsync_mqtt.storage.opening import open_log
from healthsync_mqtt.testing.log_items import NOW_US, item, rejected
from tests.support.answering import answering
from tests.support.gateway import Browser, GatewayHere, filled, gateway_here
from tests.support.patience import wait_until
from tests.support.web import Web


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayHere]:
    tmp = tmp_path_factory.mktemp("administration-of-data")
    data = tmp / "data"
    filled(data, ["alice", "bob", "carol"], [item("h-1"), item("b-1", "bob")])
    with open_log(data) as log:
        log.stage([], [rejected(f"r-{number}") for number in range(3)], NOW_US)
        log.commit()
    Sinks(data).prepare()
    Sinks(data).put(made(kind="file", name="copies", path=str(tmp / "out")), replace=False)
    with gateway_here(data) as here:
        yield here


@pytest.fixture(scope="module")
def root(scene: GatewayHere) -> Web:
    return scene.admin("root")


@pytest.fixture(scope="module")
def alice(scene: GatewayHere) -> Browser:
    return scene.invited("alice")


def command(scene: GatewayHere, *words: str) -> list[Any]:
    """What a command prints as JSON."""
    told = CliRunner().invoke(program(words[:1]), [*words, "--data", str(scene.place.path), "--json"])
    assert told.exit_code == 0, told.output
    return [json.loads(line) for line in told.stdout.splitlines()]


def page_by_page(web: Web, path: str, name: str) -> list[Any]:
    """All of a list."""
    found: list[Any] = []
    cursor: int | None = 0
    while cursor is not None:
        page = web.get(f"{path}&cursor={cursor}").json()
        found += page[name]
        cursor = page["next"]
    return found


def test_refusals_are_listed_shown_and_tried_again(scene: GatewayHere, root: Web) -> None:
    first = root.get("/v1/rejected?limit=2").json()
    rest = root.get(f"/v1/rejected?limit=2&cursor={first['next']}").json()
    assert rest["next"] is None
    listed = first["rejected"] + rest["rejected"]
    assert listed == command(scene, "rejected", "list")
    assert page_by_page(root, "/v1/rejected?order=desc&limit=2", "rejected") == listed[::-1]
    assert root.get("/v1/rejected?order=other").status == 400
    reason = listed[0]["reason"]
    assert len(root.get(f"/v1/rejected?reason={reason}").json()["rejected"]) == 3
    assert root.get("/v1/rejected?reason=no_such").status == 400
    assert root.get("/v1/rejected?user=bob").json() == {"rejected": [], "next": None}
    number = listed[0]["number"]
    assert root.get(f"/v1/rejected/{number}").json() == command(scene, "rejected", "show", str(number))[0]
    assert root.get("/v1/rejected/99999").status == 404
    assert root.get("/v1/rejected/99999999999999999999999").status in {400, 404}
    assert root.post(f"/v1/rejected/{number}/replay", {}).status == 503  # no service runs
    wrong = root.post("/v1/rejected/purge", {"before": "yesterday"})
    assert (wrong.status, wrong.json()["reason"]) == (400, "bad_time")
    assert {"rejected.listed", "rejected.shown", "rejected.replayed"} <= set(scene.audited())


def test_the_audit_log_is_told_page_by_page_and_is_whole(scene: GatewayHere, root: Web) -> None:
    root.get("/v1/rejected")
    whole = command(scene, "audit", "list")
    found = page_by_page(root, "/v1/audit?limit=3", "audit")
    assert found[: len(whole)] == whole
    assert page_by_page(root, "/v1/audit?limit=3&order=desc", "audit")[-len(whole) :] == whole[::-1]
    about = root.get("/v1/audit?user=alice&action=session").json()["audit"]
    assert all(row["action"].startswith("session") for row in about)
    assert root.get("/v1/audit?device=watch").status == 400
    assert root.get("/v1/audit?user=nobody").status == 404
    assert root.get("/v1/audit/verification").json()["ok"] is True


def test_sinks_are_watched_suspended_and_resumed(scene: GatewayHere, root: Web) -> None:
    assert root.get("/v1/sinks").json() == {"sinks": command(scene, "sink", "list"), "next": None}
    paused = root.post("/v1/sinks/copies/suspend", {}).json()
    assert (paused["status"]["state"], paused["status"]["reason"]) == ("paused", "paused_by_operator")
    assert root.post("/v1/sinks/copies/resume", {}).json()["status"]["state"] == "not started"
    shown = root.get("/v1/sinks/copies").json()
    assert {**shown["status"], "at": ""} == {**command(scene, "sink", "show", "copies")[0]["status"], "at": ""}
    assert root.get("/v1/sinks/nothing").status == 404
    assert root.get("/v1/sinks/..%2Fregistry").status == 404
    assert {"sink.suspended", "sink.resumed"} <= set(scene.audited())


def test_the_status_is_that_of_the_command(scene: GatewayHere, root: Web) -> None:
    assert root.get("/v1/status").json() == command(scene, "status")[0]
    assert root.get("/v1/status").json()["totals"]["events"] == 2


def test_who_is_here_is_what_the_service_says(scene: GatewayHere, root: Web) -> None:
    scene.device("carol", "watch")
    assert root.get("/v1/users/carol/devices/watch").json()["online"] is None
    with answering(scene.place.path, "carol-watch"):
        assert root.get("/v1/users/carol/devices/watch").json()["online"] is True
        assert [each["online"] for each in root.get("/v1/users/carol/devices").json()["devices"]] == [True]


def test_a_device_is_shown_with_the_end_of_its_certificate(scene: GatewayHere, root: Web, tmp_path: Path) -> None:
    scene.device("carol", "scale")
    path = "/v1/users/carol/devices/scale"
    assert root.get(path).json()["certificate_ends_at"] is None
    command(scene, "cert", "issue", "device", "carol", "scale", "--out", str(tmp_path))
    shown = root.get(path).json()["certificate_ends_at"]
    (made,) = [each for each in command(scene, "cert", "list") if each["client_id"] == "carol-scale"]
    assert shown == made["expires_at"]
    command(scene, "cert", "revoke", made["serial"], "--yes")
    assert root.get(path).json()["certificate_ends_at"] is None


def test_a_person_orders_the_own_sources(scene: GatewayHere, alice: Browser) -> None:
    assert alice.get("/v1/users/alice/sources").json() == {"sources": []}
    body = {"sources": ["watch", "phone"]}
    put = alice.call("PUT", "/v1/users/alice/sources", body, x_csrf_token=alice.csrf)
    assert [(each["place"], each["source"]) for each in put.json()["sources"]] == [(1, "watch"), (2, "phone")]
    assert put.json()["sources"] == command(scene, "source", "list", "--user", "alice")
    emptied = alice.call("PUT", "/v1/users/alice/sources", {"sources": []}, x_csrf_token=alice.csrf)
    assert emptied.json() == {"sources": []}


def test_a_person_takes_everything_along(scene: GatewayHere, alice: Browser, tmp_path: Path) -> None:
    for _ in range(2):  # the place is given back
        answer = alice.get("/v1/users/alice/export")
        assert (answer.status, answer.headers["content-type"]) == (200, "application/zip")
        assert int(answer.headers["content-length"]) == len(answer.body)
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        names = set(archive.namelist())
        events = archive.read("events.jsonl")
    assert b'"h-1"' in events
    assert b'"b-1"' not in events
    command(scene, "user", "export", "alice", "-o", str(tmp_path / "alice.zip"))
    with zipfile.ZipFile(tmp_path / "alice.zip") as other:
        assert set(other.namelist()) == names
    assert "user.exported" in scene.audited()
    assert [path for path in scene.place.path.iterdir() if path.suffix == ".zip" or path.name.startswith("tmp")] == []


def test_a_person_is_erased_at_the_own_word(scene: GatewayHere, root: Web) -> None:
    carol = scene.invited("carol")
    for wrong in ({"confirm": "alice"}, {}, {"confirm": "carol", "reason": "carol asked"}):
        refused = carol.call("POST", "/v1/users/carol/erasure", wrong, x_csrf_token=carol.csrf)
        assert (refused.status, refused.json()["reason"]) == (400, "bad_input"), wrong
    begun = carol.call("POST", "/v1/users/carol/erasure", {"confirm": "carol"}, x_csrf_token=carol.csrf)
    assert begun.status == 200, begun.body
    assert (begun.json()["erased"], begun.json()["pending"]) == (False, ["ledger"])  # the service goes on
    assert carol.get("/v1/session").status == 401
    assert root.get(f"/v1/erasures/{begun.json()['erasure']}").json() == begun.json()
    assert root.get("/v1/erasures/nothing").status == 404
    assert root.get("/v1/users/carol").status == 404
    assert "user.erased" in scene.audited()


def test_a_file_is_no_longer_than_upload_bytes(tmp_path: Path) -> None:
    data = tmp_path / "data"
    filled(data, ["alice"], [])
    (data / "healthsync.toml").write_text("[gateway]\nupload_bytes = 1000\n")
    with gateway_here(data) as here:
        alice = here.invited("alice")
        refused = alice.call("POST", "/v1/users/alice/imports", b"x" * 1_001, x_csrf_token=alice.csrf)
        assert (refused.status, refused.json()["reason"]) == (413, "too_large")
        made = alice.call("POST", "/v1/users/alice/imports?zone=UTC", b"x" * 1_000, x_csrf_token=alice.csrf)
        assert (made.status, made.json()["bytes"], made.json()["device_id"]) == (200, 1_000, "import")
        for device in ("--help", "a/b"):
            path = f"/v1/users/alice/imports?device={device}"
            status = alice.call("POST", path, b"x", x_csrf_token=alice.csrf).status
            assert status == (429 if device == "--help" else 400)  # a name like any other, and one import at a time
        path = f"/v1/users/alice/imports/{made.json()['id']}"
        wait_until(lambda: alice.get(path).json()["state"] == "failed", "the end: no service runs")
        assert alice.get(path).json()["outcome"]["error"]["reason"] == "unavailable"
        assert [each["id"] for each in alice.get("/v1/users/alice/imports").json()["imports"]] == [made.json()["id"]]
        assert "import.begun" in here.audited()
