"""Properties over all packets and all bytes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from healthsync_mqtt.mqtt.codec import Decoder, EncodeError, ProtocolError, encode, encode_pubacks, encode_publish
from healthsync_mqtt.mqtt.codec.packets import NO_PROPERTIES, Packet, Puback, Publish
from healthsync_mqtt.mqtt.codec.v3 import publish as parse_publish
from tests.unit.mqtt.codec.mqtt_examples import CONNECT, SMALL, packets, publishes, reader, typed


@given(packets)
@settings(max_examples=500, deadline=None)
def test_round_trip(packet: Packet) -> None:
    assert typed(reader().feed(encode(packet))) == typed([packet])


@given(st.lists(packets, max_size=12), st.data())
@settings(deadline=None)
def test_any_cutting_of_a_stream_gives_the_same_packets(sent: list[Packet], data: st.DataObject) -> None:
    stream = b"".join(map(encode, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    decoder, found = reader(), []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += decoder.feed(stream[start:stop])
    assert typed(found) == typed(sent)
    assert decoder.pending == 0


def outcome(decoder: Decoder, pieces: list[bytes]) -> tuple[list[Packet], str | None, int]:
    """Packets, fault and pending bytes; anything but ``ProtocolError`` escapes."""
    found: list[Packet] = []
    for piece in pieces:
        try:
            found += decoder.feed(piece)
        except ProtocolError as error:
            return found + error.packets, str(error.reason), decoder.pending
    return found, None, decoder.pending


def test_every_corruption_of_every_byte_is_a_packet_or_a_protocol_error() -> None:
    for raw, _ in SMALL:
        for place in range(len(raw)):
            for value in range(256):
                broken = raw[:place] + bytes((value,)) + raw[place + 1 :]
                found, fault, pending = outcome(reader(), [broken])
                assert found or fault or pending
                if not fault:
                    # What is accepted is what its fields say: encoded again, it decodes to the same.
                    for packet in found:
                        if getattr(packet, "protocol_level", 4) in (3, 4):
                            assert typed(reader().feed(encode(packet))) == typed([packet])


@given(st.binary(max_size=200), st.booleans(), st.integers(0, 300))
@settings(max_examples=500, deadline=None)
def test_random_bytes_raise_only_protocol_errors(data: bytes, server: bool, limit: int) -> None:
    found, fault, _ = outcome(Decoder(limit, 100, server), [data])
    assert fault is not None or len(found) <= len(data) // 2


# Random bytes seldom get past the fixed header: these have a legal one with the right length.
framed = st.builds(
    lambda raw, body: raw[:1] + bytes((len(body),)) + body,
    st.sampled_from([raw for raw, _ in SMALL] + [b"\x35", b"\x3a"]),
    st.binary(max_size=30)
    | st.builds(lambda head, tail: b"\x00\x01" + head + tail, st.binary(), st.binary()).map(lambda body: body[:100]),
)


@given(st.lists(framed, min_size=1, max_size=5), st.integers(1, 20))
@settings(max_examples=500, deadline=None)
def test_framed_noise_is_judged_the_same_in_one_piece_and_in_many(frames: list[bytes], step: int) -> None:
    stream = b"".join(frames)
    whole = outcome(reader(), [stream])
    pieces = outcome(reader(), [stream[place : place + step] for place in range(0, len(stream), step)])
    assert typed(whole[0]) == typed(pieces[0])
    assert whole[1:] == pieces[1:]


@given(st.sampled_from(range(0x30, 0x40)), st.binary(max_size=30) | publishes().map(lambda p: encode(p)[2:]))
@settings(max_examples=500, deadline=None)
def test_the_fast_path_and_the_parser_of_publish_agree(first: int, body: bytes) -> None:
    body = body[:120]
    fast = outcome(reader(), [bytes((first, len(body))) + body])
    try:
        slow: Publish | str = parse_publish(first, body, 0, len(body))
    except ProtocolError as error:
        slow = str(error.reason)
    assert (fast[1] or fast[0][0]) == slow


@given(st.lists(st.integers(1, 65535), max_size=200))
@settings(deadline=None)
def test_puback_blocks(ids: list[int]) -> None:
    assert typed(reader().feed(encode_pubacks(iter(ids)))) == typed([Puback(number) for number in ids])


anything = st.builds(
    Publish,
    st.binary(max_size=10),
    st.binary(max_size=5),
    st.integers(-1, 4),
    st.booleans(),
    st.booleans(),
    st.integers(-1, 70_000),
    st.just(NO_PROPERTIES),
)


@given(anything)
@settings(max_examples=500, deadline=None)
def test_encode_refuses_what_the_decoder_would(packet: Publish) -> None:
    try:
        raw = encode(packet)
    except EncodeError:
        return
    assert reader().feed(raw) == [packet]
    assert encode_publish(*packet[:6]) == raw


@given(st.binary(max_size=100))
@settings(deadline=None)
def test_a_server_only_starts_with_connect(data: bytes) -> None:
    found, _, _ = outcome(Decoder(1000), [data, CONNECT])
    assert not found or type(found[0]).__name__ == "Connect"
