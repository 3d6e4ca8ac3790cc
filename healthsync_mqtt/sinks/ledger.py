"""What one sink has to remember besides its cursor: what was refused or is owed, series, displaced points, its state.

One file per sink (``sinks/<name>.db``), written by the process that ships and by commands. The cursor itself is in the
event log, so that a copy of the log is a copy of the place in it.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, Self

from healthsync_mqtt.sinks.database import Database
from healthsync_mqtt.sinks.series import SeriesSource
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("sink")


class RefusedLine(NamedTuple):
    """One line that the server, or we, would not take: the event's seq, the line's place in it, why.

    ``message`` is what the server said, without the line and so without a health value. ``status`` is 0 for ours.
    """

    seq: int
    place: int
    reason: str
    status: int
    message: str


class OwedPoint(NamedTuple):
    """One point that must go and that the server would not delete, because of the row ``seq``."""

    series: str
    time_ns: int
    seq: int
    tries: int
    reason: str
    message: str


class Places(NamedTuple):
    """Where a bucket has the points of some users: (user, series, own), (user, event id, shift), users."""

    series: list[tuple[str, str, int]]
    displaced: list[tuple[str, str, int]]
    over_budget: list[str]


class SinkLedger:
    """The open file. Every write is durable when the call returns; StoreError when it cannot be."""

    def __init__(self, database: Database, budget: int) -> None:
        """Use ``open``."""
        self._database = database
        self._budget = budget
        self._version = database.version()
        self._displaced: dict[tuple[str, str], int] = {}
        #: Users whose series budget is spent.
        self.over_budget: set[str] = set()
        self._load()
        #: Persons whom the server deleted since this was opened: what memory has of them is not to be used again.
        self.erasures = 0
        #: Up to which row the providers of each turn of ``series.LATER`` are no tag.
        self.adopted: tuple[int, ...] = tuple(seq for (seq,) in database.rows("adoptions"))

    @classmethod
    def open(cls, path: Path, *, budget: int = 200) -> Self:
        """Open or create, mode 0600. ``budget`` is how many series one user may have."""
        return cls(ledger_database(path), budget)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def refresh(self) -> None:
        """Know what another process has written since: a command beside the service, or the other way round."""
        version = self._database.version()
        if version != self._version:
            self._version = version
            self._load()

    def _load(self) -> None:
        self._displaced = {(user, event_id): shift for user, event_id, shift in self._database.rows("displaced")}
        self.over_budget = {user for (user,) in self._database.rows("over_budget")}

    # -- refused lines

    def refuse(self, refusals: Iterable[RefusedLine], now_us: int, due_us: int = 0) -> None:
        """Keep refused lines; the same line again replaces the older entry. ``due_us``: try again then, 0 = never."""
        self._database.write("refuse", [(*refusal, now_us, due_us) for refusal in refusals])

    def accept(self, places: Iterable[tuple[int, int]]) -> None:
        """Lines that were refused once are written now."""
        self._database.write("accept", places)

    def forgive(self, seqs: Iterable[int]) -> None:
        """Forget what was refused of these events: they are superseded."""
        self._database.write("forgive", [(seq,) for seq in seqs])

    def refused(self, limit: int = 100) -> list[RefusedLine]:
        """The latest refused lines."""
        return [RefusedLine(*row) for row in self._database.rows("refused", limit)]

    def refused_between(self, first: int, last: int) -> set[tuple[int, int]]:
        """Refused lines, (seq, place), of these rows."""
        return {(seq, place) for seq, place in self._database.rows("refused_between", first, last)}

    def refused_due(self, now_us: int) -> tuple[int, int] | None:
        """The event of which a refused line is to be tried again first, and how often that was done; None: none yet."""
        return next(((seq, tries) for seq, tries in self._database.rows("refused_due", now_us)), None)

    def refused_events(self) -> list[int]:
        """The seqs of events of which a line was refused, in order."""
        return [seq for (seq,) in self._database.rows("refused_events")]

    def refused_count(self) -> int:
        """How many lines are refused."""
        return int(self._database.rows("refused_count")[0][0])

    # -- owed erasures

    def owe(self, owed: Iterable[OwedPoint], due_us: int) -> None:
        """Keep points that the server would not delete."""
        rows = [(one.series, one.time_ns, one.seq, one.reason, one.message, due_us) for one in owed]
        self._database.write("owe", rows)

    def settle(self, series: str, time_ns: int) -> None:
        """Forget a point that is gone now."""
        self._database.write("settle", [(series, time_ns)])

    def owed_due(self, now_us: int) -> OwedPoint | None:
        """The point to try again first; None while none is due."""
        return next((OwedPoint(*row) for row in self._database.rows("owed_due", now_us)), None)

    def owed(self, limit: int = 100) -> list[OwedPoint]:
        """The latest of them."""
        return [OwedPoint(*row) for row in self._database.rows("owed", limit)]

    def owed_count(self) -> int:
        """How many points are owed."""
        return int(self._database.rows("owed_count")[0][0])

    def owed_due_now(self) -> None:
        """Try all of them again at once: somebody has changed something."""
        self._database.write("owed_due_now", [()])

    # -- series

    def admit(self, source: SeriesSource) -> bool:
        """Whether this source has a series of its own: decided at the first call, while the budget lasts, for ever."""
        series = "/".join(part or "" for part in (source.type, source.device, source.provider, source.recording))
        if decided := self._database.rows("series", source.user, series):
            return bool(decided[0][0])
        own = self.series_count(source.user) < self._budget
        self._database.write("decide", [(source.user, series, int(own))])
        # Another process may have been faster, and its word is the one that holds.
        own = bool(self._database.rows("series", source.user, series)[0][0])
        if not own and source.user not in self.over_budget:
            self._database.write("spend", [(source.user,)])
            self.over_budget.add(source.user)
            log.warning("sink.series_budget_spent", user=source.user, budget=self._budget)
        return own

    def series_count(self, user: str | None = None) -> int:
        """How many series of their own a user's sources have, or all have."""
        rows = self._database.rows("series_count") if user is None else self._database.rows("series_of", user)
        return int(rows[0][0])

    def users(self) -> list[str]:
        """Everybody of whom points were made, by id."""
        return [user for (user,) in self._database.rows("users")]

    def knows(self, user: str) -> bool:
        """Whether points of this user were made."""
        return bool(self._database.rows("knows", user))

    def bind(self, pseudonyms: str) -> bool:
        """Remember which pseudonyms the bucket is written with; False when it was written with others."""
        self._database.write("bind", [(pseudonyms,)])
        return bool(self._database.rows("pseudonyms")[0][0] == pseudonyms)

    def places(self, owns: Callable[[str], bool]) -> "Places":
        """Where the points of these users are."""
        series, displaced = self._database.rows("all_series"), self._database.rows("displaced")
        return Places(
            [row for row in series if owns(row[0])],
            [row for row in displaced if owns(row[0])],
            sorted(filter(owns, self.over_budget)),
        )

    def join(self, places: "Places") -> None:
        """Find points where the sink of another bridge put them."""
        self._database.write("take_series", places.series)
        self._database.write("take_displaced", places.displaced)
        self._database.write("take_spent", [(user,) for user in places.over_budget])
        self._load()

    # -- days

    def days_place(self) -> int:
        """The change of ``summaries.db`` through which days have arrived."""
        return int(self._database.rows("days_place")[0][0])

    def keep_days_place(self, change: int) -> None:
        """They have arrived so far."""
        self._database.write("keep_days_place", [(change,)])

    def day_fields(self, series: str, day: int) -> frozenset[str] | None:
        """The names of the fields that the point of a day has; None: there is none."""
        return next((frozenset(names.split(",")) for (names,) in self._database.rows("day_point", series, day)), None)

    def keep_day_points(self, points: Iterable[tuple[str, int, Iterable[str]]]) -> None:
        """These points of days are written."""
        self._database.write(
            "keep_day_point", [(series, day, ",".join(sorted(names))) for series, day, names in points]
        )

    def drop_day_points(self, points: Iterable[tuple[str, int]]) -> None:
        """These points of days are gone."""
        self._database.write("drop_day_point", points)

    def forget_days(self, user: str) -> None:
        """Know of no day of a user, where days are known by ``USER/TYPE``."""
        self._database.write("forget_day_points", [(user,)])

    # -- displaced points

    def shift(self, user: str, event_id: str) -> int:
        """How far the points of this event were moved out of another one's way."""
        return self._displaced.get((user, event_id), 0)

    def displace(self, user: str, event_id: str, shift: int) -> None:
        """Remember it, before the points are sent."""
        # A sealed id is another one each time, so it takes the place of none by itself.
        statement = "displace_again" if (user, event_id) in self._displaced else "displace"
        self._database.write(statement, [(user, event_id, shift)])
        self._displaced[user, event_id] = shift

    # -- erasures of persons

    def ask_erasure(self, subject: str) -> None:
        """Whoever ships is to delete everything of this person, as soon as the server lets it."""
        self._database.write("ask_erasure", [(subject,)])

    def erasing(self) -> dict[str, str]:
        """Who is not deleted yet, with the reason why the last try failed; "" before the first."""
        return dict(self._database.rows("erasing"))

    def erasing_due(self, now_us: int) -> tuple[str, int] | None:
        """Whom to delete first, and how often that was tried; None: nobody now."""
        return next(((subject, tries) for subject, tries in self._database.rows("erasing_due", now_us)), None)

    def erase_later(self, subject: str, due_us: int, reason: str) -> None:
        """It failed."""
        self._database.write("erasing_later", [(due_us, reason, subject)])

    def erased(self, subject: str) -> None:
        """The server has nothing of this person any more."""
        self._database.write("erased", [(subject,)])
        self.erasures += 1

    def forget_person(self, user: str) -> None:
        """Know nothing of this user any more; what is on the server is ``ask_erasure``'s."""
        for statement in ("forget_series", "forget_displaced", "forget_spent"):
            self._database.write(statement, [(user,)])

    # -- state

    def save_state(self, state: dict[str, Any]) -> None:
        """What ``sink status`` shows when the service does not run."""
        self._database.write("save_state", [(json.dumps(state),)])

    def state(self) -> dict[str, Any]:
        """The last saved state; empty before the first."""
        rows = self._database.rows("state")
        state: dict[str, Any] = json.loads(rows[0][0]) if rows else {}
        return state


def ledger_database(path: Path) -> Database:
    """The file of a ledger, opened or made; what it remembers of points is not read yet, which may need keys."""
    return Database.open(path, "ledger", "the sink's ledger")
