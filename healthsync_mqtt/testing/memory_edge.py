"""An edge without a broker, for tests: the whole service, with devices that are in the same process."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from bridge.cursors import Cursors
from bridge.follow.canonical_events import CanonicalEvents
from bridge.follow.loop import CursorLoop
from bridge.ground import Ground
from bridge.jobs.presence import Presence
from bridge.pipeline import Pipeline
from bridge.ports import Commit, CommitObserver
from bridge.service import Addresses
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.identity.consent.decisions import Permissions
from healthsync_mqtt.model.declaration import NOTHING_DECLARED, Declared
from healthsync_mqtt.model.delivery import Delivery, DeliveryVerdict
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.report import EdgeReport
from healthsync_mqtt.mqtt.links.port import ConnectionLostError
from healthsync_mqtt.testing.memory_outlet import MemoryOutlet

_CURSOR: Final = "memory:subscriber"


class MemoryFollower:
    """``bridge.service.CanonicalFollower``: one subscriber, to everything. Its place is kept in the log."""

    def __init__(self, base: Ground) -> None:
        self._gate = base.gate
        self._events = CanonicalEvents(base.reader, base.topics)
        self._head = base.journal.head()
        known = base.reader.cursor(_CURSOR)
        self._place = self._head if known is None else known
        self._cursors = Cursors(base.chores)
        self._cursors.move(_CURSOR, self._place)
        self._loop = CursorLoop(self._step)
        self.run = self._loop.run
        self._loop.wake()
        #: topic and payload of what has come, in order
        self.messages: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    @property
    def lag(self) -> int:
        """Rows that it has not been handed."""
        return self._head - self._place

    @property
    def lag_s(self) -> float:
        """Not known here."""
        return 0.0

    def committed(self, commit: Commit) -> None:
        """The log has grown."""
        self._head = commit.head
        self._loop.wake()

    def purged(self) -> None:
        """Nothing old is handed out."""
        self._events.forget()

    def keep(self) -> None:
        """Write down how far it is."""
        self._cursors.move(_CURSOR, self._place)
        self._cursors.keep()

    def _step(self) -> bool:
        if self._place >= self._head:
            return False
        page = self._events.after(self._place, self._head)
        for event in page.events:
            if self._gate.shares(event.record, event.record.received_us):
                self.messages.put_nowait((event.topic, event.payload))
        self._place = page.through
        return True


class MemoryShelf:
    """``bridge.ports.Shelf``: what is retained, by topic. It is gone with the run, and says so by being empty."""

    run: Final = 0
    births: Final = 0
    ready: Final = True
    remembers: Final = True
    lasting: Final = True

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def recall(self, topic: str) -> bytes:
        """What is retained on a topic."""
        return self.kept.get(topic, b"")

    def retain(self, topic: str, payload: bytes, done: Callable[[bool], None]) -> bool:
        """Retain; ``done`` comes later, as a broker's answer does."""
        if payload:
            self.kept[topic] = payload
        else:
            self.kept.pop(topic, None)
        asyncio.get_running_loop().call_soon(done, True)
        return True

    def forget(self, below: str) -> None:
        """Retain nothing below this any more."""
        self.kept = {topic: payload for topic, payload in self.kept.items() if not topic.startswith(below)}


class MemoryEdge:
    """``bridge.service.Edge``. ``permissions`` are what its users agree to."""

    mode: Final = "embedded"
    withheld: Final = frozenset[str]()

    def __init__(self, base: Ground, permissions: Permissions) -> None:
        base.gate.replace(permissions)
        self.outlet = MemoryOutlet()
        self.follower = MemoryFollower(base)
        self.observers: Sequence[CommitObserver] = ()
        self.registry_db = base.settings.paths.registry_db
        #: payloads of the bridge's own status, in order
        self.statuses: list[bytes] = []

    def owns(self, user: str) -> bool:
        """Every user."""
        del user
        return True

    def declared(self, user: str, device: str) -> Declared:
        """Nothing: it has no apps."""
        del user, device
        return NOTHING_DECLARED

    @classmethod
    @asynccontextmanager
    async def open(cls, base: Ground, *, permissions: Permissions) -> AsyncIterator["MemoryEdge"]:
        """For ``Service.open``, with ``functools.partial``."""
        yield cls(base, permissions)

    @asynccontextmanager
    async def serve(self, pipeline: Pipeline, status: Callable[[Presence], bytes]) -> AsyncIterator["MemoryServing"]:
        """Devices may publish."""
        del status  # nobody has to say "lost" for a broker that is lost with the bridge
        yield MemoryServing(self, pipeline)


class MemoryServing:
    """``bridge.service.Serving``, and the source of what devices publish."""

    def __init__(self, edge: MemoryEdge, pipeline: Pipeline) -> None:
        self.shelf = MemoryShelf()
        self._edge = edge
        self._pipeline = pipeline
        self._tokens = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._open = False
        #: the pipeline takes more; whoever waits until it does goes on in the order of arrival
        self._free = asyncio.Event()
        self._free.set()
        self._turn = asyncio.Lock()

    # -- devices

    def open(self) -> None:
        """Devices may come."""
        self._open = True

    async def publish(self, user: str, device: str, payload: bytes) -> None:
        """Return when it is acknowledged. ConnectionLostError: it never will be."""
        async with self._turn:
            await self._free.wait()
            if not self._open:
                raise ConnectionLostError("nobody listens")
            token, topic = next(self._tokens), f"users/{user}/devices/{device}/events"
            taken = self._waiting[token] = asyncio.get_running_loop().create_future()
            self.hand_on(Delivery(self, token, Origin(user, device, None, topic), payload))
        await taken

    def hand_on(self, delivery: Delivery) -> None:
        """To the pipeline, which may say that it takes no more for now."""
        if self._pipeline.submit([delivery]):
            self._free.clear()

    # -- the pipeline's side (``model.delivery.Source``)

    def acknowledge(self, tokens: Sequence[int], verdicts: Sequence[DeliveryVerdict] = ()) -> None:  # noqa: ARG002
        """These are durable."""
        for token in tokens:
            taken = self._waiting.pop(token)
            if not taken.done():
                taken.set_result(None)

    def charge(self, cost: int) -> None:
        """Nobody is slowed down."""

    def resume(self) -> None:
        """The next may come."""
        self._free.set()

    # -- the service's side

    async def listen(self) -> Addresses:
        """Devices may come; there is no address."""
        self.open()
        return Addresses()

    def announce(self, status: bytes) -> None:
        """Note it."""
        json.loads(status)
        self._edge.statuses.append(status)

    async def quiet(self) -> None:
        """Take no more."""
        self._open = False

    async def leave(self) -> None:
        """Whoever waits still, waits in vain."""
        self._free.set()
        waiting, self._waiting = self._waiting, {}
        for taken in waiting.values():
            if not taken.done():
                taken.set_exception(ConnectionLostError("the service has ended"))
                taken.exception()

    async def erase(self, user: str, clients: tuple[str, ...]) -> None:  # noqa: ARG002
        """Forget what is retained of the person; there are no connections and no file."""
        if user:
            self.shelf.forget(f"users/{user}/")

    async def heed(self) -> None:
        """There are no logins."""

    async def reload(self, settings: Settings) -> None:
        """There is nothing to go by."""

    def report(self) -> EdgeReport:
        """It is always there."""
        return EdgeReport(connected=True, connections=len(self._waiting))
