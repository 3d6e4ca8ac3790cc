"""The peer of the tests in MQTT 5: what it says beside what every peer does."""

from typing import Any

from healthsync_mqtt.mqtt.codec import v5
from healthsync_mqtt.mqtt.codec.packets import Disconnect, Property, Puback, Publish, Pubrec
from tests.support.peer import Peer


def told(answer: Puback | Pubrec) -> dict[str, str]:
    """The user properties of an acknowledgement."""
    return dict(answer.properties.get(Property.USER_PROPERTY, ()))


class Peer5(Peer):
    """One MQTT 5 connection over a stream."""

    level = 5
    encoded = staticmethod(v5.encode)

    async def put(self, topic: str, payload: bytes, qos: int = 1, *, retain: bool = False, **about: Any) -> Any:
        """Publish; the PUBACK or PUBREC."""
        packet_id = self.new_id()
        properties = {Property[name.upper()]: value for name, value in about.items()}
        self.send(Publish(topic.encode(), payload, qos, retain, False, packet_id, properties))
        kinds: dict[int, Any] = {1: Puback, 2: Pubrec}
        answer = await self.expect(kinds[qos])
        assert answer.packet_id == packet_id
        return answer

    async def farewell(self) -> Disconnect:
        """The DISCONNECT of the service, which then closes the connection."""
        last = (await self.closed())[-1]
        assert isinstance(last, Disconnect)
        return last
