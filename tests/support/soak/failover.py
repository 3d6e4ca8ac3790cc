"""Failovers under bridges, devices and a registry that are at work, as docs/howto/postgresql.md says they are done."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.errors import HealthSyncError, StoreError
from healthsync_mqtt.postgres.connection import ServerPlace
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.storage.postgres.reader import PostgresLogReader
from tests.support.external_rig import Rig
from tests.support.patience import PATIENCE_S
from tests.support.postgres import Postgres, database_of
from tests.support.soak.pair import Pair

_CLERK: Final = "clerk"
_PAUSE_S: Final = 0.2
_BEHIND: Final = 60
"""Events with a receipt that the standby does not get, before it takes over."""
_LONGEST_REACTION_S: Final = 3.0
"""What an operator takes to stop the bridges of a failover that may have lost rows."""


Row = tuple[str, str, int]
"""User, id and version."""


@dataclass(slots=True, kw_only=True)
class Clerk:
    """Changes the registry of a data directory for as long as it may, and keeps what it was told."""

    data: Path
    made: list[str] = field(default_factory=list)
    #: nobody knows whether it was made
    unknown: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    working: bool = True

    async def run(self) -> None:
        """Go on until ``working`` is cleared. There has to be a user for it: ``hire``."""
        number = 0
        while self.working:
            number += 1
            await asyncio.to_thread(self._change, f"d{number}")
            await asyncio.sleep(_PAUSE_S)

    def hire(self) -> None:
        """Have a user of its own."""
        with DataDirectory(self.data).changing() as change:
            change.registry.add_user(_CLERK, "all", _now_us())

    def _change(self, name: str) -> None:
        try:
            with DataDirectory(self.data).changing() as change:
                change.registry.add_device(_CLERK, name, _now_us())
                change.note("device.added", user=_CLERK, device=name)
        except StoreError as error:
            (self.unknown if "is not known" in str(error) else self.refused).append(name)
        else:
            self.made.append(name)

    def check(self) -> list[str]:
        """What it was told beside what the server has."""
        place = DataDirectory(self.data)
        with place.registry() as registry:
            there = {each.device_id for each in registry.devices(_CLERK)}
            whole = place.audit_log().verify(registry.audit_outbox.anchor())
        found = [f"the registry lacks {name}, and said that it was made" for name in self.made if name not in there]
        found += [f"the registry has {name}, and refused it" for name in self.refused if name in there]
        return found + ([f"the audit log is not whole: {whole}"] if whole.first_bad is not None else [])


@dataclass(slots=True, kw_only=True)
class Failovers:
    """Those of one rig on a pair of servers, and what they came to."""

    rig: Rig
    pair: Pair
    rng: random.Random
    #: seconds without a receipt, of those where commits did not wait for the next standby
    gaps: list[float] = field(default_factory=list)
    #: events that had a receipt and were not on the server that took over, by failover
    lost: list[int] = field(default_factory=list)
    #: seconds until devices had brought them back
    healed: list[float] = field(default_factory=list)
    #: bridges that ended by themselves
    noticed: list[int] = field(default_factory=list)

    async def keep(self) -> None:
        """One to a synchronous standby: bridges and devices go on by themselves, and the old server follows anew."""
        await asyncio.sleep(self.rng.uniform(0, 0.9))
        began = time.monotonic()
        how = await asyncio.to_thread(self.pair.fail_over, self.rng)
        self.rig.fault(f"failover, {how}")
        if how == "alone":
            await self._progress(3)
            self.gaps.append(time.monotonic() - began)
        await asyncio.sleep(self.rng.uniform(0, 0.9))
        await self._follow_anew()
        await self._progress(3)
        for name, process in self.rig.processes.items():
            if process.process is None or process.process.poll() is not None:
                self.rig.violations.append(f"{name} ended: {process.log()[-600:]}")

    async def lose(self) -> None:
        """One to an asynchronous standby that is behind: what the page says, step by step."""
        self.pair.synchronous = False
        await asyncio.to_thread(self.pair.wait_for)
        await asyncio.to_thread(self.pair.leave_behind)
        held = await asyncio.to_thread(self._rows, self.pair.standby)
        kept = {(user, name) for user, name, _ in held}
        await self._until(lambda: len(self._receipted() - kept) >= _BEHIND, "events have a receipt that are lost next")
        await asyncio.sleep(self.rng.uniform(0, 0.9))
        await asyncio.to_thread(self.pair.fail_over, self.rng)
        self.rig.fault("failover that loses")
        await asyncio.sleep(self.rng.uniform(0, _LONGEST_REACTION_S))
        names = list(self.rig.processes)
        self.noticed.append(0)
        for process in self.rig.processes.values():  # 1. all are stopped
            self.noticed[-1] += process.process is not None and process.process.poll() is not None
            await asyncio.to_thread(process.end)
        there = await asyncio.to_thread(self._rows, self.pair.primary)
        if gone := held - there:
            self.rig.violations.append(f"{len(gone)} rows were on the standby, and are not where it took over")
        receipted = self._receipted()
        missing = receipted - {(user, name) for user, name, _ in there}
        self.lost.append(len(missing))
        first = self.rng.choice(names)  # 3. any one
        began = time.monotonic()
        await asyncio.to_thread(self.rig.processes[first].start, "--accept-restored")
        for name in names:  # 4. the others as always
            if name != first:
                await asyncio.to_thread(self.rig.processes[name].start)
        await self._until(lambda: not self._lacks(missing), f"{len(missing)} events that were lost are sent again")
        self.healed.append(time.monotonic() - began)
        await self._follow_anew()
        await self._progress(3)

    def said(self) -> list[str]:
        """In words."""
        found = []
        if self.gaps:
            found.append(f"receipts again after {min(self.gaps):.1f} to {max(self.gaps):.1f} s")
        if self.lost:
            found.append(f"receipted and lost {self.lost}, back after {[round(each, 1) for each in self.healed]} s")
            found.append(f"bridges that ended by themselves {self.noticed}")
        return found

    async def _follow_anew(self) -> None:
        rewinding = self.rng.random() < 0.5
        await asyncio.to_thread(lambda: self.pair.follow(rewinding=rewinding))
        self.rig.fault("rewound" if rewinding else "copied anew")

    def _receipted(self) -> set[tuple[str, str]]:
        return {(user, name) for user, names in self.rig.acknowledged.items() for name in names}

    def _rows(self, server: Postgres) -> set[Row]:
        """All that a server has, standby or not."""
        url = server.url.rpartition("/")[0]
        place = ServerPlace(f"{url}/{database_of(self.rig.root / 'server')}")
        with PostgresLogReader.open(place) as reader:
            return {(row.user, row.id, row.version) for row in reader.read(0, 10_000_000, history=True)}

    def _lacks(self, missing: set[tuple[str, str]]) -> bool:
        (data,) = self.rig.logs.values()
        with open_reader(data) as reader:
            return bool(missing - {(row.user, row.id) for row in reader.read(0, 10_000_000, history=True)})

    async def _progress(self, events: int) -> None:
        goal = len(self._receipted()) + events
        await self._until(lambda: len(self._receipted()) >= goal, f"{events} more events have a receipt")

    async def _until(self, there: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    try:
                        if await asyncio.to_thread(there):
                            return
                    except HealthSyncError:
                        pass  # the server is changing
                    await asyncio.sleep(0.1)
        except TimeoutError:
            logs = "\n".join(f"{name}: {each.log()[-600:]}" for name, each in self.rig.processes.items())
            raise AssertionError(f"after {PATIENCE_S:g} s not: {what}\n{logs}") from None


def _now_us() -> int:
    return time.time_ns() // 1000
