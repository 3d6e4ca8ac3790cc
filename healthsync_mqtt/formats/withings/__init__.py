"""What Withings answers: measures of its scales and cuffs, days, minutes, nights, workouts and ECGs.

One message is one answer, as the API gives it or its ``body`` alone; a list is one of measure groups. An answer with
a status other than 0 holds nothing. Times are Unix seconds; the zone is that of the record, of the answer or of the
login, the first that is said.
A group that may be somebody else's (``attrib`` 1) and a goal (``category`` 2) are no measures of anybody.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from healthsync_mqtt.formats.port import AppMessage, Event, Fold, FormatEntry, Outcome
from healthsync_mqtt.formats.reading.document import Record, inner, items, read_document, text_or_none
from healthsync_mqtt.formats.reading.scribe import Named, Records, Scribe
from healthsync_mqtt.formats.withings.days import DAYS, MINUTES, MOMENTS, day_totals, minute
from healthsync_mqtt.formats.withings.heart import recording, result
from healthsync_mqtt.formats.withings.measures import MEASURES, group_events
from healthsync_mqtt.formats.withings.memory import WithingsMemory
from healthsync_mqtt.formats.withings.nights import Stages, night_of_totals
from healthsync_mqtt.formats.withings.workouts import workout
from healthsync_mqtt.model.reasons import Reason, RefusedError

Maker = Callable[[Record], Iterable[Event | Named]]

_NOTHING: Final = frozenset({"devices", "profiles", "updatetime", "timezone", "more", "offset", "model", "model_id"})
"""What a body says beside records, and of no health."""


class Withings:
    """Answers of the Withings API (``port.Format``)."""

    name = "withings"
    summary = "Withings: answers of its API (measures, days, minutes, nights, workouts, ECGs)"
    roots = ()
    remembers: frozenset[str] = frozenset({"sleep", "ecg"})

    def takes(self) -> Iterator[FormatEntry]:
        """For people (``port.Format``)."""
        for number, of in MEASURES.items():
            yield FormatEntry(f"measure {number}", of.type)
        yield FormatEntry("measures 10 and 9 (and 11)", "blood_pressure", "of one group")
        yield FormatEntry("measure 130", "ecg", "its result")
        for field, day in DAYS.items():
            yield FormatEntry(f"activities.{field}", day.type, "of a day")
        yield FormatEntry("activities.hr_average", "daily_heart_rate", "with hr_min and hr_max")
        for field, of_minute in (*MINUTES.items(), *MOMENTS.items()):
            yield FormatEntry(f"series of minutes: {field}", of_minute.type)
        yield FormatEntry("sleep summary", "sleep", "joined with its stages; snoring and breathing beside it")
        yield FormatEntry("workouts", "workout")
        yield FormatEntry("heart list and signal", "ecg")

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """The records of one answer; of nights is remembered what joins their figures with their stages."""
        body = _body(read_document(message.payload))
        nights = WithingsMemory.remembered(state)
        yield from _WithingsAnswer(Scribe(self.name, message, "withings"), body, nights).outcomes()
        return nights.state

    def holds(self, state: bytes) -> frozenset[str]:
        """See ``port.Divisible``."""
        return WithingsMemory.remembered(state).types

    def without(self, state: bytes, types: frozenset[str]) -> bytes:
        """See ``port.Divisible``."""
        memory = WithingsMemory.remembered(state)
        memory.forget(types)
        return memory.state


def _body(document: Any) -> Record:
    """What an answer holds. Raises RefusedError for an answer that says that there is none."""
    if isinstance(document, list):
        return {"measuregrps": document}
    if not isinstance(document, dict):
        raise RefusedError(Reason.MALFORMED, None, "neither an answer nor a list of measure groups")
    status = document.get("status", 0)
    if status != 0:
        raise RefusedError(Reason.MALFORMED, "status", "an answer with a status other than 0 holds no data")
    body = inner(document, "body") if "body" in document or "status" in document else document
    if body and not {"measuregrps", "activities", "series", "signal", *_NOTHING} & body.keys():
        raise RefusedError(Reason.MALFORMED, None, "the body has nothing that Withings answers with")
    return body


class _WithingsAnswer:
    """One answer while it is read."""

    def __init__(self, scribe: Scribe, body: Record, nights: WithingsMemory) -> None:
        self._body = body
        self._nights = nights
        self._records = Records()
        zone = text_or_none(body, "timezone")
        declared = scribe.message.declared
        # What the answer says of its zone is nearer than what the login says.
        self._scribe = scribe._replace(
            message=scribe.message._replace(declared=declared._replace(zone=zone or declared.zone))
        )

    def outcomes(self) -> Iterator[Outcome]:
        """Everything in it, in its order."""
        for array, make in (("measuregrps", group_events), ("activities", day_totals)):
            records = yield from self._records.listed(f"body.{array}", self._body, array)
            for place, record in enumerate(records):
                yield from self._read(f"body.{array}[{place}]", record, make)
        series = self._body.get("series")
        if isinstance(series, dict):
            yield from self._minutes(series)
        else:
            yield from self._listed(items(self._body, "series"))
        if "signal" in self._body:
            yield from self._read("body", self._body, partial(recording, self._nights), "ecg")

    def _read(
        self,
        place: str,
        record: Any,
        make: Callable[[Scribe, Record], Iterable[Event | Named]],
        type_: str | None = None,
    ) -> Iterator[Outcome]:
        yield from self._records.read(place, record, partial(_in_its_zone, make, self._scribe), type_)

    def _minutes(self, series: Mapping[str, Any]) -> Iterator[Outcome]:
        """Minutes by the second in which they begin, in no order."""
        for key, record in series.items():
            yield from self._read(f"body.series.{key[:20]}", record, partial(minute, key))

    def _listed(self, series: list[Any]) -> Iterator[Outcome]:
        stages = Stages(self._scribe)
        for place, record in enumerate(series):
            where = f"body.series[{place}]"
            kind = record if isinstance(record, dict) else {}
            if "state" in kind:
                yield from self._records.read(where, record, partial(stages.add, where), "sleep")
            elif "category" in kind:
                yield from self._read(where, record, workout, "workout")
            elif "timestamp" in kind:
                yield from self._read(where, record, partial(result, self._nights), "ecg")
            elif "startdate" in kind:
                yield from self._night(where, record)
            else:
                refusal = RefusedError(Reason.UNKNOWN_TYPE, None, "neither a night, a stage, a workout nor an ECG")
                yield self._records.refuse(where, record, refusal)
        yield from stages.nights(self._records, self._nights)

    def _night(self, where: str, record: Any) -> Iterator[Outcome]:
        yield from self._read(where, record, partial(night_of_totals, self._nights))
        yield from self._nights.taken_back()


def _in_its_zone(
    make: Callable[[Scribe, Record], Iterable[Event | Named]], scribe: Scribe, record: Record
) -> Iterable[Event | Named]:
    """A record by the clock of its own zone, where it says one."""
    zone = text_or_none(record, "timezone")
    if zone is not None:
        message = scribe.message
        scribe = scribe._replace(message=message._replace(declared=message.declared._replace(zone=zone)))
    return make(scribe, record)
