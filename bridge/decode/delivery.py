# long: one way from bytes to events, and each place where it may end
"""Decode: a payload into events and rejections. Pure; never raises; one bad event never harms the others.

A payload is read once by the exact reader, and each event in it checked by types. Only where that finds something, the
payload is taken apart into the bytes of each event: to keep those of a bad one, and to read each on its own when the
whole was not exact JSON. No byte is read more than MOST_PASSES times, whatever is wrong with it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec

from bridge.decode.exact_json import MOST_EXPLAINED, InexactError, explain, read, text_fault
from bridge.decode.first_sight import at_first_sight, batch_id
from bridge.decode.fold import PIECE, FormatFold
from bridge.decode.guarded_types import named_in
from bridge.decode.gzip_payload import MAGIC, beginning, inflate, says_it_unfolds_to
from bridge.decode.read_event import has_ignored_value, only_type, read_envelope, read_event
from bridge.decode.recover import NEAR, LostError, Part, Parts, TooManyError, batch_of, go_on, nests_deeper, take_apart
from healthsync_mqtt.formats.catalogue import OWN
from healthsync_mqtt.formats.port import NOTHING_TOLD, AppMessage, Format, Told
from healthsync_mqtt.model.catalogue import GUARDED
from healthsync_mqtt.model.event import Decoded, Event, Rejection
from healthsync_mqtt.model.limits import DEFAULT, Limits
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import is_clean, may_be_unclean, printable

__all__ = ["DEFAULT", "Limits", "decode", "decode_if_quick"]

#: A longer payload is read an event at a time, so that no single step of it takes long.
PIECEWISE = 131_072

#: Unfolded bytes that are read on the event loop: when all is well with them, and when it is not.
QUICK = PIECEWISE
QUICK_IF_BAD = 4_096

#: How often a byte of a payload is read at most (``Decoded.cost`` counts), beside MOST_EXPLAINED bytes once more.
MOST_PASSES = 6

# More than any event can have (a night of 2,880 stages has 35,000).
_MOST_QUOTES = 40_000
_ENDLESS = RefusedError(Reason.TOO_LARGE, None, "more keys and texts than any event has")
_FIELDS = frozenset({"batch", "events"})
_LONGEST_ID = 128
_BLANK = b" \t\r\n"
_WRAPPED = 2
"""Levels around the events of a batch: the wrapper and its array."""

_encode = msgspec.json.Encoder().encode


class _Way(NamedTuple):
    """How a payload is read: whose it is, until when its events may begin, and what else ``decode`` was given."""

    origin: Origin
    latest_us: int
    limits: Limits
    pause: Callable[[], None] = go_on
    form: Format = OWN
    told: Told = NOTHING_TOLD


def decode(  # noqa: PLR0917  # made in one place
    payload: bytes,
    origin: Origin,
    now_us: int,
    limits: Limits = DEFAULT,
    pause: Callable[[], None] = go_on,
    form: Format = OWN,
    told: Told = NOTHING_TOLD,
) -> Decoded:
    """All events of one delivery: an event, an array or a batch wrapper, plain or as one gzip member.

    Never raises. Events keep their order; the same id twice is passed on twice. What cannot be taken apart into events
    is one rejection with the whole payload. ``pause`` is called now and then where it takes long. A payload of another
    ``form`` is first made our own JSON by it, with what it is ``told`` beside the payload; what is refused then is
    refused as if the device had sent that.
    """
    latest_us = now_us + limits.max_future_us
    _pause_before(payload, pause)
    if form is OWN and (found := at_first_sight(payload, origin, latest_us, limits)) is not None:
        return found
    return _in_detail(payload, _Way(origin, latest_us, limits, pause, form, told))


def _pause_before(content: bytes, pause: Callable[[], None]) -> None:
    """Where all is well with much it is read in one step, so others are let in before it."""
    if len(content) > QUICK:
        pause()


def _in_detail(payload: bytes, way: _Way) -> Decoded:
    """The long way, for what is not read at once as it came."""
    decoded = _taken(payload, way)
    return _looked_through(decoded, payload, way.pause, way.form) if decoded.rejections else decoded


def _looked_through(decoded: Decoded, payload: bytes, pause: Callable[[], None], form: Format) -> Decoded:
    """What is of no single type, with the guarded types that it may name: a whole payload in another form, any."""
    cost, rejections = decoded.cost, decoded.rejections
    for place, each in enumerate(rejections):
        if form is not OWN and each.raw is payload:
            rejections[place] = each._replace(form=form.name)
        elif each.type is None and each.guarded is None and each.raw:
            pause()
            rejections[place] = each._replace(guarded=named_in(each.raw, pause))
            cost += len(each.raw)
    return decoded._replace(cost=cost)


def _taken(payload: bytes, way: _Way) -> Decoded:
    """The events and rejections of what is not read at once as it came."""
    size, limits = len(payload), way.limits
    content = payload
    try:
        if size > limits.max_payload:
            too_large = RefusedError(Reason.TOO_LARGE, None, f"the payload is longer than {limits.max_payload} bytes")
            return _refused(payload, too_large, _named_batch(payload, way), size, size)
        if payload[:2] == MAGIC:
            content = inflate(payload, limits)
            size = len(content)
        if way.form is not OWN:
            return _folded(content, way)
        if content is not payload:
            _pause_before(content, way.pause)
            if (found := at_first_sight(content, way.origin, way.latest_us, limits)) is not None:
                return found
        return _Decoding(payload, content, way).decoded()
    except RefusedError as refusal:
        unfolded = min(limits.max_payload, limits.max_ratio * size) if refusal.code is Reason.DECOMPRESS_LIMIT else size
        return _refused(payload, refusal, _named_batch(payload, way), unfolded, unfolded)
    except Exception as error:  # noqa: BLE001  # no payload may stop the bridge, not even one that finds a defect
        defect = RefusedError(Reason.MALFORMED, None, f"cannot be read: {type(error).__name__}")
        return _refused(payload, defect, None, size, size)


def _named_batch(payload: bytes, way: _Way) -> str | None:
    """The batch id of a payload of which nothing else is read; of a packed one what its beginning says."""
    if way.form is not OWN:
        return None
    packed = payload[:2] == MAGIC
    named = batch_of(beginning(payload, NEAR), whole=False) if packed else batch_of(payload)
    return batch_id(named, way.limits)


def _folded(content: bytes, way: _Way) -> Decoded:
    """A message in another form. How many events it may come to is not what a delivery of ours may have."""
    way = way._replace(limits=replace(way.limits, max_events=PIECE))
    origin, latest_us, limits, pause, form, told = way

    def read_own(events: bytes) -> Decoded:
        return at_first_sight(events, origin, latest_us, limits) or _Decoding(events, events, way).decoded()

    at_us = told.at_us or latest_us - limits.max_future_us
    message = AppMessage(content, origin.user, origin.device or "", told.topic, told.retained, at_us, told.declared)
    return FormatFold(form, read_own, limits, pause).decoded(told.state, message)


def decode_if_quick(payload: bytes, origin: Origin, now_us: int, limits: Limits = DEFAULT) -> Decoded | None:
    """The same where that is quick, a few milliseconds at most; None for what is long, or not well and not short."""
    size, latest_us = len(payload), now_us + limits.max_future_us
    if size > QUICK:
        return None
    if payload[:2] == MAGIC:
        return _unfolded_if_quick(payload, origin, latest_us, limits)
    found = at_first_sight(payload, origin, latest_us, limits)
    if found is not None or size > QUICK_IF_BAD:
        return found
    return _in_detail(payload, _Way(origin, latest_us, limits))


def _unfolded_if_quick(payload: bytes, origin: Origin, latest_us: int, limits: Limits) -> Decoded | None:
    if says_it_unfolds_to(payload) > QUICK:
        return None
    try:
        content = inflate(payload, limits)
    except RefusedError:
        content = b""
    if len(content) > QUICK_IF_BAD:
        return at_first_sight(content, origin, latest_us, limits)
    return _in_detail(payload, _Way(origin, latest_us, limits))


def _refused(payload: bytes, refusal: RefusedError, batch: str | None, size: int, cost: int) -> Decoded:
    rejection = Rejection(0, None, refusal.code, refusal.field, str(refusal), payload)
    return Decoded(batch, [], [rejection], 1, size, cost)


class _Decoding:
    """The decoding of one delivery, which counts what it reads."""

    def __init__(self, payload: bytes, content: bytes, way: _Way) -> None:
        self._payload = payload
        self._content = content
        self._origin, self._latest_us, self._limits, self._pause, _, _ = way
        self._size = len(content)
        self._cost = self._size
        self._explained = 0

    def decoded(self) -> Decoded:
        """Read at once when that is short, else an event at a time."""
        content = self._content
        start = content.lstrip(_BLANK)[:1]
        if start not in {b"{", b"["}:
            message = "not a JSON object or array" if start else "the payload is empty"
            raise RefusedError(Reason.MALFORMED, None, message)
        if len(content) > PIECEWISE:
            if start == b"[" or b'"events"' in content:
                return self._apart()
            if content.count(b'"') > _MOST_QUOTES:
                return self._lost()
        try:
            value = read(content)
        except InexactError:
            return self._apart()
        if start == b"[":
            return self._together(None, value, value)
        if "events" not in value:
            return self._together(None, [value], value)
        batch = batch_id(value.get("batch"), self._limits)
        refusal = _wrapper_refusal(list(value), value.get("batch"), self._limits)
        if refusal is None and not isinstance(value["events"], list):
            refusal = RefusedError(Reason.WRONG_TYPE, "events", "events must be array")
        if refusal is not None:
            return self._whole(refusal, batch)
        return self._together(batch, value["events"], value) if _FIELDS.issuperset(value) else self._apart()

    # -- everything was read at once

    def _together(self, batch: str | None, items: list[Any], value: Any) -> Decoded:
        total = len(items)
        if refusal := self._number_refusal(total):
            return self._whole(refusal, batch)
        origin, latest_us, limits = self._origin, self._latest_us, self._limits
        events: list[Event] = []
        refused: dict[int, RefusedError] = {}
        if any(map(has_ignored_value, items)):
            self._cost += self._size
        pause = self._pause
        for index, fields in enumerate(items):
            pause()
            try:
                events.append(read_event(read_envelope(fields), index, origin, latest_us, limits))
            except RefusedError as refusal:
                refused[index] = refusal.kept()
        if may_be_unclean(self._content):
            refused |= self._unclean(items, value)
            events = [event for event in events if event.index not in refused]
        if not refused:
            return Decoded(batch, events, [], total, self._size, self._cost)
        try:
            parts = self._parts(total, wrapped=batch is not None)
        except LostError:
            return self._whole(RefusedError(Reason.TOO_DEEP, None, "nested too deep"), batch)
        rejections: list[Rejection] = []
        for index in sorted(refused):
            pause()
            rejections.append(self._rejection(index, parts[index], items[index], refused[index]))
        return Decoded(batch, events, rejections, total, self._size, self._cost)

    def _number_refusal(self, total: int) -> RefusedError | None:
        if total == 0:
            return RefusedError(Reason.MALFORMED, None, "the delivery has no events")
        return self._too_many() if total > self._limits.max_events else None

    def _too_many(self) -> RefusedError:
        return RefusedError(Reason.TOO_MANY, None, f"more than {self._limits.max_events} events")

    def _unclean(self, items: list[Any], value: Any) -> dict[int, RefusedError]:
        """The events with texts that no text may be; escapes are written out first, most of them are harmless."""
        self._cost += self._size
        if not _is_unclean(value):
            return {}
        return {
            index: fault.refusal()
            for index, item in enumerate(items)
            if _is_unclean(item) and (fault := text_fault(item))
        }

    def _parts(self, total: int, *, wrapped: bool) -> list[Part]:
        self._cost += self._size
        levels = self._limits.max_depth
        if wrapped or self._content.lstrip(_BLANK)[:1] == b"[":
            return take_apart(self._content, levels, total, self._pause).events
        return [Part(self._content, nests_deeper(self._content, levels, self._pause))]

    # -- an event at a time

    def _apart(self) -> Decoded:
        limits = self._limits
        self._cost += self._size
        besides: list[Rejection] = []
        try:
            parts = take_apart(self._content, limits.max_depth, limits.max_events, self._pause)
        except TooManyError:
            return self._whole(self._too_many(), self._named_batch())
        except LostError as lost:
            parts = lost.parts
            if not parts.events:
                return self._lost()
            besides.append(self._rest(len(parts.events), lost.at))
        batch = None
        if parts.wrapper is not None:
            names = [name for name, _ in parts.wrapper]
            sent = _read_or_none(dict(parts.wrapper)["batch"].raw) if names.count("batch") == 1 else None
            if besides and "batch" not in names and (sent := self._named_batch()) is not None:
                names.append("batch")
            batch = batch_id(sent, limits)
            if refusal := _wrapper_refusal([*names, "events"], sent, limits):
                return self._whole(refusal, batch)
            if unknown := _unknown_field(names):
                besides.append(self._unknown(len(parts.events) + len(besides), unknown, parts, whole=not besides))
        if refusal := self._number_refusal(len(parts.events)):
            return self._whole(refusal, batch)
        events: list[Event] = []
        rejections: list[Rejection] = []
        for index, part in enumerate(parts.events):
            self._pause()
            outcome = self._one(index, part)
            if isinstance(outcome, Event):
                events.append(outcome)
            else:
                rejections.append(outcome)
        if besides:  # what is around an event may say of which type it is
            rejections = [each if each.type else each._replace(guarded=GUARDED) for each in rejections]
        total = len(parts.events) + len(besides)
        return Decoded(batch, events, rejections + besides, total, self._size, self._cost)

    def _rest(self, index: int, at: int) -> Rejection:
        """What is said of what comes behind whole events and is not read: nothing of it is kept."""
        rest = self._content[at:]
        self._cost += len(rest)
        if nests_deeper(rest, self._limits.max_depth + _WRAPPED, self._pause):
            message = f"nested deeper than {self._limits.max_depth} levels"
            return Rejection(index, None, Reason.TOO_DEEP, None, message, b"")
        message = "what comes behind the last whole event is cut off or no JSON"
        return Rejection(index, None, Reason.MALFORMED, None, message, b"")

    def _unknown(self, index: int, refusal: RefusedError, parts: Parts, *, whole: bool) -> Rejection:
        """What is said of a field that no batch has: its name, where no field names a guarded type; nothing is kept."""
        guarded = GUARDED
        if whole:
            outside = b"\n".join(name.encode() + b"\n" + part.raw for name, part in parts.wrapper or ())
            self._cost += len(outside)
            guarded = named_in(outside, self._pause)
        return Rejection(index, None, refusal.code, refusal.field, str(refusal), b"", guarded=guarded)

    def _one(self, index: int, part: Part) -> Event | Rejection:
        if part.deep:
            message = f"nested deeper than {self._limits.max_depth} levels"
            return self._rejection(index, part, None, RefusedError(Reason.TOO_DEEP, None, message))
        if part.raw.count(b'"') > _MOST_QUOTES:
            return self._rejection(index, part, None, _ENDLESS)
        self._cost += len(part.raw)
        try:
            fields = read(part.raw)
        except InexactError:
            return self._inexact(index, part.raw)
        if has_ignored_value(fields):
            self._cost += len(part.raw)
        try:
            if may_be_unclean(part.raw) and _is_unclean(fields) and (fault := text_fault(fields)):
                raise fault.refusal()
            return read_event(read_envelope(fields), index, self._origin, self._latest_us, self._limits)
        except RefusedError as refusal:
            return self._rejection(index, part, fields, refusal)

    def _inexact(self, index: int, raw: bytes) -> Rejection:
        """The rejection of what is no exact JSON; the places of the first of them are looked for."""
        in_detail = self._explained + len(raw) <= MOST_EXPLAINED
        self._explained += len(raw) if in_detail else 0
        self._cost += len(raw) * (2 + in_detail)
        value, refusal = explain(raw, in_detail=in_detail)
        return Rejection(index, _id_in(value), refusal.code, refusal.field, str(refusal), raw)

    def _rejection(self, index: int, part: Part, fields: Any, refusal: RefusedError) -> Rejection:
        if part.deep:
            refusal = RefusedError(Reason.TOO_DEEP, None, f"nested deeper than {self._limits.max_depth} levels")
            fields = None
        kept_type = only_type(fields)
        return Rejection(
            index,
            _id_in(fields),
            refusal.code,
            refusal.field,
            str(refusal),
            part.raw,
            kept_type,
            refusal.retry,
            due_us=refusal.due_us,
        )

    # -- the whole delivery is refused

    def _lost(self) -> Decoded:
        """The end of each event cannot be told: an object is one event then, and all else one rejection."""
        content, limits = self._content, self._limits
        self._cost += self._size
        if nests_deeper(content, limits.max_depth + _WRAPPED, self._pause):
            refusal = RefusedError(Reason.TOO_DEEP, None, f"nested deeper than {limits.max_depth} levels")
            return self._whole(refusal, self._named_batch())
        if content.count(b'"') > _MOST_QUOTES and content.lstrip(_BLANK)[:1] == b"{":
            return self._whole(_ENDLESS, self._named_batch())
        rejection = self._inexact(0, content)._replace(raw=self._payload)
        return Decoded(self._named_batch(), [], [rejection], 1, self._size, self._cost)

    def _whole(self, refusal: RefusedError, batch: str | None) -> Decoded:
        return _refused(self._payload, refusal, batch, self._size, self._cost)

    def _named_batch(self) -> str | None:
        return batch_id(batch_of(self._content), self._limits)


def _wrapper_refusal(names: list[str], batch: object, limits: Limits) -> RefusedError | None:
    """Why all of a batch is refused for its fields: their names in order, and the id that was sent."""
    for name in names:
        if names.count(name) > 1:
            return RefusedError(Reason.REPEATED_KEY, printable(name), "a key of the batch is there twice")
    if batch_id(batch, limits) is not None:
        return None
    if unknown := _unknown_field(names):
        return unknown
    if "batch" not in names:
        return RefusedError(Reason.MISSING_FIELD, "batch", "batch is missing")
    if not isinstance(batch, str):
        return RefusedError(Reason.WRONG_TYPE, "batch", "batch must be text")
    message = f"batch must be 1 to {limits.max_batch_id} characters without control characters"
    return RefusedError(Reason.BAD_ID, "batch", message)


def _unknown_field(names: list[str]) -> RefusedError | None:
    """The first field of a batch that is none; its events are read all the same where the batch names itself."""
    for name in names:
        if name not in _FIELDS:
            return RefusedError(Reason.UNKNOWN_FIELD, printable(name), f"{printable(name)} is no field of a batch")
    return None


def _is_unclean(value: Any) -> bool:
    """Whether a text in a value that was read may be unclean; never False when one is."""
    try:
        return may_be_unclean(_encode(value))
    except (OverflowError, msgspec.MsgspecError):  # an integer that nothing can carry
        return True


def _id_in(value: Any) -> str | None:
    event_id = value.get("id") if isinstance(value, dict) else None
    return event_id if isinstance(event_id, str) and 0 < len(event_id) <= _LONGEST_ID and is_clean(event_id) else None


def _read_or_none(raw: bytes) -> Any:
    try:
        return read(raw)
    except InexactError:
        return None
