"""Where deliveries come from. Here: the front door of the embedded broker, in the same process."""

from bridge.pipeline import Pipeline
from bridge.stages.authorise import origin_of
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.model.delivery import Delivery, Source
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.topics.registry import Channel


class DoorSource:
    """Takes events from the front door (its ``Ingest``)."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def origin(self, channel: Channel, variables: dict[str, str], principal: Principal, topic: str) -> Origin:
        """Who the events of this topic are from."""
        return origin_of(channel, variables, principal, topic)

    def submit(self, deliveries: list[Delivery]) -> bool:
        """Hand over to the pipeline."""
        return self._pipeline.submit(deliveries)

    def hold(self, source: Source) -> bool:
        """Whether a new connection has to wait for the backlog."""
        return self._pipeline.hold(source)

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

    def send(self, topic: str, payload: bytes) -> None:
        """Publish, not retained."""
        self._sessions.fan_out(topic, payload, 1)
