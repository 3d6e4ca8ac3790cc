"""Two processes on one ledger: a command beside the service knows what that has decided, and the other way round."""

from collections.abc import Callable
from pathlib import Path

import pytest

from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.series import SeriesSource

WATCH = SeriesSource("heart_rate", "alice", "watch", None, None)
PHONE = SeriesSource("heart_rate", "alice", "phone", None, None)


def test_a_point_that_another_process_moved_is_found(tmp_path: Path) -> None:
    one, other = (SinkLedger.open(tmp_path / "main.db") for _ in range(2))
    other.displace("alice", "e1", 3)
    one.refresh()
    assert one.shift("alice", "e1") == 3
    one.displace("alice", "e2", 1)
    one.refresh()
    assert (one.shift("alice", "e1"), one.shift("alice", "e2")) == (3, 1)
    one.close()
    other.close()


def test_a_point_that_two_processes_moved_is_where_the_last_one_put_it(tmp_path: Path) -> None:
    one, other = (SinkLedger.open(tmp_path / "main.db") for _ in range(2))
    other.displace("alice", "e1", 3)
    one.displace("alice", "e1", 4)  # it has not heard of that
    one.close()
    other.refresh()
    assert other.shift("alice", "e1") == 4
    other.close()


def test_a_series_that_two_decide_at_once_has_one_decision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The budget was changed, and the one of the two that knows it is faster."""
    before, after = (SinkLedger.open(tmp_path / "main.db", budget=budget) for budget in (1, 400))
    assert before.admit(WATCH)
    counted: Callable[[str | None], int] = before.series_count

    def slowly(user: str | None = None) -> int:
        found = counted(user)
        assert after.admit(PHONE)
        return found

    monkeypatch.setattr(before, "series_count", slowly)
    assert before.admit(PHONE)
    assert before.over_budget == set()
    before.close()
    after.close()
