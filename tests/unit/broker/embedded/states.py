"""A protocol in any of its states, and what is given to it: for the tests of both versions of MQTT."""

from collections.abc import Sequence
from typing import Any

from healthsync_mqtt.broker.embedded.actions import (
    Acknowledge,
    EndConnection,
    Flush,
    Listen,
    Refuse,
    Send,
)
from healthsync_mqtt.broker.embedded.lifecycle import ConnectionState
from healthsync_mqtt.broker.embedded.protocol import Protocol
from healthsync_mqtt.model.delivery import OWN_FORM
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.mqtt.codec.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Skipped,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from healthsync_mqtt.topics.access import AccessDecision, AccessRules
from healthsync_mqtt.topics.registry import TopicRegistry
from tests.unit.broker.embedded.sessions.test_session import session

REGISTRY = TopicRegistry.load()
RULES = AccessRules(REGISTRY)
WATCH = Principal(role=Role.device, client_id="alice-watch", user="alice", device="watch")
EVENTS = b"users/alice/devices/watch/events"
STATUS = b"users/alice/devices/watch/status"
WILL = Will(STATUS.decode(), b"gone", 1, retain=True)
MUCH = 1 << 40

PACKETS: tuple[Packet, ...] = (
    Connect("alice-watch", will=WILL),
    Connack(session_present=False, code=0),
    Publish(EVENTS, b"{}", 1, packet_id=1),
    Publish(STATUS, b"{}", 1, packet_id=2),
    Skipped(EVENTS, 2_000_000, 1, 3),
    Puback(1),
    Pubrec(1),
    Pubrel(1),
    Pubcomp(1),
    Subscribe(1, (("a", 0), ("b", 1))),
    Suback(1, (0,)),
    Unsubscribe(1, ("a",)),
    Unsuback(1),
    Pingreq(),
    Pingresp(),
    Disconnect(),
)


class Told:
    """Whoever is told about commits."""

    def acknowledge(self, tokens: Sequence[int]) -> None:
        """Nothing: the tests ask the protocol."""


def route(topic: str, retain: bool) -> tuple[AccessDecision, Origin | None, str]:
    decision = RULES.may_publish(WATCH, topic, retain=retain)
    if decision.channel is not None and decision.channel.ingest:
        return decision, Origin("alice", "watch", None, topic), OWN_FORM
    return decision, None, OWN_FORM


def reached(protocol: Protocol, state: ConnectionState, asked: Connect, *, present: bool = False) -> Protocol:
    """The protocol, brought to this state by a CONNECT and what became of it."""
    if state is ConnectionState.AWAITING_CONNECT:
        return protocol
    handle(protocol, asked)
    if state is ConnectionState.REFUSING:
        protocol.refused()
    elif state is ConnectionState.OPEN:
        protocol.admitted(session(10, 10, WATCH), present=present, route=route)
    elif state is ConnectionState.CLOSED:
        protocol.closed()
    assert protocol.state is state
    return protocol


def handle(protocol: Protocol, *packets: Packet) -> list[Any]:
    protocol.received(packets)
    return protocol.run(MUCH)


def kinds(actions: Sequence[Any]) -> list[type]:
    return [type(action) for action in actions]


EXPECTED: dict[type, list[type]] = {
    Skipped: [Refuse, Acknowledge],
    Puback: [Flush],
    Pubrec: [Send],
    Pubrel: [Send],
    Pubcomp: [Flush],
    Subscribe: [Listen],
    Unsubscribe: [Listen],
    Pingreq: [Send],
    Disconnect: [EndConnection],
}
