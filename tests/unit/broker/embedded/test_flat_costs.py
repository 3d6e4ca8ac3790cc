"""What one client costs does not grow with how many others there are: counted in calls, not in time."""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from healthsync_mqtt.broker.embedded.limits.budget import ByteBudget
from healthsync_mqtt.broker.embedded.limits.heaviest import Heaviest
from healthsync_mqtt.broker.embedded.sessions.index import GrantedQos
from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained, RetainedMessages
from healthsync_mqtt.broker.embedded.sessions.session import Message
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.model.principal import Principal, Role
from tests.support.steps import calls
from tests.unit.broker.embedded.sessions.test_sessions import APP, RULES, FakeLink


def device(n: int) -> Principal:
    return Principal(role=Role.device, client_id=f"u{n}-w", user=f"u{n}", device="w")


def crowd(size: int) -> tuple[Sessions, list[FakeLink]]:
    """So many devices with a session, filters of their own and a retained status; half of them away."""
    all_ = Sessions(LimitSettings(session_expiry_s=100, max_sessions=100_000), RULES)
    links = []
    for n in range(size):
        link = FakeLink(all_, device(n))
        for word in ("receipts", "commands"):
            all_.subscribe(link.session, f"users/u{n}/devices/w/{word}", GrantedQos.of(1))
        all_.retained.keep(Retained(f"users/u{n}/devices/w/status", b"on", 1, n))
        links.append(link)
    for link in links[::2]:
        link.leave(now=50.0)
    return all_, links


WORK: dict[str, Callable[[Sessions, list[FakeLink]], object]] = {
    "a client leaves": lambda all_, links: links[1].leave(now=60.0),
    "a client comes back": lambda all_, links: FakeLink(all_, device(2)),
    "nobody has expired": lambda all_, links: all_.expire(149.0),
    "a message for one": lambda all_, links: all_.index.match("users/u3/devices/w/commands"),
    "what is retained for one filter": lambda all_, links: all_.retained.match("users/u3/devices/+/status"),
    "a subscription": lambda all_, links: all_.subscribe(links[1].session, "users/u1/devices/w/x", GrantedQos.of(1)),
    "an identity is revoked": lambda all_, links: all_.revoke(device(5).client_id),
}


async def test_ten_thousand_devices_cost_one_of_them_nothing() -> None:
    few, many = crowd(20), crowd(10_000)
    for name, work in WORK.items():
        cost = calls(lambda work=work: work(*many))  # type: ignore[misc]
        assert cost == calls(lambda work=work: work(*few)), name  # type: ignore[misc]
        assert cost < 400, name


async def test_expiry_costs_those_who_go() -> None:
    all_ = Sessions(LimitSettings(session_expiry_s=10, max_sessions=100_000), RULES)
    for n in range(2_000):
        FakeLink(all_, replace(APP, client_id=f"c{n}")).leave(now=float(n >= 10) * 5)
    assert calls(lambda: all_.expire(10.5)) < 1_000
    assert len(all_.snapshot()) == 1_990


FULL = LimitSettings(max_sessions=100_000, max_packet=65_536, session_bytes=400_000, sessions_bytes=1_569_026)


def full(size: int) -> tuple[Sessions, FakeLink]:
    """So many sessions, of which four hold all that all together may hold: the first of them a little more."""
    all_ = Sessions(FULL, RULES)
    links = [FakeLink(all_, device(n)) for n in range(size)]
    for link in links[:4]:
        for _ in range(6):
            all_.give(link.session, Message(b"t", bytes(65_000), 1))
    all_.give(links[0].session, Message(b"t", bytes(9_000), 1))
    assert all_.held_bytes == 1_569_025
    return all_, links[0]


async def test_a_message_that_finds_no_room_costs_no_look_at_all_sessions() -> None:
    """It was 1.9 ms of each message with 20,000 sessions, while one user's four clients held all there is."""
    costs = []
    for all_, greedy in (full(10), full(10_000)):
        give = partial(all_.give, greedy.session, Message(b"t", bytes(100), 1))
        give()  # the line of log
        costs.append(calls(give))
        assert greedy.session.dropped == 2
    assert costs[0] == costs[1] < 100


async def test_what_a_session_does_not_take_costs_no_other_session_its_messages() -> None:
    """Half of what the fullest kept was given up each time, for a message that was dropped all the same."""
    all_, greedy = full(10)
    away = FakeLink(all_, device(9), clean=False)
    away.leave()
    for qos in (0, 1):  # who is away gets none of QoS 0
        before = greedy.session.held_bytes
        all_.give(away.session, Message(b"t", b"x", qos))
        assert (away.session.backlog, greedy.session.held_bytes < before) == (qos, bool(qos))


class Held(dict[str, int]):
    """What users hold, looked up for one of them only."""

    def __iter__(self) -> Any:
        pytest.fail("all users were looked at")


def test_a_retained_message_that_finds_no_room_costs_no_look_at_all_users() -> None:
    costs = []
    for size in (10, 5_000):
        kept = RetainedMessages(ByteBudget(1_000_000, 1_000_000), owner=RULES.owner)
        new = Retained("users/greedy/devices/new/status", bytes(70_000), 1)
        for n in range(size):
            kept.keep(Retained(f"users/u{n}/devices/w/status", b"on", 1))
        for n in range(200):
            kept.keep(Retained(f"users/greedy/devices/d{n}/status", bytes(5_000), 1))
        kept._held = Held(kept._held)
        costs.append(calls(partial(kept.keep, new)))
        assert kept.dropped > 0
    assert costs[0] == costs[1]


def test_whoever_is_found_holds_most_but_for_a_step() -> None:
    chance, heaviest, held = random.Random(7), Heaviest[int](1 << 24), dict[int, int]()
    for _ in range(3_000):
        holder = chance.randrange(300)
        now = 0 if chance.random() < 0.3 else int(2 ** chance.uniform(0, 24))
        heaviest.moved(holder, held.get(holder, 0), now)
        held[holder] = now
        found = heaviest.find(held.__getitem__)
        assert (found is None) == (not any(held.values()))
        assert found is None or held[found] >= max(held.values()) - (1 << 17)
    for holder, before in held.items():
        heaviest.moved(holder, before, 0)
    assert heaviest.find(held.__getitem__) is None
