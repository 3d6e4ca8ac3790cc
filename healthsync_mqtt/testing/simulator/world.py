# long: one run from its start to its last checks: who takes part, what goes wrong, what has to be true
"""One seeded run: a service, its clients, a network and faults, on virtual time; the promises are checked on the way.

Everything that happens follows from the seed. A run costs some tens of milliseconds, so that many seeds can be tried.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from random import Random

from healthsync_mqtt.errors import StoreError, UnavailableError
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.mqtt.links import manners
from healthsync_mqtt.storage.anchor import RestoredError
from healthsync_mqtt.testing.simulator.clients import PlainDevice, SimulatedDevice, SimulatedSubscriber
from healthsync_mqtt.testing.simulator.commands import Band, Operator
from healthsync_mqtt.testing.simulator.disk import Disk
from healthsync_mqtt.testing.simulator.history import History
from healthsync_mqtt.testing.simulator.network import Network, SimulatedWire, WireUser
from healthsync_mqtt.testing.simulator.newcomers import EarnedBadge, Newcomer
from healthsync_mqtt.testing.simulator.node import Node, ServiceParts
from healthsync_mqtt.testing.simulator.people import OF_ALICE, OPERATOR, READER, USERS, Badge, Office, Taking, device
from healthsync_mqtt.testing.simulator.sink import SimulatedServer
from healthsync_mqtt.testing.simulator.transport import Speech
from healthsync_mqtt.testing.simulator.virtual_time import StandstillError, VirtualLoop, WallClock

_START_US = 1_795_413_600_000_000
_WORK_S = 12.0
_SETTLE_S = 600.0
_COMMANDED = 0.5
"""The part of the seeds in which somebody is sent commands."""
_ENROLLING = 0.3
"""The part of the seeds in which a device enrols."""
_CLOCK_ERRORS_S = (-1_795_000_000, -40_000_000, -90_000, -3_600, -30, 0, 30, 3_600, 90_000, 400_000_000)
"""NTP jumps, a clock that is days or a year behind, one that has begun again in 1970, one that is years ahead."""
PLAIN = ServiceParts()
"""The service as it is."""


class SimulatedFault(StrEnum):
    """What may go wrong."""

    KILL = "kill"
    POWER_CUT = "power_cut"
    RESTART = "restart"
    CUT = "cut"
    PARTITION = "partition"
    SLOW = "slow"
    FULL_DISK = "full_disk"
    BROKEN_DISK = "broken_disk"
    CLOCK_JUMP = "clock_jump"
    REVOCATION = "revocation"
    RESTORE = "restore"
    SINK_AWAY = "sink_away"
    SINK_CRASH = "sink_crash"


@dataclass(frozen=True, slots=True)
class SeedOutcome:
    """What a seed came to; no violation is good."""

    seed: int
    faults: tuple[str, ...]
    events: int
    violations: tuple[str, ...]


@dataclass
class World:
    """A run in progress."""

    seed: int
    directory: Path
    plan: ServiceParts = PLAIN
    only: frozenset[SimulatedFault] | None = None
    history: History = field(default_factory=History)
    happened: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = self._stream("faults")
        self._starts = 0
        self._accept = False
        self._gone: set[tuple[str, str]] = set()
        self._node: Node | None = None
        self._backup: tuple[dict[str, bytes], int] | None = None
        self._subscribed_at: dict[str, int] = {}
        self._restored = False

    async def run(self) -> None:
        """The whole run: work with faults, then peace until everything has settled, then the last checks."""
        loop, chance = asyncio.get_running_loop(), self._chance
        self._clock = WallClock(loop, _START_US)
        self._disk = Disk(f"simulated-{self.seed}-{id(self)}", self._stream("disk"))
        self._network = Network(f"{self.seed}/network")
        self._office = Office(self.directory / "registry.db", self._clock)
        self._server = SimulatedServer()
        self._at_peace = asyncio.Event()
        restores = self._allowed(SimulatedFault.RESTORE) and chance.random() < 0.2
        devices = list(self._devices(plain=not restores))
        newcomers = list(self._newcomers())
        subscribers = [self._subscriber(READER), self._subscriber(OF_ALICE)]
        bands = [self._band("alice")] if self._stream("commands").random() < _COMMANDED else []
        await self._start()
        tasks = [asyncio.create_task(each.run(), name=f"sim.{each.name}") for each in subscribers]
        tasks += [asyncio.create_task(each.run(self._at_peace), name=f"sim.{each.name}") for each in bands]
        for band in bands:
            await band.subscribed.wait()
        for each in subscribers:
            await each.subscribed.wait()
            self._subscribed_at[each.name] = len(self._rows())
        tasks.append(asyncio.create_task(self._supervise(), name="sim.supervisor"))
        working = [
            asyncio.create_task(each.run(_WORK_S, self._at_peace), name=f"sim.{each.principal.client_id}")
            for each in (*devices, *newcomers)
        ]
        tasks += [asyncio.create_task(self._joins(each, devices), name="sim.joins") for each in newcomers]
        working += [asyncio.create_task(self._operator(each).run(_WORK_S), name="sim.operator") for each in bands]
        await self._trouble(devices, restores=restores)
        await self._peace()
        try:
            async with asyncio.timeout(_SETTLE_S):
                await asyncio.gather(*working)
        except TimeoutError:
            self.history.violations.append("some device is not done although nothing is wrong any more")
        await asyncio.sleep(20.0)
        await self._check_newcomers(newcomers)
        self._last_checks(subscribers)
        for task in (*tasks, *working):
            task.cancel()
        await asyncio.gather(*tasks, *working, return_exceptions=True)
        if self._node is not None:
            await self._node.stop()
        self._office.close()

    def accept(self, wire: SimulatedWire) -> WireUser | None:
        """Whoever runs now takes the connection."""
        return None if self._node is None else self._node.accept(wire)

    def _stream(self, name: str) -> Random:
        """Chance of one part's own, so that a run does not depend on which part asks first."""
        return Random(f"{self.seed}/{name}")  # noqa: S311  # a seed that replays, no secret

    # -- people

    def _devices(self, *, plain: bool) -> Iterator[SimulatedDevice | PlainDevice]:
        for user in USERS:
            for number in range(self._chance.randint(1, 2)):
                principal = device(user, f"d{number}")
                kind = PlainDevice if plain and self._chance.random() < 0.5 else SimulatedDevice
                yield kind(
                    Badge(principal, self._office),
                    network=self._network,
                    door=self,
                    clock=self._clock,
                    chance=self._stream(principal.client_id),
                    history=self.history,
                    speech=self._speech(principal.client_id),
                )

    def enrolling(self) -> list[Principal]:
        """In some of the seeds a device that nobody has added has a code and nothing else."""
        chance = self._stream("newcomers")
        return [device(chance.choice(USERS), "ring")] if chance.random() < _ENROLLING else []

    def _newcomers(self) -> Iterator[Newcomer]:
        for principal in self.enrolling():
            yield Newcomer(
                EarnedBadge(principal, self._office),
                self._office,
                network=self._network,
                door=self,
                clock=self._clock,
                chance=self._stream(principal.client_id),
                history=self.history,
                speech=self._speech(principal.client_id),
            )

    async def _joins(self, who: Newcomer, devices: list[SimulatedDevice | PlainDevice]) -> None:
        await who.enrolled.wait()
        devices += [who] * 3  # as likely to lose its rights as all others together
        self.happened.append(f"{self._now()} {who.principal.client_id} has enrolled")

    def _speech(self, client_id: str) -> Speech:
        """Half of all speak MQTT 3.1.1, the others 5, and of those half ask to be told in acknowledgements."""
        chance = self._stream(f"{client_id}/speech")
        manner = chance.choice((manners.OLD, manners.OLD, manners.PLAIN, manners.BEST))
        return Speech(manner, chance.choice((1, 3, 20, 65_535)))

    def _subscriber(self, principal: Principal) -> SimulatedSubscriber:
        return SimulatedSubscriber(
            Badge(principal, self._office),
            network=self._network,
            door=self,
            chance=self._stream(principal.client_id),
            history=self.history,
            speech=self._speech(principal.client_id),
        )

    def _band(self, user: str) -> Band:
        badge = Badge(device(user, "band"), self._office)
        chance = self._stream(badge.principal.client_id)
        speech = self._speech(badge.principal.client_id)
        return Band(badge, network=self._network, door=self, chance=chance, history=self.history, speech=speech)

    def _operator(self, band: Band) -> Operator:
        return Operator(
            Badge(OPERATOR, self._office),
            band,
            network=self._network,
            door=self,
            chance=self._stream("operator"),
            history=self.history,
            speech=self._speech(OPERATOR.client_id),
        )

    # -- the service

    async def _start(self) -> None:
        """Start, and again until it works, as a supervisor outside would."""
        while True:
            self._starts += 1
            node = Node(
                disk=self._disk, directory=self.directory,
                clock=self._clock, chance=self._stream(f"node {self._starts}"), server=self._server, plan=self.plan,
            )  # fmt: skip
            try:
                await node.start(accept_restored=self._accept)
            except RestoredError as error:
                if not self._restored:
                    self.history.violations.append(f"G1: the log is not taken for its own: {error}")
                self._accept = True  # an admin was asked, and said yes
                continue
            except (StoreError, UnavailableError) as error:
                self.happened.append(f"{self._now()} no start: {error}")
                await asyncio.sleep(1.0)
                continue
            self._node = node
            self._accept = False
            return

    async def _supervise(self) -> None:
        """Start again what has ended on its own."""
        while True:
            await asyncio.sleep(0.5)
            node = self._node
            if node is not None and node.failure is not None:
                self.happened.append(f"{self._now()} ended: {node.failure}")
                await self._down(node)
                await self._start()

    async def _down(self, node: Node) -> None:
        self._node = None
        self._network.cut_all()
        await node.die()

    def _rows(self) -> list:  # type: ignore[type-arg]
        return [] if self._node is None else self._node.rows()

    def _held(self) -> set[tuple[str, str, int]]:
        return set() if self._node is None else self._node.held()

    def _stored(self, who: SimulatedDevice | PlainDevice) -> set[tuple[str, str, int]]:
        return {
            (row.user, row.id, row.version * 2 + row.op)
            for row in self._rows()
            if row.device == who.device and row.user == who.user
        }

    # -- trouble and peace

    def _allowed(self, fault: SimulatedFault) -> bool:
        return self.only is None or fault in self.only

    async def _trouble(self, devices: list[SimulatedDevice | PlainDevice], *, restores: bool) -> None:
        loop, chance = asyncio.get_running_loop(), self._chance
        faults = [
            fault
            for fault in SimulatedFault
            if self._allowed(fault) and (fault is not SimulatedFault.RESTORE or restores)
        ]
        while faults and loop.time() < _WORK_S:
            await asyncio.sleep(chance.expovariate(0.5))
            if restores and self._backup is None and chance.random() < 0.5:
                self._backup = (self._disk.backup(), 0)
            fault = chance.choice(faults)
            self.happened.append(f"{self._now()} {fault.value}")
            await self._cause(fault, devices)
            self._check()

    async def _cause(self, fault: SimulatedFault, devices: list[SimulatedDevice | PlainDevice]) -> None:
        chance, node = self._chance, self._node
        if node is None:  # it is being started again
            return
        match fault:
            case SimulatedFault.KILL | SimulatedFault.POWER_CUT:
                await self._down(node)
                if fault is SimulatedFault.POWER_CUT:
                    self._disk.cut_power()
                await asyncio.sleep(chance.random() * 3)
                await self._start()
            case SimulatedFault.RESTART:
                self._node = None
                await node.stop()
                self._network.cut_all()
                await self._start()
            case SimulatedFault.CUT:
                self._network.cut_some()
            case SimulatedFault.PARTITION:
                self._network.partitioned = True
                self._network.cut_all()
                await asyncio.sleep(chance.random() * 8)
                self._network.partitioned = False
            case SimulatedFault.SLOW:
                self._network.slow = chance.choice([5.0, 30.0])
                await asyncio.sleep(chance.random() * 5)
                self._network.slow = 1.0
            case SimulatedFault.FULL_DISK:
                self._disk.full = True
                await asyncio.sleep(chance.random() * 5)
                self._disk.full = False
            case SimulatedFault.BROKEN_DISK:
                self._disk.broken = True
                await asyncio.sleep(chance.random())
                self._disk.broken = False
            case SimulatedFault.CLOCK_JUMP:
                self._clock.error_us = chance.choice(_CLOCK_ERRORS_S) * 1_000_000
            case SimulatedFault.REVOCATION:
                await self._revoke(chance.choice(devices))
            case SimulatedFault.RESTORE:
                await self._restore(node)
            case SimulatedFault.SINK_AWAY:
                self._server.away = True
                await asyncio.sleep(chance.random() * 4)
                self._server.away = False
            case SimulatedFault.SINK_CRASH:
                self._server.crash(asyncio.get_running_loop().time())

    async def _revoke(self, who: SimulatedDevice | PlainDevice) -> None:
        """G7: a second after the revocation nothing new of this device is stored."""
        if len(self._gone) == len(USERS) - 1 or self._node is None:
            return
        how = self._chance.choice(list(Taking))
        if how is Taking.TOKEN and isinstance(who, Newcomer):
            how = Taking.REVOCATION  # without its token it gets the next
        self.happened.append(f"{self._now()} {how.value} of {who.principal.client_id}")
        self._office.take(who.badge, how)
        self._gone.add((who.user, who.device))
        await asyncio.sleep(1.0)
        if self._node is not None:
            await self._node.pipeline.drain()  # what it sent before may wait for a disk
        before = self._stored(who) | self._held()
        await asyncio.sleep(2.0)
        if self._stored(who) - before:
            self.history.violations.append(f"G7: {who.principal.client_id} stored events after its revocation")

    async def _restore(self, node: Node) -> None:
        if self._backup is None:
            return
        await self._down(node)
        self._disk.restore(self._backup[0])
        self._restored = self._accept = True
        await self._start()

    async def _peace(self) -> None:
        self._network.partitioned = self._disk.full = self._disk.broken = self._server.away = False
        self._network.slow = 1.0
        self._clock.error_us = 0
        await asyncio.sleep(6.0)
        self._at_peace.set()

    # -- checks

    async def _check_newcomers(self, newcomers: list[Newcomer]) -> None:
        for each in newcomers:
            if not each.enrolled.is_set():
                self.history.violations.append(f"identity: {each.principal.client_id} never got credentials")
            elif each.badge.taken.is_set() and await each.outlives():
                self.history.violations.append(f"identity: {each.principal.client_id} gets tokens without a right")

    def _check(self) -> None:
        if self._node is not None and not self._restored and not self._disk.broken:
            self.history.violations += self.history.log(self._rows(), held=self._held())

    def _last_checks(self, subscribers: list[SimulatedSubscriber]) -> None:
        rows = self._rows()
        found = self.history.violations
        lost = frozenset(self._gone) if self._restored else frozenset()
        found += self.history.log(rows, lost)
        found += self.history.settled(rows, self._gone)
        found += self.history.sink(self._server.points, rows, lost)
        found += self.history.commands(restored=self._restored)
        for each in subscribers:
            after = 0 if self._restored else self._subscribed_at[each.name]
            found += self.history.subscriber(each.name, rows, after, each.principal.users)

    def _now(self) -> str:
        return f"{asyncio.get_running_loop().time():.3f}"


def simulate(
    seed: int,
    *,
    plan: ServiceParts = PLAIN,
    only: frozenset[SimulatedFault] | None = None,
) -> SeedOutcome:
    """Run one seed. ``only`` narrows the faults; ``plan`` may plant a defect."""
    shared_memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # what is synced there costs nothing
    with tempfile.TemporaryDirectory(prefix="healthsync-sim-", dir=shared_memory) as directory:
        world = World(seed, Path(directory), plan, only)
        loop = VirtualLoop()
        try:
            loop.run_until_complete(world.run())
        except StandstillError as error:
            world.history.violations.append(f"standstill: {error}")
        finally:
            _close(loop)
    return SeedOutcome(
        seed=seed,
        faults=tuple(world.happened),
        events=sum(map(len, world.history.sent.values())),
        violations=tuple(dict.fromkeys(world.history.violations)),
    )


def _close(loop: VirtualLoop) -> None:
    """End what a run has left, so that nothing of it is seen by the next one."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.close()
