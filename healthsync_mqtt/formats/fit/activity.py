# long: records, the heart beside them, distances and workouts are one story of one file
"""Activities of FIT: the heart rate and the distance of records, of a strap, of lengths; and the workout itself.

A record is a moment; its distance counts from the start of the activity, or of its part. An event carries what came
between two records. The file's own session is what all of it is compared with.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

from healthsync_mqtt.formats.fit import profile
from healthsync_mqtt.formats.fit.clock import is_set, moment_of, steady
from healthsync_mqtt.formats.fit.counters import runs
from healthsync_mqtt.formats.fit.part import FitAside, FitItem, FitNote, FitPart
from healthsync_mqtt.formats.fit.wire import TIMESTAMP, FitMessage
from healthsync_mqtt.formats.omissions import PassedOver

_HEART, _DISTANCE = 3, 5
_START, _ELAPSED, _TIMER, _TOTAL_DISTANCE, _CYCLES = 2, 7, 8, 9, 10
_ACTIVE_LENGTH: Final = 1
_TIMER_EVENT, _STARTS, _STOPS = 0, frozenset({0}), frozenset({1, 4, 8, 9})
_FIRST_WITHIN_S: Final = 3600
"""How long before its first record an activity may have begun, where only the file's own beginning says so."""
_AGREES: Final = 0.01
_AGREES_M: Final = 5.0
_FASTEST_BPM: Final = 300
_MOST_LAPS: Final = 2000


class _Span(NamedTuple):
    """From when to when a session, lap or length was, in seconds of FIT."""

    start: int
    end: float
    message: FitMessage


class _Amount(NamedTuple):
    """Metres between two moments, and where in the file that is said."""

    start: float
    end: float
    meters: float
    place: int


class Activity:
    """The messages of an activity in one file."""

    def __init__(self, part: FitPart) -> None:
        self._part = part
        self._asides: list[FitItem] = []
        self._sessions = self._spans(profile.SESSION, "session")
        self._laps = self._spans(profile.LAP, "lap")
        self._lengths = self._spans(profile.LENGTH, "length")
        self._records = self._steady_records()

    def items(self) -> Iterator[FitItem]:
        """Its events in the order of time, kind by kind; then what was left out."""
        told: dict[int, int] = {}
        for record in self._records:
            bpm = record.fields.get(_HEART)
            if isinstance(bpm, int) and 0 < bpm <= _FASTEST_BPM:  # 0 means that the sensor had no contact
                at = record.fields[TIMESTAMP]
                told[at] = told.get(at, 0) + 1
                key = (told[at],) if told[at] > 1 else ()  # some write two records of a second
                yield self._part.event("heart_rate", {"bpm": bpm}, at, key=key, place=record.place)
        yield from self._of_the_strap(told)
        yield from self._distances()
        for session in self._sessions:
            yield from self._steps(session)
            yield self._workout(session)
        yield from self._asides

    def _leave(self, reason: PassedOver, place: str, text: str, count: int = 1) -> None:
        self._asides.append(FitAside(reason, place, text, count))

    # When things were.

    def _steady_records(self) -> list[FitMessage]:
        records = self._part.of(profile.RECORD)
        unset = [each for each in records if isinstance(each.fields.get(TIMESTAMP), int) and not _timed(each)]
        timed = [each for each in records if _timed(each)]
        timeless = len(records) - len(unset) - len(timed)
        if unset:
            text = "the clock of the device was not set: when this was, nothing says"
            self._leave(PassedOver.CLOCK_NOT_SET, f"record at byte {unset[0].place}", text, len(unset))
        if timeless and not self._lengths:
            text = "the record has no time"
            self._leave(PassedOver.NO_START, "record", text, timeless)
        sound = steady([each.fields[TIMESTAMP] for each in timed], ordered=True)
        if len(sound) < len(timed):
            first = next(each for place, each in enumerate(timed) if place not in sound)
            at = moment_of(first.fields[TIMESTAMP]).text
            text = f"its time is {at}, which does not fit between those around it"
            self._leave(PassedOver.TIME_FAR_OFF, f"record at byte {first.place}", text, len(timed) - len(sound))
        return [each for place, each in enumerate(timed) if place in sound]

    def _spans(self, kind: int, name: str) -> list[_Span]:
        found, unset = [], []
        for message in self._part.of(kind):
            fields = message.fields
            start, stamp, lasted = fields.get(_START), fields.get(TIMESTAMP), fields.get(_elapsed_of(kind))
            if not is_set(start) and is_set(stamp) and isinstance(lasted, int) and lasted and kind != profile.LENGTH:
                # Begun before the clock was set, and ended after: how long it lasted says when it began.
                start = stamp - round(lasted / 1000)
                told = f"the {name} began before the clock was set; {moment_of(start).text} by how long it lasted"
                self._asides.append(FitNote(f"{name} at byte {message.place}", told))
            if not is_set(start):
                unset.append(message)
                continue
            end: float | None = stamp if is_set(stamp) and stamp >= start else None
            if isinstance(lasted, int) and (end is None or kind == profile.LENGTH):
                end = start + lasted / 1000
            if end is None or end <= start:
                unset.append(message)
            else:
                found.append(_Span(start, end, message))
        if unset:
            text = f"when the {name} began or ended was told by a clock that was not set"
            self._leave(PassedOver.CLOCK_NOT_SET, f"{name} at byte {unset[0].place}", text, len(unset))
        return sorted(found)

    # The heart.

    def _of_the_strap(self, told: Collection[float]) -> Iterator[FitItem]:
        """Heart rates that a strap kept while it had no contact to the watch: its own clock, anchored now and then."""
        anchor: tuple[float, float] | None = None
        before, lost = 0, 0
        for message in self._part.of(profile.HR):
            fields = message.fields
            ticks = _ticks(fields, before)
            before = ticks[-1] if ticks else before
            at = fields.get(TIMESTAMP)
            if is_set(at) and ticks:
                fraction = fields.get(0, 0) / 32_768 + fields.get(1, 0) / 256
                anchor = (at + fraction, ticks[0] / 1024)
            rates = fields.get(6, ())
            rates = rates if isinstance(rates, tuple) else (rates,)
            for tick, bpm in zip(ticks, rates, strict=False):
                if not isinstance(bpm, int) or not 0 < bpm <= _FASTEST_BPM:
                    continue
                if anchor is None:
                    lost += 1
                    continue
                when = anchor[0] + tick / 1024 - anchor[1]
                if when not in told:
                    said = {"context": "strap"}
                    yield self._part.event("heart_rate", {"bpm": bpm}, when, source=said, place=message.place)
        if lost:
            self._leave(PassedOver.NO_START, "hr", "nothing says when the clock of the strap began", lost)

    # The way.

    def _distances(self) -> Iterator[FitItem]:
        amounts = self._of_records() or [*self._of_lengths()] or [*self._of_spans(self._laps)]
        amounts = amounts or [*self._of_spans(self._sessions)]
        for each in amounts:
            meters = {"meters": round(each.meters, 2)}
            yield self._part.event("distance", meters, each.start, each.end, place=each.place)
        said = [session.message.fields.get(_TOTAL_DISTANCE) for session in self._sessions]
        if amounts and said and all(isinstance(each, int) for each in said):
            theirs, ours = sum(each for each in said if each) / 100, sum(each.meters for each in amounts)
            if abs(theirs - ours) > max(_AGREES_M, _AGREES * theirs):
                text = f"its sessions say {theirs:.2f} m, its records come to {ours:.2f} m"
                yield FitNote("distance", text)

    def _of_records(self) -> list[_Amount]:
        records = [each for each in self._records if isinstance(each.fields.get(_DISTANCE), int)]
        if not records:
            return []
        times = [each.fields[TIMESTAMP] for each in records]
        meters = [each.fields[_DISTANCE] / 100 for each in records]
        begins = {
            place
            for place in range(1, len(times))
            if any(times[place - 1] <= session.start <= times[place] for session in self._sessions)
        }
        found: list[_Amount] = []
        kept, until = 0, None
        for run in runs(meters, begins):
            kept += len(run)
            first = run[0]
            start = self._began(times[first], until)
            if start is not None and meters[first] > 0:
                found.append(_Amount(start, times[first], meters[first], records[first].place))
            elif meters[first] > _AGREES_M:
                text = f"{meters[first]:.2f} m at the first record, and nothing says since when"
                self._leave(PassedOver.NO_START, f"record at byte {records[first].place}", text)
            anchor = first
            for place in run[1:]:
                if times[place] > times[anchor]:
                    amount = meters[place] - meters[anchor]
                    found.append(_Amount(times[anchor], times[place], amount, records[place].place))
                    anchor = place
            until = times[run[-1]]
        if kept < len(records):
            text = "a distance that does not fit between those before and after it"
            self._leave(PassedOver.COUNTER_JUMPED, "record", text, len(records) - kept)
        return found

    def _began(self, first: int, until: int | None) -> float | None:
        """Since when the counter counted that is first read at ``first``; one before it was read ``until``."""
        starts = [each.start for each in (*self._sessions, *self._laps)]
        starts += [
            each.fields[TIMESTAMP]
            for each in self._part.of(profile.EVENT)
            if each.fields.get(0) == _TIMER_EVENT
            and each.fields.get(1) in _STARTS
            and is_set(each.fields.get(TIMESTAMP))
        ]
        sessions = [
            each.start for each in self._sessions if each.start < first and (until is None or each.start >= until)
        ]
        if sessions:
            return max(sessions)
        if until is not None:
            return until if until < first else None
        known = [start for start in starts if 0 < first - start <= _FIRST_WITHIN_S * 24]
        if known:
            return min(known)
        created = self._part.created
        return created if created is not None and 0 < first - created <= _FIRST_WITHIN_S else None

    def _of_lengths(self) -> Iterator[_Amount]:
        """Lengths of a pool, where records say nothing of the distance."""
        pools = [session.message.fields.get(44) for session in self._sessions]
        pool = next((each / 100 for each in pools if isinstance(each, int) and each), None)
        if pool is None:
            return
        for length in self._lengths:
            if length.message.fields.get(12, _ACTIVE_LENGTH) == _ACTIVE_LENGTH:
                yield _Amount(length.start, length.end, pool, length.message.place)

    @staticmethod
    def _of_spans(spans: Sequence[_Span]) -> Iterator[_Amount]:
        """What laps or sessions say, where nothing says more."""
        for span in spans:
            total = span.message.fields.get(_TOTAL_DISTANCE)
            if isinstance(total, int) and total:
                yield _Amount(span.start, span.end, total / 100, span.message.place)

    # The workout.

    def _steps(self, session: _Span) -> Iterator[FitItem]:
        strides = session.message.fields.get(_CYCLES)
        if profile.is_on_foot(session.message.fields.get(5)) and isinstance(strides, int) and strides:
            steps = {"steps": strides * 2}
            yield self._part.event("steps", steps, session.start, session.end, place=session.message.place)

    def _workout(self, session: _Span) -> FitItem:
        fields = session.message.fields
        value: dict[str, Any] = {"activity": profile.activity_of(fields.get(5), fields.get(6))}
        value |= _figures(fields, profile.SESSION_FIGURES)
        cadence = fields.get(18)
        if isinstance(cadence, int):
            if profile.is_on_foot(fields.get(5)):
                value["cadence_steps_per_minute"] = min(cadence * 2, 300)
            elif value["activity"] in {"cycling", "indoor_cycling", "mountain_biking"}:
                value["cadence_revolutions_per_minute"] = cadence
        strides = fields.get(_CYCLES)
        if profile.is_on_foot(fields.get(5)) and isinstance(strides, int) and strides:
            value["steps"] = strides * 2
        laps = [lap for lap in self._laps if session.start <= lap.start and lap.end <= session.end][:_MOST_LAPS]
        if laps:
            value["laps"] = [
                _times(lap.start, lap.end) | _figures(lap.message.fields, profile.LAP_FIGURES) for lap in laps
            ]
        pauses = [_times(start, end) for start, end in self._pauses(session)][:_MOST_LAPS]
        if pauses:
            value["pauses"] = pauses
        return self._part.event("workout", value, session.start, session.end, place=session.message.place)

    def _pauses(self, session: _Span) -> Iterator[tuple[int, int]]:
        """From each stop of the timer to the next start, within the session."""
        since: int | None = None
        for event in self._part.of(profile.EVENT):
            at = event.fields.get(TIMESTAMP)
            if event.fields.get(0) != _TIMER_EVENT or not is_set(at):
                continue
            if event.fields.get(1) in _STOPS:
                since = at if since is None else since
            elif event.fields.get(1) in _STARTS:
                if since is not None and session.start <= since < at <= session.end:
                    yield since, at
                since = None


def _timed(message: FitMessage) -> bool:
    return is_set(message.fields.get(TIMESTAMP))


def _elapsed_of(kind: int) -> int:
    return 3 if kind == profile.LENGTH else _ELAPSED


def _ticks(fields: dict[int, Any], before: int) -> list[int]:
    """The times of a strap's readings in 1,024ths of a second; of packed ones only the lower 12 bits are told."""
    whole = fields.get(9)
    if whole is not None:
        return [each for each in (whole if isinstance(whole, tuple) else (whole,)) if each is not None]
    packed = fields.get(10)
    if not isinstance(packed, tuple):
        return []
    data = bytes(each or 0 for each in packed)
    found = []
    for at in range(0, len(data) - 2, 3):
        for low in (data[at] | (data[at + 1] & 0x0F) << 8, data[at + 1] >> 4 | data[at + 2] << 4):
            before += (low - before) & 0xFFF
            found.append(before)
    return found


def _times(start: float, end: float) -> dict[str, Any]:
    return {"start_time": moment_of(start).text, "end_time": moment_of(end).text}


def _figures(fields: dict[int, Any], known: Sequence[tuple[str, tuple[int, ...], int, float, float]]) -> dict[str, Any]:
    """The figures of a session or lap that are there and can be."""
    found: dict[str, Any] = {}
    for name, numbers, scale, low, high in known:
        raw = next((fields[number] for number in numbers if isinstance(fields.get(number), int)), None)
        if raw is not None and low <= raw / scale <= high:
            found[name] = raw if scale == 1 else round(raw / scale, 3)
    return found
