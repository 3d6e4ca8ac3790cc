"""The ``device`` and ``source`` of an event: known texts, and a bounded number of unknown plain fields."""

import math
from typing import Any

import msgspec

from bridge.decode.exact_json import MAX_INTEGER, printable
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.reasons import Reason, RefusedError

DEVICE_FIELDS = frozenset({"platform", "model", "manufacturer", "type", "os_version", "app_version", "firmware"})
SOURCE_FIELDS = frozenset({"provider", "record_id", "recording", "app", "app_version"})
RECORDINGS = frozenset({None, "auto", "active", "manual", "unknown"})

_encode = msgspec.json.Encoder().encode
_texts = msgspec.json.Decoder(dict[str, str]).decode
_anything = msgspec.json.Decoder().decode


def read_fields(
    raw: msgspec.Raw, name: str, known: frozenset[str], limits: Limits
) -> tuple[dict[str, Any], int, bytes]:
    """``device`` or ``source`` without its nulls, how many keys it was sent with, and its JSON. Raises RefusedError."""
    fields: dict[str, Any]
    try:
        fields = _texts(raw)
        keys = len(fields)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        mixed = _read_mixed(raw, name, known, limits)
        keys = len(mixed)
        fields = {key: value for key, value in mixed.items() if value is not None}
    encoded = _encode(fields)
    if keys > limits.max_unknown or len(encoded) > limits.max_string:
        _check_sizes(fields, name, known, limits)
    return fields, keys, encoded


def _read_mixed(raw: msgspec.Raw, name: str, known: frozenset[str], limits: Limits) -> dict[str, Any]:
    try:
        fields = _anything(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise RefusedError(Reason.MALFORMED, name, f"{name} cannot be read") from None
    if fields is None:
        return {}
    if not isinstance(fields, dict):
        raise RefusedError(Reason.WRONG_TYPE, name, f"{name} must be an object")
    _check_count(fields, name, known, limits)
    for key, value in fields.items():
        path = f"{name}.{printable(key)}"
        if isinstance(value, dict | list):
            raise RefusedError(Reason.WRONG_TYPE, path, f"{name} may not hold objects or arrays")
        if key in known and not isinstance(value, str | None):
            raise RefusedError(Reason.WRONG_TYPE, path, f"{key} must be text")
        if isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise RefusedError(Reason.BAD_NUMBER, path, f"{printable(key)} is beyond 2^53")
        if isinstance(value, float) and not math.isfinite(value):
            raise RefusedError(Reason.BAD_NUMBER, path, f"{printable(key)} is not finite")
    return fields


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
