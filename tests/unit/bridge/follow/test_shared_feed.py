"""Shared groups over a log and real sessions: each event to one member, and what was acknowledged never again."""

import asyncio
from collections import Counter
from random import Random

import pytest

from bridge.follow.shared_group import SharedGroup
from bridge.follow.shared_groups import MOST_GROUPS, MOST_MEMBERS
from healthsync_mqtt.broker.embedded.ports import Wish
from healthsync_mqtt.broker.embedded.sessions.index import GrantedQos
from healthsync_mqtt.broker.embedded.sessions.session import Session
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.storage.memory import MemoryEventLog
from tests.support.consent import agreed
from tests.unit.bridge.bench import until
from tests.unit.bridge.follow.test_publish import Line, Stand, stand, standing

__all__ = ["stand"]

ALL = "$share/g/users/+/canonical/+"
ALICE = "$share/g/users/alice/canonical/+"


def grown(stand: Stand, name: str, topic_filter: str = ALL, *, since: str | None = None, **more: object) -> Line:
    """A member of a group, as the door makes one."""
    line = Line()
    said = {key: value for key, value in more.items() if key in {"users", "types", "named"}}
    about = {"users": None, "types": None} | said
    principal = Principal(role=Role.subscriber, client_id=name, **about)  # type: ignore[arg-type]
    session, _ = stand.sessions.open(line, principal, clean=bool(more.get("clean", True)))
    line.session, line.wanted = session, lambda: stand.publisher.wanted(session)
    qos = 0 if more.get("qos") == 0 else 1
    stand.sessions.index.add(session, topic_filter, GrantedQos.of(qos))
    properties = () if since is None else (("from", since),)
    wish = Wish(topic_filter, qos, 0, properties)
    refusal = stand.publisher.refusal(session, wish)
    assert refusal is None, refusal
    done: list[bool] = []
    stand.publisher.prepare(session, [wish], lambda: done.append(True))
    assert done == [True]
    stand.publisher.join(session, topic_filter, GrantedQos.of(qos))
    return line


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_each_event_goes_to_one_member(stand: Stand) -> None:
    lines = [grown(stand, name) for name in ("a", "b", "c")]
    for number in range(60):
        stand.store(f"e{number}", user=("alice", "bob")[number % 2])
    await until(lambda: sum(len(line.ids()) for line in lines) == 60)
    got = Counter(each for line in lines for each in line.ids())
    assert got == Counter(f"e{number}" for number in range(60))
    for user in ("alice", "bob"):  # nobody has acknowledged anything, so each user has one keeper, and an order
        kept = [[event["seq"] for event in line.events() if event["user_id"] == user] for line in lines]
        (seqs,) = [seqs for seqs in kept if seqs]
        assert seqs == sorted(seqs)


async def test_an_idle_member_gets_the_next_of_a_user_whose_events_are_all_acknowledged(stand: Stand) -> None:
    one, two = grown(stand, "a", ALICE), grown(stand, "b", ALICE)
    for number in range(6):
        stand.store(f"e{number}")
        await until(lambda: len(one.ids()) + len(two.ids()) == number + 1)  # noqa: B023
        one.acknowledge()
        two.acknowledge()
    assert (len(one.ids()), len(two.ids())) == (3, 3)


async def test_what_a_member_did_not_acknowledge_another_gets_and_nothing_else(stand: Stand) -> None:
    one = grown(stand, "a", ALICE)
    stand.store("x", "y")
    await until(lambda: one.ids() == ["x", "y"])
    assert one.session is not None
    one.session.on_puback(one.packets[0].packet_id)
    two = grown(stand, "b", ALICE)
    stand.store("z")
    await until(lambda: one.ids() == ["x", "y", "z"])
    assert two.ids() == []
    stand.disconnect(one)
    await until(lambda: two.ids() == ["y", "z"])


async def test_a_member_that_unsubscribes_may_finish_and_others_go_on(stand: Stand) -> None:
    one, two = grown(stand, "a", ALICE), grown(stand, "b", ALICE)
    stand.store("x")
    await until(lambda: len(one.ids()) + len(two.ids()) == 1)
    first, other = (one, two) if one.ids() else (two, one)
    assert first.session is not None
    stand.sessions.unsubscribe(first.session, ALICE)
    stand.publisher.leave(first.session, ALICE)
    await until(lambda: other.ids() == ["x"])
    first.acknowledge()  # late, and harmless
    stand.store("y")
    await until(lambda: other.ids() == ["x", "y"])
    assert first.ids() == ["x"]


async def test_the_group_goes_on_where_it_was_when_all_were_away(stand: Stand) -> None:
    one = grown(stand, "a", ALICE)
    stand.store("x", "y")
    await until(lambda: one.ids() == ["x", "y"])
    assert one.session is not None
    one.session.on_puback(one.packets[1].packet_id)
    stand.disconnect(one)
    stand.store("z")
    again = grown(stand, "b", ALICE)
    await until(lambda: again.ids() == ["x", "z"])  # y was acknowledged, although x before it was not


async def test_after_a_restart_the_group_goes_on_at_its_cursor() -> None:
    log = MemoryEventLog()
    async with standing(log) as stand:
        one = grown(stand, "a", ALICE)
        stand.store("x", "y")
        await until(lambda: one.ids() == ["x", "y"])
        assert one.session is not None
        one.session.on_puback(one.packets[0].packet_id)
        stand.publisher.keep()
    async with standing(log) as stand:
        stand.store("z")
        again = grown(stand, "b", ALICE)
        await until(lambda: again.ids() == ["y", "z"])


async def test_the_first_place_is_durable_before_the_answer() -> None:
    log = MemoryEventLog()
    async with standing(log) as stand:
        stand.store("before")
        grown(stand, "a", ALICE)  # and nothing is kept by hand
    async with standing(log) as stand:
        stand.store("x")
        again = grown(stand, "b", ALICE)
        await until(lambda: again.ids() == ["x"])


async def test_a_new_group_may_begin_in_the_past_and_an_old_one_goes_on(stand: Stand) -> None:
    stand.store("x", "y")
    one = grown(stand, "a", ALICE, since="earliest")
    await until(lambda: one.ids() == ["x", "y"])
    one.acknowledge()
    two = grown(stand, "b", ALICE, since="earliest")
    stand.store("z")
    await until(lambda: one.ids() + two.ids() == ["x", "y", "z"])


async def test_other_filters_other_names_and_other_grants_are_other_groups(stand: Stand) -> None:
    lines = [
        grown(stand, "a", ALICE),
        grown(stand, "b", "$share/h/users/alice/canonical/+"),
        grown(stand, "c", ALL),
        grown(stand, "d", ALICE, users=frozenset({"alice"})),
    ]
    stand.store("x")
    await until(lambda: all(line.ids() == ["x"] for line in lines))


async def test_a_group_and_a_subscription_of_ones_own_are_counted_apart(stand: Stand) -> None:
    line = stand.connect("a", "users/alice/canonical/steps", clean=False)
    assert line.session is not None
    stand.sessions.index.add(line.session, ALICE, GrantedQos.of(1))
    stand.publisher.prepare(line.session, [Wish(ALICE, 1)], lambda: None)
    stand.publisher.join(line.session, ALICE, GrantedQos.of(1))
    stand.store("x")
    await until(lambda: line.ids() == ["x"])  # by the group, and not acknowledged
    stand.publisher.keep()
    cursors = stand.log.reader().cursors()
    assert cursors.pop("subscriber:a") == 1
    assert list(cursors.values()) == [0]
    stand.store("s", event_type="steps")
    await until(lambda: sorted(line.ids()) == ["s", "s", "x"])


async def test_at_qos_0_it_is_done_when_it_is_sent(stand: Stand) -> None:
    line = grown(stand, "a", ALICE, qos=0)
    stand.store(*(f"e{number}" for number in range(300)))
    await until(lambda: len(line.ids()) == 300)
    stand.publisher.keep()
    assert set(stand.log.reader().cursors().values()) == {300}


async def test_consent_that_ends_takes_what_waits_out_of_the_group(stand: Stand) -> None:
    line = grown(stand, "a")
    assert line.session is not None
    line.reads = False
    stand.store("x")
    stand.store("y", user="bob")
    await until(lambda: line.session is not None and line.session.backlog == 2)
    stand.publisher._gate.replace(agreed("bob"))
    stand.publisher.narrowed(frozenset({"alice"}))
    line.reads = True
    line.flush()
    await until(lambda: line.ids() == ["y"])
    line.acknowledge()
    stand.publisher.keep()
    assert set(stand.log.reader().cursors().values()) == {2}


async def test_a_slow_member_holds_up_its_users_and_nobody_elses(stand: Stand) -> None:
    slow = grown(stand, "slow")
    slow.reads = False
    stand.store("first")  # alice's keeper is slow, and never acknowledges
    await until(lambda: slow.session is not None and slow.session.backlog == 1)
    quick = grown(stand, "quick")
    names = [f"b{number}" for number in range(3_000)]
    for start in range(0, 3_000, 50):
        stand.store(*names[start : start + 50], user="bob")
        stand.store(f"a{start}")
        await settled()
        quick.acknowledge()
    while len(quick.ids()) < 3_000:
        before = len(quick.ids())
        quick.acknowledge()
        await until(lambda: len(quick.ids()) > before)  # noqa: B023
    assert quick.ids() == names
    slow.reads = True
    slow.flush()
    while len(slow.ids()) < 61:
        slow.acknowledge()
        await settled()
    assert slow.ids() == ["first", *(f"a{start}" for start in range(0, 3_000, 50))]


async def test_members_and_groups_are_bounded(stand: Stand) -> None:
    for number in range(MOST_MEMBERS):
        grown(stand, f"m{number}", ALICE)
    one_more = stand.connect("late", "users/bob/canonical/+")
    assert one_more.session is not None
    refusal = stand.publisher.refusal(one_more.session, Wish(ALICE, 1))
    assert refusal is not None
    assert refusal.reason == "group_full"
    for number in range(MOST_GROUPS):
        name = f"$share/g{number}/users/alice/canonical/+"
        assert stand.publisher.refusal(one_more.session, Wish(name, 1)) is None
        stand.publisher.prepare(one_more.session, [Wish(name, 1)], lambda: None)
    refusal = stand.publisher.refusal(one_more.session, Wish("$share/more/users/alice/canonical/+", 1))
    assert refusal is not None
    assert refusal.reason == "max_groups"


async def test_a_group_that_nobody_comes_back_to_is_forgotten(stand: Stand) -> None:
    line = grown(stand, "a", ALICE)
    stand.disconnect(line)
    stand.store("x")
    stand.publisher.drop_abandoned(lambda _: True, since_us=0)
    assert len(stand.log.reader().cursors()) == 1  # sessions last that long
    stand.publisher.drop_abandoned(lambda _: True, since_us=stand.publisher._clock_us())
    assert stand.log.reader().cursors() == {}


@pytest.mark.parametrize("seed", range(6))
async def test_four_consumers_killed_at_random_a_hundred_times(stand: Stand, seed: int) -> None:
    """No event is missed, none that was acknowledged comes again, and each user's come in order."""
    rng = Random(seed)
    users, names = ("alice", "bob"), ("a", "b", "c", "d")
    stored: list[str] = []
    acknowledged: Counter[str] = Counter()
    handed: Counter[str] = Counter()
    living: dict[str, Line] = {}
    taken: dict[Line, int] = {}
    owed: dict[str, list[str]] = {user: [] for user in users}
    kills = 0
    stored += (first := [f"e{number}" for number in range(700)])  # more than a page, before anybody is there
    owed["alice"] += first
    stand.store(*first)
    await settled()

    def work(line: Line, most: int) -> None:
        """Take up to ``most`` messages: note them, and acknowledge them in order."""
        assert line.session is not None
        for packet, event in list(zip(line.packets, line.events(), strict=True))[taken[line] :][:most]:
            assert not acknowledged[event["id"]], "came again although acknowledged"
            assert event["id"] == owed[event["user_id"]].pop(0), "out of order"
            acknowledged[event["id"]] += 1
            taken[line] += 1
            line.session.on_puback(packet.packet_id)
        line.flush()
        stand.publisher.wanted(line.session)

    while kills < 100 or acknowledged.total() < len(stored):
        if len(stored) < 2_000 and kills < 100:
            made = [f"e{len(stored) + each}" for each in range(rng.randrange(1, 12))]
            user = rng.choice(users)
            stand.store(*made, user=user)
            stored += made
            owed[user] += made
        for name in names:
            if name not in living:
                if rng.random() < 0.5:
                    living[name] = line = grown(stand, name, since="earliest", clean=rng.random() < 0.5)
                    taken[line] = 0
            elif kills < 100 and rng.random() < 0.1:
                dead = living.pop(name)
                handed.update(dead.ids()[taken[dead] :])
                stand.disconnect(dead)
                kills += 1
            else:
                work(living[name], rng.randrange(30))
        await settled()
    assert set(acknowledged) == set(stored)
    assert acknowledged.total() == len(stored)
    assert handed.total() > 50  # kills did leave something behind
    stand.publisher.keep()
    assert set(stand.log.reader().cursors().values()) == {len(stored)}


async def test_places_and_lag_say_who_is_behind_groups_included(stand: Stand) -> None:
    slow, own = grown(stand, "slow", ALICE), stand.connect("app", clean=False)
    stand.store("x", "y")
    await until(lambda: own.ids() == ["x", "y"])
    own.acknowledge()
    places = {place.name: (place.seq, place.members) for place in stand.publisher.places()}
    assert places == {"app": (2, ()), ALICE: (0, ("slow",))}
    assert stand.publisher.lag == 0  # handed, though not acknowledged
    stand.disconnect(slow)
    assert stand.publisher.places()[-1].members == ()


async def test_a_group_that_is_behind_reads_on_when_everything_it_gave_is_acknowledged(stand: Stand) -> None:
    names = [f"e{number}" for number in range(1_700)]
    stand.store(*names)
    await settled()  # the feed stands at the head
    lines = [grown(stand, "a", ALICE, since="earliest")]  # whose window goes evenly into a page
    taken = 0
    while taken < len(names):
        await until(lambda: sum(len(line.ids()) for line in lines) > taken)  # noqa: B023
        await settled()
        taken = sum(len(line.ids()) for line in lines)
        for line in lines:
            line.acknowledge()  # once, and nobody asks again
    assert sorted(each for line in lines for each in line.ids()) == sorted(names)


async def test_one_step_hands_out_so_much_however_many_groups_there_are(stand: Stand) -> None:
    """Each due group had 500 events a step: with a hundred groups the loop did nothing else meanwhile."""
    lines = [grown(stand, f"m{number}", f"$share/g{number}/users/+/canonical/+") for number in range(30)]
    feed = stand.publisher.shared
    for number in range(60):
        stand.store(f"e{number}")
    steps, hand_out, hand = [0], feed._hand_out, feed._hand

    def one_step() -> bool:
        steps.append(0)
        return hand_out()

    def counted(group: SharedGroup, member: Session, seq: int) -> int:
        steps[-1] += 1
        return hand(group, member, seq)

    feed._hand_out, feed._hand = one_step, counted  # type: ignore[method-assign]
    await until(lambda: all(len(line.ids()) == 60 for line in lines))
    assert sum(steps) == 30 * 60
    assert max(steps) <= 500
