"""One event of a delivery: its envelope, its value, what is kept of it."""

from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from bridge.decode.device_source import DEVICE, SOURCE, read_fields
from bridge.decode.exact_json import MAX_INTEGER, InexactError, read, says_the_same, value_fault
from bridge.decode.refusal import why_refused
from healthsync_mqtt.model.catalogue import EventType, resolve
from healthsync_mqtt.model.event import LATEST, RECORDINGS, Event, Op
from healthsync_mqtt.model.event_type import Form, Span
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable
from healthsync_mqtt.model.times import micros

MAX_OFFSET_S = 64_800

# Plain numbers: attribute access on an enum costs as much as decoding a value.
_UPSERT = int(Op.UPSERT)
_DELETE = int(Op.DELETE)


class Envelope(Struct, frozen=True, forbid_unknown_fields=True):
    """An event as it is sent; what depends on its type is looked at later."""

    id: Annotated[str, Meta(min_length=1, max_length=128)]
    type: str
    start_time: datetime | UnsetType = UNSET
    value: Any = UNSET
    user_id: str | Annotated[int, Meta(ge=0, le=MAX_INTEGER)] | UnsetType | None = UNSET
    end_time: datetime | UnsetType | None = UNSET
    device: Any = UNSET
    utc_offset: Annotated[int, Meta(ge=-MAX_OFFSET_S, le=MAX_OFFSET_S)] | UnsetType | None = UNSET
    source: Any = UNSET
    version: Annotated[int, Meta(ge=0, le=MAX_INTEGER)] | Literal["latest"] | UnsetType = UNSET
    op: Literal["upsert", "delete"] | UnsetType = UNSET


class UnreadEnvelope(Envelope, frozen=True, forbid_unknown_fields=True):
    """The same, with the bytes that were sent where what they say depends on the type, or is often the same."""

    value: Raw | UnsetType = UNSET
    device: Raw | UnsetType = UNSET
    source: Raw | UnsetType = UNSET


_RECORDINGS = frozenset({None, *RECORDINGS})
_encode = msgspec.json.Encoder().encode
_convert = msgspec.convert
_parts = msgspec.json.Decoder(dict[str, Raw]).decode

_NO_SOURCE: dict[str, Any] = {}
_ENVELOPE_FIELDS = frozenset(Envelope.__struct_fields__)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)


@lru_cache(maxsize=256)
def _offset(seconds: int) -> bytes:
    return b',"utc_offset":%d' % seconds


def read_envelope(fields: Any) -> Envelope:
    """The envelope that an exactly read value is. Raises RefusedError."""
    try:
        return _convert(fields, Envelope)
    except msgspec.ValidationError:
        raise why_refused(fields, Envelope) from None


def read_event(envelope: Envelope, index: int, origin: Origin, latest_us: int, limits: Limits) -> Event:
    """The event in an envelope. Raises RefusedError, and InexactError where the exact reader has to be asked."""
    event_type = resolve(envelope.type)
    if event_type is None:
        raise RefusedError(Reason.UNKNOWN_TYPE, "type", f"{printable(envelope.type)} is not in the catalogue")
    user_id, op = envelope.user_id, _DELETE if envelope.op == "delete" else _UPSERT
    if user_id is not UNSET and user_id is not None and str(user_id) != origin.user:
        raise RefusedError(Reason.IDENTITY_MISMATCH, "user_id", "user_id is not the user of the topic")

    start, end, start_us, end_us = envelope.start_time, envelope.end_time, 0, None
    if start is not UNSET:
        start_us = -1 if start.tzinfo is None else micros(start)
        if not 0 <= start_us <= latest_us:
            raise _bad_moment(start, "start_time", latest_us, limits)
    elif op == _UPSERT:
        raise RefusedError(Reason.MISSING_FIELD, "start_time", "start_time is missing")
    if end is not UNSET and end is not None:
        end_us = -1 if end.tzinfo is None else micros(end)
        if not 0 <= end_us <= latest_us:
            raise _bad_moment(end, "end_time", latest_us, limits)
        if end_us < start_us:
            raise RefusedError(Reason.BAD_INTERVAL, "end_time", "the event ends before it starts")

    text, app, sent = b"", None, envelope.value
    if op == _UPSERT:
        if sent is UNSET:
            raise RefusedError(Reason.MISSING_FIELD, "value", "value is missing")
        if event_type.max_span_us is not None:
            _check_span(event_type, start_us, end_us)
        form = event_type.usual
        raw = sent if type(sent) is Raw else None
        try:
            value = _convert(sent, form.type) if raw is None else form.decode(raw)
        except _UNREADABLE:
            value, form, app, raw = _read_other_form(event_type, sent, limits)
        if form.refine is not None:
            value = _refined(form, value, Span(start_us, end_us, latest_us), limits)
        text = _encode(value)
        if raw is not None and (sent := bytes(raw)) != text and not says_the_same(sent, text):
            raise InexactError
    elif sent is not UNSET:
        _check_ignored(event_type, sent, limits)

    device, offset, written, source = b"", b"", b"", _NO_SOURCE
    sent = envelope.device
    if sent is not UNSET and sent is not None:
        _, device = read_fields(sent, DEVICE, limits)
    sent = envelope.utc_offset
    if sent is not UNSET and sent is not None:
        offset = _offset(sent)
    sent = envelope.source
    if sent is not UNSET and sent is not None:
        source, written = read_fields(sent, SOURCE, limits)
        if source.get("recording") not in _RECORDINGS:
            message = "recording must be auto, active, manual or unknown"
            raise RefusedError(Reason.WRONG_TYPE, "source.recording", message)
    if app is not None or origin.provider is not None:
        written = SOURCE.written(_completed(source, app, origin.provider))
    if op == _UPSERT:
        body = b'{"value":%b%b%b%b}' % (text, device, offset, written)
    else:
        body = b"{%b}" % (device + offset + written)[1:]
    counted = envelope.version
    version = 0 if counted is UNSET else LATEST if counted == "latest" else counted
    # Twice as fast as Event(...), on the one path where that counts.
    return tuple.__new__(Event, (envelope.id, event_type.name, start_us, end_us, version, op, body, index))


def has_ignored_value(fields: Any) -> bool:
    """Whether an exactly read value is a delete with a value, which may have to be walked through."""
    return isinstance(fields, dict) and fields.get("op") == "delete" and "value" in fields


def only_type(fields: Any) -> str | None:
    """The canonical type of an exactly read value that holds nothing of another type: each name in it is this one's."""
    event_type = resolve(fields["type"]) if isinstance(fields, dict) and isinstance(fields.get("type"), str) else None
    if event_type is None:
        return None
    for name, part in fields.items():
        if name == "value":
            own = _has_only(part, event_type.names)
        elif name in {"device", "source"} and isinstance(part, dict):
            own = not any(isinstance(each, dict | list) for each in part.values())
        else:
            own = name in _ENVELOPE_FIELDS and not isinstance(part, dict | list)
        if not own:
            return None
    return event_type.name


def _has_only(value: Any, names: frozenset[str]) -> bool:
    """Level by level, so that a series of many thousand samples is a few calls and not one for each."""
    level = [value]
    while level:
        kinds = set(map(type, level))
        below: list[Any] = []
        if dict in kinds:
            for each in level:
                if type(each) is dict:
                    if not names.issuperset(each):
                        return False
                    below += each.values()
        if list in kinds:
            below += chain.from_iterable([each for each in level if type(each) is list])
        level = below
    return True


def _bad_moment(when: datetime, field: str, latest_us: int, limits: Limits) -> RefusedError:
    """Why a time that is not one between 1970 and the latest is refused."""
    if when.tzinfo is None:
        return RefusedError(Reason.NAIVE_TIME, field, f"{field} has no offset")
    us = micros(when)
    if us < 0:
        return RefusedError(Reason.BAD_TIME, field, f"{field} is before 1970")
    doubtful = us <= latest_us + limits.doubtful_future_us
    due_us = us - limits.max_future_us
    return RefusedError(Reason.FUTURE_TIME, field, f"{field} is in the future", retry=doubtful, due_us=due_us)


def _check_ignored(event_type: EventType, sent: Any, limits: Limits) -> None:
    """The value of a delete, which is not kept: one of a form of its type is well, any other is walked through."""
    form = event_type.usual
    if type(sent) is Raw:
        try:
            found = form.decode(sent)
        except _UNREADABLE:
            raise InexactError from None  # read exactly it is walked through, and that is counted
        if not says_the_same(bytes(sent), _encode(found)):
            raise InexactError
        return
    given = [field for field in event_type.forms if field in sent] if isinstance(sent, dict) else []
    form = event_type.forms[given[0]] if given else form
    try:
        _convert(sent, form.type)
    except msgspec.ValidationError:
        if fault := value_fault(sent, limits.max_depth - 1):
            raise fault.inside(".value").refusal() from None


def _check_span(event_type: EventType, start_us: int, end_us: int | None) -> None:
    if end_us is None:
        raise RefusedError(Reason.MISSING_FIELD, "end_time", f"{event_type.name} needs an end_time")
    if event_type.max_span_us is not None and end_us - start_us > event_type.max_span_us:
        hours = event_type.max_span_us // 3_600_000_000
        raise RefusedError(Reason.BAD_INTERVAL, "end_time", f"{event_type.name} is longer than {hours} hours")


def _read_other_form(event_type: EventType, sent: Any, limits: Limits) -> tuple[Any, Form, str | None, Raw | None]:
    """Reads a value that is not of the usual form: another form, or with the ``source`` of the first API in it.

    The bytes that were sent come back where they were read by type and not yet exactly.
    """
    forms, form, app = event_type.forms, event_type.usual, None
    if type(sent) is Raw:
        if (found := _read_quickly(event_type, sent)) is not None:
            return *found, None, sent
        sent = read(bytes(sent))
    if isinstance(sent, dict):
        given = [field for field in forms if field in sent]
        if len(given) > 1:
            raise RefusedError(
                Reason.UNKNOWN_FIELD, f"value.{given[1]}", f"{given[0]} and {given[1]} exclude each other"
            )
        if "source" in sent:
            app = _source_text(sent["source"], limits)
            sent = {field: part for field, part in sent.items() if field != "source"}
        form = forms[given[0]] if given else form
        samples = sent.get("samples")
        if isinstance(samples, list) and len(samples) > limits.max_samples and "samples" in forms:
            message = f"{len(samples)} samples are more than {limits.max_samples}"
            raise RefusedError(Reason.TOO_LARGE, "value.samples", message)
    try:
        return _convert(sent, form.type), form, app, None
    except msgspec.ValidationError:
        series_of = event_type.quantities[0].field if event_type.quantities else ""
        raise why_refused(sent, form.type, "value", series_of) from None


def _read_quickly(event_type: EventType, raw: Raw) -> tuple[Any, Form] | None:
    try:
        given = [field for field in _parts(raw) if field in event_type.forms or field == "source"]
        form = event_type.forms[given[0]] if len(given) == 1 and given[0] != "source" else None
        return None if form is None else (form.decode(raw), form)
    except _UNREADABLE:
        return None


def _source_text(text: Any, limits: Limits) -> str:
    if not isinstance(text, str):
        raise RefusedError(Reason.WRONG_TYPE, "value.source", "source must be text")
    if len(text) > limits.max_string:
        raise RefusedError(Reason.BAD_STRING, "value.source", f"a text longer than {limits.max_string} characters")
    return text


def _refined(form: Form, value: Any, span: Span, limits: Limits) -> Any:
    assert form.refine is not None
    try:
        return form.refine(value, span, limits)
    except RefusedError as refusal:
        raise RefusedError(
            refusal.code, f"value.{refusal.field}", str(refusal), retry=refusal.retry, due_us=refusal.due_us
        ) from None


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
