"""Who talks to the service in the simulation: devices with the real client, plain devices, subscribers."""

import asyncio
import contextlib
import json
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from healthsync_mqtt.client.backoff import Backoff
from healthsync_mqtt.client.credentials import Credentials
from healthsync_mqtt.client.device import DeviceClient
from healthsync_mqtt.client.link import Token
from healthsync_mqtt.client.outbox import MemoryOutbox, OutboxEntry, Position
from healthsync_mqtt.client.transport import Answer, ConnectionLostError
from healthsync_mqtt.errors import DeniedError, HealthSyncError
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.mqtt.replies import LISTED
from healthsync_mqtt.testing.simulator.history import History
from healthsync_mqtt.testing.simulator.network import Network
from healthsync_mqtt.testing.simulator.node import REGISTRY
from healthsync_mqtt.testing.simulator.people import Badge
from healthsync_mqtt.testing.simulator.transport import SimulatedListener, SimulatedTransport, Speech
from healthsync_mqtt.testing.simulator.virtual_time import WallClock

BACKOFF = Backoff(first=0.5, longest=4.0)
_FAILURE = 0x80
_GOES_ON_S = 10.0
"""So long a device goes on trying whose rights were taken."""
_SENT_AGAIN_S = 200.0
"""Within it the client sends again what the service held a few times."""


class Diary:
    """What one device measures: new events, corrections, deletions, and now and then nonsense."""

    def __init__(self, user: str, device: str, chance: Random, clock: WallClock, history: History) -> None:
        self._user = user
        self._device = device
        self._chance = chance
        self._clock = clock
        self._history = history
        self._count = 0
        self._versions: dict[str, dict[str, Any]] = {}

    def next(self) -> tuple[dict[str, Any], bool]:
        """The next event, and whether it is one that must be refused."""
        chance = self._chance
        known = [event for event in self._versions.values() if event.get("op") != "delete"]
        choice = chance.random()
        bad = choice > 0.93
        if known and choice < 0.25:
            event = dict(chance.choice(known))
            event["version"] = event.get("version", 0) + 1
            event["value"] = {"bpm": chance.randint(40, 180)}
        elif known and choice < 0.32:
            last = chance.choice(known)
            event = {"id": last["id"], "type": "heart_rate", "version": last.get("version", 0), "op": "delete"}
        elif known and choice < 0.40:
            event = dict(chance.choice(known))
        else:
            self._count += 1
            event = {
                "id": f"{self._device}-{self._count}",
                "type": "heart_rate",
                "start_time": iso(self._clock.true_us() - 1_000_000),
                "value": {"bpm": 900 if bad else chance.randint(40, 180)},
            }
        if not bad or event["value"] != {"bpm": 900}:
            bad = False
            self._versions[event["id"]] = event
        self._history.send(self._user, self._device, event, bad=bad)
        return event, bad


class RecordingOutbox(MemoryOutbox):
    """A durable outbox of a device: it outlives the client, and writes down what it is told."""

    def __init__(self, user: str, history: History) -> None:
        super().__init__()
        self._user = user
        self._history = history

    def acknowledge(self, keys: Iterable[int], position: Position, now: float) -> None:
        """The receipt says that these are in the log."""
        keys = list(keys)
        for key in keys:
            entry: OutboxEntry | None = self._rows.get(key)
            if entry is not None:
                self._history.acknowledge(self._user, json.loads(entry.payload))
        super().acknowledge(keys, position, now)

    def discard(self, keys: Iterable[int]) -> None:
        """The receipt says that these are refused."""
        keys = list(keys)
        for key in keys:
            if (entry := self._rows.get(key)) is not None:
                self._history.refuse(self._user, entry.id)
        super().discard(keys)

    def close(self) -> None:
        """It outlives the client."""


class SimulatedDevice:
    """The project's own client with its outbox."""

    def __init__(
        self, badge: Badge, *, network: Network, door: SimulatedListener, clock: WallClock,
        chance: Random, history: History, speech: Speech,
    ) -> None:  # fmt: skip
        self.badge, self.principal = badge, badge.principal
        self.user, self.device = str(self.principal.user), str(self.principal.device)
        self._transport = SimulatedTransport(
            network, door, self.principal.client_id, speech=speech, broken=history.violations.append
        )
        self._clock = clock
        self._chance = chance
        self._diary = Diary(self.user, self.device, chance, clock, history)
        self._outbox = RecordingOutbox(self.user, history)

    async def run(self, until: float, peace: asyncio.Event) -> None:
        """Measure and publish until then, and once more in peace: a receipt tells that a log was restored.

        Returns when all is receipted and what was held was sent again, or some seconds after its rights were taken.
        """
        work = asyncio.create_task(self._work(until, peace))
        taken = asyncio.create_task(self.badge.taken.wait())
        try:
            await asyncio.wait((work, taken), return_when=asyncio.FIRST_COMPLETED)
            if taken.done():
                await asyncio.wait((work,), timeout=_GOES_ON_S)
            if work.done():
                await work
        finally:
            for task in (work, taken):
                task.cancel()
            await asyncio.gather(work, taken, return_exceptions=True)

    async def _work(self, until: float, peace: asyncio.Event) -> None:
        loop, chance = asyncio.get_running_loop(), self._chance
        with contextlib.suppress(HealthSyncError):
            async with self._client() as client:
                while loop.time() < until:
                    events = [self._diary.next()[0] for _ in range(chance.randint(1, 4))]
                    await client.enqueue(events)
                    await asyncio.sleep(chance.expovariate(1.0))
                await client.drain()
                await peace.wait()
                await client.enqueue([self._diary.next()[0]])
                await client.drain()
                # What the service held has been told, and is sent again until it is stored: of a far future, not here.
                again = loop.time() + _SENT_AGAIN_S
                while self._outbox.waiting() and loop.time() < again:  # noqa: ASYNC110  # virtual time
                    await asyncio.sleep(1.0)

    def _token(self) -> Token:
        return self.badge.token

    def _client(self) -> DeviceClient:
        credentials = Credentials(
            user_id=self.user, device_id=self.device, client_id=self.principal.client_id,
            username=self.principal.client_id, token="",
        )  # fmt: skip
        return DeviceClient(
            "simulated",
            credentials=credentials,
            token=self._token(),
            outbox=self._outbox,
            batch_size=self._chance.choice([1, 3, 20]),
            receipt_timeout=10.0,
            wait_connected=False,
            backoff=BACKOFF,
            topics=REGISTRY,
            transport=self._transport,
            clock=self._clock,
            rng=self._chance,
        )


class PlainDevice:
    """A device that knows PUBACK and nothing else: what is not acknowledged is sent again."""

    def __init__(
        self, badge: Badge, *, network: Network, door: SimulatedListener, clock: WallClock,
        chance: Random, history: History, speech: Speech,
    ) -> None:  # fmt: skip
        self.badge, self.principal = badge, badge.principal
        self.user, self.device = str(self.principal.user), str(self.principal.device)
        self._chance = chance
        self._history = history
        self._transport = SimulatedTransport(
            network, door, self.principal.client_id, clean=True, speech=speech, broken=history.violations.append
        )
        self._diary = Diary(self.user, self.device, chance, clock, history)
        self._waiting: list[dict[str, Any]] = []
        self._topic = REGISTRY.build("device_events", user=self.user, device=self.device)

    async def run(self, until: float, peace: asyncio.Event) -> None:  # noqa: ARG002  # knows no receipts
        """Measure and publish until then, and on until all is acknowledged or its rights are taken."""
        loop, chance = asyncio.get_running_loop(), self._chance
        while loop.time() < until or self._waiting:
            try:
                async with self._transport.connect(self.badge.token()) as link:
                    while loop.time() < until or self._waiting:
                        if loop.time() < until:
                            self._waiting.append(self._diary.next()[0])
                        await self._send(link.publish, self._waiting[: chance.randint(1, 3)])
                        await asyncio.sleep(chance.expovariate(1.5))
            except (ConnectionLostError, DeniedError):
                if self.badge.taken.is_set():
                    return
                await asyncio.sleep(BACKOFF.delay(1, chance))

    async def _send(self, publish: Any, events: Sequence[dict[str, Any]]) -> None:
        if not events:
            return
        answer: Answer | None = await publish(self._topic, json.dumps(list(events)).encode())
        refused = _refused(answer)
        for event in events:
            if event["id"] in refused:
                self._history.refuse(self.user, event["id"])
            elif answer is None or answer.code < _FAILURE:
                self._history.acknowledge(self.user, event)
            self._waiting.remove(event)


def _refused(answer: Answer | None) -> set[str]:
    """Ids of events that are refused for good, as far as an acknowledgement lists them: not those that are held."""
    said = () if answer is None else answer.said
    entries = [json.loads(value) for name, value in said if name == LISTED]
    return {entry["id"] for entry in entries if not entry.get("held")}


class SimulatedSubscriber:
    """A backend with a persistent session: it subscribes at every connection and acknowledges what comes."""

    def __init__(
        self,
        badge: Badge,
        *,
        network: Network,
        door: SimulatedListener,
        chance: Random,
        history: History,
        speech: Speech,
    ) -> None:
        self.badge, self.principal = badge, badge.principal
        self.name = self.principal.client_id
        self.subscribed = asyncio.Event()
        self._chance = chance
        self._history = history
        self._transport = SimulatedTransport(
            network, door, self.name, heard=self._hear, speech=speech, broken=history.violations.append
        )

    async def run(self) -> None:
        """Read for ever."""
        users = self.principal.users
        while True:
            try:
                async with self._transport.connect(self.badge.token()) as link:
                    for user in sorted(users) if users is not None else ["+"]:
                        await link.subscribe(f"users/{user}/canonical/+")
                    self.subscribed.set()
                    async for _ in link.messages():
                        pass  # until the connection ends
            except (ConnectionLostError, DeniedError):
                pass
            await asyncio.sleep(BACKOFF.delay(1, self._chance))

    def _hear(self, topic: str, payload: bytes) -> None:
        self._history.hear(self.name, topic, payload, self.principal.users)
