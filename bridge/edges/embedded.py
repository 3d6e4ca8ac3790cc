"""Where deliveries come from. Here: the front door of the embedded broker, in the same process."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from bridge.pipeline import Pipeline
from bridge.ports import Chores, Outlet
from bridge.stages.authorise import origin_of
from bridge.stages.journal import Journal
from healthsync_mqtt.broker.embedded.ports import RefusedNotice
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.model.delivery import Delivery, Source
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.model.receipt import encode_receipt
from healthsync_mqtt.mqtt.links.port import MAX_PACKET
from healthsync_mqtt.topics.registry import Channel, TopicRegistry


class DoorSource:
    """Takes events from the front door (its ``Ingest``)."""

    def __init__(
        self,
        pipeline: Pipeline,
        refused: "RefusedMessages",
        traced: Callable[[Principal, str, str], None] = lambda *_: None,
    ) -> None:
        """``traced`` is told of each message that is refused, beside its sender."""
        self._pipeline = pipeline
        self._refused = refused
        self._traced = traced

    def origin(self, channel: Channel, variables: dict[str, str], principal: Principal, topic: str) -> Origin:
        """Who the events of this topic are from."""
        return origin_of(channel, variables, principal, topic)

    def submit(self, deliveries: list[Delivery]) -> bool:
        """Hand over to the pipeline."""
        return self._pipeline.submit(deliveries)

    def refuse(self, principal: Principal, refused: RefusedNotice) -> None:
        """Tell a device that a message of its went nowhere."""
        if principal.user is not None and principal.device is not None:
            self._refused.add(principal.user, principal.device, refused)
        self._traced(principal, refused.reason, refused.message)

    def hold(self, source: Source, user: str | None) -> bool:
        """Whether a new connection has to wait for the backlog."""
        return self._pipeline.hold(source, user)

    def leave(self, source: Source) -> None:
        """A connection is gone."""
        self._pipeline.leave(source)


class DoorOutlet:
    """The bridge's messages out through the front door: straight to the sessions that listen."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def listening(self, topic: str) -> bool:
        """Whether a session would get a message on this topic."""
        return self._sessions.listening(topic)

    def room(self, topic: str) -> int:  # noqa: ARG002
        """Nothing between the bridge and its sessions has a limit."""
        return MAX_PACKET

    def send(self, topic: str, payload: bytes) -> bool:
        """Publish, not retained."""
        self._sessions.fan_out(topic, payload, 1)
        return True


class DoorShelf:
    """Retained messages of the bridge at the front door."""

    run: Final = 0
    births: Final = 0
    ready: Final = True
    remembers: Final = True
    lasting: Final = True

    def __init__(self, sessions: Sessions, retain: Callable[[str, bytes, Callable[[], None]], None]) -> None:
        """``retain`` (topic, payload, then) passes a message through the router."""
        self._sessions = sessions
        self._retain = retain

    def recall(self, topic: str) -> bytes:
        """What is retained on a topic."""
        found = self._sessions.retained.get(topic)
        return b"" if found is None else found.payload

    def retain(self, topic: str, payload: bytes, done: Callable[[bool], None]) -> bool:
        """Retain; taken when it outlasts the process."""
        self._retain(topic, payload, partial(self._sessions.outlasting, partial(done, True)))
        return True


class RefusedMessages:
    """Receipts for messages that went nowhere. They wait for the next commit: before it nobody knows the seq."""

    _MOST = 1_000

    def __init__(self, registry: TopicRegistry, chores: Chores, outlet: Outlet) -> None:
        self._registry = registry
        self._chores = chores
        self._outlet = outlet
        self._waiting: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._count = 0
        self._receipts: list[tuple[str, bytes]] = []

    def add(self, user: str, device: str, refused: RefusedNotice) -> None:
        """A refusal for a device; one too many before the next commit is told to nobody."""
        if self._count >= self._MOST:
            return
        code = Reason.NOT_ALLOWED if refused.reason == "not_allowed" else Reason.TOO_LARGE
        entry: dict[str, Any] = {"index": 0, "id": None, "code": code.value, "field": "topic"}
        entry |= {"message": refused.message, "topic": refused.topic}
        if refused.limit:
            entry["limit"] = refused.limit
        self._waiting.setdefault((user, device), []).append(entry)
        self._count += 1
        if self._count == 1:
            self._chores.add(self._write, self._tell)

    def _write(self, journal: Journal) -> None:
        waiting, self._waiting, self._count = self._waiting, {}, 0
        for (user, device), entries in waiting.items():
            topic = self._registry.build("receipts", user=user, device=device)
            receipt = encode_receipt(journal.epoch, journal.position(user), None, [], [], entries)
            self._receipts.append((topic, receipt))

    def _tell(self) -> None:
        receipts, self._receipts = self._receipts, []
        for topic, receipt in receipts:
            if self._outlet.listening(topic):
                self._outlet.send(topic, receipt)
