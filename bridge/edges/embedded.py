"""Where deliveries come from. Here: the front door of the embedded broker, in the same process."""

from bridge.pipeline import Pipeline
from bridge.stages.authorise import origin_of
from healthsync_mqtt.broker.embedded.door import FrontDoor
from healthsync_mqtt.model.delivery import Delivery
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


class DoorOutlet:
    """The bridge's messages out through the front door."""

    def __init__(self, door: FrontDoor) -> None:
        self._door = door

    def listening(self, topic: str) -> bool:
        """Whether a session would get a message on this topic."""
        return self._door.sessions.listening(topic)

    def send(self, topic: str, payload: bytes) -> None:
        """Publish, not retained."""
        self._door.send(topic, payload)

    def resume(self) -> None:
        """Read again."""
        self._door.resume()
