"""summaries.db as another process follows it: by the number of its changes. Nothing is kept between two questions.

So nobody who was erased is remembered here, and a name that was given away means what it means in the file now.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import msgspec

from healthsync_mqtt.config.private_files import check_private
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.keys.values import ValueSealing
from healthsync_mqtt.sql_files import statements
from healthsync_mqtt.sqlite_faults import fix_of
from healthsync_mqtt.summaries.part import DAY_US, Contribution, Numbers, local_day
from healthsync_mqtt.summaries.rules import Rank, ranking

_SQL: Final = statements(__package__ or "", "sql", "reader.sql")
_VERSION: Final = 2
"""Of the file: an older one has no id; whoever writes it brings it up to date."""
MOST_READINGS: Final = 2_000
"""Of a type on a day."""
_rows: Final = msgspec.json.Decoder(tuple[tuple[int, tuple[float | None, ...]], ...]).decode
_figures: Final = msgspec.json.Decoder(dict[str, Any]).decode
_preferred: Final = msgspec.json.Decoder(tuple[str, ...]).decode


class DayChange(NamedTuple):
    """A type on a day of a user has come to something else."""

    change: int
    user: str
    type: str
    day: int


class SummedPerson(NamedTuple):
    """``agreed``: a text that is another one when the user agrees to something else. Clocks as offsets from UTC."""

    name: str
    low_us: int
    high_us: int
    agreed: str

    def today(self, now_us: int) -> int:
        """The day on the user's clock that is ahead of the others."""
        return local_day(now_us, self.high_us if self.low_us <= self.high_us else 0)


class DayValue(NamedTuple):
    """What a type came to, and how far the clock was ahead of UTC; None: it is not known."""

    figures: Mapping[str, Any]
    offset_us: int | None


class TimedReading(NamedTuple):
    """What the best source said of a moment; the numbers are in the order of ``fields_of``."""

    at_us: int
    offset_us: int
    numbers: Numbers

    @property
    def day(self) -> int:
        """On the clock of who measured."""
        return local_day(self.at_us, self.offset_us)

    @property
    def hour(self) -> float:
        """Of that day."""
        return (self.at_us + self.offset_us) % DAY_US / (DAY_US / 24)


class DayReader:
    """The open file. One thread at a time. StoreError."""

    def __init__(self, connection: sqlite3.Connection, sealing: ValueSealing) -> None:
        """Use ``open``."""
        self._connection = connection
        self._sealing = sealing
        #: of this file; one that was made again has another
        self.birth: str = self._query("birth")[0][0]

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """None where there is no file, or none of this version yet."""
        if not path.exists():
            return None
        check_private(path)
        try:
            connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5, check_same_thread=False
            )
            if connection.execute("PRAGMA user_version").fetchone()[0] < _VERSION:
                connection.close()
                return None
            sealing = ValueSealing.reading(connection, path.parent, path.name)
        except sqlite3.Error as error:
            raise _unusable(error) from error
        return cls(connection, sealing)

    def last_change(self) -> int:
        """The number of the newest change; 0: there was none."""
        found: int = self._query("last_change")[0][0]
        return found

    def changes_after(self, change: int, limit: int) -> list[DayChange]:
        """Later changes, oldest first; of a day that changed twice only the last."""
        return [DayChange(*row) for row in self._query("changes_after", change, limit)]

    def people(self) -> list[SummedPerson]:
        """Of whom something is known."""
        return [SummedPerson(*row) for row in self._query("people")]

    def person(self, user: str) -> SummedPerson | None:
        """What is known of one."""
        return next((SummedPerson(*row) for row in self._query("person", user)), None)

    def span(self, user: str) -> tuple[int, int] | None:
        """The first and the last day of which there is something."""
        first, last = self._query("span", user)[0]
        return None if first is None else (first, last)

    def days(self, user: str, first: int, last: int) -> dict[int, dict[str, DayValue]]:
        """What the days came to, by day and type."""
        found: dict[int, dict[str, DayValue]] = {}
        for day, type_name, figures, offset_us in self._query("days", user, first, last):
            if figures:
                found.setdefault(day, {})[type_name] = DayValue(_figures(figures), offset_us)
        return found

    def readings(self, user: str, type_name: str, first: int, last: int) -> list[TimedReading]:
        """Of each moment of these local days what the best source says, in order of time.

        A day with more than ``MOST_READINGS`` has none: it is not what was measured now and then.
        """
        rank = ranking(next((_preferred(each) for (each,) in self._query("preferred", user)), ()))
        found: list[TimedReading] = []
        days: dict[int, dict[int, tuple[Rank, str, TimedReading]]] = {}
        for bucket in range(first - 1, last + 2):
            for name, source, worn, offset_us, start_us, end_us, numbers in self._query(
                "readings", user, type_name, bucket
            ):
                if numbers is None:
                    continue  # of somebody who is being erased
                rows = _rows(numbers)
                part = Contribution(name, source, worn, offset_us or 0, offset_us is not None, start_us, end_us, rows)
                for at_us, told in rows:
                    reading = TimedReading(at_us, part.offset_us, told)
                    moments = days.setdefault(reading.day, {})
                    said = (rank(part), part.id, reading)
                    if at_us not in moments or said[:2] < moments[at_us][:2]:
                        moments[at_us] = said
            # No clock is further from UTC than a day: what is of earlier days is whole now.
            for day in sorted(days):
                if day < bucket:
                    found += _told(days.pop(day), first <= day <= last)
        for day in sorted(days):
            found += _told(days[day], first <= day <= last)
        return found

    def somebody_has(self, days: int) -> bool:
        """Whether there is a user with so many days."""
        return bool(self._query("somebody_with_days", days))

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _query(self, name: str, *bindings: object) -> Sequence[Any]:
        try:
            with self._sealing.asking():
                return self._connection.execute(_SQL[name], bindings).fetchall()
        except sqlite3.Error as error:
            raise _unusable(error) from error


def _told(moments: Mapping[int, tuple[Rank, str, TimedReading]], wanted: bool) -> list[TimedReading]:  # noqa: FBT001
    if not wanted or len(moments) > MOST_READINGS:
        return []
    return [moments[at_us][2] for at_us in sorted(moments)]


def _unusable(error: sqlite3.Error) -> StoreError:
    hint = f"{fix_of(error)}; or, with the service stopped, remove the file: it is made again from the log"
    return StoreError(f"summaries.db cannot be read: {error}", hint=hint)
