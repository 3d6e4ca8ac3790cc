"""Pages of a log in memory: complete, in order, without what is not for the caller, each of a bounded look."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.gateway.event_log import pages
from healthsync_mqtt.gateway.event_log.pages import EventQuery, Order, changes, newest_place, page, size_of, story
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.testing.log_items import item


def everything(_: Record) -> bool:
    return True


def log_of(*names: str, user: str = "alice") -> MemoryEventLog:
    log = MemoryEventLog()
    log.stage([item(name, user=user) for name in names], [], 1)
    log.commit()
    return log


def all_pages(
    log: MemoryEventLog, limit: int, shown: Callable[[Record], bool] = everything, order: Order = Order.ASC
) -> list[str]:
    found, after = [], 0
    while True:
        events, following = page(log.reader(), EventQuery(user="alice", order=order), after, limit, shown)
        assert len(events) <= limit
        found += [each.id for each in events]
        if following is None:
            return found
        assert following > after if order is Order.ASC else not after or following < after
        after = following


@given(st.integers(0, 40), st.integers(1, 12))
def test_pages_of_any_size_are_all_events_once_in_order(count: int, limit: int) -> None:
    names = [f"e{number}" for number in range(count)]
    assert all_pages(log_of(*names), limit) == names
    assert all_pages(log_of(*names), limit, order=Order.DESC) == names[::-1]


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 5))
def test_what_is_not_shown_is_in_no_page(shown: list[bool], limit: int) -> None:
    names = [f"e{number}" for number in range(len(shown))]
    visible = {name for name, is_shown in zip(names, shown, strict=True) if is_shown}
    found = all_pages(log_of(*names), limit, lambda record: record.id in visible)
    assert found == [name for name in names if name in visible]


def test_a_look_is_bounded_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_LOOK", 10)
    monkeypatch.setattr(pages, "_AT_ONCE", 5)
    names = [f"e{number}" for number in range(25)]
    events, after = page(log_of(*names).reader(), EventQuery(user="alice"), 0, 3, lambda record: record.id == "e20")
    assert events == []
    assert after is not None
    assert all_pages(log_of(*names), 3, lambda record: record.id == "e20") == ["e20"]


def test_changes_are_of_one_user_or_of_all() -> None:
    log = log_of("a1", "a2")
    log.stage([item("b1", user="bob")], [], 2)
    log.commit()
    everybody = changes(log.reader(), 0, 10, everything)
    assert [each.id for each in everybody.events] == ["a1", "a2", "b1"]
    assert [each.id for each in changes(log.reader(), 0, 10, everything, "bob").events] == ["b1"]
    assert changes(log.reader(), everybody.through, 10, everything).events == []


def test_the_story_of_an_event_that_is_not_there() -> None:
    assert story(log_of("a1").reader(), "alice", "a2") is None
    found = story(log_of("a1").reader(), "alice", "a1")
    assert found is not None
    assert found.history == []


class Counted:
    """A reader that notes how many bytes of bodies it handed out at once."""

    def __init__(self, log: MemoryEventLog) -> None:
        self._reader = log.reader()
        self.most = 0

    def __getattr__(self, name: str) -> Any:
        def asked(*arguments: Any, **named: Any) -> Any:
            answer = getattr(self._reader, name)(*arguments, **named)
            rows = answer.rows if name == "stretch" else answer
            if isinstance(rows, list):
                self.most = max(self.most, sum(map(size_of, rows)))
            return answer

        return asked


LONG = 300_000


def long_log(count: int) -> MemoryEventLog:
    """Events of 300 KB each."""
    log = MemoryEventLog()
    for number in range(count):
        one = item(f"e{number}")
        log.stage([one._replace(event=one.event._replace(body=b'{"value":"%b"}' % (b"x" * LONG)))], [], 1)
    log.commit()
    return log


@pytest.mark.parametrize("order", list(Order))
def test_a_page_is_bounded_by_bytes_and_so_is_what_is_read_for_it(order: Order) -> None:
    log = long_log(100)
    reader: Any = Counted(log)
    found, after = page(reader, EventQuery(user="alice", order=order), 0, 1_000, everything)
    assert len(found) == pages.MOST_BYTES // (LONG + 256)
    assert after is not None
    assert reader.most <= 32 * (LONG + 1_000)
    assert len(all_pages(log, 1_000, order=order)) == 100
    [alone], _ = page(reader, EventQuery(user="alice", order=order), 0, 1_000, everything, most_bytes=10)
    assert alone.id == ("e0" if order is Order.ASC else "e99")


def test_changes_are_bounded_by_bytes_and_none_is_left_out() -> None:
    log = long_log(50)
    reader: Any = Counted(log)
    names: list[str] = []
    at, more = 0, True
    while more:
        found = changes(reader, at, 1_000, everything, most_bytes=pages.AT_ONCE_BYTES)
        assert len(found.events) <= 1
        names += [each.id for each in found.events]
        at, more = found.through, found.more
    assert names == [f"e{number}" for number in range(50)]
    assert reader.most <= 32 * (LONG + 1_000)


def test_the_story_of_an_event_of_very_many_versions_is_the_newest_of_them() -> None:
    log = MemoryEventLog()
    log.stage([item("a", version=version) for version in range(150)], [], 1)
    log.commit()
    found = story(log.reader(), "alice", "a")
    assert found is not None
    assert [each.version for each in found.history] == list(range(148, 48, -1))


def test_the_place_before_the_newest_rows_of_a_user() -> None:
    log = MemoryEventLog()
    log.stage([item(f"{user}{number}", user=user) for number in range(10) for user in ("alice", "bob")], [], 1)
    log.commit()
    begin = newest_place(log.reader(), "alice", 3)
    assert [row.id for row in log.reader().read(begin, 99, user="alice")] == ["alice7", "alice8", "alice9"]
    assert newest_place(log.reader(), "alice", 10) == 0
    assert newest_place(log.reader(), "nobody", 10) == 0
