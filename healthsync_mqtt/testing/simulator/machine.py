"""What a machine gives a service, simulated: a journal without a thread, readers, and the far end of a connection."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import apsw

from bridge.stages.journal import Done, Journal
from healthsync_mqtt.broker.embedded.wire import Wire
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.storage.port import EventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.simulator.disk import Disk, View
from healthsync_mqtt.testing.simulator.network import SimulatedWire

ANCHOR_S = 1.0
"""As often as the real journal brings the log's anchor up to date."""


class SimulatedJournal(Journal):
    """The journal without its thread: a commit takes a while on the loop, and a power cut may come before its end."""

    def __init__(self, log: EventLog, chance: Random) -> None:
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._chance = chance
        self._anchored_at = 0.0
        self._due: tuple[asyncio.TimerHandle, Done] | None = None

    def commit(self, done: Done) -> None:
        """Commit later; ``done`` later still: a power cut may come between the two."""
        self._due = (self._loop.call_later(self._chance.expovariate(500.0), self._commit, done), done)

    def hurry(self) -> None:
        """The commit that is under way happens now, if there is one."""
        if self._due is not None:
            timer, done = self._due
            timer.cancel()
            self._commit(done)

    def close(self) -> None:
        """Release the log."""
        self._log.close()

    def _commit(self, done: Done) -> None:
        self._due = None
        try:
            head, error = self._log.commit(), None
        except StoreError as failure:
            head, error = 0, failure
        self._loop.call_later(self._chance.expovariate(500.0), done, head, error)
        if self._loop.time() - self._anchored_at >= ANCHOR_S:
            self._log.anchor()
            self._anchored_at = self._loop.time()


class SnapshotReader:
    """A LogReader over the files as they are now: each call sees one committed state, and the next may see another."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk = disk
        self._view = View(disk)
        self._path = path
        self._stamp: tuple[int, ...] = ()
        #: how many snapshots are held open
        self.held = 0
        self._reader: SqliteLogReader | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._now(), name)

    def _now(self) -> SqliteLogReader:
        if not self.held and (self._reader is None or self._stamp != self._disk.stamp(str(self._path))):
            self.close()
            self._stamp = self._disk.stamp(str(self._path))
            connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=self._view.name)
            for pragma in ("locking_mode=EXCLUSIVE", "query_only=ON"):
                connection.execute(f"PRAGMA {pragma}").fetchall()
            self._reader = SqliteLogReader(connection)
        assert self._reader is not None
        return self._reader

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """What is read inside sees one committed state."""
        self._now()
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1

    def close(self) -> None:
        """Release the copy."""
        if self._reader is not None:
            with contextlib.suppress(StoreError, apsw.Error):
                self._reader.close()  # its attempt to tidy up meets a view
            self._reader = None


class FarTransport(asyncio.Transport):
    """The service's end of a simulated connection, under the door's own ``Wire``."""

    def __init__(self, wire: SimulatedWire, protocol: Wire) -> None:
        super().__init__({"peername": ("192.0.2.1", 1)})
        self._wire = wire
        self._protocol = protocol
        self._closing = False
        self._held: list[bytes] | None = None

    # -- the network's side

    def received(self, data: bytes) -> None:
        """Bytes from the network; kept while the door does not read."""
        if self._held is not None:
            self._held.append(data)
        else:
            self._protocol.data_received(data)

    def lost(self) -> None:
        """The connection is gone."""
        self._closing = True
        self._protocol.connection_lost(None)

    # -- the door's side

    def write(self, data: Any) -> None:
        """Send bytes."""
        self._wire.write(bytes(data))

    def pause_reading(self) -> None:
        """Stop reading."""
        if self._held is None:
            self._held = []

    def resume_reading(self) -> None:
        """Read again, what was held back first."""
        held, self._held = self._held, None
        for data in held or ():
            self.received(data)

    def is_closing(self) -> bool:
        """Whether an end was asked for."""
        return self._closing

    def close(self) -> None:
        """Close when what was sent has arrived."""
        self._closing = True
        self._wire.close()

    def abort(self) -> None:
        """Close now."""
        self._closing = True
        self._wire.abort()
