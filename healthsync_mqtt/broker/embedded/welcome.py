"""What the CONNACK tells a client of MQTT 5: what holds here, where that is not what it asked for. Pure."""

from typing import Any

from healthsync_mqtt.broker.embedded.protocol import MOST_ALIASES
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.mqtt.codec.packets import NO_PROPERTIES, Connect, Properties, Property
from healthsync_mqtt.topics.registry import TopicRegistry


def receive_maximum(limits: LimitSettings) -> int:
    """Messages that a client may have unanswered."""
    return min(limits.receive_window, limits.max_unreleased)


def expiry_of(asked: Connect) -> float | None:
    """Seconds that the session is to last without its client; None: 3.1.1 leaves that to the server."""
    return None if asked.protocol_level < 5 else float(asked.properties.get(Property.SESSION_EXPIRY, 0))


def welcome(
    asked: Connect,
    *,
    principal: Principal,
    limits: LimitSettings,
    registry: TopicRegistry,
    keep_alive_s: int,
    expiry_s: float,
    longest: int,
) -> Properties:
    """The properties of the CONNACK for this CONNECT, whose session lasts ``expiry_s``; ``longest`` is its packet."""
    if asked.protocol_level < 5:
        return NO_PROPERTIES
    about: dict[Property, Any] = {
        Property.RECEIVE_MAXIMUM: receive_maximum(limits),
        Property.MAXIMUM_PACKET_SIZE: longest,
        Property.TOPIC_ALIAS_MAXIMUM: MOST_ALIASES,
        Property.RETAIN_AVAILABLE: 1,
        Property.WILDCARD_SUBSCRIPTION_AVAILABLE: 1,
        Property.SUBSCRIPTION_IDS_AVAILABLE: 1,
        Property.SHARED_SUBSCRIPTION_AVAILABLE: 1,
    }
    if asked.properties.get(Property.SESSION_EXPIRY, 0) != expiry_s:
        about[Property.SESSION_EXPIRY] = int(expiry_s)
    if not asked.client_id:
        about[Property.ASSIGNED_CLIENT_ID] = principal.client_id
    if asked.keep_alive != keep_alive_s:
        about[Property.SERVER_KEEP_ALIVE] = keep_alive_s
    method = asked.properties.get(Property.AUTHENTICATION_METHOD)
    if method is not None:
        about[Property.AUTHENTICATION_METHOD] = method
    if asked.properties.get(Property.REQUEST_RESPONSE_INFORMATION) and (topic := _answers(principal, registry)):
        about[Property.RESPONSE_INFORMATION] = topic
    return about


def _answers(principal: Principal, registry: TopicRegistry) -> str:
    """The topic on which the bridge answers requests of this client; empty where it may make none."""
    if principal.role is Role.enroll:
        return registry.build("enroll_response", client=principal.client_id)
    if principal.user is not None and principal.device is not None:
        return registry.build("token_response", user=principal.user, device=principal.device)
    return ""
