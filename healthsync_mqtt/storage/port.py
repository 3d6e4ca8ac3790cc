# long: one promise of the store after another, with what each is given and gives back
"""The one door to the event log: what a writer and a reader promise, whatever stores the rows."""

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, Self, TypedDict

from healthsync_mqtt.model.choice import Contents
from healthsync_mqtt.model.delivery import OWN_FORM
from healthsync_mqtt.model.event import Event, Rejection
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.record import Record

NOBODY: Final = "~erased"
"""The user and type of a row whose user was erased: no name is spelt so."""


class Item(NamedTuple):
    """One accepted event and where it came from. An empty body is a purged row that is taken over from another log."""

    origin: Origin
    event: Event


class Quarantined(NamedTuple):
    """One rejected event, where it came from and when (microseconds since the epoch)."""

    origin: Origin
    received_us: int
    rejection: Rejection


class RejectedRow(NamedTuple):
    """One row of the quarantine. ``no`` counts up and is never reused; ``raw`` is what the sender sent.

    Of long bytes only the beginning is kept: then ``size`` is larger than ``raw`` and ``sha256`` the digest of all of
    them. The same refusal again is not another row: ``times`` says how often it came, ``last_us`` when last.
    ``due_us``: it is held, whole, and tried again when the clock says this. ``form`` is the format that ``raw`` is in.
    """

    no: int
    reason: str
    field: str | None
    message: str
    user: str
    device: str | None
    provider: str | None
    topic: str
    received_us: int
    event_id: str | None
    raw: bytes
    size: int
    sha256: str | None
    times: int
    last_us: int
    due_us: int | None = None
    form: str = OWN_FORM

    @property
    def truncated(self) -> bool:
        """Whether only the beginning was kept."""
        return self.size > len(self.raw)


class FormatMemory(NamedTuple):
    """What a payload format remembers of a device. ``state`` None: what it was; b"": nothing.

    ``named`` are what a source calls records, with the ids of their events, ``taken_back`` those it has no more.
    """

    user: str
    device: str
    form: str
    state: bytes | None = None
    named: Sequence[tuple[str, str]] = ()
    taken_back: Sequence[tuple[str, str]] = ()


class Totals(TypedDict):
    """Counts over the whole log; ``events`` includes superseded rows and tombstones."""

    events: int
    superseded: int
    rejected: int
    users: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogHealth:
    """How the writer's store is doing, beside what its commits say."""

    #: Size of the write-ahead log.
    wal_bytes: int = 0
    #: Checkpoints that failed one after the other until now, and the reason of the last; 0 and "" when it worked.
    checkpoint_failures: int = 0
    checkpoint_failing: str = ""
    #: Pages that the last checkpoint could not move into the database, and the processes that read an older state.
    pages_behind: int = 0
    readers: tuple[int, ...] = ()
    #: The head that the anchor names, and whether it could not be written the last time.
    anchored: int = 0
    anchor_failing: bool = False
    #: Refused events that went because of a quota of the quarantine since the log was opened.
    quarantine_evicted: int = 0
    #: Whether what was deleted may still be in a file, because a reader was in the way of the last try.
    scrubbing: bool = False


class EventLog(Protocol):
    """The writer. One per log. Methods are called from one thread at a time, ``commit`` from any thread.

    An event's rank is ``version * 2 + op``. Of one (user, id), a row with a higher rank supersedes the latest; the same
    or a lower rank is a duplicate and is not stored. So the latest row does not depend on the order of arrival. Only of
    version LATEST it does: there the log gives the next version to what is different, see ``latest.version_after``.
    """

    @property
    def epoch(self) -> str:
        """The random name of this log, minted when it was created."""

    def stage(self, items: Sequence[Item], rejected: Sequence[Quarantined], received_us: int) -> list[int]:
        """Write into the open transaction; nobody sees it before ``commit``. May be called several times.

        Returns one number per item: its seq (> 0) when stored, 0 for a duplicate. On any error everything staged since
        the last commit is rolled back; StoreError when the store is the cause.
        """

    def commit(self) -> int:
        """Make everything staged durable; blocking. Returns the head seq.

        Raises StoreError when it cannot: then nothing staged is stored and ``rollback`` has happened. The log can be
        used again once the cause is gone.
        """

    def put_off(self) -> None:
        """The next commit makes durable what is staged, and nothing beside it: what the index costs waits for another.

        A commit of nothing does that. A store for which it is all one may do it with any.
        """

    @property
    def owes(self) -> bool:
        """Whether something was put off, or gathered, that a commit of nothing does. Not while a commit runs."""

    def rollback(self) -> None:
        """Forget everything staged since the last commit."""

    def head(self) -> int:
        """The last committed seq, 0 when empty."""

    def position(self, user: str) -> int:
        """The position of the user's last committed row, 0 before the first. Not while a commit runs.

        Positions count up by one for each row of a user, whoever else writes. (Rows of a log from before there were
        positions have their seq as position, and their users went on after the head of that time.)
        """

    def set_cursor(self, name: str, seq: int) -> None:
        """Remember how far a reader is; durable with the next commit, which need not carry events."""

    def drop_cursor(self, name: str) -> None:
        """Forget a cursor with the next commit."""

    def discard_rejected(self, no: int) -> None:
        """Remove a row from the quarantine with the next commit."""

    def hold_rejected(self, no: int, due_us: int | None, at_us: int) -> None:
        """Say with the next commit that a row was refused again now, and when it is tried again; None: it is not."""

    def purge_rejected(self, numbers: Sequence[int], before_us: int, *, spare_due_us: int | None = None) -> None:
        """Remove those of these rows from the quarantine that were last refused before this time, with the next commit.

        ``spare_due_us``: not what is held until this time or an earlier one.
        """

    def purge(self, type: str, before_us: int, seqs: Sequence[int]) -> None:  # noqa: A002
        """Empty the bodies of these rows, all of this type and started before ``before_us``, with the next commit.

        Everything else of a row stays: a repeat of it is a duplicate, and a newer version supersedes it. The commit
        also gives some free pages back to the file system.
        """

    def remember(self, memory: FormatMemory) -> None:
        """Keep what a payload format remembers of a device, with the next commit."""

    def seal_older(self, rows: int) -> int:
        """With the next commit, seal about so many of the rows that are stored as they are; how many are left.

        All that is new is sealed from then on. What is read does not change. 0: nothing is left, or it is a store
        without a disk. KeyUnavailableError when not now: then nothing has changed, and what is staged stays staged.
        """

    def erase(self, user: str, seqs: Sequence[int]) -> None:
        """Leave of these rows of the user that they were there, and when they came, with the next commit.

        Nothing else is known of them then: neither whose they were nor id, type, times, device and body. Rows of others
        among them stay as they are. What was there is overwritten.
        """

    def forget_user(self, user: str, names: Sequence[str], through: int) -> None:
        """Forget what the quarantine and formats hold of a user, and the name, with the next commit.

        ``names`` (of devices; see ``LogReader.unused``) go with it, those that nobody has used after row ``through``.
        """

    def scrub(self) -> None:
        """After the next commit let no file hold what was overwritten; ``health`` says whether that has worked.

        It is tried after each commit until it has. A log from before overwriting is written anew once.
        """

    def anchor(self) -> None:
        """Write down outside of the log how far it is durable, where that has changed since; cheap, and blocking.

        May be called while the next group is staged, not while a commit runs. A failure is told by ``health``: what is
        committed is durable without it.
        """

    def keep_lock(self) -> None:
        """See to it that nobody else becomes the writer while nothing is written; cheap, and blocking.

        Not while a commit runs. StoreError where another one is, or nobody can tell; not retryable: for good.
        """

    def health(self) -> LogHealth:
        """How the store is doing. From any thread."""

    def close(self) -> None:
        """Roll back what is staged, write the anchor and release the log. Idempotent."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class Stretch(NamedTuple):
    """What a bounded reading of the log found: ``rows``, and the place ``through`` which it looked.

    ``more``: a bound ended it, and there may be more behind. False: that was the end of the log at that time.
    """

    rows: list[Record]
    through: int
    more: bool


class CountKey(NamedTuple):
    """What events that are counted together have in common; ``day`` is that of their start (UTC), since 1970."""

    user: str
    type: str
    device: str | None
    provider: str | None
    day: int


class LogReader(Protocol):
    """A reader of committed rows, in any process, while the writer runs or after it has gone."""

    @property
    def epoch(self) -> str:
        """The random name of the log."""

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
        """At most ``limit`` rows with seq > ``after`` in log order; with ``newest`` the last ones instead of the first.

        Of those, with ``before``, the last ones with a lower seq than it.

        ``since_us`` and ``until_us`` (which is not in it) compare with the start time. Rows that a later row supersedes
        are left out unless ``history``; a tombstone that is the latest row of its id is kept. Purged rows are left out.

        ``contents`` is what rows say inside: which may have to be found among all others.
        """

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
        """How many events there are, as ``read`` would give them, without tombstones; by what they have in common.

        Without ``days`` all of a kind are one: of day 0. What it takes does not depend on how many events there are.
        """

    def stretch(self, after: int, limit: int, *, look: int, user: str | None = None) -> Stretch:
        """The next rows with seq > ``after``, superseded ones too, of everybody or of one user.

        At most ``limit`` of them, out of about ``look`` rows that are looked at: purged ones, which are left out, cost
        time as well, and so may other users'. So what this takes has a bound, however much of the log is purged.
        """

    def next_row(self, after: int, through: int, *, user: str | None = None) -> Record | None:
        """The first row of everybody or of one user with ``after`` < seq <= ``through``.

        It may be superseded, and purged. What it takes does not depend on how much is purged.
        """

    def every(self, after: int, limit: int) -> list[Record]:
        """The next ``limit`` rows, whatever became of them: superseded, purged, or of somebody who was erased."""

    def snapshot(self) -> AbstractContextManager[None]:
        """What is read inside sees one committed state. Keep it short: it holds up the checkpoint of the log."""

    def get(self, seq: int) -> Record | None:
        """The row with this seq, superseded or not; the body of a purged row has no bytes."""

    def find(self, user: str, event_id: str) -> Record | None:
        """The latest row of this id, purged or not."""

    def types(self, user: str) -> list[str]:
        """The types that there is or was a row of for the user, purged and superseded ones too, by name.

        By index: it does not read the rows.
        """

    def rows_of(self, user: str, after: int, limit: int) -> list[int]:
        """The seqs of at most ``limit`` rows of a user behind ``after``, whatever became of them; in order."""

    def named_in(self, seqs: Sequence[int]) -> list[str]:
        """The devices and providers of these rows."""

    def unused(self, names: Sequence[str]) -> list[str]:
        """Those of these names that the log knows and that nothing in it uses any more. It may read the whole log."""

    def users(self) -> list[str]:
        """Everybody of whom the log or the quarantine has something, by name."""

    def superseded_by(self, first: int, last: int, *, newest: int | None = None) -> dict[int, list[Record]]:
        """What the rows ``first`` to ``last`` supersede, directly or through others: older rows by the newer's seq.

        Of several rows of one id in the range, an older row may be listed under any of them. Purged rows are listed.
        ``newest``: so many of them at most, those with the highest seq.
        """

    def purgeable(
        self,
        type: str,  # noqa: A002
        before_us: int,
        after: int,
        through: int,
        shipped: int,
    ) -> list[int]:
        """Rows ``after`` < seq <= ``through`` of a type that started before ``before_us`` and can be purged.

        Tombstones cannot, nor can purged rows, nor rows that a row after ``shipped`` supersedes.
        """

    def purged_before(self, type: str) -> int | None:  # noqa: A002
        """Rows of this type that started before this time may have been purged; None when none was."""

    def head(self) -> int:
        """The last committed seq, 0 when empty."""

    def cursor(self, name: str) -> int | None:
        """Where a reader of this name is; None when it has no cursor."""

    def cursors(self) -> dict[str, int]:
        """All cursors by name."""

    def rejected(
        self, after: int = 0, limit: int = 100, *, user: str | None = None, before: int | None = None
    ) -> list[RejectedRow]:
        """At most ``limit`` quarantined rows with no > ``after``, oldest first; those < ``before``, newest first."""

    def rejected_due(self, now_us: int, limit: int) -> list[int]:
        """The numbers of at most ``limit`` rows that are held until ``now_us`` or an earlier time, earliest first."""

    def rejected_old(
        self, after: int, limit: int, before_us: int, *, user: str | None = None, spare_due_us: int | None = None
    ) -> list[int]:
        """At most ``limit`` numbers > ``after`` of what ``purge_rejected`` takes out, in order; of a user alone."""

    def rejected_get(self, no: int) -> RejectedRow | None:
        """One row of the quarantine."""

    def format_state(self, user: str, device: str, form: str) -> bytes:
        """What a payload format remembers of a device, b"" before it was told anything."""

    def format_states(self, user: str) -> list[FormatMemory]:
        """What payload formats remember of a user's devices, without what they name."""

    def format_users(self) -> list[str]:
        """Everybody of whom a payload format remembers something, by name; others perhaps, of whom one did."""

    def format_records(self, user: str, device: str, form: str, prefix: str, limit: int) -> list[tuple[str, str]]:
        """At most ``limit`` of the names that begin so, each with the id of an event, in the order of names."""

    def format_memories(self) -> list[FormatMemory]:
        """Everything that payload formats remember."""

    def totals(self) -> Totals:
        """Counts over the whole log."""

    def close(self) -> None:
        """Release the log. Idempotent."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
