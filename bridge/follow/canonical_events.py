"""The log as canonical events: a row is read once for all who stand at one place, and made into JSON once."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from healthsync_mqtt.broker.embedded.dialect import JSON
from healthsync_mqtt.broker.embedded.sessions.index import GrantedQos
from healthsync_mqtt.broker.embedded.sessions.session import Message, Taker
from healthsync_mqtt.model.record import Record, canonical_json
from healthsync_mqtt.mqtt.codec.packets import Property
from healthsync_mqtt.mqtt.codec.v5.properties import PropertyPlace, body
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.telemetry.spans import PROPERTY
from healthsync_mqtt.topics.registry import TopicRegistry

PAGE: Final = 500
"""Events that are read at once."""
_LOOK: Final = 5_000
"""Rows that are looked at for them: of a part of the log that is purged one page after the other is empty, and others
have their turn between them."""
_PAGES: Final = 8
_TOPICS: Final = 100_000
_EVENTS_A_MESSAGE: Final = 100
_BYTES_A_MESSAGE: Final = 65_536

_Place = tuple[int, str | None]


class CanonicalEvent:
    """One row on its way to subscribers."""

    __slots__ = ("_about", "_payload", "_traced", "record", "topic")

    def __init__(self, record: Record, topic: str, traced: Callable[[int], str] | None = None) -> None:
        self.record = record
        self.topic = topic
        self._traced = traced
        self._about: bytes | None = None
        self._payload: bytes | None = None

    @property
    def about(self) -> bytes:
        """Its properties in MQTT 5: what it is, and the trace of whoever sent it."""
        if self._about is None:
            traceparent = self._traced(self.record.seq) if self._traced is not None else ""
            said = {Property.USER_PROPERTY: ((PROPERTY, traceparent),)}
            self._about = JSON + body(said, PropertyPlace.PUBLISH) if traceparent else JSON
        return self._about

    @property
    def payload(self) -> bytes:
        """The event as JSON, made when it is first wanted."""
        if self._payload is None:
            self._payload = canonical_json(self.record)
        return self._payload


class Page(NamedTuple):
    """The next events, and the place through which they are all that there are.

    ``full``: no row that is stored later belongs to it.
    """

    events: Sequence[CanonicalEvent]
    through: int
    full: bool


class CanonicalEvents:
    """Pages of a log. The last few are kept, so that followers near each other share rows and JSON."""

    def __init__(self, reader: LogReader, registry: TopicRegistry, traced: Callable[[int], str] | None = None) -> None:
        """``traced`` is asked for the ``traceparent`` of each event as it is given."""
        self._traced = traced
        self._reader = reader
        self._registry = registry
        self._topics: dict[tuple[str, str], str] = {}
        self._pages: OrderedDict[_Place, Page] = OrderedDict()

    def after(self, seq: int, head: int, user: str | None = None) -> Page:
        """What follows in the log, or in one user's part of it. A page may be empty although more is to come."""
        place = (seq, user)
        page = self._pages.get(place)
        if page is None:
            page = self._rest_of_a_page(seq, user)
        if page is None or not (page.full or page.through >= head):
            rows, through, full = self._reader.stretch(seq, PAGE, look=_LOOK, user=user)
            page = Page([CanonicalEvent(record, self._topic(record), self._traced) for record in rows], through, full)
            self._pages[place] = page
            while len(self._pages) > _PAGES:
                self._pages.popitem(last=False)
        return page

    def forget(self) -> None:
        """Rows were purged: nothing that was read before is given again."""
        self._pages.clear()

    def one(self, seq: int) -> CanonicalEvent | None:
        """The row with this seq; None when it was purged."""
        record = self._reader.get(seq)
        return CanonicalEvent(record, self._topic(record), self._traced) if record is not None and record.body else None

    def _rest_of_a_page(self, seq: int, user: str | None) -> Page | None:
        """What is left of a page for a follower that took a part of it, as one with a small window does."""
        for (start, whose), page in self._pages.items():
            if whose == user and start < seq < page.through:
                taken = bisect_right(page.events, seq, key=lambda event: event.record.seq)
                return page._replace(events=page.events[taken:])
        return None

    def _topic(self, record: Record) -> str:
        key = (record.user, record.type)
        topic = self._topics.get(key)
        if topic is None:
            if len(self._topics) > _TOPICS:
                self._topics.clear()
            topic = self._topics[key] = self._registry.build("canonical", user=record.user, type=record.type)
        return topic


def arrays(run: Sequence[CanonicalEvent]) -> Iterator[bytes]:
    """Events of one topic as the messages of a subscriber that asked for arrays.

    One event is an object; several are an array, bounded in number and size; one large event goes alone.
    """
    part: list[bytes] = []
    size = 0
    for event in run:
        payload = event.payload
        if part and (len(part) == _EVENTS_A_MESSAGE or size + len(payload) > _BYTES_A_MESSAGE):
            yield _joined(part)
            part, size = [], 0
        part.append(payload)
        size += len(payload)
    if part:
        yield _joined(part)


def _joined(part: Sequence[bytes]) -> bytes:
    return part[0] if len(part) == 1 else b"[" + b",".join(part) + b"]"


def canonical_message(  # noqa: PLR0917  # called by position, once a message
    topic: str, payload: bytes, granted: GrantedQos, after: int, share: Taker | None = None, about: bytes = JSON
) -> Message:
    """One event, or several, for a session; ``after`` is the place in the log before it."""
    return Message(topic.encode(), payload, min(1, int(granted)), False, after, share, about, 0.0, granted.identifiers)
