"""Whatever a client sends: the service still answers, the others notice nothing, the figures balance.

``HEALTHSYNC_FUZZ_SEEDS=FIRST:LAST`` names other seeds.
"""

import asyncio
import random

import pytest

from healthsync_mqtt.mqtt.codec import encode
from healthsync_mqtt.mqtt.codec.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from tests.support.inprocess import Bystander, House
from tests.support.peer import Identity, event
from tests.support.seeds import fuzz_seeds

pytestmark = pytest.mark.parametrize(
    "changes", [{"limits.failed_login_base_s": 0.001, "limits.unauthenticated_per_address": 1000}]
)

SEEDS = fuzz_seeds(6)


def some_packet(rng: random.Random, me: Identity) -> Packet:
    """Any valid packet, as often a sensible one as not."""
    number = rng.choice((1, 2, 3, rng.randrange(1, 65_536)))
    topic = rng.choice((me.events, me.status, "users/alice/events", me.commands, me.receipts, "users/bob/events", "x"))
    qos = rng.randrange(3)
    retain, dup = rng.random() < 0.2, bool(qos) and rng.random() < 0.2
    payload = rng.choice((b"", b"{}", rng.randbytes(20), event(f"e{rng.randrange(50)}"), event("bad", bpm=900)))
    filters = ((rng.choice((me.receipts, me.status, "users/alice/#", "#", "$SYS/#", "users/bob/#")), rng.randrange(3)),)
    return rng.choice(
        (
            Publish(topic.encode(), payload, qos, retain, dup, number if qos else 0),
            Publish(me.events.encode(), payload, 1, False, False, number),
            Publish(me.status.encode(), payload, 2, True, False, number),
            Puback(number),
            Pubrec(number),
            Pubrel(number),
            Pubcomp(number),
            Subscribe(number, filters),
            Subscribe(number, ((me.status, 2), (me.receipts, 1))),
            Unsubscribe(number, (me.status, "a/b")),
            Pingreq(),
            rng.choice((Pingresp(), Disconnect(), Connack(False, 0), Suback(number, (1,)), Unsuback(number))),
            rng.choice((Pingreq(), Connect(me.client_id, True, 60, me.client_id, me.token.encode()))),
        )
    )


@pytest.mark.parametrize("seed", SEEDS)
async def test_random_packets_in_random_order(house: House, bob: Bystander, seed: int) -> None:
    rng = random.Random(seed)
    alice = house.device("alice")
    for _ in range(40):
        peer = await house.knock()
        will = rng.choice((None, Will(alice.status, b"lost", rng.randrange(3), retain=True)))
        await peer.connect(alice, clean=rng.random() < 0.5, will=will)
        for _ in range(rng.randrange(1, 40)):
            data = b"".join(encode(some_packet(rng, alice)) for _ in range(rng.randrange(1, 5)))
            peer.writer.write(data)
            if rng.random() < 0.3:
                await asyncio.sleep(0)
        await (peer.leave() if rng.random() < 0.5 else asyncio.sleep(0))
    await settled(house, bob)
    await house.still_serves(bob)


@pytest.mark.parametrize("seed", SEEDS)
async def test_random_bytes_after_connect(house: House, bob: Bystander, seed: int) -> None:
    rng = random.Random(seed)
    alice = house.device("alice")
    for _ in range(40):
        peer = await house.connect(alice, clean=rng.random() < 0.5)
        good = b"".join(encode(some_packet(rng, alice)) for _ in range(rng.randrange(4)))
        noise = bytearray(good + rng.randbytes(rng.randrange(1, 300)))
        for _ in range(rng.randrange(4)):
            noise[rng.randrange(len(noise))] = rng.randrange(256)
        peer.writer.write(bytes(noise))
        await asyncio.sleep(0)
    await settled(house, bob)
    await house.still_serves(bob)


@pytest.mark.parametrize("seed", SEEDS)
async def test_random_bytes_instead_of_connect(house: House, bob: Bystander, seed: int) -> None:
    rng = random.Random(seed)
    alice = house.device("alice")
    good = encode(Connect(alice.client_id, True, 60, alice.client_id, alice.token.encode()))
    for _ in range(60):
        peer = await house.knock()
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(rng.choice((16, len(data))))] = rng.randrange(256)
        peer.writer.write(bytes(data[: rng.randrange(1, len(data))]) if rng.random() < 0.3 else bytes(data))
        await asyncio.sleep(0)
    await settled(house, bob)
    await house.still_serves(bob)


async def test_a_storm_of_connections_that_come_and_go(house: House, bob: Bystander) -> None:
    identities = [house.device("alice", f"d{n}") for n in range(20)]

    async def visit(identity: Identity) -> None:
        peer = await house.connect(identity, clean=False, will=Will(identity.status, b"lost", 1, retain=True))
        await peer.publish(identity.events, event(f"{identity.device}-a"))
        await peer.leave()

    for _ in range(5):
        await asyncio.gather(*(visit(identity) for identity in identities))
        await bob.goes_on()
    assert house.counters.stored == 20 + 5
    assert house.counters.duplicate == 80


async def settled(house: House, bob: Bystander) -> None:
    """Everything that was sent has been read and committed."""
    for peer in house.peers:
        if peer not in (bob.device, bob.app):
            await peer.leave()
    await house.until(lambda: house.counters.connections == 2, "only the bystander is left")
    await house.until(lambda: house.counters.in_flight == 0, "everything is committed")
    counters = house.counters
    assert counters.received == counters.stored + counters.duplicate + counters.rejected
    # The same refusal again is the same row of the quarantine, with how often it came.
    rows = house.service.reader.rejected(0, 10_000, user="alice")
    assert sum(row.times for row in rows) == counters.rejected
    # Of bytes in which something may be that nobody agreed to, their digest is kept instead of them.
    keys = {(row.topic, row.reason, row.field, row.event_id, row.raw, row.sha256) for row in rows}
    assert len(keys) == len(rows)
