"""What a sink keeps on disk, lost or of an older version: never replaced silently."""

import json
import sqlite3
from pathlib import Path

import pytest

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.sinks.config import Sinks, made
from healthsync_mqtt.sinks.kinds import known_pseudonyms, open_ledger, open_pseudonyms
from healthsync_mqtt.sinks.ledger import OwedPoint, SinkLedger
from healthsync_mqtt.sinks.pseudonym import LostPseudonymError
from healthsync_mqtt.sinks.series import LATER, SeriesSource

_OF_THE_FIRST_VERSION = """
CREATE TABLE refused (
    seq INTEGER NOT NULL, place INTEGER NOT NULL, reason TEXT NOT NULL, status INTEGER NOT NULL,
    message TEXT NOT NULL, at_us INTEGER NOT NULL, PRIMARY KEY (seq, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE series (user TEXT NOT NULL, series TEXT NOT NULL, PRIMARY KEY (user, series)) STRICT, WITHOUT ROWID;
CREATE TABLE displaced (
    user TEXT NOT NULL, id TEXT NOT NULL, shift INTEGER NOT NULL, PRIMARY KEY (user, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE over_budget (user TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), json TEXT NOT NULL) STRICT;
INSERT INTO refused VALUES (7, 0, 'refused', 400, 'why', 5);
INSERT INTO series VALUES ('alice', 'heart_rate/watch//');
INSERT INTO displaced VALUES ('alice', 'e1', 3);
"""


@pytest.fixture
def sinks(tmp_path: Path) -> Sinks:
    (tmp_path / "data").mkdir(mode=0o700)
    sinks = Sinks(tmp_path / "data")
    sinks.put(made(name="main", url="http://127.0.0.1:9"))
    return sinks


def shipped(sinks: Sinks, user: str = "alice") -> tuple[SinkLedger, str]:
    ledger = SinkLedger.open(sinks.ledger("main"))
    pseudonym = open_pseudonyms(sinks, ledger).of(user)
    ledger.admit(SeriesSource("heart_rate", user, "watch", None, None))
    return ledger, pseudonym


def test_a_lost_file_of_pseudonyms_is_not_minted_anew(sinks: Sinks) -> None:
    ledger, pseudonym = shipped(sinks)
    kept = sinks.pseudonyms.read_bytes()
    sinks.pseudonyms.unlink()
    with pytest.raises(LostPseudonymError) as caught:
        open_pseudonyms(sinks, ledger).of("alice")
    assert "backup" in caught.value.hint
    with pytest.raises(LostPseudonymError):
        known_pseudonyms(sinks).of("alice")
    sinks.pseudonyms.write_bytes(kept)
    assert open_pseudonyms(sinks, ledger).of("alice") == pseudonym
    ledger.close()


def test_an_older_copy_of_the_pseudonyms_mints_none_for_who_was_shipped(sinks: Sinks) -> None:
    ledger, _ = shipped(sinks)
    kept = sinks.pseudonyms.read_bytes()
    open_pseudonyms(sinks, ledger).of("bob")
    ledger.admit(SeriesSource("heart_rate", "bob", "watch", None, None))
    sinks.pseudonyms.write_bytes(kept)
    pseudonyms = open_pseudonyms(sinks, ledger)
    with pytest.raises(LostPseudonymError):
        pseudonyms.of("bob")
    assert pseudonyms.of("carol")
    ledger.close()


def test_a_user_who_was_forgotten_may_come_back_under_a_new_pseudonym(sinks: Sinks) -> None:
    ledger, before = shipped(sinks)
    pseudonyms = open_pseudonyms(sinks, ledger)
    assert pseudonyms.forget("alice")
    assert pseudonyms.of("alice") != before
    ledger.close()


def test_a_ledger_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "main.db"
    path.touch(mode=0o600)
    old = sqlite3.connect(path)
    old.executescript(_OF_THE_FIRST_VERSION)
    old.execute("INSERT INTO state VALUES (1, ?)", (json.dumps({"cursor": 70, "lag": 5}),))
    old.commit()
    old.close()
    for _ in range(2):
        ledger = SinkLedger.open(path)
        assert ledger.refused_events() == [7]
        assert ledger.admit(SeriesSource("heart_rate", "alice", "watch", None, None))
        assert ledger.shift("alice", "e1") == 3
        assert ledger.adopted == (10_075, 10_075)
        assert ledger.owed() == []
        ledger.close()
    fresh = SinkLedger.open(tmp_path / "fresh.db")
    assert fresh.adopted == (0, 0)
    assert set(LATER.values()) == set(range(len(fresh.adopted)))
    fresh.close()


def test_a_ledger_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    SinkLedger.open(tmp_path / "main.db").close()
    newer = sqlite3.connect(tmp_path / "main.db")
    newer.execute("PRAGMA user_version=99")
    newer.close()
    with pytest.raises(StoreError, match="newer version"):
        SinkLedger.open(tmp_path / "main.db")


def test_what_is_owed_is_due_again_later_each_time(tmp_path: Path) -> None:
    ledger = SinkLedger.open(tmp_path / "main.db")
    owed = OwedPoint("heart_rate,user=a", 17, 3, 0, "cannot_delete", "why")
    ledger.owe([owed], 100)
    assert ledger.owed_due(99) is None
    assert ledger.owed_due(100) == owed
    ledger.owe([owed], 200)
    assert (ledger.owed_due(199), ledger.owed_due(200)) == (None, owed._replace(tries=1))
    ledger.owed_due_now()
    assert ledger.owed_due(0) == owed._replace(tries=1)
    ledger.settle("heart_rate,user=a", 17)
    assert ledger.owed_count() == 0
    ledger.close()


class Log:
    """A log that knows how far a sink was."""

    def __init__(self, cursor: int | None) -> None:
        self._cursor = cursor

    def cursor(self, name: str) -> int | None:
        return self._cursor if name == "sink:main" else None


def test_names_that_are_lost_with_the_ledger_are_not_minted_anew_either(sinks: Sinks) -> None:
    """A backup without the folder of sinks: the log alone knows that points were shipped."""
    for _ in range(2):
        with pytest.raises(LostPseudonymError) as caught:
            open_ledger(sinks, sinks.get("main"), Log(17))  # type: ignore[arg-type]
        assert "backup" in caught.value.hint
        assert not sinks.ledger("main").exists()
        assert not sinks.pseudonyms.exists()


def test_a_ledger_that_is_lost_alone_is_told(sinks: Sinks, caplog: pytest.LogCaptureFixture) -> None:
    open_pseudonyms(sinks, open_ledger(sinks, sinks.get("main"), Log(None)))  # type: ignore[arg-type]
    sinks.ledger("main").unlink()
    ledger = open_ledger(sinks, sinks.get("main"), Log(17))  # type: ignore[arg-type]
    assert open_pseudonyms(sinks, ledger).of("alice")
    ledger.close()
    assert caplog.text.count("sink.ledger_lost") == 1
