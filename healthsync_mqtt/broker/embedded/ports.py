"""What the front door needs from above: who takes events and requests, and who feeds canonical events."""

from collections.abc import Callable
from typing import Protocol

from healthsync_mqtt.broker.embedded.sessions.session import Session
from healthsync_mqtt.identity.login.directory import Login
from healthsync_mqtt.model.delivery import Delivery, Source
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.topics.registry import Channel


class Ingest(Protocol):
    """The bridge's pipeline."""

    def origin(self, channel: Channel, variables: dict[str, str], principal: Principal, topic: str) -> Origin:
        """Who the events of this topic are from."""

    def submit(self, deliveries: list[Delivery]) -> bool:
        """Take the deliveries; True asks their connections to read no more until their ``resume`` is called."""

    def hold(self, source: Source) -> bool:
        """Whether a new connection must read no events before its ``resume`` is called."""

    def leave(self, source: Source) -> None:
        """A connection is gone and waits for no ``resume``."""


class Feeder(Protocol):
    """The reader of the event log that fills sessions with canonical events."""

    def attach(self, session: Session) -> None:
        """The session is connected and has a filter on canonical topics, or has a new one."""

    def detach(self, session: Session) -> None:
        """The session's connection is gone; its position is kept if the session is persistent."""

    def forget(self, client_id: str) -> None:
        """The client asked for a clean session: no position of an earlier one is kept."""

    def wanted(self) -> None:
        """A session has room again."""


class Requests(Protocol):
    """Who answers what clients ask the bridge."""

    def take(self, channel: Channel, login: Login, payload: bytes, answer: Callable[[bytes], None]) -> None:
        """A request on ``channel``; ``answer`` is called at most once, later, on the event loop."""
