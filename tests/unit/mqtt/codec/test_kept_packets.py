"""Packets over the limit that somebody wants: asked about once, taken as they are, however they come in."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.mqtt.codec import Decoder, PacketTooLarge, encode, v5
from healthsync_mqtt.mqtt.codec.packets import Connect, Packet, Pingreq, Publish, Skipped

MOST = 100


def decoder(level: int = 4) -> tuple[Decoder, list[Skipped]]:
    made = Decoder(MOST, 200, versions=frozenset({3, 4, 5}), skip=10_000)
    encoded = encode if level == 4 else v5.encode
    made.feed(encoded(Connect("a", protocol_level=level)))
    asked: list[Skipped] = []

    def keeps(head: Skipped) -> bool:
        asked.append(head)
        return head.topic == b"long"

    made.keeps = keeps
    return made, asked


def said(level: int) -> tuple[list[Packet], bytes]:
    encoded = encode if level == 4 else v5.encode
    packets: list[Packet] = [
        Publish(b"long", bytes(range(256)) * 3, 1, False, False, 5),
        Publish(b"other", bytes(500), 1, False, False, 6),
        Pingreq(),
        Publish(b"long", b"short", 0),
        Publish(b"long", b"x" * 9_000, 2, True, False, 7),
        Publish(b"other", bytes(MOST), 0),
    ]
    return packets, b"".join(map(encoded, packets))


@pytest.mark.parametrize("level", [4, 5])
@given(cuts=st.lists(st.integers(0, 11_000), max_size=12))
def test_what_is_wanted_comes_whole_and_the_rest_goes_by(level: int, cuts: list[int]) -> None:
    packets, data = said(level)
    made, asked = decoder(level)
    edges = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    found: list[Packet] = []
    for start, stop in pairwise(edges):
        found += made.feed(data[start:stop])
    wanted = [each for each in packets if not (isinstance(each, Publish) and each.topic == b"other")]
    assert [each for each in found if type(each) is not Skipped] == wanted
    assert [each.topic for each in found if type(each) is Skipped] == [b"other", b"other"]
    assert [head.topic for head in asked] == [b"long", b"other", b"long", b"other"]
    assert not made.keeping


def test_while_one_comes_in_that_is_known() -> None:
    made, _ = decoder()
    data = encode(Publish(b"long", bytes(500), 1, False, False, 5))
    made.feed(data[:200])
    assert made.keeping
    assert made.feed(data[200:])
    assert not made.keeping


def test_beyond_what_may_go_by_nobody_is_asked() -> None:
    made, asked = decoder()
    with pytest.raises(PacketTooLarge):
        made.feed(encode(Publish(b"long", bytes(20_000), 0)))
    assert asked == []
