"""From the write-ahead log into the database: after commits, and once before a log is used.

SQLite can do the first by itself, but then nobody learns that it fails. The second makes durable what a process
that was killed after a failed sync left in the kernel's cache only: it looks committed, and a power cut would take it.
"""

import contextlib
import time
from pathlib import Path

import apsw

from healthsync_mqtt.storage.sqlite import connection as settings
from healthsync_mqtt.storage.sqlite.faults import BusyError, store_error
from healthsync_mqtt.storage.sqlite.holders import readers_of

#: So many times larger than usual, the write-ahead log is begun anew even if readers must be waited for.
_RESTART_AT = 16
_RESTART_WAIT_MS = 100
_RESTART_EVERY_S = 1.0
_RESTART_SELDOM_S = 60.0


class Checkpoints:
    """The checkpoints of the writer's connection."""

    def __init__(self, connection: apsw.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path
        self._pages = 0
        self._behind = 0
        self._restarted = -_RESTART_EVERY_S
        self._restart_every_s = _RESTART_EVERY_S
        #: How many failed in a row, and why the last one did; 0 and "" when it worked.
        self.failures = 0
        self.failing = ""
        # Takes the place of SQLite's own checkpoints.
        connection.set_wal_hook(self._grown)

    def everything(self) -> None:
        """Bring the whole write-ahead log into the database and sync it. BusyError while a reader is in the way."""
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:
            # The file could not be cut because somebody reads from it. That harms nothing if all of it was moved.
            frames, moved = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if moved < frames:
                raise BusyError(
                    "a reader holds the event log at an older state", hint=f"stop {_named(readers_of(self.path))}"
                ) from None
        self._pages = self._behind = 0

    def try_everything(self) -> None:
        """The same, unless somebody is in the way: then by and by, as always."""
        with contextlib.suppress(apsw.Error, BusyError):
            self.everything()

    @property
    def due(self) -> bool:
        """Whether enough has gathered to be moved."""
        return self._pages >= settings.CHECKPOINT_PAGES

    def after_commit(self) -> None:
        """Move what has gathered when it is enough. What fails is noted: the commit itself is durable already."""
        if not self.due:
            return
        try:
            frames, moved = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            self._behind = frames - moved
            if not self._behind:
                self._pages = 0
            if frames >= _RESTART_AT * settings.CHECKPOINT_PAGES:
                self._restart()
        except apsw.BusyError:
            return  # a backup moves it right now
        except apsw.Error as error:
            self.failures += 1
            self.failing = store_error(error, "checkpointing").reason
        else:
            self.failures, self.failing = 0, ""

    @property
    def wal_bytes(self) -> int:
        """The size of the write-ahead log's file."""
        return wal_bytes(self.path)

    @property
    def behind(self) -> int:
        """Pages that the last checkpoint had to leave, because of a reader or a fault."""
        return self._behind

    def _restart(self) -> None:
        """Where readers come and go without a pause, wait for those that are here, and use the file from its start."""
        now = time.monotonic()
        if now - self._restarted < self._restart_every_s:
            return
        self._restarted = now
        self._connection.set_busy_timeout(_RESTART_WAIT_MS)
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
        except apsw.BusyError:  # one that stays, as a backup does, is named in the status, and seldom waited for
            self._restart_every_s = min(_RESTART_SELDOM_S, 2 * self._restart_every_s)
        else:
            self._restart_every_s = _RESTART_EVERY_S
        finally:
            self._connection.set_busy_timeout(settings.WRITER_BUSY_MS)

    def _grown(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._pages = pages
        return apsw.SQLITE_OK


def wal_bytes(path: Path) -> int:
    """The size of a database's write-ahead log, 0 when it has none."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size
    except OSError:
        return 0


def _named(pids: tuple[int, ...]) -> str:
    return f"the process with pid {', '.join(map(str, pids))}" if pids else "the process that reads it"
