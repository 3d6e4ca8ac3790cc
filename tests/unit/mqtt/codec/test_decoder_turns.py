"""The decoder gives packets in portions: the same packets and faults, whatever the portions and the cuts."""

from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.mqtt.codec import Decoder, ProtocolError, encode, encode_publish
from healthsync_mqtt.mqtt.codec.packets import Packet, Pingreq, Puback, Subscribe

PACKETS = st.sampled_from(
    [
        encode(Pingreq()),
        encode(Puback(7)),
        encode(Subscribe(1, (("a/+", 1),))),
        encode_publish(b"t", b"x" * 5, 1, False, False, 1),
        encode_publish(b"t", b"y" * 300),
        b"\xf0\x00",
    ]
)


def portions(decoder: Decoder, data: bytes, most: int) -> tuple[list[Packet], str]:
    found: list[Packet] = []
    try:
        found += decoder.feed(data, most)
        while decoder.more:
            taken = decoder.feed(b"", most)
            assert len(taken) <= most
            found += taken
    except ProtocolError as error:
        return found + error.packets, error.reason
    return found, ""


@given(st.lists(PACKETS, max_size=20).map(b"".join), st.integers(1, 5), st.integers(1, 40))
def test_portions_change_nothing(data: bytes, most: int, cut: int) -> None:
    whole, portioned = Decoder(1000, server=False), Decoder(1000, server=False)
    expected: list[Packet] = []
    fault = ""
    try:
        expected += whole.feed(data)
    except ProtocolError as error:
        expected, fault = error.packets, error.reason
    found: list[Packet] = []
    came = ""
    for at in range(0, len(data), cut):
        more, came = portions(portioned, data[at : at + cut], most)
        found += more
        if came:
            break
    assert (found, came) == (expected, fault)


def test_a_portion_is_no_larger_than_asked_for() -> None:
    decoder = Decoder(1000, server=False)
    assert len(decoder.feed(encode(Pingreq()) * 10, 3)) == 3
    assert decoder.more
    assert [len(decoder.feed(b"", 3)) for _ in range(3)] == [3, 3, 1]
    assert not decoder.more


def test_bytes_that_come_before_the_rest_was_taken_come_behind_it() -> None:
    decoder = Decoder(1000, server=False)
    decoder.feed(encode(Puback(1)) * 3, 1)
    assert decoder.feed(encode(Puback(2)), 10) == [Puback(1), Puback(1), Puback(2)]
