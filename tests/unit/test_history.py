"""The history checker must see every kind of broken promise; a checker that cannot fail proves nothing."""

import pytest

from healthsync_mqtt.model.receipt import Receipt
from healthsync_mqtt.model.record import Record
from tests.support.history import History, Key, LogCheck


def row(seq: int, *, user: str = "alice", device: str = "watch", event_id: str = "e1", bpm: int = 60) -> Record:
    body = b'{"value":{"bpm":%d}}' % bpm
    return Record(seq, user, device, None, event_id, "heart_rate", 1, None, 2, 0, 0, body, seq)


@pytest.fixture
def history() -> History:
    made = History()
    made.send("alice", "watch", "e1", 60)
    made.send("alice", "watch", "e2", 61)
    return made


def test_agreement_is_silent(history: History) -> None:
    history.acknowledge([Key("alice", "e1")])
    check = LogCheck(history)
    assert list(check.read([row(1), row(2, event_id="e2", bpm=61)], "a")) == []
    assert list(check.missing(history.promised())) == []


def test_a_lost_event_is_seen(history: History) -> None:
    history.acknowledge([Key("alice", "e2")])
    check = LogCheck(history)
    assert list(check.read([row(1)], "a")) == []
    assert "e2 was acknowledged and is not in the log" in next(check.missing(history.promised()))


def test_a_receipt_promises_as_much_as_an_acknowledgement(history: History) -> None:
    history.receipt("alice", "watch", Receipt(epoch="a", seq=1, stored=["e1"], duplicate=["e2"]))
    assert set(history.promised()) == {Key("alice", "e1"), Key("alice", "e2")}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row(1), row(2)], "stored twice"),
        ([row(2), row(1, event_id="e2", bpm=61)], "does not follow"),
        ([row(1, user="bob")], "never sent"),
        ([row(1, device="phone")], "another device or value"),
        ([row(1, bpm=99)], "another device or value"),
    ],
)
def test_a_wrong_row_is_seen(history: History, rows: list[Record], words: str) -> None:
    found = list(LogCheck(history).read(rows, "a"))
    assert len(found) == 1
    assert words in found[0]


def test_another_log_is_seen(history: History) -> None:
    check = LogCheck(history)
    assert list(check.read([row(1)], "a")) == []
    assert "epoch" in next(check.read([], "b"))


def test_a_receipt_of_somebody_else_is_seen(history: History) -> None:
    history.receipt("alice", "phone", Receipt(epoch="a", seq=1, stored=["e1"]))
    history.receipt("bob", "watch", Receipt(epoch="a", seq=1, stored=["e1"]))
    assert len(history.violations) == 2
