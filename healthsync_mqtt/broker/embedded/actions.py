"""What the protocol of a connection asks of the connection: values only."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.mqtt.ack_order import Answered, OtherAnswer
from healthsync_mqtt.mqtt.codec.packets import Connect, Packet, Publish, Subscribe, Unsubscribe
from healthsync_mqtt.topics.access import AccessDecision
from healthsync_mqtt.topics.registry import Channel

Route: TypeAlias = Callable[[str, bool], tuple[AccessDecision, Origin | None, str]]
"""``(topic, retain)`` to the decision about a PUBLISH; of events whose they are, and in which format. Pure."""


class Judge(NamedTuple):
    """Decide this CONNECT and call ``admitted`` or ``refused``."""

    asked: Connect


class Events(NamedTuple):
    """Messages for the journal, in their order."""

    deliveries: list[Delivery]


class Relay(NamedTuple):
    """An allowed message that is no event; acknowledged once ``relayed`` is told of ``held`` (none at QoS 0)."""

    channel: Channel | None
    message: Publish
    held: OtherAnswer | None


class Refuse(NamedTuple):
    """A message that goes nowhere; its answer is another action. ``reason``: not_allowed, packet_too_large."""

    reason: str
    topic: bytes
    rule: str


class Listen(NamedTuple):
    """Add or take away filters; the answer is the next thing to send."""

    asked: Subscribe | Unsubscribe


class Send(NamedTuple):
    """Send a packet."""

    packet: Packet


class Acknowledge(NamedTuple):
    """Acknowledge these messages of the client, in this order: what ``AckOrder`` was given for them."""

    tokens: Sequence[Answered]


class Renew(NamedTuple):
    """Judge these new credentials of the client and call ``renewed`` or ``violated``."""

    secret: bytes


class Flush(NamedTuple):
    """The client has acknowledged something: send what its session has."""


class EndConnection(NamedTuple):
    """The connection is over. ``violation``: cut it; else what was written goes out first. An empty reason: it left."""

    reason: str = ""
    violation: bool = False
    rule: str = ""


Action: TypeAlias = Judge | Events | Relay | Refuse | Listen | Send | Acknowledge | Flush | Renew | EndConnection
