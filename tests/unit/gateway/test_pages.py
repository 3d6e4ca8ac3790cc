"""Pages of a log in memory: complete, in order, without what is not for the caller, each of a bounded look."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.gateway import pages
from healthsync_mqtt.gateway.pages import EventQuery, changes, page, story
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


def all_pages(log: MemoryEventLog, limit: int, shown: Callable[[Record], bool] = everything) -> list[str]:
    found, after = [], 0
    while True:
        events, following = page(log.reader(), EventQuery(user="alice"), after, limit, shown)
        assert len(events) <= limit
        found += [each.id for each in events]
        if following is None:
            return found
        assert following > after
        after = following


@given(st.integers(0, 40), st.integers(1, 12))
def test_pages_of_any_size_are_all_events_once_in_order(count: int, limit: int) -> None:
    names = [f"e{number}" for number in range(count)]
    assert all_pages(log_of(*names), limit) == names


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
