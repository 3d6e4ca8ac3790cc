"""What one sink has to remember besides its cursor: refused lines, its series, displaced points, its state.

One file per sink (``sinks/<name>.db``), written by the process that ships and by commands. The cursor itself is in the
event log, so that a copy of the log is a copy of the place in it.
"""

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from healthsync_mqtt.config.private_files import create_private
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.sinks.influx.mapping import Source
from healthsync_mqtt.sinks.port import Refusal
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("sink")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS refused (
    seq INTEGER NOT NULL, place INTEGER NOT NULL, reason TEXT NOT NULL, status INTEGER NOT NULL,
    message TEXT NOT NULL, at_us INTEGER NOT NULL, PRIMARY KEY (seq, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS series (
    user TEXT NOT NULL, series TEXT NOT NULL, PRIMARY KEY (user, series)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS displaced (
    user TEXT NOT NULL, id TEXT NOT NULL, shift INTEGER NOT NULL, PRIMARY KEY (user, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS over_budget (user TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (one INTEGER PRIMARY KEY CHECK (one = 1), json TEXT NOT NULL) STRICT;
"""


class Ledger:
    """The open file. Every write is durable when the call returns; StoreError when it cannot be."""

    def __init__(self, connection: sqlite3.Connection, budget: int) -> None:
        self._connection = connection
        self._budget = budget
        self._displaced: dict[tuple[str, str], int] = {
            (user, event_id): shift for user, event_id, shift in self._rows("SELECT user, id, shift FROM displaced")
        }
        #: Users whose series budget is spent.
        self.over_budget: set[str] = {user for (user,) in self._rows("SELECT user FROM over_budget")}

    @classmethod
    def open(cls, path: Path, *, budget: int = 200) -> Self:
        """Open or create, mode 0600. ``budget`` is how many series one user may have."""
        create_private(path)
        try:
            connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(_SCHEMA)
            return cls(connection, budget)
        except sqlite3.Error as error:
            raise StoreError(f"{path} cannot be used: {error}", hint="is the disk full?") from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    # -- refused lines

    def refuse(self, refusals: Iterable[Refusal], now_us: int) -> None:
        """Keep refused lines; the same line again replaces the older entry."""
        rows = [(*refusal, now_us) for refusal in refusals]
        self._write("INSERT OR REPLACE INTO refused VALUES (?, ?, ?, ?, ?, ?)", rows)

    def accept(self, places: Iterable[tuple[int, int]]) -> None:
        """Lines that were refused once are written now."""
        self._write("DELETE FROM refused WHERE seq = ? AND place = ?", list(places))

    def refused(self, limit: int = 100) -> list[Refusal]:
        """The latest refused lines."""
        query = "SELECT seq, place, reason, status, message FROM refused ORDER BY seq DESC, place LIMIT ?"
        return [Refusal(*row) for row in self._rows(query, limit)]

    def refused_events(self) -> set[int]:
        """The seqs of events of which a line was refused."""
        return {seq for (seq,) in self._rows("SELECT DISTINCT seq FROM refused")}

    def refused_count(self) -> int:
        """How many lines are refused."""
        return int(self._rows("SELECT count(*) FROM refused")[0][0])

    # -- series

    def admit(self, source: Source) -> bool:
        """Whether this source gets a series of its own: an old one does, a new one while the budget lasts."""
        series = "/".join(part or "" for part in (source.type, source.device, source.provider, source.recording))
        if self._rows("SELECT 1 FROM series WHERE user = ? AND series = ?", source.user, series):
            return True
        if self.series_count(source.user) >= self._budget:
            if source.user not in self.over_budget:
                self._write("INSERT OR IGNORE INTO over_budget VALUES (?)", [(source.user,)])
                self.over_budget.add(source.user)
                log.warning("sink.series_budget_spent", user=source.user, budget=self._budget)
            return False
        self._write("INSERT OR IGNORE INTO series VALUES (?, ?)", [(source.user, series)])
        return True

    def series_count(self, user: str | None = None) -> int:
        """How many series a user has, or all have."""
        query = "SELECT count(*) FROM series WHERE ? IS NULL OR user = ?"
        return int(self._rows(query, user, user)[0][0])

    # -- displaced points

    def shift(self, user: str, event_id: str) -> int:
        """How far the points of this event were moved out of another one's way."""
        return self._displaced.get((user, event_id), 0)

    def displace(self, user: str, event_id: str, shift: int) -> None:
        """Remember it, before the points are sent."""
        self._write("INSERT OR REPLACE INTO displaced VALUES (?, ?, ?)", [(user, event_id, shift)])
        self._displaced[user, event_id] = shift

    # -- state

    def save_state(self, state: dict[str, Any]) -> None:
        """What ``sink status`` shows when the service does not run."""
        self._write("INSERT OR REPLACE INTO state VALUES (1, ?)", [(json.dumps(state),)])

    def state(self) -> dict[str, Any]:
        """The last saved state; empty before the first."""
        rows = self._rows("SELECT json FROM state")
        state: dict[str, Any] = json.loads(rows[0][0]) if rows else {}
        return state

    def _rows(self, query: str, *bindings: object) -> list[Any]:
        try:
            return self._connection.execute(query, bindings).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"the sink's ledger cannot be read: {error}", hint="is the disk damaged?") from error

    def _write(self, query: str, rows: list[Any]) -> None:
        if not rows:
            return
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(query, rows)
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StoreError(f"the sink's ledger cannot be written: {error}", hint="is the disk full?") from error
