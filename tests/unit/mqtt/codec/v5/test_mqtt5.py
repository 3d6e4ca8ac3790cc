"""MQTT 5.0: examples of the standard, every truncation and corruption, properties, and another implementation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties

from healthsync_mqtt.mqtt.codec import Decoder, EncodeError, Fault, PacketTooLarge, ProtocolError, v5
from healthsync_mqtt.mqtt.codec import encode as encode3
from healthsync_mqtt.mqtt.codec.packets import (
    NO_PROPERTIES,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Property,
    Puback,
    Publish,
    Suback,
    Subscribe,
    Unsuback,
    Will,
)
from healthsync_mqtt.mqtt.codec.v5 import encode, encode_puback
from healthsync_mqtt.mqtt.codec.v5 import publish as parse_publish
from healthsync_mqtt.mqtt.codec.v5.properties import (
    MAX_REPEATED,
    RULES,
    PropertyPlace,
    read,
    variable,
    write,
    write_variable,
)
from tests.unit.mqtt.codec.mqtt5_examples import CONNECT, EXAMPLES, NAMES, packets, publishes, reader
from tests.unit.mqtt.codec.mqtt_examples import CONNECT as CONNECT_3
from tests.unit.mqtt.codec.mqtt_examples import typed

BOTH = frozenset({3, 4, 5})
FAULTS = [
    ("bad_type", "00 00"),
    ("bad_flags", "f1 00"),
    ("bad_flags", "41 02 0001"),
    # PUBLISH, 3.3
    ("truncated", "30 03 0001 61"),
    ("truncated", "32 05 0001 61 0001"),
    ("truncated", "30 04 0001 61 01"),
    ("truncated", "30 06 0001 61 02 23 00"),
    ("bad_packet_id", "32 06 0001 61 0000 00"),
    ("no_topic", "30 03 0000 00"),
    ("no_topic", "30 05 0000 02 01 00"),
    ("bad_value", "30 07 0001 61 03 23 0000"),
    ("bad_value", "30 06 0001 61 02 01 02"),
    ("bad_value", "30 06 0001 61 02 0b 00"),
    ("bad_property", "30 06 0001 61 02 77 00"),
    ("bad_property", "30 07 0001 61 03 21 0001"),
    ("repeated_property", "30 08 0001 61 04 01 00 01 00"),
    ("wildcard_topic", "30 08 0001 61 04 08 0001 23"),
    ("empty_topic", "30 07 0001 61 03 08 0000"),
    ("bad_utf8", "30 08 0001 61 04 03 0001 ff"),
    ("nul_character", "30 08 0001 61 04 03 0001 00"),
    ("bad_length", "30 08 0001 61 80808080 00"),
    ("bad_length", "30 05 0001 61 8000"),
    # CONNECT and CONNACK, 3.1 and 3.2
    ("bad_connect_flags", "10 0e 0004 4d515454 05 03 003c 00 0001 64"),
    ("bad_value", "10 11 0004 4d515454 05 02 003c 03 21 0000 0001 64"),
    ("bad_value", "10 13 0004 4d515454 05 02 003c 05 27 00000000 0001 64"),
    ("bad_value", "10 10 0004 4d515454 05 02 003c 02 17 02 0001 64"),
    ("bad_value", "10 11 0004 4d515454 05 02 003c 03 16 0000 0001 64"),
    ("bad_property", "10 10 0004 4d515454 05 02 003c 02 24 01 0001 64"),
    ("truncated", "10 0d 0004 4d515454 05 02 003c 00 0001"),
    ("trailing_bytes", "10 0f 0004 4d515454 05 02 003c 00 0001 64 00"),
    ("bad_code", "20 03 00 01 00"),
    ("bad_connect_flags", "20 03 01 87 00"),
    ("truncated", "20 02 00 00"),
    # Acknowledgements, 3.4 to 3.7
    ("bad_code", "40 03 0001 01"),
    ("bad_code", "62 03 0001 10"),
    ("truncated", "40 04 0001 00 01"),
    ("trailing_bytes", "40 05 0001 00 00 00"),
    ("bad_property", "40 07 0001 00 03 21 0001"),
    # SUBSCRIBE to UNSUBACK, 3.8 to 3.11
    ("bad_value", "82 07 0001 00 0001 61 03"),
    ("bad_value", "82 07 0001 00 0001 61 30"),
    ("bad_qos", "82 07 0001 00 0001 61 40"),
    ("bad_value", "82 10 0001 00 000a 2473686172652f672f61 04"),
    ("repeated_property", "82 0b 0001 04 0b 01 0b 02 0001 61 00"),
    ("no_filters", "82 03 0001 00"),
    ("no_filters", "90 03 0001 00"),
    ("bad_code", "90 04 0001 00 03"),
    ("bad_code", "b0 04 0001 00 01"),
    ("empty_topic", "a2 05 0001 00 0000"),
    # DISCONNECT and AUTH, 3.14 and 3.15
    ("bad_code", "e0 01 01"),
    ("bad_value", "f0 01 19"),
    ("bad_value", "f0 02 19 00"),
    ("bad_code", "f0 01 87"),
]


@pytest.mark.parametrize(("name", "raw", "packet"), EXAMPLES, ids=NAMES)
def test_examples_of_the_standard(name: str, raw: bytes, packet: Packet) -> None:
    assert typed(reader().feed(raw)) == typed([packet])
    assert encode(packet) == raw


@pytest.mark.parametrize(("name", "raw", "packet"), EXAMPLES, ids=NAMES)
def test_every_truncation_waits_and_every_cut_gives_the_same(name: str, raw: bytes, packet: Packet) -> None:
    for cut in range(len(raw)):
        decoder = reader()
        assert decoder.feed(raw[:cut]) == []
        assert typed(decoder.feed(raw[cut:])) == typed([packet])


@pytest.mark.parametrize(("fault", "raw"), FAULTS, ids=[f"{fault}: {raw}" for fault, raw in FAULTS])
def test_what_is_refused(fault: str, raw: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        reader().feed(bytes.fromhex(raw))
    assert caught.value.reason == fault


def test_every_fault_of_version_5_alone_is_tested() -> None:
    only_5 = {Fault.BAD_PROPERTY, Fault.BAD_VALUE, Fault.REPEATED_PROPERTY, Fault.NO_TOPIC}
    assert only_5 <= {fault for fault, _ in FAULTS}


def test_too_many_user_properties() -> None:
    many = {Property.USER_PROPERTY: (("k", "v"),) * MAX_REPEATED}
    packet = Publish(b"t", b"", 0, False, False, 0, many)
    assert reader().feed(encode(packet)) == [packet]
    more = b"\x26\x00\x01k\x00\x01v" * (MAX_REPEATED + 1)
    with pytest.raises(PacketTooLarge) as caught:
        read(write_variable(len(more)) + more, 0, len(more) + 2, PropertyPlace.PUBLISH)
    assert caught.value.reason is Fault.TOO_MANY_PROPERTIES
    with pytest.raises(EncodeError):
        write({Property.USER_PROPERTY: (("k", "v"),) * (MAX_REPEATED + 1)}, PropertyPlace.PUBLISH)


def test_the_version_of_a_connection_is_that_of_its_connect() -> None:
    answer = b"\x40\x03\x00\x01\x10"
    five = Decoder(1000, versions=BOTH)
    assert five.feed(CONNECT + answer) == [Connect("d", True, 60, protocol_level=5), Puback(1, 0x10)]
    three = Decoder(1000, versions=BOTH)
    assert three.feed(CONNECT_3) == [Connect("d", True, 60)]
    with pytest.raises(ProtocolError):
        three.feed(answer)
    for raw in (b"\xf0\x00", bytes.fromhex("f0 0b 19 09 15 0001 6d 16 0002 0001")):
        again = Decoder(1000, versions=BOTH)
        again.feed(CONNECT_3)
        with pytest.raises(ProtocolError) as caught:
            again.feed(raw)
        assert caught.value.reason is Fault.BAD_TYPE


def test_a_server_without_version_5_sees_its_level_and_no_more() -> None:
    (packet,) = Decoder(1000).feed(CONNECT)
    assert packet == Connect("", protocol_level=5)


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


def test_every_corruption_of_every_byte_is_a_packet_or_a_protocol_error() -> None:
    for _, raw, _ in EXAMPLES:
        for place in range(len(raw)):
            for value in range(256):
                broken = raw[:place] + bytes((value,)) + raw[place + 1 :]
                decoder = reader()
                try:
                    found = decoder.feed(broken)
                except ProtocolError as error:
                    found = error.packets
                else:
                    assert found or decoder.pending
                for packet in found:
                    if getattr(packet, "protocol_level", 5) == 5:
                        assert typed(reader().feed(encode(packet))) == typed([packet])


@given(st.sampled_from(range(0x30, 0x40)), st.binary(max_size=30) | publishes().map(lambda p: encode(p)[2:]))
@settings(max_examples=500, deadline=None)
def test_the_fast_path_and_the_parser_of_publish_agree(first: int, body: bytes) -> None:
    body = body[:120]
    try:
        fast: object = reader().feed(bytes((first, len(body))) + body)[0]
    except ProtocolError as error:
        fast = str(error.reason)
    try:
        slow: object = parse_publish(first, body, 0, len(body))
    except ProtocolError as error:
        slow = str(error.reason)
    assert fast == slow


@given(st.integers(0, 268_435_455))
def test_variable_integers_are_as_short_as_they_can_be(value: int) -> None:
    raw = write_variable(value)
    assert variable(raw, 0, len(raw)) == (value, len(raw))
    assert len(raw) == 1 + (value > 0x7F) + (value > 0x3FFF) + (value > 0x1F_FFFF)


ONLY_5: list[Packet] = [
    Publish(b"t", b"", 0, False, False, 0, {Property.TOPIC_ALIAS: 1}),
    Puback(1, 0x10),
    Puback(1, 0, {Property.REASON_STRING: "x"}),
    Connack(False, 0, {Property.RECEIVE_MAXIMUM: 1}),
    Subscribe(1, (("a", 0),), {Property.SUBSCRIPTION_ID: (1,)}),
    Subscribe(1, (("a", 4),)),
    Suback(1, (0,), {Property.REASON_STRING: "x"}),
    Unsuback(1, (0,)),
    Disconnect(4),
    Auth(),
    Connect("d", protocol_level=5),
    Connect("d", will=Will("t", b"", 0, False, {Property.WILL_DELAY: 1})),
]


@pytest.mark.parametrize("packet", ONLY_5, ids=lambda packet: type(packet).__name__)
def test_what_only_version_5_can_say_has_no_bytes_in_3_1_1(packet: Packet) -> None:
    with pytest.raises(EncodeError):
        encode3(packet)


NO_BYTES: list[Packet] = [
    Publish(b"", b""),
    Publish(b"t", b"", 0, False, False, 0, {Property.RECEIVE_MAXIMUM: 1}),
    Publish(b"t", b"", 0, False, False, 0, {Property.TOPIC_ALIAS: 0}),
    Publish(b"t", b"", 0, False, False, 0, {Property.RESPONSE_TOPIC: "a/#"}),
    Publish(b"t", b"", 1),
    Puback(1, 0x01),
    Puback(0),
    Connack(True, 0x87),
    Connack(False, 5),
    Subscribe(1, ()),
    Subscribe(1, (("a", 3),)),
    Subscribe(1, (("$share/g/a", 4),)),
    Subscribe(1, (("a", 0),), {Property.SUBSCRIPTION_ID: (1, 2)}),
    Suback(1, (3,)),
    Unsuback(1),
    Disconnect(1),
    Auth(0x19),
    Connect("d"),
    Connect("d", protocol_level=5, properties={Property.AUTHENTICATION_DATA: b""}),
]


@pytest.mark.parametrize("packet", NO_BYTES, ids=lambda packet: type(packet).__name__)
def test_what_version_5_has_no_bytes_for(packet: Packet) -> None:
    with pytest.raises(EncodeError):
        encode(packet)


def test_pubacks_are_as_short_as_they_can_be() -> None:
    assert encode_puback(10) == bytes.fromhex("40 02 000a")
    assert encode_puback(10, 0x99) == bytes.fromhex("40 03 000a 99")
    about = {Property.REASON_STRING: "x"}
    assert encode_puback(10, 0, about) == encode(Puback(10, 0, about))


PAHO = [
    (PropertyPlace.CONNECT, PacketTypes.CONNECT, Property.SESSION_EXPIRY, "SessionExpiryInterval", 77),
    (PropertyPlace.CONNECT, PacketTypes.CONNECT, Property.AUTHENTICATION_METHOD, "AuthenticationMethod", "m"),
    (PropertyPlace.CONNACK, PacketTypes.CONNACK, Property.SERVER_KEEP_ALIVE, "ServerKeepAlive", 30),
    (PropertyPlace.CONNACK, PacketTypes.CONNACK, Property.MAXIMUM_QOS, "MaximumQoS", 1),
    (PropertyPlace.PUBLISH, PacketTypes.PUBLISH, Property.CORRELATION_DATA, "CorrelationData", b"\0\xff"),
    (PropertyPlace.PUBLISH, PacketTypes.PUBLISH, Property.MESSAGE_EXPIRY, "MessageExpiryInterval", 2**32 - 1),
    (PropertyPlace.WILL, PacketTypes.WILLMESSAGE, Property.WILL_DELAY, "WillDelayInterval", 5),
    (PropertyPlace.PUBACK, PacketTypes.PUBACK, Property.REASON_STRING, "ReasonString", "ä"),
    (PropertyPlace.DISCONNECT, PacketTypes.DISCONNECT, Property.SERVER_REFERENCE, "ServerReference", "h:1"),
]


@pytest.mark.parametrize(("place", "theirs", "name", "attribute", "value"), PAHO, ids=[row[3] for row in PAHO])
def test_properties_through_paho(
    place: PropertyPlace, theirs: int, name: Property, attribute: str, value: object
) -> None:
    paho = PahoProperties(theirs)
    setattr(paho, attribute, value)
    paho.UserProperty = ("k", "v")
    raw = paho.pack()
    ours = {name: value, Property.USER_PROPERTY: (("k", "v"),)}
    assert read(raw, 0, len(raw), place) == (ours, len(raw))
    back = PahoProperties(theirs)
    back.unpack(write(ours, place))
    assert getattr(back, attribute) == value
    assert back.UserProperty == [("k", "v")]


def test_both_implementations_allow_the_same_properties_in_the_same_packets() -> None:
    paho = PahoProperties(PacketTypes.CONNECT)
    for number, (_, packet_types) in paho.properties.items():
        places = {0 if kind == PacketTypes.WILLMESSAGE else kind for kind in packet_types}
        ours = {int(place) for place in RULES[number].places}
        assert ours == places, Property(number).name
    assert set(paho.properties) == set(RULES)
    assert NO_PROPERTIES == {}


def test_the_fast_paths_serve_ordinary_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slower parsers accept the same bytes, so nothing else would notice."""
    plain: list[Packet] = [Puback(65_535), Publish(b"t", b""), Publish(b"t" * 300, b"x", 1, packet_id=1)]
    monkeypatch.setattr(v5, "publish", None)
    monkeypatch.setattr(v5, "PARSERS", dict.fromkeys(v5.PARSERS))
    assert typed(reader().feed(b"".join(map(encode, plain)))) == typed(plain)
