"""Formats that are declared and not programmed: a YAML file says where in somebody's message what of ours is.

An admin accepts any device's JSON, CSV or plain number with it. Paths lead into the message (``data[0].sys``,
``"a key".b``, ``""`` for all of it), constants stand for what it does not say. A unit is named, found by a path or
declared with the login; a time has a format, and without an offset the login's zone. Nothing is guessed here either.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.formats.mapping.declaration import DECLARED, SCALES, Declaration, EventRule, FieldRule, TimeRule
from healthsync_mqtt.formats.mapping.paths import MISSING, all_at, found_at, steps
from healthsync_mqtt.formats.port import AppMessage, Event, Fold, FormatEntry, Outcome
from healthsync_mqtt.formats.reading.amount import in_field
from healthsync_mqtt.formats.reading.document import inside, is_number, number_of_text, read_document, whole
from healthsync_mqtt.formats.reading.moment import (
    Day,
    Moment,
    at_wall,
    day,
    day_around,
    in_zone,
    moment,
    of_epoch,
    of_epoch_ms,
)
from healthsync_mqtt.formats.reading.scribe import Named, Records, Scribe
from healthsync_mqtt.model.catalogue import CATALOGUE, TimeKind
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_LONGEST_TEXT: Final = 4096


def read_mapping(name: str, text: str) -> "MappedFormat":
    """The format that a YAML text declares. Raises InputError, which names the place."""
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name of a format", hint="small letters, digits and _: my_cuff.yaml")
    try:
        declared = _once_each(text)
    except yaml.YAMLError as error:
        raise InputError(f"{name} is not YAML: {error}", hint="see docs/howto/mapping.md") from None
    try:
        return MappedFormat(name, Declaration.model_validate(declared))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(each) for each in first["loc"]) or "the file"
        words = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{name}: {place}: {words}", hint="see docs/howto/mapping.md") from None


class _OnceEach(yaml.SafeLoader):
    """YAML in which no key is there twice: which of the two was meant, nobody knows."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  # PyYAML's
        """The mapping of a node. Raises MarkedYAMLError."""
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    problem = f"the key {key.value!r} is there twice"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def _once_each(text: str) -> Any:
    loader = _OnceEach(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


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

    def __init__(self, name: str, declaration: Declaration) -> None:
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
        if declaration.payload == "csv":
            for place, row in enumerate(document):
                if isinstance(row, list):
                    refusal = RefusedError(Reason.MALFORMED, None, "not as many columns as the first line names")
                    yield records.refuse(f"[{place}]", row, refusal)
            document = [None if isinstance(row, list) else row for row in document]
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

    def _of_rule(self, rule: EventRule, records: Records, scribe: Scribe, document: Any) -> Iterator[Outcome]:
        slot = scribe.message.declared.slot
        for place, record in all_at(document, steps(rule.each)):
            if record is None and self._declaration.payload == "csv":
                continue  # refused already
            if any(not _is(found_at(record, path), wanted) for path, wanted in rule.when.items()):
                continue
            holder = record if isinstance(record, dict) else {"": record}
            other = _other_person(rule, scribe.message.topic, record, slot)
            if other is not None:
                yield records.refuse(place, holder, other, rule.type)
                continue
            yield from records.read(place, holder, partial(_made, rule, scribe, record), rule.type)


def _rows(text: str) -> list[dict[str, str] | list[str]]:
    """The rows of a CSV text; its cells alone for one that has not as many as the first line names."""
    lines = csv.reader(text.removeprefix("\ufeff").splitlines())
    try:
        names = next(lines, [])
        if not any(names) or len(set(names)) < len(names):
            raise RefusedError(Reason.MALFORMED, None, "the first line does not name each column once")
        return [dict(zip(names, cells, strict=True)) if len(cells) == len(names) else cells for cells in lines if cells]
    except csv.Error as error:
        raise RefusedError(Reason.MALFORMED, None, f"not CSV: {error}") from None


def _matches(pattern: str, topic: str) -> bool:
    wanted, levels = pattern.strip("/").split("/"), topic.strip("/").split("/")
    for place, level in enumerate(wanted):
        if level == "#":
            return True
        if place >= len(levels) or (level not in {"+", "{slot}"} and level != levels[place]):
            return False
    return len(wanted) == len(levels)


def _other_person(rule: EventRule, topic: str, record: Any, slot: str | None) -> RefusedError | None:
    """Why a record is not this login's, where its topic or the record says whose it is."""
    wanted, levels = rule.topic.strip("/").split("/"), topic.strip("/").split("/")
    said: list[tuple[str | None, object]] = [(None, levels[wanted.index("{slot}")])] if "{slot}" in wanted else []
    if rule.slot is not None:
        said.append((rule.slot, found_at(record, rule.slot)))
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


def _made(rule: EventRule, scribe: Scribe, record: Any, _: Any) -> Iterator[Event | Named]:
    at = _when(rule.time, scribe, record)
    if isinstance(at, Moment) and CATALOGUE[rule.type].kind is TimeKind.DAILY:
        with inside(rule.time.paths[0] or "time"):
            at = day_around(at, rule.time.zone or scribe.message.declared.zone)
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
    found = None if path is None else found_at(record, path)
    return str(found).strip()[:256] or None if isinstance(found, str | int) and not isinstance(found, bool) else None


def _value(type_: str, field: str, rule: FieldRule, scribe: Scribe, record: Any) -> Any:
    if rule.path is None:
        return rule.constant
    found = found_at(record, rule.path)
    if found is MISSING or found is None or _is(found, list(rule.absent)):
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
    amount = _number(found, rule, rule.path)
    if (rule.low is not None and amount < rule.low) or (rule.high is not None and amount > rule.high):
        raise RefusedError(Reason.OUT_OF_RANGE, rule.path or None, f"{amount} is no reading, as is declared")
    if rule.percent_of is not None:
        whole_of = _number(found_at(record, rule.percent_of), rule, rule.percent_of)
        amount = float(round(Fraction(repr(amount)) * Fraction(repr(whole_of)) / 100, 6))
    unit = rule.unit
    if rule.unit_path is not None:
        said = found_at(record, rule.unit_path)
        unit = said if isinstance(said, str) else None
    elif unit == DECLARED:
        unit = scribe.message.declared.unit
        if unit is None:
            message = f"the unit of {rule.path or 'the value'} is the login's, which declares none (--unit)"
            raise RefusedError(Reason.UNKNOWN_UNIT, rule.path or None, message)
    declared = scribe.message.declared.unit
    return in_field(type_, field, amount, unit, place=rule.unit_path or rule.path, declared=declared)


def _number(found: Any, rule: FieldRule, path: str) -> float:
    if isinstance(found, str) and rule.texts:
        return whole(number_of_text(found, path))
    if found is MISSING or found is None:
        raise RefusedError(Reason.MISSING_FIELD, path, f"{path} is missing")
    if not is_number(found):
        raise RefusedError(Reason.WRONG_TYPE, path or None, f"{path or 'the value'} must be a number")
    return whole(found)


def _when(rule: TimeRule, scribe: Scribe, record: Any) -> Moment | Day:
    """When something was. Raises RefusedError, also for a clock that was never set."""
    try:
        at = _moment(rule, scribe, record)
    except RefusedError as refusal:
        raise RefusedError(refusal.code, refusal.field or rule.paths[0] or None, str(refusal)) from None
    start = at.start if isinstance(at, Day) else at
    if rule.not_before is not None and start.us < _began(rule.not_before) * 1_000_000:
        raise RefusedError(Reason.BAD_TIME, rule.paths[0] or None, f"{start.text} is before {rule.not_before}")
    return at


def _began(day_: date) -> int:
    return round(datetime(day_.year, day_.month, day_.day, tzinfo=UTC).timestamp())


def _moment(rule: TimeRule, scribe: Scribe, record: Any) -> Moment | Day:
    message, zone = scribe.message, rule.zone or scribe.message.declared.zone
    if rule.format == "arrival":
        if message.retained:
            raise RefusedError(Reason.MISSING_FIELD, "time", "a retained message says no time: when was it?")
        return in_zone(Moment(message.at_us - message.at_us % 1_000_000), zone)
    place = rule.paths[0] or None
    parts = [found_at(record, path) for path in rule.paths]
    if any(each is MISSING or each is None for each in parts):
        raise RefusedError(Reason.MISSING_FIELD, place, f"{place or 'the time'} is missing")
    if rule.format in SCALES:
        seconds = number_of_text(parts[0], place) if isinstance(parts[0], str) else parts[0]
        of_1970 = rule.format == "epoch_ms" and _began(rule.since) == 0
        at = of_epoch_ms(seconds, place) if of_1970 else of_epoch(seconds, place, scale=SCALES[rule.format])
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
