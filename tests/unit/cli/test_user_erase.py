"""``user erase``: what it prints, what it refuses, and what a restored backup of before comes to."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bridge.jobs import erasures
from healthsync_mqtt.adapters.cloud import Tokens
from healthsync_mqtt.adapters.links import LinkBook
from healthsync_mqtt.backup import creation
from healthsync_mqtt.backup.inventory import Found
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cloud_links.former_links import PartingBook
from healthsync_mqtt.identity import erasure_ledger
from healthsync_mqtt.identity.erasure_recall import recall
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.keys.opening import ring_made_if_missing
from healthsync_mqtt.model.erasure import ErasureStep
from healthsync_mqtt.sinks.config import InfluxConfig, Sinks
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.pseudonym import Pseudonyms
from healthsync_mqtt.sinks.series import SeriesSource
from healthsync_mqtt.storage.opening import open_log
from healthsync_mqtt.testing.log_items import NOW_US, item


@pytest.fixture
def filled(data: Path, lines, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(erasures, "_LATE_S", 0.0)
    for user in ("marker-zoe", "bob"):
        lines("user", "add", user, "--consent", "all")
        lines("device", "add", user, f"{user}-watch")
    with open_log(data) as log:
        log.stage([item("marker-id", "marker-zoe"), item("b1", "bob")], [], NOW_US)
        log.commit()
    return data


def traces(data: Path) -> list[str]:
    return [str(path) for path in data.rglob("*") if path.is_file() and b"marker" in path.read_bytes()]


def test_erased_without_a_service(filled: Path, run, lines) -> None:
    assert traces(filled)
    (said,) = lines("user", "erase", "marker-zoe", "--yes", "--reason", "asked for")
    assert said == {"user_id": "marker-zoe", "erased": True, "pending": []}
    assert traces(filled) == []
    assert [each["user_id"] for each in lines("user", "list")] == ["bob"]
    (entry,) = lines("audit", "list", "--action", "user.erased")
    assert entry["detail"]["reason"] == "asked for"
    assert entry["subject"].startswith("user:")
    assert lines("audit", "verify")[0]["ok"] is True
    again = run("user", "erase", "marker-zoe", "--yes", "--json")
    assert again.exit_code == 1
    assert json.loads(again.stderr)["error"]["reason"] == "not_found"


def test_it_asks_and_keeps_no_name_in_the_reason(filled: Path, run) -> None:
    assert run("user", "erase", "marker-zoe", "--json").exit_code == 2
    named = run("user", "erase", "marker-zoe", "--yes", "--reason", "marker-zoe moved", "--json")
    assert json.loads(named.stderr)["error"]["reason"] == "usage"
    assert traces(filled), "nothing has begun"


def test_who_was_removed_can_be_erased(filled: Path, lines) -> None:
    lines("user", "remove", "marker-zoe", "--yes")
    (said,) = lines("user", "erase", "marker-zoe", "--yes")
    assert said["erased"] is True
    assert traces(filled) == []


def test_a_restored_backup_is_erased_again_before_it_serves(filled: Path, tmp_path: Path, lines) -> None:
    place = tmp_path / "backups"
    lines("backup", "create", str(place))
    lines("user", "erase", "marker-zoe", "--yes")
    (later,) = lines("backup", "create", str(place))
    assert b"marker" not in (place / "erasures.jsonl").read_bytes()
    first = lines("backup", "list", str(place))[0]["set"]
    restored = tmp_path / "restored"
    (said,) = lines("restore", str(place), "--data", str(restored), "--set", first)
    assert said["to_erase"] == 1
    (user,) = lines("user", "erase", "marker-zoe", "--yes", "--data", str(restored))  # as a start does
    assert user["erased"] is True
    assert traces(restored) == []
    (newer,) = lines("restore", str(place), "--data", str(tmp_path / "newer"), "--set", later["set"])
    assert newer["to_erase"] == 0


def test_a_set_that_was_made_while_somebody_was_erased_is_erased_from_the_beginning(
    filled: Path, tmp_path: Path, lines
) -> None:
    """Its log was read before the rows went, its registry when the erasure had gone on, after them."""
    place, keys, restored = tmp_path / "backups", tmp_path / "keys.tar", tmp_path / "restored"
    with DataDirectory(filled).changing() as change:
        erasure = change.registry.erase("marker-zoe", NOW_US)
        while erasure.step is not ErasureStep.sinks:
            erasure = change.registry.erasures.advance(erasure, NOW_US)
    erasure_ledger.add(filled / "erasures.jsonl", [erasure_ledger.entry(erasure.id, "marker-zoe", NOW_US)])
    lines("backup", "create", str(place), "--keys", str(keys))
    (said,) = lines("restore", str(place), "--data", str(restored), "--keys", str(keys))
    assert said["to_erase"] == 1
    (user,) = lines("user", "erase", "marker-zoe", "--yes", "--data", str(restored))  # as a start does
    assert user["erased"] is True
    assert traces(restored) == []


@pytest.fixture
def shipped(filled: Path) -> str:
    """A sink has points of everybody, the person a key and a password; what the sink calls the person."""
    sinks = Sinks(filled)
    sinks.put(InfluxConfig(name="influx", url="http://127.0.0.1:9"))
    with (
        closing(SinkLedger.open(sinks.ledger("influx"))) as ledger,
        closing(Pseudonyms.open(sinks.pseudonyms)) as salts,
    ):
        for user in ("marker-zoe", "bob"):
            assert ledger.admit(SeriesSource("heart_rate", user, f"{user}-watch", None, None))
            subject = salts.of(user)
            if user != "bob":
                known_as = subject
    with DataDirectory(filled).registry() as registry:
        (device,) = registry.devices("marker-zoe")
    CredentialStore(filled / "credentials").ensure(device.client_id)
    ring_made_if_missing(filled).key("marker-zoe")
    return known_as


def erased_again(restored: Path, lines) -> dict[str, Any]:
    """What the start of a service does first; how far it came."""
    with DataDirectory(restored).registry() as registry:
        for each in registry.erasures.open():
            (found,) = lines("user", "erase", str(each.user_id), "--yes", "--data", str(restored))
            return dict(found)
    raise AssertionError("none was begun")


def test_keys_of_before_give_nobody_back_who_is_erased(filled: Path, shipped: str, tmp_path: Path, lines) -> None:
    """A file of keys is kept for long, and a set is of today: the one has a key and a salt, the other no name."""
    place, keys, restored = tmp_path / "backups", tmp_path / "keys.tar", tmp_path / "restored"
    lines("backup", "create", str(place), "--keys", str(keys))
    lines("user", "erase", "marker-zoe", "--yes")
    lines("backup", "create", str(place))
    (said,) = lines("restore", str(place), "--data", str(restored), "--keys", str(keys))
    assert said["to_erase"] == 1
    assert {Path(each).name for each in traces(restored)} >= {"keys.db", "pseudonyms.db"}
    assert erased_again(restored, lines)["erased"] is True
    assert traces(restored) == []
    with closing(SinkLedger.open(Sinks(restored).ledger("influx"))) as ledger:
        assert list(ledger.erasing()) == [shipped]
    with closing(Pseudonyms.open(Sinks(restored).pseudonyms)) as salts:
        assert list(salts.names().salts) == ["bob"]
    (once_more,) = lines("restore", str(place), "--data", str(tmp_path / "more"))
    assert once_more["to_erase"] == 0, "without those keys nothing has the person"


@pytest.mark.parametrize("tries", [1, 3])
@pytest.mark.parametrize("before", ["sinks/influx.db", "sinks/influx.json", "the log"])
def test_who_is_erased_while_a_set_is_read_is_in_none_of_its_files(
    before: str, tries: int, filled: Path, shipped: str, *, tmp_path: Path, lines
) -> None:
    """All of an erasure between two files: the later ones know of nobody. A second reading is whole."""
    place, keys, restored = tmp_path / "backups", tmp_path / "keys.tar", tmp_path / "restored"
    lines("backup", "create", str(tmp_path / "first"), "--keys", str(keys))
    read: list[str] = []

    def reaches(name: str) -> None:
        if name == before and name not in read:
            lines("user", "erase", "marker-zoe", "--yes")
        read.append(name)

    take, hold = creation._Gathering._take, creation.hold_log

    def taking(self: creation._Gathering, found: Found) -> None:
        reaches(found.name)
        take(self, found)

    def holding(data: Path) -> Any:
        reaches("the log")
        return hold(data)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(creation, "_TRIES", tries)
        patched.setattr(creation._Gathering, "_take", taking)
        patched.setattr(creation, "hold_log", holding)
        lines("backup", "create", str(place))
    assert read.count(before) == (1 if tries == 1 else 2)
    assert tries == 1 or traces(place) == [], "nor what the first reading had"
    (said,) = lines("restore", str(place), "--data", str(restored), "--keys", str(keys))
    assert said["to_erase"] == 1, "the keys are of before"
    assert erased_again(restored, lines)["erased"] is True
    assert traces(restored) == []
    with closing(SinkLedger.open(Sinks(restored).ledger("influx"))) as ledger:
        assert list(ledger.erasing()) == [shipped], "the server may have the points still"


def test_an_older_log_under_an_erasure_that_has_left_it_is_erased_again(filled: Path) -> None:
    with DataDirectory(filled).registry() as registry:
        erasure = registry.erase("marker-zoe", NOW_US)
        entries = [erasure_ledger.entry(erasure.id, "marker-zoe", NOW_US)]
        erasure_ledger.add(filled / "erasures.jsonl", entries)
        entries = erasure_ledger.read(filled / "erasures.jsonl")
        for in_log, step, begun in (([], ErasureStep.days, 0), (["marker-zoe"], ErasureStep.ledger, 1)):
            while erasure.step is not ErasureStep.days:
                erasure = registry.erasures.advance(erasure, NOW_US)
            assert recall(registry, in_log, entries, NOW_US) == begun
            (found,) = registry.erasures.open()
            assert (found.step, found.id) == (step, erasure.id)


def test_a_ledger_from_elsewhere_is_taken(filled: Path, tmp_path: Path, lines) -> None:
    file = tmp_path / "one.tar"
    lines("backup", "create", str(file))
    lines("user", "erase", "marker-zoe", "--yes")
    words = ("restore", str(file), "--data", str(tmp_path / "restored"))
    (said,) = lines(*words, "--erasures", str(filled / "erasures.jsonl"))
    assert said["to_erase"] == 1


def test_who_is_removed_or_erased_is_linked_to_nothing(filled: Path, lines) -> None:
    with LinkBook.open(filled) as book:
        for user in ("marker-zoe", "bob"):
            book.agree(user, "whoop", Tokens("a", "r", 0), "read", NOW_US)
    lines("user", "remove", "bob", "--yes")
    with LinkBook.open(filled) as book, PartingBook.open(filled) as partings:
        assert [each.user for each in book.links()] == ["marker-zoe"]
        assert [each.user for each in book.leaving()] == ["bob"], "what is retained is taken back by the worker"
        assert [each.provider for each in partings.partings()] == ["whoop"]
    assert len(lines("audit", "list", "--action", "adapter.unlinked")) == 1
    (said,) = lines("user", "erase", "marker-zoe", "--yes")
    assert said == {"user_id": "marker-zoe", "erased": True, "pending": ["link:whoop"]}
    assert traces(filled) == []
    lines("user", "erase", "bob", "--yes")
    with LinkBook.open(filled) as book:
        assert (book.links(), book.leaving()) == ([], [])
