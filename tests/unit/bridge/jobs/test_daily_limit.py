"""The daily limit is soft: counted, reported once, forgotten at midnight."""

import pytest

from bridge.jobs import daily_limit as module
from bridge.jobs.daily_limit import DailyLimit

DAY = 86_400_000_000


class Log:
    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def warning(self, event: str, **keys: str) -> None:
        self.events.append((event, keys["user"]))


def test_over_the_limit_is_reported_once_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    monkeypatch.setattr(module, "log", log)
    daily = DailyLimit(100)
    daily.add("alice", "watch", 100, 5 * DAY)
    assert (daily.over(), log.events) == ([], [])
    daily.add("alice", "watch", 1, 5 * DAY + 1)
    daily.add("alice", "watch", 50, 6 * DAY - 1)
    daily.add("bob", "watch", 200, 6 * DAY - 1)
    daily.add("bob", "ring", 100, 6 * DAY - 1)
    assert log.events == [("bridge.daily_limit", "alice"), ("bridge.daily_limit", "bob")]
    assert daily.over() == [
        {"user_id": "bob", "device_id": "watch", "events": 200},
        {"user_id": "alice", "device_id": "watch", "events": 151},
    ]
    daily.add("alice", "watch", 100, 6 * DAY)
    assert daily.over() == []


def test_without_a_limit_nothing_is_counted() -> None:
    daily = DailyLimit(0)
    daily.add("alice", "watch", 10**9, DAY)
    assert daily.over() == []
    assert daily._events == {}
