"""The backlog is bounded, and who fills it holds nobody up who sends little."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bridge.pressure as pressure_module
from bridge.pressure import LITTLE, PLENTY, RESERVE, Pressure
from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.model.origin import Origin
from tests.unit.bridge.bench import Bench, delivery, event, origin, until

LIMIT = 1 << 20
REFUSED = [{"id": f"b{number}", "type": "heart_rate", "value": {"bpm": -1}} for number in range(500)]


def one(source: Any, user: str) -> Delivery:
    return Delivery(source, 1, Origin(user, "d", None, "t"), b"")


def who(each: Delivery) -> tuple[Any, str]:
    return each.source, each.origin.user


@pytest.fixture(autouse=True)
def _share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pressure_module, "GROUP_BYTES", LIMIT // 8)


def filled(pressure: Pressure, user: str = "mallory") -> list[Delivery]:
    """Deliveries of many connections of a user, until all together are over the limit."""
    held = []
    while pressure.size <= LIMIT:
        held.append(one(f"{user}{len(held)}", user))
        pressure.add(*who(held[-1]), LIMIT // 8, decoded=True)
        pressure.hold(held[-1].source, user)
    return held


def test_a_source_has_a_share_and_reads_again_at_half_of_it() -> None:
    pressure = Pressure(LIMIT)
    parts = [one("m", "mallory") for _ in range(3)]
    full = []
    for each in parts:
        pressure.add(*who(each), LIMIT // 16, decoded=True)
        full.append(pressure.hold("m", "mallory"))  # type: ignore[arg-type]
    assert full == [False, False, True]
    pressure.less(*who(parts[0]), LIMIT // 16, decoded=True)
    assert pressure.freed() == []
    pressure.less(*who(parts[1]), LIMIT // 16, decoded=True)
    assert pressure.freed() == ["m"]
    assert pressure.freed() == []


def test_when_all_is_full_who_sends_little_reads_on() -> None:
    pressure = Pressure(LIMIT)
    filled(pressure)
    assert not pressure.hold("b", "bob")  # type: ignore[arg-type]
    pressure.add(*who(one("b", "bob")), LIMIT // LITTLE + 1, decoded=True)
    assert pressure.hold("b", "bob")  # type: ignore[arg-type]
    pressure.less(*who(one("b", "bob")), LIMIT // LITTLE + 1, decoded=True)
    assert pressure.freed() == ["b"]


def test_coming_back_does_not_make_much_into_little() -> None:
    pressure = Pressure(LIMIT)
    filled(pressure)
    assert pressure.hold("new connection", "mallory")  # type: ignore[arg-type]
    assert pressure.hold("of whoever", None)  # type: ignore[arg-type]


def test_the_reserve_ends_too() -> None:
    pressure = Pressure(LIMIT)
    filled(pressure)
    held, number = False, 0
    while not held:
        number += 1
        each = one(number, f"u{number}")
        pressure.add(*who(each), LIMIT // LITTLE, decoded=True)
        held = pressure.hold(each.source, f"u{number}")
    assert LIMIT // RESERVE < number * (LIMIT // LITTLE) <= LIMIT // RESERVE + LIMIT // LITTLE


def test_while_somebody_waits_who_has_little_plenty_is_enough() -> None:
    """Nine batches of a flood were decoded beside the commit that a bystander waited for, half of all of its work."""
    pressure, plenty = Pressure(LIMIT), LIMIT // PLENTY + 1
    parts = [one(number, "mallory") for number in range(2)]
    for each in parts:
        pressure.add(*who(each), plenty // 2 + 1, decoded=True)
    pressure.add("e", "even", plenty - 1, decoded=True)  # type: ignore[arg-type]
    more, unread = one("m", "mallory"), one("n", "nora")
    pressure.add(*who(unread), plenty, decoded=False)
    pressure.add("l", "lena", plenty, decoded=True, in_parts=True)  # type: ignore[arg-type]
    assert not pressure.hold("m", "mallory"), "nobody else waits"  # type: ignore[arg-type]
    assert pressure.room(more)
    bob = one("b", "bob")
    pressure.add(*who(bob), LIMIT // LITTLE, decoded=True)
    assert pressure.hold("m", "mallory")  # type: ignore[arg-type]
    assert not pressure.room(more)
    assert not any(pressure.hold(user[0], user) for user in ("even", "bob", "nora", "lena"))  # type: ignore[arg-type]
    assert pressure.room(unread), "it has nothing decoded, and goes on always"
    pressure.less(*who(bob), LIMIT // LITTLE, decoded=True)
    assert pressure.freed() == ["m"]
    pressure.add(*who(bob), LIMIT // LITTLE, decoded=True)
    assert pressure.hold("m", "mallory")  # type: ignore[arg-type]
    assert pressure.freed() == []
    pressure.less(*who(parts[0]), plenty // 2 + 1, decoded=True)
    assert pressure.freed() == ["m"], "less is left than plenty"


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(1, LIMIT // 2), st.booleans()), max_size=40),
    st.randoms(),
    st.booleans(),
)
def test_what_is_worked_off_frees_everybody(came: list[tuple[int, int, int, bool]], chance: Any, much: bool) -> None:
    pressure = Pressure(LIMIT)
    held: set[Any] = set()
    parts = []
    pressure.ahead(much=much)
    for source, user, size, decoded in came:
        parts.append((one(source, f"u{user}"), size, decoded))
        pressure.add(*who(parts[-1][0]), size, decoded=decoded)
        if pressure.hold(parts[-1][0].source, f"u{user}"):
            held.add(source)
    chance.shuffle(parts)
    freed = []
    for each, size, decoded in parts:
        pressure.less(*who(each), size, decoded=decoded)
        freed += pressure.freed()
    pressure.ahead(much=False)
    freed += pressure.freed()
    assert sorted(map(str, freed)) == sorted(map(str, held))
    assert (pressure.size, pressure._little, pressure._decoded) == (0, 0, 0)
    assert (pressure._sources, pressure._users, pressure._decoded_of, pressure._of_user) == ({}, {}, {}, {})


async def test_fifty_connections_with_refused_batches_hold_no_bystander_up() -> None:
    """The backlog was full at once, and the bystander was told to read no more until half of it was worked off."""
    bench = Bench(backlog_limit=2_000_000)
    try:
        bench.log.gate.clear()
        crowd = [bench.source() for _ in range(50)]
        bob = bench.source()
        bench.pipeline.submit([delivery(bob, 1, event("b1"), origin("bob"))])
        told = [bench.pipeline.submit([delivery(each, n, REFUSED) for n in range(5)]) for each in crowd]
        assert told[0]
        assert all(told)
        assert not bench.pipeline.submit([delivery(bob, 2, event("b2"), origin("bob"))])
        bench.log.gate.set()
        await until(lambda: bob.tokens == [1, 2])
        assert sum(len(each.tokens) for each in crowd) < 25
        await bench.settle()
        assert [each.tokens for each in crowd] == [list(range(5))] * 50
        assert bob.resumed == 0
        assert {each.resumed for each in crowd} == {1}
        assert bench.pipeline.backlog == 0
    finally:
        bench.close()


async def test_what_waits_decoded_is_bounded_however_much_waits_undecoded() -> None:
    """A refused event takes many times its bytes when it is decoded: what is not decoded yet must not all become so."""
    bench = Bench(backlog_limit=2_000_000)
    try:
        bench.log.gate.clear()
        bob = bench.source()
        bench.pipeline.submit([delivery(bob, 1, event("b1"), origin("bob"))])
        await until(lambda: bench.log._staged is not None)
        crowd = [bench.source() for _ in range(10)]
        payload = json.dumps(REFUSED).encode()
        for each in crowd:
            bench.pipeline.submit([delivery(each, n, payload) for n in range(5)])
        await until(lambda: bench.pipeline._pressure._decoded > 0 and not bench.pipeline._aside._here.busy)
        waits = len(bench.pipeline._waiting._waiting)
        assert 1 <= waits <= 3  # two commits, and the one that was being decoded then
        assert bench.pipeline.backlog < waits * 1_000_000 + 50 * len(payload)
        bench.log.gate.set()
        await bench.settle()
        assert [each.tokens for each in crowd] == [list(range(5))] * 10
    finally:
        bench.close()
