"""What sessions keep is bounded in bytes, shared, and given back; counted, not measured."""

import random

from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.broker.embedded.limits.budget import ByteBudget
from healthsync_mqtt.broker.embedded.sessions.index import GrantedQos
from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained, RetainedMessages
from healthsync_mqtt.broker.embedded.sessions.session import Message, Session
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.mqtt.codec import Decoder
from healthsync_mqtt.mqtt.codec.packets import Publish
from tests.unit.broker.embedded.sessions.test_session import ALICE
from tests.unit.broker.embedded.sessions.test_sessions import RULES, FakeLink

MIB = 1_048_576
STATUS = "users/alice/devices/w/status"


def held(session: Session) -> list[Message]:
    return [*(each.message for each in session._queue), *(flight.message for flight in session._inflight.values())]


async def test_an_absent_subscriber_keeps_no_more_than_its_bytes() -> None:
    """300 statuses of 1 MB to a client that is away made 295 MB."""
    all_ = Sessions(LimitSettings(), RULES)
    app = FakeLink(all_)
    all_.index.add(app.session, STATUS, 1)
    app.leave()
    for n in range(300):
        all_.fan_out(STATUS, n.to_bytes(4, "big") + bytes(1_000_000), 1)
    assert app.session.held_bytes == all_.held_bytes == sum(m.size for m in held(app.session))
    assert app.session.held_bytes <= 16 * MIB
    assert app.session.backlog == 16
    assert app.session.dropped == 284
    all_.revoke("app")
    assert all_.held_bytes == 0


async def test_a_filter_named_again_and_again_gets_one_replay() -> None:
    """37 KB of SUBSCRIBE packets naming one filter 32 times over a retained status of 1 MB made 1 GB."""
    all_ = Sessions(LimitSettings(), RULES)
    app = FakeLink(all_)
    payload = bytes(MIB)
    all_.routed(Retained(STATUS, payload, 1, 1), True)
    all_.index.add(app.session, STATUS, 1)
    for _ in range(32 * 32):
        all_.replay(app.session, STATUS, 1)
    assert app.session.held_bytes == 0
    data = app.session.transmit()
    assert len(data) < MIB + 100
    assert app.session.transmit() == b""
    assert [m.payload for m in held(app.session)] == [payload]
    assert held(app.session)[0].payload is payload


async def test_everyone_waits_for_the_same_copy() -> None:
    all_ = Sessions(LimitSettings(), RULES)
    payload = bytes(1000)
    waiting = []
    for n in range(10):
        app = FakeLink(all_, ALICE.__class__(role=ALICE.role, client_id=f"c{n}", user="alice", device=f"d{n}"))
        all_.index.add(app.session, STATUS, 1)
        waiting.append(app.session)
    all_.routed(Retained(STATUS, payload, 1, 1), True)
    assert all(held(session)[0].payload is payload for session in waiting)
    assert all_.retained.get(STATUS).payload is payload  # type: ignore[union-attr]


async def test_those_who_want_everything_leave_room_for_the_rest() -> None:
    all_ = Sessions(LimitSettings(sessions_bytes=8 * MIB, session_queue=1_000_000), RULES)
    for n in range(50):
        greedy = FakeLink(all_, ALICE.__class__(role=ALICE.role, client_id=f"g{n}", user="bob", device=f"d{n}"))
        greedy.leave()
        while greedy.session.offer(Message(b"t", bytes(1_000), 1)):
            pass
    assert all_.held_bytes > 8 * MIB - 2_000
    for n in range(100):
        small = FakeLink(all_, ALICE.__class__(role=ALICE.role, client_id=f"s{n}", user="carl", device=f"d{n}"))
        small.leave()
        all_.give(small.session, Message(b"t", bytes(10_000), 1))
        assert small.session.backlog == 1
        assert small.session.dropped == 0
    assert all_.held_bytes <= 8 * MIB


def test_what_is_in_flight_is_sent_again_in_pieces() -> None:
    """A reconnecting client with a full window of 1 MB messages does not get all of them into its socket at once."""
    budget = ByteBudget(1 << 30, 1 << 24)
    s = Session(
        ALICE, persistent=True, window=100, queue_limit=1000, budget=budget,
        retained=RetainedMessages(ByteBudget(1, 1), owner=str),
    )  # fmt: skip
    s.connected = True
    for _ in range(15):
        assert s.offer(Message(b"t", bytes(1_000_000), 1))
    while s.transmit():
        pass
    s.disconnect()
    s.resume()
    pieces = []
    while piece := s.transmit():
        pieces.append(piece)
    assert len(pieces) == 15
    assert max(map(len, pieces)) < 1_100_000


def test_no_canonical_message_is_fed_to_a_session_that_is_full_of_bytes() -> None:
    budget = ByteBudget(1 << 30, 1 << 20)
    s = Session(
        ALICE, persistent=True, window=100, queue_limit=1000, budget=budget,
        retained=RetainedMessages(ByteBudget(1, 1), owner=str),
    )  # fmt: skip
    s.connected = True
    assert s.room == 100
    s.offer(Message(b"t", bytes(600_000), 1, after=1))
    assert s.room == 0
    s.transmit()
    s.on_puback(1)
    assert s.room == 100


@given(st.integers(0, 2**32), st.lists(st.sampled_from(("offer", "send", "ack", "lose", "withhold", "replay"))))
def test_bytes_balance_whatever_happens(seed: int, steps: list[str]) -> None:
    chance = random.Random(seed)
    budget, retained = ByteBudget(20_000, 5_000), RetainedMessages(ByteBudget(10_000, 10_000), owner=str)
    retained.keep(Retained("r", b"y" * 500, 1, 1))
    s = Session(ALICE, persistent=True, window=3, queue_limit=10, budget=budget, retained=retained)
    s.connected = True
    out: list[Publish] = []
    for step in steps:
        match step:
            case "offer":
                s.offer(Message(chance.choice((b"a", b"b")), bytes(chance.randrange(2_000)), chance.randrange(3)))
            case "send":
                out += [
                    p for p in Decoder(1 << 20, server=False).feed(s.transmit()) if isinstance(p, Publish) and p.qos
                ]
            case "ack" if out:
                packet = out.pop(0)
                s.on_puback(packet.packet_id)
                s.on_pubrec(packet.packet_id)
                s.on_pubcomp(packet.packet_id)
            case "lose":
                s.disconnect()
                out.clear()
                s.resume()
            case "withhold":
                s.withhold(lambda topic: topic == "a")
            case "replay":
                s.replay("r", ["r"], GrantedQos.of(1), 1)
            case _:
                pass
        assert s.held_bytes == budget.used == sum(m.size for m in held(s))
        assert s.held_bytes <= 5_000
    s.forget()
    assert (s.held_bytes, budget.used) == (0, 0)
