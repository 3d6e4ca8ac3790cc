"""The inbound stream of a broker as a client reads it, in any pieces, in both versions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.mqtt.codec import Decoder, Fault, MalformedPacket, ProtocolError, encode_puback, encode_publish
from healthsync_mqtt.mqtt.codec.packets import Connack, Property, Puback, Publish

messages = st.lists(
    st.builds(
        lambda topic, payload, packet_id, retain: Publish(
            topic, payload, 1 if packet_id else 0, retain, packet_id=packet_id
        ),
        topic=st.text(st.characters(codec="utf-8", exclude_characters="+#\0"), min_size=1, max_size=20).map(str.encode),
        payload=st.binary(max_size=300),
        packet_id=st.integers(0, 65_535),
        retain=st.booleans(),
    ),
    max_size=12,
)


def wire(message: Publish, version: int, properties: bytes = b"\x00") -> bytes:
    plain = encode_publish(
        message.topic, message.payload, 1 if message.packet_id else 0, message.retain, False, message.packet_id
    )
    if version == 4:
        return plain
    body = len(message.topic).to_bytes(2, "big") + message.topic
    body += message.packet_id.to_bytes(2, "big") if message.packet_id else b""
    body += properties + message.payload
    size, length = len(body), b""
    while True:
        size, low = size >> 7, size & 127
        length += bytes([low | 128 if size else low])
        if not size:
            return plain[:1] + length + body


def reader(version: int, max_packet: int = 1000) -> Decoder:
    return Decoder(max_packet, max_packet, server=False, versions=frozenset({version}))


@given(messages, st.sampled_from([4, 5]), st.lists(st.integers(1, 700), max_size=30))
def test_the_same_messages_come_out_however_the_stream_is_cut(
    sent: list[Publish], version: int, cuts: list[int]
) -> None:
    data = b"".join(wire(message, version) + encode_puback(7) for message in sent)
    decoder = reader(version, 10_000)
    got: list[Publish] = []
    others: list[object] = []
    for size in [*cuts, len(data) + 1]:
        piece, data = data[:size], data[size:]
        for packet in decoder.feed(piece):
            if isinstance(packet, Publish):
                got.append(packet)
            else:
                others.append(packet)
    assert got == sent
    assert others == [Puback(7)] * len(sent)


def test_properties_of_version_5_are_skipped() -> None:
    message = Publish(b"a/b", b"hello", 1, packet_id=9)
    with_properties = wire(message, 5, b"\x05\x02\x00\x00\x00\x3c")
    (got,) = reader(5).feed(with_properties)
    assert got[:6] == message[:6]


@pytest.mark.parametrize(
    ("version", "data"),
    [
        (4, b"\x30\xff\xff\xff\xff\x01"),
        (4, b"\x30\x85\x80\x80\x08" + bytes(100)),
        (4, b"\x36\x07\x00\x01a\x00\x01hi"),
        (4, b"\x32\x05\x00\x01a\x00\x00"),
        (4, b"\x32\x04\x00\x01a\x00"),
        (4, b"\x30\x03\x00\x09a"),
        (4, b"\x30\x01\x00"),
        (4, b"\x30\x02\x00\x00"),
        (5, b"\x30\x03\x00\x01a"),
        (5, b"\x30\x04\x00\x01a\x09"),
        (5, b"\x30\x04\x00\x01a\x80"),
    ],
)
def test_a_hostile_broker_is_told_apart(version: int, data: bytes) -> None:
    """T28: bad lengths, packet id 0, cut packets, QoS nobody asked for, topic aliases."""
    with pytest.raises(ProtocolError):
        reader(version).feed(data)


@given(st.binary(max_size=400), st.sampled_from([4, 5]))
def test_any_bytes_are_read_or_refused(data: bytes, version: int) -> None:
    try:
        got = reader(version).feed(data)
    except ProtocolError:
        return
    assert sum(len(m.topic) + len(m.payload) for m in got if isinstance(m, Publish)) <= len(data)


CONNACK = bytes.fromhex("20 0f 01 00 0c 21 0014 27 00001000 2a 00 24 01")


def test_a_connack_says_what_was_agreed() -> None:
    (answer,) = reader(5).feed(CONNACK)
    assert isinstance(answer, Connack)
    assert (answer.session_present, answer.code) == (True, 0)
    assert answer.properties == {
        Property.RECEIVE_MAXIMUM: 20,
        Property.MAXIMUM_PACKET_SIZE: 4096,
        Property.SHARED_SUBSCRIPTION_AVAILABLE: 0,
        Property.MAXIMUM_QOS: 1,
    }


def test_a_property_that_does_not_exist_is_a_fault() -> None:
    with pytest.raises(MalformedPacket) as caught:
        reader(5).feed(bytes.fromhex("20 05 00 00 02 7f 00"))
    assert caught.value.reason == Fault.BAD_PROPERTY
