"""On an external broker: deliveries from a connection to it, and the bridge's messages out through it.

Each connection has a source of its own. What a source has handed over is acknowledged on its connection or, when that
is gone, nowhere: the broker sends it again on the next one, and the journal finds it stored.
"""

from collections.abc import Callable, Sequence
from typing import Final

from bridge.pipeline import Pipeline
from bridge.stages.authorise import origin_of
from healthsync_mqtt.broker.embedded.ackorder import AckOrder, answers
from healthsync_mqtt.broker.external.identities import CANARY_USERS
from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.model.delivery import OWN_FORM, Delivery, DeliveryVerdict
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.shard import Shard
from healthsync_mqtt.mqtt.codec.packets import Publish
from healthsync_mqtt.mqtt.links.port import BrokerLink
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.topics.registry import TopicRegistry

log = get_logger("bridge")

_MOST_TOPICS = 200_000
_REFUSED: Final = 0x80
_FOREIGN: Final = Origin("", None, None, "foreign")
"""Another bridge's user, a canary, or no events topic at all: acknowledged, and that is all."""


class Origins:
    """The origin of each topic, remembered across connections."""

    def __init__(self, registry: TopicRegistry, shard: Shard, status_topic: str = "") -> None:
        self._status_topic = status_topic
        self._registry = registry
        self._shard = shard
        self._known: dict[bytes, Origin] = {}
        self.find = self._known.get
        #: the formats of topics that are not of our own events
        self.forms: dict[bytes, str] = {}

    def learn(self, topic: bytes) -> Origin:
        """Look a topic up for the first time."""
        if len(self._known) >= _MOST_TOPICS:
            self._known.clear()
            self.forms.clear()
        origin = self._known[topic] = self._decide(topic)
        return origin

    def _decide(self, topic: bytes) -> Origin:
        try:
            text = topic.decode()
        except UnicodeDecodeError:
            return _FOREIGN
        if text == self._status_topic:
            return _FOREIGN
        parsed = self._registry.parse(text)
        if parsed is None or not parsed[0].ingest:
            log.warning("bridge.unknown_topic", bytes=len(topic))
            return _FOREIGN
        channel, variables = parsed
        if variables["user"] in CANARY_USERS or not self._shard.owns(variables["user"]):
            return _FOREIGN
        form = variables.get("format", OWN_FORM)
        if form not in FORMATS:
            log.warning("bridge.unknown_format", bytes=len(topic))
            return _FOREIGN
        if form != OWN_FORM:
            self.forms[topic] = form
        return origin_of(channel, variables, None, text)


class LinkSource:
    """The deliveries of one connection (a ``Source``). It holds them back until ``release``."""

    def __init__(
        self, pipeline: Pipeline, origins: Origins, aside: Callable[[Publish], bool] = lambda _message: False
    ) -> None:
        self._aside = aside
        self._pipeline = pipeline
        self._origins = origins
        self._order = AckOrder()
        self._link: BrokerLink | None = None
        self._held: list[Publish] = []

    @property
    def waiting(self) -> int:
        """Deliveries that are not acknowledged yet."""
        return self._order.waiting + len(self._held)

    def received(self, messages: list[Publish]) -> None:
        """Take what one read brought."""
        if self._link is None:
            self._held += [message for message in messages if not self._aside(message)]
            return
        find, forms = self._origins.find, self._origins.forms
        deliveries: list[Delivery] = []
        for topic, payload, _, retained, _, packet_id, _ in messages:
            origin = find(topic) or self._origins.learn(topic)
            if not origin.user:
                if packet_id and self._order.answer(packet_id, len(deliveries)):
                    self._link.acknowledge(answers((packet_id,)))
                continue
            delivery = Delivery(self, packet_id, origin, payload)
            if forms and topic in forms:
                delivery = delivery._replace(form=forms[topic], retained=retained)
            deliveries.append(delivery)
        if deliveries:
            self._order.delivered(len(deliveries))
            if self._pipeline.submit(deliveries):
                self._link.pause()

    def release(self, link: BrokerLink) -> None:
        """From now on deliveries go to the pipeline, those held back first."""
        self._link = link
        held, self._held = self._held, []
        if held:
            self.received(held)

    def acknowledge(self, tokens: Sequence[int], verdicts: Sequence[DeliveryVerdict] = ()) -> None:  # noqa: ARG002
        """The oldest deliveries are durable: PUBACK, unless the connection they came over is gone."""
        if self._link is not None:
            self._link.acknowledge(answers(self._order.acknowledge(tokens)))

    def charge(self, cost: int) -> None:
        """Nothing: who sent what is the broker's to slow down, and all senders share this connection."""

    def resume(self) -> None:
        """Read again."""
        if self._link is not None:
            self._link.resume()


class LinkOutlet:
    """The bridge's messages out through the connection that stands; without one they are not sent.

    That loses nothing: a device without a receipt sends again, and canonical events have a cursor.
    """

    def __init__(self) -> None:
        self._link: BrokerLink | None = None

    def connected(self, link: BrokerLink | None) -> None:
        """Use this connection from now on; None: there is none."""
        self._link = link

    def listening(self, topic: str) -> bool:  # noqa: ARG002  # who subscribes is the broker's knowledge
        """Whether the message can be sent at all."""
        return self._link is not None and self._link.alive

    def room(self, topic: str) -> int:
        """What the broker takes, as far as it says so."""
        return self._link.room(topic) if self._link is not None else 0

    def send(self, topic: str, payload: bytes) -> bool:
        """Publish, not retained; False when it is larger than the broker takes, or too much waits for the broker."""
        return self._link is not None and self._link.send(topic, payload)


class LinkShelf:
    """Retained messages of the bridge at an external broker, through the connection that stands."""

    remembers: Final = False

    def __init__(self) -> None:
        self._link: BrokerLink | None = None
        self.run = 0

    @property
    def ready(self) -> bool:
        """Whether there is a connection."""
        return self._link is not None and self._link.alive

    @property
    def lasting(self) -> bool:
        """Whether the broker knows the bridge's session: one that lost it may have lost what was retained, too."""
        return self._link is not None and self._link.agreed.session_present

    def connected(self, link: BrokerLink | None) -> None:
        """Use this connection from now on; None: there is none."""
        self._link = link
        if link is not None:
            self.run += 1

    def recall(self, topic: str) -> bytes:  # noqa: ARG002
        """Never asked: a broker is not read back."""
        return b""

    def retain(self, topic: str, payload: bytes, done: Callable[[bool], None]) -> bool:
        """Publish, retained; ``done`` with the broker's word. False: no connection, or too much waits there."""
        link = self._link
        if link is None:
            return False
        return link.send(topic, payload, retain=True, done=lambda answer: done(answer.reason < _REFUSED))
