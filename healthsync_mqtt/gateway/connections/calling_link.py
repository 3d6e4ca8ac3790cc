"""The gateway's connection to an external broker: what it publishes is a call, and the bridge answers after the commit.

An answer that comes when nobody waits for it any more, as after a restart, is of no use: whoever asked was told to send
the same again. So the session is clean, and what was on its way when a connection ends has no answer.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from healthsync_mqtt.errors import DeniedError, HealthSyncError, InputError
from healthsync_mqtt.mqtt.codec import encode_puback
from healthsync_mqtt.mqtt.codec.packets import Property, Puback, Publish
from healthsync_mqtt.mqtt.codec.v5 import ReasonCode
from healthsync_mqtt.mqtt.gateway_calls import GatewayCall, encode_call, read_answer
from healthsync_mqtt.mqtt.links.link import Link
from healthsync_mqtt.mqtt.links.port import (
    HEADER,
    Answer,
    ConnectionLostError,
    ProtocolRefusedError,
    Target,
    TooLargeError,
)
from healthsync_mqtt.mqtt.links.work import open_link
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("gateway")

_AGAIN_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
_REFUSED: Final = 0x80
_RIGHTS: Final = (
    "give the gateway its rights there: healthsync broker provision mosquitto, or start auth serve of this release"
)


class CallingLink:
    """One connection, made anew whenever it ends. ``run`` is a task of the process."""

    def __init__(
        self,
        target: Callable[[int], Target],
        *,
        versions: Sequence[int],
        requests: str,
        answers: str,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``target`` is asked at each connection, for the first of the ``versions`` of MQTT that the broker speaks.

        Calls go to the topic ``requests``, and are answered on ``answers``.
        """
        self._target = target
        self._versions = tuple(versions)
        self._requests = requests
        self._answers = answers
        self._sleep = sleep
        self._link: Link | None = None
        self._arrived = asyncio.Event()
        #: by the mark of its call: what waits for an answer
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
        #: how often it was connected
        self.connections = 0

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._link is not None

    async def run(self) -> None:
        """Connect, and again whenever the connection ends, for ever."""
        failures = 0
        while True:
            before = self.connections
            try:
                await self._connected(self._versions[0])
            except ProtocolRefusedError as error:
                if len(self._versions) > 1:
                    self._versions = self._versions[1:]
                    continue
                self._away(error, failures)
            except HealthSyncError as error:
                self._away(error, 0 if self.connections > before else failures)
            failures = 0 if self.connections > before else failures + 1
            await self._sleep(_AGAIN_S[min(failures, len(_AGAIN_S) - 1)])

    async def arrived(self) -> None:
        """Return when there is a connection. It may be gone again by then."""
        await self._arrived.wait()

    async def publish(self, topic: str, payload: bytes, *, traceparent: str = "") -> Answer:
        """What the bridge says of a message on ``topic`` once it is durable; waits for it however long it takes.

        ConnectionLostError: nothing was sent, or nobody knows. TooLargeError when no packet holds it.
        """
        link = self._link
        if link is None:
            raise ConnectionLostError("the broker cannot be reached")
        mark = secrets.token_hex(16)
        data = encode_call(GatewayCall(mark, topic, payload, traceparent))
        if link.alive and len(data) > link.room(self._requests):
            raise TooLargeError(len(data) + HEADER + len(self._requests), link.agreed.max_packet)
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[mark] = answered
        try:
            if not link.send(self._requests, data, done=partial(_taken, answered)):
                raise ConnectionLostError("the connection ended while publishing")
            return await answered
        finally:
            del self._waiting[mark]

    async def _connected(self, version: int) -> None:
        """One connection until it ends. HealthSyncError."""
        target = self._target(version)
        links: list[Link] = []
        async with open_link(target, lambda messages: self._heard(links, messages)) as link:
            links.append(link)
            [code] = await link.subscribe((self._answers,))
            if code >= _REFUSED:
                raise DeniedError(f"the broker refuses the gateway {self._answers}", hint=_RIGHTS)
            link.gather()
            self._link = link
            self.connections += 1
            self._arrived.set()
            where = f"{target.address.host}:{target.address.port}"
            log.info("gateway.broker_connected", address=where, mqtt=link.agreed.version)
            try:
                await link.ended()
            finally:
                self._link = None
                self._arrived.clear()
                for answered in self._waiting.values():
                    if not answered.done():
                        answered.set_exception(ConnectionLostError("it ended before the bridge had answered"))

    def _heard(self, links: Sequence[Link], messages: list[Publish]) -> None:
        for message in messages:
            if message.qos:
                for link in links:  # there is one, but of a broker that speaks before it was asked
                    link.acknowledge(encode_puback(message.packet_id))
            try:
                call, answer = read_answer(message.payload)
            except InputError as error:
                log.warning("gateway.answer_unreadable", fix=error.hint)
                continue
            answered = self._waiting.get(call)
            if answered is not None and not answered.done():
                answered.set_result(answer)

    @staticmethod
    def _away(error: HealthSyncError, failures: int) -> None:
        if failures == 0:
            log.warning("gateway.broker_away", error=error)


def _taken(answered: "asyncio.Future[Answer]", puback: Puback) -> None:
    """The broker has the call, which says nothing yet; but that it refuses it, or has nobody to give it to, does."""
    if answered.done():
        return
    if puback.reason >= _REFUSED:
        about = puback.properties
        answered.set_result(Answer(puback.reason, why=about.get(Property.REASON_STRING, "")))
    elif puback.reason == ReasonCode.NO_MATCHING_SUBSCRIBERS:
        answered.set_exception(ConnectionLostError("no bridge listens on the broker"))
