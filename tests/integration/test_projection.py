"""What a user's clients are sent, byte for byte, does not depend on what others store: only times do.

Bob does the same on real sockets twice: in a service that nobody else uses, and in one where Alice stores hundreds of
events before each of his steps and in the same commits. Lengths are compared with the bytes.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.mqtt.codec.packets import Disconnect, Property, Puback, Publish
from tests.support.inprocess import House, opened
from tests.support.peer import Identity, Peer, event
from tests.support.peer5 import Peer5

_TIME = re.compile(rb'"received_at":"[0-9T:.-]{26}Z"')
_NO_TIME = b'"received_at":"' + b"0" * 26 + b'Z"'
_TOPIC_OF_ALICE = "users/alice/devices/watch/events"


class Ear:
    """A stream that remembers everything that came."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self.heard = bytearray()

    async def read(self, most: int = -1) -> bytes:
        data = await self._reader.read(most)
        self.heard += data
        return data


class Alice:
    """Somebody else: events by the hundred, refused ones, a status, a reader, groups; or nobody at all."""

    def __init__(self, house: House, watch: Peer, app: Peer5, identity: Identity) -> None:
        self._house = house
        self._watch = watch
        self._app = app
        self._identity = identity
        self._sent = 0

    @classmethod
    async def arrive(cls, house: House) -> "Alice":
        identity = house.device("alice")
        watch = await house.connect(identity)
        app = await Peer5.open(house.ready.mqtt)
        house.peers.append(app)
        await app.connect(house.subscriber("alice-app", ["alice"]), about={Property.SESSION_EXPIRY: 60})
        codes = await app.subscribe(("users/alice/canonical/+", 0), ("$share/g/users/alice/canonical/+", 0))
        assert codes == (0, 0)
        return cls(house, watch, app, identity)

    def begin(self, count: int = 300) -> Callable[[], Awaitable[None]]:
        """Send so many events; what is returned waits for them."""
        ids = [f"a{self._sent + n}" for n in range(count)]
        bad = event(f"a{self._sent}-bad", bpm=9000 + self._sent)
        self._sent += count
        payload = b"[" + b",".join([*(event(each) for each in ids), bad]) + b"]"
        packet_id = self._watch.new_id()
        self._watch.send(Publish(self._identity.events.encode(), payload, 1, False, False, packet_id))

        async def finished() -> None:
            assert (await self._watch.expect(Puback)).packet_id == packet_id
            await self._watch.publish(self._identity.status, b"on" * self._sent, retain=True)
            await self._watch.settle()
            await self._app.settle()

        return finished


class Bob:
    """A user whose clients hear everything that they are sent."""

    def __init__(self, house: House, alice: Alice | None) -> None:
        self.house = house
        self.device = house.device("bob")
        self.app = house.subscriber("bob-app", ["bob"])
        self.ears: list[Ear] = []
        self._alice = alice

    async def connect(self, kind: type[Peer], identity: Identity, **options: Any) -> Any:
        peer = await kind.open(self.house.ready.mqtt)
        self.house.peers.append(peer)
        self.ears.append(Ear(peer.reader))
        peer.reader = self.ears[-1]  # type: ignore[assignment]
        await peer.connect(identity, **options)
        return peer

    async def meanwhile(self) -> None:
        """Alice stores something, if she is there."""
        if self._alice is not None:
            await self._alice.begin()()

    async def together(self, act: Callable[[], Awaitable[None]]) -> None:
        """Do something that is stored in one commit with what Alice sends."""
        received = self.house.counters.messages_received
        with self.house.held_commits() as held:
            finished = None if self._alice is None else self._alice.begin()
            task = asyncio.ensure_future(act())
            wanted = received + (1 if finished is None else 2)
            await self.house.until(lambda: self.house.counters.messages_received >= wanted, "both have sent theirs")
            held.gate.set()
            await task
        if finished is not None:
            await finished()

    def heard(self) -> list[bytes]:
        """Everything that came, but for times and the name of the log."""
        epoch = self.house.service.reader.epoch.encode()
        return [_TIME.sub(_NO_TIME, bytes(ear.heard).replace(epoch, b"e" * len(epoch))) for ear in self.ears]


PAYLOADS = [
    event("b1"),
    event("b1"),
    event("b1", version=2),
    b"[" + event("b2") + b"," + event("b3", bpm=9000) + b"," + event("b2") + b"]",
    json.dumps({"batch": "n", "events": [json.loads(event("b4")), json.loads(event("b1")), 7]}).encode(),
    json.dumps(json.loads(event("b1", version=3)) | {"op": "delete"}).encode(),
    json.dumps({"id": "m", "type": "menstruation", "start_time": "2026-01-01T00:00:00Z", "value": {}}).encode(),
    event("later", start_time="2199-01-01T00:00:00Z"),
    b"no JSON",
    b"",
]


async def of_3_1_1(bob: Bob) -> None:
    device, app = await bob.connect(Peer, bob.device, clean=False), await bob.connect(Peer, bob.app, clean=False)
    await bob.meanwhile()
    await device.subscribe((bob.device.receipts, 1), (bob.device.commands, 1), ("users/alice/#", 1))
    await app.subscribe(("users/bob/canonical/+", 1), ("users/alice/canonical/+", 1), ("users/bob/devices/+/status", 1))
    stored = 0
    for qos, payload in enumerate(PAYLOADS):
        await bob.meanwhile()

        async def act(qos: int = qos, payload: bytes = payload) -> None:
            await device.publish(bob.device.events, payload, 1 + qos % 2, retain=qos == 3)
            await device.message()

        await bob.together(act)
        now = len(bob.house.stored("bob"))
        for _ in range(now - stored):
            await app.message()
        stored = now
    assert stored == 5
    for topic in (_TOPIC_OF_ALICE, "bridge/main/status", "elsewhere"):
        await bob.meanwhile()
        await device.publish(topic, event("x"))
        await device.message()
    await device.publish(bob.device.status, b"on", retain=True)
    await app.message()
    await app.disconnect()
    await bob.together(lambda: device.publish(bob.device.events, event("away")))
    await bob.meanwhile()
    app = await bob.connect(Peer, bob.app, clean=False)
    assert json.loads((await app.message()).payload)["id"] == "away"
    for peer in (device, app):
        await peer.settle()


async def of_5(bob: Bob) -> None:
    lasting = {Property.SESSION_EXPIRY: 600}
    device = await bob.connect(Peer5, bob.device, clean=False, about=lasting)
    app = await bob.connect(Peer5, bob.app, clean=False, about=lasting)
    await bob.meanwhile()
    await device.ask((bob.device.receipts, 1), ("users/alice/#", 1))
    for qos, payload in enumerate(PAYLOADS):
        await bob.meanwhile()

        async def act(payload: bytes = payload, qos: int = qos) -> None:
            await device.put(bob.device.events, payload, 1 + qos % 2)
            await device.message()

        await bob.together(act)
    for topic in (_TOPIC_OF_ALICE, "bridge/main/status", "elsewhere"):
        await device.put(topic, event("x"))
        await device.message()
    stored = len(bob.house.stored("bob"))
    assert stored == 5
    for since in ("earliest", "3", "999999", "2020-01-01T00:00:00Z", "-1", "nonsense"):
        await bob.meanwhile()
        about = {Property.USER_PROPERTY: (("from", since),)}
        code = (await app.ask(("users/bob/canonical/+", 1), about=about)).codes[0]
        for _ in range({"earliest": 5, "3": 3, "2020-01-01T00:00:00Z": 5}.get(since, 0)):
            await app.message()
        assert (code < 0x80) is (since not in {"-1", "nonsense"})
        await app.unsubscribe("users/bob/canonical/+")
    about = {Property.USER_PROPERTY: (("from", "earliest"),)}
    await app.ask(("$share/g/users/bob/canonical/+", 1), about=about)
    for _ in range(stored):
        await app.message()
    app.send(Disconnect())
    await app.closed()
    await bob.meanwhile()
    await bob.together(lambda: device.put(bob.device.events, event("away")))
    app = await bob.connect(Peer5, bob.app, clean=False, about=lasting)
    assert json.loads((await app.message()).payload)["id"] == "away"
    for peer in (device, app):
        await peer.settle()


@pytest.mark.parametrize("script", [of_3_1_1, of_5])
async def test_what_bob_is_sent_does_not_depend_on_what_alice_stores(
    tmp_path: Path, script: Callable[[Bob], Awaitable[None]]
) -> None:
    heard = []
    for crowded in (False, True):
        async with opened(tmp_path / str(crowded)) as house:
            alice = await Alice.arrive(house) if crowded else None
            bob = Bob(house, alice)
            await bob.meanwhile()
            await script(bob)
            heard.append(bob.heard())
            assert (len(house.stored("alice")) > 1000) is crowded
    alone, together = heard
    assert len(alone) >= 3
    assert together == alone, "the same bytes, and as many"
