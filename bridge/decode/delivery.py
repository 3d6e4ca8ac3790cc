"""Decode: a payload into events and rejections. Pure; never raises; one bad event never harms the others.

The whole delivery is read at once with typed decoders. They do not see three things: repeated keys, escaped control
characters, and characters outside ASCII that texts may not have. Each has a cheap test over the whole payload that
never misses one (keys are counted: JSON with n keys has at least n times ``":`` in it); only what fails such a test is
read again, exactly and slowly.
"""

from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct, UnsetType

from bridge.decode.exact_json import has_forbidden_text, is_clean, is_too_deep, printable, repeated_key, scrutinize
from bridge.decode.inflate import MAGIC, inflate
from bridge.decode.read_event import Envelope, accept
from bridge.decode.recover import salvage
from bridge.decode.refusal import explain
from healthsync_mqtt.model.event import Decoded, Event, Rejection
from healthsync_mqtt.model.limits import DEFAULT, Limits
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason, RefusedError

__all__ = ["DEFAULT", "Limits", "decode"]

_BLANK = b" \t\r\n"
_UNREADABLE = (RefusedError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _Batch(Struct, frozen=True, forbid_unknown_fields=True):
    batch: str
    events: list[Envelope]


class _RawBatch(Struct, frozen=True, forbid_unknown_fields=True):
    batch: str
    events: list[Raw]


class _Wrapper(Struct, frozen=True):
    """Only to see whether an object is meant as a batch."""

    events: Raw | UnsetType = msgspec.UNSET


class _Delivery(NamedTuple):
    """A payload taken apart: ``envelopes`` when all of them could be read, ``raws`` when they are known."""

    batch: str | None
    envelopes: list[Envelope] | None
    raws: list[Raw] | list[bytes] | None


class _DeliveryRefusedError(RefusedError):
    """The whole delivery is refused; ``batch`` is its id, if that could be read."""

    def __init__(self, refusal: RefusedError, batch: str | None) -> None:
        super().__init__(refusal.code, refusal.field, str(refusal))
        self.batch = batch


_envelope = msgspec.json.Decoder(Envelope).decode
_envelopes = msgspec.json.Decoder(list[Envelope]).decode
_batch = msgspec.json.Decoder(_Batch).decode
_raws = msgspec.json.Decoder(list[Raw]).decode
_raw_batch = msgspec.json.Decoder(_RawBatch).decode
_wrapper = msgspec.json.Decoder(_Wrapper).decode


def decode(payload: bytes, origin: Origin, now_us: int, limits: Limits = DEFAULT) -> Decoded:
    """All events of one delivery: an event, an array or a batch wrapper, plain or as one gzip member.

    Never raises. Events keep their order; the same id twice is passed on twice. What cannot be taken apart into events
    is one rejection with the whole payload.
    """
    latest_us = now_us + limits.max_future_us
    try:
        return _one_good_event(payload, origin, latest_us, limits) or _decode(payload, origin, latest_us, limits)
    except _DeliveryRefusedError as refusal:
        return _refused(payload, refusal, refusal.batch)
    except RefusedError as refusal:
        return _refused(payload, refusal, None)
    except Exception as error:  # noqa: BLE001  # no payload may stop the bridge, not even one that finds a defect
        return _refused(payload, RefusedError(Reason.MALFORMED, None, f"cannot be read: {type(error).__name__}"), None)


def _refused(payload: bytes, refusal: RefusedError, batch: str | None) -> Decoded:
    return Decoded(batch, [], [Rejection(0, None, refusal.code, refusal.field, str(refusal), payload)], 1)


def _one_good_event(payload: bytes, origin: Origin, latest_us: int, limits: Limits) -> Decoded | None:
    """The short way for the usual delivery; None when it is anything else."""
    if payload[:1] != b"{" or len(payload) > limits.max_payload:
        return None
    try:
        event, keys = accept(_envelope(payload), 0, origin, latest_us, limits)
    except _UNREADABLE:
        return None
    if _has_keys(payload, keys) and _is_plain(payload):
        return Decoded(None, [event], [], 1)
    return None


def _decode(payload: bytes, origin: Origin, latest_us: int, limits: Limits) -> Decoded:
    if len(payload) > limits.max_payload:
        raise RefusedError(Reason.TOO_LARGE, None, f"the payload is longer than {limits.max_payload} bytes")
    if payload[:2] == MAGIC:
        payload = inflate(payload, limits)
    batch, envelopes, raws = _take_apart(payload, limits)
    total = len(raws or []) if envelopes is None else len(envelopes)
    if total == 0:
        raise _DeliveryRefusedError(RefusedError(Reason.MALFORMED, None, "the delivery has no events"), batch)
    if total > limits.max_events:
        message = f"{total} events are more than {limits.max_events}"
        raise _DeliveryRefusedError(RefusedError(Reason.TOO_MANY, None, message), batch)

    events: list[Event] = []
    counts: list[int] = []
    errors: dict[int, Exception] = {}
    for index in range(total):
        try:
            envelope = _envelope(raws[index]) if envelopes is None else envelopes[index]  # type: ignore[index]
            event, count = accept(envelope, index, origin, latest_us, limits)
        except _UNREADABLE as error:
            errors[index] = error
        else:
            events.append(event)
            counts.append(count)

    if not errors and _has_keys(payload, sum(counts) + (0 if batch is None else 2)) and _is_plain(payload):
        return Decoded(batch, events, [], total)
    if batch is not None:
        _check_wrapper(payload, batch)
    if raws is None:
        raws = _raws(payload) if batch is None else _raw_batch(payload).events
    parts = [bytes(raw) for raw in raws]
    return _separate(Decoded(batch, events, [], total), counts, parts, errors, limits)


def _separate(
    optimistic: Decoded, counts: list[int], raws: list[bytes], errors: dict[int, Exception], limits: Limits
) -> Decoded:
    """Turns errors, and whatever fails the exact reading, into rejections; the rest stays as it is."""
    events: list[Event] = []
    rejections = [_rejection(index, raws[index], error, limits) for index, error in errors.items()]
    for event, count in zip(optimistic.events, counts, strict=True):
        raw = raws[event.index]
        if not (_has_keys(raw, count) and _is_plain(raw)):
            refusal = scrutinize(raw, limits.max_depth).refusal
            if refusal is not None:
                rejections.append(_rejection(event.index, raw, refusal, limits))
                continue
        events.append(event)
    rejections.sort()
    return optimistic._replace(events=events, rejections=rejections)


def _rejection(index: int, raw: bytes, error: Exception, limits: Limits) -> Rejection:
    value, fault = scrutinize(raw, limits.max_depth)
    refusal = fault or explain(error, raw)
    event_id = value.get("id") if isinstance(value, dict) else None
    if not (isinstance(event_id, str) and 0 < len(event_id) <= 128 and is_clean(event_id)):
        event_id = None
    return Rejection(index, event_id, refusal.code, refusal.field, str(refusal), raw)


def _has_keys(raw: bytes, count: int) -> bool:
    """Whether JSON without backslashes has this number of keys; False also for some that have."""
    return raw.translate(None, _BLANK).count(b'":') == count


def _is_plain(raw: bytes) -> bool:
    """Whether no text in this JSON can hold a character that texts may not have; False also for some that have none."""
    if b"\\" in raw:
        return False
    if raw.isascii() and b"\x7f" not in raw:
        return True
    try:
        return not has_forbidden_text(raw)
    except UnicodeDecodeError:
        return False


def _take_apart(payload: bytes, limits: Limits) -> _Delivery:
    start = payload.lstrip(_BLANK)[:1]
    try:
        if start == b"{":
            return _Delivery(None, [_envelope(payload)], [payload])
        if start == b"[":
            return _Delivery(None, _envelopes(payload), None)
    except _UNREADABLE:
        pass
    if start == b"{":
        try:
            wrapped = _batch(payload)
        except _UNREADABLE:
            pass
        else:
            return _Delivery(_batch_id(wrapped.batch, limits), wrapped.events, None)
    elif start != b"[":
        raise RefusedError(Reason.MALFORMED, None, "not a JSON object or array" if start else "the payload is empty")
    try:
        return _take_apart_raw(payload, start, limits)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        salvaged = None if is_too_deep(payload, limits.max_depth) else salvage(payload, limits.max_events)
        if salvaged is not None:
            batch = _salvaged_batch(salvaged.wrapper, limits) if start == b"{" else None
            return _Delivery(batch, None, salvaged.events)
        if start == b"{":
            return _Delivery(None, None, [payload])
        raise (scrutinize(payload, limits.max_depth).refusal or explain(error, payload)) from None


def _take_apart_raw(payload: bytes, start: bytes, limits: Limits) -> _Delivery:
    """The events' own bytes; an object that is no batch is one event."""
    if start == b"[":
        return _Delivery(None, None, _raws(payload))
    try:
        wrapped = _raw_batch(payload)
    except msgspec.ValidationError as error:
        if _wrapper(payload).events is msgspec.UNSET:
            return _Delivery(None, None, [payload])
        raise explain(error, payload) from None
    return _Delivery(_batch_id(wrapped.batch, limits), None, wrapped.events)


def _batch_id(batch: str, limits: Limits) -> str:
    if 0 < len(batch) <= limits.max_batch_id and is_clean(batch):
        return batch
    message = f"batch must be 1 to {limits.max_batch_id} characters without control characters"
    raise RefusedError(Reason.BAD_ID, "batch", message)


def _salvaged_batch(fields: list[tuple[str, object]], limits: Limits) -> str:
    names = [name for name, _ in fields]
    for name in names:
        if names.count(name) > 1:
            raise RefusedError(Reason.REPEATED_KEY, printable(name), "a key of the batch is there twice")
        if name not in {"batch", "events"}:
            raise RefusedError(Reason.UNKNOWN_FIELD, printable(name), f"{printable(name)} is no field of a batch")
    batch = dict(fields).get("batch")
    if not isinstance(batch, str):
        raise RefusedError(Reason.WRONG_TYPE, "batch", "batch must be text")
    return _batch_id(batch, limits)


def _check_wrapper(payload: bytes, batch: str) -> None:
    """Raises when the wrapper itself repeats a key: it is unclear then which events were meant."""
    fault = repeated_key(payload)
    if fault is not None:
        raise _DeliveryRefusedError(fault, batch)
