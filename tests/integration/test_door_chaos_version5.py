"""Whatever clients of MQTT 5 send, in whatever order: what they are sent keeps to the standard, others notice nothing.

What the service says is read by the parser of ``outsider``, which knows the standard and nothing of our codec.
``HEALTHSYNC_FUZZ_SEEDS=FIRST:LAST`` names other seeds.
"""

import asyncio
import random
from typing import Any

import pytest

from healthsync_mqtt.mqtt.codec import encode, v5
from healthsync_mqtt.mqtt.codec.packets import (
    Auth,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Property,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Subscribe,
    Unsubscribe,
    Will,
)
from tests.integration.test_door_chaos import settled
from tests.support.inprocess import Bystander, House
from tests.support.outsider import CONNACK, DISCONNECT, Listener, Outsider
from tests.support.outsider import Packet as Told
from tests.support.peer import Identity, event
from tests.support.seeds import fuzz_seeds

pytestmark = pytest.mark.parametrize(
    "changes", [{"limits.failed_login_base_s": 0.001, "limits.unauthenticated_per_address": 1000}]
)
SEEDS = fuzz_seeds(6)
METHOD = {Property.AUTHENTICATION_METHOD: "healthsync-token"}
LONG = 0xFFFF_FFFF


def about_message(rng: random.Random, me: Identity) -> dict[Property, Any]:
    """Some properties of a PUBLISH, mostly ones that may be there."""
    found: dict[Property, Any] = {}
    for name, values in (
        (Property.PAYLOAD_FORMAT, (0, 1)),
        (Property.MESSAGE_EXPIRY, (0, 1, LONG)),
        (Property.CONTENT_TYPE, ("", "text/plain")),
        (Property.RESPONSE_TOPIC, (me.status, f"users/{me.user}/devices/{me.device}/token/response", "x")),
        (Property.CORRELATION_DATA, (b"", b"\x00\xff", rng.randbytes(50))),
        (Property.USER_PROPERTY, ((("a", "b"),), (("a", ""), ("a", "")) * 20, (("n", "v"),) * 64)),
        (Property.TOPIC_ALIAS, (1, 2, 16, 17)),
        (Property.SUBSCRIPTION_ID, ((1,),)),
    ):
        if rng.random() < (0.02 if name is Property.SUBSCRIPTION_ID else 0.15):
            found[name] = rng.choice(values)
    return found


def about_connect(rng: random.Random) -> dict[Property, Any]:
    found: dict[Property, Any] = dict(METHOD) if rng.random() < 0.5 else {}
    for name, values in (
        (Property.SESSION_EXPIRY, (0, 1, 1_000, LONG)),
        (Property.RECEIVE_MAXIMUM, (1, 2, 65_535)),
        (Property.MAXIMUM_PACKET_SIZE, (32, 60, 200, 1 << 28)),
        (Property.TOPIC_ALIAS_MAXIMUM, (0, 1, 3, 65_535)),
        (Property.REQUEST_RESPONSE_INFORMATION, (0, 1)),
        (Property.REQUEST_PROBLEM_INFORMATION, (0, 1)),
        (Property.USER_PROPERTY, ((("who", "me"),),)),
    ):
        if rng.random() < 0.4:
            found[name] = rng.choice(values)
    return found


def some_will(rng: random.Random, me: Identity) -> Will | None:
    about = {Property.WILL_DELAY: rng.choice((0, 1, 1_000)), Property.USER_PROPERTY: (("w", "1"),)}
    topic = me.status if me.device else "x"
    return Will(topic, b"lost", rng.randrange(3), rng.random() < 0.5, about) if rng.random() < 0.4 else None


def some_packet(rng: random.Random, me: Identity) -> Packet:
    """Any packet of a client, as often a sensible one as not."""
    number = rng.choice((1, 2, 3, rng.randrange(1, 65_536)))
    own_topics = (me.events, me.status, "users/alice/events", me.commands, me.receipts)
    topic = rng.choice((*own_topics, "users/bob/events", "x", ""))
    about = about_message(rng, me)
    if not topic:
        about.setdefault(Property.TOPIC_ALIAS, rng.choice((1, 2, 16)))
    qos = rng.randrange(3)
    payload = rng.choice((b"", b"{}", rng.randbytes(20), event(f"e{rng.randrange(50)}"), event("bad", bpm=900)))
    options = rng.randrange(3) | rng.choice((0, 4, 8, 12)) | rng.randrange(3) << 4
    shared = rng.choice(("$share/g/users/alice/canonical/+", "$share/h/users/+/canonical/+", "$share/g/#"))
    filters = (me.status, me.receipts, "users/alice/canonical/+", "users/alice/#", "#", "users/bob/#")
    own = (rng.choice(filters), options)
    asked: dict[Property, Any] = {}
    if rng.random() < 0.3:
        asked[Property.SUBSCRIPTION_ID] = (rng.choice((1, 268_435_455)),)
    if rng.random() < 0.3:
        since = rng.choice(("earliest", "1", "2026-01-01T00:00:00Z", "never"))
        asked[Property.USER_PROPERTY] = (("from", since),)
    why = rng.choice((0, 0, 0x10, 0x80, 0x97))
    return rng.choice(
        (
            Publish(
                topic.encode(), payload, qos, rng.random() < 0.2, bool(qos) and rng.random() < 0.2,
                number if qos else 0, about,
            ),
            Publish(me.events.encode(), payload, 1, False, False, number, about_message(rng, me)),
            Publish(me.status.encode(), payload, rng.randrange(1, 3), rng.random() < 0.5, False, number, about),
            Puback(number, why),
            Pubrec(number, why),
            Pubrel(number, rng.choice((0, 0x92))),
            Pubcomp(number, rng.choice((0, 0x92))),
            Subscribe(number, (own,), asked),
            Subscribe(number, (own, (shared, options & ~4)), asked),
            Unsubscribe(number, (me.status, shared, "a/b")),
            Pingreq(),
            Auth(0x19, METHOD | {Property.AUTHENTICATION_DATA: rng.choice((me.token.encode(), b"x"))}),
            rng.choice((Pingreq(), Disconnect(rng.choice((0, 4)), {Property.SESSION_EXPIRY: rng.choice((0, 5))}))),
            rng.choice((Pingreq(), Pingreq(), Connect(me.client_id, True, 60, protocol_level=5))),
        )
    )  # fmt: skip


async def heard(rng: random.Random, client: Outsider) -> list[Told]:
    """Read as long as the service says anything; answer some of it, and not always rightly."""
    found: list[Told] = []
    try:
        while True:
            told = await client.next()
            found.append(told)
            if told.packet_id and told.kind == 3 and rng.random() < 0.9:
                kind = 0x40 if (told.qos == 1) is (rng.random() < 0.95) else 0x50
                client.packet(kind, told.packet_id.to_bytes(2, "big"))
            elif told.kind == 5 and told.reason < 0x80:
                client.packet(0x62, told.packet_id.to_bytes(2, "big"))
    except (asyncio.IncompleteReadError, ConnectionError):
        return found


async def entered(house: House, rng: random.Random, who: Identity) -> tuple[Outsider, asyncio.Task[list[Told]]]:
    """A connection that has said CONNECT, in one version or the other; what it hears is read."""
    listener = rng.choice(list(Listener))
    client = await Outsider.open(getattr(house.ready, listener.value), listener, house.tls)
    asked = Connect(
        who.client_id, rng.random() < 0.4, rng.choice((0, 60)), who.client_id, who.token.encode(), some_will(rng, who),
        5, "MQTT", about_connect(rng),
    )  # fmt: skip
    client.raw(v5.encode(asked))
    return client, asyncio.create_task(heard(rng, client))


@pytest.mark.parametrize("seed", SEEDS)
async def test_random_packets_in_random_order_in_both_versions(house: House, bob: Bystander, seed: int) -> None:
    rng = random.Random(seed)
    everybody = [house.device("alice"), house.subscriber("app", ["alice"]), house.admin()]
    open_ones: list[tuple[Outsider, asyncio.Task[list[Told]]]] = []
    heard_in_all: list[Told] = []
    for _ in range(40):
        who = rng.choice(everybody)
        if rng.random() < 0.15:  # the same session goes on in the other version
            old = await house.knock()
            await old.connect(who, clean=rng.random() < 0.3)
            old.send(
                Subscribe(7, (("users/alice/canonical/+", 1),)),
                Publish(b"users/alice/events", event("old"), 1, packet_id=9),
            )
            await asyncio.sleep(0)
            await (old.leave() if rng.random() < 0.5 else asyncio.sleep(0))
        client, reading = await entered(house, rng, who)
        open_ones.append((client, reading))
        for _ in range(rng.randrange(1, 40)):
            data = b"".join(v5.encode(some_packet(rng, who)) for _ in range(rng.randrange(1, 5)))
            if rng.random() < 0.03:
                damaged = bytearray(data)
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
                data = bytes(damaged)
            try:
                client.raw(data)
            except ConnectionError:
                break
            if rng.random() < 0.3:
                await asyncio.sleep(0)
        if rng.random() < 0.5:
            client, reading = open_ones.pop(rng.randrange(len(open_ones)))
            await client.cut()
            heard_in_all += await reading
    for client, reading in open_ones:
        await client.cut()
        heard_in_all += await reading
    assert sum(told.kind == CONNACK for told in heard_in_all) > 10, "nobody came in"
    assert len(heard_in_all) > 50
    await settled(house, bob)
    await house.still_serves(bob)


@pytest.mark.parametrize("seed", SEEDS)
async def test_random_bytes_instead_of_connect(house: House, bob: Bystander, seed: int) -> None:
    rng = random.Random(seed)
    alice = house.device("alice")
    for _ in range(60):
        asked = Connect(
            alice.client_id, True, 60, alice.client_id, alice.token.encode(), some_will(rng, alice), 5, "MQTT",
            about_connect(rng),
        )  # fmt: skip
        good = v5.encode(asked) if rng.random() < 0.9 else encode(Connect(alice.client_id, True, 60))
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(rng.choice((min(30, len(data)), len(data))))] = rng.randrange(256)
        client = await Outsider.open(house.ready.mqtt, Listener.PLAIN, house.tls)
        client.raw(bytes(data[: rng.randrange(1, len(data))]) if rng.random() < 0.3 else bytes(data))
        client.finish()
        try:
            answers = await client.over()
        except AssertionError:  # the version was damaged, and the answer is in another one
            if data[8:9] == b"\x05":
                raise
            continue
        finally:
            await client.cut()
        assert {told.kind for told in answers} <= {CONNACK, DISCONNECT}
    await settled(house, bob)
    await house.still_serves(bob)
