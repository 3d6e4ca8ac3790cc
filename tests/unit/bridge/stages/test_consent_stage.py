"""The consent stage: what is not agreed to leaves no content, and a delivery's sums stay right."""

import json
import timeit
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.decode.delivery import decode
from bridge.stages.consent import ConsentGate, stripped
from healthsync_mqtt.formats.own_json import Own
from healthsync_mqtt.formats.port import AppMessage, Fold, RefusedRecord
from healthsync_mqtt.identity.consent.decisions import NO_PERMISSION, NOBODY, Action, Permission, Purpose, in_force
from healthsync_mqtt.model.event import Decoded, Rejection, omitted
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.model.record import Record
from tests.support.consent import agreed, agreeing, agreeing_to_all, grant

NOW_US = 1_795_413_600_000_000
ORIGIN = Origin("alice", "watch", None, "users/alice/devices/watch/events")
CANARY = "61.625"


def heart_rate(event_id: str, bpm: str = CANARY) -> str:
    return f'{{"id":"{event_id}","type":"hr","start_time":"2026-01-01T00:00:00Z","value":{{"bpm":{bpm}}}}}'


def weight(event_id: str, kg: str = CANARY) -> str:
    return f'{{"id":"{event_id}","type":"weight","start_time":"2026-01-01T00:00:00Z","value":{{"kg":{kg}}}}}'


def screened(payload: str, gate: ConsentGate) -> Decoded:
    return gate.screen(decode(payload.encode(), ORIGIN, NOW_US), "alice", NOW_US)


def test_all_granted_passes_the_very_same_delivery() -> None:
    decoded = decode(f"[{heart_rate('a')},{heart_rate('b', '900')}]".encode(), ORIGIN, NOW_US)
    assert agreeing("alice").screen(decoded, "alice", NOW_US) is decoded


@pytest.mark.parametrize("gate", [ConsentGate(), ConsentGate(NOBODY), agreeing("bob"), ConsentGate(in_force(
    grant("alice", at_us=0) + grant("alice", at_us=1, action=Action.withdraw)))],
    ids=["new", "nobody", "another", "withdrawn"])  # fmt: skip
@pytest.mark.parametrize("payload", [
    heart_rate("a"), f"[{heart_rate('a')},{weight('b')}]", heart_rate("a", "900"), f"no JSON {CANARY}",
    f'{{"batch":"b1","events":[{heart_rate("a")}]}}', f'{{"id":"a","type":"mood","value":{CANARY}}}', "[]", "",
    f'{{"id":"a","type":"steps","type":"hr","value":{CANARY}}}',
])  # fmt: skip
def test_without_consent_no_content_is_left(gate: ConsentGate, payload: str) -> None:
    found = screened(payload, gate)
    assert found.events == []
    assert found.total == len(found.rejections) > 0
    assert CANARY not in repr(found)
    assert "900" not in repr(found)
    assert all(rejection.raw == b"" for rejection in found.rejections)


def test_by_type() -> None:
    gate = ConsentGate(in_force(grant("alice", ["heart_rate"])))
    payload = f"[{weight('w')},{heart_rate('a')},{heart_rate('odd', '900')},{weight('odd-w', '9999')},7]"
    found = screened(payload, gate)
    assert [event.id for event in found.events] == ["a"]
    assert [(rejection.index, rejection.id, rejection.reason) for rejection in found.rejections] == [
        (0, "w", Reason.NO_CONSENT),
        (2, "odd", Reason.OUT_OF_RANGE),
        (3, "odd-w", Reason.NO_CONSENT),
        (4, None, Reason.WRONG_TYPE),
    ]
    assert [bool(rejection.raw) for rejection in found.rejections] == [False, True, False, False]
    assert found.total == 5


@pytest.mark.parametrize(("at_us", "stored"), [(NOW_US - 1, True), (NOW_US, False), (NOW_US + 1, False)])
def test_consent_expires_at_its_microsecond_by_the_time_of_receipt(at_us: int, stored: bool) -> None:
    gate = ConsentGate(in_force(grant("alice", expires_us=NOW_US)))
    decoded = decode(heart_rate("a").encode(), ORIGIN, at_us)
    assert bool(gate.screen(decoded, "alice", at_us).events) is stored


def record(user: str = "alice", type_name: str = "steps", received_us: int = 10) -> Record:
    return Record(1, user, "watch", None, "e", type_name, 1, None, received_us, 0, 0, b'{"value":{}}', 1)


def test_sharing() -> None:
    gate = ConsentGate(in_force(grant("alice", ["steps"], at_us=5, purposes=(Purpose.share,))))
    assert gate.shares(record(), 20)
    assert gate.permits("alice", "steps", 20)
    assert not gate.shares(record(type_name="weight"), 20)
    assert not gate.shares(record(received_us=4), 20), "a grant is not for what came before it"
    assert not gate.shares(record(user="bob"), 20)
    assert screened(heart_rate("a"), gate).events == [], "sharing is not storing"


def test_changes_are_told_once() -> None:
    gate = agreeing("alice", "bob")
    gate.replace(agreed("alice", "bob"))
    assert gate.changed() == frozenset()
    gate.replace(agreed("alice", "carol"))
    assert gate.changed() == {"bob", "carol"}
    assert gate.changed() == frozenset()


class Untouchable(dict[str, Permission]):
    """Permissions of many users that may be asked one by one, and not gone through."""

    def _refuse(self, *_: object) -> Any:
        raise AssertionError("all users were looked at")

    __iter__ = __or__ = keys = values = items = copy = _refuse


def test_a_change_of_one_users_consent_looks_at_no_other_user() -> None:
    gate = agreeing("alice", "bob")
    gate.store, gate.share = Untouchable(gate.store), Untouchable(gate.share)
    before = gate.version
    gate.amend(in_force(grant("alice", at_us=0) + grant("alice", at_us=1, action=Action.withdraw)))
    assert (gate.changed(), gate.version) == ({"alice"}, before + 1)
    assert screened(heart_rate("a"), gate).events == []
    assert gate.permits("bob", "steps", NOW_US)
    gate.amend(in_force(grant("bob")))
    assert gate.changed() == frozenset(), "bob agrees to what he agreed to"
    gate.amend(in_force(grant("carol")))
    assert gate.changed() == {"carol"}
    assert gate.permits("carol", "steps", NOW_US)


@given(st.lists(st.sampled_from(["hr", "weight", "steps", "mood"]), max_size=6), st.sets(st.sampled_from(
    ["heart_rate", "weight", "steps"])))  # fmt: skip
def test_events_and_rejections_are_all_of_the_delivery(types: list[str], granted: set[str]) -> None:
    values = {"hr": {"bpm": 60}, "weight": {"kg": 70}, "steps": {"steps": 5}, "mood": {}}
    events = [
        {"id": f"e{n}", "type": name, "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T00:01:00Z",
         "value": values[name]}
        for n, name in enumerate(types)
    ]  # fmt: skip
    decoded = decode(json.dumps(events).encode(), ORIGIN, NOW_US)
    permission = in_force(grant("alice", sorted(granted)) if granted else [])[Purpose.store].get("alice", NO_PERMISSION)
    found = stripped(decoded, permission, NOW_US)
    assert len(found.events) + len(found.rejections) == found.total == decoded.total
    assert {event.type for event in found.events} <= granted
    assert [event for event in decoded.events if event.type in granted] == found.events
    assert sorted(rejection.index for rejection in found.rejections) == [r.index for r in found.rejections]


def test_a_delivery_that_is_agreed_to_costs_next_to_nothing() -> None:
    """A look-up and two comparisons: a bound so wide that only another algorithm breaks it."""
    gate, decoded = agreeing("alice"), Decoded(None, [], [], 0)
    best = min(timeit.repeat(lambda: gate.screen(decoded, "alice", NOW_US), number=2_000, repeat=5)) / 2_000
    assert best < 20e-6


START = '"start_time":"2026-01-01T00:00:00Z"'
SMUGGLED = {
    "a repeated type": f'{{"id":"w","type":"weight","type":"hr",{START},"value":{{"kg":{CANARY}}}}}',
    "the same with an escape": f'{{"id":"w","type":"weight","\\u0074ype":"hr",{START},"value":{{"kg":{CANARY}}}}}',
    "a type in a batch object": f'{{"type":"hr","batch":"b","events":[{weight("w")}],"more":1}}',
    "an event in an unknown field": f'{{"id":"a","type":"hr",{START},"value":{{"bpm":60}},"x":{weight("w")}}}',
    "an event in the value": f'{{"id":"a","type":"hr",{START},"value":{{"bpm":600,"x":{weight("w")}}}}}',
    "an event in the device": f'{{"id":"a","type":"hr",{START},"value":{{"bpm":600}},"device":{weight("w")}}}',
    "another type's value": f'{{"id":"a","type":"hr",{START},"value":{{"kg":{CANARY}}}}}',
    "what is not JSON": f'{{"id":"a","type":"hr","value":NaN,"x":{weight("w")}}}',
    "a list": f'[[{weight("w")}],{{"type":"hr"}}',
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_bytes_are_kept_only_where_they_hold_nothing_but_a_type_that_is_agreed_to(name: str) -> None:
    gate = ConsentGate(in_force(grant("alice", ["heart_rate"])))
    for payload in (SMUGGLED[name], f"[{SMUGGLED[name]}]", f'{{"batch":"b","events":[{SMUGGLED[name]}]}}'):
        found = screened(payload, gate)
        assert CANARY not in repr(found)
        kept = {rejection.index for rejection in found.rejections if rejection.raw}
        assert all(rejection.raw == b'{"type":"hr"}' for rejection in found.rejections if rejection.index in kept)
        assert found.rejections
        whole = decode(payload.encode(), ORIGIN, NOW_US)
        sent = {one.index: omitted(one.raw) if one.raw else None for one in whole.rejections}
        sent |= dict.fromkeys([*kept, *(one.index for one in whole.events)], None)
        assert {rejection.index: rejection.omitted for rejection in found.rejections} == sent


AROUND = {
    "a type before": f'{{"batch":"b","type":"menstruation","events":[{heart_rate("a", "60")},{{"value":{CANARY}}}]}}',
    "a type behind": f'{{"batch":"b","events":[{heart_rate("a", "60")},{{"value":{CANARY}}}],"type":"menstruation"}}',
    "a type behind, cut": f'{{"batch":"b","events":[{heart_rate("a", "60")},{{"value":{CANARY}}}],"type":"menstruat',
    "a value behind": f'{{"batch":"b","events":[{heart_rate("a", "60")}],"x{CANARY}":1,"type":"menstruation"}}',
    "a value behind, cut": f'{{"batch":"b","events":[{heart_rate("a", "60")}],"x{CANARY}":1,"type":"menstr',
    "a sound event behind": f'[{heart_rate("a", "60")},{{"value":{CANARY}}},{{"type":"menstruation"',
}  # fmt: skip


@pytest.mark.parametrize("name", AROUND)
def test_what_is_around_events_may_say_of_which_type_they_are(name: str) -> None:
    """The good ones are stored; of the bad ones nothing is kept, though nothing in them names a type."""
    found = screened(AROUND[name], agreeing("alice"))
    assert [event.id for event in found.events] == ["a"]
    assert found.rejections
    assert CANARY not in repr(found)
    assert all(rejection.raw == b"" for rejection in found.rejections)


def test_a_field_that_no_batch_has_is_told_by_its_name() -> None:
    found = screened(f'{{"batch":"b","events":[{heart_rate("a")}],"more":1}}', agreeing("alice"))
    assert [event.id for event in found.events] == ["a"]
    assert [(each.index, each.reason, each.field) for each in found.rejections] == [(1, Reason.UNKNOWN_FIELD, "more")]


def test_bytes_of_a_type_that_is_agreed_to_are_kept() -> None:
    gate = ConsentGate(in_force(grant("alice", ["heart_rate", "food"])))
    for sent in (
        heart_rate("a", "900"),
        heart_rate("a", "900").replace('"value"', '"device":{"model":"m","lux":5},"value"'),
        '{"id":"f","type":"food","start_time":"2026-01-01T00:00:00Z","value":{"items":[{"name":"x","sodium_mg":-1}]}}',
    ):
        (rejection,) = screened(sent, gate).rejections
        assert rejection.raw == sent.encode()


@pytest.mark.parametrize("type_name", ["heart_rate", "menstruation"])
def test_a_refusal_of_a_type_without_consent_says_nothing_of_it_though_its_bytes_are_too_many_to_be_kept(
    type_name: str,
) -> None:
    """What a format says of a record, whose bytes it does not keep, or of which there are none."""
    gate = ConsentGate(in_force(grant("alice", ["weight"])))
    for sent in (None, omitted(CANARY.encode() * 2_000)):
        refused = Rejection(
            0, None, Reason.WRONG_TYPE, f"value.{CANARY}", f"{CANARY} is no known word", b"", type_name, omitted=sent
        )
        found = gate.screen(Decoded("mapped", [], [refused], 1), "alice", NOW_US)
        assert CANARY not in repr(found)
        assert [(each.reason, each.omitted) for each in found.rejections] == [(Reason.NO_CONSENT, sent)]
        assert gate.screen(found, "alice", NOW_US) is found


@pytest.mark.parametrize(
    "record", [None, {"x": "y" * 5_000, "kind": "menstruation"}], ids=["no bytes", "too many bytes"]
)
@pytest.mark.parametrize("types", [["weight"], None], ids=["one type", "all general types"])
def test_a_formats_refusal_of_no_single_type_is_no_way_around_consent(
    types: list[str] | None, record: dict[str, str] | None
) -> None:
    class Reader(Own):
        name = "reader"

        def fold(self, state: bytes, message: AppMessage) -> Fold:
            yield RefusedRecord(0, "menstruation.flow", Reason.WRONG_TYPE, f"{CANARY} is no known word", record)
            return state

    decoded = decode(b"{}", ORIGIN, NOW_US, form=Reader())
    assert CANARY in decoded.rejections[0].message
    found = ConsentGate(in_force(grant("alice", types))).screen(decoded, "alice", NOW_US)
    assert CANARY not in repr(found)
    assert "yyy" not in repr(found)
    assert agreeing_to_all("alice").screen(decoded, "alice", NOW_US) is decoded
