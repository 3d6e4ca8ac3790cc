# long: one transaction from what is staged to what is committed, a few lines for each verb of the port
"""The event log on PostgreSQL: any number of bridges write it, one group after the other.

A group's transaction locks the one row of ``head`` first and moves it last, so that ``seq`` counts up without gaps in
the order of commits, whoever commits: everything that reads the log by one cursor goes on as it does with one writer.
While it has that lock nobody else changes anything, so nothing of the log is held in memory between two groups.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import blake2b
from typing import Any, Final, Self

import psycopg

from healthsync_mqtt.errors import HealthSyncError, StoreError, UnavailableError
from healthsync_mqtt.keys.faults import KeyUnavailableError
from healthsync_mqtt.model.event import LATEST, Op
from healthsync_mqtt.postgres.connection import Connection, ServerPlace, abandon, unremarked
from healthsync_mqtt.storage.anchor import Acceptance, Anchor, AnchorFile
from healthsync_mqtt.storage.codec import BodyCodec
from healthsync_mqtt.storage.late_sealing import ENCRYPTION
from healthsync_mqtt.storage.latest_version import Held, version_after
from healthsync_mqtt.storage.move import MOVED, MovePart, refuse_marked
from healthsync_mqtt.storage.port import NOBODY, FormatMemory, Item, LogHealth, Quarantined
from healthsync_mqtt.storage.postgres.arrays import BigintArray, DigestArray, TextArray
from healthsync_mqtt.storage.postgres.comparison import compare
from healthsync_mqtt.storage.postgres.connection import (
    ALONE_LOCK,
    LastPlace,
    LogFacts,
    asked,
    connect_writer,
    fetch,
    keep_durable,
    migrate,
    other_log,
    refuse_other_schema,
    row_at,
    run,
    told_on,
    translated,
)
from healthsync_mqtt.storage.postgres.counts import count_on, forget_counts, uncount
from healthsync_mqtt.storage.postgres.faults import (
    AloneError,
    LogTakenError,
    OtherLogError,
    ServerBusyError,
    store_error,
)
from healthsync_mqtt.storage.postgres.late_sealing import ServerLateSealing, keep_records, store_again
from healthsync_mqtt.storage.postgres.quarantine import PostgresQuarantine, as_bytes
from healthsync_mqtt.storage.postgres.sealing import ServerSealing, StoredRow, sealed_as
from healthsync_mqtt.storage.postgres.sketches import BlockSketches, BlockSketchMaking
from healthsync_mqtt.storage.postgres.statements import statements
from healthsync_mqtt.storage.postgres.unwritten import Place, Unwritten
from healthsync_mqtt.storage.quotas import Quotas
from healthsync_mqtt.storage.sealing import SEALED, Sealed, log_id_of

_SQL = statements("writer")
_ERASING = statements("erasing")
_LATE = statements("late_sealing")

_TAKEN_S: Final = 30.0
"""So long another may have that lock before this service ends: an own connection that was cut is gone long before."""

_COLUMNS: Final = (
    "int8", "int8", "int8", "int8", "int8", "int8", "int2", "bytea", "text", "text", "text", "text", "text", "bytea",
)  # fmt: skip


_OF_A_PERSON: Final = (
    "forget_refusals", "forget_held", "forget_states", "forget_records", "forget_records_sealed", "forget_person",
)  # fmt: skip


def identity_function(secret: bytes) -> Callable[[str, str], bytes]:
    """The keyed digest of (user, event id). Keyed, so that no sender can choose ids that collide."""
    seeded = blake2b(digest_size=16, key=secret)

    def identity(user: str, event_id: str) -> bytes:
        digest = seeded.copy()
        digest.update(f"{user}:{event_id}".encode())
        return digest.digest()

    return identity


class PostgresEventLog:
    """EventLog on one PostgreSQL schema; others may write it, too. See ``port.EventLog`` for the contract."""

    def __init__(  # what ``open`` has made
        self,
        place: ServerPlace,
        connection: Connection,
        quotas: Quotas,
        anchor: AnchorFile | None,
        codec: BodyCodec | None,
        *,
        alone: bool,
        part: MovePart,
        known: LastPlace | None,
    ) -> None:
        """Use ``open``."""
        self._place = place
        self._alone = alone
        self._part = part
        self._anchor = anchor
        self._anchored: int | None = None
        self._anchor_failing = False
        self._connection: Connection | None = connection
        self._facts = LogFacts(connection)
        self._identity = identity_function(self._facts.secret)
        self._quarantine = PostgresQuarantine(quotas)
        self._sealing = None if codec is None else ServerSealing(codec, log_id_of(self._facts.secret))
        self._use(self._sealed_now(connection))
        making = BlockSketchMaking(lambda: self._how.on, self._seal_sketch, self._body)
        self._sketches = BlockSketches(making)
        #: Whether the open transaction has changed how the log is sealed, and how it was before.
        self._how_staged, self._how_before = False, self._how
        #: The last row that writer and anchor know to be durable: of its last commit, or anybody's before it. What
        #: else is there to be seen need not be on the standby: after a crash of the server, say, until that follows.
        self._last = known
        self._head = next((row[0] for row in fetch(connection, _SQL["last_row"])), 0)
        #: Of the open transaction: the row at the head when it began, and its own last one.
        self._begun_last: LastPlace | None = None
        self._staged_last: LastPlace | None = None
        #: The number of the open transaction, None without one, and the seq of its last row.
        self._transaction: str | None = None
        self._staged_head = self._counted = self._begun_head = 0
        self._unwritten = Unwritten()
        #: Positions of those whom the last commit or the open transaction concerns: what is committed, what is staged.
        self._positions: dict[str, int] = {}
        self._staged_positions: dict[str, int] = {}
        #: Cursors that wait for the next commit (None drops one), and whatever else does, in order.
        self._cursors: dict[str, int | None] = {}
        self._chores: list[Callable[[Connection], None]] = []
        self._scrub = False
        self._closed = False
        #: While the connection is made, or a transaction begun: the loop asks for positions and begins what a chore
        #: writes, and the journal's thread looks after the lock.
        self._looking = threading.Lock()
        self._taken_since: float | None = None

    @classmethod
    def open(
        cls,
        place: ServerPlace,
        *,
        quotas: Quotas | None = None,
        anchor: AnchorFile | None = None,
        accept_restored: Acceptance | None = None,
        alone: bool = False,
        part: MovePart = MovePart.NONE,
        codec: BodyCodec | None = None,
        seal_new: bool = True,
    ) -> Self:
        """Open the log for writing; it is made, or its schema brought up to date. UnavailableError, StoreError.

        ``anchor`` says what a bridge knows to be durable: RestoredError when that is not in the log. With
        ``accept_restored`` it is taken as it is and gets a new epoch. ``alone``: AloneError when another writer
        has the log, and for every other one from then on; for anybody who would change the tables while others write.
        ``part``: what it is in a move; without one a log that is moved is refused. ``codec`` opens what is sealed; an
        empty log becomes a sealed one, with a codec and ``seal_new``. Only one writer has a sealed log:
        KeyUnavailableError for who has no codec.
        """
        with translated("opening"):
            connection = connect_writer(place)
            try:
                seen = compare(anchor, connection, place)
                if not accept_restored:
                    seen.refuse()
                if alone:
                    _take(connection, place, alone=True)
                migrate(connection, place)
                if not alone:
                    _take(connection, place, alone=False)
                    refuse_other_schema(connection, place)
                marks = dict(fetch(connection, _SQL["meta"]))
                refuse_marked(marks, part, accepted=accept_restored is not None)
                if codec is not None and seal_new and fetch(connection, _SQL["is_empty"])[0][0]:
                    codec.prepare(make=True)
                    run(connection, _SQL["change_meta"], (ENCRYPTION, b"rows"))
                if accept_restored:
                    epoch = secrets.token_hex(8)
                    accept_restored(seen, epoch)
                    run(connection, _SQL["mint_epoch"], (epoch,))
                    run(connection, _SQL["unset_meta"], (MOVED,))
                # What is there was before the COMMIT of the new epoch; else the anchor alone is sure.
                head = fetch(connection, _SQL["head"])[0][0] if accept_restored else seen.anchored_head
                known = row_at(connection, head)
                log = cls(place, connection, quotas or Quotas(), anchor, codec, alone=alone, part=part, known=known)
                if log.sealed and codec is not None and not accept_restored:
                    codec.prepare(make=False)
            except BaseException:
                abandon(connection)
                raise
        if accept_restored:
            log.anchor()
        return log

    @property
    def sealed(self) -> bool:
        """Whether what is new is sealed."""
        return self._how.on

    @property
    def epoch(self) -> str:
        """See ``port.EventLog.epoch``."""
        return self._facts.epoch

    def stage(self, items: Sequence[Item], rejected: Sequence[Quarantined], received_us: int) -> list[int]:
        """See ``port.EventLog.stage``."""
        identities = [self._identity(item.origin.user, item.event.id) for item in items]
        with self._staging() as connection:
            self._look_up(connection, {item.origin.user for item in items} | {one.origin.user for one in rejected})
            seqs = self._stage_items(connection, items, identities, received_us) if items else []
            if rejected:
                self._quarantine.add(connection, rejected)
        return seqs

    def commit(self) -> int:
        """See ``port.EventLog.commit``."""
        cursors, self._cursors = self._cursors, {}
        chores, self._chores = self._chores, []
        try:
            if cursors or chores or self._transaction is not None:
                self._finish(cursors, chores)
        except BaseException as error:
            self._cursors = cursors | self._cursors
            self._chores = chores + self._chores
            self.rollback()
            if isinstance(error, psycopg.Error):
                self._disconnect()
                raise store_error(error, "committing") from error
            raise
        if self._scrub:
            self._scrub_now()
        return self._head

    def put_off(self) -> None:
        """See ``port.EventLog.put_off``: nothing is."""

    @property
    def owes(self) -> bool:
        """See ``port.EventLog.owes``."""
        return False

    def rollback(self) -> None:
        """See ``port.EventLog.rollback``."""
        begun, self._transaction = self._transaction, None
        self._sketches.forget()
        self._unwritten.clear()
        self._staged_positions = {}
        self._quarantine.forget()
        if begun is not None and self._connection is not None:
            try:
                self._connection.execute(b"ROLLBACK")
            except psycopg.Error:
                self._disconnect()
        if self._how_staged:
            self._how_staged = False
            self._use(self._how_before)

    def head(self) -> int:
        """See ``port.EventLog.head``: as of this writer's last commit."""
        return self._head

    def position(self, user: str) -> int:
        """See ``port.EventLog.position``: of those whom the last commit concerned, as of it."""
        known = self._positions.get(user)
        if known is not None:
            return known
        with self._looking, translated("reading"):
            position: int = next((row[0] for row in fetch(self._connected(), _SQL["position"], (user,))), 0)
            return position

    def set_cursor(self, name: str, seq: int) -> None:
        """See ``port.EventLog.set_cursor``."""
        self._cursors[name] = seq

    def drop_cursor(self, name: str) -> None:
        """See ``port.EventLog.drop_cursor``."""
        self._cursors[name] = None

    def discard_rejected(self, no: int) -> None:
        """See ``port.EventLog.discard_rejected``."""
        self._chores.append(lambda connection: self._quarantine.discard(connection, [no]))

    def hold_rejected(self, no: int, due_us: int | None, at_us: int) -> None:
        """See ``port.EventLog.hold_rejected``."""
        self._chores.append(lambda connection: self._quarantine.hold(connection, no, due_us, at_us))

    def purge_rejected(self, numbers: Sequence[int], before_us: int, *, spare_due_us: int | None = None) -> None:
        """See ``port.EventLog.purge_rejected``."""
        self._chores.append(lambda connection: self._quarantine.purge(connection, numbers, before_us, spare_due_us))

    def purge(self, type: str, before_us: int, seqs: Sequence[int]) -> None:  # noqa: A002
        """See ``port.EventLog.purge``."""
        self._chores.append(partial(self._purge, type_name=type, before_us=before_us, seqs=list(seqs)))

    def remember(self, memory: FormatMemory) -> None:
        """See ``port.EventLog.remember``."""
        self._chores.append(partial(self._remember, memory=memory))

    def seal_older(self, rows: int) -> int:
        """See ``port.EventLog.seal_older``."""
        if self._sealing is None:
            raise KeyUnavailableError("there are no keys to seal the event log with")
        if not self._how.on:
            self._sealing.codec.prepare(make=True)
        with self._staging() as connection:
            late = ServerLateSealing(connection, self._sealing, self._quarantine, self._sketches)
            if not self._how_staged:
                self._how_staged, self._how_before = True, self._how
            left = late.step(self._how, rows, self._staged_head)
            self._use(self._sealed_now(connection))
        return left

    def compact(self) -> None:
        """Write all tables anew, so that nothing is left in them that is not of the log. Takes its time."""
        with translated("compacting"):
            self._connected().execute(_LATE["compact"])

    def erase(self, user: str, seqs: Sequence[int]) -> None:
        """See ``port.EventLog.erase``."""
        self._chores.append(partial(self._erase, user=user, seqs=list(seqs)))

    def forget_user(self, user: str, names: Sequence[str], through: int) -> None:  # noqa: ARG002
        """See ``port.EventLog.forget_user``: names are kept in rows alone."""
        self._chores.append(partial(self._forget, user=user))

    def scrub(self) -> None:
        """See ``port.EventLog.scrub``: dead rows are taken out; archives and backups are the server's operator's."""
        self._scrub = True

    def anchor(self) -> None:
        """See ``port.EventLog.anchor``."""
        last = self._last
        head = 0 if last is None else last.seq
        if self._anchor is None or head == self._anchored:
            return
        witness = "" if last is None else last.witness(self._facts.secret)
        try:
            self._anchor.write(Anchor(self.epoch, head, witness))
        except OSError:
            self._anchor_failing = True
        else:
            self._anchored, self._anchor_failing = head, False

    def keep_lock(self) -> None:
        """See ``port.EventLog.keep_lock``: the lock goes with the connection, so that is made again at once."""
        since, self._taken_since = self._taken_since, None
        try:
            with self._looking, translated("looking after the lock"):
                if self._transaction is not None:
                    return  # a chore's, which the loop has begun; it goes on with the group
                if self._connection is not None:
                    with suppress(psycopg.OperationalError):  # an end is seen here first
                        self._connection.execute(b"SELECT 1")
                self._connected()
        except AloneError as error:
            now = time.monotonic()
            self._taken_since = now if since is None else since
            if now - self._taken_since < _TAKEN_S:
                raise
            raise LogTakenError(
                f"another service has had this event log for {_TAKEN_S:.0f} s: this one ends",
                hint="it took over while the connection to the server was lost; started again, this one is the spare",
            ) from error

    def health(self) -> LogHealth:
        """See ``port.EventLog.health``."""
        return LogHealth(
            anchored=self._anchored or 0,
            anchor_failing=self._anchor_failing,
            quarantine_evicted=self._quarantine.evicted,
            scrubbing=self._scrub,
        )

    def close(self) -> None:
        """See ``port.EventLog.close``."""
        if not self._closed:
            self._closed = True
            self.anchor()
            self.rollback()
            self._disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- the transaction

    def _connected(self) -> Connection:
        """The connection, a new one where it was cut."""
        if self._connection is not None and self._connection.closed:
            self._disconnect()
        if self._connection is None:
            connection = connect_writer(self._place)
            try:
                self._resume(connection)
            except BaseException:
                abandon(connection)
                raise
            self._connection = connection
        return self._connection

    def _resume(self, connection: Connection) -> None:
        """Be the writer again. While this one was away another may have moved, changed, restored or sealed the log."""
        _take(connection, self._place, alone=self._alone)
        try:
            refuse_other_schema(connection, self._place)
            marks = dict(fetch(connection, _SQL["meta"]))
            refuse_marked(marks, self._part, accepted=False)
            self._facts.refuse_other(connection, self._last)
            self._use(self._sealed_now(connection))
        except (UnavailableError, KeyUnavailableError) as error:  # no keys: a service that runs gets none
            raise OtherLogError(str(error), hint=error.hint) from error

    def _disconnect(self) -> None:
        abandon(self._connection)
        self._connection = None

    @contextmanager
    def _staging(self) -> Iterator[Connection]:
        """The connection inside of the transaction; whatever goes wrong, nothing of it is left.

        A connection on which something failed is not used again: of statements that came behind in a pipeline, psycopg
        takes some for prepared, which the server has never read.
        """
        try:
            yield self._begun()
        except psycopg.Error as error:
            self.rollback()
            self._disconnect()
            raise store_error(error, "staging") from error
        except BaseException:
            self.rollback()
            raise

    def _begun(self) -> Connection:
        """The connection, inside of the transaction that has the lock."""
        with self._looking:
            if self._transaction is not None:
                assert self._connection is not None
                return self._connection
            try:
                return self._begin(self._connected())
            except psycopg.OperationalError:
                # It may have been cut while nothing was going on, which is first seen now: nothing is lost, so again.
                if self._connection is not None and not self._connection.closed:
                    raise
                return self._begin(self._connected())

    def _begin(self, connection: Connection) -> Connection:
        self._transaction, self._staged_last = "", None
        with connection.pipeline():
            connection.execute(b"BEGIN")
            begun = asked(connection, _SQL["begin"])
            # A statement of its own: the one that waited for the lock sees the rows of before.
            known = asked(connection, _SQL["known_at_head"], (0 if self._last is None else self._last.seq,))
        self._staged_head, self._counted, self._transaction, *settings = begun.fetchall()[0]
        keep_durable(connection, *settings)
        self._begun_head = self._staged_head
        self._refuse_other(known.fetchall())
        self._staged_positions = {}
        self._unwritten.clear()
        if self._sealing is not None:
            self._sealing.codec.fresh()
        return connection

    def _refuse_other(self, known: Sequence[Any]) -> None:
        """OtherLogError where the log has another epoch now, or not the last row that was known, whoever wrote it."""
        there = {row[0]: LastPlace(*row) for _, *row in known}
        if known[0][0] != self.epoch or (self._last is not None and there.get(self._last.seq) != self._last):
            raise other_log()
        self._begun_last = there.get(self._begun_head)

    def _finish(self, cursors: dict[str, int | None], chores: Sequence[Callable[[Connection], None]]) -> None:
        connection = self._begun()
        self._unwritten.write(connection, self._staged_positions)
        for name, seq in cursors.items():
            if seq is None:
                run(connection, _SQL["drop_cursor"], (name,))
            else:
                run(connection, _SQL["set_cursor"], (name, seq))
        for chore in chores:
            chore(connection)
        count_on(connection, self._counted, self._staged_head)
        self._sketches.finish(connection, self._begun_head, self._staged_head)
        if self._alone:
            run(connection, _SQL["move_head"], (self._staged_head,))
        else:
            run(connection, _SQL["move_head_and_tell"], (self._staged_head, told_on(self._place)))
        self._make_durable(connection)
        self._transaction = None
        self._how_staged = False
        self._head, self._positions = self._staged_head, self._staged_positions
        self._last = self._staged_last or self._begun_last
        self._quarantine.committed()

    def _make_durable(self, connection: Connection) -> None:
        """COMMIT. What raises is tried again by whoever staged it, and finds what is there already.

        When the answer is lost the group's last row is looked for, and nothing else is believed: after a crash or a
        failover its transaction's number may be another bridge's. What is there need not be on the standby yet
        that commits wait for: one more of them waits for both.
        """
        try:
            if unremarked(connection, b"COMMIT"):
                return
        except psycopg.OperationalError:
            self._disconnect()
            if not self._is_there(self._staged_last):
                raise
        if not unremarked(self._connected(), _SQL["write_again"]):
            self._disconnect()  # it is committed: how the log is sealed now is read anew, and not taken back
            raise ServerBusyError(
                "PostgreSQL did not wait for its standby: committing",
                hint="who broke off the wait? nothing was acknowledged, and it is tried again",
            )

    def _is_there(self, last: LastPlace | None) -> bool:
        """Whether a row is there; False also where that is not to be learnt now."""
        try:
            return last is not None and row_at(self._connected(), last.seq) == last
        except (psycopg.Error, StoreError):
            return False

    # -- rows

    def _look_up(self, connection: Connection, users: set[str]) -> None:
        """Positions and types of those of whom nothing was staged in this transaction."""
        strange = self._unwritten.strange(users)
        if not strange:
            return
        found = fetch(connection, _SQL["persons"], (TextArray.of(strange),))
        types = {user: kinds.split() for user, _, kinds in found}
        for user in strange:
            self._unwritten.know(user, types.get(user, ()))
        now = dict.fromkeys(strange, 0) | {user: position for user, position, _ in found}
        self._positions |= {user: now[user] for user in strange if user not in self._staged_positions}
        self._staged_positions |= now

    def _latest(self, connection: Connection, identities: Iterable[bytes]) -> dict[bytes, Place]:
        """Seq and rank of the latest row of each identity that has one."""
        unmoved = self._unwritten.unmoved(identities)
        found = fetch(connection, _SQL["known"], (DigestArray.of(unmoved),)) if unmoved else ()
        return self._unwritten.latest(found, identities)

    def _stage_items(
        self, connection: Connection, items: Sequence[Item], identities: Sequence[bytes], received_us: int
    ) -> list[int]:
        latest = self._latest(connection, set(identities))
        there = self._held(connection, items, identities, latest)
        positions, first = self._staged_positions, self._staged_head + 1
        seqs: list[int] = []
        rows: list[tuple[Any, ...]] = []
        stored: dict[bytes, Place] = {}
        superseded: list[tuple[int, int]] = []
        for ((user, device, provider, _), event), identity in zip(items, identities, strict=True):
            event_id, kind, start_us, end_us, version, op, body, _ = event
            before = stored.get(identity) or latest.get(identity)
            if version == LATEST:
                counted = version_after(_held_by(before, there, rows, first), event)
                if counted is None:
                    seqs.append(0)
                    continue
                version = counted  # what the log calls it
            rank, seq = version * 2 + op, first + len(rows)
            if before is not None:
                if rank <= before[1]:
                    seqs.append(0)
                    continue
                superseded.append((before[0], seq))
            stored[identity] = seq, rank
            position = positions[user] = positions[user] + 1
            rows.append(
                (
                    seq, position, start_us, end_us, received_us, version, int(op), identity, user, device, provider,
                    kind, event_id, body,
                )
            )  # fmt: skip
            seqs.append(seq)
        if rows:
            self._unwritten.move(stored, latest)
            self._write(connection, rows, superseded)
            self._staged_head += len(rows)
            self._staged_last = LastPlace(self._staged_head, rows[-1][7], received_us)
        return seqs

    def _held(
        self,
        connection: Connection,
        items: Sequence[Item],
        identities: Sequence[bytes],
        latest: dict[bytes, tuple[int, int]],
    ) -> dict[int, Held]:
        """What is in the rows of those whose items count no version, by seq."""
        wanted = {
            latest[identity][0]
            for item, identity in zip(items, identities, strict=True)
            if item.event.version == LATEST and identity in latest
        }
        found = {}
        for row in self._stored(connection, list(wanted)) if wanted else []:
            found[row.seq] = Held(row.type, row.version, Op(row.op), row.start_us, row.end_us, self._body(row))
        return found

    @staticmethod
    def _stored(connection: Connection, seqs: Sequence[int]) -> list[StoredRow]:
        return [StoredRow(*row) for row in fetch(connection, _SQL["stored"], (BigintArray.of(seqs),))]

    def _body(self, row: StoredRow) -> bytes:
        return bytes(row.body) if row.sealed is None else self._opened(row)[1]

    def _seal_sketch(self, user: str, block: int, sketch: bytes, first: int) -> bytes | None:
        """Not with a new key: where that of a row was destroyed, nothing is to be left of its user."""
        assert self._sealing is not None
        (row,) = self._stored(self._connected(), [first])
        if row.sealed is not None and self._sealing.is_gone(row):
            return None
        return self._sealing.sketch(user, block, sketch)

    def _opened(self, row: StoredRow) -> tuple[str, bytes]:
        if self._sealing is None:
            raise KeyUnavailableError("a row of the event log is sealed, and its keys are not given")
        return self._sealing.opened(row)

    def _write(
        self, connection: Connection, rows: Sequence[tuple[Any, ...]], superseded: Sequence[tuple[int, int]]
    ) -> None:
        for user, kind in {(row[8], row[11]) for row in rows if row[8] != NOBODY}:
            self._unwritten.has_row(user, kind)
        if superseded:
            older, newer = zip(*superseded, strict=True)
            run(connection, _SQL["supersede"], (BigintArray.of(older), BigintArray.of(newer)))
        self._sketches.add(rows)
        sealing = self._sealing if self._how.on else None
        statement, columns = ("append", _COLUMNS) if sealing is None else ("append_sealed", (*_COLUMNS, "int2"))
        with connection.cursor(binary=True) as cursor, cursor.copy(_SQL[statement]) as copy:
            copy.set_types(columns)
            for row in rows if sealing is None else sealing.rows(rows):
                copy.write_row(row)

    def _forget(self, connection: Connection, user: str) -> None:
        for each in _OF_A_PERSON:
            run(connection, _ERASING[each], (user,))
        forget_counts(connection, user)
        self._sketches.forget_user(connection, user)
        self._staged_positions.pop(user, None)

    def _erase(self, connection: Connection, user: str, seqs: list[int]) -> None:
        uncount(connection, seqs, user)
        self._sketches.forget_rows(connection, seqs, user)
        wanted = {"user": user, "seqs": seqs, "nobody": NOBODY}
        for each in ("forget_identities", "supersede_no_more", "husks"):
            run(connection, _ERASING[each], wanted)

    def _purge(self, connection: Connection, type_name: str, before_us: int, seqs: list[int]) -> None:
        run(connection, _SQL["note_purge"], (type_name, before_us))
        if self._sealing is None or not self._how.on:
            uncount(connection, seqs)
            self._sketches.forget_rows(connection, seqs)
            run(connection, _SQL["purge"], (seqs,))
            return
        rows = map(self._sealing.without_body, [row for row in self._stored(connection, seqs) if row.body])
        emptied = [row for row in rows if row is not None]
        going = [row.seq for row in emptied]
        uncount(connection, going)
        self._sketches.forget_rows(connection, going)
        store_again(connection, emptied)

    def _remember(self, connection: Connection, memory: FormatMemory) -> None:
        whose = memory[:3]
        sealing = self._sealing if self._how.on else None
        if memory.state is not None:
            state = memory.state if sealing is None else sealing.state(whose, memory.state)
            run(connection, _SQL["keep_format_state"], (*whose, state, None if sealing is None else SEALED))
        for which, records in (("drop_format_records", memory.taken_back), ("keep_format_records", memory.named)):
            if records and (sealing is None or which == "drop_format_records"):
                names, ids = ([as_bytes(text) for text in column] for column in zip(*records, strict=True))
                run(connection, _SQL[which], (*whose, names, ids))
        if sealing is not None:
            marks = [sealing.mark(memory.user, *each) for each in memory.taken_back]
            run(connection, _SQL["drop_format_records_sealed"], (*whose, marks))
            keep_records(connection, sealing, whose, memory.named)

    def _sealed_now(self, connection: Connection) -> Sealed:
        return sealed_as({name: bytes(value) for name, value in fetch(connection, _SQL["meta"])})

    def _use(self, how: Sealed) -> None:
        """Seal like this from now on."""
        if how.on and self._sealing is None:
            raise KeyUnavailableError("the event log is sealed, and its keys are not given")
        self._how = how
        self._quarantine.sealing = self._sealing if how.on else None

    def _scrub_now(self) -> None:
        try:
            self._connected().execute(_ERASING["vacuum"])
        except (psycopg.Error, HealthSyncError):
            return  # what came before is committed; the next commit tries again
        self._scrub = False


def _take(connection: Connection, place: ServerPlace, *, alone: bool) -> None:
    if fetch(connection, _SQL["take_alone" if alone else "take_shared"], (ALONE_LOCK, place.schema))[0][0]:
        return
    if alone:
        raise AloneError(
            "another service writes this event log",
            hint="stop it first, give this one a database of its own, or set storage.shared = true for both; after a "
            "lost connection it ends by itself",
        )
    raise AloneError(
        "a service that does not share it writes this event log", hint="set storage.shared = true there, and restart it"
    )


def _held_by(
    before: tuple[int, int] | None, there: dict[int, Held], rows: Sequence[tuple[Any, ...]], first: int
) -> Held | None:
    """What is in the latest row of an id, which is one of before or one that is about to be written; None: none is."""
    if before is None:
        return None
    if before[0] < first:
        return there.get(before[0])
    _, _, start_us, end_us, _, version, op, _, _, _, _, kind, _, body = rows[before[0] - first]
    return Held(kind, version, op, start_us, end_us, body)
