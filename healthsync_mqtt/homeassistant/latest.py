"""The newest value of each user and type: a pure fold over the rows of the log, in their order.

Newest is what happened last, whatever came in last; of two at one time, the one with the greater id. So late rows of
earlier events change nothing, and any order of deliveries ends in the same values.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event import Op
from healthsync_mqtt.model.event_type import EventType, TimeKind
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.model.sensors import SENSORS
from healthsync_mqtt.model.times import iso


class ValueKey(NamedTuple):
    """Whose values, and which."""

    user: str
    type: str


class LatestValue(NamedTuple):
    """The newest value: of which row and event, when it was and came in, and the message that says it."""

    seq: int
    id: str
    at_us: int
    received_us: int
    state: bytes

    @property
    def order(self) -> tuple[int, str]:
        """By what the newest is found."""
        return self.at_us, self.id


class LatestValues:
    """``values`` by key. ``changed`` are keys of which something is different, ``lost`` those to search for.

    A value is lost when its event is deleted, becomes one of another type or moves back in time: then another event is
    the newest, and only a search through the log finds it. ``wanted`` says which keys there are; of those in
    ``complete``, each has its newest value, or there is none.
    """

    def __init__(self, wanted: Callable[[ValueKey], bool], kept: Mapping[ValueKey, LatestValue | None]) -> None:
        """``kept`` is what an earlier run knew: the complete keys, None where there was no value."""
        self._wanted = wanted
        self.values: dict[ValueKey, LatestValue] = {}
        self._holders: dict[tuple[str, str], ValueKey] = {}
        self.complete: set[ValueKey] = set(kept)
        self.changed: set[ValueKey] = set()
        self.lost: set[ValueKey] = set()
        for key, value in kept.items():
            if value is not None:
                self._hold(key, value)

    def take(self, record: Record) -> None:
        """The next row of the log."""
        holder = self._holders.get((record.user, record.id))
        key = ValueKey(record.user, record.type)
        value = None if record.op == Op.DELETE else value_of(record)
        if holder is not None and (value is None or holder != key):
            self._lose(holder)
        if value is None or not self._wanted(key):
            return
        before = self.values.get(key)
        if before is None or value.order >= before.order:
            self._set(key, value)
        elif before.id == value.id:
            self._set(key, value)
            self._search(key)

    def found(self, key: ValueKey, value: LatestValue | None) -> None:
        """What a search came to: the newest of a key among rows that are not superseded."""
        self.lost.discard(key)
        self.complete.add(key)
        self.changed.add(key)
        before = self.values.get(key)
        if value is not None and (before is None or value.order > before.order):
            self._set(key, value)

    def want(self, key: ValueKey) -> None:
        """The key is wanted from now on."""
        if key not in self.complete:
            self.lost.add(key)

    def drop(self, key: ValueKey) -> None:
        """The key is wanted no more."""
        self.lost.discard(key)
        self.complete.discard(key)
        self.changed.add(key)
        self._unset(key)

    def purged(self, key: ValueKey) -> None:
        """The event of a key is in the log no more."""
        if key in self.values:
            self._lose(key)

    def _lose(self, key: ValueKey) -> None:
        self._unset(key)
        self._search(key)

    def _search(self, key: ValueKey) -> None:
        self.complete.discard(key)
        self.changed.add(key)
        self.lost.add(key)

    def _set(self, key: ValueKey, value: LatestValue) -> None:
        before = self.values.get(key)
        self._unset(key)
        self._hold(key, value)
        if before is None or before != value:
            self.changed.add(key)

    def _hold(self, key: ValueKey, value: LatestValue) -> None:
        self.values[key] = value
        self._holders[key.user, value.id] = key

    def _unset(self, key: ValueKey) -> None:
        before = self.values.pop(key, None)
        if before is not None:
            del self._holders[key.user, before.id]
            self.changed.add(key)


def newest(rows: Iterable[Record], before: LatestValue | None = None) -> LatestValue | None:
    """The newest of rows of one user and type that nothing supersedes, and of ``before``."""
    for row in rows:
        value = None if row.op == Op.DELETE else value_of(row)
        if value is not None and (before is None or value.order > before.order):
            before = value
    return before


def value_of(record: Record) -> LatestValue | None:
    """The value that a row says; None when it has none that is shown, or its body was purged."""
    event_type, sensors = CATALOGUE.get(record.type), SENSORS.get(record.type)
    if event_type is None or sensors is None or not record.body:
        return None
    try:
        body = _decoder(event_type)(record.body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    points = event_type.spread.points(body.value, record.start_us, record.end_us)
    own = [point for point in points if point.measurement == record.type]
    if not own:
        return None
    point = max(own, key=lambda each: each.at_us)
    fields = dict(point.fields)
    shown: dict[str, Any] = {}
    for sensor in sensors:
        said = fields.get(sensor.field)
        if isinstance(said, str):
            shown[sensor.name] = said
        elif said is not None:
            amount = float(said) if sensor.per == 1 else round(said / sensor.per, 2)
            shown[sensor.name] = int(amount) if amount.is_integer() else amount
    if not shown:
        return None
    lasts = event_type.kind in {TimeKind.INTERVAL, TimeKind.SESSION} and record.end_us is not None
    at_us = record.end_us if lasts and record.end_us is not None else point.at_us
    shown["start_time"] = iso(record.start_us if lasts else point.at_us)
    shown["end_time"] = iso(record.end_us) if lasts and record.end_us is not None else None
    shown["device_id"] = record.device
    return LatestValue(record.seq, record.id, at_us, record.received_us, _encode(shown))


_encode: Final = msgspec.json.Encoder().encode
_DECODERS: Final[dict[str, Callable[[bytes], Any]]] = {}


def _decoder(of: EventType) -> Callable[[bytes], Any]:
    found = _DECODERS.get(of.name)
    if found is None:
        body = msgspec.defstruct("Body", [("value", of.spread.stored)], gc=False)
        found = _DECODERS[of.name] = msgspec.json.Decoder(body).decode
    return found
