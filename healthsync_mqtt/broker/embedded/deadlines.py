"""The times that end a connection: no CONNECT, silence, the end of the token."""

import asyncio
from collections.abc import Callable
from enum import Enum

from healthsync_mqtt.broker.embedded.backpressure import Reading

_GRACE = 1.5  # [MQTT-3.1.2-24]


class Deadline(Enum):
    """Which time is over; the value is the reason in the log."""

    CONNECT = "connect_timeout"
    KEEP_ALIVE = "keep_alive"
    TOKEN = "token_expired"  # noqa: S105  # a reason, not a secret


def _nobody(_deadline: Deadline) -> None:
    """Who is called when the connection is over."""


class Deadlines:
    """Calls ``over`` once a time is over. Silence counts only while the client is read, or could be."""

    def __init__(self, reading: Reading, connect_s: float, over: Callable[[Deadline], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._reading = reading
        self._over = over
        self._keep_alive_s = 0.0
        self._heard_at = self._loop.time()
        self._silence: asyncio.TimerHandle | None = self._loop.call_later(connect_s, over, Deadline.CONNECT)
        self._token: asyncio.TimerHandle | None = None

    def heard(self) -> None:
        """The client gave a sign of life."""
        self._heard_at = self._loop.time()

    def opened(self, *, keep_alive_s: float, token_s: float) -> None:
        """CONNECT was accepted, with this keep-alive and a token that lives so long."""
        self.cancel()
        self._keep_alive_s = keep_alive_s * _GRACE
        self._silence = self._loop.call_later(self._keep_alive_s, self._check)
        self._token = self._loop.call_later(token_s, self._over, Deadline.TOKEN)

    def renewed(self, token_s: float) -> None:
        """The client has a new token, that lives so long."""
        if self._token is not None:
            self._token.cancel()
        self._token = self._loop.call_later(token_s, self._over, Deadline.TOKEN)

    def cancel(self) -> None:
        """No time ends the connection any more."""
        for timer in (self._silence, self._token):
            if timer is not None:
                timer.cancel()
        self._silence = self._token = None

    def close(self) -> None:
        """The connection is over: nobody is called any more."""
        self.cancel()
        self._over = _nobody

    def _check(self) -> None:
        now = self._loop.time()
        if self._reading.ours:
            self._heard_at = now
        left = self._heard_at + self._keep_alive_s - now
        if left <= 0:
            self._over(Deadline.KEEP_ALIVE)
        else:
            self._silence = self._loop.call_later(left, self._check)
