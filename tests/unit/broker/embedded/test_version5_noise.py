"""Whatever a client of MQTT 5 sends, the machine of its connection answers with packets that have bytes, or ends it."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from healthsync_mqtt.broker.embedded.actions import Acknowledge, EndConnection, Events, Judge, Relay, Renew, Send
from healthsync_mqtt.broker.embedded.admission import LEAST_PACKET
from healthsync_mqtt.broker.embedded.dialect import Dialect5, dialect_of, forwarded
from healthsync_mqtt.broker.embedded.lifecycle import ConnectionState
from healthsync_mqtt.broker.embedded.protocol import Protocol
from healthsync_mqtt.broker.embedded.sessions.session import Message
from healthsync_mqtt.model.delivery import DeliveryVerdict
from healthsync_mqtt.mqtt.codec import Decoder, ProtocolError, v5
from healthsync_mqtt.mqtt.codec.packets import Connect, Packet, Property
from tests.unit.broker.embedded.sessions.test_session import session
from tests.unit.broker.embedded.states import MUCH, PACKETS, WATCH, Told, route
from tests.unit.broker.embedded.test_protocol5 import AUTH, METHOD

ASKED = st.fixed_dictionaries(
    {name: st.just(value) for name, value in METHOD.items()},
    optional={
        Property.RECEIVE_MAXIMUM: st.integers(1, 5),
        Property.MAXIMUM_PACKET_SIZE: st.integers(LEAST_PACKET, 300),
        Property.TOPIC_ALIAS_MAXIMUM: st.integers(0, 3),
        Property.REQUEST_PROBLEM_INFORMATION: st.integers(0, 1),
        Property.SESSION_EXPIRY: st.integers(0, 0xFFFF_FFFF),
    },
)
BYTES = [
    v5.encode(packet)
    for packet in (*PACKETS[2:], AUTH)
    if type(packet).__name__ not in {"Skipped", "Suback", "Unsuback"}
]


@st.composite
def noise(draw: st.DrawFn) -> bytes:
    """Packets, some of them damaged."""
    out = b""
    for packet in draw(st.lists(st.sampled_from(BYTES), max_size=12)):
        damaged = bytearray(packet)
        if draw(st.integers(0, 3)) == 0:
            damaged[draw(st.integers(0, len(damaged) - 1))] = draw(st.integers(0, 255))
        out += damaged
    return out


@settings(max_examples=200)
@given(ASKED, noise(), st.data())
def test_no_bytes_bring_the_machine_out_of_step(asked: dict[Property, Any], data: bytes, chance: st.DataObject) -> None:
    protocol = Protocol(Told(), max_unreleased=3, max_refused=3, receive_maximum=3)
    decoder = Decoder(4_096, 4_096, server=True, versions=frozenset({3, 4, 5}), skip=65_536)
    connect = Connect("alice-watch", protocol_level=5, properties=asked)
    dialect = dialect_of(connect)
    assert isinstance(dialect, Dialect5)
    most = asked.get(Property.MAXIMUM_PACKET_SIZE, 1 << 28)
    reader = Decoder(1 << 20, server=False, versions=frozenset({5}))
    kept = session(5, 100, WATCH)
    kept.resume(dialect)
    events: list[int] = []

    def perform(actions: list[Any]) -> None:
        for action in actions:
            sent = b""
            if isinstance(action, Judge):
                perform(protocol.admitted(kept, present=False, route=route))
            elif isinstance(action, Renew):
                perform(protocol.renewed(route))
            elif isinstance(action, Send):
                sent = dialect.packet(action.packet)
            elif isinstance(action, Acknowledge):
                sent = dialect.answers(action.tokens)
            elif isinstance(action, Events):
                events.extend(delivery.token for delivery in action.deliveries)
            elif isinstance(action, Relay):
                about = forwarded(action.message.properties)
                kept.offer(Message(action.message.topic, action.message.payload, action.message.qos, about=about))
                sent = kept.transmit()
                if action.held is not None:
                    perform(protocol.relayed(action.held))
            elif isinstance(action, EndConnection) and action.violation:
                sent = dialect.farewell(action.reason, action.rule)
                assert sent, action.reason
            for packet in reader.feed(sent):
                check(packet)

    def check(packet: Packet) -> None:
        assert len(v5.encode(packet)) <= most

    stream = v5.encode(connect) + data
    at = 0
    while at < len(stream) and protocol.state is not ConnectionState.CLOSED:
        end = at + chance.draw(st.integers(1, len(stream) - at))
        try:
            protocol.received(decoder.feed(stream[at:end]))
        except ProtocolError as error:
            protocol.received(error.packets)
            while protocol.ready:
                perform(protocol.run(MUCH))
            perform(protocol.violated(error.reason))
            break
        at = end
        while protocol.ready:
            perform(protocol.run(MUCH))
        if events and chance.draw(st.booleans()):
            verdict = DeliveryVerdict("e", 1, 0, 0, 1, "malformed", "value", rejections=("x" * 200,))
            perform(protocol.acknowledged(events, [verdict] * len(events)))
            events.clear()
