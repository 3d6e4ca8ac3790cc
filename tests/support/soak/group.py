"""A shared group beside the load: four members, cut off at random, on a service that is killed under them."""

import asyncio
import contextlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.support.device import Door
from tests.support.history import Key
from tests.support.outsider import CONNACK, PUBLISH, Listener, Outsider, Packet
from tests.support.wire import Login

MEMBERS = 4
GROUP = "$share/soak/users/+/canonical/+"
_LIFE_S = 2.0
_TOGETHER = (1, 1, 5, 20)
_NO_ANSWER = (OSError, EOFError, TimeoutError, AssertionError)


@dataclass(slots=True, kw_only=True)
class Group:
    """Its members take what they are given until they are cancelled, and are cut off in the middle of it."""

    logins: Sequence[Login]
    rng: random.Random
    where: Callable[[], Door | None]
    #: called at each cut
    cut: Callable[[], None]
    #: what any member was given
    given: set[Key] = field(default_factory=set)
    cuts: int = 0
    #: while it is set, nobody is cut off any more
    steady: bool = False

    async def run(self) -> None:
        """All members, for ever."""
        async with asyncio.TaskGroup() as members:
            for login in self.logins:
                members.create_task(self._member(login, random.Random(self.rng.random())), name=login.client_id)

    async def _member(self, login: Login, rng: random.Random) -> None:
        while True:
            door = self.where()
            if door is not None:
                with contextlib.suppress(*_NO_ANSWER):
                    await self._life(login, rng, door)
            await asyncio.sleep(rng.uniform(0.02, 0.2))

    async def _life(self, login: Login, rng: random.Random, door: Door) -> None:
        """One connection; it ends by a cut, or with the service."""
        client = await Outsider.open(f"{door.host}:{door.port}", Listener.PLAIN, None)  # type: ignore[arg-type]
        try:
            clean, window = rng.random() < 0.5, rng.choice((3, 20, 200))
            answer = await client.connect(
                login.client_id,
                login.token,
                clean=clean,
                receive_maximum=window,
                session_expiry_interval=0 if clean else 600,
            )
            assert (answer.kind, answer.reason) == (CONNACK, 0)
            # The first of all makes the group, from the beginning of the log; it goes on where it is ever after.
            client.ask((GROUP, 1), user_property=[("from", "earliest")])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if self.steady else rng.uniform(0, _LIFE_S)):
                    await self._take(client, min(window, rng.choice(_TOGETHER)))
            self.cuts += 1
            self.cut()
        finally:
            await client.cut()

    async def _take(self, client: Outsider, together: int) -> None:
        owed: list[Packet] = []
        while True:
            packet = await client.next()
            if packet.kind != PUBLISH:
                continue
            event = json.loads(packet.payload)
            self.given.add(Key(event["user_id"], event["id"]))
            owed.append(packet)
            if len(owed) >= (1 if self.steady else together):
                for each in owed:
                    client.acknowledge(each)
                owed.clear()
