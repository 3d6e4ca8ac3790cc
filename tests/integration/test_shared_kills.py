"""Four members of a shared group on real sockets, one of them killed at random, a hundred times."""

import asyncio
import json
from collections import Counter
from random import Random

import pytest

from tests.support.inprocess import House
from tests.support.outsider import PINGRESP, PUBLISH, SUBACK, Listener, Outsider, Packet
from tests.support.peer import Identity, event

GROUP = "$share/g/users/+/canonical/+"
MEMBERS = ("a", "b", "c", "d")
KILLS = 100


class Member:
    """Takes events, acknowledges them in order, and knows for sure what the service has heard of that.

    It acknowledges ``together`` at a time, so that a kill finds it with some that it has not acknowledged.
    """

    def __init__(self, client: Outsider, book: "Book", together: int) -> None:
        self._client = client
        self._book = book
        self._together = together
        self._owed: list[Packet] = []
        #: acknowledged, and not known to be heard
        self._hoped: list[str] = []
        #: it has asked whether it was heard
        self._asked = 0
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            while True:
                packet = await self._client.next()
                if packet.kind == PINGRESP:
                    self._book.sure += self._hoped[: self._asked]
                    del self._hoped[: self._asked]
                    self._asked = 0
                    continue
                if packet.kind == SUBACK:
                    assert packet.codes == (1,)
                    continue
                assert packet.kind == PUBLISH
                given = json.loads(packet.payload)
                self._book.given(given)
                self._owed.append(packet)
                self._acknowledge()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass

    @property
    def owes(self) -> bool:
        """Whether it has something that it has not acknowledged."""
        return bool(self._owed)

    def _acknowledge(self) -> None:
        if len(self._owed) < self._together:
            return
        for packet in self._owed:
            self._client.acknowledge(packet)
            self._hoped.append(json.loads(packet.payload)["id"])
        self._owed.clear()
        if not self._asked:
            self._asked = len(self._hoped)
            self._client.packet(0xC0, b"")

    def settle(self) -> None:
        """Acknowledge all, and from now on each at once."""
        self._together = 1
        if self._owed:
            self._acknowledge()

    async def kill(self) -> None:
        await self._client.cut()
        await self.task


class Book:
    """Every event that was given to anybody."""

    def __init__(self) -> None:
        self.times: Counter[str] = Counter()
        self.sure: list[str] = []
        self.wrong: list[str] = []

    def given(self, given: dict[str, object]) -> None:
        name = str(given["id"])
        if name in self.sure:
            self.wrong.append(name)
        self.times[name] += 1


@pytest.mark.parametrize("seed", [1, 2])
async def test_members_killed_a_hundred_times_miss_nothing_and_get_nothing_again(house: House, seed: int) -> None:
    rng, book = Random(seed), Book()
    devices = [house.device(user) for user in ("alice", "bob", "carol")]
    identities = {name: house.subscriber(name, None) for name in MEMBERS}

    async def opened(identity: Identity, **about: int) -> Outsider:
        client = await Outsider.open(house.ready.mqtt, Listener.PLAIN, house.tls)
        answer = await client.connect(identity.client_id, identity.token, clean=not about, **about)
        assert answer.reason == 0
        return client

    async def joined(name: str) -> Member:
        lasting = {"session_expiry_interval": 1_000} if rng.random() < 0.5 else {}
        window = rng.choice((1, 3, 20, 500))
        client = await opened(identities[name], receive_maximum=window, **lasting)
        client.ask((GROUP, 1))
        return Member(client, book, min(window, rng.choice((1, 3, 4))))

    watches = [(await opened(device), device) for device in devices]
    living = {name: await joined(name) for name in MEMBERS}
    stored = kills = 0
    while kills < KILLS:
        client, device = rng.choice(watches)
        for _ in range(rng.randrange(1, 12)):
            client.publish(device.events, event(f"{device.user}-{stored}"))
            stored += 1
        name = rng.choice(MEMBERS)
        if rng.random() < 0.5:  # one that has something; when all has been given, anybody may have nothing
            await house.until(
                lambda: any(each.owes for each in living.values()) or len(book.times) == stored,  # noqa: B023
                "somebody has something",
            )
            name = next((each for each in MEMBERS if living[each].owes), name)
        await living[name].kill()
        kills += 1
        living[name] = await joined(name)
    for member in living.values():
        member.settle()
    await house.until(lambda: house.counters.stored == stored, "all are stored")
    await house.until(lambda: len(book.times) == stored, "all were given to somebody")
    await house.until(lambda: house.edge.follower.shared.lag == 0, "nobody owes anything")
    await house.until(
        lambda: [place.seq for place in house.edge.follower.places() if place.group] == [stored],
        "all are acknowledged",
    )
    for member in living.values():
        await member.kill()
    for client, _ in watches:
        await client.cut()
    assert book.wrong == [], "given again although it was acknowledged"
    assert book.times.total() - stored > 5, "no kill has left anything behind"
