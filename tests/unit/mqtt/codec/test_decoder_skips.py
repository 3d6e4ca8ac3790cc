"""A PUBLISH beyond the limit goes by unread, in every cut; what is beyond the hard bound, or no PUBLISH, is a fault."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.mqtt.codec import Decoder, MalformedPacket, PacketTooLarge, encode, encode_publish
from healthsync_mqtt.mqtt.codec.packets import Connect, Packet, Pingreq, Publish, Skipped, Subscribe

LIMIT, BOUND = 1_000, 16_000


def reader() -> Decoder:
    decoder = Decoder(LIMIT, LIMIT, server=True, skip=BOUND)
    decoder.feed(encode(Connect("a")))
    return decoder


@given(st.integers(1, 700), st.sampled_from((0, 1, 2)), st.integers(LIMIT, 6000), st.integers(1, 5))
def test_it_goes_by_in_every_cut(cut: int, qos: int, size: int, most: int) -> None:
    decoder = reader()
    long = encode_publish(b"users/a/events", bytes(size), qos, False, False, 7 if qos else 0)
    data = encode(Pingreq()) + long + encode_publish(b"t", b"after") + long
    found: list[Packet] = []
    for start in range(0, len(data), cut):
        found += decoder.feed(data[start : start + cut], most)
        while decoder.more:
            found += decoder.feed(b"", most)
        assert decoder.pending <= LIMIT
    gone = Skipped(b"users/a/events", len(long) - 3, qos, 7 if qos else 0)
    assert found == [Pingreq(), gone, Publish(b"t", b"after"), gone]
    assert [type(packet) for packet in found] == [Pingreq, Skipped, Publish, Skipped]


@pytest.mark.parametrize("cut", [1, 10, 20, 30, 5_000])
def test_it_goes_by_right_behind_the_connect_too(cut: int) -> None:
    """Clients send what they have without waiting for the CONNACK, and send it first again if they are cut off."""
    long = encode_publish(b"users/a/events", bytes(4_000), 1, False, False, 7)
    data = encode(Connect("a")) + long + encode_publish(b"t", b"after")
    decoder = Decoder(LIMIT, LIMIT, server=True, skip=BOUND)
    found = decoder.feed(data[:cut]) + decoder.feed(data[cut:])
    assert [type(packet) for packet in found] == [Connect, Skipped, Publish]


def test_nothing_of_it_is_kept() -> None:
    decoder = reader()
    decoder.feed(encode_publish(b"t", bytes(15_000), 1, False, False, 1)[:-1])
    assert decoder.pending == 0
    assert decoder.feed(b"\0") == [Skipped(b"t", 15_005, 1, 1)]


def test_the_hard_bound_is_exact() -> None:
    fits = encode_publish(b"t", bytes(BOUND - 3))
    assert reader().feed(fits) == [Skipped(b"t", BOUND)]
    with pytest.raises(PacketTooLarge):
        reader().feed(encode_publish(b"t", bytes(BOUND - 2)))


@pytest.mark.parametrize("data", [encode(Subscribe(1, (("a" * 1200, 0),))), b"\x3f\xff\x20"])
def test_what_is_no_message_ends_the_connection(data: bytes) -> None:
    with pytest.raises((PacketTooLarge, MalformedPacket)):
        reader().feed(data)


def test_a_first_packet_does_not_go_by() -> None:
    decoder = Decoder(LIMIT, LIMIT, server=False, skip=BOUND)
    with pytest.raises(PacketTooLarge):
        decoder.feed(encode_publish(b"t", bytes(2000)))


@pytest.mark.parametrize("head", [b"\x32\xff\x20\x00\x01+\x00\x01", b"\x32\xff\x20\x00\x01t\x00\x00"])
def test_what_begins_it_is_judged_all_the_same(head: bytes) -> None:
    with pytest.raises(MalformedPacket):
        reader().feed(head)
