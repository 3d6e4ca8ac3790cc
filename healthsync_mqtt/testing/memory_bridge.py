"""What the front door needs from the bridge, in memory, for tests: a log that is a list, commits when it is told to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from bridge.stages.authorise import origin_of
from healthsync_mqtt.broker.embedded.dialect import JSON
from healthsync_mqtt.broker.embedded.ports import RefusedNotice, Unfed, Wish
from healthsync_mqtt.broker.embedded.sessions.index import GrantedQos
from healthsync_mqtt.broker.embedded.sessions.session import Message, Session
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.identity.login.proof import Login
from healthsync_mqtt.model.delivery import Delivery, DeliveryVerdict, Source
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.topics.grammar import shared_filter
from healthsync_mqtt.topics.registry import Channel


class MemoryIngest:
    """``ports.Ingest``: deliveries wait for ``commit``; more than ``most`` of them, and their sources are told to."""

    def __init__(self, most: int = 100) -> None:
        #: payload and origin of what was committed, in order
        self.stored: list[tuple[bytes, Origin]] = []
        self.refused: list[tuple[Principal, RefusedNotice]] = []
        self._most = most
        self._pending: list[Delivery] = []
        self._held: dict[Source, None] = {}

    def origin(self, channel: Channel, variables: dict[str, str], principal: Principal, topic: str) -> Origin:
        """As the bridge has it."""
        return origin_of(channel, variables, principal, topic)

    def submit(self, deliveries: list[Delivery]) -> bool:
        """They wait."""
        self._pending += deliveries
        return self.hold(deliveries[0].source, None)

    def refuse(self, principal: Principal, refused: RefusedNotice) -> None:
        """Note it."""
        self.refused.append((principal, refused))

    def hold(self, source: Source, user: str | None) -> bool:  # noqa: ARG002
        """Whether too much waits."""
        if len(self._pending) > self._most:
            self._held[source] = None
        return source in self._held

    def leave(self, source: Source) -> None:
        """It is told nothing any more."""
        self._held.pop(source, None)

    def commit(self) -> None:
        """What waits is durable: say so to each source, in the order of arrival."""
        pending, self._pending = self._pending, []
        self.stored += [(delivery.payload, delivery.origin) for delivery in pending]
        tokens: dict[Source, list[Delivery]] = {}
        for delivery in pending:
            tokens.setdefault(delivery.source, []).append(delivery)
        for source, own in tokens.items():
            verdicts = [DeliveryVerdict("memory", len(self.stored), 1, 0) for delivery in own if delivery.told]
            source.acknowledge([delivery.token for delivery in own], verdicts)
        held, self._held = self._held, {}
        for source in held:
            source.resume()


class MemoryFeeder:
    """``ports.Feeder`` of canonical messages in a list; shared groups and the past are not had here."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._log: list[tuple[str, bytes]] = []
        #: where persistent sessions go on
        self._places: dict[str, int] = {}
        self._fed: dict[Session, None] = {}

    def store(self, topic: str, payload: bytes) -> None:
        """One canonical event more."""
        self._log.append((topic, payload))
        for session in tuple(self._fed):
            self._feed(session)

    def attach(self, session: Session) -> None:
        """From where it was, or from now on."""
        if session.position is None:
            session.position = self._places.get(session.client_id, len(self._log))
        self._fed[session] = None
        self._feed(session)

    def join(self, session: Session, topic_filter: str, granted: GrantedQos) -> None:
        """Never asked for: see ``refusal``."""

    def leave(self, session: Session, topic_filter: str) -> None:
        """The filter is gone from the session; what it matches comes no more."""

    def refusal(self, session: Session, wish: Wish) -> Unfed | None:  # noqa: ARG002
        """Shared filters are not fed, nor is the past."""
        if shared_filter(wish.topic_filter) is not None or wish.properties:
            return Unfed("not_here", "what is in memory has no groups and no past")
        return None

    def prepare(self, session: Session, wishes: Sequence[Wish], then: Callable[[], None]) -> None:  # noqa: ARG002
        """Its place is known from now on."""
        if session.position is None:
            session.position = self._places.get(session.client_id, len(self._log))
        then()

    def detach(self, session: Session) -> None:
        """Remember where it goes on."""
        self._fed.pop(session, None)
        position = session.acknowledged_position()
        if session.persistent and position is not None:
            self._places[session.client_id] = position

    def forget(self, client_id: str) -> None:
        """Remember nothing."""
        self._places.pop(client_id, None)

    def wanted(self, session: Session) -> None:
        """Go on."""
        if session in self._fed:
            self._feed(session)

    def _feed(self, session: Session) -> None:
        assert session.position is not None
        while session.position < len(self._log) and session.room:
            at = session.position
            topic, payload = self._log[at]
            session.position = at + 1
            granted = self._sessions.index.match(topic).get(session)
            if granted is not None:
                level = min(1, int(granted))
                message = Message(topic.encode(), payload, level, False, at, None, JSON, 0.0, granted.identifiers)
                self._sessions.give(session, message)


class SeenClient(NamedTuple):
    """Where a client came from, and with which protocol level; whether it is here."""

    peer: str
    level: int
    here: bool


@dataclass
class MemoryArrivals:
    """``ports.Arrivals``: the last of each client."""

    seen: dict[str, SeenClient] = field(default_factory=dict)

    def entered(self, client_id: str, peer: str, level: int) -> None:
        """It is here."""
        self.seen[client_id] = SeenClient(peer, level, here=True)

    def left(self, client_id: str) -> None:
        """It is not, as far as it was."""
        known = self.seen.get(client_id)
        if known is not None:
            self.seen[client_id] = known._replace(here=False)


class MemoryRequests:
    """``ports.Requests``: what was asked waits until ``answer`` is called."""

    def __init__(self) -> None:
        #: channel, client id and payload of each request that was heard
        self.asked: list[tuple[str, str, bytes]] = []
        self._waiting: dict[str, Callable[[], None]] = {}

    def take(self, channel: Channel, login: Login, payload: bytes, answer: Callable[[bytes], None]) -> bool:
        """One at a time for each client; another one is not heard."""
        client_id = login.principal.client_id
        if client_id in self._waiting:
            return False
        self.asked.append((channel.key, client_id, payload))
        self._waiting[client_id] = partial(answer, payload)
        return True

    def answer(self) -> None:
        """Everybody gets what it has sent."""
        waiting, self._waiting = self._waiting, {}
        for each in waiting.values():
            each()
