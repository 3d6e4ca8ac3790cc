"""The same packets through two other implementations: amqtt, which sits behind the front door, and paho-mqtt."""

from collections import deque
from io import BytesIO

import pytest
from amqtt.adapters import BufferReader
from amqtt.mqtt import packet_class
from amqtt.mqtt.connack import ConnackPacket
from amqtt.mqtt.connect import ConnectPacket, ConnectPayload, ConnectVariableHeader
from amqtt.mqtt.disconnect import DisconnectPacket
from amqtt.mqtt.packet import MQTTFixedHeader
from amqtt.mqtt.pingreq import PingReqPacket
from amqtt.mqtt.pingresp import PingRespPacket
from amqtt.mqtt.puback import PubackPacket
from amqtt.mqtt.pubcomp import PubcompPacket
from amqtt.mqtt.publish import PublishPacket
from amqtt.mqtt.pubrec import PubrecPacket
from amqtt.mqtt.pubrel import PubrelPacket
from amqtt.mqtt.suback import SubackPacket
from amqtt.mqtt.subscribe import SubscribePacket
from amqtt.mqtt.unsuback import UnsubackPacket
from amqtt.mqtt.unsubscribe import UnsubscribePacket
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from healthsync_mqtt.mqtt.codec import Decoder, encode
from healthsync_mqtt.mqtt.codec.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from tests.unit.mqtt.codec.mqtt_examples import EXAMPLES, reader, typed


def amqtt_connect() -> ConnectPacket:
    header = ConnectVariableHeader(keep_alive=30)
    header.clean_session_flag = header.username_flag = header.password_flag = True
    header.will_flag = header.will_retain_flag = True
    header.will_qos = 1
    payload = ConnectPayload("watch-1", "users/u/status", b"lost", "watch-1", "secret")
    return ConnectPacket(variable_header=header, payload=payload)


AMQTT = [
    (
        amqtt_connect(),
        Connect("watch-1", True, 30, "watch-1", b"secret", Will("users/u/status", b"lost", 1, True)),
    ),
    (ConnackPacket.build(1, 0), Connack(True, 0)),
    (PublishPacket.build("a/ä", b"x" * 500, None, False, 0, True), Publish("a/ä".encode(), b"x" * 500, 0, True)),
    (PublishPacket.build("a/b", b"x", 513, True, 2, False), Publish(b"a/b", b"x", 2, False, True, 513)),
    (PubackPacket.build(5), Puback(5)),
    (PubrecPacket.build(6), Pubrec(6)),
    (PubrelPacket.build(7), Pubrel(7)),
    (PubcompPacket.build(8), Pubcomp(8)),
    (SubscribePacket.build([("a/#", 1), ("b/+", 2)], 9), Subscribe(9, (("a/#", 1), ("b/+", 2)))),
    (SubackPacket.build(9, [1, 128]), Suback(9, (1, 128))),
    (UnsubscribePacket.build(["a/#", "é"], 10), Unsubscribe(10, ("a/#", "é"))),
    (UnsubackPacket.build(10), Unsuback(10)),
    (PingReqPacket(), Pingreq()),
    (PingRespPacket(), Pingresp()),
    (DisconnectPacket(), Disconnect()),
]


@pytest.mark.parametrize(("theirs", "ours"), AMQTT, ids=[type(ours).__name__ for _, ours in AMQTT])
def test_what_amqtt_writes(theirs: object, ours: Packet) -> None:
    raw = bytes(theirs.to_bytes())
    assert typed(reader().feed(raw)) == typed([ours])
    assert encode(ours) == raw


@pytest.mark.parametrize("packet", [packet for _, _, packet in EXAMPLES if getattr(packet, "client_id", "x") != ""])
async def test_what_amqtt_reads(packet: Packet) -> None:
    raw = encode(packet)
    if type(packet) is Connect and packet.will is not None:
        packet = packet._replace(will=packet.will._replace(payload=b"text"))
        raw = encode(packet)
    stream = BufferReader(raw)
    header = await MQTTFixedHeader.from_stream(stream)
    theirs = await packet_class(header).from_stream(stream, fixed_header=header)
    assert bytes(theirs.to_bytes()) == raw


class Wire:
    """In place of paho's socket: what it sends and what it is to receive."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.inbox = BytesIO()

    def send(self, data: bytes) -> int:
        self.sent += data
        return len(data)

    def recv(self, size: int) -> bytes:
        data = self.inbox.read(size)
        if not data:
            raise BlockingIOError
        return data

    def pending(self) -> int:
        return 0

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        pass


@pytest.fixture
def paho() -> tuple[Client, Wire]:
    client, wire = Client(CallbackAPIVersion.VERSION2, "watch-1", clean_session=False), Wire()
    client._sock = wire
    return client, wire


def test_what_paho_writes(paho: tuple[Client, Wire]) -> None:
    client, wire = paho
    client.username_pw_set("watch-1", "secret")
    client.will_set("w", b"lost", qos=1, retain=True)
    client._send_connect(60)
    client.publish("a/b", b"zero")
    client.publish("a/b", b"x" * 1000, qos=1, retain=True)
    client.publish("a/ä", b"", qos=2)
    client.subscribe([("a/#", 1), ("b/+", 0)])
    client.unsubscribe(["a/#", "b/+"])
    client._send_pingreq()
    client.disconnect()
    expected: list[Packet] = [
        Connect("watch-1", False, 60, "watch-1", b"secret", Will("w", b"lost", 1, True)),
        Publish(b"a/b", b"zero"),
        Publish(b"a/b", b"x" * 1000, 1, True, False, 2),
        Publish("a/ä".encode(), b"", 2, False, False, 3),
        Subscribe(4, (("a/#", 1), ("b/+", 0))),
        Unsubscribe(5, ("a/#", "b/+")),
        Pingreq(),
        Disconnect(),
    ]
    assert typed(Decoder(1_048_576).feed(bytes(wire.sent))) == typed(expected)
    assert b"".join(map(encode, expected)) == bytes(wire.sent)


def test_what_paho_reads(paho: tuple[Client, Wire]) -> None:
    client, wire = paho
    seen: deque[object] = deque()
    client.on_connect = lambda _c, _u, flags, code, _p: seen.append((flags.session_present, code.value))
    client.on_subscribe = lambda _c, _u, mid, codes, _p: seen.append((mid, [code.value for code in codes]))
    client.on_unsubscribe = lambda _c, _u, mid, _codes, _p: seen.append(("gone", mid))

    def on_message(_client: Client, _userdata: object, message: MQTTMessage) -> None:
        seen.append((message.topic, message.payload, message.qos, message.retain))

    client.on_message = on_message
    incoming: list[Packet] = [
        Connack(True, 0),
        Suback(4, (1, 0x80)),
        Publish("ä/b".encode(), b"x" * 200, 1, True, False, 9),
        Publish(b"c", b"", 2, False, False, 10),
        Pubrel(10),
        Unsuback(5),
    ]
    wire.inbox = BytesIO(b"".join(map(encode, incoming)))
    for _ in incoming:
        assert client.loop_read() == 0
    assert list(seen) == [(True, 0), (4, [1, 0x80]), ("ä/b", b"x" * 200, 1, True), ("c", b"", 2, False), ("gone", 5)]
    assert typed(reader().feed(bytes(wire.sent))) == typed([Puback(9), Pubrec(10), Pubcomp(10)])
