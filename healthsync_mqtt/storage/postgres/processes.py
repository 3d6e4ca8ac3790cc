"""Who works on a log that several share: a row for each process in the log's database, written anew every few seconds.

What fails here fails nobody else: it is tried again, and until then a process looks as if it were gone.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import psycopg

from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.model.working_process import (
    KEPT_S,
    MOST_PROCESSES,
    TOLD_EVERY_S,
    ProcessKind,
    ProcessName,
    WorkingProcess,
)
from healthsync_mqtt.postgres.connection import Connection, ServerPlace, abandon
from healthsync_mqtt.storage.postgres.connection import connect_watcher, fetch, run
from healthsync_mqtt.storage.postgres.sinks_claim import SHIP_LOCK
from healthsync_mqtt.storage.postgres.statements import statements

_SQL = statements("processes")

LEAD_LOCK: Final = 0x4853454D
"""Of a session: the one that leads."""

_END_S: Final = 2.0

_SESSION: Final = (
    "SET synchronous_commit = off",  # nothing rests on it, and no standby is waited for
    "SET lock_timeout = 1000",  # whoever changes the tables holds nothing else up
)


class ProcessRow:
    """The row of this process, on whatever connection it has at the moment. Used from one thread."""

    def __init__(self, process: ProcessName, figures: Callable[[], Mapping[str, int]]) -> None:
        """``figures`` is asked in that thread."""
        self._key = {
            "kind": process.kind.value, "name": process.name, "host": process.host, "data": process.data,
            "started": process.started_us,
        }  # fmt: skip
        self._row = {"release": process.release, "home": process.home}
        self._figures = figures
        self._due = 0.0

    def begin(self, connection: Connection) -> None:
        """A new connection: what it writes is not waited for, and the row is written at once."""
        for setting in _SESSION:
            connection.execute(setting.encode())
        self._due = 0.0

    def write(self, connection: Connection) -> None:
        """Write it when it is time. psycopg.Error: the connection is of no use any more."""
        now = time.monotonic()
        if now < self._due:
            return
        first, self._due = self._due == 0.0, now + TOLD_EVERY_S
        with _unimportant(connection):
            if first:
                run(connection, _SQL["replace_ended"], self._key)
            run(connection, _SQL["note"], self._said() | self._row)
            run(connection, _SQL["forget"], {"kept": KEPT_S})
            run(connection, _SQL["trim"], {"most": MOST_PROCESSES})

    def end(self, connection: Connection) -> None:
        """Say that this process ends."""
        with contextlib.suppress(psycopg.Error):
            run(connection, _SQL["end"], self._said())

    def _said(self) -> dict[str, Any]:
        return self._key | {"figures": json.dumps(dict(self._figures()))}


class PostgresPresence:
    """A process that stands for no election, told of by a thread with a connection of its own."""

    def __init__(self, place: ServerPlace, process: ProcessName, figures: Callable[[], Mapping[str, int]]) -> None:
        self._place = place
        self._row = ProcessRow(process, figures)
        self._session = f"healthsync-{process.kind.value}"
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Say that the process ends; blocking, for a moment. Where the server does not answer it will look gone."""
        self._ending.set()
        self._thread.join(_END_S)

    def _run(self) -> None:
        while not self._ending.is_set():
            connection: Connection | None = None
            try:
                connection = connect_watcher(self._place, self._session)
                self._row.begin(connection)
                while not self._ending.is_set():
                    self._row.write(connection)
                    self._ending.wait(TOLD_EVERY_S / 2)
                self._row.end(connection)
            except (psycopg.Error, HealthSyncError):
                self._ending.wait(TOLD_EVERY_S)  # who reads the log there says what is wrong with the server
            finally:
                abandon(connection)


def processes(connection: Connection, place: ServerPlace) -> tuple[WorkingProcess, ...]:
    """All of them, by kind and name; those that have not been heard of for long are left out."""
    asked = {
        "lead": LEAD_LOCK, "ship": SHIP_LOCK, "schema": place.schema, "kept": KEPT_S, "most": MOST_PROCESSES,
    }  # fmt: skip
    return tuple(_process(*row) for row in fetch(connection, _SQL["processes"], asked))


def _process(  # noqa: PLR0917  # the columns
    kind: str,
    name: str,
    host: str,
    data: str,
    release: str,
    started_us: int,
    home: bool,  # noqa: FBT001
    seen_us: int,
    age_s: float,
    ended: bool,  # noqa: FBT001
    leads: bool,  # noqa: FBT001
    ships: bool,  # noqa: FBT001
    figures: str,
) -> WorkingProcess:
    named = ProcessName(
        kind=ProcessKind(kind), name=name, host=host, data=data, release=release, started_us=started_us, home=home
    )
    return WorkingProcess(
        process=named,
        seen_us=seen_us,
        age_s=max(0.0, age_s),
        ended=ended,
        leads=leads,
        ships=ships,
        figures=json.loads(figures),
    )


@contextlib.contextmanager
def _unimportant(connection: Connection) -> Iterator[None]:
    """What the server refuses is left at that; a connection that is lost is the caller's to know."""
    try:
        yield
    except psycopg.Error:
        if connection.closed:
            raise
