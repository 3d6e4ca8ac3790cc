"""The gateway's own connection to the broker: what a request brings is published, and answered when it is durable.

A message that is on its way when the connection ends may be stored or not: its sender is told to ask again, and an
event that is stored already is a duplicate then.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.mqtt.links.port import Answer, ConnectionLostError, TooLargeError
from healthsync_mqtt.telemetry.spans import CURRENT


class NotTakenError(UnavailableError):
    """The message was not taken, or nobody knows whether it was: it may be sent again after ``retry_after_s``."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message, hint="send the same again after Retry-After; what is stored already is a duplicate")
        self.retry_after_s = retry_after_s


class SenderGoneError(UnavailableError):
    """Nothing was sent: its sender's right to send ended while the broker was waited for."""


class AnsweringLink(Protocol):
    """A connection that is made anew whenever it ends, on which each message is answered when it is durable."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""

    @property
    def connections(self) -> int:
        """How often it was connected."""

    async def run(self) -> None:
        """Connect, and again whenever the connection ends, for ever."""

    async def arrived(self) -> None:
        """Return when there is a connection. It may be gone again by then."""

    async def publish(self, topic: str, payload: bytes, *, traceparent: str = "") -> Answer:
        """What the service says of the message once it is durable. ConnectionLostError, TooLargeError."""


class Publisher:
    """Publishes over one link, a bounded number at a time. ``run`` is a task of the process."""

    def __init__(self, link: AnsweringLink, *, most: int, answer_s: float, connect_s: float = 5.0) -> None:
        """``most`` messages are on their way at once; an answer is waited for ``answer_s``."""
        self._most = most
        self._answer_s = answer_s
        self._connect_s = connect_s
        self._link = link
        #: messages that wait for their answer
        self.waiting = 0

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._link.connected

    @property
    def connections(self) -> int:
        """How often it was connected."""
        return self._link.connections

    async def run(self) -> None:
        """Connect, and again whenever the connection ends, for ever."""
        await self._link.run()

    async def publish(self, topic: str, payload: bytes, sender: Callable[[], bool] = lambda: True) -> Answer:
        """What the service says of the message once it is durable. NotTakenError, TooLargeError.

        ``sender`` says whether who sent it may send, as it is about to go: a broker may be waited for before that.
        SenderGoneError when not.
        """
        if self.waiting >= self._most:
            raise NotTakenError("too many messages wait for their commit")
        self.waiting += 1
        try:
            async with asyncio.timeout(self._answer_s):
                return await self._publish(topic, payload, sender)
        except TimeoutError:
            raise NotTakenError("the service did not say in time that it is stored", retry_after_s=5.0) from None
        except TooLargeError:
            raise
        except ConnectionLostError as error:
            raise NotTakenError(f"the connection to the broker ended: {error}") from None
        finally:
            self.waiting -= 1

    async def _publish(self, topic: str, payload: bytes, sender: Callable[[], bool]) -> Answer:
        if not self._link.connected:
            try:
                async with asyncio.timeout(self._connect_s):
                    await self._link.arrived()
            except TimeoutError:
                raise NotTakenError("the broker cannot be reached", retry_after_s=5.0) from None
        if not sender():
            raise SenderGoneError("who sent it may not send any more")
        context = CURRENT.get()
        return await self._link.publish(topic, payload, traceparent="" if context is None else context.traceparent)
