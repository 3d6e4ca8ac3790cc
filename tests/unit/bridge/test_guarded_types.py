"""Types that are asked for by name: ``*`` means them nowhere, neither in consent nor in what a subscriber may read."""

import gzip
import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.decode.delivery import decode
from bridge.decode.guarded_types import MOST_UNPACKED
from bridge.follow.canonical_external import CanonicalPublisher
from bridge.ports import Chores
from bridge.stages.consent import ConsentGate
from bridge.stages.journal import Journal
from healthsync_mqtt.broker.embedded.sessions.index import GrantedQos
from healthsync_mqtt.broker.external.emqx.hooks import emqx_acl
from healthsync_mqtt.broker.external.grants import grants_of
from healthsync_mqtt.broker.external.mosquitto.dynsec import acls_of
from healthsync_mqtt.broker.external.remembered_logins import rights_of
from healthsync_mqtt.identity.consent.decisions import NO_PERMISSION, Action, ConsentDecision, Purpose, in_force
from healthsync_mqtt.identity.people.names import checked_types, dump_names, load_names
from healthsync_mqtt.identity.people.records import Subscriber
from healthsync_mqtt.model.catalogue import CATALOGUE, GUARDED
from healthsync_mqtt.model.event import Decoded
from healthsync_mqtt.model.event_schema import example_event
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.telemetry.counters import Counters
from healthsync_mqtt.testing.log_items import item
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.grammar import matches
from tests.support.consent import agreeing, grant
from tests.unit.bridge.bench import REGISTRY, until
from tests.unit.bridge.follow.test_publish import Line, Stand, standing
from tests.unit.bridge.follow.test_shared_feed import grown

NOW_US = 1_795_420_800_000_000
ORIGIN = Origin("alice", "watch", None, "users/alice/devices/watch/events")
RULES = AccessRules(REGISTRY)


def event(name: str) -> str:
    return json.dumps(example_event(CATALOGUE[name]))


def screened(payload: str | bytes, gate: ConsentGate) -> Decoded:
    data = payload.encode() if isinstance(payload, str) else payload
    return gate.screen(decode(data, ORIGIN, NOW_US), "alice", NOW_US)


def subscriber(*types: str, name: str = "app") -> Principal:
    """A subscriber as it comes out of the registry."""
    kept = load_names(dump_names(checked_types(list(types))))
    return Subscriber(name=name, users=frozenset({"alice"}), types=kept, created_us=0).principal


# -- consent

NAMES = ["heart_rate", "weight", "menstruation", "state_of_mind", "workout_route"]
DECISIONS = st.lists(
    st.tuples(st.sampled_from(Action), st.none() | st.sets(st.sampled_from(NAMES), min_size=1)), max_size=6
)


@given(DECISIONS)
def test_the_last_decision_that_means_a_type_holds_for_it(decided: list[tuple[Action, set[str] | None]]) -> None:
    history: list[ConsentDecision] = []
    for at_us, (action, types) in enumerate(decided):
        named = None if types is None else sorted(types)
        history += grant("alice", named, purposes=(Purpose.store,), at_us=at_us, action=action)
    permission = in_force(history)[Purpose.store].get("alice", NO_PERMISSION)
    for name in NAMES:
        expected = False
        for action, types in decided:
            meant = name in types if types is not None else name not in GUARDED or action is Action.withdraw
            expected = action is Action.grant if meant else expected
        assert permission.span(name).covers(NOW_US, NOW_US) is expected


@pytest.mark.parametrize("name", sorted(GUARDED))
def test_everything_does_not_mean_it_and_its_name_does(name: str) -> None:
    refused = screened(event(name), agreeing("alice"))
    assert refused.events == []
    assert (refused.rejections[0].reason.value, refused.rejections[0].raw) == ("no_consent", b"")
    named = ConsentGate(in_force(grant("alice") + grant("alice", [name])))
    assert [each.type for each in screened(event(name), named).events] == [name]
    assert [each.type for each in screened(event("heart_rate"), named).events] == ["heart_rate"]
    alone = ConsentGate(in_force(grant("alice", [name])))
    assert screened(event("heart_rate"), alone).events == []


def test_among_others_only_it_is_refused() -> None:
    found = screened(f"[{event('heart_rate')},{event('menstruation')},{event('weight')}]", agreeing("alice"))
    assert [each.type for each in found.events] == ["heart_rate", "weight"]
    assert [(each.index, each.reason.value) for each in found.rejections] == [(1, "no_consent")]


@pytest.mark.parametrize(
    "payload",
    [
        event("menstruation").replace("medium", "torrential"),
        '{"id":"a","type":"menstruation","type":"hr"}',
        '{"id":"a","type":"MENSTRUATION","value":NaN}',
        '{"id":"a","type":"\\u006denstruation","value":{"flow":"heavy"},"x":1}',
        gzip.compress(event("menstruation").encode())[:-9],
        "not JSON, but menstruation",
    ],
)
def test_what_could_not_be_read_and_may_be_of_such_a_type_is_not_kept(payload: str | bytes) -> None:
    found = screened(payload, agreeing("alice"))
    assert found.events == []
    assert [each.raw for each in found.rejections] == [b""]
    assert found.rejections[0].omitted is not None
    agreed = ConsentGate(in_force(grant("alice") + grant("alice", sorted(GUARDED))))
    whole = payload.encode() if isinstance(payload, str) else payload
    assert [each.raw for each in screened(payload, agreed).rejections] == [whole]


@pytest.mark.parametrize("payload", ["not JSON", '{"id":"a","type":"hr","value":NaN}', event("weight")[:-3]])
def test_what_could_not_be_read_and_names_none_of_them_is_kept_as_ever(payload: str) -> None:
    found = screened(payload, agreeing("alice"))
    assert [each.raw for each in found.rejections] == [payload.encode()]


@pytest.mark.parametrize(("size", "kept"), [(MOST_UNPACKED, True), (MOST_UNPACKED + 1, False), (900_000, False)])
def test_of_a_gzip_stream_that_was_cut_short_a_bounded_part_is_looked_through(size: int, kept: bool) -> None:
    cut = gzip.compress(b"m" * size)[:-8]
    found = screened(cut, agreeing("alice"))
    assert [each.raw for each in found.rejections] == [cut if kept else b""]


@pytest.mark.parametrize(
    "payload",
    [
        gzip.compress(event("menstruation").encode())[:-4] + bytes(4),
        gzip.compress(event("weight").encode()) + gzip.compress(event("menstruation").encode()),
    ],
)
def test_a_gzip_stream_that_says_more_than_was_looked_through_is_not_kept(payload: bytes) -> None:
    assert [each.raw for each in screened(payload, agreeing("alice")).rejections] == [b""]


# -- what a subscriber may read


def test_a_filter_with_a_wildcard_is_granted_and_the_topic_itself_is_not() -> None:
    reader = subscriber("*")
    assert RULES.may_subscribe(reader, "users/alice/canonical/+").allowed
    assert RULES.may_subscribe(reader, "users/alice/canonical/#").allowed
    assert RULES.may_subscribe(reader, "users/alice/canonical/heart_rate").allowed
    for name in GUARDED:
        assert not RULES.may_subscribe(reader, f"users/alice/canonical/{name}").allowed
        assert RULES.may_subscribe(subscriber("*", name), f"users/alice/canonical/{name}").allowed
        assert RULES.may_subscribe(subscriber(name), f"users/alice/canonical/{name}").allowed
        assert not RULES.may_subscribe(subscriber(name), f"users/bob/canonical/{name}").allowed
    admin = Principal(role=Role.admin, client_id="root", users=None, types=None)
    assert RULES.may_subscribe(admin, "users/alice/canonical/menstruation").allowed


def test_what_is_named_beside_everything_is_kept_in_the_registry_and_in_what_is_remembered() -> None:
    assert checked_types(["all", "menstruation"]) == {"*", "menstruation"}
    assert checked_types(["*"]) is None
    one, other = subscriber("*"), subscriber("*", "menstruation")
    assert (one.types, one.named) == (None, frozenset())
    assert (other.types, other.named) == (None, {"menstruation"})
    assert rights_of(one, 0) != rights_of(other, 0)


# -- the canonical fan-out of the embedded broker


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    async with standing(MemoryEventLog()) as made:
        everything = grant("alice") + grant("alice", sorted(GUARDED))
        made.publisher._gate.replace(in_force(everything))
        yield made


def reading(stand: Stand, principal: Principal, topic_filter: str = "users/alice/canonical/+") -> Line:
    line = Line()
    session, _ = stand.sessions.open(line, principal, clean=True)
    line.session, line.wanted = session, lambda: stand.publisher.wanted(session)
    stand.sessions.index.add(session, topic_filter, GrantedQos(1))
    stand.publisher.attach(session)
    return line


async def test_events_of_a_guarded_type_go_to_those_who_named_it(stand: Stand) -> None:
    every = reading(stand, subscriber("*", name="every"))
    both = reading(stand, subscriber("*", "menstruation", name="both"), "users/+/canonical/#")
    only = reading(stand, subscriber("menstruation", name="only"), "users/alice/canonical/menstruation")
    stand.store("h1")
    stand.store("m1", event_type="menstruation")
    stand.store("s1", event_type="state_of_mind")
    stand.store("h2")
    await until(lambda: every.ids() == ["h1", "h2"])
    await until(lambda: both.ids() == ["h1", "m1", "h2"])
    await until(lambda: only.ids() == ["m1"])


async def test_who_was_away_reads_no_more_of_the_log_than_who_was_there(stand: Stand) -> None:
    principal = subscriber("*")
    line = Line()
    session, _ = stand.sessions.open(line, principal, clean=False)
    line.session, line.wanted = session, lambda: stand.publisher.wanted(session)
    stand.sessions.index.add(session, "users/alice/canonical/+", GrantedQos(1))
    stand.publisher.attach(session)
    stand.disconnect(line)
    for number in range(3):
        stand.store(f"m{number}", event_type="menstruation")
        stand.store(f"h{number}")
    again = Line()
    session, _ = stand.sessions.open(again, principal, clean=False)
    again.session, again.wanted = session, lambda: stand.publisher.wanted(session)
    stand.publisher.attach(session)
    await until(lambda: again.ids() == ["h0", "h1", "h2"])


async def test_a_shared_group_reads_what_its_members_named(stand: Stand) -> None:
    group = "$share/g/users/alice/canonical/+"
    every = grown(stand, "a", group, users=frozenset({"alice"}), types=None)
    stand.store("m1", event_type="menstruation")
    stand.store("h1")
    await until(lambda: every.ids() == ["h1"])
    named = grown(stand, "b", group, users=frozenset({"alice"}), types=None, named=frozenset({"menstruation"}))
    stand.store("m2", event_type="menstruation")
    stand.store("h2")
    await until(lambda: named.ids() == ["m2", "h2"])
    await until(lambda: every.ids() == ["h1", "h2"])


# -- external brokers


async def published(*, guarded: bool) -> list[str]:
    log = MemoryEventLog()
    journal = Journal(log)
    made = CanonicalPublisher(
        bridge_id="main",
        reader=log.reader(),
        head=0,
        registry=REGISTRY,
        chores=Chores(),
        gate=ConsentGate(in_force(grant("alice") + grant("alice", sorted(GUARDED)))),
        counters=Counters(),
        places={},
        guarded=guarded,
    )
    log.stage([item("h", "alice"), item("m", "alice", event_type="menstruation")], [], 1)
    made._head = log.commit()
    sent: list[str] = []

    class Link:
        alive = True

        def room(self, _topic: str) -> int:
            return 10**6

        def send(self, topic: str, _payload: bytes, **_: object) -> bool:
            sent.append(topic)
            return True

    made.connected(Link())  # type: ignore[arg-type]
    made._step()
    journal._requests.put(None)
    journal._thread.join()
    return sent


async def test_a_broker_that_decides_at_subscribe_alone_does_not_get_them() -> None:
    assert await published(guarded=False) == ["users/alice/canonical/heart_rate"]
    assert await published(guarded=True) == ["users/alice/canonical/heart_rate", "users/alice/canonical/menstruation"]


def test_mosquitto_and_emqx_are_told_what_a_filter_does_not_bring() -> None:
    grants = grants_of(RULES, subscriber("*", "menstruation"))
    assert set(grants.withheld) == {
        topic
        for name in GUARDED - {"menstruation"}
        for topic in (
            f"users/+/canonical/{name}", f"users/+/latest/{name}", f"homeassistant/device/+/{name}/config",
        )
    }  # fmt: skip
    acls = acls_of(grants)

    def mosquitto(kind: str, topic: str) -> bool:
        rules = sorted((acl for acl in acls if acl["acltype"] == kind), key=lambda acl: -acl["priority"])
        return next((acl["allow"] for acl in rules if matches(acl["topic"], topic)), False)

    for kind in ("publishClientReceive", "subscribePattern"):
        assert mosquitto(kind, "users/alice/canonical/heart_rate")
        assert mosquitto(kind, "users/alice/canonical/menstruation")
        assert not mosquitto(kind, "users/alice/canonical/state_of_mind")
    rules = emqx_acl(RULES, subscriber("*"))
    first = next(rule for rule in rules if matches(rule["topic"], "users/alice/canonical/state_of_mind"))
    assert (first["permission"], first["action"]) == ("deny", "subscribe")
    assert grants_of(RULES, subscriber("heart_rate")).withheld == ()
