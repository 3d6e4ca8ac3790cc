"""Which directory of sinks belongs to a log that bridges share, whatever the server of that log is."""

from pathlib import Path

import pytest

from healthsync_mqtt.sinks import belonging
from healthsync_mqtt.sinks.config import Sinks, made
from healthsync_mqtt.sinks.ledger import SinkLedger


class Claims:
    """What the log says, in place of a server; None: it is one bridge's own."""

    def __init__(self, mark: str | None) -> None:
        self.mark = mark

    def claimed(self, _data: Path) -> str | None:
        return self.mark

    def claim(self, _data: Path, mark: str) -> None:
        self.mark = self.mark or mark

    def adopt(self, _data: Path, mark: str) -> None:
        self.mark = mark


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> Claims:
    found = Claims("")
    monkeypatch.setattr(belonging, "claimed_sinks", found.claimed)
    monkeypatch.setattr(belonging, "claim_sinks", found.claim)
    monkeypatch.setattr(belonging, "adopt_sinks", found.adopt)
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir(mode=0o700)
    return tmp_path / "data"


def test_a_log_of_one_bridge_has_no_other_sinks(claims: Claims, data: Path) -> None:
    claims.mark = None
    assert belonging.elsewhere(data) is None


def test_the_bridge_at_home_gives_the_log_its_directory_once(claims: Claims, data: Path, tmp_path: Path) -> None:
    assert belonging.elsewhere(data) is not None
    belonging.claim(data, {"publish": 7})
    assert belonging.elsewhere(data) is None
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    belonging.claim(other, {})
    fault = belonging.elsewhere(other)
    assert isinstance(fault, belonging.SinksElsewhereError)
    assert "healthsync sink adopt" in fault.hint
    assert belonging.elsewhere(data) is None


def test_not_where_sinks_have_shipped_that_are_unknown_here(claims: Claims, data: Path) -> None:
    """Their ledgers know persons whom an erasure here would not ask for."""
    Sinks(data).put(made(kind="file", name="file", path="/nowhere"))
    for unknown in ({"sink:file": 5}, {"sink:file": 5, "sink:influx": 0}):
        belonging.claim(data, unknown)
        assert claims.mark == ""
    SinkLedger.open(Sinks(data).ledger("file")).close()
    belonging.claim(data, {"sink:file": 5, "sink:influx": 0})
    assert belonging.elsewhere(data) is None


def test_a_person_may_say_that_the_other_directory_is_lost(claims: Claims, data: Path) -> None:
    claims.mark = "of another"
    belonging.claim(data, {})
    assert belonging.elsewhere(data) is not None
    assert belonging.adopt(data)
    assert belonging.elsewhere(data) is None
    assert not belonging.adopt(data)


def test_a_directory_that_cannot_be_used_is_nobodys(claims: Claims, data: Path) -> None:
    belonging.claim(data, {})
    assert belonging.mark_here(data) == claims.mark
    (Sinks(data).directory / "directory.id").chmod(0o644)
    assert belonging.mark_here(data) == ""
    assert belonging.elsewhere(data) is not None
