# long: one reading after another, as in the port
"""Readers of the event log: one connection each, in any process."""

import json
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import apsw

from healthsync_mqtt.keys.faults import KeyUnavailableError, TamperedError
from healthsync_mqtt.keys.sealed_bytes import key_id_of
from healthsync_mqtt.model.choice import Contents
from healthsync_mqtt.model.delivery import OWN_FORM
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.codec import BodyCodec
from healthsync_mqtt.storage.page import whole_page
from healthsync_mqtt.storage.port import CountKey, FormatMemory, RejectedRow, Stretch, Totals
from healthsync_mqtt.storage.sealing import SEALED, Sealed, log_id_of
from healthsync_mqtt.storage.sketch import UNKNOWN
from healthsync_mqtt.storage.sqlite import index as identities
from healthsync_mqtt.storage.sqlite.connection import fetch, fetch_value, open_reader, snapshot, translated
from healthsync_mqtt.storage.sqlite.counts import Counts
from healthsync_mqtt.storage.sqlite.faults import DamagedError
from healthsync_mqtt.storage.sqlite.index import IDENTITY_MASK
from healthsync_mqtt.storage.sqlite.sealing import RowSealing
from healthsync_mqtt.storage.sqlite.shelves import Shelves
from healthsync_mqtt.storage.sqlite.sketches import SketchedBlocks
from healthsync_mqtt.storage.sqlite.statements import statements

_SQL = statements("reader")
_INDEX_SQL = statements("index")
_WRITER_SQL = statements("writer")
_ERASING_SQL = statements("erasing")
_PAGE: Final = 5_000
_DAY_US: Final = 86_400_000_000
_NO_END: Final = (1 << 63) - 1


class SqliteLogReader:
    """LogReader on one SQLite file. Not shared between threads at the same time. See ``port.LogReader``."""

    def __init__(self, connection: apsw.Connection, codec: BodyCodec | None = None) -> None:
        """Use ``open``."""
        self._connection = connection
        self._shelves = Shelves(connection)
        self._sketched = SketchedBlocks(connection, self._sketch)
        meta = dict(fetch(connection, _WRITER_SQL["meta"]))
        self.epoch: str = meta["epoch"]
        self._sealing = None if codec is None else RowSealing(codec, log_id_of(meta["identity_secret"]))
        self._how = Sealed.of(meta)
        #: What a format remembers of a device, unsealed and in order, the state of the log that has it, and something
        #: that each of its keys has sealed.
        self._remembered: tuple[Any, list[tuple[str, str]], dict[bytes, bytes]] = (None, [], {})
        self._identity = identities.identity_function(meta["identity_secret"])
        #: Names by number; None stands for itself, so that absent devices and providers need no test per row.
        self._names: dict[int | None, Any] = {None: None}

    @classmethod
    def open(cls, path: Path | str, *, codec: BodyCodec | None = None) -> Self:
        """Open for reading only. UnavailableError when there is no log, StoreError when it cannot be read."""
        connection = open_reader(Path(path))
        with translated("opening"):
            return cls(connection, codec)

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
        with snapshot(self._connection):
            wanted = self._wanted(user=user, type=type, device=device)
            if wanted is None:
                return []
            wanted |= {
                "after": after, "limit": limit, "since": since_us, "until": until_us, "version": version,
                "history": history, "before": before,
            }  # fmt: skip
            sought = None if contents is None else _Sought(contents, type)
            rows = self._read_all if wanted["user"] is None else self._read_user
            return whole_page(
                partial(rows, newest=newest, sought=sought), self._records, wanted, newest=newest, contents=contents
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
        with snapshot(self._connection):
            wanted = self._wanted(user=user, type=type, device=device)
            if wanted is None:
                return Counter()
            wanted |= {"since": since_us, "until": until_us}
            counts = Counts(self._connection, self._shelves)
            by_number = Counter[tuple[int, int, int, int, int]]()
            for who, what, by, provider, day, events in counts.rows(wanted, days=days):
                by_number[who, what, by, provider, day] += events
            users = sorted({key[0] for key, events in by_number.items() if events})
            lost = set(counts.lost(users, self._is_gone)) if self.sealed().on else set()
            names = {**dict(self._query("names_by_number", ())), 0: None}
            found = Counter(
                {CountKey(names[who], names[what], names[device], names[provider], day): events
                 for (who, what, device, provider, day), events in by_number.items() if events and who not in lost}
            )  # fmt: skip
            for each in lost:  # only with its key it is known whether a row is still there
                of_user = self._counted(
                    days=days, user=names[each], type=type, device=device, since_us=since_us, until_us=until_us
                )
                found.update(of_user)
            return found

    def _counted(self, *, days: bool, **wanted: Any) -> Counter[CountKey]:
        """The same, row by row."""
        found, after = Counter[CountKey](), 0
        while page := self.read(after, _PAGE, **wanted):
            after = page[-1].seq
            found.update(
                CountKey(row.user, row.type, row.device, row.provider, row.start_us // _DAY_US if days else 0)
                for row in page
                if not row.op
            )
        return found

    def _wanted(self, **named: str | None) -> dict[str, Any] | None:
        """The numbers of names that are asked for; None where there is no such name."""
        found = {key: None if name is None else self._number(name) for key, name in named.items()}
        missing = any(name is not None and found[key] is None for key, name in named.items())
        return None if missing else found

    def stretch(self, after: int, limit: int, *, look: int, user: str | None = None) -> Stretch:
        """See ``port.LogReader.stretch``."""
        with snapshot(self._connection):
            head = max(after, self.head())
            number = None if user is None else self._number(user)
            if user is not None and number is None:
                return Stretch([], head, more=False)
            wanted = {"after": after, "limit": limit, "user": number, "look": look}
            if number is None:
                through = min(after + look, head)
                rows = self._query("stretch", wanted | {"through": through})
            else:
                indexed = self._shelves.indexed_through()
                places = self._of_user("user_places", wanted, self._shelves.of_user(number, after, indexed), look)
                place = places[-1][0] if len(places) == look else None
                unindexed = max(after, indexed)
                through = min(unindexed + look, head) if place is None else place
                ranges = self._shelves.of_user(number, after, indexed, through)
                rows = self._of_user("user_stretch", wanted | {"through": through}, ranges, limit)
                if place is None and len(rows) < limit:
                    tail = {"after": unindexed, "through": through, "limit": limit - len(rows)}
                    rows += self._query("stretch", wanted | tail)
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
        with snapshot(self._connection):
            number = self._number(user)
            if number is None:
                return None
            wanted, indexed = {"after": after, "through": through, "user": number}, self._shelves.indexed_through()
            rows = self._of_user("next_of_user", wanted, self._shelves.of_user(number, after, indexed, through), 1)
            if not rows:
                rows = self._query("next_unindexed", wanted | {"after": max(after, indexed)})
            return self.get(rows[0][0]) if rows else None

    def every(self, after: int, limit: int) -> list[Record]:
        """See ``port.LogReader.every``."""
        with snapshot(self._connection):
            return self._records(self._query("every", (after, limit)))

    def snapshot(self) -> AbstractContextManager[None]:
        """See ``port.LogReader.snapshot``."""
        return snapshot(self._connection)

    def get(self, seq: int) -> Record | None:
        """See ``port.LogReader.get``."""
        with translated("reading"):
            return next(iter(self._records(self._query("get", (seq,)))), None)

    def find(self, user: str, event_id: str) -> Record | None:
        """See ``port.LogReader.find``."""
        with snapshot(self._connection):
            number = self._number(user)
            if number is None:
                return None
            through = self._shelves.indexed_through()
            identity = self._identity(number, event_id)
            while seq := self._newest(identity, through):
                record = self._records(self._query("get", (seq,)))[0]
                if record.user == user and record.id == event_id:
                    return record
                identity = (identity + 1) & IDENTITY_MASK
            return None

    def types(self, user: str) -> list[str]:
        """See ``port.LogReader.types``."""
        with snapshot(self._connection):
            number, unshelved, indexed = self._number(user), self._shelves.unshelved(), self._shelves.indexed_through()
            shelves = {"first": unshelved >> identities.SHELF_LOG2, "last": indexed >> identities.SHELF_LOG2}
            wanted = {"user": number, "unshelved": unshelved, "indexed": indexed, **shelves}
            return [name for (name,) in self._query("types_of_user", wanted)]

    def rows_of(self, user: str, after: int, limit: int) -> list[int]:
        """See ``port.LogReader.rows_of``."""
        with snapshot(self._connection):
            number, indexed = self._number(user), self._shelves.indexed_through()
            wanted = {"user": number, "after": after, "limit": limit}
            rows = fetch(self._connection, _ERASING_SQL["rows_of"], wanted)
            tail = {"user": number, "after": max(after, indexed), "limit": limit - len(rows)}
            rows += fetch(self._connection, _ERASING_SQL["rows_of_unindexed"], tail)
            return [seq for (seq,) in rows]

    def named_in(self, seqs: Sequence[int]) -> list[str]:
        """See ``port.LogReader.named_in``."""
        with snapshot(self._connection):
            return [name for (name,) in fetch(self._connection, _ERASING_SQL["named_in"], (json.dumps(list(seqs)),))]

    def unused(self, names: Sequence[str]) -> list[str]:
        """See ``port.LogReader.unused``."""
        with snapshot(self._connection):
            return [name for (name,) in fetch(self._connection, _ERASING_SQL["unused"], (json.dumps(list(names)),))]

    def users(self) -> list[str]:
        """See ``port.LogReader.users``."""
        with snapshot(self._connection):
            through = {"through": self._shelves.indexed_through()}
            return sorted(name for (name,) in fetch(self._connection, _ERASING_SQL["users"], through))

    def superseded_by(self, first: int, last: int, *, newest: int | None = None) -> dict[int, list[Record]]:
        """See ``port.LogReader.superseded_by``."""
        with snapshot(self._connection):
            newer = {seq: by_seq for by_seq, seq in self._query("superseded_between", (first, last))}
            links = list(newer)
            while links:
                rows = self._query("superseded_by_these", (json.dumps(links),))
                links = [seq for _, seq in rows]
                newer |= {seq: newer[by_seq] for by_seq, seq in rows}
            found: dict[int, list[Record]] = {}
            for seq in sorted(newer)[0 if newest is None else max(0, len(newer) - newest) :]:
                found.setdefault(newer[seq], []).extend(self._records(self._query("get", (seq,))))
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
        with snapshot(self._connection):
            wanted = {
                "type": self._number(type), "before": before_us, "after": after, "through": through, "shipped": shipped,
            }  # fmt: skip
            return [seq for (seq,) in self._query("purgeable", wanted)]

    def purged_before(self, type: str) -> int | None:  # noqa: A002
        """See ``port.LogReader.purged_before``."""
        with snapshot(self._connection):
            return next((row[0] for row in self._query("purged_before", (self._number(type),))), None)

    def head(self) -> int:
        """See ``port.LogReader.head``."""
        with translated("reading"):
            head: int = fetch_value(self._connection, _WRITER_SQL["head"])
            return head

    def cursor(self, name: str) -> int | None:
        """See ``port.LogReader.cursor``."""
        with translated("reading"):
            return next((row[0] for row in self._query("cursor", (name,))), None)

    def cursors(self) -> dict[str, int]:
        """See ``port.LogReader.cursors``."""
        with translated("reading"):
            return dict(self._query("cursors", ()))

    def rejected(
        self, after: int = 0, limit: int = 100, *, user: str | None = None, before: int | None = None
    ) -> list[RejectedRow]:
        """See ``port.LogReader.rejected``."""
        asked = {"after": after, "before": before, "limit": limit, "user": user}
        with translated("reading"):
            return self._rejected(self._query("rejected" if before is None else "rejected_before", asked))

    def rejected_due(self, now_us: int, limit: int) -> list[int]:
        """See ``port.LogReader.rejected_due``."""
        with translated("reading"):
            return [row[0] for row in self._query("rejected_due", (now_us, limit))]

    def rejected_old(
        self, after: int, limit: int, before_us: int, *, user: str | None = None, spare_due_us: int | None = None
    ) -> list[int]:
        """See ``port.LogReader.rejected_old``."""
        wanted = {"after": after, "limit": limit, "before": before_us, "user": user, "spare": spare_due_us}
        with translated("reading"):
            return [row[0] for row in self._query("rejected_old", wanted)]

    def rejected_get(self, no: int) -> RejectedRow | None:
        """See ``port.LogReader.rejected_get``."""
        with translated("reading"):
            return next(iter(self._rejected(self._query("rejected_get", (no,)))), None)

    def format_state(self, user: str, device: str, form: str) -> bytes:
        """See ``port.LogReader.format_state``."""
        with snapshot(self._connection):
            whose = user, device, form
            numbers = tuple(map(self._number, whose))
            for state, how in self._query("format_state", numbers):
                return self._state(whose, state, how)
            return b""

    def format_states(self, user: str) -> list[FormatMemory]:
        """See ``port.LogReader.format_states``."""
        with snapshot(self._connection):
            found = self._query("format_states_of", (self._number(user),))
            states = [
                FormatMemory(user, device, form, self._state((user, device, form), state, how))
                for device, form, state, how in found
            ]
        return [memory for memory in states if memory.state]

    def format_users(self) -> list[str]:
        """See ``port.LogReader.format_users``."""
        with snapshot(self._connection):
            return [user for (user,) in self._query("format_users", ())]

    def format_records(self, user: str, device: str, form: str, prefix: str, limit: int) -> list[tuple[str, str]]:
        """See ``port.LogReader.format_records``."""
        with snapshot(self._connection):
            user_no, device_no, form_no = map(self._number, (user, device, form))
            wanted = {"user": user_no, "device": device_no, "form": form_no, "prefix": prefix, "limit": limit}
            plain: list[tuple[str, str]] = self._query("format_records", {**wanted, "beyond": _beyond(prefix)})
            sealed = self._sealed_records((user, device, form), (user_no, device_no, form_no))
        if not sealed:
            return plain
        first = bisect_left(sealed, (prefix,))
        begin = list(islice(takewhile(lambda each: each[0].startswith(prefix), islice(sealed, first, None)), limit))
        return sorted(plain + begin)[:limit] if plain else begin

    def format_memories(self) -> list[FormatMemory]:
        """See ``port.LogReader.format_memories``."""
        with snapshot(self._connection):
            states = {whose: self._state(whose, state, how) for *names, state, how in self._query("format_states", ())
                      for whose in [(names[0], names[1], names[2])]}  # fmt: skip
            records: dict[tuple[str, str, str], list[tuple[str, str]]] = {whose: [] for whose in states}
            for user, device, form, name, event_id in self._query("format_records_of_all", ()):
                records.setdefault((user, device, form), []).append((name, event_id))
            for user, device, form, stored in self._query("format_records_sealed_of_all", ()):
                whose = user, device, form
                record = self._opener().record_again(whose, stored)
                if record is not None:
                    records.setdefault(whose, []).append(record)
        return [FormatMemory(*whose, states.get(whose), sorted(named)) for whose, named in records.items()]

    def sealed(self) -> Sealed:
        """How the log is sealed now."""
        with translated("reading"):
            return Sealed.of(dict(fetch(self._connection, _WRITER_SQL["meta"])))

    def totals(self) -> Totals:
        """See ``port.LogReader.totals``."""
        with snapshot(self._connection):
            return Totals(
                events=self.head(),  # seq counts up without gaps
                superseded=self._query("superseded_count", ())[0][0],
                rejected=self._query("rejected_count", ())[0][0],
                users=self._query("user_count", {"through": self._shelves.indexed_through()})[0][0],
            )

    def close(self) -> None:
        """See ``port.LogReader.close``."""
        with translated("closing"):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _query(self, name: str, bindings: Any) -> list[Any]:
        return fetch(self._connection, _SQL[name], bindings)

    def _rejected(self, rows: Iterable[Any]) -> list[RejectedRow]:
        found = []
        for *columns, how in rows:
            row = RejectedRow(*columns)
            if how is not None:
                row = self._refusal(row, how)
            found.append(row)
        return found

    def _refusal(self, row: RejectedRow, how: int) -> RejectedRow:
        form = None if row.form == OWN_FORM else row.form
        place = (
            row.reason, row.device, row.provider, row.topic, row.received_us, row.size, form, row.sha256 is None
        )  # fmt: skip
        if how != SEALED:
            raise TamperedError(f"refusal {row.no} of the quarantine")
        kept = self._opener().kept_again(row.user, row.no, place, row.raw)
        if kept is None:
            return row._replace(raw=b"")
        return row._replace(
            field=kept.field, message=kept.message, event_id=kept.event_id, sha256=kept.sha256, raw=kept.raw
        )

    def _state(self, whose: tuple[str, str, str], state: bytes, how: int | None) -> bytes:
        if how is None:
            return state
        self._opener().codec.fresh()
        return self._opener().state_again(whose, state)

    def _sealed_records(self, whose: tuple[str, str, str], numbers: tuple[Any, ...]) -> list[tuple[str, str]]:
        version = whose, self._query("format_records_version", ())
        _, _, keys = self._remembered
        if self._sealing is not None:
            self._sealing.codec.fresh()
        if self._remembered[0] != version or (keys and self._opener().is_any_gone(keys.values())):
            opened, keys = [], {}
            for (stored,) in self._query("format_records_sealed", numbers):
                record = self._opener().record_again(whose, stored)
                if record is not None:
                    opened.append(record)
                    keys[key_id_of(stored)] = stored
            self._remembered = version, sorted(opened), keys
        return self._remembered[1]

    def _opener(self) -> RowSealing:
        if self._sealing is None:
            raise KeyUnavailableError("the event log is sealed, and its keys are not given")
        return self._sealing

    def _sketch(self, user: int, block: int, stored: bytes, how: int | None) -> bytes | None:
        if how is None:
            return stored if self._how.mixed or not self._how.on else UNKNOWN
        if user not in self._names:
            self._names = {None: None, **dict(self._query("names_by_number", ()))}
        return self._opener().sketch_again(str(self._names.get(user)), block, stored)

    def _read_user(self, wanted: dict[str, Any], *, newest: bool, sought: "_Sought | None") -> list[Any]:
        """Rows of one user: through the index as far as it goes, and a scan of the few rows after it."""
        limit, after, through = wanted["limit"], wanted["after"], self._shelves.indexed_through()
        tail = wanted | {"after": max(after, through), "through": _NO_END}
        before = wanted["before"]
        end = min(through, before - 1) if newest and before is not None else through
        ranges = self._shelves.of_user(wanted["user"], after, through, end, type_no=wanted["type"], newest=newest)
        if sought is not None:
            ranges = self._sketched.of_user(ranges, wanted["user"], *sought, newest=newest)
        if newest:
            rows = self._query("scan_backward", tail)
            return rows + self._of_user("user_backward", wanted, ranges, limit - len(rows))
        rows = self._of_user("user_forward", wanted, ranges, limit)
        return rows + self._query("scan_forward", tail | {"limit": limit - len(rows)})

    def _read_all(self, wanted: dict[str, Any], *, newest: bool, sought: "_Sought | None") -> list[Any]:
        """Rows of everybody: where some may lie that are wanted, as far as that is kept, and a scan of the others."""
        scan = "scan_backward" if newest else "scan_forward"
        chosen = [key for key in ("type", "device", "since", "until", "version") if wanted[key]]
        indexed, before = self._shelves.indexed_through(), wanted["before"]
        if not (chosen or sought) or not indexed:
            return self._query(scan, wanted | {"through": _NO_END})
        after, old = wanted["after"], self._shelves.counted_after()
        start, end = max(after, old), min(indexed, before - 1) if newest and before is not None else indexed
        parts = [
            _Looking(scan, [(after, old)] if after < old else []),
            *self._kept_where(wanted, start, end, newest=newest, sought=sought),
            _Looking(scan, [(max(after, indexed), _NO_END)]),
        ]
        rows: list[Any] = []
        for which, stretches, user in reversed(parts) if newest else parts:
            for low, high in stretches:
                if (left := wanted["limit"] - len(rows)) <= 0:
                    return rows
                # A scan goes by rows, the others by blocks, of which the first may begin before what is wanted.
                place = {"after": low, "through": high} if which == scan else {"low": low, "high": high}
                rows += self._query(which, wanted | {"limit": left, "user": user} | place)
        return rows

    def _kept_where(
        self, wanted: dict[str, Any], start: int, end: int, *, newest: bool, sought: "_Sought | None"
    ) -> "list[_Looking]":
        """How the wanted rows of counted blocks are found."""
        if start >= end:
            return []
        way, indexed = "backward" if newest else "forward", self._shelves.indexed_through()
        if wanted["version"]:
            return [_Looking(f"version_{way}", [(start, self._shelves.block_end(end, indexed))])]
        user = None if wanted["device"] is None else self._shelves.only_user_of(wanted["device"])
        if user is not None:
            stretches = self._shelves.of_user(user, start, indexed, end, type_no=wanted["type"], newest=newest)
            if sought is not None:
                stretches = self._sketched.of_user(stretches, user, *sought, newest=newest)
            return [_Looking(f"user_{way}", stretches, user)]
        first_day, end_day = _days(wanted["since"], wanted["until"])
        stretches = self._shelves.with_rows(wanted, start, end, first_day, end_day, newest=newest)
        if sought is not None:
            stretches = self._sketched.of_all(stretches, *sought, newest=newest)
        return [_Looking(f"scan_{way}", stretches)]

    def _of_user(self, name: str, wanted: dict[str, Any], ranges: Iterable[tuple[int, int]], limit: int) -> list[Any]:
        """At most so many rows of a statement about one user, from these ranges of blocks one after the other."""
        rows: list[Any] = []
        for low, high in ranges if limit > 0 else ():
            left = limit - len(rows)
            rows += self._query(name, wanted | {"low": low, "high": high, "limit": left, "look": left})
            if len(rows) >= limit:
                break
        return rows

    def _records(self, rows: Iterable[Any]) -> list[Record]:
        rows = list(rows)
        if self._sealing is not None:
            self._sealing.codec.fresh()
        try:
            return [self._record(row) for row in rows]
        except KeyError:
            self._names = {None: None, **dict(self._query("names_by_number", ()))}
        try:
            return [self._record(row) for row in rows]
        except KeyError:
            raise DamagedError(
                "the event log is damaged: a row refers to a missing name", hint="restore events.db from a backup"
            ) from None

    def _record(self, row: Any) -> Record:
        (
            seq, user_no, device, provider, event_id, type_no, start_us, end_us, received_us, version, op, body,
            position, identity, how,
        ) = row  # fmt: skip
        names = self._names
        if how is not None:
            event_id, body = self._opener().opened(
                (
                    seq, identity, user_no, device, provider, type_no, version, op, start_us, end_us, received_us,
                    event_id, body, position, how,
                ),
                names,
            )  # fmt: skip
        elif user_no and not self._how.permits_plain(seq):  # of nobody: the user of it was erased
            raise TamperedError(f"row {seq} of the event log")
        return Record(
            seq, names[user_no], names[device], names[provider], event_id, names[type_no],
            start_us, end_us, received_us, version, op, body, position,
        )  # fmt: skip

    def _is_gone(self, event_id: str, body: bytes, how: int) -> bool:
        opener = self._opener()
        opener.codec.fresh()
        return opener.is_gone(event_id, body, how)

    def _number(self, name: str) -> int | None:
        return next((row[0] for row in self._query("number_of", (name,))), None)

    def _newest(self, identity: int, through: int) -> int:
        seq = self._query("newest_unindexed", {"through": through, "identity": identity})[0][0]
        if seq is None:
            seq = fetch_value(self._connection, _INDEX_SQL["newest_of"], (identity,))
        return seq or 0


class _Sought(NamedTuple):
    """What rows say inside, and of which type they are."""

    contents: Contents
    type_name: str | None


class _Looking(NamedTuple):
    """Rows that one statement finds in these stretches; of one user, where no others can have them."""

    which: str
    stretches: Iterable[tuple[int, int]]
    user: int | None = None


def _days(since_us: int | None, until_us: int | None) -> tuple[int | None, int | None]:
    """The days that rows start on, from the first to the one before the second."""
    return (
        None if since_us is None else since_us // _DAY_US,
        None if until_us is None else -(-until_us // _DAY_US),
    )


_LAST: Final = chr(sys.maxunicode)
_SURROGATES: Final = range(0xD800, 0xE000)


def _beyond(prefix: str) -> str | bytes:
    """What is behind every text that begins so, and before all others: a search ends there, and not with the table."""
    kept = prefix.rstrip(_LAST)
    if not kept:
        return b""  # bytes are behind all texts
    after = ord(kept[-1]) + 1
    return kept[:-1] + chr(_SURROGATES.stop if after in _SURROGATES else after)
