"""The log of a data directory whose settings name a server."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from healthsync_mqtt.config.sections import StorageSettings
from healthsync_mqtt.errors import HealthSyncError, UnavailableError
from healthsync_mqtt.model.working_process import ProcessName, WorkingProcess
from healthsync_mqtt.postgres.connection import Connection, ServerPlace, abandon
from healthsync_mqtt.postgres.schema import schema_version
from healthsync_mqtt.storage.anchor import Acceptance, AnchorComparison, AnchorFile
from healthsync_mqtt.storage.codec import BodyCodec
from healthsync_mqtt.storage.move import MovePart
from healthsync_mqtt.storage.postgres.comparison import compare
from healthsync_mqtt.storage.postgres.connection import (
    connect_reader,
    connect_writer,
    fetch,
    migrate,
    refuse_unsafe,
    take_for_change,
    translated,
)
from healthsync_mqtt.storage.postgres.election import Ballot, PostgresElection
from healthsync_mqtt.storage.postgres.faults import AloneError, ServerUnsafeError
from healthsync_mqtt.storage.postgres.log import PostgresEventLog
from healthsync_mqtt.storage.postgres.move import PostgresMovingLog
from healthsync_mqtt.storage.postgres.processes import PostgresPresence, ProcessRow, processes
from healthsync_mqtt.storage.postgres.promise import OldTransaction, ServerPromise, Standby
from healthsync_mqtt.storage.postgres.reader import PostgresLogReader
from healthsync_mqtt.storage.postgres.sealing import sealed_as
from healthsync_mqtt.storage.postgres.sinks_claim import adopt, claim, claimed
from healthsync_mqtt.storage.postgres.statements import statements
from healthsync_mqtt.storage.quotas import Quotas
from healthsync_mqtt.storage.sealing import Sealed

_SQL = statements("writer")

_PROCESSES_SINCE: Final = 5
"""The schema that has a table of them."""


class PostgresServer:
    """A server as the settings name it. Each verb has a connection of its own."""

    def __init__(self, storage: StorageSettings) -> None:
        """``storage`` names one."""
        self._place = ServerPlace(storage.url, password_file=storage.password_file)
        #: Whether other bridges write the log, too.
        self.shared = storage.shared
        #: Whether a new log is to be sealed.
        self.seals = storage.encryption == "rows"

    def open_log(
        self, anchor: Path, quotas: Quotas | None, accepted: Acceptance | None, codec: BodyCodec, *, seal_new: bool
    ) -> PostgresEventLog:
        """The writer; one service at a time, unless all of them share it. UnavailableError when another has it.

        Bridges that share a log have no keys in common: a sealed one is refused to them.
        """
        if self.shared and self.sealed().on:
            raise UnavailableError(
                "the event log is sealed, and its keys are files of one data directory",
                hint="storage.shared = false, with one bridge",
            )
        try:
            return PostgresEventLog.open(
                self._place,
                quotas=quotas,
                anchor=AnchorFile(anchor),
                accept_restored=accepted,
                alone=not self.shared,
                codec=None if self.shared else codec,
                seal_new=seal_new,
            )
        except AloneError as error:
            raise UnavailableError(str(error), hint=error.hint) from error

    def migrate(self, also: Callable[[], object] | None) -> bool:
        """Make the tables of the log, or bring them to this release; whether that was to be done.

        ``also`` is done while nobody writes the log. UnavailableError where somebody does and there is something to do.
        """
        try:
            with translated("changing the tables"):
                connection = connect_writer(self._place)
                try:
                    before = schema_version(connection, self._place)
                    migrate(connection, self._place)
                    if also is not None:
                        take_for_change(connection, self._place)
                        also()
                    return schema_version(connection, self._place) != before
                finally:
                    abandon(connection)
        except AloneError as error:
            raise UnavailableError(str(error), hint=error.hint) from error

    def open_for_move(self, anchor: Path, part: MovePart, codec: BodyCodec, *, seal_new: bool) -> PostgresMovingLog:
        """The writer as a part of a move, alone. UnavailableError when any service has the log."""
        file = AnchorFile(anchor) if part is MovePart.SOURCE else None
        try:
            return PostgresMovingLog.open(
                self._place, anchor=file, alone=True, part=part, codec=codec, seal_new=seal_new
            )
        except AloneError as error:
            raise UnavailableError(str(error), hint=error.hint) from error

    def open_reader(self, codec: BodyCodec) -> PostgresLogReader:
        """A reader. UnavailableError when there is no log."""
        return PostgresLogReader.open(self._place, codec=codec)

    def sealed(self) -> Sealed:
        """How the log is sealed; one that is not there is not."""
        with self._looking() as connection:
            if schema_version(connection, self._place) == 0:
                return Sealed()
            return sealed_as({name: bytes(value) for name, value in fetch(connection, _SQL["meta"])})

    def stand(
        self,
        process: ProcessName,
        told: Callable[[Ballot], None],
        sinks: Callable[[], str],
        figures: Callable[[], Mapping[str, int]],
    ) -> PostgresElection:
        """Stand for election among the bridges that share the log; all three are called from another thread."""
        return PostgresElection(self._place, process.name, told, sinks, ProcessRow(process, figures))

    def tell_of(self, process: ProcessName, figures: Callable[[], Mapping[str, int]]) -> PostgresPresence:
        """Let the installation see a process that stands for no election; ``figures`` is asked in another thread."""
        return PostgresPresence(self._place, process, figures)

    def processes(self) -> tuple[WorkingProcess, ...]:
        """All that work on the log; none before a service of this release has opened it. StoreError."""
        with self._looking() as connection:
            version = schema_version(connection, self._place)
            return processes(connection, self._place) if version >= _PROCESSES_SINCE else ()

    def claimed_sinks(self) -> str:
        """The mark of the directory of sinks that belongs to the log; "" while none does. StoreError."""
        with self._looking() as connection:
            return claimed(connection) if schema_version(connection, self._place) else ""

    def claim_sinks(self, mark: str) -> None:
        """Let this directory belong to the log, unless another one does. StoreError."""
        claim(self._place, mark)

    def adopt_sinks(self, mark: str) -> None:
        """Let this directory belong to the log, whichever did. UnavailableError while a bridge ships from that one."""
        adopt(self._place, mark)

    def has_log(self) -> bool:
        """Whether there is one yet. StoreError."""
        with self._looking() as connection:
            return schema_version(connection, self._place) > 0

    def compare_with_anchor(self, anchor: Path) -> AnchorComparison:
        """What the log is, seen from the anchor; changes nothing."""
        with self._looking() as connection:
            return compare(AnchorFile(anchor), connection, self._place)

    def promise(self) -> ServerPromise:
        """What it promises, as it says now. StoreError."""
        with self._looking() as connection:
            unsafe: HealthSyncError | None = None
            try:
                refuse_unsafe(connection)
            except ServerUnsafeError as error:
                unsafe = error
            commit, waits_for, version, size = fetch(connection, _SQL["promises"])[0]
            standbys = tuple(Standby(*row) for row in fetch(connection, _SQL["standbys"]))
            oldest = next((OldTransaction(*row) for row in fetch(connection, _SQL["oldest"])), None)
        commit = "on" if commit == "off" else commit
        return ServerPromise(version, commit, waits_for, standbys, size, unsafe, oldest)

    @contextmanager
    def _looking(self) -> Iterator[Connection]:
        with translated("looking"):
            connection = connect_reader(self._place)
            try:
                yield connection
            finally:
                abandon(connection)
