"""How packets to one client look on the wire: of its version of MQTT, and within what it said it takes.

What MQTT 5 adds to a message is kept as the bytes of its properties (``Sendable.about``), which go to clients that
speak 5 and are nothing to others.
"""

import struct
from collections.abc import Sequence
from typing import Final, Protocol, cast

from healthsync_mqtt.broker.embedded.farewells import CODES
from healthsync_mqtt.mqtt.ack_order import Answered, answers
from healthsync_mqtt.mqtt.codec import encode, encode_publish, v5
from healthsync_mqtt.mqtt.codec.packets import (
    NO_PROPERTIES,
    SUBSCRIBE_REFUSED,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    PacketType,
    Properties,
    Property,
    Publish,
    Suback,
    Unsuback,
    is_modern,
)
from healthsync_mqtt.mqtt.codec.v5.properties import PropertyPlace, body, write, write_variable
from healthsync_mqtt.mqtt.replies import LISTED, QOS2, Reply, Said

MOST_ALIASES: Final = 32
"""Topics that are sent to one client by alias, if it takes so many."""
_WINDOW: Final = 65_535
_LONGEST: Final = 268_435_460  # of a packet with its header
_FORWARDED: Final = (
    Property.PAYLOAD_FORMAT,
    Property.CONTENT_TYPE,
    Property.RESPONSE_TOPIC,
    Property.CORRELATION_DATA,
    Property.USER_PROPERTY,
)

_LEFT_OUT: Final = frozenset(
    {
        Property.REASON_STRING,
        Property.USER_PROPERTY,
        Property.RESPONSE_INFORMATION,
        # In CONNACK what follows means the same when it is left out, or nothing that binds the client.
        Property.RETAIN_AVAILABLE,
        Property.WILDCARD_SUBSCRIPTION_AVAILABLE,
        Property.SUBSCRIPTION_IDS_AVAILABLE,
        Property.SHARED_SUBSCRIPTION_AVAILABLE,
        Property.MAXIMUM_PACKET_SIZE,
        Property.TOPIC_ALIAS_MAXIMUM,
    }
)

JSON: Final = body({Property.PAYLOAD_FORMAT: 1, Property.CONTENT_TYPE: "application/json"}, PropertyPlace.PUBLISH)
"""What is said of the bridge's own messages."""


class Sendable(Protocol):
    """What is to be known of a message to put it into a PUBLISH. ``about`` are its properties in MQTT 5, encoded."""

    @property
    def topic(self) -> bytes: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def qos(self) -> int: ...
    @property
    def retain(self) -> bool: ...
    @property
    def about(self) -> bytes: ...
    @property
    def identifiers(self) -> tuple[int, ...]: ...


class Dialect(Protocol):
    """What is sent to one client, as bytes."""

    #: messages that the client takes before it answered one of them
    window: int

    def packet(self, packet: Packet) -> bytes:
        """Any packet but PUBLISH; empty where the client takes none as long as that."""

    def publish(self, message: Sendable, packet_id: int, *, dup: bool, left: int) -> bytes:
        """A message, ``left`` seconds before it expires (0: never does); empty where the client does not take it."""

    def answers(self, tokens: Sequence[Answered]) -> bytes:
        """The acknowledgements of messages, as one block."""

    def farewell(self, reason: str, rule: str, to: str = "") -> bytes:
        """What is said to a client whose connection is ended for this reason; ``to``: the server it is sent to."""


class Dialect3:
    """MQTT 3.1.1, and 3.1."""

    window: int = _WINDOW

    def packet(self, packet: Packet) -> bytes:
        """See ``Dialect``; an answer says less in this version."""
        if type(packet) is Suback:
            packet = Suback(packet.packet_id, tuple(min(code, SUBSCRIBE_REFUSED) for code in packet.codes))
        elif type(packet) is Unsuback:
            packet = Unsuback(packet.packet_id)
        return encode(packet)

    def publish(self, message: Sendable, packet_id: int, *, dup: bool, left: int) -> bytes:  # noqa: ARG002
        """See ``Dialect``."""
        return encode_publish(message.topic, message.payload, message.qos, message.retain, dup, packet_id)

    def answers(self, tokens: Sequence[Answered]) -> bytes:
        """See ``Dialect``."""
        return answers(tokens)

    def farewell(self, reason: str, rule: str, to: str = "") -> bytes:  # noqa: ARG002
        """Nothing: a server of this version has no words for it."""
        return b""


class Dialect5:
    """MQTT 5, as one client's CONNECT asks for it."""

    def __init__(self, asked: Properties) -> None:
        self.window: int = asked.get(Property.RECEIVE_MAXIMUM, _WINDOW)
        self._most: int = asked.get(Property.MAXIMUM_PACKET_SIZE, _LONGEST)
        #: reason strings and user properties are wanted
        self._telling = bool(asked.get(Property.REQUEST_PROBLEM_INFORMATION, 1))
        self._free = min(MOST_ALIASES, asked.get(Property.TOPIC_ALIAS_MAXIMUM, 0))
        self._aliases: dict[bytes, bytes] = {}
        self._said: Said | None = None
        self._tail = b""
        self._heads = (b"", b"")

    def packet(self, packet: Packet) -> bytes:
        """See ``Dialect``; what says too much is said shorter [MQTT-3.2.2-19 and the like]."""
        about: Properties = getattr(packet, "properties", NO_PROPERTIES)
        tells = Property.REASON_STRING in about or Property.USER_PROPERTY in about
        if tells and not (self._telling or isinstance(packet, Connack | Disconnect | Publish)):
            packet = _short(packet)
        data = v5.encode(packet)
        if len(data) > self._most and (tells or isinstance(packet, Connack)):
            data = v5.encode(_short(packet))
        return data if len(data) <= self._most else b""

    def publish(self, message: Sendable, packet_id: int, *, dup: bool, left: int) -> bytes:
        """See ``Dialect``."""
        name, about = message.topic, message.about
        for identifier in message.identifiers:
            about += b"\x0b" + write_variable(identifier)
        if left:
            about += b"\x02" + left.to_bytes(4, "big")
        fresh = False
        alias = self._aliases.get(name)
        if alias is not None:
            name, about = b"", about + alias
        elif self._free:
            fresh, alias = True, b"\x23" + (len(self._aliases) + 1).to_bytes(2, "big")
            about += alias
        qos, payload = message.qos, message.payload
        head = len(name).to_bytes(2, "big") + name + (packet_id.to_bytes(2, "big") if qos else b"")
        about = write_variable(len(about)) + about
        size = write_variable(len(head) + len(about) + len(payload))
        if 1 + len(size) + len(head) + len(about) + len(payload) > self._most:
            return b""
        if fresh and alias is not None:
            self._aliases[name] = alias
            self._free -= 1
        first = 0x30 | qos << 1 | (1 if message.retain else 0) | (8 if dup else 0)
        return b"".join((bytes((first,)), size, head, about, payload))

    def answers(self, tokens: Sequence[Answered]) -> bytes:
        """See ``Dialect``."""
        out: list[bytes] = []
        ids: list[int] = []
        for reply in tokens:
            if not reply:
                continue
            token, said = cast("Reply", reply)
            if said is not self._said or token >= QOS2:
                self._alike(ids, out)
                ids = []
                self._say(said)
            if token < QOS2:
                ids.append(token)
            else:
                out.append(b"%b%c%c%b" % (self._heads[1], token >> 8 & 0xFF, token & 0xFF, self._tail))
        self._alike(ids, out)
        return b"".join(out)

    def _say(self, said: Said) -> None:
        if said is not self._said:
            self._said, self._tail = said, self._told(said)
            size = write_variable(2 + len(self._tail))
            self._heads = (bytes((PacketType.PUBACK << 4,)) + size, bytes((PacketType.PUBREC << 4,)) + size)

    def _alike(self, ids: Sequence[int], out: list[bytes]) -> None:
        """PUBACKs that say the same: one of them as often as there are ids, then the ids into their places."""
        if not ids:
            return
        head = self._heads[0]
        one = b"%b\0\0%b" % (head, self._tail)
        block, places, at = bytearray(one * len(ids)), struct.pack(f">{len(ids)}H", *ids), len(head)
        block[at :: len(one)], block[at + 1 :: len(one)] = places[::2], places[1::2]
        out.append(bytes(block))

    def farewell(self, reason: str, rule: str, to: str = "") -> bytes:
        """A DISCONNECT with the code of the reason, and with words where there is a rule."""
        code = CODES.get(reason)
        if code is None:
            return b""
        about = {Property.REASON_STRING: rule or reason.replace("_", " ")}
        return self.packet(Disconnect(code, about | {Property.SERVER_REFERENCE: to} if to else about))

    def _told(self, said: Said) -> bytes:
        """Reason code and properties of an acknowledgement, as far as the client wants them and takes them."""
        if self._telling:
            counts = tuple(each for each in said.about if each[0] != LISTED)
            for about in (said.about, counts):
                tail = _tail(said, about)
                if 1 + 4 + 2 + len(tail) <= self._most:
                    return tail
        return bytes((said.reason,)) if said.reason else b""


def _tail(said: Said, user: tuple[tuple[str, str], ...]) -> bytes:
    about: dict[Property, object] = {Property.REASON_STRING: said.string} if said.string else {}
    if user:
        about[Property.USER_PROPERTY] = user
    if not about:
        return bytes((said.reason,)) if said.reason else b""
    return bytes((said.reason,)) + write(about, PropertyPlace.PUBACK)


THREE: Final = Dialect3()


def dialect_of(asked: Connect) -> Dialect:
    """How to speak to whoever sent this CONNECT; a version that is newer than ours is refused in ours."""
    return Dialect5(asked.properties) if is_modern(asked.protocol_level) else THREE


def forwarded(properties: Properties) -> bytes:
    """What of a message's properties goes on to those who get it: unaltered and in its order [MQTT-3.3.2-17]."""
    if not properties:
        return b""
    return body({name: properties[name] for name in _FORWARDED if name in properties}, PropertyPlace.PUBLISH)


def _short(packet: Packet) -> Packet:
    """The packet without the words that may be left out."""
    about: Properties = getattr(packet, "properties", NO_PROPERTIES)
    rest: Properties = {k: about[k] for k in about if k not in _LEFT_OUT}
    if isinstance(packet, Disconnect | Auth):
        return type(packet)(packet.reason, rest)
    return cast("Connack", packet)._replace(properties=rest)  # or any other named tuple
