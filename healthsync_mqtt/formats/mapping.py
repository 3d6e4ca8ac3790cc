# long: the words of a declaration, how they are checked, and what each of them does
"""Formats that are declared and not programmed: a YAML file says where in somebody's message what of ours is.

An admin accepts any device's JSON, CSV or plain number with it. Paths lead into the message (``data[0].sys``,
``"a key".b``, ``""`` for all of it), constants stand for what it does not say. A unit is named, found by a path or
declared with the login; a time has a format, and without an offset the login's zone. Nothing is guessed here either.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.formats.port import AppMessage, Event, Fold, FormatEntry, Outcome
from healthsync_mqtt.formats.reading.amount import in_field
from healthsync_mqtt.formats.reading.document import is_number, number_of_text, read_document, whole
from healthsync_mqtt.formats.reading.moment import Day, Moment, at_wall, day, in_zone, moment, of_epoch, zone_of
from healthsync_mqtt.formats.reading.scribe import Named, Records, Scribe
from healthsync_mqtt.model.catalogue import CATALOGUE, TimeKind, resolve
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable

DECLARED: Final = "declared"
"""The unit that the login declares."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_ROOT: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_STEP: Final = re.compile(r'\[(\d{1,6}|\*)\]|"([^"]*)"|([^.\["\]]+)')
_LONGEST_TEXT: Final = 4096
_MOST_RULES: Final = 64

_Step = str | int | None
"""A key, a place in a list, or every place."""
_MISSING: Final = object()


def _steps(path: str) -> tuple[_Step, ...]:
    """The steps of a path. Raises ValueError."""
    steps: list[_Step] = []
    at = 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            message = f"{path!r} is no path: keys with dots between them, places as [0], all of them as [*]"
            raise ValueError(message)
        place, quoted, key = found.groups()
        steps.append(None if place == "*" else int(place) if place else quoted if quoted is not None else key)
        at = found.end()
        if path[at : at + 1] == ".":
            at += 1
    return tuple(steps)


def _at(value: Any, path: str) -> Any:
    """What is at a path; _MISSING where there is nothing."""
    for step in _steps(path):
        if isinstance(step, str):
            value = value.get(step, _MISSING) if isinstance(value, dict) else _MISSING
        elif isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else _MISSING
        if value is _MISSING:
            return _MISSING
    return value


def _all_at(value: Any, steps: Sequence[_Step], place: str = "") -> Iterator[tuple[str, Any]]:
    """Every value at a path with places that may be all, and where it is."""
    if not steps:
        yield place, value
        return
    step, rest = steps[0], steps[1:]
    if step is None:
        for number, each in enumerate(value if isinstance(value, list) else ()):
            yield from _all_at(each, rest, f"{place}[{number}]")
    elif isinstance(step, int):
        if isinstance(value, list) and step < len(value):
            yield from _all_at(value[step], rest, f"{place}[{step}]")
    elif isinstance(value, dict) and step in value:
        yield from _all_at(value[step], rest, f"{place}.{step}" if place else step)


def _is_zone(name: str) -> bool:
    try:
        zone_of(name)
    except RefusedError:
        return False
    return True


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _is_path(path: str) -> str:
    if None in _steps(path):
        message = f"{path!r} is not one place: [*] is for each alone"
        raise ValueError(message)
    return path


class _FieldRule(_Strict):
    """Where one field of a value comes from."""

    path: str | None = None
    constant: str | float | bool | None = None
    #: of numbers: as the table of units spells it, or ``declared``
    unit: str | None = None
    unit_path: str | None = None
    #: what the source writes where nothing was measured
    absent: tuple[float | str, ...] = ()
    #: numbers beyond these are no readings but codes of the source
    low: float | None = None
    high: float | None = None
    #: numbers are written as texts, too
    texts: bool = False
    #: the number is a percentage of what is at this path
    percent_of: str | None = None
    #: our words for those of the source
    words: dict[str, str] | None = None
    optional: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.constant is None):
            message = "a field has either a path or a constant"
            raise ValueError(message)
        for path in (self.path, self.unit_path, self.percent_of):
            if path is not None:
                _is_path(path)
        return self


class _TimeRule(_Strict):
    """When an event was."""

    path: str | tuple[str, ...] = ""
    #: how it is written; a pattern of strptime for anything else, which is a clock's in the login's zone
    format: str = "rfc3339"
    #: the offset that is written is wrong: it is the login's zone
    ignore_offset: bool = False
    #: the zone of this source, where it is not the login's: UTC that does not say so
    zone: str | None = None
    #: seconds and milliseconds are counted from the beginning of this day
    since: date = date(1970, 1, 1)
    #: a clock that was never set says an earlier day
    not_before: date | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,) if isinstance(self.path, str) else self.path

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.zone is not None and not _is_zone(self.zone):
            message = f"{self.zone!r} is no time zone"
            raise ValueError(message)
        for path in self.paths:
            _is_path(path)
        if self.format not in _TIMES and "%" not in self.format:
            message = f"{self.format!r} is none of {', '.join(_TIMES)} and no pattern with %"
            raise ValueError(message)
        return self


_TIMES: Final = ("rfc3339", "epoch_s", "epoch_ms", "date", "arrival")
_SCALES: Final = {"epoch_s": 1, "epoch_ms": 1000}


class _EventRule(_Strict):
    """One kind of event that a message holds."""

    type: str
    #: what follows the format's topic, with + and #; a level {slot} is the slot of the login
    topic: str = "#"
    #: the path of the records, with [*] for each of a list
    each: str = ""
    #: only records in which these paths have these values
    when: dict[str, Any] = {}
    #: the path at which a record says whose it is: one of the slots of the login
    slot: str | None = None
    time: _TimeRule
    end: _TimeRule | None = None
    lasts_s: Annotated[float, Field(gt=0)] | None = None
    value: dict[str, _FieldRule]
    #: paths of the source's own id, of the app that measured, of the model of the device
    id: str | None = None
    app: str | None = None
    model: str | None = None

    @field_validator("type")
    @classmethod
    def _of_the_catalogue(cls, name: str) -> str:
        found = resolve(name)
        if found is None:
            message = f"{name!r} is no type: see `healthsync type list`"
            raise ValueError(message)
        return found.name

    @field_validator("each")
    @classmethod
    def _readable(cls, path: str) -> str:
        _steps(path)
        return path

    @model_validator(mode="after")
    def _whole(self) -> Self:
        numbers = {each.field for each in CATALOGUE[self.type].quantities}
        for field, rule in self.value.items():
            known = rule.unit is not None or rule.unit_path is not None
            if field in numbers and rule.path is not None and not known:
                message = f"value.{field}: say its unit: `unit:` or `unit_path:`"
                raise ValueError(message)
            if field not in CATALOGUE[self.type].names:
                message = f"value.{field}: {self.type} has no such field"
                raise ValueError(message)
        if self.end is not None and self.lasts_s is not None:
            message = "an event has either an end or a length"
            raise ValueError(message)
        if CATALOGUE[self.type].kind is TimeKind.INTERVAL and self.end is None and self.lasts_s is None:
            message = f"{self.type} is of an interval: say `end:` or `lasts_s:`"
            raise ValueError(message)
        for path in (self.id, self.app, self.model, self.slot, *self.when):
            if path is not None:
                _is_path(path)
        return self


class _Declaration(_Strict):
    """A whole format."""

    summary: Annotated[str, Field(min_length=1, max_length=200)]
    roots: tuple[str, ...] = ()
    #: topics, with + and #, that are of no health
    ignore: tuple[str, ...] = ()
    #: csv: each row is an object of texts, by the names in the first line
    payload: Literal["json", "text", "csv"] = "json"
    #: a text is split here
    split: Annotated[str, Field(min_length=1, max_length=8)] | None = None
    rules: Annotated[tuple[_EventRule, ...], Field(min_length=1, max_length=_MOST_RULES)]

    @field_validator("roots")
    @classmethod
    def _levels(cls, roots: tuple[str, ...]) -> tuple[str, ...]:
        for root in roots:
            if not _ROOT.fullmatch(root):
                message = f"{root!r} is no first level of a topic"
                raise ValueError(message)
        return roots


def read_mapping(name: str, text: str) -> "MappedFormat":
    """The format that a YAML text declares. Raises InputError, which names the place."""
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name of a format", hint="small letters, digits and _: my_cuff.yaml")
    try:
        declared = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{name} is not YAML: {error}", hint="see docs/howto/mapping.md") from None
    try:
        return MappedFormat(name, _Declaration.model_validate(declared))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(each) for each in first["loc"]) or "the file"
        words = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{name}: {place}: {words}", hint="see docs/howto/mapping.md") from None


def load_mappings(folder: Path) -> Mapping[str, "MappedFormat"]:
    """The formats that the files of a folder declare, by their names; none where there is no folder."""
    found: dict[str, MappedFormat] = {}
    for file in sorted(folder.glob("*.yaml")):
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {file}: {error}", hint="check the file") from None
        found[file.stem] = read_mapping(file.stem, text)
    return found


class MappedFormat:
    """Messages as a declaration says (``port.Format``)."""

    def __init__(self, name: str, declaration: _Declaration) -> None:
        self._declaration = declaration
        self.name = name
        self.summary = declaration.summary
        self.roots = declaration.roots
        self.remembers: frozenset[str] = frozenset()

    def takes(self) -> Iterator[FormatEntry]:
        """For people (``port.Format``)."""
        for rule in self._declaration.rules:
            yield FormatEntry(rule.topic, rule.type, ", ".join(each.path for each in rule.value.values() if each.path))

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """The records of all rules that are for this topic. Nothing is remembered."""
        declaration = self._declaration
        for root in declaration.roots:  # on a topic of its own a message comes with its root
            if message.topic.startswith(f"{root}/"):
                message = message._replace(topic=message.topic.removeprefix(f"{root}/"))
        ignored = any(_matches(topic, message.topic) for topic in declaration.ignore)
        rules = [] if ignored else [rule for rule in declaration.rules if _matches(rule.topic, message.topic)]
        if not rules or (not message.payload and message.topic):
            return state
        document = self._document(message.payload)
        records, scribe = Records(), Scribe(self.name, message, self.name)
        for rule in rules:
            yield from self._of_rule(rule, records, scribe, document)
        return state

    def _document(self, payload: bytes) -> Any:
        if self._declaration.payload == "json":
            return read_document(payload)
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            raise RefusedError(Reason.MALFORMED, None, "not UTF-8") from None
        if self._declaration.payload == "csv":
            return _rows(text)
        if len(text) > _LONGEST_TEXT:
            raise RefusedError(Reason.TOO_LARGE, None, f"a text of more than {_LONGEST_TEXT} characters")
        return text.split(self._declaration.split) if self._declaration.split else text

    def _of_rule(self, rule: _EventRule, records: Records, scribe: Scribe, document: Any) -> Iterator[Outcome]:
        slot = scribe.message.declared.slot
        for place, record in _all_at(document, _steps(rule.each)):
            if any(not _is(_at(record, path), wanted) for path, wanted in rule.when.items()):
                continue
            holder = record if isinstance(record, dict) else {"": record}
            other = _other_person(rule, scribe.message.topic, record, slot)
            if other is not None:
                yield records.refuse(place, holder, other, rule.type)
                continue
            yield from records.read(place, holder, partial(_made, rule, scribe, record), rule.type)


def _rows(text: str) -> list[dict[str, str]]:
    """The rows of a CSV text. Raises RefusedError for one that has not as many columns as the first line names."""
    lines = csv.reader(text.removeprefix("\ufeff").splitlines())
    try:
        names = next(lines, [])
        if not any(names) or len(set(names)) < len(names):
            raise RefusedError(Reason.MALFORMED, None, "the first line does not name each column once")
        rows = []
        for place, cells in enumerate(each for each in lines if each):
            if len(cells) != len(names):
                raise RefusedError(Reason.MALFORMED, f"[{place}]", "not as many columns as the first line names")
            rows.append(dict(zip(names, cells, strict=True)))
    except csv.Error as error:
        raise RefusedError(Reason.MALFORMED, None, f"not CSV: {error}") from None
    return rows


def _matches(pattern: str, topic: str) -> bool:
    wanted, levels = pattern.strip("/").split("/"), topic.strip("/").split("/")
    for place, level in enumerate(wanted):
        if level == "#":
            return True
        if place >= len(levels) or (level not in {"+", "{slot}"} and level != levels[place]):
            return False
    return len(wanted) == len(levels)


def _other_person(rule: _EventRule, topic: str, record: Any, slot: str | None) -> RefusedError | None:
    """Why a record is not this login's, where its topic or the record says whose it is."""
    wanted, levels = rule.topic.strip("/").split("/"), topic.strip("/").split("/")
    said: list[tuple[str | None, object]] = [(None, levels[wanted.index("{slot}")])] if "{slot}" in wanted else []
    if rule.slot is not None:
        said.append((rule.slot, _at(record, rule.slot)))
    ours = set() if slot is None else {each.strip() for each in slot.split(",")}
    for place, whose in said:
        if type(whose) not in {str, int}:
            return RefusedError(Reason.MISSING_FIELD, place, f"{place} says whose it is, and is missing or no name")
        if not ours:
            who = "it" if place else printable(str(whose))  # a record's may be an address, or a number of a person
            return RefusedError(Reason.NOT_ALLOWED, place, f"whose {who} is is not declared (--slot)")
        if str(whose) not in ours:
            return RefusedError(Reason.IDENTITY_MISMATCH, place, "that is of another than the login's slot")
    return None


def _is(found: Any, wanted: Any) -> bool:
    """Whether a value is the wanted one, or one of them. A truth is no number."""
    options = wanted if isinstance(wanted, list) else [wanted]
    return any(found == each and isinstance(found, bool) == isinstance(each, bool) for each in options)


def _made(rule: _EventRule, scribe: Scribe, record: Any, _: Any) -> Iterator[Event | Named]:
    at = _when(rule.time, scribe, record)
    end = None
    if rule.lasts_s is not None and isinstance(at, Moment):
        end = at.later(rule.lasts_s)
    elif rule.end is not None:
        last = _when(rule.end, scribe, record)
        end = last.end if isinstance(last, Day) else last
    value: dict[str, Any] = {}
    for field, from_ in rule.value.items():
        found = _value(rule.type, field, from_, scribe, record)
        if found is not None:
            value[field] = found
    own, app, model = (_text_at(record, path) for path in (rule.id, rule.app, rule.model))
    event = scribe.event(
        rule.type,
        value,
        at,
        end,
        app=app,
        key=("record", own) if own else (),
        device={"model": model[:64]} if model else {},
    )
    yield Named(event, f"{own};") if own else event


def _text_at(record: Any, path: str | None) -> str | None:
    found = None if path is None else _at(record, path)
    return str(found).strip()[:256] or None if isinstance(found, str | int) and not isinstance(found, bool) else None


def _value(type_: str, field: str, rule: _FieldRule, scribe: Scribe, record: Any) -> Any:
    if rule.path is None:
        return rule.constant
    found = _at(record, rule.path)
    if found is _MISSING or found is None or _is(found, list(rule.absent)):
        if rule.optional or rule.absent:
            return None
        raise RefusedError(Reason.MISSING_FIELD, rule.path or None, f"{rule.path or 'the value'} is missing")
    if rule.words is not None:
        word = rule.words.get(str(found))
        if word is None and not rule.optional:
            raise RefusedError(Reason.WRONG_TYPE, rule.path or None, f"{printable(str(found))} is no known word")
        return word
    if rule.unit is None and rule.unit_path is None:
        return found
    amount = _number(found, rule)
    if (rule.low is not None and amount < rule.low) or (rule.high is not None and amount > rule.high):
        raise RefusedError(Reason.OUT_OF_RANGE, rule.path or None, f"{amount} is no reading, as is declared")
    if rule.percent_of is not None:
        whole_of = _number(_at(record, rule.percent_of), rule)
        amount = float(round(Fraction(repr(amount)) * Fraction(repr(whole_of)) / 100, 6))
    unit = rule.unit
    if rule.unit_path is not None:
        said = _at(record, rule.unit_path)
        unit = said if isinstance(said, str) else None
    elif unit == DECLARED:
        unit = scribe.message.declared.unit
        if unit is None:
            message = f"the unit of {rule.path or 'the value'} is the login's, which declares none (--unit)"
            raise RefusedError(Reason.UNKNOWN_UNIT, rule.path or None, message)
    declared = scribe.message.declared.unit
    return in_field(type_, field, amount, unit, place=rule.unit_path or rule.path, declared=declared)


def _number(found: Any, rule: _FieldRule) -> float:
    if isinstance(found, str) and rule.texts:
        return whole(number_of_text(found, rule.path))
    if not is_number(found):
        raise RefusedError(Reason.WRONG_TYPE, rule.path or None, f"{rule.path or 'the value'} must be a number")
    return whole(found)


def _when(rule: _TimeRule, scribe: Scribe, record: Any) -> Moment | Day:
    """When something was. Raises RefusedError, also for a clock that was never set."""
    at = _moment(rule, scribe, record)
    start = at.start if isinstance(at, Day) else at
    if rule.not_before is not None and start.us < _began(rule.not_before) * 1_000_000:
        raise RefusedError(Reason.BAD_TIME, rule.paths[0] or None, f"{start.text} is before {rule.not_before}")
    return at


def _began(day_: date) -> int:
    return round(datetime(day_.year, day_.month, day_.day, tzinfo=UTC).timestamp())


def _moment(rule: _TimeRule, scribe: Scribe, record: Any) -> Moment | Day:
    message, zone = scribe.message, rule.zone or scribe.message.declared.zone
    if rule.format == "arrival":
        if message.retained:
            raise RefusedError(Reason.MISSING_FIELD, "time", "a retained message says no time: when was it?")
        return in_zone(Moment(message.at_us - message.at_us % 1_000_000), zone)
    place = rule.paths[0] or None
    parts = [_at(record, path) for path in rule.paths]
    if any(each is _MISSING or each is None for each in parts):
        raise RefusedError(Reason.MISSING_FIELD, place, f"{place or 'the time'} is missing")
    if rule.format in _SCALES:
        seconds = number_of_text(parts[0], place) if isinstance(parts[0], str) else parts[0]
        at = of_epoch(seconds, place, scale=_SCALES[rule.format])
        return in_zone(at.later(_began(rule.since)), zone)
    text = " ".join(str(each) for each in parts)
    if rule.format == "date":
        return day(text, place, zone)
    if rule.format == "rfc3339":
        return moment(_WITHOUT_OFFSET.sub("", text) if rule.ignore_offset else text, place, zone)
    try:
        wall = datetime.strptime(text, rule.format)  # noqa: DTZ007  # a clock's, whose zone the login says
    except ValueError:
        raise RefusedError(Reason.BAD_TIME, place, f"{printable(text)} is not as {rule.format}") from None
    if wall.tzinfo is not None and not rule.ignore_offset:
        return moment(wall.isoformat(), place)
    return at_wall(wall.replace(tzinfo=None), zone)


_WITHOUT_OFFSET: Final = re.compile(r"(?:Z|z|[+-]\d\d:?\d\d)$")
