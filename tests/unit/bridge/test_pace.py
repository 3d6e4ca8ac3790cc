"""Parts of long messages rest in proportion to what their commits take, while others send."""

import pytest

from bridge.pace import Pace


def test_while_others_send_a_part_is_followed_by_three_times_as_long() -> None:
    pace = Pace()
    pace.others(10.0)
    assert pace.wait_s(10.0) == 0
    pace.stored(0.01, 10.0)
    assert pace.wait_s(10.01) == pytest.approx(0.02)
    pace.others(10.02)
    assert pace.wait_s(10.03) == 0


def test_where_nobody_else_sends_nothing_waits() -> None:
    pace = Pace()
    pace.stored(0.05, 10.0)
    assert pace.wait_s(10.0) == 0
    pace.others(10.01)
    assert pace.wait_s(10.01) == pytest.approx(0.14)
    assert pace.wait_s(14.0) == 0
    assert [pace.others_send(now) for now in (10.01, 12.0, 12.02)] == [True, True, False]


def test_a_slow_disk_makes_no_message_wait_for_ever() -> None:
    pace = Pace()
    pace.others(10.0)
    pace.stored(60.0, 10.0)
    assert pace.wait_s(10.0) == 0.25
