"""Shared groups and replay at the door, on the wire: MQTT 5 clients, and what 3.1.1 clients keep."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from healthsync_mqtt.mqtt.codec.packets import Property, Puback, Publish
from tests.support.inprocess import House
from tests.support.peer import Identity, event
from tests.support.peer5 import Peer5, told
from tests.support.service import Service

GROUP = "$share/g/users/alice/canonical/+"
OWN = "users/alice/canonical/+"


def since(text: str) -> dict[Property, object]:
    return {Property.USER_PROPERTY: (("from", text),)}


async def joined(
    house: House, identity: Identity, name: str = GROUP, *, clean: bool = True, past: str | None = None
) -> Peer5:
    peer = await Peer5.open(house.ready.mqtt)
    house.peers.append(peer)
    lasts = {} if clean else {Property.SESSION_EXPIRY: 3_600}
    assert (await peer.connect(identity, clean=clean, about=lasts)).code == 0
    answer = await peer.ask((name, 1), about={} if past is None else since(past))
    assert answer.codes == (1,), answer
    return peer


async def publisher(house: House, user: str = "alice") -> tuple[Peer5, str]:
    identity = house.device(user)
    peer = await Peer5.open(house.ready.mqtt)
    house.peers.append(peer)
    assert (await peer.connect(identity)).code == 0
    return peer, identity.events


class Taking:
    """A client that notes what it is given, and acknowledges it."""

    def __init__(self, peer: Peer5) -> None:
        self.ids: list[str] = []
        self.seqs: list[int] = []
        self._peer = peer
        self._task = asyncio.create_task(self._run(peer))

    async def _run(self, peer: Peer5) -> None:
        while True:
            packet = await peer.expect(Publish)
            given = json.loads(packet.payload)
            self.ids.append(given["id"])
            self.seqs.append(given["seq"])
            if packet.qos:
                peer.send(Puback(packet.packet_id))

    async def stop(self) -> None:
        """It is cut off."""
        self._peer.writer.transport.abort()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def test_the_sum_of_what_two_members_get_is_each_event_once(house: House) -> None:
    watch, events = await publisher(house)
    takers = [Taking(await joined(house, house.subscriber(name, ["alice"]))) for name in ("one", "two")]
    for number in range(60):
        assert told(await watch.put(events, event(f"e{number}")))["stored"] == "1"
    await house.until(lambda: sum(len(each.ids) for each in takers) >= 60, "all are there")
    assert Counter(takers[0].ids + takers[1].ids) == Counter(f"e{number}" for number in range(60))
    for each in takers:
        assert each.seqs == sorted(each.seqs)
        await each.stop()


async def test_all_users_and_each_in_order(house: House) -> None:
    admins = "$share/g/users/+/canonical/+"
    takers = [Taking(await joined(house, house.subscriber(name, None), admins)) for name in ("one", "two", "three")]
    for user in ("alice", "bob"):
        watch, events = await publisher(house, user)
        for number in range(20):
            await watch.put(events, event(f"{user}-{number}"))
    await house.until(lambda: sum(len(each.ids) for each in takers) >= 40, "all are there")
    assert len({each for taker in takers for each in taker.ids}) == 40
    for each in takers:
        for user in ("alice", "bob"):
            own = [seq for name, seq in zip(each.ids, each.seqs, strict=True) if name.startswith(user)]
            assert own == sorted(own)
        await each.stop()


async def test_from_earliest_all_stored_events_come_and_then_live_ones(house: House) -> None:
    watch, events = await publisher(house)
    for number in range(5):
        await watch.put(events, event(f"old{number}"))
    taker = Taking(await joined(house, house.subscriber("app", ["alice"]), OWN, past="earliest"))
    await watch.put(events, event("live"))
    await house.until(lambda: len(taker.ids) >= 6, "past and present are there")
    assert taker.ids == [*(f"old{number}" for number in range(5)), "live"]
    await taker.stop()


async def test_from_a_seq_and_in_a_group(house: House) -> None:
    watch, events = await publisher(house)
    for number in range(5):
        await watch.put(events, event(f"old{number}"))
    own = Taking(await joined(house, house.subscriber("app", ["alice"]), OWN, past="4"))
    shared = Taking(await joined(house, house.subscriber("worker", ["alice"]), GROUP, past="2"))
    await house.until(lambda: len(own.ids) >= 2 and len(shared.ids) >= 4, "the past is there")
    assert own.ids == ["old3", "old4"]
    assert shared.ids == ["old1", "old2", "old3", "old4"]
    for each in (own, shared):
        await each.stop()


async def test_what_a_from_can_not_be_is_said(house: House) -> None:
    app = await Peer5.open(house.ready.mqtt)
    house.peers.append(app)
    await app.connect(house.subscriber("app", None))
    for name, text in ((OWN, "yesterday"), ("users/+/canonical/+", "7"), (GROUP, "2026-11-26")):
        answer = await app.ask((name, 1), about=since(text))
        assert answer.codes == (0x83,)
        assert answer.properties[Property.REASON_STRING]


async def test_a_member_that_goes_away_leaves_its_events_to_the_others(house: House) -> None:
    watch, events = await publisher(house)
    one = house.subscriber("one", ["alice"])
    first = await joined(house, one, clean=False)
    for name in ("a", "b", "c"):
        await watch.put(events, event(name))
    given = [await first.expect(Publish) for _ in range(3)]
    first.send(Puback(given[0].packet_id))
    second = Taking(await joined(house, house.subscriber("two", ["alice"])))
    await watch.put(events, event("d"))
    assert json.loads((await first.expect(Publish)).payload)["id"] == "d"  # alice's keeper as long as it owes
    first.writer.transport.abort()
    await house.until(lambda: len(second.ids) >= 3, "the other has them")
    assert second.ids == ["b", "c", "d"]
    await second.stop()
    again = await Peer5.open(house.ready.mqtt)
    house.peers.append(again)
    assert (await again.connect(one, clean=False)).session_present  # and a member again, without a SUBSCRIBE
    for name in ("e", "f"):
        await watch.put(events, event(name))
    assert json.loads((await again.expect(Publish)).payload)["id"] == "e"


async def test_a_member_that_unsubscribes_or_loses_its_right_is_none(house: House) -> None:
    watch, events = await publisher(house)
    first = await joined(house, house.subscriber("one", ["alice"]))
    second = Taking(await joined(house, house.subscriber("two", ["alice"])))
    assert (await first.unsubscribe(GROUP)).codes == (0,)
    for name in ("a", "b"):
        await watch.put(events, event(name))
    await house.until(lambda: len(second.ids) >= 2, "the other has them")
    await second.stop()
    third = Taking(await joined(house, house.subscriber("three", ["alice"])))
    house.registry.revocation.suspend_subscriber("two", 2_000_000_000_000_000)
    house.look()
    await watch.put(events, event("c"))
    await house.until(lambda: third.ids == ["c"], "the third has it")
    await third.stop()


async def test_a_client_of_3_1_1_is_refused_a_group_and_keeps_what_it_has(house: House) -> None:
    old = await house.connect(house.subscriber("old", ["alice"]))
    assert await old.subscribe((GROUP, 1), (OWN, 1)) == (0x80, 1)
    watch, events = await publisher(house)
    await watch.put(events, event("a"))
    assert json.loads((await old.message()).payload)["id"] == "a"


async def test_a_group_outlasts_the_service(house: House) -> None:
    """See tests/integration/test_sessions_last.py for restarts of the process; the cursor is durable at the SUBACK."""
    await joined(house, house.subscriber("one", ["alice"]))
    cursors = house.service.reader.cursors()
    assert [name.split(":", 3)[3] for name in cursors if name.startswith("share:")] == [GROUP]


async def test_who_has_other_rights_takes_no_events_of_a_group_of_the_same_name_and_moves_no_place_of_it(
    house: House,
) -> None:
    """The same name and the same filter: other users or types are another group, whatever its members do."""
    watch, events = await publisher(house)
    house.device("bob")
    others = {
        "wide": house.subscriber("wide", ["alice", "bob"]),
        "all": house.subscriber("all", None),
        "root": house.admin(),
    }
    narrow = await joined(house, house.subscriber("narrow", ["alice"], ["steps"]), "users/alice/canonical/steps")
    assert (await narrow.ask((GROUP, 1))).codes == (0x87,)
    ours = await joined(house, house.subscriber("ours", ["alice"]))
    await watch.put(events, event("a"))
    first = await ours.expect(Publish)
    for name, identity in others.items():
        theirs = Taking(await joined(house, identity, past="earliest"))
        await house.until(lambda: theirs.ids == ["a"], f"{name} has its own")  # noqa: B023
        await theirs.stop()
    await watch.put(events, event("b"))
    second = await ours.expect(Publish)
    assert [json.loads(each.payload)["id"] for each in (first, second)] == ["a", "b"]
    assert not second.dup
    theirs = Taking(await joined(house, others["wide"]))
    await house.until(lambda: theirs.ids == ["b"], "the group of the others has kept its place")

    def places() -> set[tuple[tuple[str, ...], int]]:
        return {(place.members, place.seq) for place in house.edge.follower.places() if place.group}

    await house.until(lambda: places() == {(("ours",), 0), (("wide",), 2), ((), 1)}, "ours stands where it stood")
    ours.send(Puback(first.packet_id))
    await house.until(lambda: places() == {(("ours",), 1), (("wide",), 2), ((), 1)}, "only ours has moved")
    await theirs.stop()


@pytest.mark.parametrize("name", ["$share/g/users/alice/devices/watch/status", "$share/g/#", "$share/g/users/alice/#"])
async def test_only_events_are_divided(house: House, name: str) -> None:
    app = await Peer5.open(house.ready.mqtt)
    house.peers.append(app)
    await app.connect(house.admin())
    assert (await app.ask((name, 1))).codes == (0x9E,)
    member = await Peer5.open(house.ready.mqtt)
    house.peers.append(member)
    await member.connect(house.subscriber("member", ["alice"]))
    assert (await member.ask((name, 1))).codes == ((0x9E,) if name.endswith("status") else (0x87,))


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_members_and_the_place_of_a_group_outlast_the_service(tmp_path: Path, end: str) -> None:
    """Members with a session need no new SUBSCRIBE, and what nobody acknowledged comes after the restart."""
    lasts = {Property.SESSION_EXPIRY: 3_600}
    peers: list[Peer5] = []

    async def opened(service: Service, identity: Identity, *, clean: bool) -> tuple[Peer5, bool]:
        peer = await Peer5.open(service.ready["mqtt"])
        peers.append(peer)
        answer = await peer.connect(identity, clean=clean, about=lasts)
        assert answer.code == 0
        return peer, answer.session_present

    with Service(tmp_path / "data") as service:
        service.cli("user", "add", "alice", "--consent", "all")
        (made,) = service.cli("device", "add", "alice", "watch")
        watch = Identity(client_id=made["client_id"], token=made["token"], user="alice", device="watch")
        (made,) = service.cli("subscriber", "add", "app", "--users", "alice")
        app = Identity(client_id=made["client_id"], token=made["token"])
        member, _ = await opened(service, app, clean=True)
        assert (await member.ask((GROUP, 1))).codes == (1,)
        phone, _ = await opened(service, watch, clean=True)
        for name in ("a", "b"):
            await phone.put(watch.events, event(name))
        assert json.loads((await member.expect(Publish)).payload)["id"] == "a"
        (service.kill if end == "kill" else service.stop)()
        service.start()
        phone, _ = await opened(service, watch, clean=True)
        await phone.put(watch.events, event("c"))
        member, present = await opened(service, app, clean=False)
        assert present
        given = [json.loads((await member.expect(Publish)).payload)["id"] for _ in range(3)]
        assert given == ["a", "b", "c"]
        (row,) = [row for row in service.cli("subscriber", "lag") if row["kind"] == "group"]
        assert (row["name"], row["members"], row["waiting"]) == (GROUP, ["app"], 3)
        for peer in peers:
            await peer.leave()


async def test_a_member_that_was_full_of_other_messages_gets_its_event_when_it_has_taken_them(house: House) -> None:
    """Nothing of the group had to be acknowledged, so nobody told it: the event lay until the next one came."""
    alice = house.device("alice")
    app = house.subscriber("app", ["alice"])
    watch = await Peer5.open(house.ready.mqtt)
    house.peers.append(watch)
    assert (await watch.connect(alice)).code == 0
    member = await Peer5.open(house.ready.mqtt)
    house.peers.append(member)
    assert (await member.connect(app, about={Property.RECEIVE_MAXIMUM: 2})).code == 0
    assert (await member.ask((GROUP, 1), (alice.status, 1))).codes == (1, 1)
    full = []
    for number in range(2):
        await watch.put(alice.status, b"%d" % number)
        full.append(await member.message(acknowledge=False))
    await watch.put(alice.events, event("e"))
    await house.until(lambda: house.edge.follower.shared.lag == 0, "the group has read the event")
    assert await member.settle() == [], "it takes two at once"
    for each in full:
        member.send(Puback(each.packet_id))
    assert json.loads((await member.message()).payload)["id"] == "e"
