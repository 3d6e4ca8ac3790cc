# long: one reading after another, as in the port
"""Readers of the event log on PostgreSQL: one connection each, in any process."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Self

import psycopg

from healthsync_mqtt.keys.faults import KeyUnavailableError, TamperedError
from healthsync_mqtt.keys.sealed_bytes import key_id_of
from healthsync_mqtt.model.choice import Contents
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.postgres.connection import Connection, ServerPlace, abandon
from healthsync_mqtt.storage.codec import BodyCodec
from healthsync_mqtt.storage.page import whole_page
from healthsync_mqtt.storage.port import NOBODY, CountKey, FormatMemory, RejectedRow, Stretch, Totals
from healthsync_mqtt.storage.postgres.connection import (
    LastPlace,
    LogFacts,
    connect_reader,
    fetch,
    refuse_empty,
    translated,
)
from healthsync_mqtt.storage.postgres.counts import ROWS_AT_ONCE, counts
from healthsync_mqtt.storage.postgres.faults import OtherLogError
from healthsync_mqtt.storage.postgres.log import identity_function
from healthsync_mqtt.storage.postgres.quarantine import as_bytes, as_text, row_again
from healthsync_mqtt.storage.postgres.sealing import ServerSealing, StoredRow, sealed_as
from healthsync_mqtt.storage.postgres.shelves import CountedShelves
from healthsync_mqtt.storage.postgres.sketches import SketchedStretches
from healthsync_mqtt.storage.postgres.statements import statements
from healthsync_mqtt.storage.sealing import Sealed, log_id_of
from healthsync_mqtt.storage.sketch import UNKNOWN

_SQL = statements("reader")

_KEPT: Final = ("type", "device", "since", "until")
"""What rows are chosen by, and where such rows lie is kept."""
_RECEIVED, _IDENTITY = 8, 13
"""Where these are in a row that is read."""
_PAUSE_S: Final = 0.5
"""Between two tries to connect."""


class PostgresLogReader:
    """LogReader on one PostgreSQL schema. Not shared between threads at the same time. See ``port.LogReader``."""

    def __init__(self, place: ServerPlace, connection: Connection, codec: BodyCodec | None) -> None:
        """Use ``open``."""
        self._place = place
        self._connection: Connection | None = connection
        self._facts = LogFacts(connection)
        self._sealing = None if codec is None else ServerSealing(codec, log_id_of(self._facts.secret))
        self._how = sealed_as({name: bytes(value) for name, value in fetch(connection, _SQL["meta"])})
        self._identity = identity_function(self._facts.secret)
        self._sketched = SketchedStretches(self._ask, self._sketch)
        #: How many snapshots are open, one inside another.
        self._depth = 0
        self._not_before = 0.0
        #: The newest row that was given: whoever stands there must not go on in a log that has lost it.
        self._given: LastPlace | None = None
        #: what a format remembers of one device, by mark, and something that each of its keys has sealed
        self._remembered: tuple[tuple[str, str, str] | None, dict[bytes, tuple[str, str]], dict[bytes, bytes]]
        self._remembered = None, {}, {}

    @classmethod
    def open(cls, place: ServerPlace, *, codec: BodyCodec | None = None) -> Self:
        """Open for reading only. UnavailableError when there is no log, StoreError when it cannot be read.

        ``codec`` opens what is sealed.
        """
        with translated("opening"):
            connection = connect_reader(place)
            try:
                refuse_empty(connection, place)
                return cls(place, connection, codec)
            except BaseException:
                abandon(connection)
                raise

    @property
    def epoch(self) -> str:
        """See ``port.LogReader.epoch``."""
        return self._facts.epoch

    def read(
        self,
        after: int,
        limit: int,
        *,
        user: str | None = None,
        type: str | None = None,  # noqa: A002
        since_us: int | None = None,
        history: bool = False,
        newest: bool = False,
        before: int | None = None,
        until_us: int | None = None,
        device: str | None = None,
        version: int | None = None,
        contents: Contents | None = None,
    ) -> list[Record]:
        """See ``port.LogReader.read``."""
        wanted = {
            "after": after, "limit": limit, "user": user, "type": type, "since": since_us, "history": history,
            "before": before if newest else None, "until": until_us, "device": device, "version": version,
            "through": None,
        }  # fmt: skip
        look = partial(self._query, "read_newest" if newest else "read")
        if contents is None and all(wanted[key] is None for key in _KEPT):
            return whole_page(look, self._records, wanted, newest=newest)
        with self.snapshot():
            head = self.head()
            where = partial(self._where, look, min(head, before - 1) if newest and before is not None else head)
            return whole_page(
                partial(where, newest=newest, contents=contents),
                self._records,
                wanted,
                newest=newest,
                contents=contents,
            )

    def counts(
        self,
        *,
        user: str | None = None,
        type: str | None = None,  # noqa: A002
        device: str | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
        days: bool = True,
    ) -> Counter[CountKey]:
        """See ``port.LogReader.counts``."""
        wanted = {"user": user, "type": type, "device": device, "since": since_us, "until": until_us, "days": days}
        with self.snapshot():
            return counts(self._ask, wanted)

    def stretch(self, after: int, limit: int, *, look: int, user: str | None = None) -> Stretch:
        """See ``port.LogReader.stretch``."""
        with self.snapshot():
            head = max(after, self.head())
            wanted = {"after": after, "limit": limit, "look": look, "user": user}
            if user is None:
                through = min(after + look, head)
                rows = self._query("stretch", wanted | {"through": through})
            else:
                places = self._query("look_of_user", wanted)
                through = places[0][0] if places else head
                rows = self._query("stretch_of_user", wanted | {"through": through})
            records = [record for record in self._records(rows) if record.body]
        if len(rows) == limit:
            return Stretch(records, rows[-1][0], more=True)
        return Stretch(records, through, more=through < head)

    def next_row(self, after: int, through: int, *, user: str | None = None) -> Record | None:
        """See ``port.LogReader.next_row``."""
        if after >= through:
            return None
        if user is None:
            return self.get(after + 1)
        return self._one("next_of_user", {"after": after, "through": through, "user": user})

    def every(self, after: int, limit: int) -> list[Record]:
        """See ``port.LogReader.every``."""
        return self._records(self._query("every", (after, limit)))

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """See ``port.LogReader.snapshot``. It holds up nobody, but what is deleted meanwhile keeps its room."""
        if self._depth:
            yield
            return
        with translated("reading"):
            connection = self._connected()
            try:
                connection.execute(b"BEGIN ISOLATION LEVEL REPEATABLE READ")
            except psycopg.OperationalError:  # it was cut while nothing was asked
                connection = self._connected()
                connection.execute(b"BEGIN ISOLATION LEVEL REPEATABLE READ")
            self._depth = 1
            try:
                yield
            finally:
                self._depth = 0
                if not connection.closed:
                    connection.execute(b"ROLLBACK")

    def get(self, seq: int) -> Record | None:
        """See ``port.LogReader.get``."""
        return self._one("get", (seq,))

    def find(self, user: str, event_id: str) -> Record | None:
        """See ``port.LogReader.find``."""
        found = self._one("find", (self._identity(user, event_id),))
        return found if found is not None and found.id else None  # its key was destroyed: nobody knows whose id it is

    def types(self, user: str) -> list[str]:
        """See ``port.LogReader.types``."""
        return self._column("types", (user,))

    def rows_of(self, user: str, after: int, limit: int) -> list[int]:
        """See ``port.LogReader.rows_of``."""
        return self._column("rows_of", (user, after, limit))

    def named_in(self, seqs: Sequence[int]) -> list[str]:
        """See ``port.LogReader.named_in``."""
        return self._column("named_in", {"seqs": list(seqs)})

    def unused(self, names: Sequence[str]) -> list[str]:
        """See ``port.LogReader.unused``: names are in rows and nowhere else, so this reads the whole log."""
        return self._column("unused", (list(names),))

    def users(self) -> list[str]:
        """See ``port.LogReader.users``."""
        return self._column("users", ())

    def superseded_by(self, first: int, last: int, *, newest: int | None = None) -> dict[int, list[Record]]:
        """See ``port.LogReader.superseded_by``."""
        found: dict[int, list[Record]] = {}
        for by_seq, *row in self._query("superseded_between", {"first": first, "last": last, "newest": newest}):
            found.setdefault(by_seq, []).extend(self._records([row]))
        return found

    def purgeable(
        self,
        type: str,  # noqa: A002
        before_us: int,
        after: int,
        through: int,
        shipped: int,
    ) -> list[int]:
        """See ``port.LogReader.purgeable``."""
        wanted = {"type": type, "before": before_us, "after": after, "through": through, "shipped": shipped}
        return self._column("purgeable", wanted)

    def purged_before(self, type: str) -> int | None:  # noqa: A002
        """See ``port.LogReader.purged_before``."""
        return next(iter(self._column("purged_before", (type,))), None)

    def head(self) -> int:
        """See ``port.LogReader.head``."""
        head: int = self._query("head", ())[0][0]
        return head

    def cursor(self, name: str) -> int | None:
        """See ``port.LogReader.cursor``."""
        return next(iter(self._column("cursor", (name,))), None)

    def cursors(self) -> dict[str, int]:
        """See ``port.LogReader.cursors``."""
        return dict(self._query("cursors", ()))

    def rejected(
        self, after: int = 0, limit: int = 100, *, user: str | None = None, before: int | None = None
    ) -> list[RejectedRow]:
        """See ``port.LogReader.rejected``."""
        asked = {"after": after, "before": before, "limit": limit, "user": user}
        return self._rejected(self._query("rejected" if before is None else "rejected_before", asked))

    def rejected_due(self, now_us: int, limit: int) -> list[int]:
        """See ``port.LogReader.rejected_due``."""
        return self._column("rejected_due", (now_us, limit))

    def rejected_old(
        self, after: int, limit: int, before_us: int, *, user: str | None = None, spare_due_us: int | None = None
    ) -> list[int]:
        """See ``port.LogReader.rejected_old``."""
        wanted = {"after": after, "limit": limit, "before": before_us, "user": user, "spare": spare_due_us}
        return self._column("rejected_old", wanted)

    def rejected_get(self, no: int) -> RejectedRow | None:
        """See ``port.LogReader.rejected_get``."""
        return next(iter(self._rejected(self._query("rejected_get", (no,)))), None)

    def format_state(self, user: str, device: str, form: str) -> bytes:
        """See ``port.LogReader.format_state``."""
        whose = user, device, form
        return next((self._state(whose, *row) for row in self._query("format_state", whose)), b"")

    def format_states(self, user: str) -> list[FormatMemory]:
        """See ``port.LogReader.format_states``."""
        rows = self._query("format_states_of", (user,))
        return [FormatMemory(*whose, self._state(whose, state, how)) for *names, state, how in rows
                for whose in [(names[0], names[1], names[2])]]  # fmt: skip

    def format_users(self) -> list[str]:
        """See ``port.LogReader.format_users``."""
        return self._column("format_users", ())

    def format_records(self, user: str, device: str, form: str, prefix: str, limit: int) -> list[tuple[str, str]]:
        """See ``port.LogReader.format_records``."""
        wanted = {"user": user, "device": device, "form": form, "prefix": as_bytes(prefix), "limit": limit}
        plain = [_record_name(row) for row in self._query("format_records", wanted)]
        sealed = [each for each in self._records_sealed((user, device, form)) if each[0].startswith(prefix)]
        return sorted(plain + sealed)[:limit] if sealed else plain

    def format_memories(self) -> list[FormatMemory]:
        """See ``port.LogReader.format_memories``."""
        with self.snapshot():
            states = {
                (user, device, form): self._state((user, device, form), state, how)
                for user, device, form, state, how in self._query("format_states", ())
            }
            records: dict[tuple[str, str, str], list[tuple[str, str]]] = {whose: [] for whose in states}
            for user, device, form, *record in self._query("format_records_of_all", ()):
                records.setdefault((user, device, form), []).append(_record_name(record))
            for user, device, form, stored in self._query("format_records_sealed_of_all", ()):
                opened = self._opener().record_again((user, device, form), bytes(stored))
                if opened is not None:
                    records.setdefault((user, device, form), []).append(opened)
        return [FormatMemory(*whose, states.get(whose), sorted(named)) for whose, named in sorted(records.items())]

    def sealed(self) -> Sealed:
        """How the log is sealed now."""
        return sealed_as({name: bytes(value) for name, value in self._query("meta", ())})

    def totals(self) -> Totals:
        """See ``port.LogReader.totals``."""
        events, superseded, rejected, users = self._query("totals", ())[0]  # seq counts up without gaps
        return Totals(events=events, superseded=superseded, rejected=rejected, users=users)

    def close(self) -> None:
        """See ``port.LogReader.close``."""
        abandon(self._connection)
        self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _connected(self) -> Connection:
        """The connection, a new one where it was cut."""
        if self._connection is None or self._connection.closed:
            abandon(self._connection)
            self._connection = None
            if (
                time.monotonic() < self._not_before
            ):  # an event loop that reads must not wait for a dead server all the time
                raise psycopg.OperationalError("the server was away a moment ago")
            self._not_before = time.monotonic() + _PAUSE_S
            connection = connect_reader(self._place)
            self._not_before = 0.0
            try:
                self._refuse_other(connection)
            except BaseException:
                abandon(connection)
                raise
            self._connection = connection
        return self._connection

    def _refuse_other(self, connection: Connection) -> None:
        """OtherLogError where the log behind a new connection is another one, or has not the newest row that was given.

        A standby that has not taken over may have that row still to come.
        """
        try:
            self._facts.refuse_other(connection, self._given)
        except OtherLogError:
            if fetch(connection, _SQL["is_standby"])[0][0]:
                raise psycopg.OperationalError("a standby answers that is behind") from None
            raise

    def _where(
        self,
        look: Callable[[dict[str, Any]], list[Any]],
        through: int,
        wanted: dict[str, Any],
        *,
        newest: bool,
        contents: Contents | None,
    ) -> list[Any]:
        """Rows, read only where some of them may lie that are wanted, as far as that is kept."""
        after, before = wanted["after"], wanted["before"]
        end = through if before is None else min(through, before - 1)
        if end - after <= ROWS_AT_ONCE:
            return look(wanted | {"through": end})
        shelves, rows = CountedShelves(self._ask), list[Any]()
        counted, user, device = shelves.counted_through(), wanted["user"], wanted["device"]
        if user is None and device is not None:
            user = shelves.only_user_of(device)
        parts: list[tuple[str | None, Iterable[tuple[int, int]]]] = [
            (user, shelves.with_rows(wanted, after, min(end, counted), newest=newest)),
            (wanted["user"], [(max(after, counted), end)] if end > counted else []),
        ]
        for whose, part in reversed(parts) if newest else parts:
            stretches = part
            if contents is not None:
                stretches = self._sketched.of(part, whose, contents, wanted["type"], newest=newest)
            for low, high in stretches:
                left = wanted["limit"] - len(rows)
                if left <= 0:
                    return rows
                rows += look(wanted | {"user": whose, "after": low, "through": high, "limit": left})
        return rows

    def _sketch(self, user: str, block: int, stored: bytes, how: int | None) -> bytes | None:
        if how is None:
            return stored if self._how.mixed or not self._how.on else UNKNOWN
        return self._opener().sketch_again(user, block, stored)

    def _query(self, name: str, bindings: Any) -> list[Any]:
        return self._ask(_SQL[name], bindings)

    def _ask(self, statement: bytes, bindings: Any) -> list[Any]:
        with translated("reading"):
            try:
                return fetch(self._connected(), statement, bindings)
            except psycopg.OperationalError:
                if self._depth or (self._connection is not None and not self._connection.closed):
                    raise
                return fetch(self._connected(), statement, bindings)  # it was cut while nothing was asked

    def _column(self, name: str, bindings: Any) -> list[Any]:
        return [row[0] for row in self._query(name, bindings)]

    def _records(self, rows: Iterable[Any]) -> list[Record]:
        self._listen()
        found = list(rows)
        for row in found[:1] + found[-1:]:
            if self._given is None or row[0] > self._given.seq:
                self._given = LastPlace(row[0], row[_IDENTITY], row[_RECEIVED])
        return [self._record(*row) for row in found]

    def _record(self, *row: Any) -> Record:
        *columns, identity, how = row
        record = Record(*columns)
        if how is None:
            if record.user != NOBODY and not self._how.permits_plain(record.seq):
                raise TamperedError(f"row {record.seq} of the event log")
            return record
        stored = StoredRow(
            record.seq, record.position, record.start_us, record.end_us, record.received_us, record.version, record.op,
            identity, record.user, record.device, record.provider, record.type, record.id, record.body, how,
        )  # fmt: skip
        event_id, body = self._opener().opened(stored)
        return record._replace(id=event_id, body=body)

    def _rejected(self, rows: Iterable[Any]) -> list[RejectedRow]:
        self._listen()
        found = []
        for *columns, how in rows:
            row = row_again(columns)
            found.append(row if how is None else self._opener().refusal_again(row, how))
        return found

    def _state(self, whose: tuple[str, str, str], state: bytes, how: int | None) -> bytes:
        if how is None:
            return bytes(state)
        self._listen()
        return self._opener().state_again(whose, bytes(state))

    def _records_sealed(self, whose: tuple[str, str, str]) -> list[tuple[str, str]]:
        """Only what is new since the last time is asked for and opened: one device is asked about many times."""
        self._listen()
        marks = [bytes(mark) for mark in self._column("format_marks", whose)]
        known, keys = self._remembered[1:] if self._remembered[0] == whose else ({}, {})
        if keys and self._opener().is_any_gone(keys.values()):
            known, keys = {}, {}
        found = {mark: known[mark] for mark in marks if mark in known}
        if missing := [mark for mark in marks if mark not in known]:
            for mark, stored in self._query("format_records_sealed", (*whose, missing)):
                record = self._opener().record_again(whose, bytes(stored))
                if record is not None:
                    found[bytes(mark)] = record
                    keys[key_id_of(bytes(stored))] = bytes(stored)
        self._remembered = whose, found, keys
        return sorted(found.values())

    def _listen(self) -> None:
        """Hear of keys that were destroyed."""
        if self._sealing is not None:
            self._sealing.codec.fresh()

    def _opener(self) -> ServerSealing:
        if self._sealing is None:
            raise KeyUnavailableError("the event log is sealed, and its keys are not given")
        return self._sealing

    def _one(self, name: str, bindings: Any) -> Record | None:
        return next(iter(self._records(self._query(name, bindings))), None)


def _record_name(row: Sequence[Any]) -> tuple[str, str]:
    name, event_id = row
    return as_text(name) or "", as_text(event_id) or ""
