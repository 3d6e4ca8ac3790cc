"""The events that a format makes of somebody's records, and what is said of those that become none."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from itertools import count
from typing import Any, Literal, NamedTuple

from healthsync_mqtt.formats.port import AppMessage, Event, Gone, Made, Outcome, RefusedRecord, event_id
from healthsync_mqtt.formats.reading.document import Record, as_record, items
from healthsync_mqtt.formats.reading.moment import Day, Moment, moment_in
from healthsync_mqtt.model.catalogue import CATALOGUE, resolve
from healthsync_mqtt.model.reasons import Reason, RefusedError

_NO_KEY: tuple[object, ...] = ()
_NOTHING_MORE: Mapping[str, Any] = {}


class Named(NamedTuple):
    """An event whose source may say later that the record of this name is gone."""

    event: Event
    name: str


class Scribe(NamedTuple):
    """How one message of a format becomes events: whose they are, and who is said to have given them."""

    form: str
    message: AppMessage
    provider: str

    def moment_in(self, record: Record, field: str) -> Moment:
        """The moment in a text of a record; one without an offset is in the zone that the login declares.

        Raises RefusedError.
        """
        return moment_in(record, field, self.message.declared.zone)

    def event(
        self,
        type_: str,
        value: Mapping[str, Any],
        at: Moment | Day,
        end: Moment | None = None,
        *,
        app: str | None = None,
        key: tuple[object, ...] = _NO_KEY,
        version: int | Literal["latest"] = "latest",
        source: Mapping[str, Any] = _NOTHING_MORE,
        device: Mapping[str, Any] = _NOTHING_MORE,
    ) -> Event:
        """An event of a type at a moment, or of a day.

        Its id is of its type, its kind, when it was (a day by its date) and the app or device that measured it; or,
        with a ``key``, of the type and that: the source's own id of the record, or all that it holds constant.
        """
        start = at.start if isinstance(at, Day) else at
        began, ended = start.text, "" if end is None else end.text
        facts: tuple[object, ...] = key
        if not facts:
            when = at.date if isinstance(at, Day) else began
            facts = (CATALOGUE[type_].kind, when, ended, app or "", device.get("model", ""))
        event: Event = {
            "id": event_id(self.message.user, self.form, type_, *facts),
            "type": type_,
            "start_time": began,
        }
        if ended:
            event["end_time"] = ended
        event["value"] = dict(value)
        if start.offset_s is not None:
            event["utc_offset"] = start.offset_s
        said: dict[str, Any] = {"provider": self.provider}
        if app:
            said["app"] = app
        event["source"] = {**said, **source}
        if device:
            event["device"] = dict(device)
        if version != 0:
            event["version"] = version
        return event


class Records:
    """The records of a message, counted as they are read: each becomes events, or the refusal that says why not."""

    def __init__(self) -> None:
        self._count = count()

    def read(
        self,
        place: str,
        record: Any,
        make: Callable[[Record], Iterable[Event | Named | Gone]],
        type_: str | None = None,
    ) -> Iterator[Outcome]:
        """What ``make`` makes of one record, and its refusal if it raises one; ``type_`` is all that it is about."""
        index = next(self._count)
        try:
            for made in make(as_record(record)):
                if isinstance(made, Named):
                    yield Made(made.event, index, place, made.name)
                elif isinstance(made, Gone):
                    yield made
                else:
                    yield Made(made, index, place)
        except RefusedError as refusal:
            yield self._refused(index, place, record, refusal, type_)
        except (ArithmeticError, ValueError):
            # Of numbers that JSON can carry, and what they come to cannot.
            beyond = RefusedError(Reason.BAD_NUMBER, None, "a number in it is too big to be reckoned with")
            yield self._refused(index, place, record, beyond, type_)

    def listed(self, place: str, holder: Record, field: str) -> Generator[Outcome, None, list[Any]]:
        """The list in a field; one that is none is refused at ``place``, and the rest of the message is read."""
        try:
            return items(holder, field)
        except RefusedError as refusal:
            yield self.refuse(place, holder[field], RefusedError(refusal.code, None, str(refusal)))
            return []

    def refuse(self, place: str, record: Any, refusal: RefusedError, type_: str | None = None) -> RefusedRecord:
        """The refusal of one record that is not read at all."""
        return self._refused(next(self._count), place, record, refusal, type_)

    @staticmethod
    def _refused(index: int, place: str, record: Any, refusal: RefusedError, type_: str | None) -> RefusedRecord:
        where = ".".join(part for part in (place, refusal.field) if part)
        known = type_ if type_ is not None and resolve(type_) is not None else None
        return RefusedRecord(index, where, refusal.code, str(refusal), record, known)
