"""When a connection's time is over; on a loop whose clock the test moves."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from healthsync_mqtt.broker.embedded.deadlines import Deadline, Deadlines


class FakeLoop:
    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[..., None], tuple[Any, ...], FakeTimer]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[..., None], *args: Any) -> "FakeTimer":
        timer = FakeTimer()
        self.timers.append((self.now + delay, callback, args, timer))
        return timer

    def run_until(self, now: float) -> None:
        while due := sorted((t for t in self.timers if t[0] <= now), key=lambda t: t[0]):
            self.timers.remove(due[0])
            self.now = due[0][0]
            if not due[0][3].cancelled:
                due[0][1](*due[0][2])
        self.now = now


class FakeTimer:
    cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeReading:
    ours = False


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> FakeLoop:
    made = FakeLoop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: made)
    return made


def deadlines(over: list[Deadline]) -> tuple[Deadlines, FakeReading]:
    reading = FakeReading()
    return Deadlines(reading, 10, over.append), reading  # type: ignore[arg-type]


def test_no_connect(loop: FakeLoop) -> None:
    over: list[Deadline] = []
    deadlines(over)
    loop.run_until(9.9)
    assert over == []
    loop.run_until(10)
    assert over == [Deadline.CONNECT]


def test_silence_for_one_and_a_half_keep_alives(loop: FakeLoop) -> None:
    over: list[Deadline] = []
    times, _ = deadlines(over)
    times.opened(keep_alive_s=10, token_s=1000)
    loop.run_until(14)
    times.heard()
    loop.run_until(28.9)
    assert over == []
    loop.run_until(29)
    assert over == [Deadline.KEEP_ALIVE]


def test_silence_that_is_our_doing_does_not_count(loop: FakeLoop) -> None:
    over: list[Deadline] = []
    times, reading = deadlines(over)
    times.opened(keep_alive_s=10, token_s=1000)
    reading.ours = True
    loop.run_until(100)
    assert over == []
    reading.ours = False
    loop.run_until(200)
    assert over == [Deadline.KEEP_ALIVE]


def test_the_token_ends_and_cancel_ends_everything(loop: FakeLoop) -> None:
    over: list[Deadline] = []
    times, _ = deadlines(over)
    times.opened(keep_alive_s=1000, token_s=50)
    loop.run_until(50)
    assert over == [Deadline.TOKEN]
    times.cancel()
    loop.run_until(5000)
    assert over == [Deadline.TOKEN]
