# long: one transaction from what is staged to what is committed, a few lines for each verb of the port
"""The event log in SQLite: rows are inserted where the caller is, only COMMIT (write and fsync) blocks."""

import json
import secrets
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import apsw

from healthsync_mqtt.keys.faults import KeyUnavailableError, TamperedError
from healthsync_mqtt.model.event import Event
from healthsync_mqtt.storage.anchor import Acceptance, Anchor, AnchorFile
from healthsync_mqtt.storage.codec import BodyCodec
from healthsync_mqtt.storage.file_system import refuse_network_file_system
from healthsync_mqtt.storage.latest_version import Held, version_after
from healthsync_mqtt.storage.move import MOVED, MovePart, refuse_marked
from healthsync_mqtt.storage.port import FormatMemory, Item, LogHealth, Quarantined
from healthsync_mqtt.storage.quotas import Quotas
from healthsync_mqtt.storage.sealing import ERASED, SEALED, Sealed, log_id_of
from healthsync_mqtt.storage.sqlite import connection as settings
from healthsync_mqtt.storage.sqlite import index as identities
from healthsync_mqtt.storage.sqlite.checkpoints import Checkpoints
from healthsync_mqtt.storage.sqlite.comparison import LastRow, anchor_path, compare
from healthsync_mqtt.storage.sqlite.connection import (
    abandon,
    fetch,
    fetch_value,
    migrate,
    open_writer,
    translated,
)
from healthsync_mqtt.storage.sqlite.counts import uncount
from healthsync_mqtt.storage.sqlite.erasure import LogErasure, erase, scrub
from healthsync_mqtt.storage.sqlite.faults import FencedError, store_error
from healthsync_mqtt.storage.sqlite.fence import WriterLock
from healthsync_mqtt.storage.sqlite.holders import readers_of
from healthsync_mqtt.storage.sqlite.index import IDENTITY_MASK, IdentityIndex, Tuning
from healthsync_mqtt.storage.sqlite.late_sealing import SqliteLateSealing, as_they_are, put_again, told
from healthsync_mqtt.storage.sqlite.quarantine import Quarantine
from healthsync_mqtt.storage.sqlite.sealing import RowSealing
from healthsync_mqtt.storage.sqlite.sketches import Sketches, SketchMaking
from healthsync_mqtt.storage.sqlite.statements import statements
from healthsync_mqtt.storage.sqlite.upkeep import Upkeep

if TYPE_CHECKING:
    from healthsync_mqtt.model.origin import Origin

_SQL = statements("writer")

_Row = tuple[int, int, int, int | None, int | None, int, int, int, int, int | None, int, str, bytes, int]


class SqliteEventLog:
    """EventLog on one SQLite file, one process at a time. See ``port.EventLog`` for the contract."""

    def __init__(  # noqa: PLR0917  # what ``open`` has made
        self,
        path: Path,
        connection: apsw.Connection,
        lock: WriterLock,
        codec: BodyCodec | None,
        tuning: Tuning,
        quotas: Quotas,
    ) -> None:
        """Use ``open``."""
        self._connection = connection
        self._lock = lock
        meta = dict(fetch(connection, _SQL["meta"]))
        self.epoch: str = meta["epoch"]
        self._secret: bytes = meta["identity_secret"]
        self._sealing = None if codec is None else RowSealing(codec, log_id_of(self._secret))
        self._how = Sealed()
        self._converted = False
        if Sealed.of(meta).on and codec is None:
            raise KeyUnavailableError("the event log is sealed, and its keys are not given")
        self._identity = identities.identity_function(self._secret)
        self._generation = fetch_value(connection, _SQL["take_over"])
        self._checkpoints = Checkpoints(connection, path)
        self._checkpoints.everything()
        self._index = IdentityIndex(connection, tuning)
        making = SketchMaking(lambda: self._how.on, self._seal_sketch, self._told)
        self._sketches = Sketches(connection, making, tuning)
        self._names: dict[str, int] = {}
        self._words: dict[int | None, str | None] = {}
        self._upkeep = Upkeep(connection, self._index, self._sketches, self._words)
        self._quarantine = Quarantine(connection, quotas)
        self._quarantine.load()
        self._head = self._staged_head = 0
        #: The last row, as its anchor knows it: what is committed and what is staged.
        self._last: LastRow | None = None
        self._staged_last: LastRow | None = None
        self._anchor = AnchorFile(anchor_path(path))
        self._anchored: int | None = None
        self._anchor_failing = False
        #: The last position by user number: what is committed, as far as it was asked for, and what is staged.
        self._positions: dict[int, int] = {}
        self._staged_positions: dict[int, int] = {}
        #: Cursors that wait for the next commit (None drops one), and what is to be done in the quarantine.
        self._cursors: dict[str, int | None] = {}
        self._tidying: list[Callable[[], None]] = []
        self._purges: list[tuple[str, int, Sequence[int]]] = []
        #: Whether the next commit puts off what the index costs, and of how many rows that was put off.
        self._puts_off, self._owed = False, 0
        #: Whether enough is in the write-ahead log to be moved into the database, since a commit that is over.
        self._owes_move = False
        self._memories: list[FormatMemory] = []
        self._erasures: list[LogErasure] = []
        #: what was deleted is to go from every file; whether it has
        self._scrub = False
        self._closed = False
        self._load()

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        create: bool = True,
        codec: BodyCodec | None = None,
        tuning: Tuning | None = None,
        vfs: str | None = None,
        exclusive: bool = False,
        accept_restored: Acceptance | None = None,
        quotas: Quotas | None = None,
        seal_new: bool = True,
        part: MovePart = MovePart.NONE,
    ) -> Self:
        """Open the log for writing, bring its schema up to date and shut other writers out.

        ``codec`` opens what is sealed; an empty log becomes a sealed one, with a codec and ``seal_new``. Others stay.

        Raises UnavailableError when another writer has it or there is none and not ``create``, StoreError when it
        cannot be used safely, RestoredError when it is not the log that this directory had. With ``accept_restored``
        it is taken as it is and gets a new epoch, so that devices send again what they keep; what was called then has
        been told before. ``vfs`` names another SQLite file layer; ``exclusive`` also keeps readers out. ``part``: what
        it is in a move, whose target has no anchor that counts; without one a log that is moved is refused.
        """
        path = Path(path)
        if path.parent.is_dir():
            refuse_network_file_system(path.parent)
        lock = WriterLock(path.parent / "writer.lock")
        try:
            anchored = not accept_restored and part is not MovePart.TARGET
            if create and anchored and not path.exists():
                compare(path, None).refuse()
            connection = open_writer(path, create=create, vfs=vfs, exclusive=exclusive)
            try:
                with translated("opening"):
                    seen = compare(path, connection)
                    if anchored:
                        seen.refuse()
                    migrate(connection)
                    marks = dict(fetch(connection, _SQL["meta"]))
                    refuse_marked(marks, part, accepted=accept_restored is not None)
                    if codec is not None and seal_new and fetch_value(connection, _SQL["is_empty"]):
                        codec.prepare(make=True)
                        fetch(connection, _SQL["set_meta"], ("encryption", "rows"))
                    if accept_restored:
                        epoch = secrets.token_hex(8)
                        accept_restored(seen, epoch)
                        fetch(connection, _SQL["mint_epoch"], (epoch,))
                        fetch(connection, _SQL["unset_meta"], (MOVED,))
                    log = cls(path, connection, lock, codec, tuning or Tuning(), quotas or Quotas())
                if accept_restored:
                    log.anchor()  # its keys may come later: they travel apart from the data
                elif log.sealed and codec is not None:
                    codec.prepare(make=False)
            except BaseException:
                abandon(connection)
                raise
        except BaseException:
            lock.release()
            raise
        return log

    @property
    def sealed(self) -> bool:
        """Whether what is new is sealed."""
        return self._how.on

    def stage(self, items: Sequence[Item], rejected: Sequence[Quarantined], received_us: int) -> list[int]:
        """See ``port.EventLog.stage``."""
        try:
            if not self._connection.in_transaction:
                self._begin()
            seqs = self._stage_items(items, received_us) if items else []
            if rejected:
                self._quarantine.add(rejected)
        except apsw.Error as error:
            self.rollback()
            raise store_error(error, "staging") from error
        except BaseException:
            self.rollback()
            raise
        return seqs

    def commit(self) -> int:
        """See ``port.EventLog.commit``."""
        cursors, self._cursors = self._cursors, {}
        tidying, self._tidying = self._tidying, []
        purges, self._purges = self._purges, []
        memories, self._memories = self._memories, []
        erasures, self._erasures = self._erasures, []
        puts_off, self._puts_off = self._puts_off, False
        gone: list[str] = []
        try:
            if (cursors or tidying or purges or memories or erasures) and not self._connection.in_transaction:
                self._begin()
            if self._connection.in_transaction:
                self._write_marks(cursors, tidying)
                self._connection.executemany(_SQL["set_position"], self._staged_positions.items()).fetchall()
                if purges or erasures:
                    self._upkeep.forget_tally()
                if purges:
                    self._write_purges(purges)
                for memory in memories:
                    self._write_memory(memory)
                gone = [
                    name
                    for each in erasures
                    for name in erase(self._connection, each, self._names, self._sketches, self._quarantine.forget_user)
                ]
                was_due = self._checkpoints.due
                owed = self._owed + self._staged_head - self._head
                flushed = not puts_off and self._upkeep.run(owed, self._staged_head)
                fetch(self._connection, "COMMIT")
                self._quarantine.committed()
                self._owed = owed if puts_off else 0
                if flushed:
                    self._upkeep.emptied()
                # Whoever waits for these rows does not wait, too, for what they fill the file with to be moved.
                if was_due and not puts_off:
                    self._checkpoints.after_commit()
                self._owes_move = self._checkpoints.due and (puts_off or not was_due)
                if self._converted:
                    self._converted = False
                    self._checkpoints.try_everything()
        except BaseException as error:
            self._cursors = cursors | self._cursors
            self._tidying = tidying + self._tidying
            self._purges = purges + self._purges
            self._memories = memories + self._memories
            self._erasures = erasures + self._erasures
            self.rollback()
            if isinstance(error, apsw.Error):
                raise store_error(error, "committing") from error
            raise
        self._head, self._last = self._staged_head, self._staged_last
        self._positions |= self._staged_positions
        self._staged_positions = {}
        if erasures:
            self._forget(gone)
        if self._scrub:
            self._scrub_now()
        return self._head

    def put_off(self) -> None:
        """See ``port.EventLog.put_off``."""
        self._puts_off = True

    @property
    def owes(self) -> bool:
        """See ``port.EventLog.owes``."""
        return self._owed > 0 or self._owes_move

    def rollback(self) -> None:
        """See ``port.EventLog.rollback``."""
        self._stale = True
        self._staged_head, self._staged_last = self._head, self._last
        self._staged_positions = {}
        self._quarantine.forget()
        try:
            if self._connection.in_transaction:
                fetch(self._connection, "ROLLBACK")
            self._load()
        except apsw.Error:
            # What failed the commit may fail this too: still stale, so all is read again before the next row is staged.
            return

    def head(self) -> int:
        """See ``port.EventLog.head``."""
        return self._head

    def position(self, user: str) -> int:
        """See ``port.EventLog.position``."""
        number = self._names.get(user)
        if number is None:
            return 0
        with translated("reading"):
            return self._position(number)

    def set_cursor(self, name: str, seq: int) -> None:
        """See ``port.EventLog.set_cursor``."""
        self._cursors[name] = seq

    def drop_cursor(self, name: str) -> None:
        """See ``port.EventLog.drop_cursor``."""
        self._cursors[name] = None

    def discard_rejected(self, no: int) -> None:
        """See ``port.EventLog.discard_rejected``."""
        self._tidying.append(partial(self._quarantine.discard, no))

    def hold_rejected(self, no: int, due_us: int | None, at_us: int) -> None:
        """See ``port.EventLog.hold_rejected``."""
        self._tidying.append(partial(self._quarantine.hold, no, due_us, at_us))

    def purge_rejected(self, numbers: Sequence[int], before_us: int, *, spare_due_us: int | None = None) -> None:
        """See ``port.EventLog.purge_rejected``."""
        self._tidying.append(partial(self._quarantine.purge, numbers, before_us, spare_due_us))

    def seal_older(self, rows: int) -> int:
        """See ``port.EventLog.seal_older``."""
        if self._sealing is None:
            raise KeyUnavailableError("there are no keys to seal the event log with")
        if not self._how.on:
            self._sealing.codec.prepare(make=True)
        self._sealing.codec.fresh()
        try:
            if not self._connection.in_transaction:
                self._begin()
            late = SqliteLateSealing(self._connection, self._sealing, self._words, self._sketches, self._quarantine)
            left = late.step(self._how, rows, self._staged_head)
            self._use(Sealed.of(dict(fetch(self._connection, _SQL["meta"]))))
        except apsw.Error as error:
            self.rollback()
            raise store_error(error, "sealing") from error
        self._converted = left == 0
        return left

    def compact(self) -> None:
        """Write the whole file anew, so that nothing is left in it that is not of the log. Takes its time."""
        with translated("compacting"):
            fetch(self._connection, "VACUUM")
            self._checkpoints.everything()

    def purge(self, type: str, before_us: int, seqs: Sequence[int]) -> None:  # noqa: A002
        """See ``port.EventLog.purge``."""
        self._purges.append((type, before_us, seqs))

    def remember(self, memory: FormatMemory) -> None:
        """See ``port.EventLog.remember``."""
        self._memories.append(memory)

    def erase(self, user: str, seqs: Sequence[int]) -> None:
        """See ``port.EventLog.erase``."""
        self._erasures.append(LogErasure(user, seqs))

    def forget_user(self, user: str, names: Sequence[str], through: int) -> None:
        """See ``port.EventLog.forget_user``."""
        self._erasures.append(LogErasure(user, (), names, through))

    def scrub(self) -> None:
        """See ``port.EventLog.scrub``."""
        self._scrub = True

    def anchor(self) -> None:
        """See ``port.EventLog.anchor``."""
        last = self._last
        head = 0 if last is None else last.seq
        if head == self._anchored:
            return
        witness = "" if last is None else last.witness(self._secret)
        try:
            self._anchor.write(Anchor(self.epoch, head, witness))
        except OSError:
            self._anchor_failing = True
        else:
            self._anchored, self._anchor_failing = head, False

    def keep_lock(self) -> None:
        """See ``port.EventLog.keep_lock``: a lock of a file is kept by the system."""

    def health(self) -> LogHealth:
        """See ``port.EventLog.health``."""
        marks = self._checkpoints
        size, behind = marks.wal_bytes, marks.behind
        return LogHealth(
            wal_bytes=size,
            checkpoint_failures=marks.failures,
            checkpoint_failing=marks.failing,
            pages_behind=behind,
            readers=readers_of(marks.path) if behind else (),
            anchored=self._anchored or 0,
            anchor_failing=self._anchor_failing,
            quarantine_evicted=self._quarantine.evicted,
            scrubbing=self._scrub,
        )

    def close(self) -> None:
        """See ``port.EventLog.close``."""
        if self._closed:
            return
        self._closed = True
        self.anchor()
        try:
            with translated("closing"):
                if self._connection.in_transaction:
                    fetch(self._connection, "ROLLBACK")
                self._connection.close()
        finally:
            abandon(self._connection)
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _load(self) -> None:
        self._names = dict(fetch(self._connection, _SQL["names"]))
        self._words.clear()
        self._words[None] = None
        self._words.update((number, name) for name, number in self._names.items())
        self._use(Sealed.of(dict(fetch(self._connection, _SQL["meta"]))))
        self._last = self._staged_last = next(
            (LastRow(*row) for row in fetch(self._connection, _SQL["last_row"])), None
        )
        self._head = self._staged_head = 0 if self._last is None else self._last.seq
        self._index.load()
        self._upkeep.forget()
        self._stale = False

    def _use(self, how: Sealed) -> None:
        """Seal like this from now on. What is rewritten leaves nothing behind in pages that are free then."""
        if how.mixed != self._how.mixed:
            fetch(self._connection, f"PRAGMA secure_delete={'ON' if how.mixed else 'OFF'}")
        self._how = how
        self._quarantine.sealing = self._sealing if how.on else None

    def _begin(self) -> None:
        fetch(self._connection, "BEGIN IMMEDIATE")
        if fetch_value(self._connection, _SQL["writer_generation"]) != self._generation:
            raise FencedError("another writer has taken over the event log", hint="stop this process")
        if self._stale:
            self._load()
        if self._sealing is not None:
            self._sealing.codec.fresh()

    def _stage_items(self, items: Sequence[Item], received_us: int) -> list[int]:
        seqs: list[int] = []
        rows: list[_Row] = []
        superseded: list[tuple[int, int]] = []
        names, recent = self._names, self._index.recent
        positions = self._staged_positions
        first = head = self._staged_head + 1
        identities = self._identities(items)
        known = self._index.known(identities)
        there = self._stored(set(known.values()))
        #: Where in the rows the sender or the type is another one.
        breaks: list[int] = []
        sender: Origin | None = None
        kind, type_no = "", 0
        user, user_no, device_no, provider, provider_no = "", 0, None, None, None
        for (origin, (event_id, type_name, start_us, end_us, version, op, body, _)), identity in zip(
            items, identities, strict=True
        ):
            if origin is not sender:  # a sender's events come many in a row
                sender, kind = origin, ""
                user, device, provider, _ = origin
                user_no = names.get(user) or self._number(user)
                device_no = None if device is None else names.get(device) or self._number(device)
                provider_no = None if provider is None else names.get(provider) or self._number(provider)
            held: _Row | None = None
            latest = recent.get(identity) or known.get(identity, 0)
            while latest:
                held = rows[latest - first] if latest >= first else there.get(latest) or self._stored([latest])[latest]
                if held[2] == user_no and held[11] == event_id:
                    break
                # Two events share a hash: the second takes the next number.
                identity = (identity + 1) & IDENTITY_MASK  # noqa: PLW2901
                held, latest = None, self._index.newest(identity)
            if version < 0:
                event = Event(event_id, type_name, start_us, end_us, version, op, body, 0)
                if (counted := version_after(self._held(type_name, held), event)) is None:
                    seqs.append(0)
                    continue
                version = counted  # noqa: PLW2901  # what the log calls it
            if held is not None:
                if version * 2 + op <= held[6] * 2 + held[7]:
                    seqs.append(0)
                    continue
                superseded.append((latest, head))
            position = (positions.get(user_no) or self._position(user_no)) + 1
            positions[user_no] = position
            if type_name != kind:
                kind, type_no = type_name, names.get(type_name) or self._number(type_name)
                breaks.append(len(rows))
            rows.append(
                (
                    head,
                    identity,
                    user_no,
                    device_no,
                    provider_no,
                    type_no,
                    version,
                    op,
                    start_us,
                    end_us,
                    received_us,
                    event_id,
                    body,
                    position,
                )
            )
            recent[identity] = head
            seqs.append(head)
            head += 1
        if self._sealing is not None and self._how.on:
            self._connection.executemany(_SQL["append_as"], self._sealing.rows(rows, self._words)).fetchall()
        else:
            self._connection.executemany(_SQL["append"], rows).fetchall()
        if superseded:
            self._connection.executemany(_SQL["supersede"], superseded).fetchall()
        if rows:
            self._upkeep.add(rows, breaks, supersede=bool(superseded))
            self._staged_head = head - 1
            self._staged_last = LastRow(head - 1, rows[-1][1], received_us)
        return seqs

    def _forget(self, names: Sequence[str]) -> None:
        """What is known in memory of names that are no more."""
        for name in names:
            number = self._names.pop(name)
            self._words.pop(number, None)
            self._positions.pop(number, None)

    def _scrub_now(self) -> None:
        try:
            self._scrub = not scrub(self._connection, settings.WRITER_BUSY_MS)
        except apsw.Error as error:
            raise store_error(error, "overwriting") from error

    def _identities(self, items: Sequence[Item]) -> list[int]:
        """Of each what its user and id make; whoever is new here gets a number."""
        names, identity_of = self._names, self._identity
        return [identity_of(names.get(origin.user) or self._number(origin.user), event.id) for origin, event in items]

    def _held(self, type_name: str, row: _Row | None) -> Held | None:
        """The latest row of an id, if there is one. Of another type than ``type_name`` it has no type."""
        if row is None:
            return None
        _, _, _, _, _, type_no, version, op, start_us, end_us, _, _, body, _ = row
        name = type_name if self._names.get(type_name) == type_no else ""
        return Held(name, version, op, start_us, end_us, body)

    def _stored(self, seqs: Collection[int]) -> dict[int, _Row]:
        """These rows as they were written, by seq. Id and body are empty where the key was destroyed."""
        found: dict[int, _Row] = {}
        for row in fetch(self._connection, _SQL["whole_rows"], (json.dumps([*seqs]),)) if seqs else ():
            *most, event_id, body, position, how = row
            if how is not None:
                event_id, body = self._opened(row)
            found[row[0]] = (*most, event_id, body, position)
        return found

    def _opened(self, row: Any) -> tuple[str, bytes]:
        """The id and the body of a row that is not stored as it is; both empty where its key was destroyed."""
        if self._sealing is None:
            raise KeyUnavailableError("a row of the event log is sealed, and its keys are not given")
        return self._sealing.opened(row, self._words)

    def _seal_sketch(self, user_no: int, block: int, sketch: bytes, stored: Any) -> bytes | None:
        """Not with a new key: where that of a row was destroyed, nothing is to be left of its user."""
        assert self._sealing is not None
        event_id, body, how = stored
        if how is not None and self._sealing.is_gone(event_id, body, how):
            return None
        return self._sealing.sketch(str(self._words[user_no]), block, sketch)

    def _told(self, row: Any) -> tuple[bytes, str, str | None]:
        """The body of a row, its type and its provider."""
        body = row[12] if row[14] is None else self._opened(row)[1]
        return body, str(self._words[row[5]]), self._words[row[4]]

    def _position(self, user_no: int) -> int:
        position = self._positions.get(user_no)
        if position is None:
            position = next((row[0] for row in fetch(self._connection, _SQL["position"], (user_no,))), 0)
            self._positions[user_no] = position
        return position

    def _number(self, name: str) -> int:
        number: int = fetch_value(self._connection, _SQL["add_name"], (name,))
        self._names[name] = number
        self._words[number] = name
        return number

    def _write_marks(self, cursors: dict[str, int | None], tidying: Sequence[Callable[[], None]]) -> None:
        for name, seq in cursors.items():
            if seq is None:
                fetch(self._connection, _SQL["drop_cursor"], (name,))
            else:
                fetch(self._connection, _SQL["set_cursor"], (name, seq))
        for each in tidying:
            each()

    def _write_memory(self, memory: FormatMemory) -> None:
        names = memory.user, memory.device, memory.form
        whose = tuple(self._names.get(name) or self._number(name) for name in names)
        sealing = self._sealing if self._how.on else None
        if memory.state is not None:
            state = memory.state if sealing is None else sealing.state(names, memory.state)
            fetch(self._connection, _SQL["keep_format_state"], (*whose, state, None if sealing is None else SEALED))
        if memory.taken_back or memory.named:
            fetch(self._connection, _SQL["note_format_records"])
        self._many("drop_format_record", [(*whose, *each) for each in memory.taken_back])
        if self._sealing is not None and (self._how.on or self._how.mixed):
            marks = [(*whose, self._sealing.mark(memory.user, *each)) for each in memory.taken_back]
            self._many("drop_format_record_sealed", marks)
        if sealing is None:
            self._many("keep_format_record", [(*whose, *each) for each in memory.named])
        else:
            self._many(
                "keep_format_record_sealed",
                [(*whose, sealing.mark(memory.user, *each), sealing.record(names, each)) for each in memory.named],
            )

    def _write_purges(self, purges: Sequence[tuple[str, int, Sequence[int]]]) -> None:
        for type_name, before_us, seqs in purges:
            fetch(
                self._connection, _SQL["note_purge"], (self._names.get(type_name) or self._number(type_name), before_us)
            )
            rows = map(self._without_body, as_they_are(self._connection, seqs))
            emptied = [row for row in rows if row is not None]
            going = [row[0] for row in emptied]
            uncount(self._connection, going)
            self._sketches.forget_rows(going)
            # Not an UPDATE: it leaves each row where it is, and with it half-empty pages that are never given back.
            put_again(self._connection, emptied)
        fetch(self._connection, _SQL["reclaim"])

    def _without_body(self, row: Any) -> Any:
        """The same row, purged. None: its key is away, and nobody's commit waits for it; the next sweep finds it."""
        *before, event_id, body, position, how = row
        if how is None or not body:
            return *before, event_id, b"", position, how
        try:
            name, _ = self._opened((*before, event_id, body, told(row), how))
            if name and self._sealing is not None:
                (sealed,) = self._sealing.rows([(*before, name, b"", told(row))], self._words)
                return *sealed[:-2], position, SEALED
        except KeyUnavailableError:
            return None
        except TamperedError:  # what is damaged of it goes
            pass
        return *before, "", b"", position, ERASED

    def _many(self, statement: str, bindings: Sequence[tuple[Any, ...]]) -> None:
        if bindings:
            self._connection.executemany(_SQL[statement], bindings).fetchall()
