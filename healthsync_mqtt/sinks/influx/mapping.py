"""Events as points: measurement = type, fields of fixed types, tags of closed sets only.

Tags are the user's pseudonym, the device's id, the provider and how it was recorded; a provider that is not in the
list of ``series`` is no tag. Free text (app names, models) goes nowhere. What a value's points are its type says.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event import Op
from healthsync_mqtt.model.points import Point, Spread
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.sinks.influx.line import Line
from healthsync_mqtt.sinks.influx.lineprotocol import MAX_NS, MIN_NS, UnmappableError, flag, number, tag_set, text
from healthsync_mqtt.sinks.influx.point_time import SLOTS, slot, time_ns
from healthsync_mqtt.sinks.series import LATER, PROVIDERS, RECORDINGS, SeriesSource


class SeriesBook(Protocol):
    """Which tags a source gets: all of them, or the user's alone once the user's budget of series is spent."""

    @property
    def adopted(self) -> Sequence[int]:
        """Up to which row the providers of each turn of ``series.LATER`` are no tag."""

    def admit(self, source: SeriesSource) -> bool: ...


class Mapper:
    """Makes lines of records. ``marks``: superseding versions carry ``deleted=false``, for servers without deletion."""

    def __init__(self, pseudonym: Callable[[str], str], book: SeriesBook, *, marks: bool = False) -> None:
        self._pseudonym = pseudonym
        self._book = book
        self._marks = marks
        self._tags: dict[tuple[str, str, str | None, str | None, str | None], str] = {}

    def lines(self, record: Record, shift: int = 0) -> list[Line]:
        """The points of an upsert, in order of time; none for a delete. UnmappableError when it has none.

        ``shift`` moves the digits below the millisecond on.
        """
        seq, user, device, provider, event_id, type_name, start_us, end_us, _, version, op, body, _ = record
        if op == Op.DELETE:
            return []
        decode, points, simple = _PLANS.get(type_name) or _plan(type_name)
        try:
            decoded = decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise UnmappableError(f"the body of this {type_name} cannot be read") from None
        value, origin, recording = decoded.value, decoded.source, None
        if origin is not None:
            recording = origin.recording if origin.recording in RECORDINGS else None
            if provider is None and origin.provider in PROVIDERS:
                turn = LATER.get(origin.provider)
                provider = None if turn is not None and seq <= self._book.adopted[turn] else origin.provider
        source = (type_name, user, device, provider, recording)
        tags = self._tags.get(source) or self._tag(SeriesSource(*source))
        digits = (slot(event_id) + shift) % SLOTS
        more = "," + flag("deleted", False) if self._marks and version else ""
        if simple and value.amount is not None:  # by far the most frequent case
            at_ns = start_us // 1000 * SLOTS + digits
            if MIN_NS <= at_ns <= MAX_NS:
                return [Line(type_name + tags, f"{simple}{value.amount!r}{more}", at_ns)]
        return self._spaced(points(value, start_us, end_us), tags, more, digits)

    def first_point(self, record: Record, shift: int = 0) -> Line:
        """The point at the start of a record without its body: its measurement, user and nanosecond, no other tag.

        ``shift`` as in ``lines``.
        """
        at_ns = time_ns(record.start_us, (slot(record.id) + shift) % SLOTS)
        return Line(record.type + tag_set([("user", self._pseudonym(record.user))]), "", at_ns)

    @staticmethod
    def _spaced(points: list[Point], tags: str, more: str, digits: int) -> list[Line]:
        """Points of one millisecond get successive digits, so that none overwrites another."""
        lines: list[Line] = []
        last_ms = used = 0
        for measurement, at_us, fields in points:
            at_ms = at_us // 1000
            if at_ms > last_ms or not lines:
                used = 0
            elif at_ms == last_ms:
                used += 1
            else:  # a log may hold what older rules let in
                return Mapper._spaced(sorted(points, key=lambda point: point.at_us), tags, more, digits)
            last_ms = at_ms
            at_ns = time_ns(at_us, (digits + used) % SLOTS)
            if not MIN_NS <= at_ns <= MAX_NS:
                raise UnmappableError("its time is outside the years that InfluxDB stores (1677 to 2262)")
            name, amount = fields[0]
            # Samples of a series: read as floats, so never infinite.
            one = len(fields) == 1 and type(amount) is float
            field_set = f"{name}={amount!r}" if one else _field_set(fields)
            lines.append(Line(measurement + tags, field_set + more, at_ns))
        if not lines:
            raise UnmappableError("it has no value")
        return lines

    def _tag(self, source: SeriesSource) -> str:
        if len(self._tags) > 100_000:
            self._tags.clear()
        pairs: list[tuple[str, str | None]] = [("user", self._pseudonym(source.user))]
        if self._book.admit(source):
            pairs += [("device", source.device), ("provider", source.provider), ("recording", source.recording)]
        self._tags[source] = tags = tag_set(pairs)
        return tags


class _Origin(msgspec.Struct, gc=False):
    provider: str | None = None
    recording: str | None = None


class _Plan(NamedTuple):
    """How one type's bodies become points; ``simple`` is the field's name and "=" where one number is all there is."""

    decode: Callable[[bytes], Any]
    points: Callable[[Any, int, int | None], list[Point]]
    simple: str


def _make_plan(spread: Spread) -> _Plan:
    body = msgspec.defstruct("Body", [("value", spread.stored), ("source", _Origin | None, None)], gc=False)
    return _Plan(msgspec.json.Decoder(body).decode, spread.points, f"{spread.simple}=" if spread.simple else "")


#: Made when a type first comes.
_PLANS: dict[str, _Plan] = {}


def _plan(type_name: str) -> _Plan:
    of = CATALOGUE.get(type_name)
    if of is None:
        raise UnmappableError("its type is not in this version's catalogue")
    plan = _PLANS[type_name] = _make_plan(of.spread)
    return plan


def _field_set(fields: tuple[tuple[str, float | str], ...]) -> str:
    return ",".join(text(name, each) if isinstance(each, str) else number(name, each) for name, each in fields)
