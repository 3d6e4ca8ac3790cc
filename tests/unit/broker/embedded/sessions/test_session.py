"""A session's queue, window and QoS exchanges, without a socket."""

from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.broker.embedded.limits.budget import ByteBudget
from healthsync_mqtt.broker.embedded.sessions.retained_messages import RetainedMessages
from healthsync_mqtt.broker.embedded.sessions.session import Message, Session
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.mqtt.codec import Decoder
from healthsync_mqtt.mqtt.codec.packets import Packet, Publish, Pubrel

ALICE = Principal(role=Role.device, client_id="alice-watch", user="alice", device="watch")


def session(window: int = 3, queue_limit: int = 5, principal: Principal = ALICE) -> Session:
    budget, retained = ByteBudget(1 << 30, 1 << 24), RetainedMessages(ByteBudget(1 << 20, 1 << 20), owner=str)
    made = Session(principal, persistent=True, window=window, queue_limit=queue_limit, budget=budget, retained=retained)
    made.connected = True
    return made


def resumed(s: Session) -> bytes:
    s.resume()
    return s.transmit()


def packets(data: bytes) -> list[Packet]:
    return Decoder(1 << 20, server=False).feed(data)


def message(number: int, qos: int = 1, after: int = -1) -> Message:
    return Message(b"t", b"%d" % number, qos, after=after)


def test_window_bounds_what_is_out_and_an_acknowledgement_opens_it() -> None:
    s = session()
    for n in range(5):
        assert s.offer(message(n))
    assert not s.offer(message(5))
    assert s.dropped == 1
    assert [(p.payload, p.packet_id) for p in packets(s.transmit())] == [(b"0", 1), (b"1", 2), (b"2", 3)]
    assert s.transmit() == b""
    s.on_puback(2)
    assert [(p.payload, p.packet_id) for p in packets(s.transmit())] == [(b"3", 4)]


def test_canonical_messages_are_not_refused_for_their_number() -> None:
    s = session(window=1, queue_limit=1)
    assert all(s.offer(message(n, after=n)) for n in range(50))
    assert s.room == 0
    assert not s.offer(message(51))


def test_qos_0_waits_for_no_window_but_behind_what_is_before_it() -> None:
    s = session(window=1)
    for n, qos in enumerate((0, 1, 0, 1)):
        s.offer(message(n, qos))
    assert [p.payload for p in packets(s.transmit())] == [b"0", b"1", b"2"]


def test_qos_0_is_for_the_connected_only() -> None:
    s = session()
    s.offer(message(0, 0))
    s.offer(message(1, 1))
    s.disconnect()
    assert not s.offer(message(2, 0))
    assert s.offer(message(3, 2))
    assert [p.payload for p in packets(s.transmit())] == [b"1", b"3"]


def test_resume_sends_publish_and_pubrel_in_their_first_order() -> None:
    s = session()
    for n, qos in enumerate((1, 2, 2)):
        s.offer(message(n, qos))
    s.transmit()
    assert packets(s.on_pubrec(2)) == [Pubrel(2)]
    again = packets(resumed(s))
    assert [(type(p), p.packet_id) for p in again] == [(Publish, 1), (Pubrel, 2), (Publish, 3)]
    assert all(p.dup for p in again if isinstance(p, Publish))
    s.on_pubcomp(2)
    assert [p.packet_id for p in packets(resumed(s))] == [1, 3]


def test_wrong_acknowledgements_change_nothing() -> None:
    s = session()
    s.offer(message(0, 1))
    s.offer(message(1, 2))
    s.transmit()
    s.on_puback(2)
    s.on_pubcomp(2)
    s.on_pubcomp(1)
    s.on_puback(9)
    assert packets(s.on_pubrec(9)) == [Pubrel(9)]
    assert packets(s.on_pubrec(1)) == [Pubrel(1)]
    assert s.backlog == 2


def test_packet_ids_skip_what_is_in_flight() -> None:
    s = session(window=2, queue_limit=200_000)
    s.offer(message(0))
    s.transmit()
    for n in range(65_534):
        s.offer(message(n))
        (sent,) = packets(s.transmit())
        assert sent.packet_id != 1
        s.on_puback(sent.packet_id)
    s.offer(message(1))
    assert packets(s.transmit())[0].packet_id == 2


def test_acknowledged_position_is_before_whatever_is_out() -> None:
    s = session()
    assert s.acknowledged_position() is None
    s.position = 10
    assert s.acknowledged_position() == 10
    for n, after in enumerate((10, 20, 30, 40)):
        s.offer(message(n, after=after))
    s.position = 50
    s.transmit()
    assert s.acknowledged_position() == 10
    s.on_puback(2)
    assert s.acknowledged_position() == 10
    s.on_puback(1)
    assert s.acknowledged_position() == 30
    s.on_puback(3)
    s.transmit()
    s.on_puback(4)
    assert s.acknowledged_position() == 50


@given(st.lists(st.tuples(st.sampled_from(("offer", "send", "ack", "lose")), st.integers(0, 2)), max_size=60))
def test_everything_above_qos_0_arrives_in_order_whatever_happens(steps: list[tuple[str, int]]) -> None:
    """A client that acknowledges late and loses connections sees every message, first sightings in order."""
    s = session(window=3, queue_limit=1000)
    offered: list[bytes] = []
    seen: list[bytes] = []
    out: list[Publish] = []

    def receive(data: bytes) -> None:
        for packet in packets(data):
            if isinstance(packet, Publish):
                if packet.qos and packet.payload not in seen:
                    seen.append(packet.payload)
                out.append(packet)

    def acknowledge() -> None:
        if out:
            packet = out.pop(0)
            if packet.qos == 1:
                s.on_puback(packet.packet_id)
            elif packet.qos == 2:
                s.on_pubrec(packet.packet_id)
                s.on_pubcomp(packet.packet_id)

    for n, (step, qos) in enumerate(steps):
        if step == "offer":
            s.offer(message(n, qos))
            if qos:
                offered.append(b"%d" % n)
        elif step == "send":
            receive(s.transmit(1))
        elif step == "ack":
            acknowledge()
        else:
            s.disconnect()
            out.clear()
            s.resume()
            receive(s.transmit(1))
    while s.backlog:
        receive(s.transmit())
        acknowledge()
    assert seen == offered
