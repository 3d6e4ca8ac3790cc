"""The nights of Health Auto Export: totals between two moments, or the stages themselves.

Totals become a night without stages: where in it each was nobody said. Stages come one a row, of every app that writes
sleep; those of one source that follow each other within an hour are one night. A night that is sent again keeps the id
it has: one that has grown is the same, and one whose beginning the window of the export has cut off is not another.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from healthsync_mqtt.formats.health_auto_export.metrics import source_of
from healthsync_mqtt.formats.port import Event, Outcome
from healthsync_mqtt.formats.reading.amount import in_field
from healthsync_mqtt.formats.reading.document import Record, as_record, number_or_none, text
from healthsync_mqtt.formats.reading.moment import Moment
from healthsync_mqtt.formats.reading.scribe import Records, Scribe
from healthsync_mqtt.formats.reading.stages import Stage, as_written, checked, end_of, nights
from healthsync_mqtt.model.reasons import Reason, RefusedError

_DAY_US: Final = 86_400_000_000
_MOST_DAYS: Final = 8
_FAR: Final = (-1_000_000,)
"""A day that there is not."""

_STAGES: Final = {
    "asleep": "asleep",
    "unspecified": "asleep",
    "asleepunspecified": "asleep",
    "inbed": "in_bed",
    "awake": "awake",
    "core": "light",
    "deep": "deep",
    "rem": "rem",
}
"""Folded and without blanks. Any other word is in the language of the phone: it is some stage, and not guessed."""

#: How long each lasted, and the figure that it is of a night.
_TOTALS: Final = (("awake", "awake_s"), ("core", "light_s"), ("deep", "deep_s"), ("rem", "rem_s"))


_HOURS: Final = ("totalSleep", "asleep", "awake", "core", "deep", "rem")


def is_segment(record: Any) -> bool:
    """Whether a row is one stage and not a whole night."""
    return isinstance(record, dict) and ("startDate" in record or "endDate" in record)


def night_of_totals(scribe: Scribe, unit: str | None, known: "Nights", record: Record) -> Iterator[Event]:
    """A night of which the app gives how long each stage was. Raises RefusedError for one of no length."""
    start, end = scribe.moment_in(record, "sleepStart"), scribe.moment_in(record, "sleepEnd")
    if end.us <= start.us:
        raise RefusedError(Reason.BAD_INTERVAL, "sleepEnd", "the night has no length")
    hours = {name: number_or_none(record, name) or 0 for name in _HOURS}

    def seconds(amount: float) -> float:
        return in_field("sleep", "total_asleep_s", amount, unit or "hr")

    # Without stages, zeros say that nobody knows.
    staged = hours["core"] or hours["deep"] or hours["rem"]
    parts = (hours["core"], hours["deep"], hours["rem"])
    asleep = hours["totalSleep"] or hours["asleep"] or _sum(parts)
    value: dict[str, Any] = {}
    if asleep:
        value["total_asleep_s"] = seconds(asleep)
    if staged:
        value |= {field: seconds(hours[name]) for name, field in _TOTALS}
    app = source_of({"source": record.get("sleepSource") or record.get("source")})
    in_bed_us = _in_bed_us(scribe, record)
    if in_bed_us:
        value["in_bed_s"] = in_bed_us // 1_000_000
    began = known.began(app or "", start.us, end.us)
    if began is not None:
        yield scribe.event("sleep", value, start, end, app=app, key=("night", Moment(began).text, app or ""))


def _sum(parts: Sequence[float]) -> float:
    """The sum of decimals that were written with few digits."""
    return round(sum(parts), 9)


def _in_bed_us(scribe: Scribe, record: Record) -> int:
    """How long in bed: by its times, as its hours are often 0; not of another source than the sleep."""
    given = record.get("inBedSource")
    if given is not None and given != (record.get("sleepSource") or record.get("source")):
        return 0
    if record.get("inBedStart") is None or record.get("inBedEnd") is None:
        return 0
    return max(0, scribe.moment_in(record, "inBedEnd").us - scribe.moment_in(record, "inBedStart").us)


class Segments:
    """MetricRows that are one stage each, gathered by their source."""

    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe
        self._by_source: dict[str, list[Stage]] = {}
        self._places: dict[str, str] = {}

    def add(self, place: str, record: Record) -> None:
        """One row. Raises RefusedError."""
        record = as_record(record)
        start, end = self._scribe.moment_in(record, "startDate"), self._scribe.moment_in(record, "endDate")
        word = "".join(text(record, "value").split()).casefold()
        stage = checked(Stage(start, end, _STAGES.get(word, "unknown")), "endDate")
        source = source_of(record) or ""
        self._places.setdefault(source, place)
        self._by_source.setdefault(source, []).append(stage)

    def nights(self, records: Records, known: "Nights") -> Iterator[Outcome]:
        """The nights of all that was added, each source by itself."""
        for source, segments in self._by_source.items():
            for night in nights(segments):
                make = partial(self._night, source, night, known)
                yield from records.read(self._places[source], {"source": source}, make, "sleep")

    def _night(self, source: str, night: list[Stage], known: "Nights", _: Record) -> Iterator[Event]:
        start, end, stages = night[0].start, end_of(night), as_written(night)
        began = known.began(source, start.us, end.us)
        if began is None:
            return
        key = ("night", Moment(began).text, source)
        yield self._scribe.event("sleep", {"stages": stages}, start, end, app=source or None, key=key)


_Known = tuple[str, int, int, int]


class Nights:
    """The nights of which it is remembered when they began, so that they keep their ids when they are sent again."""

    MOST: Final = 64
    """Of all sources together: a fortnight of four of them."""
    LONGEST_SOURCE: Final = 64

    def __init__(self, rows: Sequence[Sequence[Any]] = ()) -> None:
        #: by number, the oldest first: source, when the night began when its id was made, its start and its end as
        #: they are known now
        self._rows: dict[int, _Known] = {}
        #: numbers by source and by each day that is touched: a message may bring thousands of nights
        self._of_day: dict[tuple[str, int], set[int]] = {}
        self._next = 0
        for source, began, start, end in rows:
            self._remember((str(source), int(began), int(start), int(end)))

    @property
    def rows(self) -> list[tuple[str, int, int, int]]:
        """What is to be remembered."""
        return list(self._rows.values())[-self.MOST :]

    def began(self, source: str, start_us: int, end_us: int) -> int | None:
        """By which beginning a night is known; None for one that is only the rest of a known one."""
        source = source[: self.LONGEST_SOURCE]
        for number in sorted(self._near(source, start_us, end_us)):
            whose, began, known_start, known_end = self._rows[number]
            if whose != source or end_us <= known_start or start_us >= known_end:
                continue
            if start_us > known_start and end_us <= known_end:
                return None
            self._forget(number)
            self._remember((source, began, start_us, end_us))
            return began
        self._remember((source, start_us, start_us, end_us))
        return start_us

    def _near(self, source: str, start_us: int, end_us: int) -> Iterable[int]:
        """What may be the same night, and more."""
        days = _days(start_us, end_us)
        if days == _FAR:
            return self._rows
        return set[int]().union(*(self._of_day.get((source, day), ()) for day in (*days, *_FAR)))

    def _remember(self, row: _Known) -> None:
        source, _, start_us, end_us = row
        self._rows[self._next] = row
        for day in _days(start_us, end_us):
            self._of_day.setdefault((source, day), set()).add(self._next)
        self._next += 1

    def _forget(self, number: int) -> None:
        source, _, start_us, end_us = self._rows.pop(number)
        for day in _days(start_us, end_us):
            self._of_day[source, day].discard(number)


def _days(start_us: int, end_us: int) -> Sequence[int]:
    """The days that a night touches; what is longer than a night may be is on none of them."""
    first, last = start_us // _DAY_US, end_us // _DAY_US
    return range(first, last + 1) if 0 <= last - first <= _MOST_DAYS else _FAR
