"""The log of a data directory crosses from one of its stores into the other: its file, or the server it names."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.storage.address import server_of
from healthsync_mqtt.storage.move import MovableLog, Moved, MovePart, MoveState, move, refuse_second_move, state
from healthsync_mqtt.storage.opening import codec_of
from healthsync_mqtt.storage.sqlite.comparison import anchor_path
from healthsync_mqtt.storage.sqlite.move import SqliteMovingLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader

if TYPE_CHECKING:
    from healthsync_mqtt.storage.postgres.reader import PostgresLogReader
    from healthsync_mqtt.storage.postgres.server import PostgresServer


class CrossingPlan(NamedTuple):
    """What a crossing would do: rows of the log, how many of them are there already, and how far it is."""

    state: MoveState
    rows: int
    there: int


class Crossing:
    """Of one data directory, to the server or from it. ``plain``: what is sealed may be stored as it is."""

    def __init__(self, data: Path, *, to_server: bool, plain: bool) -> None:
        """UnavailableError where the settings name no server."""
        server = server_of(data)
        if server is None:
            raise UnavailableError(
                "the settings name no server for the event log",
                hint='[storage] url = "postgresql://user@host/database" in healthsync.toml',
            )
        self._server: PostgresServer = server
        self._data = data
        self._paths = DataPaths(root=data)
        self._to_server = to_server
        self._plain = plain

    def plan(self) -> CrossingPlan:
        """What is to be done; nothing is written. UnavailableError as for ``run``."""
        with self._source() as (source, reader):
            seals = self._seals(reader)
            if not self._has_target():
                refuse_second_move(source)
                return CrossingPlan(MoveState.NEW, reader.head(), 0)
            with self._target(seals=seals) as target:
                return CrossingPlan(state(source, target), reader.head(), target.head())

    def run(self, told: Callable[[int], None]) -> Moved:
        """Do it; ``told`` hears how many rows are there. Killed anywhere it goes on with the next call.

        UnavailableError when a service has one of the two logs, when the target has another log, and where what is
        sealed would not be there.
        """
        with self._source() as (source, reader):
            seals = self._seals(reader)
            if not self._has_target():
                refuse_second_move(source)
            with self._target(seals=seals) as target:
                if state(source, target) is not MoveState.DONE:
                    # It is of a log that was there before; the service writes one of this log.
                    self._anchor(self._to_server).unlink(missing_ok=True)
                return move(source, reader, target, told)

    def _has_target(self) -> bool:
        return self._server.has_log() if self._to_server else self._paths.events_db.exists()

    def _anchor(self, on_server: bool) -> Path:  # noqa: FBT001
        return self._paths.postgres_anchor if on_server else anchor_path(self._paths.events_db)

    @contextmanager
    def _source(self) -> Iterator[tuple[MovableLog, "SqliteLogReader | PostgresLogReader"]]:
        with self._open(MovePart.SOURCE, on_server=not self._to_server) as log:
            reader: SqliteLogReader | PostgresLogReader
            if self._to_server:
                reader = SqliteLogReader.open(self._paths.events_db, codec=codec_of(self._data))
            else:
                reader = self._server.open_reader(codec_of(self._data))
            with reader:
                yield log, reader

    def _target(self, *, seals: bool) -> MovableLog:
        return self._open(MovePart.TARGET, on_server=self._to_server, seals=seals)

    def _open(self, part: MovePart, *, on_server: bool, seals: bool = False) -> MovableLog:
        if on_server:
            if part is MovePart.SOURCE and not self._server.has_log():
                raise UnavailableError(
                    "there is no event log in this database yet", hint="copy it to there: sqlite postgresql"
                )
            return self._server.open_for_move(self._anchor(on_server), part, codec_of(self._data), seal_new=seals)
        return SqliteMovingLog.open(
            self._paths.events_db,
            create=part is MovePart.TARGET,
            codec=codec_of(self._data),
            seal_new=seals,
            part=part,
        )

    def _seals(self, reader: "SqliteLogReader | PostgresLogReader") -> bool:
        """Whether what is new there is sealed. UnavailableError where it has to be and cannot."""
        if self._plain:
            return False
        if not self._to_server:
            return True
        sealed = reader.sealed().on
        if sealed and self._server.shared:
            raise UnavailableError(
                "the event log is sealed, and one that bridges share would not be",
                hint="encrypt the disk of the server, and say that it may be so: --plain",
            )
        return sealed or self._server.seals
