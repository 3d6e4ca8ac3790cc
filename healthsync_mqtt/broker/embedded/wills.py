"""Wills that wait: a client of MQTT 5 may come back before its will is published (will delay). Bounded in number.

They wait over a restart and a kill of the service too. What is kept of a will goes when its message is kept where it
belongs, or when its client is back.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from healthsync_mqtt.broker.embedded.sessions.port import Keep, KeptWill

MOST: Final = 10_000
"""Wills that wait at once; one more publishes the oldest."""

Publish = Callable[[KeptWill, Callable[[], None]], None]
"""Called with each will whose time has come, and what to call when it was handed out, or never will be."""


class _WaitingWill(NamedTuple):
    timer: asyncio.TimerHandle
    no: int
    will: KeptWill


class DelayedWills:
    """At most one a client."""

    def __init__(self, keep: Keep, publish: Publish) -> None:
        self._keep = keep
        self._publish = publish
        self._waiting: dict[str, _WaitingWill] = {}
        self._last_no = 0

    def resume(self, wills: Mapping[int, KeptWill]) -> None:
        """Go on with what an earlier run left; each waits for the rest of its time."""
        for no, will in wills.items():
            self._last_no = max(self._last_no, no)
            self._wait(no, will)

    def hold(self, will: KeptWill) -> None:
        """Publish it when its time comes, if nothing else is said before; at once without a delay."""
        self.release(will.principal.client_id)
        if will.due <= self._keep.running():
            self._publish(will, _nothing)
            return
        self._last_no += 1
        self._keep.will(self._last_no, will)
        self._wait(self._last_no, will)

    def cancel(self, client_id: str) -> None:
        """The client is back, or may not have one any more."""
        waiting = self._waiting.pop(client_id, None)
        if waiting is not None:
            waiting.timer.cancel()
            self._keep.will(waiting.no, None)

    def release(self, client_id: str) -> None:
        """The session is over, or the time: publish it now."""
        waiting = self._waiting.pop(client_id, None)
        if waiting is not None:
            waiting.timer.cancel()
            self._publish(waiting.will, lambda: self._keep.will(waiting.no, None))

    def stop(self) -> None:
        """The service stops: those that wait go on waiting in its next run."""
        for waiting in self._waiting.values():
            waiting.timer.cancel()
        self._waiting.clear()

    def _wait(self, no: int, will: KeptWill) -> None:
        client_id = will.principal.client_id
        left_s = max(0.0, will.due - self._keep.running())
        timer = asyncio.get_running_loop().call_later(left_s, self.release, client_id)
        self._waiting[client_id] = _WaitingWill(timer, no, will)
        if len(self._waiting) > MOST:
            self.release(next(iter(self._waiting)))


def _nothing() -> None:
    """Nothing of it was kept."""
