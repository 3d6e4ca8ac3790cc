"""Work in slices takes half of the time, and others have the other half."""

from healthsync_mqtt.telemetry.slices import Slices


class Clock:
    """A clock that work moves on, and pauses do not."""

    def __init__(self) -> None:
        self.now = 100.0
        self.rested = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        self.now += seconds

    def sleep(self, seconds: float) -> None:
        self.rested += seconds


def test_it_rests_as_long_as_it_worked() -> None:
    clock = Clock()
    slices = Slices(clock, clock.sleep)
    for _ in range(1_000):
        clock.work(0.0007)
        slices.pause()
    assert 0.69 < clock.rested < 0.71


def test_what_is_short_is_put_together_first() -> None:
    clock = Clock()
    slices = Slices(clock, clock.sleep)
    rests = []
    for _ in range(100):
        clock.work(0.0001)
        before = clock.rested
        slices.pause()
        if clock.rested > before:
            rests.append(clock.rested - before)
    assert len(rests) < 30
    assert min(rests) > 0.0004


def test_after_a_long_slice_it_rests_for_a_moment_only() -> None:
    clock = Clock()
    slices = Slices(clock, clock.sleep)
    clock.work(5)
    slices.pause()
    assert clock.rested < 0.01
