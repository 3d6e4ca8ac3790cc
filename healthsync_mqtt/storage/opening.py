"""The one place that knows which store a data directory has: everybody else gets a writer or a reader from here."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.model.working_process import ProcessName, WorkingProcess
from healthsync_mqtt.storage.address import server_of
from healthsync_mqtt.storage.anchor import Acceptance, AnchorComparison
from healthsync_mqtt.storage.codec import KeyCodec
from healthsync_mqtt.storage.port import EventLog, LogReader
from healthsync_mqtt.storage.quotas import Quotas
from healthsync_mqtt.storage.sqlite.checkpoints import wal_bytes as wal_size
from healthsync_mqtt.storage.sqlite.comparison import compare_files
from healthsync_mqtt.storage.sqlite.holders import readers_of
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.pages import HeldDatabase
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.storage.sqlite.statements import statements

if TYPE_CHECKING:
    from healthsync_mqtt.keys.ring import KeyRing
    from healthsync_mqtt.storage.postgres.election import Ballot, PostgresElection
    from healthsync_mqtt.storage.postgres.log import PostgresEventLog
    from healthsync_mqtt.storage.postgres.processes import PostgresPresence
    from healthsync_mqtt.storage.postgres.promise import ServerPromise
    from healthsync_mqtt.storage.postgres.server import PostgresServer

_READER, _WRITER = statements("reader"), statements("writer")

__all__ = [
    "Encryption",
    "HeldDatabase",
    "HeldLog",
    "adopt_sinks",
    "claim_sinks",
    "claimed_sinks",
    "codec_of",
    "compare_with_anchor",
    "encryption",
    "has_log",
    "hold_database",
    "hold_log",
    "migrate_log",
    "open_log",
    "open_reader",
    "readers",
    "refuse_shared",
    "seal_log",
    "server_promise",
    "stand_for_election",
    "tell_of",
    "wal_bytes",
    "working_processes",
]


def has_log(data: Path) -> bool:
    """Whether this data directory has an event log yet. StoreError where it is on a server that cannot be asked."""
    if (server := server_of(data)) is not None:
        return server.has_log()
    return DataPaths(root=data).events_db.exists()


def open_log(
    data: Path,
    *,
    accept_restored: Acceptance | None = None,
    quotas: Quotas | None = None,
    seal_new: bool = False,
) -> EventLog:
    """The writer of a data directory's log, created when missing; one at a time, in all processes.

    A log that is made now is sealed with keys of this data directory when ``seal_new``; any other stays as it is.

    Raises UnavailableError when another writer has it, StoreError when it cannot be used safely, RestoredError when it
    is not the log that was here. ``accept_restored`` takes it as it is and gives it a new epoch, of which it is told
    before; what it raises leaves the log as it is.
    """
    if (server := server_of(data)) is not None:
        _refuse_both(data)
        log: PostgresEventLog | SqliteEventLog = server.open_log(
            DataPaths(root=data).postgres_anchor, quotas, accept_restored, codec_of(data), seal_new=seal_new
        )
    else:
        log = SqliteEventLog.open(
            DataPaths(root=data).events_db,
            codec=codec_of(data),
            accept_restored=accept_restored,
            quotas=quotas,
            seal_new=seal_new,
        )
    if log.sealed and DataPaths(root=data).keys_db.exists():
        try:
            _ring_of(data).seal_files()
        except BaseException:
            log.close()
            raise
    return log


def migrate_log(data: Path, also: Callable[[], object] | None = None) -> bool:
    """Bring the log's tables on its server to this release, or make them; whether that was to be done.

    It needs no keys, and leaves nothing in the data directory. ``also`` is done while nobody writes the log.
    UnavailableError where somebody does and there is something to do, and for a log that is on no server.
    """
    if (server := server_of(data)) is None:
        raise UnavailableError(
            "the settings name no server for the event log: the service brings its files up to date when it starts",
            hint="healthsync up",
        )
    return server.migrate(also)


def compare_with_anchor(data: Path) -> AnchorComparison:
    """What the log of a data directory is, seen from its anchor; changes nothing, also while the service runs."""
    if (server := server_of(data)) is not None:
        return server.compare_with_anchor(DataPaths(root=data).postgres_anchor)
    return compare_files(DataPaths(root=data).events_db)


def stand_for_election(
    data: Path,
    process: ProcessName,
    told: "Callable[[Ballot], None]",
    sinks: Callable[[], str],
    figures: Callable[[], Mapping[str, int]],
) -> "PostgresElection | None":
    """Where several bridges share the log of this data directory: stand for its election under this name.

    ``told`` is called from another thread, now and whenever something has changed. ``sinks`` is asked there for the
    mark of the directory that this bridge's sinks are in, "" for none, and ``figures`` for what the installation is to
    see of this bridge. None: the log is this bridge's own.
    """
    server = _shared(data)
    return None if server is None else server.stand(process, told, sinks, figures)


def tell_of(data: Path, process: ProcessName, figures: Callable[[], Mapping[str, int]]) -> "PostgresPresence | None":
    """Let an installation that shares its log see this process, which is no bridge, until it is closed.

    ``figures`` is asked in another thread. None: nobody shares the log.
    """
    server = _shared(data)
    return None if server is None else server.tell_of(process, figures)


def working_processes(data: Path) -> tuple[WorkingProcess, ...] | None:
    """All that work on a log that several share, and those that did lately. StoreError. None: nobody shares it."""
    server = _shared(data)
    return None if server is None else server.processes()


def claimed_sinks(data: Path) -> str | None:
    """The mark of the directory of sinks that belongs to the log, "" while none does. StoreError.

    None: no other bridge writes the log, and its sinks are those of this data directory.
    """
    server = _shared(data)
    return None if server is None else server.claimed_sinks()


def claim_sinks(data: Path, mark: str) -> None:
    """Let this directory of sinks belong to the log that bridges share, unless another one does. StoreError."""
    if (server := _shared(data)) is not None:
        server.claim_sinks(mark)


def adopt_sinks(data: Path, mark: str) -> None:
    """The same, whichever directory did. UnavailableError while a bridge ships from that one."""
    if (server := _shared(data)) is not None:
        server.adopt_sinks(mark)


def _shared(data: Path) -> "PostgresServer | None":
    """The server of a log that several bridges write."""
    server = server_of(data)
    return server if server is not None and server.shared else None


def wal_bytes(data: Path) -> int:
    """The size of the log's write-ahead log, which is not in the database yet."""
    return wal_size(DataPaths(root=data).events_db)


def readers(data: Path) -> tuple[int, ...]:
    """The ids of the processes that read the log right now, where the system tells."""
    return readers_of(DataPaths(root=data).events_db)


class HeldLog(NamedTuple):
    """The log as it was at one moment: its pages can be copied while it is written."""

    database: HeldDatabase
    epoch: str
    head: int
    sealed: bool


def hold_log(data: Path) -> HeldLog | None:
    """Hold a data directory's log at what is committed now; None when it has none yet. StoreError.

    UnavailableError where it is on a server: that has ways of its own.
    """
    if server_of(data) is not None:
        raise UnavailableError(
            "the event log is on PostgreSQL, and a set without it could not be restored",
            hint="back up the database with its own tools (pg_basebackup, pg_dump), and the other files here",
        )
    path = DataPaths(root=data).events_db
    if not path.exists():
        return None
    held = HeldDatabase(path)
    try:
        held.hold()
        if not held.schema:
            held.close()
            return None
        epoch, head = held.value(_READER["meta_value"], "epoch"), held.value(_WRITER["head"])
        sealed = held.value(_READER["meta_value"], "encryption") not in {None, "none"}
    except BaseException:
        held.close()
        raise
    return HeldLog(held, str(epoch), int(str(head)), sealed)


def hold_database(path: Path) -> HeldDatabase:
    """Any database of a data directory, to be held. StoreError when it cannot be opened."""
    return HeldDatabase(path)


class Encryption(NamedTuple):
    """How the log of a data directory is sealed. ``plain_rows``: how many of the older ones are not yet, at most."""

    mode: str = "none"
    provider: str | None = None
    users: int = 0
    plain_rows: int = 0


def encryption(data: Path) -> Encryption:
    """What is so now; nothing is asked of whoever holds the outer key."""
    if (server := server_of(data)) is not None:
        sealed = server.sealed()
    elif not has_log(data):
        return Encryption()
    else:
        with SqliteLogReader.open(DataPaths(root=data).events_db) as reader:
            sealed = reader.sealed()
    if not sealed.on:
        return Encryption()
    if not DataPaths(root=data).keys_db.exists():
        return Encryption("rows", plain_rows=sealed.plain_rows)
    ring = _ring_of(data)
    return Encryption("rows", ring.provider, ring.users(), sealed.plain_rows)


def refuse_shared(data: Path) -> None:
    """UnavailableError where bridges share the log: they have no keys in common."""
    if (server := server_of(data)) is not None and server.shared:
        raise UnavailableError(
            "a log that bridges share is not sealed by this release", hint="encrypt the disk of the server"
        )


def seal_log(data: Path, rows: int, told: Callable[[int], None]) -> None:
    """Seal the log of a data directory whose service does not run, so many rows a commit; ``told`` hears what is left.

    Killed anywhere it goes on at the next call. UnavailableError while a service has it.
    """
    refuse_shared(data)
    with _open_to_seal(data) as log:
        while left := log.seal_older(rows):
            log.commit()
            told(left)
        log.commit()
        log.compact()
    _ring_of(data).seal_files()


def _open_to_seal(data: Path) -> "PostgresEventLog | SqliteEventLog":
    paths = DataPaths(root=data)
    if (server := server_of(data)) is not None:
        return server.open_log(paths.postgres_anchor, None, None, codec_of(data), seal_new=False)
    return SqliteEventLog.open(paths.events_db, create=False, codec=codec_of(data), seal_new=False)


def open_reader(data: Path) -> LogReader:
    """A reader of a data directory's log. UnavailableError when there is none, StoreError when it cannot be read.

    The keys are opened when the first sealed row is read.
    """
    if (server := server_of(data)) is not None:
        return server.open_reader(codec_of(data))
    return SqliteLogReader.open(DataPaths(root=data).events_db, codec=codec_of(data))


def server_promise(data: Path) -> "ServerPromise | None":
    """What the server of a data directory's log promises now; None: it has no server. StoreError."""
    server = server_of(data)
    return None if server is None else server.promise()


def _refuse_both(data: Path) -> None:
    """A log in the data directory would be left behind in silence."""
    file = DataPaths(root=data).events_db
    if file.exists():
        raise UnavailableError(
            f"storage.url names a server, and there is an event log in {file}",
            hint=f"its events would be left behind; move it away if that is meant: mv {file} {file}.away",
        )


def codec_of(data: Path) -> KeyCodec:
    """What seals and opens rows of a data directory; its keys are opened, or made, at the first need."""
    return KeyCodec(partial(_ring_of, data), partial(_ring_made_if_missing, data))


def _ring_of(data: Path) -> "KeyRing":
    from healthsync_mqtt.keys.opening import ring_of  # noqa: PLC0415  # a plain log needs none of it

    return ring_of(data)


def _ring_made_if_missing(data: Path) -> "KeyRing":
    from healthsync_mqtt.keys.opening import ring_made_if_missing  # noqa: PLC0415

    return ring_made_if_missing(data)
