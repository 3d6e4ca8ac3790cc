"""A rest is time in which the loop computes nothing, and one for all who wait; on a loop that is turned by hand."""

from collections.abc import Callable

from healthsync_mqtt.broker.embedded.rests import MOST_PUT_OFF, REST_S, Rests


class Loop:
    """A timer at a time; between two of them it computes for ``busy`` of the time."""

    def __init__(self, busy: float = 0.0) -> None:
        self.busy = busy
        self.idle = 0.0
        self.timers: list[Callable[[], None]] = []
        self.soon: list[Callable[[], None]] = []
        self.rests = Rests(self._after, self.soon.append, lambda: self.idle)

    def _after(self, delay: float, work: Callable[[], None]) -> None:
        assert delay == REST_S
        self.timers.append(work)

    def run(self) -> None:
        """One timer comes to its end."""
        (timer,) = self.timers
        self.timers.clear()
        self.idle += REST_S * (1.0 - self.busy)
        timer()
        soon, self.soon[:] = list(self.soon), []
        for work in soon:
            work()


def test_all_who_wait_go_on_after_one_rest() -> None:
    loop, went = Loop(), list[str]()
    loop.rests.after_next(lambda: went.append("pass"))
    loop.rests.after_next(lambda: went.append("accept"))
    loop.run()
    assert went == ["pass", "accept"]
    assert loop.timers == []


def test_time_in_which_the_loop_computes_is_no_rest() -> None:
    loop, went = Loop(busy=1.0), list[str]()
    loop.rests.after_next(lambda: went.append("pass"))
    for _ in range(5):
        loop.run()
    assert went == []
    loop.busy = 0.0
    loop.run()
    assert went == ["pass"]


def test_short_moments_add_up_to_a_rest() -> None:
    loop, went = Loop(busy=0.8), list[str]()
    loop.rests.after_next(lambda: went.append("pass"))
    loop.run()
    loop.run()
    assert went == []
    loop.run()
    assert went == ["pass"]


def test_who_comes_while_others_wait_does_not_make_them_wait_longer() -> None:
    loop, went = Loop(busy=0.6), list[str]()
    loop.rests.after_next(lambda: went.append("pass"))
    loop.run()
    loop.rests.after_next(lambda: went.append("accept"))
    loop.run()
    assert went == ["pass", "accept"]


def test_what_never_ends_holds_nobody_up_for_good() -> None:
    loop, went = Loop(busy=1.0), list[str]()
    loop.rests.after_next(lambda: went.append("pass"))
    for _ in range(MOST_PUT_OFF):
        loop.run()
    assert went == []
    loop.run()
    assert went == ["pass"]


def test_who_waits_again_gets_the_next_rest() -> None:
    loop, went = Loop(), list[int]()

    def again() -> None:
        went.append(len(went))
        if len(went) < 3:
            loop.rests.after_next(again)

    loop.rests.after_next(again)
    for count in (1, 2, 3):
        loop.run()
        assert len(went) == count
    assert loop.timers == []
