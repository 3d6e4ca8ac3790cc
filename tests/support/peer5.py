"""The peer of the tests in MQTT 5: it says exactly what the test wants on the wire, and nothing by itself."""

import asyncio
from typing import Any

from healthsync_mqtt.mqtt.codec import Decoder, v5
from healthsync_mqtt.mqtt.codec.packets import (
    NO_PROPERTIES,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Properties,
    Property,
    Puback,
    Publish,
    Pubrec,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from tests.support.peer import Identity, Peer


def told(answer: Puback | Pubrec) -> dict[str, str]:
    """The user properties of an acknowledgement."""
    return dict(answer.properties.get(Property.USER_PROPERTY, ()))


class Peer5(Peer):
    """One MQTT 5 connection over a stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        most = 64 * 1024 * 1024
        self._decoder = Decoder(most, most, server=False, versions=frozenset({5}))

    def send(self, *packets: Packet | bytes) -> None:
        self.writer.write(b"".join(p if isinstance(p, bytes) else v5.encode(p) for p in packets))

    async def connect(
        self,
        identity: Identity,
        *,
        clean: bool = True,
        keep_alive: int = 60,
        will: Will | None = None,
        about: Properties = NO_PROPERTIES,
        **changes: Any,
    ) -> Connack:
        name = identity.client_id
        asked = Connect(name, clean, keep_alive, name, identity.token.encode(), will, 5, "MQTT", about)
        self.send(asked._replace(**changes))
        return await self.expect(Connack)

    async def put(self, topic: str, payload: bytes, qos: int = 1, *, retain: bool = False, **about: Any) -> Any:
        """Publish; the PUBACK or PUBREC."""
        packet_id = self.new_id()
        properties = {Property[name.upper()]: value for name, value in about.items()}
        self.send(Publish(topic.encode(), payload, qos, retain, False, packet_id, properties))
        kinds: dict[int, Any] = {1: Puback, 2: Pubrec}
        answer = await self.expect(kinds[qos])
        assert answer.packet_id == packet_id
        return answer

    async def ask(self, *filters: tuple[str, int], about: Properties = NO_PROPERTIES) -> Suback:
        """Subscribe; the SUBACK."""
        packet_id = self.new_id()
        self.send(Subscribe(packet_id, filters, about))
        answer = await self.expect(Suback)
        assert answer.packet_id == packet_id
        return answer

    async def forgo(self, *filters: str) -> Unsuback:
        """Unsubscribe; the UNSUBACK."""
        packet_id = self.new_id()
        self.send(Unsubscribe(packet_id, filters))
        answer = await self.expect(Unsuback)
        assert answer.packet_id == packet_id
        return answer

    async def farewell(self) -> Disconnect:
        """The DISCONNECT of the service, which then closes the connection."""
        last = (await self.closed())[-1]
        assert isinstance(last, Disconnect)
        return last
