"""Why a value is not of its type: the type itself is asked, place by place, until the first fault.

The types are those that msgspec checks on the fast way (``EventType.forms``, ``Envelope``); what it refuses is looked
at here once more for the reason, the place and the words. A list is passed over in blocks that msgspec finds sound, so
that one bad sample among 20,000 costs no look at each.
"""

import types
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from bridge.decode.exact_json import ValueFault, number_fault
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable

_BLOCK = 256
_IDS = frozenset({"id", "user_id", "batch"})
_WORDS: dict[type, str] = {
    bool: "bool", int: "int", float: "float", str: "str", type(None): "null", dict: "object", list: "array",
}  # fmt: skip

_Check = Callable[[Any], ValueFault | None]


class _Part(NamedTuple):
    """One alternative of a type: the kinds of JSON it takes with their checks, and its name in a message."""

    kinds: dict[type, _Check]
    word: str


def why_refused(value: Any, wanted: Any, within: str = "", series_of: str = "") -> RefusedError:
    """The refusal of a value that is not of the type ``wanted`` and stands at the path ``within``.

    Faults are told without their subject, which is the last step of the path; the second number of a sample is called
    ``series_of``.
    """
    fault = checker(wanted)(value) or ValueFault(Reason.WRONG_TYPE, "", "cannot be read")
    path = (within + fault.path).removeprefix(".")
    subject = path.rpartition(".")[2] or "the event"
    if subject.startswith("samples[") and subject.endswith("][1]"):
        subject = series_of or subject
    reason = Reason.BAD_ID if fault.reason is Reason.BAD_STRING and path in _IDS else fault.reason
    if reason is Reason.BAD_NUMBER:  # the number is its own subject
        return RefusedError(reason, path or None, fault.message)
    return RefusedError(reason, path or None, f"{subject} {fault.message}")


@lru_cache(maxsize=1024)
def checker(wanted: Any) -> _Check:
    """What finds the first fault of a value that should be of this type, None when it has none."""
    if wanted is Any:
        return lambda _: None
    parts = [_part(each) for each in _alternatives(wanted)]
    kinds: dict[type, _Check] = {}
    for part in sorted(parts, key=lambda part: part.word == "float"):  # its bounds are the exact ones
        kinds |= part.kinds
    words = " or ".join(part.word for part in parts if part.word != "null")

    def find(value: Any) -> ValueFault | None:
        check = kinds.get(type(value))
        if check is not None:
            return check(value)
        return ValueFault(Reason.WRONG_TYPE, "", f"must be {words}, not {_WORDS.get(type(value), 'that')}")

    return find


def _alternatives(wanted: Any) -> list[Any]:
    if get_origin(wanted) in {Union, types.UnionType}:
        return [each for part in get_args(wanted) if part is not msgspec.UnsetType for each in _alternatives(part)]
    return [wanted]


def _part(wanted: Any) -> _Part:
    meta = msgspec.Meta()
    if get_origin(wanted) is Annotated:
        wanted, meta = get_args(wanted)
    origin = get_origin(wanted)
    if wanted is int:
        return _Part({int: _number(meta), float: _fixed(Reason.WRONG_TYPE, "must be int, not float")}, "int")
    if wanted is float:
        return _Part({int: _number(meta), float: _number(meta)}, "float")
    if wanted is str:
        return _Part({str: _length(meta, Reason.BAD_STRING, Reason.BAD_STRING, "characters")}, "str")
    if wanted is bool:
        return _Part({bool: lambda _: None}, "bool")
    if wanted is type(None):
        return _Part({type(None): lambda _: None}, "null")
    if wanted is datetime:
        return _Part({str: _moment}, "text with a date and time")
    if origin is Literal:
        return _Part({str: _word(frozenset(get_args(wanted)))}, "str")
    if origin is list:
        return _Part({list: _list(get_args(wanted)[0], meta)}, "array")
    if origin is tuple:
        return _Part({list: _tuple(get_args(wanted))}, "array")
    return _Part({dict: _object(wanted)}, "object")


def _fixed(reason: Reason, message: str) -> _Check:
    return lambda _: ValueFault(reason, "", message)


def _number(meta: msgspec.Meta) -> _Check:
    def find(value: Any) -> ValueFault | None:
        if fault := number_fault(value):
            return fault
        for limit, relation, broken in (
            (meta.le, "above", meta.le is not None and value > meta.le),
            (meta.ge, "below", meta.ge is not None and value < meta.ge),
        ):
            if broken:
                return ValueFault(Reason.OUT_OF_RANGE, "", f"{value} is {relation} {limit:.15g}")
        return None

    return find


def _length(meta: msgspec.Meta, short: Reason, long: Reason, unit: str) -> _Check:
    def find(value: Any) -> ValueFault | None:
        if meta.min_length is not None and len(value) < meta.min_length:
            return ValueFault(short, "", f"must have at least {meta.min_length} {unit}")
        if meta.max_length is not None and len(value) > meta.max_length:
            return ValueFault(long, "", f"must have at most {meta.max_length} {unit}")
        return None

    return find


def _moment(value: str) -> ValueFault | None:
    try:
        msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        return ValueFault(Reason.BAD_TIME, "", "is not an RFC 3339 date and time")
    return None


def _word(words: frozenset[str]) -> _Check:
    wrong = ValueFault(Reason.WRONG_TYPE, "", "is none of the words it may be")
    return lambda value: None if value in words else wrong


def _list(item: Any, meta: msgspec.Meta) -> _Check:
    length = _length(meta, Reason.WRONG_TYPE, Reason.TOO_LARGE, "entries")
    find_in = checker(item)
    block_type: Any = list[item]

    def find(value: Any) -> ValueFault | None:
        if fault := length(value):
            return fault
        for start in range(0, len(value), _BLOCK):
            block = value[start : start + _BLOCK]
            try:
                msgspec.convert(block, block_type)
            except msgspec.ValidationError:
                for place, part in enumerate(block, start):
                    if fault := find_in(part):
                        return fault.inside(f"[{place}]")
        return None

    return find


def _tuple(items: tuple[Any, ...]) -> _Check:
    checks = [checker(item) for item in items]

    def find(value: Any) -> ValueFault | None:
        if len(value) != len(checks):
            return ValueFault(Reason.WRONG_TYPE, "", f"must have exactly {len(checks)} entries")
        for place, (check, part) in enumerate(zip(checks, value, strict=True)):
            if fault := check(part):
                return fault.inside(f"[{place}]")
        return None

    return find


def _object(wanted: Any) -> _Check:
    fields = {field.encode_name: checker(field.type) for field in msgspec.structs.fields(wanted)}
    required = [field.encode_name for field in msgspec.structs.fields(wanted) if field.required]

    def find(value: Any) -> ValueFault | None:
        for key, part in value.items():
            check = fields.get(key)
            fault = ValueFault(Reason.UNKNOWN_FIELD, "", "is no field here") if check is None else check(part)
            if fault:
                return fault.inside(f".{printable(key)}")
        for name in required:
            if name not in value:
                return ValueFault(Reason.MISSING_FIELD, f".{name}", "is missing")
        return None

    return find
