"""Long messages rest in proportion to what their commits take, while others send."""

from bridge.pace import Pace


def test_while_others_send_a_commit_is_followed_by_a_hundred_times_as_long() -> None:
    pace = Pace()
    pace.others(10.0)
    assert pace.wait_s(10.0) == 0
    pace.committed(0.1, 10.0)
    assert pace.wait_s(10.5) == 9.5
    pace.others(19.0)
    assert pace.wait_s(20.0) == 0


def test_where_nobody_else_sends_nobody_waits() -> None:
    pace = Pace()
    pace.committed(0.5, 10.0)
    assert pace.wait_s(10.0) == 0
    pace.others(11.0)
    assert pace.wait_s(11.0) == 29.0
    assert pace.wait_s(14.0) == 0


def test_a_slow_disk_makes_nobody_wait_for_minutes() -> None:
    pace = Pace()
    pace.others(10.0)
    pace.committed(60.0, 10.0)
    assert pace.wait_s(10.0) == 30.0
