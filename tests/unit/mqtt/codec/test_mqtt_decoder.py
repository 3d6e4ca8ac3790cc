"""What the decoder refuses, with which word, and its limits and states."""

import traceback
from typing import Any

import pytest

from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.mqtt.codec import (
    MAX_FILTERS,
    Decoder,
    Fault,
    MalformedPacket,
    PacketTooLarge,
    ProtocolError,
    encode,
    encode_puback,
    encode_publish,
    v3,
)
from healthsync_mqtt.mqtt.codec.packets import Connect, Pingreq, Puback, Publish, Subscribe, Unsubscribe
from tests.unit.mqtt.codec.mqtt_examples import CONNECT, EXAMPLES, SMALL, reader, typed

FAULTS = [
    # Fixed header, 2.2
    ("bad_type", "00 00"),
    ("bad_type", "f0 00"),
    ("bad_flags", "11 0d 0004 4d515454 04 02 003c 0001 64"),
    ("bad_flags", "21 02 00 00"),
    ("bad_flags", "41 02 0001"),
    ("bad_flags", "52 02 0001"),
    ("bad_flags", "60 02 0001"),
    ("bad_flags", "72 02 0001"),
    ("bad_flags", "80 06 0001 0001 61 00"),
    ("bad_flags", "83 06 0001 0001 61 00"),
    ("bad_flags", "92 03 0001 00"),
    ("bad_flags", "a0 05 0001 0001 61"),
    ("bad_flags", "b1 02 0001"),
    ("bad_flags", "c1 00"),
    ("bad_flags", "d8 00"),
    ("bad_flags", "e4 00"),
    ("bad_length", "c0 80808080"),
    ("bad_length", "30 ffffffff"),
    ("bad_length", "30 ffffffff7f"),
    ("bad_length", "30 8080808000"),
    # PUBLISH, 3.3
    ("bad_flags", "38 03 0001 61"),
    ("bad_flags", "39 03 0001 61"),
    ("bad_qos", "36 05 0001 61 0001"),
    ("bad_qos", "3e 05 0001 61 0001"),
    ("truncated", "30 00"),
    ("truncated", "30 01 00"),
    ("truncated", "30 03 0002 61"),
    ("truncated", "30 05 ffff 616161"),
    ("truncated", "32 03 0001 61"),
    ("truncated", "32 04 0001 61 00"),
    ("bad_packet_id", "32 05 0001 61 0000"),
    ("bad_packet_id", "34 06 0001 61 0000 78"),
    ("empty_topic", "30 02 0000"),
    ("empty_topic", "30 04 0000 7878"),
    ("empty_topic", "32 04 0000 0001"),
    ("wildcard_topic", "30 03 0001 23"),
    ("wildcard_topic", "30 03 0001 2b"),
    ("wildcard_topic", "30 05 0003 612f23"),
    ("wildcard_topic", "32 07 0003 2b2f61 0001"),
    ("nul_character", "30 05 0003 610062"),
    ("bad_utf8", "30 03 0001 ff"),
    ("bad_utf8", "30 04 0002 c080"),  # U+0000 in two bytes
    ("bad_utf8", "30 05 0003 eda080"),  # U+D800
    ("bad_utf8", "30 06 0004 f4908080"),  # U+110000
    # CONNECT, 3.1
    ("truncated", "10 00"),
    ("truncated", "10 06 0004 4d515454"),
    ("truncated", "10 07 0004 4d515454 04"),
    ("truncated", "10 09 0004 4d515454 04 02 00"),
    ("truncated", "10 0a 0004 4d515454 04 02 003c"),
    ("truncated", "10 0d 0004 4d515454 04 02 003c 0002 64"),
    ("truncated", "10 0d 0004 4d515454 04 82 003c 0001 64"),
    ("truncated", "10 0d 0004 4d515454 04 06 003c 0001 64"),
    ("trailing_bytes", "10 0e 0004 4d515454 04 02 003c 0001 64 00"),
    ("bad_protocol", "10 0d 0004 4d515458 04 02 003c 0001 64"),
    ("bad_protocol", "10 0d 0004 6d717474 04 02 003c 0001 64"),
    ("bad_protocol", "10 09 0000 04 02 003c 0001 64"),
    ("bad_connect_flags", "10 0d 0004 4d515454 04 03 003c 0001 64"),
    ("bad_connect_flags", "10 0d 0004 4d515454 04 0a 003c 0001 64"),
    ("bad_connect_flags", "10 0d 0004 4d515454 04 22 003c 0001 64"),
    ("bad_connect_flags", "10 10 0004 4d515454 04 42 003c 0001 64 0001 70"),
    ("bad_qos", "10 13 0004 4d515454 04 1e 003c 0001 64 0001 74 0001 6d"),
    ("wildcard_topic", "10 13 0004 4d515454 04 06 003c 0001 64 0001 2b 0001 6d"),
    ("empty_topic", "10 12 0004 4d515454 04 06 003c 0001 64 0000 0001 6d"),
    ("bad_utf8", "10 0d 0004 4d515454 04 02 003c 0001 ff"),
    ("nul_character", "10 0d 0004 4d515454 04 02 003c 0001 00"),
    ("bad_utf8", "10 10 0004 4d515454 04 82 003c 0001 64 0001 ff"),
    # CONNACK, 3.2
    ("bad_code", "20 02 00 06"),
    ("bad_connect_flags", "20 02 02 00"),
    ("bad_connect_flags", "20 02 01 05"),
    ("truncated", "20 01 00"),
    ("trailing_bytes", "20 03 00 00 00"),
    # Packets of one identifier, 3.4 to 3.7 and 3.11
    *[
        (word, f"{first} {rest}")
        for first in ("40", "50", "62", "70", "b0")
        for word, rest in [
            ("bad_packet_id", "02 0000"),
            ("truncated", "00"),
            ("truncated", "01 00"),
            ("trailing_bytes", "03 000100"),
        ]
    ],
    # SUBSCRIBE, SUBACK, UNSUBSCRIBE, 3.8 to 3.10
    ("no_filters", "82 02 0001"),
    ("no_filters", "90 02 0001"),
    ("no_filters", "a2 02 0001"),
    ("bad_packet_id", "82 06 0000 0001 61 00"),
    ("bad_packet_id", "90 03 0000 00"),
    ("bad_packet_id", "a2 05 0000 0001 61"),
    ("bad_qos", "82 06 0001 0001 61 03"),
    ("bad_qos", "82 06 0001 0001 61 04"),
    ("bad_qos", "82 06 0001 0001 61 81"),
    ("truncated", "82 05 0001 0001 61"),
    ("truncated", "82 03 0001 00"),
    ("truncated", "82 07 0001 0001 61 00 00"),
    ("truncated", "a2 06 0001 0001 61 00"),
    ("empty_topic", "82 05 0001 0000 00"),
    ("empty_topic", "a2 04 0001 0000"),
    ("nul_character", "82 06 0001 0001 00 00"),
    ("bad_utf8", "a2 05 0001 0001 80"),
    ("bad_code", "90 03 0001 03"),
    ("bad_code", "90 03 0001 81"),
    # PINGREQ, PINGRESP, DISCONNECT, 3.12 to 3.14
    ("trailing_bytes", "c0 01 00"),
    ("trailing_bytes", "d0 01 00"),
    ("trailing_bytes", "e0 01 00"),
]


@pytest.mark.parametrize(("word", "text"), FAULTS, ids=[f"{word}: {text}" for word, text in FAULTS])
def test_refuses(word: str, text: str) -> None:
    with pytest.raises(MalformedPacket) as caught:
        reader().feed(bytes.fromhex(text))
    assert caught.value.reason == word
    assert caught.value.packets == []
    assert isinstance(caught.value, HealthSyncError)


def test_every_fault_is_tested() -> None:
    elsewhere = {Fault.NOT_CONNECT, Fault.TOO_LARGE, Fault.TOO_MANY_FILTERS}
    only_5 = {
        Fault.BAD_PROPERTY,
        Fault.BAD_VALUE,
        Fault.REPEATED_PROPERTY,
        Fault.NO_TOPIC,
        Fault.TOO_MANY_PROPERTIES,
    }  # test_mqtt5
    assert {word for word, _ in FAULTS} == {*Fault} - elsewhere - only_5


def test_the_first_byte_is_judged_alone() -> None:
    for first in range(256):
        legal = {raw[0] for _, raw, _ in EXAMPLES} | {0x32, 0x33, 0x34, 0x35, 0x3A, 0x3B, 0x3C, 0x3D}
        decoder = reader()
        if first in legal:
            assert decoder.feed(bytes((first,))) == []
        else:
            with pytest.raises(MalformedPacket):
                decoder.feed(bytes((first,)))
            assert decoder.pending == 0


def test_unusual_but_legal() -> None:
    """Control characters and non-characters are allowed to be received (1.5.3), lengths need not be minimal (2.2.3)."""
    topic = "\x01\ufffe/\U0010ffff"
    assert reader().feed(encode_publish(topic.encode(), b"")) == [Publish(topic.encode(), b"")]
    assert reader().feed(bytes.fromhex("c0 80808000")) == [Pingreq()]
    assert reader().feed(bytes.fromhex("30 838000 0001 61")) == [Publish(b"a", b"")]
    subscribe = Subscribe(1, (("#", 0), ("a/#/b", 1), ("+a", 2)))
    assert reader().feed(encode(subscribe)) == [subscribe]


# CONNECT and the first packet


@pytest.mark.parametrize("raw", [raw for raw, _ in SMALL if raw[0] != 0x10] + [b"\x16\x03\x01", b"GET /", b"\x00"])
def test_a_server_wants_connect_first(raw: bytes) -> None:
    decoder = Decoder(1_048_576)
    with pytest.raises(MalformedPacket) as caught:
        decoder.feed(raw[:1])
    assert caught.value.reason == "not_connect"
    assert decoder.pending == 0


def test_a_second_connect_is_left_to_the_caller() -> None:
    assert typed(Decoder(1000).feed(CONNECT * 2)) == typed([Connect("d", keep_alive=60)] * 2)


@pytest.mark.parametrize("level", [0, 1, 2, 5, 6, 0x84, 255])
def test_another_level_gives_only_name_and_level(level: int) -> None:
    """MQTT 5 has other fields after the level; CONNACK 1 needs none of them (3.1.2-2)."""
    head = b"\x00\x04MQTT" + bytes((level,))
    for rest in (b"", b"\xff", bytes.fromhex("02 003c 05 11 00000e10 0001 64")):
        raw = bytes((0x10, len(head) + len(rest))) + head + rest
        assert Decoder(1000).feed(raw) == [Connect("", protocol_level=level)]


def test_packets_behind_another_level_do_not_hide_it() -> None:
    with pytest.raises(MalformedPacket) as caught:
        Decoder(1000).feed(bytes.fromhex("10 07 0004 4d515454 05") + b"\xf0\x00")
    assert [packet.protocol_level for packet in caught.value.packets] == [5]


# Limits


def declared(first: int, size: int) -> bytes:
    """A fixed header."""
    out = bytearray((first,))
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes((*out, size))


@pytest.mark.parametrize("limit", [20, 127, 128, 129, 16_383, 16_384, 16_385, 70_000, 2_097_152])
def test_packet_limit_is_exact(limit: int) -> None:
    for size in (limit - 1, limit):
        payload = b"p" * (size - 3)
        decoder = Decoder(limit)
        decoder.feed(CONNECT)
        assert decoder.feed(declared(0x30, size) + b"\x00\x01t" + payload) == [Publish(b"t", payload)]
    decoder = Decoder(limit)
    decoder.feed(CONNECT)
    with pytest.raises(PacketTooLarge) as caught:
        decoder.feed(declared(0x30, limit + 1))
    assert caught.value.reason == "too_large"
    assert caught.value.hint
    assert decoder.pending == 0


@pytest.mark.parametrize("server", [True, False])
def test_first_limit_is_exact_and_only_for_the_first(server: bool) -> None:
    def connect(size: int) -> bytes:
        return encode(Connect("i" * (size - 12)))

    for size in (199, 200):
        decoder = Decoder(1000, first_limit=200, server=server)
        assert len(decoder.feed(connect(size))) == 1
        assert len(decoder.feed(connect(1000))) == 1
    assert len(Decoder(1000, 200, server).feed(connect(200) + connect(201))) == 2
    with pytest.raises(PacketTooLarge):
        Decoder(1000, first_limit=200, server=server).feed(connect(201)[:3])


def test_first_limit_holds_across_feeds() -> None:
    decoder = Decoder(1000, first_limit=200)
    assert decoder.feed(b"\x10") == []
    assert decoder.feed(b"\xc9") == []
    with pytest.raises(PacketTooLarge):
        decoder.feed(b"\x01")


def test_first_limit_never_exceeds_the_packet_limit() -> None:
    with pytest.raises(PacketTooLarge):
        Decoder(12, first_limit=8192).feed(CONNECT)
    assert len(Decoder(13, first_limit=8192).feed(CONNECT)) == 1


def test_256_megabytes_are_refused_from_five_bytes() -> None:
    decoder = Decoder(1_048_576)
    with pytest.raises(PacketTooLarge):
        decoder.feed(bytes.fromhex("10 ffffff7f"))
    assert decoder.pending == 0


def test_the_first_packet_takes_8_kib_unless_told_otherwise() -> None:
    assert len(Decoder(1_048_576).feed(encode(Connect("i" * (8192 - 12))))) == 1
    with pytest.raises(PacketTooLarge):
        Decoder(1_048_576).feed(encode(Connect("i" * (8193 - 12))))


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 512, 40_000])
def test_long_topics_before_long_payloads(size: int, qos: int) -> None:
    packet = Publish(b"t" * size, b"p" * 100_000, qos, False, False, 0x1234 if qos else 0)
    assert reader().feed(encode(packet)) == [packet]


def test_the_fast_paths_serve_ordinary_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slower parsers accept the same bytes, so nothing else would notice."""
    pubacks = [Puback(number) for number in (1, 255, 256, 65_535)]
    publishes = [Publish(b"t" * size, b"x", 1, packet_id=number) for size in (1, 300) for number in (1, 256, 65_535)]
    shortest = [Publish(b"t", b""), Publish(b"t", b"", 1, packet_id=1)]
    monkeypatch.setattr(v3, "publish", None)
    monkeypatch.setattr(v3, "PARSERS", dict.fromkeys(v3.PARSERS))
    expected = [*pubacks, *publishes, *shortest]
    assert typed(reader().feed(b"".join(map(encode, expected)))) == typed(expected)


def test_a_longest_topic() -> None:
    topic = b"/" * 65_535
    assert reader().feed(encode_publish(topic, b"x")) == [Publish(topic, b"x")]


def test_many_filters() -> None:
    filters = tuple((f"f/{number}", 1) for number in range(MAX_FILTERS))
    assert reader().feed(encode(Subscribe(1, filters))) == [Subscribe(1, filters)]
    names = tuple(name for name, _ in filters)
    assert reader().feed(encode(Unsubscribe(1, names))) == [Unsubscribe(1, names)]
    for packet in (Subscribe(1, (*filters, ("one", 0))), Unsubscribe(1, (*names, "one"))):
        with pytest.raises(PacketTooLarge) as caught:
            reader().feed(encode(packet))
        assert caught.value.reason == "too_many_filters"


# State


def test_packets_before_the_fault_are_handed_over() -> None:
    decoder = Decoder(1000)
    with pytest.raises(ProtocolError) as caught:
        decoder.feed(CONNECT + encode_puback(7) + b"\xc1\x00" + encode_puback(8))
    assert typed(caught.value.packets) == typed([Connect("d", keep_alive=60), Puback(7)])


def test_packets_of_earlier_feeds_are_not_repeated() -> None:
    decoder = Decoder(1000)
    assert decoder.feed(CONNECT + encode_puback(7)[:3]) == [Connect("d", keep_alive=60)]
    with pytest.raises(MalformedPacket) as caught:
        decoder.feed(encode_puback(7)[3:] + b"\x00")
    assert typed(caught.value.packets) == typed([Puback(7)])


@pytest.mark.parametrize(
    ("raw", "kind", "word"),
    [(b"\xf0\x00", MalformedPacket, "bad_type"), (b"\x30\xff\x7f", PacketTooLarge, "too_large")],
)
def test_after_a_fault_everything_is_refused(raw: bytes, kind: type[ProtocolError], word: str) -> None:
    decoder = Decoder(1000)
    decoder.feed(CONNECT)
    with pytest.raises(kind) as first:
        decoder.feed(encode_puback(1) + raw)
    for data in (b"", encode_puback(1), raw):
        with pytest.raises(kind) as again:
            decoder.feed(data)
        assert again.value is not first.value
        assert again.value.reason == word
        assert str(again.value) == str(first.value)
        assert again.value.packets == []
        assert decoder.pending == 0
    assert len(first.value.packets) == 1


def test_nothing_in_nothing_out() -> None:
    decoder = Decoder(1000)
    assert decoder.feed(b"") == []
    decoder.feed(CONNECT + b"\x40")
    assert decoder.feed(b"") == []
    assert decoder.pending == 1


def test_at_most_one_packet_and_one_feed_are_held() -> None:
    limit, step = 50_000, 1000
    decoder = Decoder(limit)
    decoder.feed(CONNECT)
    stream = (declared(0x30, limit) + b"\x00\x01t" + bytes(limit - 3)) * 4
    found = 0
    for place in range(0, len(stream), step):
        found += len(decoder.feed(stream[place : place + step]))
        assert decoder.pending < limit + 5 + step
    assert found == 4


def test_an_unfinished_packet_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    parses = 0
    parse = Decoder._parse

    def counting(self: Decoder, *values: Any) -> int:
        nonlocal parses
        parses += 1
        return parse(self, *values)

    monkeypatch.setattr(Decoder, "_parse", counting)
    raw = encode_publish(b"t", bytes(1_000_000))
    decoder = Decoder(1_048_576, server=False, first_limit=1_048_576)
    found = [packet for place in range(0, len(raw), 1024) for packet in decoder.feed(raw[place : place + 1024])]
    assert len(found) == 1
    assert parses == 2


def test_known_topics_are_bounded_and_shared() -> None:
    decoder = reader()
    one, two = decoder.feed(encode_publish(b"a/b", b"1") + encode_publish(b"a/b", b"2"))
    assert one.topic is two.topic
    for number in range(100):
        decoder.feed(encode_publish(b"t/%d" % number, b""))
        assert len(decoder._known) <= 16
    decoder.feed(encode_publish(b"x" * 257, b""))
    assert all(len(topic) <= 256 for topic in decoder._known)


def test_a_bad_topic_is_never_learnt() -> None:
    decoder = reader()
    for topic in (b"a/#", b"\xff", b"a\0", b""):
        with pytest.raises(MalformedPacket):
            decoder.feed(b"\x30" + bytes((2 + len(topic), 0, len(topic))) + topic)
        assert not decoder._known
        decoder = reader()


def test_messages_repeat_nothing_of_the_packet() -> None:
    login = Connect("watch-1", username="zebra", password=b"quokka")
    for word, bad in [(b"zebra", b"zebr\xff"), (b"quokka", b"quokka"), (b"watch-1", b"watch-\0")]:
        raw = encode(login).replace(word, bad) + b"\xf0"
        with pytest.raises(MalformedPacket) as caught:
            Decoder(1000).feed(raw)
        shown = "".join(traceback.format_exception(caught.value))
        assert not any(secret in shown for secret in ("zebr", "quokka", "watch-"))
