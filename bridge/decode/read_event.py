"""One event of a delivery: its envelope, its value, what is kept of it."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from bridge.decode.device_source import DEVICE_FIELDS, RECORDINGS, SOURCE_FIELDS, read_fields
from bridge.decode.exact_json import MAX_INTEGER, printable
from bridge.decode.refusal import explain
from healthsync_mqtt.model.catalogue import EventType, resolve
from healthsync_mqtt.model.event import Event, Op
from healthsync_mqtt.model.event_type import Form, Span
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.times import micros

MAX_OFFSET_S = 64_800

# Plain numbers: attribute access on an enum costs as much as decoding a value.
_UPSERT = int(Op.UPSERT)
_DELETE = int(Op.DELETE)


class Envelope(Struct, frozen=True, forbid_unknown_fields=True):
    """An event as it is sent; what depends on its type stays undecoded."""

    id: Annotated[str, Meta(min_length=1, max_length=128)]
    type: str
    start_time: datetime | UnsetType = UNSET
    value: Raw | UnsetType = UNSET
    user_id: str | Annotated[int, Meta(ge=0, le=MAX_INTEGER)] | UnsetType | None = UNSET
    end_time: datetime | UnsetType | None = UNSET
    device: Raw | UnsetType = UNSET
    utc_offset: Annotated[int, Meta(ge=-MAX_OFFSET_S, le=MAX_OFFSET_S)] | UnsetType | None = UNSET
    source: Raw | UnsetType = UNSET
    version: Annotated[int, Meta(ge=0, le=MAX_INTEGER)] | UnsetType = UNSET
    op: Literal["upsert", "delete"] | UnsetType = UNSET


_encode = msgspec.json.Encoder().encode
_parts = msgspec.json.Decoder(dict[str, Raw]).decode
_text = msgspec.json.Decoder(str).decode

_NO_SOURCE: dict[str, Any] = {}


def accept(envelope: Envelope, index: int, origin: Origin, latest_us: int, limits: Limits) -> tuple[Event, int]:
    """The event, and how many JSON keys its bytes must have if none is repeated. Raises RefusedError."""
    keys = 2
    event_type = resolve(envelope.type)
    if event_type is None:
        raise RefusedError(Reason.UNKNOWN_TYPE, "type", f"{printable(envelope.type)} is not in the catalogue")
    if envelope.user_id is not UNSET:
        keys += 1
        if envelope.user_id is not None and str(envelope.user_id) != origin.user:
            raise RefusedError(Reason.IDENTITY_MISMATCH, "user_id", "user_id is not the user of the topic")
    op = _UPSERT
    if envelope.op is not UNSET:
        keys += 1
        if envelope.op == "delete":
            op = _DELETE
    version = 0
    if envelope.version is not UNSET:
        keys += 1
        version = envelope.version

    start_us = 0
    if envelope.start_time is not UNSET:
        keys += 1
        start_us = _moment(envelope.start_time, "start_time", latest_us)
    elif op == _UPSERT:
        raise RefusedError(Reason.MISSING_FIELD, "start_time", "start_time is missing")
    end_us = None
    if envelope.end_time is not UNSET:
        keys += 1
        if envelope.end_time is not None:
            end_us = _moment(envelope.end_time, "end_time", latest_us)
            if end_us < start_us:
                raise RefusedError(Reason.BAD_INTERVAL, "end_time", "the event ends before it starts")

    body = b""
    app = None
    if op == _UPSERT:
        if envelope.value is UNSET:
            raise RefusedError(Reason.MISSING_FIELD, "value", "value is missing")
        if event_type.max_span_us is not None:
            _check_span(event_type, start_us, end_us)
        form = event_type.usual
        try:
            value = form.decode(envelope.value)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            value, form, app = _read_other_form(event_type, bytes(envelope.value), limits)
        if form.refine is not None:
            value = _refined(form, value, Span(start_us, end_us, latest_us), limits)
        text = _encode(value)
        body = b',"value":' + text
        keys += 1 + (form.keys or text.count(b'":')) + (app is not None)
    elif envelope.value is not UNSET:
        keys += 1

    if envelope.device is not UNSET:
        device, count, text = read_fields(envelope.device, "device", DEVICE_FIELDS, limits)
        keys += 1 + count
        if device:
            body += b',"device":' + text
    if envelope.utc_offset is not UNSET:
        keys += 1
        if envelope.utc_offset is not None:
            body += b',"utc_offset":%d' % envelope.utc_offset
    source, source_text = _NO_SOURCE, b""
    if envelope.source is not UNSET:
        source, count, source_text = read_fields(envelope.source, "source", SOURCE_FIELDS, limits)
        keys += 1 + count
        if source.get("recording") not in RECORDINGS:
            message = "recording must be auto, active, manual or unknown"
            raise RefusedError(Reason.WRONG_TYPE, "source.recording", message)
    if app is not None or origin.provider is not None:
        source = _completed(source, app, origin.provider)
        source_text = _encode(source)
    if source:
        body += b',"source":' + source_text
    body = b"{" + body[1:] + b"}"
    # Twice as fast as Event(...), on the one path where that counts.
    return tuple.__new__(Event, (envelope.id, event_type.name, start_us, end_us, version, op, body, index)), keys


def _moment(when: datetime, field: str, latest_us: int) -> int:
    if when.tzinfo is None:
        raise RefusedError(Reason.NAIVE_TIME, field, f"{field} has no offset")
    us = micros(when)
    if us > latest_us:
        raise RefusedError(Reason.FUTURE_TIME, field, f"{field} is in the future")
    if us < 0:
        raise RefusedError(Reason.BAD_TIME, field, f"{field} is before 1970")
    return us


def _check_span(event_type: EventType, start_us: int, end_us: int | None) -> None:
    if end_us is None:
        raise RefusedError(Reason.MISSING_FIELD, "end_time", f"{event_type.name} needs an end_time")
    if event_type.max_span_us is not None and end_us - start_us > event_type.max_span_us:
        hours = event_type.max_span_us // 3_600_000_000
        raise RefusedError(Reason.BAD_INTERVAL, "end_time", f"{event_type.name} is longer than {hours} hours")


def _read_other_form(event_type: EventType, raw: bytes, limits: Limits) -> tuple[Any, Form, str | None]:
    """Reads a value that is not of the usual form: another form, or with the ``source`` of the first API in it."""
    forms = event_type.forms
    usual = next(iter(forms))
    try:
        parts = _parts(raw)
        source = parts.pop("source", None)
        given = [field for field in forms if field in parts]
        if len(given) > 1:
            raise RefusedError(
                Reason.UNKNOWN_FIELD, f"value.{given[1]}", f"{given[0]} and {given[1]} exclude each other"
            )
        app = None if source is None else _source_text(source, limits)
        form = forms[given[0] if given else usual]
        rest = raw if source is None else _encode(parts)
        return form.decode(rest), form, app
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise explain(error, raw, "value", event_type.quantities) from None


def _source_text(raw: Raw, limits: Limits) -> str:
    try:
        text = _text(raw)
    except msgspec.ValidationError:
        raise RefusedError(Reason.WRONG_TYPE, "value.source", "source must be text") from None
    if len(text) > limits.max_string:
        raise RefusedError(Reason.BAD_STRING, "value.source", f"a text longer than {limits.max_string} characters")
    return text


def _refined(form: Form, value: Any, span: Span, limits: Limits) -> Any:
    assert form.refine is not None
    try:
        return form.refine(value, span, limits)
    except RefusedError as refusal:
        raise RefusedError(refusal.code, f"value.{refusal.field}", str(refusal)) from None


def _completed(source: dict[str, Any], app: str | None, provider: str | None) -> dict[str, Any]:
    """The source with what the value and the topic say about it, which may not contradict what it says itself."""
    if app is not None and source.get("app", app) != app:
        raise RefusedError(Reason.UNKNOWN_FIELD, "value.source", "the app is given in value.source and in source.app")
    if provider is not None and source.get("provider", provider) != provider:
        raise RefusedError(Reason.IDENTITY_MISMATCH, "source.provider", "provider is not the provider of the topic")
    source = dict(source)
    if provider is not None:
        source["provider"] = provider
    if app is not None:
        source["app"] = app
    return source
