# long: what sessions say, the groups it is written in, and the file are one store
"""sessions.db: what persistent sessions are owed, over a restart and a kill. Written in groups, in a thread of its own.

What sessions say is gathered by what it is about, so that the newest word counts: a message that is acknowledged before
its turn comes is never written at all. Whoever has to know that something is durable asks ``durable``; a group is
written at once for it, and a moment later otherwise. A group that fails is written again together with the next one.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import apsw

from healthsync_mqtt.broker.embedded.sessions.kept import KeptSession, OwedMessage, Subscribed
from healthsync_mqtt.broker.embedded.sessions.retained import Retained
from healthsync_mqtt.config.private_files import create_private, make_private_directory
from healthsync_mqtt.errors import ConfigError, StoreError
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.sql_files import numbered, statements
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.outage import Outage

log = get_logger("door")

#: "HSSE" in the file's header: these are sessions of HealthSync.
_APPLICATION_ID: Final = 0x48535345
_SQL: Final = statements(__package__, "sql", "statements.sql")
#: How long a group gathers when nobody waits for it, and the pause after one that failed.
_GATHER_S: Final = 0.02
_RETRY_S: Final = 1.0

_Key = tuple[Any, ...]
_Row = tuple[Any, ...] | None


class _Group(NamedTuple):
    """What one transaction writes, and who waits for it."""

    rows: dict[_Key, _Row]
    waiting: list[Callable[[], None]]


class SessionStore:
    """The ``Keep`` of a service. Used on the event loop; ``open`` reads the file, before it."""

    def __init__(
        self, database: "_Database", *, thread: Executor | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Use ``open``. ``thread`` writes the groups, one at a time."""
        self._database = database
        self._clock = clock
        self._running_before = database.running_us / 1e6
        self._since = clock()
        self._last = max((session.no for session in database.kept), default=0)
        self._rows: dict[_Key, _Row] = {}
        self._waiting: list[Callable[[], None]] = []
        self._writer = thread or ThreadPoolExecutor(1, thread_name_prefix="sessions")
        self._writing: Future[None] | None = None
        self._timer: asyncio.Handle | None = None
        #: when the timer is due, by the loop's clock: uvloop's handle of a timer that is due at once does not say
        self._due = 0.0
        self._outage = Outage(log, "door.sessions")
        self._closed = False

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        vfs: str | None = None,
        thread: Executor | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> Self:
        """The store at ``path``, made where it is missing, on another file system where one is named.

        ConfigError or StoreError.
        """
        return cls(_Database(path, vfs), thread=thread, clock=clock)

    @property
    def healthy(self) -> bool:
        """Whether the last group could be written."""
        return not self._outage.ongoing

    def close(self) -> None:
        """Write what is left and close; the loop waits for that."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._writer.shutdown()
        with suppress(StoreError):
            self._database.write(self._rows, round(self.running() * 1e6))
        self._database.close()

    # -- Keep

    def running(self) -> float:
        """Seconds that the service has run, all runs together."""
        return self._running_before + self._clock() - self._since

    def sessions(self) -> Sequence[KeptSession]:
        """What an earlier run left; once."""
        kept, self._database.kept = self._database.kept, []
        return kept

    def retained(self) -> Sequence[Retained]:
        """The same of retained messages."""
        kept, self._database.retained = self._database.retained, []
        return kept

    def opened(self, principal: Principal) -> int:
        """A new session; its number."""
        self._last += 1
        self.changed(self._last, principal, None)
        return self._last

    def changed(self, session: int, principal: Principal, left: float | None, expiry: float | None = None) -> None:
        """The session's client has come, or left at this time; ``expiry`` as in ``KeptSession``."""
        row = (session, principal.client_id, principal_json(principal), _us(left), _us(expiry))
        self._put(("session", session), row)

    def dropped(self, session: int) -> None:
        """The session and all it had is gone."""
        self._put(("session", session), None)

    def filter(self, session: int, topic_filter: str, kept: Subscribed | None) -> None:
        """A filter as it is now; None: gone."""
        row = (
            None
            if kept is None
            else (session, topic_filter, kept.qos, int(kept.replaying), kept.options, kept.identifier)
        )
        self._put(("filter", session, topic_filter), row)

    def owed(self, session: int, no: int, message: OwedMessage | None) -> None:
        """A message as it is now; None: acknowledged, or given up."""
        key = ("owed", session, no)
        before = self._rows.get(key)
        fresh = before[1] if before is not None else message is not None and not message.packet_id
        if message is None and fresh:
            del self._rows[key]
            return
        self._put(key, None if message is None else (message, fresh))

    def unreleased(self, session: int, packet_id: int, *, waits: bool) -> None:
        """Whether a QoS 2 message of the client waits for its release."""
        self._put(("unreleased", session, packet_id), (session, packet_id) if waits else None)

    def retain(self, topic: str, message: Retained | None) -> None:
        """The retained message of a topic; None: it has none."""
        self._put(("retained", topic), None if message is None else _retained_row(message))

    def durable(self, then: Callable[[], None]) -> None:
        """Call ``then`` on the event loop when everything said so far is on disk."""
        if not self._rows and self._writing is None and not self._waiting:
            then()
            return
        self._waiting.append(then)
        self._soon(0.0)

    # -- groups

    def _put(self, key: _Key, row: _Row) -> None:
        _say(self._rows, key, row)
        self._soon(_GATHER_S)

    def _soon(self, seconds: float) -> None:
        if self._closed or self._writing is not None:
            return
        due = asyncio.get_running_loop().time() + seconds
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._write_in(seconds)

    def _write_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + seconds
        self._timer = loop.call_later(seconds, self._write)

    def _write(self) -> None:
        self._timer = None
        if self._closed or not (self._rows or self._waiting):
            return
        group = _Group(self._rows, self._waiting)
        self._rows, self._waiting = {}, []
        loop = asyncio.get_running_loop()
        self._writing = self._writer.submit(self._database.write, group.rows, round(self.running() * 1e6))
        self._writing.add_done_callback(lambda done: _tell(loop, self._written, group, done))

    def _written(self, group: _Group, done: Future[None]) -> None:
        self._writing = None
        error, now = done.exception(), asyncio.get_running_loop().time()
        if error is not None:
            self._outage.failed(now, error=str(error))
            self._merge(group.rows)
            self._waiting = group.waiting + self._waiting
            if not self._closed:
                self._write_in(_RETRY_S)
            return
        self._outage.worked(now)
        for then in group.waiting:
            then()
        if self._rows or self._waiting:
            self._soon(0.0 if self._waiting else _GATHER_S)

    def _merge(self, failed: dict[_Key, _Row]) -> None:
        """What was not written goes first; what has been said of it since counts."""
        for key, row in self._rows.items():
            before = failed.get(key)
            if key[0] == "owed" and row is not None and before is not None:
                row = row[0], row[1] or before[1]  # noqa: PLW2901  # still the first time that it is written
            _say(failed, key, row)
        self._rows = failed


def _us(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e6)


def _retained_row(message: Retained) -> tuple[Any, ...]:
    return message.topic, message.payload, message.qos, message.about, _us(message.expires)


def _say(rows: dict[_Key, _Row], key: _Key, row: _Row) -> None:
    """The newest word counts. What is new or goes comes after what was said before; what changes stays in its place."""
    if row is None or rows.get(key) is None:
        rows.pop(key, None)
    rows[key] = row


def _tell(
    loop: asyncio.AbstractEventLoop, written: Callable[[_Group, Future[None]], None], group: _Group, done: Future[None]
) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
        loop.call_soon_threadsafe(written, group, done)


class _Database:
    """The file. ``write`` is called by one thread at a time."""

    def __init__(self, path: Path, vfs: str | None) -> None:
        make_private_directory(path.parent)
        create_private(path)
        try:
            self._connection = apsw.Connection(os.fspath(path), vfs=vfs)
        except apsw.Error as error:
            raise StoreError(f"the sessions could not be opened: {error}", hint="is the disk full?") from error
        try:
            self._prepare(path)
            self.running_us: int = self._all("running")[0][0]
            self.kept = self._load()
            self.retained = [
                Retained(topic, body, qos, 0, about, expires_us / 1e6)
                for topic, body, qos, about, expires_us in self._all("retained")
            ]
        except apsw.Error as error:
            self._connection.close(force=True)
            if isinstance(error, apsw.NotADBError | apsw.CorruptError):
                raise ConfigError(
                    f"{path} is damaged", hint=f"move {path} away: clients subscribe again, no event is lost"
                ) from error
            raise StoreError(f"the sessions could not be read: {error}", hint="is the disk full?") from error
        except BaseException:
            self._connection.close(force=True)
            raise

    def close(self) -> None:
        """Close the file."""
        with suppress(apsw.Error):
            self._connection.close(force=True)

    def write(self, rows: dict[_Key, _Row], running_us: int) -> None:
        """Write a group, all of it or nothing. StoreError."""
        gone = {key[1] for key, row in rows.items() if key[0] == "session" and row is None}
        payloads: dict[int, int] = {}
        try:
            self._run("BEGIN IMMEDIATE")
            for key, row in rows.items():
                if key[0] == "owed":
                    if key[1] not in gone:
                        self._owed(key, row, payloads)
                elif key[0] == "retained" or key[0] == "session" or key[1] not in gone:
                    self._plain(key, row)
            self._run(_SQL["run"], (running_us,))
            self._run("COMMIT")
        except apsw.Error as error:
            with suppress(apsw.Error):
                self._run("ROLLBACK")
            raise StoreError(f"the sessions could not be written: {error}", hint="is the disk full?") from error

    def _plain(self, key: _Key, row: _Row) -> None:
        if row is not None:
            self._run(_SQL[f"put_{key[0]}"], row)
            return
        payloads = self._all("payloads_of_session", key[1:]) if key[0] == "session" else []
        self._run(_SQL[f"drop_{key[0]}"], key[1:])
        for (payload,) in payloads:
            self._run(_SQL["drop_payload"], (payload,))

    def _owed(self, key: _Key, row: _Row, payloads: dict[int, int]) -> None:
        _, session, no = key
        if row is None:
            found = self._all("payload_of_owed", (session, no))
            self._run(_SQL["drop_owed"], (session, no))
            for (payload,) in found:
                self._run(_SQL["drop_payload"], (payload,))
            return
        message, fresh = row
        if not fresh:
            self._run(_SQL["move_owed"], (session, no, message.packet_id, int(message.completing)))
            return
        # One row for an object that several wait for: the group holds it, so its identity is its own.
        payload = payloads.get(id(message.payload))
        if payload is None:
            payload = payloads[id(message.payload)] = self._all("put_payload", (message.payload,))[0][0]
        self._run(
            _SQL["put_owed"],
            (session, no, message.topic, payload, message.qos, int(message.retain), message.packet_id,
             int(message.completing), message.about, round(message.expires * 1e6),
             json.dumps(message.identifiers) if message.identifiers else ""),
        )  # fmt: skip

    def _load(self) -> list[KeptSession]:
        filters: dict[int, dict[str, Subscribed]] = {}
        owed: dict[int, dict[int, OwedMessage]] = {}
        unreleased: dict[int, list[int]] = {}
        for session, topic_filter, qos, replaying, options, identifier in self._all("filters"):
            filters.setdefault(session, {})[topic_filter] = Subscribed(qos, bool(replaying), options, identifier)
        bodies = dict(self._all("payloads"))
        for session, no, topic, payload, qos, retain, packet_id, completing, *more in self._all("owed"):
            about, expires_us, identifiers = more
            owed.setdefault(session, {})[no] = OwedMessage(
                topic, bodies[payload], qos, bool(retain), packet_id, bool(completing), about, expires_us / 1e6,
                tuple(json.loads(identifiers)) if identifiers else (),
            )  # fmt: skip
        for session, packet_id in self._all("unreleased"):
            unreleased.setdefault(session, []).append(packet_id)
        return [
            KeptSession(
                no,
                principal_of(principal),
                None if left_us is None else left_us / 1e6,
                filters.get(no, {}),
                owed.get(no, {}),
                unreleased.get(no, []),
                None if expiry_us is None else expiry_us / 1e6,
            )
            for no, principal, left_us, expiry_us in self._all("sessions")
        ]

    def _prepare(self, path: Path) -> None:
        # A short wait only: nobody else has business here, and the lock tells a second service apart from none.
        self._connection.set_busy_timeout(1000)
        self._run("PRAGMA locking_mode=EXCLUSIVE")
        application = self._value("PRAGMA application_id")
        tables = self._value("SELECT count(*) FROM sqlite_schema")
        if application != _APPLICATION_ID and (application or tables):
            raise ConfigError(f"{path} is a database of another program", hint="use another data directory")
        if self._value("PRAGMA journal_mode=WAL") != "wal":
            raise StoreError(f"{path} is on a file system without write-ahead logging", hint="use a local disk")
        self._run("PRAGMA synchronous=FULL")
        self._run("PRAGMA foreign_keys=ON")
        version, steps = self._value("PRAGMA user_version"), numbered(__package__, "sql")
        if version > steps[-1][0]:
            raise ConfigError(f"{path} has schema {version}, of a newer version", hint="use the newer release")
        for number, script in steps:
            if number > version:
                self._run("BEGIN IMMEDIATE")
                self._run(script)
                self._run(f"PRAGMA application_id={_APPLICATION_ID}")
                self._run(f"PRAGMA user_version={number}")
                self._run("COMMIT")

    def _run(self, sql: str, values: Sequence[Any] = ()) -> None:
        self._connection.execute(sql, values)

    def _all(self, name: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(_SQL[name], values).fetchall()

    def _value(self, sql: str) -> Any:
        return self._connection.execute(sql).fetchall()[0][0]


def principal_json(principal: Principal) -> str:
    """A principal as it is kept; sets are sorted lists, and null is everything."""
    values = asdict(principal)
    return json.dumps({name: sorted(v) if isinstance(v, frozenset) else v for name, v in values.items()})


def principal_of(text: str) -> Principal:
    """The principal of ``principal_json``; what an older version did not say is as it is by default."""
    kept: dict[str, Any] = json.loads(text)
    known = {field.name for field in fields(Principal)}
    values: dict[str, Any] = {name: frozenset(v) if isinstance(v, list) else v for name, v in kept.items()}
    return Principal(**{name: v for name, v in values.items() if name in known} | {"role": Role(kept["role"])})
