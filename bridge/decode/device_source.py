"""The ``device`` and ``source`` of an event: known texts, and a bounded number of unknown plain fields."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Raw

from bridge.decode.exact_json import InexactError, number_fault, says_the_same
from healthsync_mqtt.model.event import DEVICE_FIELDS, SOURCE_FIELDS
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

_REMEMBERED = 512
_LONGEST_REMEMBERED = 512

_Read = tuple[dict[str, Any], bytes]
"""The fields without nulls, and what is stored of them: key and value as JSON, or nothing."""


@dataclass(frozen=True, slots=True)
class Particulars:
    """``device`` or ``source``: its name in the event, the fields that have a meaning, and what was read before.

    What was read is remembered by the bytes that were sent, where every field is a text: a device says the same of
    itself in each of its events.
    """

    name: str
    known: frozenset[str]
    remembered: dict[bytes, _Read] = field(default_factory=dict)

    def written(self, fields: dict[str, Any]) -> bytes:
        """What is stored of these fields."""
        return b',"%b":%b' % (self.name.encode(), _encode(fields)) if fields else b""

    def remember(self, raw: bytes, found: _Read) -> None:
        """Know these bytes again, if they are not too long; the memory is bounded."""
        if len(raw) <= _LONGEST_REMEMBERED:
            if len(self.remembered) >= _REMEMBERED:
                self.remembered.clear()
            self.remembered[raw] = found


DEVICE = Particulars("device", frozenset(DEVICE_FIELDS))
SOURCE = Particulars("source", frozenset(SOURCE_FIELDS))


def read_fields(sent: Any, part: Particulars, limits: Limits) -> _Read:
    """``device`` or ``source`` of an event; nothing of both for a null.

    ``sent`` is what was read, or the bytes that were sent. Raises RefusedError, and InexactError where the exact reader
    has to be asked for what the bytes are.
    """
    raw = bytes(sent) if type(sent) is Raw else b""
    found = part.remembered.get(raw)
    if found is None:
        if raw:
            sent = _decode(raw)
            if sent is None:
                return {}, b""
            if not says_the_same(raw, _encode(sent)):
                raise InexactError
        found = _read(sent, part, limits)
        if raw and found[0] is sent:
            part.remember(raw, found)
    fields, written = found
    if len(fields) > limits.max_unknown or len(written) > limits.max_string:
        _check_sizes(fields, part, limits)
    return found


def _read(sent: Any, part: Particulars, limits: Limits) -> _Read:
    if type(sent) is not dict:
        raise RefusedError(Reason.WRONG_TYPE, part.name, f"{part.name} must be an object")
    fields = sent
    for value in sent.values():
        if type(value) is not str:
            _check_mixed(sent, part, limits)
            fields = {key: value for key, value in sent.items() if value is not None}
            break
    return fields, part.written(fields)


def _check_mixed(fields: dict[str, Any], part: Particulars, limits: Limits) -> None:
    _check_count(fields, part, limits)
    for key, value in fields.items():
        path = f"{part.name}.{printable(key)}"
        if isinstance(value, dict | list):
            raise RefusedError(Reason.WRONG_TYPE, path, f"{part.name} may not hold objects or arrays")
        if key in part.known and not isinstance(value, str | None):
            raise RefusedError(Reason.WRONG_TYPE, path, f"{key} must be text")
        if isinstance(value, int | float) and (fault := number_fault(value)):
            raise fault.inside(path).refusal()


def _check_sizes(fields: dict[str, Any], part: Particulars, limits: Limits) -> None:
    _check_count(fields, part, limits)
    for key, value in fields.items():
        if len(key) > limits.max_string or (isinstance(value, str) and len(value) > limits.max_string):
            message = f"a text longer than {limits.max_string} characters"
            raise RefusedError(Reason.BAD_STRING, f"{part.name}.{printable(key)}", message)


def _check_count(fields: dict[str, Any], part: Particulars, limits: Limits) -> None:
    unknown = len(fields.keys() - part.known)
    if unknown > limits.max_unknown:
        message = f"{part.name} has {unknown} unknown fields, more than {limits.max_unknown}"
        raise RefusedError(Reason.UNKNOWN_FIELD, part.name, message)
