"""The device client's transport over the simulated network: real MQTT packets, no sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple, Protocol

from healthsync_mqtt.client.transport import Answer, ConnectionLostError
from healthsync_mqtt.errors import DeniedError
from healthsync_mqtt.mqtt.codec import Decoder, v3, v5
from healthsync_mqtt.mqtt.codec.packets import Connack, Packet, Pingreq, Property, Puback, Publish, Suback, Subscribe
from healthsync_mqtt.mqtt.links.greeting import agreement, connect
from healthsync_mqtt.mqtt.links.manners import METHOD, OLD, Manner
from healthsync_mqtt.mqtt.links.port import Address, Agreed, ClientLogin, Target
from healthsync_mqtt.testing.simulator.network import Network, SimulatedConnection, SimulatedWire, WireUser

_MOST_BYTES = 16 * 1024 * 1024
_ANSWER_S = 20.0
_KEEP_ALIVE_S = 30
_SLOW = 1_000
"""Who takes fewer messages at once than this acknowledges slowly."""
_NOWHERE = Address(host="simulated", port=0)


class Speech(NamedTuple):
    """How a client speaks: its manner, and how many messages it takes unacknowledged, where its version says so.

    Who has said so is slow to acknowledge.
    """

    manner: Manner = OLD
    receive_maximum: int = 65_535


USUAL = Speech()


class SimulatedListener(Protocol):
    """Whoever listens: takes a new connection's far end, or refuses it with None."""

    def accept(self, wire: SimulatedWire) -> WireUser | None: ...


class MqttLink:
    """One MQTT connection of a device or a subscriber (the client's ``SimulatedConnection``)."""

    def __init__(
        self,
        connection: SimulatedConnection,
        target: Target,
        *,
        heard: Callable[[str, bytes], None] | None,
        broken: Callable[[str], None],
    ) -> None:
        self._heard = heard
        self._broken = broken
        self._target = target
        self._wire = connection.near
        self._chance = connection.chance
        five = target.version == 5
        self._encode = v5.encode if five else v3.encode
        versions = frozenset({5}) if five else frozenset({3, 4})
        self._decoder = Decoder(_MOST_BYTES, _MOST_BYTES, server=False, versions=versions)
        self._slow = five and target.receive_maximum < _SLOW
        self._unacknowledged = 0
        self._due = 0.0
        self._answers: dict[int, asyncio.Future[Packet]] = {}
        self._connack: asyncio.Future[Packet] = asyncio.get_running_loop().create_future()
        self._inbox: asyncio.Queue[tuple[str, bytes] | None] = asyncio.Queue()
        self._last_id = 0
        self._agreed: Agreed | None = None
        self.alive = True

    @property
    def tells(self) -> bool:
        """Whether PUBACKs say what became of events."""
        return self._agreed is not None and self._agreed.method == METHOD

    @property
    def renews(self) -> bool:
        """Never: a run is shorter than a token's life."""
        return False

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
                        self._acknowledge(packet.packet_id)
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

    async def login(self) -> Connack:
        """CONNECT and its answer. DeniedError when refused."""
        self._wire.write(connect(self._target))
        answer = await self._within(self._connack)
        assert isinstance(answer, Connack)
        if answer.code:
            raise DeniedError(f"the service refuses the login with code {int(answer.code)}")
        self._agreed = agreement(self._target, answer)
        return answer

    async def renew(self, token: str) -> None:  # noqa: ARG002
        """See ``renews``."""
        raise ConnectionLostError("no token is renewed here")

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> Answer | None:
        """Send at QoS 1 and wait for the PUBACK; what it said, in MQTT 5."""
        packet_id = self._next_id()
        message = Publish(topic.encode(), payload, qos=1, retain=retain, packet_id=packet_id)
        answer = await self._ask(packet_id, self._encode(message))
        assert isinstance(answer, Puback)
        if self._target.version < 5:
            return None
        about = answer.properties
        return Answer(answer.reason, about.get(Property.USER_PROPERTY, ()), about.get(Property.REASON_STRING, ""))

    async def subscribe(self, topic: str) -> None:
        """Subscribe at QoS 1. DeniedError when refused."""
        packet_id = self._next_id()
        answer = await self._ask(packet_id, self._encode(Subscribe(packet_id, ((topic, 1),))))
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
            self._wire.write(self._encode(Pingreq()))

    def close(self) -> None:
        """Leave without a word, as a device in a tunnel does."""
        self._wire.abort()

    def _acknowledge(self, packet_id: int) -> None:
        """At once, or slowly: more than it said that it takes must never be on its way."""
        if not self._slow:
            self._wire.write(self._encode(Puback(packet_id)))
            return
        self._unacknowledged += 1
        if self._unacknowledged > self._target.receive_maximum:
            name, most = self._target.account.client_id, self._target.receive_maximum
            self._broken(f"MQTT 5: {name} has more than {most} messages to acknowledge")
        loop = asyncio.get_running_loop()
        self._due = max(self._due + 1e-6, loop.time() + self._chance.expovariate(20.0))  # in the order of arrival
        loop.call_at(self._due, self._acknowledge_now, packet_id)

    def _acknowledge_now(self, packet_id: int) -> None:
        self._unacknowledged -= 1
        if self.alive:
            self._wire.write(self._encode(Puback(packet_id)))

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
        username: str = "",
        clean: bool = False,
        heard: Callable[[str, bytes], None] | None = None,
        speech: Speech = USUAL,
        broken: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``username`` is the client id where it is not another.

        ``heard`` is called with each message as it comes; without it they wait in ``messages``.

        ``broken`` is told what the service did that the protocol does not allow.
        """
        self._heard = heard
        self._speech = speech
        self._broken = broken
        self._network = network
        self._door = door
        self._client_id = client_id
        self._username = username or client_id
        self._clean = clean

    @asynccontextmanager
    async def connect(self, token: str) -> AsyncIterator[MqttLink]:
        """Connect and log in."""
        connection = self._network.connect()
        if connection is None:
            await asyncio.sleep(1.0)
            raise ConnectionLostError("no way to the service")
        manner, receive_maximum = self._speech
        target = Target(
            address=_NOWHERE,
            account=ClientLogin(client_id=self._client_id, username=self._username, password=token),
            version=manner.version,
            clean=self._clean,
            keep_alive=_KEEP_ALIVE_S,
            receive_maximum=receive_maximum,
            method=METHOD if manner.method else "",
        )
        link = MqttLink(connection, target, heard=self._heard, broken=self._broken)
        far = self._door.accept(connection.far)
        if far is None:
            connection.cut()
            raise ConnectionLostError("the service does not listen")
        connection.join(link, far)
        pinging = asyncio.ensure_future(link.keep_alive())
        try:
            await link.login()
            yield link
        finally:
            pinging.cancel()
            connection.cut()
