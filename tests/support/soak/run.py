"""One soak: devices that never stop, a service that is ended in every way, and the comparison after each."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.storage.opening import encryption, open_reader
from tests.support.device import Device, Door
from tests.support.history import History, LogCheck
from tests.support.identities import everybody, logins
from tests.support.patience import PATIENCE_S
from tests.support.service import NotReadyError, Service
from tests.support.shifted import WallClock
from tests.support.soak.group import MEMBERS, Group
from tests.support.wire import tls_context

READ_AT_ONCE = 5000
GIVEN_WITHIN = PATIENCE_S
USERS, DEVICES = 3, 2
#: Six devices: each QoS in each version of MQTT. One of QoS 0 speaks TLS.
QOS = (1, 2, 0, 2, 0, 1)
VERSIONS = (4, 5, 5, 4, 4, 5)


class SoakError(Exception):
    """The service did not do what it must for the soak to go on; the message says what."""


@dataclass(slots=True, kw_only=True)
class Soak:
    """State of a run on one data directory."""

    data: Path
    rng: random.Random
    say: Callable[[str], None]
    history: History = field(default_factory=History)
    check: LogCheck = field(init=False)
    service: Service = field(init=False)
    door: Door | None = None
    tls: Door | None = None
    devices: list[Device] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    restarts: list[float] = field(default_factory=list)
    clock: WallClock = field(init=False)
    group: Group | None = None
    snapshots: int = 0
    sealed: bool = True
    """Whether the log is, by the settings of the run: a new one is."""

    def __post_init__(self) -> None:
        self.check = LogCheck(self.history)
        self.clock = WallClock(self.data.with_name(f"{self.data.name}.clock"))
        self.service = self.made()

    def made(self, **how: Any) -> Service:
        """A service on this data, with the clock of this run."""
        return Service(self.data, env=self.clock.env, **how)

    def count(self, fault: str) -> None:
        self.faults[fault] = self.faults.get(fault, 0) + 1

    @contextlib.asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """Devices at work while the body runs; afterwards they finish what they have, on a healthy service."""
        for number, login in enumerate(logins(self.data, users=USERS, devices=DEVICES)):
            self.devices.append(
                Device(
                    login=login,
                    history=self.history,
                    rng=random.Random(self.rng.random()),
                    where=(lambda: self.tls) if number == 2 else (lambda: self.door),
                    qos=QOS[number % len(QOS)],
                    version=VERSIONS[number % len(VERSIONS)],
                )
            )
        tasks = [asyncio.create_task(device.run(), name=device.login.client_id) for device in self.devices]
        watching = asyncio.create_task(self._watch(), name="reader")
        self.group = Group(
            logins=everybody(self.data, MEMBERS),
            rng=self.rng,
            where=lambda: self.door,
            cut=lambda: self.count("member cut off"),
        )
        members = asyncio.create_task(self.group.run(), name="group")
        try:
            yield
            if not self.service.running:
                await self.start()
            for device in self.devices:
                device.sending = False
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(*tasks)
            await self._all_given(self.group)
        except TimeoutError:
            waiting = sum(len(device.unacknowledged) + len(device.in_flight) for device in self.devices)
            raise SoakError(
                f"{waiting} messages are not acknowledged in {PATIENCE_S:g} s on a healthy service"
            ) from None
        finally:
            for task in (*tasks, watching, members):
                task.cancel()
            await asyncio.gather(*tasks, watching, members, return_exceptions=True)

    async def _all_given(self, group: Group) -> None:
        """Every event of the log is given to some member, on a healthy service."""
        group.steady = True
        whole = LogCheck(History())
        await asyncio.to_thread(self.read_into, whole)
        missing, until = len(whole.stored.keys() - group.given), time.monotonic() + GIVEN_WITHIN
        while missing and time.monotonic() < until:
            await asyncio.sleep(0.05)
            left = len(whole.stored.keys() - group.given)
            if left < missing:  # a busy machine takes longer, and gets on
                missing, until = left, time.monotonic() + GIVEN_WITHIN
        if missing:
            self.history.violations.append(f"{missing} events were given to no member of the group")

    async def member_cuts(self, count: int) -> None:
        """Return when members of the group were cut off so often."""
        assert self.group is not None
        while self.group.cuts < count:
            if not self.service.running:
                await self.start()
            await asyncio.sleep(0.1)

    async def start(self, *options: str) -> None:
        """Start the service on the same directory and open the doors to the devices."""
        await asyncio.to_thread(self.service.start, *options)
        self.restarts.append(self.service.started_in)
        self.open_doors()

    def open_doors(self) -> None:
        """Tell the devices the ports of the service that is ready now."""
        self.door = Door(host=self.service.mqtt[0], port=self.service.mqtt[1])
        context = tls_context(self.service.ca_file)
        self.tls = Door(host=self.service.mqtts[0], port=self.service.mqtts[1], context=context)

    def gone(self) -> None:
        """The service is down: nobody knows a port."""
        self.door = self.tls = None

    async def wait_progress(self, events: int = 1, within: float = PATIENCE_S) -> None:
        """Return when ``events`` more were acknowledged; raise SoakError when that takes too long."""
        goal = len(self.history.acknowledged) + events
        until = time.monotonic() + within
        while len(self.history.acknowledged) < goal:
            if not self.service.running:
                raise SoakError(f"the service ended\n{self.service.log_tail()}")
            if time.monotonic() > until:
                raise SoakError(f"nothing is acknowledged for {within} s\n{self.service.log_tail()}")
            await asyncio.sleep(0.02)

    async def _watch(self) -> None:
        """A reader beside the writer, as a sink is: what it reads in pieces within one snapshot is one state."""
        while True:
            await asyncio.sleep(self.rng.uniform(0.05, 0.2))
            if self.service.running:
                # The service may be killed, or the log put back, at any moment of this.
                with contextlib.suppress(HealthSyncError):
                    self.history.violations += await asyncio.to_thread(torn, self.data / "events.db")
                    self.snapshots += 1

    async def compare(self) -> None:
        """Read what the log gained and check it; the service runs."""
        promised = self.history.promised()
        await asyncio.to_thread(self.read, self.check)
        self.history.violations += self.check.missing(promised)

    def read(self, check: LogCheck) -> None:
        self.history.violations += self.read_into(check)

    def read_into(self, check: LogCheck) -> list[str]:
        """Read the log from where ``check`` stopped; what is wrong with it."""
        wrong: list[str] = []
        reader = open_reader(self.data)
        try:
            while rows := reader.read(check.seq, READ_AT_ONCE, history=True):
                wrong += check.read(rows, reader.epoch)
        finally:
            reader.close()
        return wrong

    async def finish(self) -> None:
        """Stop the service, read the whole log once more, and settle the account: everything sent is there."""
        whole = LogCheck(self.history)
        await asyncio.to_thread(self.read, whole)
        self.history.violations += whole.missing(self.history.acknowledged | self.history.receipted)
        self.history.violations += [
            f"{key.user}/{key.id} was sent to the end and is not in the log"
            for key in self.history.sent
            if key not in whole.stored
        ]
        self.check = whole
        if (encryption(self.data).mode == "rows") != self.sealed:
            self.history.violations.append(f"the log is {'not sealed' if self.sealed else 'sealed'}")
        code = await asyncio.to_thread(self.service.stop)
        self.gone()
        if code:
            self.history.violations.append(f"the service exited with {code} after SIGINT\n{self.service.log_tail()}")

    async def kill(self) -> None:
        """One kill -9 at a random moment: while starting, at once when ready, or under load; then a restart."""
        if not self.service.running:
            await self.start()
        if self.rng.random() < 0.85:
            await asyncio.sleep(self.rng.uniform(0, 0.9))
        else:
            # In the middle of a start, after a first kill under load.
            await asyncio.to_thread(self.service.kill)
            self.gone()
            self.service.start(wait=False)
            await asyncio.sleep(self.rng.uniform(0.05, 1.0))
        await asyncio.to_thread(self.service.kill)
        self.gone()
        self.count("kill -9")
        try:
            await self.start()
        except NotReadyError as error:
            raise SoakError(f"no restart after kill -9: {error}") from None
        await self.wait_progress()
        await self.compare()


def torn(path: Path) -> list[str]:
    """Read the end of a log in small pages within one snapshot while others write; what does not fit together."""
    found = []
    with open_reader(path.parent) as reader, reader.snapshot():
        head = reader.head()
        after = max(0, head - 400)
        while rows := reader.read(after, 50, history=True):
            if [row.seq for row in rows] != list(range(after + 1, after + len(rows) + 1)):
                found.append(f"rows after {after} do not follow one another in one snapshot")
            after = rows[-1].seq
            time.sleep(0.002)  # the writer commits meanwhile
        if after != head or reader.head() != head:
            found.append(f"a snapshot of {head} rows became one of {after}")
    return found
