"""A JSON document of somebody else, and its fields: each is what it must be, or the refusal says which is not."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import jiter

from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable

Record = dict[str, Any]


@contextmanager
def inside(part: str) -> Iterator[None]:
    """What is refused within is refused at its place in this part."""
    try:
        yield
    except RefusedError as refusal:
        field = part
        if refusal.field:
            field = f"{part}{refusal.field}" if refusal.field.startswith("[") else f"{part}.{refusal.field}"
        raise RefusedError(refusal.code, field, str(refusal)) from None


_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_BIGGEST: Final = 2**53
_LONGEST_NUMBER: Final = 40


def read_document(payload: bytes) -> Any:
    """The JSON value that a payload is. Raises RefusedError, also for a key that is there twice."""
    try:
        return jiter.from_json(payload, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys")
    except ValueError as error:
        raise RefusedError(Reason.MALFORMED, None, f"not JSON: {error}") from None


def read_object(payload: bytes) -> Record:
    """The JSON object that a payload is. Raises RefusedError."""
    document = read_document(payload)
    if not isinstance(document, dict):
        raise RefusedError(Reason.MALFORMED, None, "not a JSON object")
    return document


def as_record(value: Any) -> Record:
    """One record of a list. Raises RefusedError."""
    if not isinstance(value, dict):
        raise RefusedError(Reason.WRONG_TYPE, None, "the record is not an object")
    return value


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number that can be carried."""
    kind = type(value)
    return (kind is int and abs(value) <= _BIGGEST) or (kind is float and math.isfinite(value))


def number(record: Record, field: str, *, texts: bool = False) -> float:
    """A number; ``texts``: this source also writes it as a text (``"19.2"``). Raises RefusedError."""
    value: Any = record.get(field)
    if is_number(value):
        return value  # type: ignore[no-any-return]  # it is one
    if value is None:
        raise RefusedError(Reason.MISSING_FIELD, field, f"{field} is missing")
    if texts and isinstance(value, str):
        return number_of_text(value, field)
    if type(value) in {int, float}:
        raise RefusedError(Reason.BAD_NUMBER, field, f"{field} is beyond 2^53")
    raise RefusedError(Reason.WRONG_TYPE, field, f"{field} must be a number")


def number_or_none(record: Record, field: str, *, texts: bool = False) -> float | None:
    """A number, None where it is absent or null. Raises RefusedError for what is neither."""
    return None if record.get(field) is None else number(record, field, texts=texts)


def number_of_text(text: str, field: str | None = None) -> float:
    """A number that is written in a text, with a decimal point. Raises RefusedError."""
    found = text.strip()
    if len(found) > _LONGEST_NUMBER or not _NUMBER.fullmatch(found):
        reason = Reason.BAD_NUMBER if found.lower() in {"nan", "inf", "-inf", "infinity"} else Reason.WRONG_TYPE
        raise RefusedError(reason, field, f"{printable(text)} is no number")
    value = float(found) if any(each in found for each in ".eE") else int(found)
    if not is_number(value):
        raise RefusedError(Reason.BAD_NUMBER, field, f"{printable(text)} is too big a number")
    return value


def text(record: Record, field: str) -> str:
    """A text that is there. Raises RefusedError."""
    value = record.get(field)
    if isinstance(value, str) and value.strip():
        return value
    if value is None or value == "":
        raise RefusedError(Reason.MISSING_FIELD, field, f"{field} is missing")
    raise RefusedError(Reason.WRONG_TYPE, field, f"{field} must be text")


def text_or_none(record: Record, field: str) -> str | None:
    """A text without blanks around it; None where there is none, or something that is no text."""
    value = record.get(field)
    return value.strip() or None if isinstance(value, str) else None


def items(record: Record, field: str) -> list[Any]:
    """A list; empty where it is absent or null, as apps write that there is nothing. Raises RefusedError."""
    value = record.get(field)
    if value is None:
        return []
    if not isinstance(value, list):
        raise RefusedError(Reason.WRONG_TYPE, field, f"{field} must be a list")
    return value


def inner(record: Record, field: str) -> Record:
    """An object; empty where it is absent or null. Raises RefusedError."""
    value = record.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RefusedError(Reason.WRONG_TYPE, field, f"{field} must be an object")
    return value


def whole(number: float) -> float:
    """A number as it is written shortest: 512.0 is 512, so that a source that writes both says the same."""
    return int(number) if type(number) is float and number.is_integer() and abs(number) <= _BIGGEST else number
