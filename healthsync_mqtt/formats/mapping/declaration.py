"""What a declaration may say, checked when it is read: with one that is taken some message can be, too."""

import re
from collections.abc import Collection
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, Literal, Self

import msgspec
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from healthsync_mqtt.formats.mapping.paths import is_path, steps
from healthsync_mqtt.formats.reading.document import is_number
from healthsync_mqtt.formats.reading.moment import zone_of
from healthsync_mqtt.model.catalogue import CATALOGUE, TimeKind, resolve
from healthsync_mqtt.model.event_schema import words as words_of
from healthsync_mqtt.model.event_type import Quantity
from healthsync_mqtt.model.reasons import RefusedError

DECLARED: Final = "declared"
"""The unit that the login declares."""
_ROOT: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST_RULES: Final = 64


def _is_zone(name: str) -> bool:
    try:
        zone_of(name)
    except RefusedError:
        return False
    return True


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldRule(_Strict):
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
        if self.unit is not None and self.unit_path is not None:
            message = "a number has either a unit or a unit_path"
            raise ValueError(message)
        if self.constant is not None and (self.unit or self.unit_path or self.percent_of or self.words):
            message = "a constant is ours already: it has neither unit nor words"
            raise ValueError(message)
        if self.low is not None and self.high is not None and self.low > self.high:
            message = f"nothing is between {self.low} and {self.high}"
            raise ValueError(message)
        for path in (self.path, self.unit_path, self.percent_of):
            if path is not None:
                is_path(path)
        return self


class TimeRule(_Strict):
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
            is_path(path)
        if self.format not in _TIMES and "%" not in self.format:
            message = f"{self.format!r} is none of {', '.join(_TIMES)} and no pattern with %"
            raise ValueError(message)
        if self.format not in _TIMES:
            _check_pattern(self.format)
        return self


_AFTERNOON: Final = datetime(2021, 12, 28, 13, 14, 15, tzinfo=UTC)


def _check_pattern(pattern: str) -> None:
    """Raises ValueError for a pattern that nothing can be read by, or that leaves a part of the time to be guessed."""
    try:
        read = datetime.strptime(_AFTERNOON.strftime(pattern), pattern)  # noqa: DTZ007  # only its parts are looked at
    except ValueError as error:
        message = f"{pattern!r} is no pattern: {error}"
        raise ValueError(message) from None
    if read.date() != _AFTERNOON.date():
        message = f"{pattern!r} has not all of day, month and year: %d %m %Y"
        raise ValueError(message)
    if read.hour not in {0, _AFTERNOON.hour}:
        message = f"{pattern!r} does not say which half of the day: %H, or %I with %p"
        raise ValueError(message)


_TIMES: Final = ("rfc3339", "epoch_s", "epoch_ms", "date", "arrival")
SCALES: Final = {"epoch_s": 1, "epoch_ms": 1000}


class EventRule(_Strict):
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
    time: TimeRule
    end: TimeRule | None = None
    lasts_s: Annotated[float, Field(gt=0)] | None = None
    value: dict[str, FieldRule]
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
        steps(path)
        return path

    @field_validator("topic")
    @classmethod
    def _one_slot(cls, topic: str) -> str:
        if topic.count("{slot}") > 1:
            message = f"{topic!r} says twice whose it is"
            raise ValueError(message)
        return _is_filter(topic)

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
            try:
                _check_field(self.type, field, rule)
            except ValueError as error:
                message = f"value.{field}: {error}"
                raise ValueError(message) from None
        _check_whole(self.type, self.value.keys())
        if self.end is not None and self.lasts_s is not None:
            message = "an event has either an end or a length"
            raise ValueError(message)
        of = CATALOGUE[self.type]
        lasts = of.kind is TimeKind.INTERVAL or of.max_span_us is not None
        if lasts and self.end is None and self.lasts_s is None:
            message = f"{self.type} is of an interval: say `end:` or `lasts_s:`"
            raise ValueError(message)
        for path in (self.id, self.app, self.model, self.slot, *self.when):
            if path is not None:
                is_path(path)
        return self


def _is_filter(topic: str) -> str:
    for place, level in enumerate(levels := topic.strip("/").split("/")):
        if level == "#" and place < len(levels) - 1:
            message = f"{topic!r}: # is all that follows, and the last level"
            raise ValueError(message)
        if any(each in level and each != level for each in ("#", "+", "{slot}")):
            message = f"{topic!r}: #, + and {{slot}} are whole levels"
            raise ValueError(message)
    return topic


def _check_field(type_: str, field: str, rule: FieldRule) -> None:
    """Raises ValueError for a field of which no message could be taken."""
    quantity = next((each for each in CATALOGUE[type_].quantities if each.field == field), None)
    if quantity is None and (rule.unit is not None or rule.unit_path is not None):
        message = "it is no number that has a unit"
        raise ValueError(message)
    if quantity is not None and rule.unit not in {None, DECLARED, *quantity.taken}:
        message = f"{rule.unit!r} is no unit of it; there are: {', '.join(quantity.taken)}"
        raise ValueError(message)
    if quantity is not None and rule.constant is not None and not _is_within(quantity, rule.constant):
        message = f"{rule.constant!r} is no number between {quantity.low} and {quantity.high}"
        raise ValueError(message)
    known = words_of(CATALOGUE[type_]).get(field)
    ours = [*(rule.words or {}).values(), *([] if rule.constant is None else [rule.constant])]
    unknown = [each for each in ours if each not in (known or ours)]
    if unknown:
        message = f"{unknown[0]!r} is none of its words: {', '.join(known or ())}"
        raise ValueError(message)


def _is_within(quantity: Quantity, constant: str | float | bool) -> bool:  # noqa: FBT001  # whatever was written
    return is_number(constant) and quantity.low <= float(constant) <= quantity.high


def _check_whole(type_: str, fields: Collection[str]) -> None:
    """Raises ValueError for a value that has none of the shapes of its type."""
    needed = [
        [each.encode_name for each in msgspec.structs.fields(form.type) if each.required]
        for form in CATALOGUE[type_].forms.values()
    ]
    if not any(set(each) <= set(fields) for each in needed):
        missing = ", ".join(each for each in needed[0] if each not in fields)
        message = f"value: {type_} needs {missing}"
        raise ValueError(message)


class Declaration(_Strict):
    """A whole format."""

    summary: Annotated[str, Field(min_length=1, max_length=200)]
    roots: tuple[str, ...] = ()
    #: topics, with + and #, that are of no health
    ignore: tuple[str, ...] = ()
    #: csv: each row is an object of texts, by the names in the first line
    payload: Literal["json", "text", "csv"] = "json"
    #: a text is split here
    split: Annotated[str, Field(min_length=1, max_length=8)] | None = None
    rules: Annotated[tuple[EventRule, ...], Field(min_length=1, max_length=_MOST_RULES)]

    @field_validator("ignore")
    @classmethod
    def _filters(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_is_filter, topics))

    @field_validator("roots")
    @classmethod
    def _levels(cls, roots: tuple[str, ...]) -> tuple[str, ...]:
        for root in roots:
            if not _ROOT.fullmatch(root):
                message = f"{root!r} is no first level of a topic"
                raise ValueError(message)
        return roots
