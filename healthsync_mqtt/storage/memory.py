# long: the whole of both ports, a few lines for each verb
"""The event log in memory: the contract in plain Python, for tests and for trying things out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, Self

from healthsync_mqtt.model.choice import Contents
from healthsync_mqtt.model.event import LATEST
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.latest_version import Held, version_after
from healthsync_mqtt.storage.port import (
    NOBODY,
    CountKey,
    FormatMemory,
    Item,
    LogHealth,
    Quarantined,
    RejectedRow,
    Stretch,
    Totals,
)
from healthsync_mqtt.storage.quotas import ROW_COST, Quotas, due, fingerprint, kept

_Whose = tuple[str, str, str]


@dataclass(slots=True)
class _Tables:
    log: list[Record] = field(default_factory=list)
    latest: dict[tuple[str, str], int] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    superseded: set[int] = field(default_factory=set)
    quarantine: dict[int, RejectedRow] = field(default_factory=dict)
    #: The row of a refusal, while it is there.
    refused: dict[bytes, int] = field(default_factory=dict)
    last_rejected: int = 0
    cursors: dict[str, int] = field(default_factory=dict)
    purged: dict[str, int] = field(default_factory=dict)
    #: what formats remember, and names of records with ids, by user, device and form
    states: dict[_Whose, bytes] = field(default_factory=dict)
    records: dict[_Whose, frozenset[tuple[str, str]]] = field(default_factory=dict)

    def copy(self) -> "_Tables":
        return _Tables(
            log=self.log.copy(),
            latest=self.latest.copy(),
            positions=self.positions.copy(),
            superseded=self.superseded.copy(),
            quarantine=self.quarantine.copy(),
            refused=self.refused.copy(),
            last_rejected=self.last_rejected,
            cursors=self.cursors.copy(),
            purged=self.purged.copy(),
            states=self.states.copy(),
            records=self.records.copy(),
        )

    def erase(self, user: str, seqs: Sequence[int]) -> None:
        """Husks of the user's rows among these."""
        for row in [self.log[seq - 1] for seq in seqs]:
            if row.user == user:
                self.superseded.discard(row.seq)
                self.latest.pop((user, row.id), None)
                self.log[row.seq - 1] = Record(
                    row.seq, NOBODY, None, None, "", NOBODY, 0, None, row.received_us, 0, 0, b"", row.seq
                )  # fmt: skip

    def forget_user(self, user: str) -> None:
        """Nothing but rows."""
        self.quarantine = {no: row for no, row in self.quarantine.items() if row.user != user}
        self.states = {whose: state for whose, state in self.states.items() if whose[0] != user}
        self.records = {whose: names for whose, names in self.records.items() if whose[0] != user}
        self.positions.pop(user, None)


class MemoryEventLog:
    """EventLog that forgets everything with the process. See ``port.EventLog``."""

    def __init__(self, quotas: Quotas | None = None) -> None:
        self.epoch = token_hex(8)
        self._quotas = quotas or Quotas()
        self._forgotten: list[tuple[Sequence[int], int, int | None]] = []
        self._holds: list[tuple[int, int | None, int]] = []
        self.committed = _Tables()
        self._staged: _Tables | None = None
        self._cursors: dict[str, int | None] = {}
        self._discards: list[int] = []
        self._purges: list[tuple[str, int, Sequence[int]]] = []
        self._memories: list[FormatMemory] = []
        self._erasures: list[tuple[str, Sequence[int]]] = []
        self._leaving: list[tuple[str, Sequence[str]]] = []

    def reader(self) -> "MemoryLogReader":
        """A reader of what is committed."""
        return MemoryLogReader(self)

    def stage(self, items: Sequence[Item], rejected: Sequence[Quarantined], received_us: int) -> list[int]:
        """See ``port.EventLog.stage``."""
        if self._staged is None:
            self._staged = self.committed.copy()
        tables = self._staged
        seqs = [self._stage_item(tables, item, received_us) for item in items]
        for one in rejected:
            self._refuse(tables, one)
        for sender in dict.fromkeys(one.origin[:2] for one in rejected):
            self._make_room(tables, sender, self._quotas.device_bytes)
        for user in dict.fromkeys(one.origin[:1] for one in rejected):
            self._make_room(tables, user, self._quotas.user_bytes)
        self._make_room(tables, (), self._quotas.total_bytes)
        return seqs

    def commit(self) -> int:
        """See ``port.EventLog.commit``."""
        tables = self.committed if self._staged is None else self._staged
        for name, seq in self._cursors.items():
            if seq is None:
                tables.cursors.pop(name, None)
            else:
                tables.cursors[name] = seq
        for no in self._discards:
            tables.quarantine.pop(no, None)
        for no, due_us, at_us in self._holds:
            if no in tables.quarantine:
                tables.quarantine[no] = tables.quarantine[no]._replace(due_us=due_us, last_us=at_us)
        for numbers, before_us, spare_us in self._forgotten:
            for row in [tables.quarantine[no] for no in numbers if no in tables.quarantine]:
                if _is_old(row, before_us, spare_us):
                    del tables.quarantine[row.no]
        for type_name, before_us, seqs in self._purges:
            tables.purged[type_name] = max(before_us, tables.purged.get(type_name, before_us))
            for seq in seqs:
                tables.log[seq - 1] = tables.log[seq - 1]._replace(body=b"")
        for memory in self._memories:
            self._keep(tables, memory)
        for name, seqs in self._erasures:
            tables.erase(name, seqs)
        for name, _ in self._leaving:
            tables.forget_user(name)
        self._erasures, self._leaving = [], []
        self._cursors, self._discards, self._purges, self._forgotten, self._holds = {}, [], [], [], []
        self._memories = []
        self.committed, self._staged = tables, None
        return self.head()

    def put_off(self) -> None:
        """See ``port.EventLog.put_off``: nothing is."""

    @property
    def owes(self) -> bool:
        """See ``port.EventLog.owes``."""
        return False

    def rollback(self) -> None:
        """See ``port.EventLog.rollback``."""
        self._staged = None

    def head(self) -> int:
        """See ``port.EventLog.head``."""
        return len(self.committed.log)

    def position(self, user: str) -> int:
        """See ``port.EventLog.position``."""
        return self.committed.positions.get(user, 0)

    def set_cursor(self, name: str, seq: int) -> None:
        """See ``port.EventLog.set_cursor``."""
        self._cursors[name] = seq

    def drop_cursor(self, name: str) -> None:
        """See ``port.EventLog.drop_cursor``."""
        self._cursors[name] = None

    def discard_rejected(self, no: int) -> None:
        """See ``port.EventLog.discard_rejected``."""
        self._discards.append(no)

    def hold_rejected(self, no: int, due_us: int | None, at_us: int) -> None:
        """See ``port.EventLog.hold_rejected``."""
        self._holds.append((no, due_us, at_us))

    def purge_rejected(self, numbers: Sequence[int], before_us: int, *, spare_due_us: int | None = None) -> None:
        """See ``port.EventLog.purge_rejected``."""
        self._forgotten.append((numbers, before_us, spare_due_us))

    def purge(self, type: str, before_us: int, seqs: Sequence[int]) -> None:  # noqa: A002
        """See ``port.EventLog.purge``."""
        self._purges.append((type, before_us, seqs))

    def remember(self, memory: FormatMemory) -> None:
        """See ``port.EventLog.remember``."""
        self._memories.append(memory)

    def seal_older(self, rows: int) -> int:  # noqa: ARG002
        """See ``port.EventLog.seal_older``."""
        return 0

    def erase(self, user: str, seqs: Sequence[int]) -> None:
        """See ``port.EventLog.erase``."""
        self._erasures.append((user, seqs))

    def forget_user(self, user: str, names: Sequence[str], through: int) -> None:  # noqa: ARG002
        """See ``port.EventLog.forget_user``."""
        self._leaving.append((user, names))

    def scrub(self) -> None:
        """See ``port.EventLog.scrub``: there is no file."""

    def anchor(self) -> None:
        """See ``port.EventLog.anchor``: nothing of this log is left to be compared with it."""

    def keep_lock(self) -> None:
        """See ``port.EventLog.keep_lock``: nobody else can have it."""

    def health(self) -> LogHealth:
        """See ``port.EventLog.health``."""
        return LogHealth()

    def close(self) -> None:
        """See ``port.EventLog.close``."""
        self._staged = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _refuse(self, tables: _Tables, one: Quarantined) -> None:
        origin, at_us, rejection = one
        mark = fingerprint(origin, rejection)
        if (no := tables.refused.get(mark, 0)) in tables.quarantine:
            row = tables.quarantine[no]
            due_us = None if row.truncated else due(rejection)
            tables.quarantine[no] = row._replace(times=row.times + 1, last_us=at_us, due_us=due_us)
            return
        part = kept(rejection, self._quotas)
        tables.last_rejected += 1
        tables.refused[mark] = tables.last_rejected
        tables.quarantine[tables.last_rejected] = RejectedRow(
            tables.last_rejected, str(rejection.reason), rejection.field, rejection.message, *origin, at_us,
            rejection.id, part.raw, part.size, part.sha256, 1, at_us, due(rejection), rejection.form,
        )  # fmt: skip

    @staticmethod
    def _make_room(tables: _Tables, names: tuple[str | None, ...], bound: int) -> None:
        held = [row for row in tables.quarantine.values() if (row.user, row.device)[: len(names)] == names]
        while len(held) > 1 and sum(len(row.raw) + ROW_COST for row in held) > bound:
            del tables.quarantine[held.pop(0).no]

    @staticmethod
    def _keep(tables: _Tables, memory: FormatMemory) -> None:
        whose = memory[:3]
        if memory.state is not None:
            tables.states[whose] = memory.state
        records = tables.records.get(whose, frozenset()).difference(memory.taken_back).union(memory.named)
        if records or whose in tables.records:
            tables.records[whose] = records

    @staticmethod
    def _stage_item(tables: _Tables, item: Item, received_us: int) -> int:
        origin, event = item
        latest = tables.latest.get((origin.user, event.id), 0)
        held = tables.log[latest - 1] if latest else None
        if event.version == LATEST:
            known = held and Held(held.type, held.version, held.op, held.start_us, held.end_us, held.body)
            version = version_after(known, event)
            if version is None:
                return 0
            event = event._replace(version=version)
        if held is not None:
            if event.version * 2 + event.op <= held.version * 2 + held.op:
                return 0
            tables.superseded.add(latest)
        seq = len(tables.log) + 1
        position = tables.positions[origin.user] = tables.positions.get(origin.user, 0) + 1
        tables.log.append(
            Record(
                seq,
                origin.user,
                origin.device,
                origin.provider,
                event.id,
                event.type,
                event.start_us,
                event.end_us,
                received_us,
                event.version,
                int(event.op),
                event.body,
                position,
            )
        )  # fmt: skip
        tables.latest[origin.user, event.id] = seq
        return seq


class MemoryLogReader:
    """LogReader on a MemoryEventLog. See ``port.LogReader``."""

    def __init__(self, log: MemoryEventLog) -> None:
        self._log = log
        self._frozen: _Tables | None = None
        self.epoch = log.epoch

    @property
    def _committed(self) -> _Tables:
        return self._frozen or self._log.committed

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """See ``port.LogReader.snapshot``."""
        before, self._frozen = self._frozen, self._frozen or self._log.committed.copy()
        try:
            yield
        finally:
            self._frozen = before

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
        tables = self._committed
        rows = [
            record
            for record in tables.log[max(after, 0) : None if before is None or not newest else max(before - 1, 0)]
            if (user is None or record.user == user)
            and (type is None or record.type == type)
            and (since_us is None or record.start_us >= since_us)
            and (until_us is None or record.start_us < until_us)
            and device in {None, record.device}
            and version in {None, record.version}
            and (history or record.seq not in tables.superseded)
            and record.body
            and (contents is None or record in contents)
        ]
        return rows[max(len(rows) - limit, 0) :] if newest else rows[:limit]

    def counts(self, *, days: bool = True, **wanted: Any) -> Counter[CountKey]:
        """See ``port.LogReader.counts``."""
        return Counter(
            CountKey(row.user, row.type, row.device, row.provider, row.start_us // 86_400_000_000 if days else 0)
            for row in self.read(0, len(self._committed.log), **wanted)
            if not row.op
        )

    def stretch(self, after: int, limit: int, *, look: int, user: str | None = None) -> Stretch:
        """See ``port.LogReader.stretch``."""
        found = [record for record in self._committed.log[max(after, 0) :] if user is None or record.user == user]
        more, head = len(found) >= look, max(after, self.head())
        through = found[look - 1].seq if more else head
        rows = [record for record in found[:look] if record.body]
        if len(rows) < limit:
            return Stretch(rows, through, more)
        return Stretch(rows[:limit], rows[limit - 1].seq, more=True)

    def every(self, after: int, limit: int) -> list[Record]:
        """See ``port.LogReader.every``."""
        return self._committed.log[max(after, 0) : max(after, 0) + limit]

    def next_row(self, after: int, through: int, *, user: str | None = None) -> Record | None:
        """See ``port.LogReader.next_row``."""
        found = (row for row in self._committed.log[max(after, 0) : through] if user is None or row.user == user)
        return next(found, None)

    def get(self, seq: int) -> Record | None:
        """See ``port.LogReader.get``."""
        return self._committed.log[seq - 1] if 0 < seq <= self.head() else None

    def find(self, user: str, event_id: str) -> Record | None:
        """See ``port.LogReader.find``."""
        return self.get(self._committed.latest.get((user, event_id), 0))

    def types(self, user: str) -> list[str]:
        """See ``port.LogReader.types``."""
        return sorted({row.type for row in self._committed.log if row.user == user})

    def rows_of(self, user: str, after: int, limit: int) -> list[int]:
        """See ``port.LogReader.rows_of``."""
        return [row.seq for row in self._committed.log[max(after, 0) :] if row.user == user][:limit]

    def named_in(self, seqs: Sequence[int]) -> list[str]:
        """See ``port.LogReader.named_in``."""
        rows = [self._committed.log[seq - 1] for seq in seqs]
        return sorted({name for row in rows for name in (row.device, row.provider) if name is not None})

    def unused(self, names: Sequence[str]) -> list[str]:
        """See ``port.LogReader.unused``."""
        used = {name for row in self._committed.log for name in (row.device, row.provider, row.user, row.type)}
        return sorted(set(names) - used)

    def users(self) -> list[str]:
        """See ``port.LogReader.users``."""
        tables = self._committed
        refused = {row.user for row in tables.quarantine.values()}
        return sorted(({row.user for row in tables.log} | refused) - {NOBODY})

    def superseded_by(self, first: int, last: int, *, newest: int | None = None) -> dict[int, list[Record]]:
        """See ``port.LogReader.superseded_by``."""
        found: dict[int, list[Record]] = {}
        for record in self._committed.log[max(first, 1) - 1 : last]:
            earlier = self._committed.log[: record.seq - 1]
            if record.user == NOBODY:
                continue
            if same := [row for row in earlier if (row.user, row.id) == (record.user, record.id)]:
                found[record.seq] = same
        if newest is None:
            return found
        kept = set(sorted({row.seq for rows in found.values() for row in rows})[-newest:])
        return {by: rows for by, every in found.items() if (rows := [row for row in every if row.seq in kept])}

    def purgeable(
        self,
        type: str,  # noqa: A002
        before_us: int,
        after: int,
        through: int,
        shipped: int,
    ) -> list[int]:
        """See ``port.LogReader.purgeable``."""
        tables = self._committed
        return [
            record.seq
            for record in tables.log[max(after, 0) : through]
            if record.type == type and record.start_us < before_us and not record.op and record.body
            and (record.seq not in tables.superseded or tables.latest[record.user, record.id] <= shipped)
        ]  # fmt: skip

    def purged_before(self, type: str) -> int | None:  # noqa: A002
        """See ``port.LogReader.purged_before``."""
        return self._committed.purged.get(type)

    def head(self) -> int:
        """See ``port.LogReader.head``."""
        return len(self._committed.log)

    def cursor(self, name: str) -> int | None:
        """See ``port.LogReader.cursor``."""
        return self._committed.cursors.get(name)

    def cursors(self) -> dict[str, int]:
        """See ``port.LogReader.cursors``."""
        return dict(sorted(self._committed.cursors.items()))

    def rejected(
        self, after: int = 0, limit: int = 100, *, user: str | None = None, before: int | None = None
    ) -> list[RejectedRow]:
        """See ``port.LogReader.rejected``."""
        rows = [row for row in self._committed.quarantine.values() if row.no > after and user in (None, row.user)]
        if before is not None:
            rows = [row for row in reversed(rows) if row.no < before]
        return rows[:limit]

    def rejected_due(self, now_us: int, limit: int) -> list[int]:
        """See ``port.LogReader.rejected_due``."""
        held = [row for row in self._committed.quarantine.values() if row.due_us is not None and row.due_us <= now_us]
        return [row.no for row in sorted(held, key=lambda row: (row.due_us, row.no))][:limit]

    def rejected_old(
        self, after: int, limit: int, before_us: int, *, user: str | None = None, spare_due_us: int | None = None
    ) -> list[int]:
        """See ``port.LogReader.rejected_old``."""
        rows = [row for row in self._committed.quarantine.values() if row.no > after and user in {None, row.user}]
        return [row.no for row in rows if _is_old(row, before_us, spare_due_us)][:limit]

    def rejected_get(self, no: int) -> RejectedRow | None:
        """See ``port.LogReader.rejected_get``."""
        return self._committed.quarantine.get(no)

    def format_state(self, user: str, device: str, form: str) -> bytes:
        """See ``port.LogReader.format_state``."""
        return self._committed.states.get((user, device, form), b"")

    def format_states(self, user: str) -> list[FormatMemory]:
        """See ``port.LogReader.format_states``."""
        states = self._committed.states
        return [FormatMemory(*whose, states[whose]) for whose in sorted(states) if whose[0] == user and states[whose]]

    def format_users(self) -> list[str]:
        """See ``port.LogReader.format_users``."""
        return sorted({whose[0] for whose, state in self._committed.states.items() if state})

    def format_records(self, user: str, device: str, form: str, prefix: str, limit: int) -> list[tuple[str, str]]:
        """See ``port.LogReader.format_records``."""
        records = self._committed.records.get((user, device, form), frozenset())
        return sorted(each for each in records if each[0].startswith(prefix))[:limit]

    def format_memories(self) -> list[FormatMemory]:
        """See ``port.LogReader.format_memories``."""
        tables = self._committed
        whose = sorted(tables.states.keys() | tables.records.keys())
        return [
            FormatMemory(*each, tables.states.get(each), sorted(tables.records.get(each, frozenset())))
            for each in whose
        ]

    def totals(self) -> Totals:
        """See ``port.LogReader.totals``."""
        tables = self._committed
        return Totals(
            events=len(tables.log),
            superseded=len(tables.superseded),
            rejected=len(tables.quarantine),
            users=len({record.user for record in tables.log} - {NOBODY}),
        )

    def close(self) -> None:
        """See ``port.LogReader.close``."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _is_old(row: RejectedRow, before_us: int, spare_due_us: int | None) -> bool:
    """Whether it was last refused before a time, and is not spared because it is due by another."""
    spared = spare_due_us is not None and row.due_us is not None and row.due_us <= spare_due_us
    return row.last_us < before_us and not spared
