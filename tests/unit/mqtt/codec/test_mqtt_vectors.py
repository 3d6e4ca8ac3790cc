"""Each packet type against bytes written by hand from the standard."""

import pytest

from healthsync_mqtt.mqtt.codec import encode
from healthsync_mqtt.mqtt.codec.packets import Packet, PacketType
from tests.unit.mqtt.codec.mqtt_examples import EXAMPLES, NAMES, SMALL, reader, typed


@pytest.mark.parametrize(("_name", "raw", "packet"), EXAMPLES, ids=NAMES)
def test_decodes_the_standard(_name: str, raw: bytes, packet: Packet) -> None:
    assert typed(reader().feed(raw)) == typed([packet])


@pytest.mark.parametrize(("_name", "raw", "packet"), EXAMPLES, ids=NAMES)
def test_encodes_the_standard(_name: str, raw: bytes, packet: Packet) -> None:
    assert encode(packet) == raw


def test_every_packet_type_has_a_vector() -> None:
    assert {raw[0] >> 4 for _, raw, _ in EXAMPLES} == set(PacketType) - {PacketType.AUTH}


def test_fields_keep_their_exact_types() -> None:
    connect, publish = reader().feed(EXAMPLES[1][1] + bytes.fromhex("3d 08 0003 612f62 ffff 78"))
    assert [type(value) for value in connect[:8]] == [str, bool, int, str, bytes, type(connect.will), int, str]
    assert [type(value) for value in connect.will[:4]] == [str, bytes, int, bool]
    assert [type(value) for value in publish[:6]] == [bytes, bytes, int, bool, bool, int]


@pytest.mark.parametrize(("raw", "packet"), SMALL, ids=[raw.hex() for raw, _ in SMALL])
def test_every_truncation_waits_for_the_rest(raw: bytes, packet: Packet) -> None:
    for split in range(len(raw) + 1):
        decoder = reader()
        early = decoder.feed(raw[:split])
        if split < len(raw):
            assert early == []
            assert decoder.pending == split
        assert typed(early + decoder.feed(raw[split:])) == typed([packet])
        assert decoder.pending == 0


@pytest.mark.parametrize(("_name", "raw", "packet"), EXAMPLES, ids=NAMES)
def test_byte_by_byte(_name: str, raw: bytes, packet: Packet) -> None:
    decoder = reader()
    found = [decoder.feed(raw[place : place + 1]) for place in range(len(raw))]
    assert not any(found[:-1])
    assert typed(found[-1]) == typed([packet])


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 1000, 100_000])
def test_a_stream_of_all_packets_in_pieces(step: int) -> None:
    stream = b"".join(raw for _, raw, _ in EXAMPLES)
    decoder, found = reader(), []
    for place in range(0, len(stream), step):
        found += decoder.feed(stream[place : place + step])
    assert typed(found) == typed([packet for _, _, packet in EXAMPLES])


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_other_buffers_are_copied(kind: type) -> None:
    source = bytearray(EXAMPLES[7][1])
    packets = reader().feed(kind(source))
    source[:] = bytes(len(source))
    assert packets == [EXAMPLES[7][2]]
    assert type(packets[0].payload) is bytes


def test_repr_hides_passwords_and_payloads() -> None:
    for _, _, packet in EXAMPLES:
        shown = repr(packet)
        assert "pw" not in shown
        assert "x00" not in shown
        assert "hi'" not in shown
        assert type(packet).__name__ in shown
