"""healthsync subscriber lag"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, Json, now_us
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.control.channel import call
from healthsync_mqtt.errors import NotFoundError, UnavailableError
from healthsync_mqtt.identity.people.records import Subscriber
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.topics.access import may_read
from healthsync_mqtt.topics.grammar import matches, shared_filter
from healthsync_mqtt.topics.registry import TopicRegistry

_PAGE: Final = 5_000
_MOST: Final = 100_000
"""Rows that are looked through for one subscriber; beyond it the count is a lower bound."""
_SUBSCRIBER: Final = "subscriber:"
_SHARE: Final = "share:"


class _Reader(NamedTuple):
    """Who reads: a subscriber or a group, its place, who takes part, and whether an event is for it."""

    name: str
    group: bool
    place: int
    members: tuple[str, ...]
    wants: Callable[[Record], bool]


class _WaitingEvents(NamedTuple):
    events: int
    more: bool
    oldest_us: int | None


def lag(data: Data = DATA, json: Json = False) -> None:
    """List how far subscribers and shared groups are behind: events they have not acknowledged, and since when.

    Example: healthsync subscriber lag
    """
    place = DataDirectory(data)
    log = place.log()
    if log is None:
        raise NotFoundError("there are no events yet", hint="start the service: healthsync up")
    now = now_us()
    with log:
        rows = [_row(reader, _waiting(log, reader), now) for reader in _readers(place, log)]
    rows.sort(key=lambda row: -(row["waits_s"] or 0.0))
    output.listing(
        rows,
        {"name": "NAME", "kind": "KIND", "members": "MEMBERS", "waiting": "WAITING", "waits_s": "FOR SECONDS"},
        as_json=json,
        empty="no subscriber has a place in the log yet: it gets one when it subscribes",
        shown={"members": lambda each: "-" if each is None else ",".join(each) or "nobody", "waits_s": _seconds},
    )


def _readers(place: DataDirectory, log: LogReader) -> Iterator[_Reader]:
    with place.registry() as registry:
        registered = {each.name: each for each in registry.subscribers()}
    topics = TopicRegistry.load(load_settings(place.path).topics_file)
    try:
        for each in call(place.path, "places")["places"]:
            names = tuple(each["filters"])
            wants = _by_filters(names, topics) if names else _by_grant(registered.get(each["name"]))
            yield _Reader(each["name"], each["group"], each["seq"], tuple(each["members"]), wants)
    except UnavailableError:  # no service: where they were when it stopped
        for cursor, seq in log.cursors().items():
            if cursor.startswith(_SUBSCRIBER):
                name = cursor.removeprefix(_SUBSCRIBER)
                yield _Reader(name, False, seq, (), _by_grant(registered.get(name)))
            elif cursor.startswith(_SHARE):
                name = cursor.split(":", 3)[3]
                yield _Reader(name, True, seq, (), _by_filters((name,), topics))


def _by_filters(names: tuple[str, ...], topics: TopicRegistry) -> Callable[[Record], bool]:
    filters = [shared.filter if (shared := shared_filter(name)) else name for name in names if _own(name, names)]
    known: dict[tuple[str, str], bool] = {}

    def wants(record: Record) -> bool:
        key = (record.user, record.type)
        if key not in known:
            topic = topics.build("canonical", user=record.user, type=record.type)
            known[key] = any(matches(each, topic) for each in filters)
        return known[key]

    return wants


def _own(name: str, names: tuple[str, ...]) -> bool:
    """Whether a filter counts for this reader: a group's is its only one, a subscriber's own are no shared ones."""
    return len(names) == 1 or not name.startswith("$")


def _by_grant(subscriber: Subscriber | None) -> Callable[[Record], bool]:
    if subscriber is None:
        return lambda _: True
    users, principal = subscriber.users, subscriber.principal
    return lambda record: (users is None or record.user in users) and may_read(principal, record.type)


def _waiting(log: LogReader, reader: _Reader) -> _WaitingEvents:
    events, looked, after = 0, 0, reader.place
    oldest: int | None = None
    while looked < _MOST and (page := log.read(after, _PAGE, history=True)):
        for record in page:
            if reader.wants(record):
                events += 1
                oldest = record.received_us if oldest is None else oldest
        after, looked = page[-1].seq, looked + len(page)
    return _WaitingEvents(events, looked >= _MOST, oldest)


def _row(reader: _Reader, waiting: _WaitingEvents, now: int) -> Mapping[str, Any] | dict[str, Any]:
    oldest = waiting.oldest_us
    return {
        "name": reader.name,
        "kind": "group" if reader.group else "subscriber",
        "members": list(reader.members) if reader.group else None,
        "waiting": waiting.events,
        "waiting_at_least": waiting.more,
        "oldest_waiting_at": None if oldest is None else iso(oldest),
        "waits_s": None if oldest is None else round(max(0, now - oldest) / 1e6, 1),
    }


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
