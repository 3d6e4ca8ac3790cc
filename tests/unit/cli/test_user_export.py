"""``user export``: everything about one person, nothing of another, whole or not at all."""

import json
import zipfile
from pathlib import Path

import pytest

from healthsync_mqtt.adapters.cloud import Tokens
from healthsync_mqtt.adapters.links import LinkBook
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.identity.people.passkeys import Passkey
from healthsync_mqtt.identity.people.sessions import SessionRole
from healthsync_mqtt.insights.file import InsightFile
from healthsync_mqtt.insights.finding import Basis, InsightFinding
from healthsync_mqtt.storage.opening import open_log
from healthsync_mqtt.testing.log_items import NOW_US, item, rejected


@pytest.fixture
def filled(data: Path, lines) -> Path:
    for user in ("alice", "bob"):
        lines("user", "add", user, "--consent", "all")
        lines("device", "add", user, f"{user}-watch")
    lines("device", "remove", "alice", "alice-watch", "--yes")
    with DataDirectory(data).registry() as registry:
        registry.sources.prefer("alice", ["alice-watch"], NOW_US)
        for user in ("alice", "bob"):
            passkey = Passkey(
                id=f"id-{user}", role=SessionRole.user, holder=user, handle="handle", name=f"{user}-phone",
                public_key=b"the-key", sign_count=0, created_us=NOW_US, used_us=None,
            )  # fmt: skip
            registry.passkeys.add(passkey, user.encode(), NOW_US + 1)
    lines("consent", "withdraw", "alice", "--types", "steps")
    with InsightFile.open(data / "insights.db") as file:
        for user in ("alice", "bob"):
            basis = Basis(types=("steps",), first_day=1, last_day=2, days=2, readings=2)
            found = InsightFinding(subject="steps", what="more", sentence=f"Of {user}.", basis=basis)
            file.write(user, [2], {("streak", 2): [found]}, still=lambda: True)
    with open_log(data) as log:
        changed = item("a1", "alice", version=1)
        log.stage([item("a1", "alice"), changed, item("b1", "bob")], [rejected("alice"), rejected("bob")], NOW_US)
        log.commit()
    return data


def read(file: Path) -> dict[str, list]:
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        return {
            name: [json.loads(line) for line in archive.read(name).splitlines()]
            for name in archive.namelist()
            if name.endswith(".jsonl")
        }


def test_everything_of_one_person(filled: Path, tmp_path: Path, lines) -> None:
    file = tmp_path / "alice.zip"
    (said,) = lines("user", "export", "alice", "-o", str(file))
    found = read(file)
    assert said == {"user_id": "alice", "file": str(file), "entries": {name: len(rows) for name, rows in found.items()}}
    assert [(row["id"], row["version"]) for row in found["events.jsonl"]] == [("a1", 0), ("a1", 1)]
    assert [row["event_id"] for row in found["refused.jsonl"]] == ["bad"]
    assert [row["sentence"] for row in found["insights.jsonl"]] == ["Of alice."]
    assert [row["action"] for row in found["consents.jsonl"]][-1] == "withdraw"
    (device,) = found["devices.jsonl"]
    assert (device["device_id"], device["removed_at"] is not None) == ("alice-watch", True)
    assert [(row["id"], row["name"]) for row in found["passkeys.jsonl"]] == [("id-alice", "alice-phone")]
    assert found["preferences.jsonl"] == [{"sources": ["alice-watch"]}]
    actions = {row["action"] for row in found["audit.jsonl"]}
    assert {"user.added", "consent.withdrawn", "device.removed", "user.exported"} <= actions
    with zipfile.ZipFile(file) as archive:
        index = archive.read("index.html").decode()
        everything = b"".join(archive.read(name) for name in archive.namelist())
    assert all(f'href="{name}"' in index for name in found)
    assert b"bob" not in everything
    assert file.stat().st_mode & 0o777 == 0o600


def test_carers_and_sessions_are_told_and_nothing_that_lets_anybody_in(filled: Path, tmp_path: Path, lines) -> None:
    lines("user", "add", "carla", "--consent", "all")
    with DataDirectory(filled).registry() as registry:
        registry.carers.grant("alice", "carla", ["steps"], NOW_US + 10**12, NOW_US)
        registry.carers.grant("bob", "alice", "*", NOW_US + 10**12, NOW_US)
        opened = [
            registry.sessions.begin(
                registry.sessions.invite(SessionRole.user, user, NOW_US, until_us=NOW_US + 10**9), NOW_US + 1
            )
            for user in ("alice", "alice", "bob")
        ]
        registry.sessions.end(opened[0].id, NOW_US + 2, "signed out")
    lines("user", "export", "alice", "-o", str(tmp_path / "alice.zip"))
    found = read(tmp_path / "alice.zip")
    (carer,) = found["carers.jsonl"]
    assert (carer["carer_id"], carer["types"]) == ("carla", ["steps"])
    assert sorted(str(each["ended_for"]) for each in found["sessions.jsonl"]) == ["None", "signed out"]
    everything = json.dumps(found)
    assert not any(secret in everything for each in opened for secret in (each.seed, each.id))


def test_links_to_clouds_are_told_without_their_tokens(filled: Path, tmp_path: Path, lines) -> None:
    with LinkBook.open(filled) as book:
        for user in ("alice", "bob"):
            book.agree(user, "whoop", Tokens(f"access-{user}", f"refresh-{user}", NOW_US, account=user), "read", NOW_US)
    lines("user", "export", "alice", "-o", str(tmp_path / "alice.zip"))
    found = read(tmp_path / "alice.zip")
    (link,) = found["links.jsonl"]
    assert (link["provider"], link["scopes"], link["account"], link["state"]) == ("whoop", ["read"], "alice", "ok")
    everything = json.dumps(found)
    assert not any(word in everything for word in ("access-", "refresh-", "bob"))


def test_nobody_of_this_name(filled: Path, tmp_path: Path, run) -> None:
    result = run("user", "export", "carol", "-o", str(tmp_path / "carol.zip"), "--json")
    assert json.loads(result.stderr)["error"]["reason"] == "not_found"
    assert not (tmp_path / "carol.zip").exists()


def test_it_can_be_written_before_the_service_ever_ran(data: Path, tmp_path: Path, lines) -> None:
    lines("user", "add", "alice", "--consent", "all")
    (said,) = lines("user", "export", "alice", "-o", str(tmp_path / "alice.zip"))
    assert said["entries"]["events.jsonl"] == 0
