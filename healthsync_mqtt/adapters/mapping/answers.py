"""A provider's answers as events: the fold that all provider modules share, and what a maker of events writes with."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from functools import partial
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple

from healthsync_mqtt.adapters.mapping.memory import LinkMemory
from healthsync_mqtt.adapters.mapping.rules import FieldRow, amounts, converted
from healthsync_mqtt.formats.port import AppMessage, Event, Fold, FormatEntry, Gone
from healthsync_mqtt.formats.reading.document import Record, is_number, read_document, whole
from healthsync_mqtt.formats.reading.moment import Day, Moment, day_of
from healthsync_mqtt.formats.reading.scribe import Named, Records, Scribe
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable

Written = Event | Named | Gone
Make = Callable[["AnswerReading", Record], Iterable[Written]]
Version = int | Literal["latest"]

_DAY_S: Final = 86_400
_LONGEST_NAME: Final = 96
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ISO_DURATION: Final = re.compile(r"P(?:(\d{1,5})D)?T?(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,8}(?:\.\d{1,9})?)S)?")


class AnswerKind(NamedTuple):
    """One kind of answer: how its records are found, and what is made of each.

    ``rules`` are for people and for the docs: the makers use the same rows. ``whole``: what it is as one, beside them.
    """

    name: str
    make: Make
    rules: tuple[FieldRow, ...] = ()
    whole: tuple[FormatEntry, ...] = ()
    #: where the records are: the key of a list, or several of which one is there
    lists: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


class AnswerReading(NamedTuple):
    """One answer while it is read: who writes its events, what is remembered, and what the question was about."""

    scribe: Scribe
    memory: LinkMemory
    subject: str = ""

    @property
    def zone(self) -> str | None:
        """The zone of the account, where the provider or the link says one."""
        return self.scribe.message.declared.zone

    def event(
        self,
        type_: str,
        value: Mapping[str, Any],
        at: Moment | Day,
        end: Moment | None = None,
        *,
        record: object = None,
        part: object = "",
        app: str | None = None,
        model: str = "",
        version: Version = "latest",
        source: Mapping[str, Any] | None = None,
    ) -> Event | Named:
        """An event. With a ``record``, the provider's own name of it, its id is of that and ``part`` and nothing else.

        A record that comes to several events has a ``part`` for each.
        """
        said = dict(source or {})
        if isinstance(at, Day):
            said["local_date"] = at.date
        key: tuple[object, ...] = ()
        if record is not None:
            key = ("record", record, part)
        made = self.scribe.event(
            type_,
            value,
            at,
            end,
            app=app[:64] if app else None,
            key=key,
            version=version,
            source=said,
            device={"model": model[:64]} if model else {},
        )
        return made if record is None else Named(made, _name(record, part))

    def gone(
        self, type_: str, at: Moment | None, *, record: object, part: object = "", version: Version = "latest"
    ) -> Event:
        """The tombstone of one event of a record."""
        made = self.scribe.event(type_, {}, at or Moment(0), key=("record", record, part), version=version)
        del made["value"]
        made.pop("utc_offset", None)
        if at is None:
            del made["start_time"]
        made["op"] = "delete"
        return made

    @staticmethod
    def record_gone(record: object) -> Gone:
        """All that was made of a record is gone, as far as it is known."""
        return Gone(f"{str(record)[:_LONGEST_NAME]};")

    def each(
        self, record: Record, rules: Iterable[FieldRow], at: Moment | Day, end: Moment | None = None, /, **said: Any
    ) -> Iterator[Event | Named]:
        """An event for each rule that finds something."""
        for rule, found in amounts(record, rules):
            own = {**said}
            if own.get("record") is not None:
                own["part"] = rule.field
            yield self.event(rule.type, {rule.ours: found}, at, end, **own)

    def series(
        self, rule: FieldRow, samples: Iterable[tuple[float, Any]], start: Moment, **said: Any
    ) -> Iterator[Event | Named]:
        """Numbers at seconds after a moment, as one event a day: what was not measured has none."""
        days: dict[int, list[list[float]]] = {}
        for seconds, found in sorted(samples, key=lambda each: each[0]):
            if found is None:
                continue
            if not is_number(found):
                raise RefusedError(Reason.WRONG_TYPE, rule.field, f"a sample of {rule.field} is no number")
            own = converted(found, rule)
            if own is not None:
                days.setdefault(int(seconds // _DAY_S), []).append([seconds, own])
        for number, points in sorted(days.items()):
            first = points[0][0]
            value = {"samples": [[whole(round(seconds - first, 6)), own] for seconds, own in points]}
            part = f"{rule.field} {number}" if number else rule.field
            yield self.event(rule.type, value, start.later(first), **said, part=part)

    def civil(self, text: Any, field: str) -> Day:
        """A day that is a date alone: of the account's zone; without one from midnight UTC, with no offset."""
        try:
            on = date.fromisoformat(text)
        except (TypeError, ValueError):
            raise RefusedError(Reason.BAD_TIME, field, f"{field} must be a date") from None
        if on.year < 1970:  # times count from there
            raise RefusedError(Reason.BAD_TIME, field, f"{field} is before 1970")
        if self.zone is not None:
            return day_of(on, self.zone)
        start = Moment(micros_of(on))
        return Day(on.isoformat(), start, start.later(_DAY_S))


def micros_of(on: date) -> int:
    """The midnight in UTC with which a date begins, in microseconds."""
    return (on - date(1970, 1, 1)).days * _DAY_S * 1_000_000


def _name(record: object, part: object) -> str:
    return f"{str(record)[:_LONGEST_NAME]};{part}"[:128]


def version_at(moment: Moment | None) -> Version:
    """When it was last changed, in microseconds; the order of arrival where nobody says."""
    return "latest" if moment is None else moment.us


def name_of(record: Record, field: str) -> str:
    """The provider's own name of a record. Raises RefusedError where it has none."""
    found = record.get(field)
    if type(found) in {int, str} and str(found).strip():
        return str(found).strip()[:_LONGEST_NAME]
    raise RefusedError(Reason.MISSING_FIELD, field, f"the record has no {field}")


def seconds_of(text: Any, field: str) -> float:
    """A duration as ISO 8601 writes it: ``PT33M0.5S``. Raises RefusedError."""
    found = _ISO_DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None or not any(found.groups()):
        raise RefusedError(Reason.BAD_INTERVAL, field, f"{field} is no duration")
    days, hours, minutes, seconds = (float(each or 0) for each in found.groups())
    return whole(days * 86_400 + hours * 3_600 + minutes * 60 + seconds)


def runs(words: Iterable[str], start: Moment, step_s: int, end: Moment) -> list[dict[str, Any]]:
    """Stages that are a word each ``step_s``, those of one word in a row as one; none of them is later than the end."""
    stages: list[dict[str, Any]] = []
    for place, word in enumerate(words):
        began, ended = start.later(place * step_s), start.later((place + 1) * step_s)
        if began.us >= end.us:
            break
        until = ended.text if ended.us < end.us else end.text
        if stages and stages[-1]["stage"] == word:
            stages[-1]["end_time"] = until
        else:
            stages.append({"stage": word, "start_time": began.text, "end_time": until})
    return stages


def until_next(begun: list[tuple[Moment, str]], end: Moment) -> list[dict[str, Any]]:
    """Stages of which only the beginnings are said: each lasts until the next, the last until the end."""
    edges = [*begun, (end, "")]
    stages: list[dict[str, Any]] = []
    for (at, word), (following, _) in pairwise(edges):
        if at.us >= following.us:
            continue
        if stages and stages[-1]["stage"] == word:
            stages[-1]["end_time"] = following.text
        else:
            stages.append({"stage": word, "start_time": at.text, "end_time": following.text})
    return stages


class ProviderMapping:
    """Answers of one provider as events (``formats.port.Format``): the topic of a message is the kind of its answer.

    What follows the kind on the topic is what the question was about, where the answer itself does not say:
    ``streams/activities/17/streams``.
    """

    roots: tuple[str, ...] = ()
    remembers: frozenset[str] = frozenset()

    def __init__(self, name: str, title: str, kinds: Iterable[AnswerKind]) -> None:
        self.name = name
        self.summary = f"{title}: answers of its API"
        self.kinds = tuple(kinds)
        self._by_name = {_plain(word): kind for kind in self.kinds for word in (kind.name, *kind.aliases)}

    def takes(self) -> Iterator[FormatEntry]:
        """For people (``formats.port.Format``)."""
        for kind in self.kinds:
            yield from kind.whole
            for rule in kind.rules:
                unit = f", in {rule.unit}" if rule.unit else ""
                yield FormatEntry(f"{kind.name}: {rule.field}", rule.type, f"{rule.about or rule.ours}{unit}")

    @property
    def kind_names(self) -> tuple[str, ...]:
        """The kinds of answers (``adapters.port.Mapping``)."""
        return tuple(kind.name for kind in self.kinds)

    def knows(self, kind: str) -> bool:
        """Whether it is one of them, by any name (``adapters.port.Mapping``)."""
        return self.kind(kind) is not None

    def kind(self, name: str) -> AnswerKind | None:
        """A kind by any of its names."""
        return self._by_name.get(_plain(name))

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """One answer (``formats.port.Format``). Raises RefusedError for a kind that there is not, or no JSON."""
        said, _, subject = message.topic.strip("/").partition("/")
        kind = self.kind(said)
        if kind is None:
            raise RefusedError(Reason.UNKNOWN_TYPE, None, f"{printable(said)} is no kind of answer of {self.name}")
        memory = LinkMemory(state)
        reading = AnswerReading(Scribe(self.name, message, self.name), memory, subject)
        records = Records()
        for place, record in _records(read_document(message.payload), kind.lists):
            yield from records.read(place, record, partial(kind.make, reading))
        return memory.state


def _plain(name: str) -> str:
    """A kind however it is written: ``heart-rate`` and ``heartRate`` are one."""
    return _HUMP.sub("_", name.strip()).lower().replace("-", "_")


def _records(document: Any, lists: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """The records of an answer, each with its place: those of a list, or the answer itself."""
    if isinstance(document, list):
        yield from ((f"[{place}]", each) for place, each in enumerate(document))
        return
    if not isinstance(document, dict):
        raise RefusedError(Reason.MALFORMED, None, "neither an object nor a list")
    found = next((each for each in lists if each in document), None)
    if found is None:
        if document:
            yield "", document
        return
    several = document[found]
    if several is None:
        return
    if not isinstance(several, list):
        raise RefusedError(Reason.WRONG_TYPE, found, f"{found} must be a list")
    yield from ((f"{found}[{place}]", each) for place, each in enumerate(several))


def nothing(_reading: AnswerReading, _record: Record) -> tuple[Written, ...]:
    """For answers that are of no health: who somebody is, which devices there are."""
    return ()


def no_type(what: str) -> Make:
    """For records of which there is no type here: each is named as left out."""

    def refuse(_reading: AnswerReading, _record: Record) -> tuple[Written, ...]:
        raise RefusedError(Reason.UNKNOWN_TYPE, None, f"there is no type here for {what}")

    return refuse
