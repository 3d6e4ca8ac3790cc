"""Whether a client's socket is read. Back-pressure at the door is nothing else than not reading."""

import asyncio
import time
from enum import Flag, auto
from typing import TYPE_CHECKING, Final, Protocol

from healthsync_mqtt.broker.embedded.wire import Wire

if TYPE_CHECKING:
    from healthsync_mqtt.broker.embedded.limits.rates import Gate

_LEAST_S = 0.002
"""A shorter pause is left to add up: a timer costs more than it would slow the sender."""


class Hold(Flag):
    """Why the socket is not read."""

    NONE = 0
    #: what was read waits for its turn
    TURN = auto()
    #: too many of this client's messages wait for the commit
    WINDOW = auto()
    #: the journal is behind
    JOURNAL = auto()
    #: the client does not read what it is sent; its acknowledgements of what it did read are behind this, too
    OUTBOX = auto()
    #: too many of this client's requests for filters wait until they outlast a crash
    FILTERS = auto()
    #: amqtt is behind
    ROUTER = auto()
    #: more messages than the device or its user may send
    RATE = auto()
    #: there is no room for a long message yet
    ROOM = auto()
    #: the login waits for a reading of the registry
    LOGIN = auto()
    #: a refusal is being held back
    REFUSAL = auto()
    #: the service stops
    SHUTDOWN = auto()


class GoOn(Protocol):
    """Called when a client may go on."""

    def __call__(self, *, much: bool) -> None: ...


_MUCH: Final = Hold.JOURNAL | Hold.WINDOW | Hold.RATE
"""Reasons that lie in how much the client sends."""


def _nobody(*, much: bool) -> None:
    """Who is called by what outlives its connection."""


class Reading:
    """Reads as long as no reason speaks against it. ``go_on`` is called when only the turn is left to wait for.

    It is told whether the last other reason was how much the client sends.
    """

    def __init__(self, wire: Wire, go_on: GoOn) -> None:
        self._wire = wire
        self._go_on = go_on
        self.held = Hold.NONE
        self._last = False
        #: what messages are counted against, once it is known who sends them
        self.gate: Gate | None = None

    @property
    def ours(self) -> bool:
        """Whether the client's silence may be our doing; one that does not read has only itself to blame.

        What it sent before waits for its turn behind that, too, and is no excuse.
        """
        excuses = ~(Hold.OUTBOX | Hold.TURN) if Hold.OUTBOX in self.held else ~Hold.NONE
        return bool(self.held & excuses)

    @property
    def blocked(self) -> bool:
        """Whether what was read has to wait, too."""
        # Without arithmetic, which flags do in Python: this is asked before each packet that comes alone.
        return self.held is not Hold.NONE and self.held is not Hold.TURN

    def stop(self, reason: Hold) -> None:
        """Do not read, for this reason."""
        if not self.held:
            self._wire.pause()
        self.held |= reason

    def release(self, reason: Hold) -> None:
        """The reason is gone; read again when it was the last one."""
        if reason in self.held:
            self.held &= ~reason
            if not self.held:
                self._wire.resume()
            elif self.held is Hold.TURN:
                self._go_on(much=reason in _MUCH)

    def over(self) -> None:
        """The connection is over: nobody is called any more."""
        self._go_on = _nobody

    def finish(self) -> None:
        """The socket is gone: what it brought is handled when the journal takes it, and counted all the same."""
        self._last = True
        for reason in (Hold.OUTBOX, Hold.RATE, Hold.SHUTDOWN):
            self.release(reason)

    def passed(self, count: float) -> None:
        """So many messages were read, or as much work. Over the limit none is read before the debt is paid off."""
        if self.gate is None:
            return
        wait = self.gate.take(count, time.monotonic())
        if wait > _LEAST_S and Hold.RATE not in self.held and not self._last:
            self.stop(Hold.RATE)
            asyncio.get_running_loop().call_later(wait, self.release, Hold.RATE)
