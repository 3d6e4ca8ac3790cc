"""The inbound stream of an external broker, in any pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.broker.external.frames import BrokerProtocolError, Frames, Message
from healthsync_mqtt.mqtt.codec import encode_puback, encode_publish

messages = st.lists(
    st.builds(
        Message,
        topic=st.text(min_size=1, max_size=20).map(str.encode),
        payload=st.binary(max_size=300),
        packet_id=st.integers(0, 65_535),
        retain=st.booleans(),
    ),
    max_size=12,
)


def wire(message: Message, version: int, properties: bytes = b"\x00") -> bytes:
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


@given(messages, st.sampled_from([4, 5]), st.lists(st.integers(1, 700), max_size=30))
def test_the_same_messages_come_out_however_the_stream_is_cut(
    sent: list[Message], version: int, cuts: list[int]
) -> None:
    data = b"".join(wire(message, version) + encode_puback(7) for message in sent)
    frames = Frames(version=version, max_packet=10_000)
    got: list[Message] = []
    others: list[bytes] = []
    for size in [*cuts, len(data) + 1]:
        piece, data = data[:size], data[size:]
        some, rest = frames.feed(piece)
        got += some
        others += rest
    assert got == sent
    assert others == [encode_puback(7)] * len(sent)


def test_properties_of_version_5_are_skipped() -> None:
    message = Message(b"a/b", b"hello", 9, False)
    with_properties = wire(message, 5, b"\x05\x02\x00\x00\x00\x3c")
    assert Frames(version=5, max_packet=1000).feed(with_properties) == ([message], [])


@pytest.mark.parametrize(
    ("version", "data"),
    [
        (4, b"\x30\xff\xff\xff\xff\x01"),
        (4, b"\x30\x85\x80\x80\x08" + bytes(100)),
        (4, b"\x34\x07\x00\x01a\x00\x01hi"),
        (4, b"\x36\x07\x00\x01a\x00\x01hi"),
        (4, b"\x32\x05\x00\x01a\x00\x00"),
        (4, b"\x32\x04\x00\x01a\x00"),
        (4, b"\x30\x03\x00\x09a"),
        (4, b"\x30\x01\x00"),
        (4, b"\x30\x02\x00\x00"),
        (5, b"\x30\x03\x00\x01a"),
        (5, b"\x30\x04\x00\x01a\x09"),
        (5, b"\x30\x04\x00\x01a\x80"),
        (5, b"\x30\x03\x00\x00\x00"),
    ],
)
def test_a_hostile_broker_is_told_apart(version: int, data: bytes) -> None:
    """T28: bad lengths, packet id 0, cut packets, QoS nobody asked for, topic aliases."""
    with pytest.raises(BrokerProtocolError):
        Frames(version=version, max_packet=1000).feed(data)


@given(st.binary(max_size=400), st.sampled_from([4, 5]))
def test_any_bytes_are_read_or_refused(data: bytes, version: int) -> None:
    frames = Frames(version=version, max_packet=1000)
    try:
        got, others = frames.feed(data)
    except BrokerProtocolError:
        return
    assert sum(map(len, others)) + sum(len(m.topic) + len(m.payload) for m in got) <= len(data)
