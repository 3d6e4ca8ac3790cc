"""The gateway's connection to an external broker: what it publishes is a call, and the bridge answers after the commit.

An answer that comes when nobody waits for it any more, as after a restart, is of no use: whoever asked was told to send
the same again. So the session is clean, and what was on its way when a connection ends has no answer.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from healthsync_mqtt.errors import ConflictError, DeniedError, InputError
from healthsync_mqtt.mqtt.codec import encode_puback
from healthsync_mqtt.mqtt.codec.packets import Property, Puback, Publish
from healthsync_mqtt.mqtt.codec.v5 import ReasonCode
from healthsync_mqtt.mqtt.gateway_calls import GatewayCall, encode_call, read_answer
from healthsync_mqtt.mqtt.links.farewell import TakenOverError
from healthsync_mqtt.mqtt.links.lasting_link import LastingLink
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

_REFUSED: Final = 0x80
_RIGHTS: Final = (
    "give the gateway its rights there: healthsync broker provision mosquitto, or start auth serve of this release"
)

_NAMES: Final = (
    "give each gateway of the installation a gateway.id of its own: healthsync broker provision mosquitto --gateways 2"
)


class CallingLink(LastingLink):
    """One connection, on which calls are made."""

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
        super().__init__("gateway", sleep)
        self._target = target
        self._versions = tuple(versions)
        self._requests = requests
        self._answers = answers
        #: by the mark of its call: what waits for an answer
        self._waiting: dict[str, asyncio.Future[Answer]] = {}

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

    async def _connect(self) -> None:
        while True:
            try:
                return await self._speak(self._versions[0])
            except ProtocolRefusedError:
                if len(self._versions) == 1:
                    raise
                self._versions = self._versions[1:]

    async def _speak(self, version: int) -> None:
        """One connection in this version of MQTT. ProtocolRefusedError where the broker has another one."""
        target = self._target(version)
        links: list[Link] = []
        async with open_link(target, lambda messages: self._heard(links, messages)) as link:
            links.append(link)
            [code] = await link.subscribe((self._answers,))
            if code >= _REFUSED:
                raise DeniedError(f"the broker refuses the gateway {self._answers}", hint=_RIGHTS)
            link.gather()
            where = f"{target.address.host}:{target.address.port}"
            log.info("gateway.broker_connected", address=where, mqtt=link.agreed.version)
            try:
                with self._lasting(link):
                    await link.ended()
            except TakenOverError:
                name = target.account.client_id
                raise ConflictError(f"another gateway is connected as {name}", hint=_NAMES) from None
            finally:
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


def _taken(answered: "asyncio.Future[Answer]", puback: Puback) -> None:
    """The broker has the call, which says nothing yet; but that it refuses it, or has nobody to give it to, does."""
    if answered.done():
        return
    if puback.reason >= _REFUSED:
        about = puback.properties
        answered.set_result(Answer(puback.reason, why=about.get(Property.REASON_STRING, "")))
    elif puback.reason == ReasonCode.NO_MATCHING_SUBSCRIBERS:
        answered.set_exception(ConnectionLostError("no bridge listens on the broker"))
