"""What the encoder refuses: packets without an encoding in MQTT 3.1.1."""

import pytest

from healthsync_mqtt.mqtt.codec import EncodeError, encode, encode_puback, encode_pubacks, encode_publish
from healthsync_mqtt.mqtt.codec.packets import (
    Connack,
    Connect,
    Packet,
    Puback,
    Publish,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from healthsync_mqtt.mqtt.codec.v3.encode import length

REFUSED: list[Packet] = [
    Connect("d", protocol_level=5),
    Connect("d", protocol_name="HTTP"),
    Connect("d", keep_alive=-1),
    Connect("d", keep_alive=65_536),
    Connect("d", password=b"p"),
    Connect("a\0"),
    Connect("\ud800"),
    Connect("d" * 65_536),
    Connect("d", username="u\0"),
    Connect("d", username="u", password=b"p" * 65_536),
    Connect("d", will=Will("", b"")),
    Connect("d", will=Will("a/+", b"")),
    Connect("d", will=Will("\udfff", b"")),
    Connect("d", will=Will("t", b"", 3)),
    Connect("d", will=Will("t", b"p" * 65_536)),
    Connack(False, 6),
    Connack(False, -1),
    Connack(True, 5),
    Publish(b"", b""),
    Publish(b"a/#", b""),
    Publish(b"\xff", b""),
    Publish(b"a\0", b""),
    Publish(b"t" * 65_536, b""),
    Publish(b"t", b"", 0, False, True),
    Publish(b"t", b"", 0, packet_id=1),
    Publish(b"t", b"", 1),
    Publish(b"t", b"", 1, packet_id=65_536),
    Publish(b"t", b"", 3, packet_id=1),
    Publish(b"t", b"", -1, packet_id=1),
    Puback(0),
    Puback(65_536),
    Pubrel(-1),
    Unsuback(0),
    Subscribe(0, (("a", 0),)),
    Subscribe(1, ()),
    Subscribe(1, (("", 0),)),
    Subscribe(1, (("a", 3),)),
    Subscribe(1, (("a", -1),)),
    Subscribe(1, (("a\0", 0),)),
    Suback(1, ()),
    Suback(1, (3,)),
    Suback(1, (256,)),
    Unsubscribe(1, ()),
    Unsubscribe(1, ("a", "")),
]


@pytest.mark.parametrize("packet", REFUSED, ids=range(len(REFUSED)))
def test_refuses(packet: Packet) -> None:
    with pytest.raises(EncodeError) as caught:
        encode(packet)
    assert caught.value.reason == "not_encodable"


@pytest.mark.parametrize("ids", [[0], [65_536], [1, 2, 0], [1, 70_000], [-1]])
def test_puback_blocks_refuse_ids_out_of_range(ids: list[int]) -> None:
    with pytest.raises(EncodeError):
        encode_pubacks(ids)
    with pytest.raises(EncodeError):
        encode_puback(next(number for number in ids if not 0 < number < 65_536))


def test_puback_blocks_are_pubacks() -> None:
    assert encode_pubacks([]) == b""
    assert encode_pubacks(range(1, 65_536)) == b"".join(map(encode_puback, range(1, 65_536)))


@pytest.mark.parametrize(
    ("size", "head"),
    # Table 2.4 of section 2.2.3: the first and last length of each width.
    [
        (127, "30 7f"),
        (128, "30 8001"),
        (16_383, "30 ff7f"),
        (16_384, "30 808001"),
        (2_097_151, "30 ffff7f"),
        (2_097_152, "30 80808001"),
    ],
)
def test_remaining_length_at_its_borders(size: int, head: str) -> None:
    header = bytes.fromhex(head)
    raw = encode_publish(b"t", bytes(size - 3))
    assert raw[: len(header) + 3] == header + b"\x00\x01t"
    assert len(raw) == len(header) + size


def test_the_longest_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    assert length(268_435_455) == bytes.fromhex("ffffff7f")
    with pytest.raises(EncodeError):
        length(268_435_456)
    monkeypatch.setitem(length.__globals__, "_MAX_REMAINING", 20_000)
    with pytest.raises(EncodeError):
        encode_publish(b"t", bytes(20_000))
