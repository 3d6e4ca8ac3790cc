"""The device client's transport over the simulated network: real MQTT packets, no sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from healthsync_mqtt.client.transport import ConnectionLostError
from healthsync_mqtt.errors import DeniedError
from healthsync_mqtt.mqtt.codec import Decoder, encode
from healthsync_mqtt.mqtt.codec.packets import (
    Connack,
    Connect,
    Packet,
    Pingreq,
    Puback,
    Publish,
    Suback,
    Subscribe,
)
from healthsync_mqtt.testing.simulator.network import Network, SimulatedConnection, SimulatedWire, WireUser

_MOST_BYTES = 16 * 1024 * 1024
_ANSWER_S = 20.0
_KEEP_ALIVE_S = 30


class SimulatedListener(Protocol):
    """Whoever listens: takes a new connection's far end, or refuses it with None."""

    def accept(self, wire: SimulatedWire) -> WireUser | None: ...


class MqttLink:
    """One MQTT connection of a device or a subscriber (the client's ``SimulatedConnection``)."""

    def __init__(self, connection: SimulatedConnection, heard: Callable[[str, bytes], None] | None) -> None:
        self._heard = heard
        self._wire = connection.near
        self._decoder = Decoder(_MOST_BYTES, server=False)
        self._answers: dict[int, asyncio.Future[Packet]] = {}
        self._connack: asyncio.Future[Packet] = asyncio.get_running_loop().create_future()
        self._inbox: asyncio.Queue[tuple[str, bytes] | None] = asyncio.Queue()
        self._last_id = 0
        self.alive = True
        #: it speaks MQTT 3.1.1
        self.tells = self.renews = False

    # -- the network's side

    def received(self, data: bytes) -> None:
        """Bytes from the service."""
        for packet in self._decoder.feed(data):
            match packet:
                case Connack():
                    if not self._connack.done():
                        self._connack.set_result(packet)
                case Publish():
                    # Taken before it is acknowledged: what is acknowledged does not come again.
                    if self._heard is not None:
                        self._heard(packet.topic.decode(), packet.payload)
                    else:
                        self._inbox.put_nowait((packet.topic.decode(), packet.payload))
                    if packet.qos:
                        self._wire.write(encode(Puback(packet.packet_id)))
                case Puback() | Suback():
                    answer = self._answers.pop(packet.packet_id, None)
                    if answer is not None and not answer.done():
                        answer.set_result(packet)
                case _:
                    pass

    def lost(self) -> None:
        """The connection is gone."""
        self.alive = False
        self._inbox.put_nowait(None)
        for answer in (self._connack, *self._answers.values()):
            if not answer.done():
                answer.set_exception(ConnectionLostError("the connection ended"))
                answer.exception()

    # -- the client's side

    async def login(self, client_id: str, token: str, *, clean: bool) -> Connack:
        """CONNECT and its answer. DeniedError when refused."""
        connect = Connect(
            client_id=client_id,
            clean_session=clean,
            keep_alive=_KEEP_ALIVE_S,
            username=client_id,
            password=token.encode(),
        )
        self._wire.write(encode(connect))
        answer = await self._within(self._connack)
        assert isinstance(answer, Connack)
        if answer.code:
            raise DeniedError(f"the service refuses the login with code {int(answer.code)}")
        return answer

    async def renew(self, token: str) -> None:  # noqa: ARG002
        """Not in this version."""
        raise ConnectionLostError("MQTT 3.1.1 has no AUTH")

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send at QoS 1 and wait for the PUBACK."""
        packet_id = self._next_id()
        await self._ask(packet_id, encode(Publish(topic.encode(), payload, qos=1, retain=retain, packet_id=packet_id)))

    async def subscribe(self, topic: str) -> None:
        """Subscribe at QoS 1. DeniedError when refused."""
        packet_id = self._next_id()
        answer = await self._ask(packet_id, encode(Subscribe(packet_id, ((topic, 1),))))
        assert isinstance(answer, Suback)
        if answer.codes[0] >= 0x80:
            raise DeniedError(f"the service refuses {topic}")

    async def messages(self) -> AsyncIterator[tuple[str, bytes]]:
        """What arrives, until the connection is lost."""
        while (message := await self._inbox.get()) is not None:
            yield message

    async def keep_alive(self) -> None:
        """Ping for ever."""
        while self.alive:
            await asyncio.sleep(_KEEP_ALIVE_S / 2)
            self._wire.write(encode(Pingreq()))

    def close(self) -> None:
        """Leave without a word, as a device in a tunnel does."""
        self._wire.abort()

    async def _ask(self, packet_id: int, data: bytes) -> Packet:
        if not self.alive:
            raise ConnectionLostError("the connection ended")
        answer = self._answers[packet_id] = asyncio.get_running_loop().create_future()
        self._wire.write(data)
        return await self._within(answer)

    async def _within(self, answer: "asyncio.Future[Packet]") -> Packet:
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await answer
        except TimeoutError:
            self._wire.abort()
            raise ConnectionLostError("no answer in time") from None

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % 65_535 + 1
            if self._last_id not in self._answers:
                return self._last_id


class SimulatedTransport:
    """Makes connections for one client (the client's ``Transport``)."""

    def __init__(
        self,
        network: Network,
        door: SimulatedListener,
        client_id: str,
        *,
        clean: bool = False,
        heard: Callable[[str, bytes], None] | None = None,
    ) -> None:
        """``heard`` is called with each message as it comes; without it they wait in ``messages``."""
        self._heard = heard
        self._network = network
        self._door = door
        self._client_id = client_id
        self._clean = clean

    @asynccontextmanager
    async def connect(self, token: str) -> AsyncIterator[MqttLink]:
        """Connect and log in."""
        connection = self._network.connect()
        if connection is None:
            await asyncio.sleep(1.0)
            raise ConnectionLostError("no way to the service")
        link = MqttLink(connection, self._heard)
        far = self._door.accept(connection.far)
        if far is None:
            connection.cut()
            raise ConnectionLostError("the service does not listen")
        connection.join(link, far)
        pinging = asyncio.ensure_future(link.keep_alive())
        try:
            await link.login(self._client_id, token, clean=self._clean)
            yield link
        finally:
            pinging.cancel()
            connection.cut()
