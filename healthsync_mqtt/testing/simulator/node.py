"""One life of a service in the simulation: the real pipeline, door, sessions, followers and log.

What a machine gives is replaced: the disk by ``Disk``, the network by ``Network``, threads and the time by the loop's.
The registry is a real file: faults of its disk would be those of the commands that write it. Everything that promises
something is the code that runs in production.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, cast

import apsw

from bridge.cursors import Cursors
from bridge.edges.embedded import DoorOutlet, DoorSource, RefusedMessages
from bridge.edges.requests import TokenRequests
from bridge.folds import Folds
from bridge.follow.canonical import CanonicalFeed
from bridge.jobs.release import Release
from bridge.jobs.revocations import Revocations
from bridge.pipeline import Pipeline
from bridge.ports import Chores
from bridge.stages.consent import ConsentGate
from healthsync_mqtt.broker.embedded.door import FrontDoor
from healthsync_mqtt.broker.embedded.rests import Rests
from healthsync_mqtt.broker.embedded.sessions.store import SessionStore
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.broker.embedded.wire import Wire
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.errors import HealthSyncError, StoreError
from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.identity.exchange import TokenExchange
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.logins import Logins
from healthsync_mqtt.identity.login.newcomers import Newcomers
from healthsync_mqtt.identity.login.tokens import TokenIssuer, TokenVerifier
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.mqtt.message_room import MessageRoom
from healthsync_mqtt.sinks.shipper import Shipper
from healthsync_mqtt.storage.port import EventLog
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.telemetry.counters import Counters
from healthsync_mqtt.testing.memory_bridge import MemoryArrivals
from healthsync_mqtt.testing.simulator.disk import Disk
from healthsync_mqtt.testing.simulator.machine import FarTransport, SimulatedJournal, SnapshotReader
from healthsync_mqtt.testing.simulator.network import SimulatedWire, WireUser
from healthsync_mqtt.testing.simulator.people import KEYS
from healthsync_mqtt.testing.simulator.sink import CONFIG, ConcurrentReader, ServerSink, SimulatedServer
from healthsync_mqtt.testing.simulator.virtual_time import VirtualThread, WallClock
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.registry import TopicRegistry

LIMITS = LimitSettings()
ACCESS_S = 61
"""A device that enrolled renews its token at each connection: its client does it a minute before the end."""
REVOCATION_S = 0.25
"""As often as the real job looks."""
REGISTRY = TopicRegistry.load()
RULES = AccessRules(REGISTRY)


@dataclass(frozen=True, slots=True)
class ServiceParts:
    """What a service is made of; a test replaces a part by one with a planted defect."""

    open_log: Callable[..., EventLog] = SqliteEventLog.open
    journal: Callable[[EventLog, Random], SimulatedJournal] = SimulatedJournal
    sink: Callable[[SimulatedServer], Any] = ServerSink
    sink_reader: Callable[[SnapshotReader, Callable[[], None], Random], Any] = ConcurrentReader
    open_sessions: Callable[..., SessionStore] = SessionStore.open
    logins: Callable[[Directory, TokenVerifier], Logins] = Logins.of
    revocations: Callable[..., Revocations] = Revocations
    exchange: Callable[..., TokenExchange] = TokenExchange


class Node:
    """A running service. ``start`` may raise StoreError: then it does not run."""

    def __init__(
        self,
        *,
        disk: Disk,
        directory: Path,
        clock: WallClock,
        chance: Random,
        server: SimulatedServer,
        plan: ServiceParts,
    ) -> None:
        self._server = server
        self._plan = plan
        self._disk = disk
        self._directory = directory
        self._clock = clock
        self._chance = chance
        self._tasks: list[asyncio.Task[Any]] = []
        self.failure: BaseException | None = None
        self.running = False
        self.counters = Counters()

    async def start(self, *, accept_restored: bool = False) -> None:
        """Open the files and listen."""
        with ExitStack() as opened:
            await self._start(opened, accept_restored=accept_restored)
            opened.pop_all()

    async def _start(self, opened: ExitStack, *, accept_restored: bool) -> None:
        loop, chance, clock, plan = asyncio.get_running_loop(), self._chance, self._clock, self._plan
        path = self._directory / "events.db"
        accepted = (lambda _seen, _epoch: None) if accept_restored else None
        self.log = plan.open_log(path, vfs=self._disk.name, exclusive=True, accept_restored=accepted)
        opened.callback(self.log.close)
        self.journal = plan.journal(self.log, chance)
        self.reader = SnapshotReader(self._disk, path)
        opened.callback(self.reader.close)
        self._registry = Registry.open(self._directory / "registry.db")
        opened.callback(self._registry.close)
        self._writer, thread = (VirtualThread(loop, Random(chance.random())) for _ in "12")  # noqa: S311
        gate, chores = ConsentGate(), Chores()
        directory = Directory(self._registry, agreements=gate)
        logins = plan.logins(directory, TokenVerifier(KEYS))
        self._newcomers = Newcomers(logins, thread)
        audit = AuditLog.open(self._directory / "audit.db", self._directory / "audit.key")
        issuer = TokenIssuer(KEYS)
        exchange = plan.exchange(self._registry, issuer, audit, lifetime_s=ACCESS_S)
        self._requests = TokenRequests(exchange, directory, clock=clock.time, thread=thread)
        self._store = plan.open_sessions(
            self._directory / "sessions.db", vfs=self._disk.name, thread=self._writer, clock=loop.time
        )
        opened.callback(self._store.close)
        sessions = Sessions(LIMITS, RULES, self._store)
        over = sessions.restore(directory.principal, directory.has_device)
        self.publisher = CanonicalFeed(
            reader=cast("Any", self.reader),
            head=self.journal.head(),
            registry=REGISTRY,
            chores=chores,
            gate=gate,
            sessions=sessions,
            over=over,
            clock_us=clock.us,
        )
        outlet = DoorOutlet(sessions)
        self.pipeline = Pipeline(
            journal=self.journal,
            registry=REGISTRY,
            counters=self.counters,
            bridge_id="sim",
            gate=gate,
            chores=chores,
            outlet=outlet,
            observers=(self.publisher,),
            failed=self._fail,
            folds=Folds(cast("Any", self.reader), REGISTRY, gate),
            clock_us=clock.us,
        )
        self._release = Release(self.pipeline, chores, cast("Any", self.reader), clock_us=clock.us)
        self.door = FrontDoor(
            limits=LIMITS,
            rules=RULES,
            logins=logins,
            newcomers=self._newcomers,
            ingest=DoorSource(self.pipeline, RefusedMessages(REGISTRY, chores, outlet)),
            feeder=self.publisher,
            requests=self._requests,
            sessions=sessions,
            counters=self.counters,
            arrivals=MemoryArrivals(),
            room=MessageRoom(LIMITS.max_packet, LIMITS.app_messages_bytes),
            on_refused=lambda _reason, _peer, _claimed: None,
            on_fatal=self._fail,
            rests=Rests(idle=loop.time),
            clock=clock.time,
        )
        await self.door.start()
        self._shipped = Cursors(chores, "sink:")
        self.shipper = Shipper(
            CONFIG,
            plan.sink(self._server),
            reader=plan.sink_reader(self.reader, self.journal.hurry, chance),
            cursor=self.reader.cursor("sink:simulated") or 0,
            keep=self._keep,
            clock=asyncio.get_running_loop().time,
            now_us=clock.us,
            jitter=chance.random,
        )
        self._revocations = plan.revocations(
            directory, self._newcomers, self.door, lambda: self.publisher.narrowed(gate.changed())
        )
        self._tasks = [
            asyncio.create_task(self._revoke(), name="sim.revocations"),
            asyncio.create_task(self._ship(), name="sim.ship"),
            asyncio.create_task(self.publisher.run(), name="sim.publish"),
            asyncio.create_task(self._keep_positions(), name="sim.positions"),
            asyncio.create_task(self._take_held(), name="sim.held"),
        ]
        self.running = True

    def accept(self, wire: SimulatedWire) -> WireUser | None:
        """A new connection's far end (a transport's ``Door``)."""
        if not self.running:
            return None
        protocol = Wire(self.door._accept, secure=True)  # noqa: SLF001  # what a listener does
        far = FarTransport(wire, protocol)
        protocol.connection_made(far)
        return far

    async def stop(self) -> None:
        """A clean stop."""
        self.running = False
        await self.door.stop_listening()
        await self.pipeline.close(1.0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await self.door.stop()
        self.publisher.keep()
        await self.pipeline.settle(0.5)
        await self._end()
        await self._requests.drain()
        self._newcomers.close()
        self._store.close()
        self._registry.close()
        self.pipeline.stop()
        self.journal.close()
        self.reader.close()

    async def die(self) -> None:
        """Kill -9: nothing is said, nothing is finished."""
        self.running = False
        self.pipeline.stop()
        await self._end()
        self.reader.close()
        self._newcomers.close()
        self._writer.shutdown(cancel_futures=True)
        self._registry.close()
        self._disk.dead = True
        try:
            self._store.close()
            with contextlib.suppress(StoreError, apsw.Error):
                self.log.close()  # gives the locks back, as the kernel does for a dead process
        finally:
            self._disk.dead = False

    def rows(self) -> list[Record]:
        """Everything in the log, superseded rows too."""
        return self.reader.read(0, 1_000_000, history=True)  # type: ignore[no-any-return]

    def held(self) -> set[tuple[str, str, int]]:
        """User, id and rank of every event that waits in the quarantine for its time."""
        found = set()
        for row in self.reader.rejected(0, 1_000_000):
            if row.due_us is not None:
                event = json.loads(row.raw)
                found.add((row.user, event["id"], event.get("version", 0) * 2 + (event.get("op") == "delete")))
        return found

    async def _revoke(self) -> None:
        while True:
            await asyncio.sleep(REVOCATION_S)
            with contextlib.suppress(StoreError):
                await self._revocations.look()

    def _keep(self, cursor: int) -> None:
        self._shipped.move("simulated", cursor)

    async def _ship(self) -> None:
        while True:
            due_s = self.shipper.step()
            await asyncio.sleep(due_s + self._chance.expovariate(200.0))

    async def _keep_positions(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.publisher.keep()
            self._shipped.keep()

    async def _take_held(self) -> None:
        while True:
            await asyncio.sleep(5.0)
            with contextlib.suppress(HealthSyncError, apsw.Error):
                await self._release.take_due()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _fail(self, error: BaseException) -> None:
        self.failure = error
