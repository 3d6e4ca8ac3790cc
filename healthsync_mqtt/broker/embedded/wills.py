"""Wills that wait: a client of MQTT 5 may come back before its will is published (will delay). Bounded in number."""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.mqtt.codec.packets import Will

MOST: Final = 10_000
"""Wills that wait at once; one more publishes the oldest."""


class _WaitingWill(NamedTuple):
    timer: asyncio.TimerHandle
    principal: Principal
    will: Will


class DelayedWills:
    """At most one a client. ``publish`` is called with each whose time has come."""

    def __init__(self, publish: Callable[[Principal, Will], None]) -> None:
        self._publish = publish
        self._waiting: dict[str, _WaitingWill] = {}

    def hold(self, principal: Principal, will: Will, delay_s: float) -> None:
        """Publish it in so many seconds, if nothing else is said before; at once without a delay."""
        client_id = principal.client_id
        self.release(client_id)
        if delay_s <= 0:
            self._publish(principal, will)
            return
        timer = asyncio.get_running_loop().call_later(delay_s, self.release, client_id)
        self._waiting[client_id] = _WaitingWill(timer, principal, will)
        if len(self._waiting) > MOST:
            self.release(next(iter(self._waiting)))

    def cancel(self, client_id: str) -> None:
        """The client is back, or may not have one any more."""
        waiting = self._waiting.pop(client_id, None)
        if waiting is not None:
            waiting.timer.cancel()

    def release(self, client_id: str) -> None:
        """The session is over, or the time: publish it now."""
        waiting = self._waiting.pop(client_id, None)
        if waiting is not None:
            waiting.timer.cancel()
            self._publish(waiting.principal, waiting.will)

    def release_all(self) -> None:
        """The service stops."""
        for client_id in list(self._waiting):
            self.release(client_id)
