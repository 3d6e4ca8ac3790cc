"""Take-overs are counted by client id and forgotten after a minute."""

from healthsync_mqtt.broker.embedded.sessions.takeovers import Takeovers


def test_the_limit_is_exact_and_each_clients_own() -> None:
    takeovers = Takeovers(3)
    assert [takeovers.allow("alice-watch", now) for now in (0.0, 1.0, 2.0, 3.0, 4.0)] == [True] * 3 + [False] * 2
    assert takeovers.allow("bob-watch", 4.0)


def test_a_minute_later_there_is_room_again() -> None:
    takeovers = Takeovers(2)
    assert [takeovers.allow("a", now) for now in (0.0, 30.0, 59.9, 60.0, 61.0, 90.0)] == [
        True, True, False, True, False, True,
    ]  # fmt: skip


def test_what_it_remembers_is_bounded() -> None:
    takeovers = Takeovers(1)
    for number in range(25_000):
        assert takeovers.allow(f"client-{number}", 0.0)
    assert len(takeovers._times) == 10_000
