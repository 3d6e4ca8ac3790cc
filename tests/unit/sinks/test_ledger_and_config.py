"""What a sink keeps on disk: its ledger, its configuration without the token, the salts of pseudonyms."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from healthsync_mqtt.errors import ConfigError, ConflictError, NotFoundError, StoreError, UsageError
from healthsync_mqtt.sinks.config import Sinks, TokenPlace, made
from healthsync_mqtt.sinks.ledger import RefusedLine, SinkLedger
from healthsync_mqtt.sinks.pseudonym import Pseudonyms
from healthsync_mqtt.sinks.series import SeriesSource


def source(device: str, user: str = "alice", type_name: str = "heart_rate") -> SeriesSource:
    return SeriesSource(type_name, user, device, None, None)


def test_the_ledger_survives_its_process(tmp_path: Path) -> None:
    ledger = SinkLedger.open(tmp_path / "main.db", budget=2)
    ledger.refuse([RefusedLine(7, 1, "refused", 400, "why"), RefusedLine(9, 0, "unmappable", 0, "what")], 5)
    ledger.displace("alice", "e1", 3)
    ledger.save_state({"state": "idle"})
    assert [ledger.admit(source(device)) for device in ("a", "b", "c", "a", "c")] == [True, True, False, True, False]
    assert ledger.admit(source("a", "bob"))
    ledger.close()
    again = SinkLedger.open(tmp_path / "main.db", budget=2)
    assert again.refused() == [RefusedLine(9, 0, "unmappable", 0, "what"), RefusedLine(7, 1, "refused", 400, "why")]
    assert again.refused_events() == [7, 9]
    assert (again.shift("alice", "e1"), again.shift("bob", "e1")) == (3, 0)
    assert (again.state(), again.over_budget, again.series_count("alice")) == ({"state": "idle"}, {"alice"}, 2)
    assert [again.admit(source(device)) for device in ("a", "b", "c")] == [True, True, False]
    again.accept([(7, 1)])
    assert again.refused_count() == 1
    again.close()
    assert (tmp_path / "main.db").stat().st_mode & 0o777 == 0o600


def test_a_point_that_is_moved_again_is_never_without_its_place(tmp_path: Path) -> None:
    """Not in between either, where the process may be killed: what was sent there before would stay for ever."""
    ledger = SinkLedger.open(tmp_path / "main.db")
    ledger.displace("alice", "e1", 3)
    with closing(sqlite3.connect(tmp_path / "main.db")) as beside:
        beside.executescript(
            "CREATE TRIGGER gone AFTER DELETE ON displaced BEGIN SELECT RAISE(ABORT, 'no place is known'); END;"
        )
    ledger.displace("alice", "e1", 4)
    ledger.close()
    again = SinkLedger.open(tmp_path / "main.db")
    assert again.shift("alice", "e1") == 4
    again.close()


def test_a_ledger_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    ledger = SinkLedger.open(tmp_path / "main.db")
    blocker = sqlite3.connect(tmp_path / "main.db", isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    ledger._database._connection.execute("PRAGMA busy_timeout=1")
    with pytest.raises(StoreError):
        ledger.refuse([RefusedLine(7, 1, "refused", 400, "why")], 5)
    blocker.close()
    assert ledger.refused_count() == 0
    ledger.close()


def test_a_pseudonym_is_stable_and_gone_with_its_salt(tmp_path: Path) -> None:
    salts = Pseudonyms.open(tmp_path / "pseudonyms.db")
    alice, bob = salts.of("alice"), salts.of("bob")
    assert alice != bob
    assert len(alice) == 24
    assert "alice" not in alice
    other = Pseudonyms.open(tmp_path / "pseudonyms.db")
    assert other.of("alice") == alice
    assert salts.forget("alice")
    assert not salts.forget("alice")
    assert salts.of("alice") not in {alice, bob}
    assert (tmp_path / "pseudonyms.db").stat().st_mode & 0o777 == 0o600
    salts.close()
    other.close()


def test_a_sink_is_written_and_read(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    sinks = Sinks(tmp_path / "data")
    assert sinks.names() == []
    sink = made(name="home", url="https://influx.example/", token={"env": "INFLUX_TOKEN"})
    sinks.put(sink)
    assert sinks.get("home") == sink
    assert sink.url == "https://influx.example"
    assert sink.cursor == "sink:home"
    with pytest.raises(ConflictError):
        sinks.put(sink)
    with pytest.raises(NotFoundError):
        sinks.get("../home")
    sinks.file("home").write_text("{}")
    with pytest.raises(ConfigError):
        sinks.get("home")


@pytest.mark.parametrize(
    "values",
    [
        {"url": "ftp://host"}, {"url": "http://user:pass@host"}, {"url": "http://host?x=1"}, {"url": "http://"},
        {"name": "a/b"}, {"dialect": "v9"}, {"org": "a\nb"}, {"token": {"env": "A", "secret": "b"}},
        {"token": {"env": "A B"}}, {"token": {"secret": "../x"}}, {"token": {"value": "s3cr3t"}}, {"timeout_s": 0},
    ],
)  # fmt: skip
def test_a_wrong_sink_is_refused_without_repeating_it(values: dict) -> None:
    with pytest.raises(UsageError) as caught:
        made(**{"name": "a", "url": "http://host"} | values)
    assert "s3cr3t" not in str(caught.value)
    assert "user:pass" not in str(caught.value)


def test_where_tokens_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private, loose, secrets = tmp_path / "private", tmp_path / "loose", tmp_path / "secrets"
    secrets.mkdir()
    for path, mode in ((private, 0o600), (loose, 0o644), (secrets / "influx", 0o444)):
        path.write_text(" t0ken\n")
        path.chmod(mode)
    monkeypatch.setenv("INFLUX_TOKEN", "t0ken")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("HEALTHSYNC_SECRETS_DIR", str(secrets))
    for place in (TokenPlace(env="INFLUX_TOKEN"), TokenPlace(file=private), TokenPlace(secret="influx")):
        assert place.read() == "t0ken"
    assert TokenPlace().read() is None
    for place in (TokenPlace(env="EMPTY"), TokenPlace(env="UNSET"), TokenPlace(file=loose), TokenPlace(secret="none")):
        with pytest.raises(ConfigError):
            place.read()
