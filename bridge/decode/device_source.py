"""The ``device`` and ``source`` of an event: known texts, and a bounded number of unknown plain fields."""

from typing import Any

import msgspec
from msgspec import Raw

from bridge.decode.exact_json import InexactError, number_fault, says_the_same
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable

DEVICE_FIELDS = frozenset({"platform", "model", "manufacturer", "type", "os_version", "app_version", "firmware"})
SOURCE_FIELDS = frozenset({"provider", "record_id", "recording", "app", "app_version"})
RECORDINGS = frozenset({None, "auto", "active", "manual", "unknown"})

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

_REMEMBERED = 512
_LONGEST_REMEMBERED = 512

#: What was read before of these bytes, where every field is a text: a device says the same of itself in all its events.
_remembered: dict[bytes, tuple[dict[str, Any], bytes]] = {}


def read_fields(sent: Any, name: str, known: frozenset[str], limits: Limits) -> tuple[dict[str, Any], bytes]:
    """``device`` or ``source`` without its nulls, and its JSON; nothing of both for a null.

    ``sent`` is what was read, or the bytes that were sent. Raises RefusedError, and InexactError where the exact reader
    has to be asked for what the bytes are.
    """
    raw = bytes(sent) if type(sent) is Raw else b""
    found = _remembered.get(raw)
    if found is None:
        if raw:
            sent = _decode(raw)
            if sent is None:
                return {}, b""
            if not says_the_same(raw, _encode(sent)):
                raise InexactError
        found = _read(sent, name, known, limits)
        if raw and found[0] is sent and len(raw) <= _LONGEST_REMEMBERED:
            if len(_remembered) >= _REMEMBERED:
                _remembered.clear()
            _remembered[raw] = found
    fields, encoded = found
    if len(fields) > limits.max_unknown or len(encoded) > limits.max_string:
        _check_sizes(fields, name, known, limits)
    return found


def _read(sent: Any, name: str, known: frozenset[str], limits: Limits) -> tuple[dict[str, Any], bytes]:
    if type(sent) is not dict:
        raise RefusedError(Reason.WRONG_TYPE, name, f"{name} must be an object")
    fields = sent
    for value in sent.values():
        if type(value) is not str:
            _check_mixed(sent, name, known, limits)
            fields = {key: value for key, value in sent.items() if value is not None}
            break
    return fields, _encode(fields)


def _check_mixed(fields: dict[str, Any], name: str, known: frozenset[str], limits: Limits) -> None:
    _check_count(fields, name, known, limits)
    for key, value in fields.items():
        path = f"{name}.{printable(key)}"
        if isinstance(value, dict | list):
            raise RefusedError(Reason.WRONG_TYPE, path, f"{name} may not hold objects or arrays")
        if key in known and not isinstance(value, str | None):
            raise RefusedError(Reason.WRONG_TYPE, path, f"{key} must be text")
        if isinstance(value, int | float) and (fault := number_fault(value)):
            raise fault.inside(path).refusal()


def _check_sizes(fields: dict[str, Any], name: str, known: frozenset[str], limits: Limits) -> None:
    _check_count(fields, name, known, limits)
    for key, value in fields.items():
        if len(key) > limits.max_string or (isinstance(value, str) and len(value) > limits.max_string):
            message = f"a text longer than {limits.max_string} characters"
            raise RefusedError(Reason.BAD_STRING, f"{name}.{printable(key)}", message)


def _check_count(fields: dict[str, Any], name: str, known: frozenset[str], limits: Limits) -> None:
    unknown = len(fields.keys() - known)
    if unknown > limits.max_unknown:
        message = f"{name} has {unknown} unknown fields, more than {limits.max_unknown}"
        raise RefusedError(Reason.UNKNOWN_FIELD, name, message)
