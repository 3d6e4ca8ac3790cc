"""The reason code of the DISCONNECT that ends an MQTT 5 connection, by the reason in our log; some have none."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from healthsync_mqtt.mqtt.codec import Fault
from healthsync_mqtt.mqtt.codec.v5 import ReasonCode

_PROTOCOL_ERRORS: Final = {Fault.REPEATED_PROPERTY, Fault.BAD_VALUE, Fault.NO_TOPIC, Fault.NO_FILTERS}
_LIMITS: Final = {Fault.TOO_MANY_PROPERTIES, Fault.TOO_MANY_FILTERS}


def _of_fault(fault: Fault) -> ReasonCode:
    if fault in _PROTOCOL_ERRORS:
        return ReasonCode.PROTOCOL_ERROR
    if fault in _LIMITS:
        return ReasonCode.QUOTA_EXCEEDED
    return ReasonCode.PACKET_TOO_LARGE if fault is Fault.TOO_LARGE else ReasonCode.MALFORMED_PACKET


CODES: Final[Mapping[str, ReasonCode]] = MappingProxyType(
    {fault.value: _of_fault(fault) for fault in Fault}
    | {
        "shutdown": ReasonCode.SERVER_SHUTTING_DOWN,
        "moved": ReasonCode.SERVER_MOVED,
        "taken_over": ReasonCode.SESSION_TAKEN_OVER,
        "keep_alive": ReasonCode.KEEP_ALIVE_TIMEOUT,
        "token_expired": ReasonCode.MAXIMUM_CONNECT_TIME,
        "revoked": ReasonCode.ADMINISTRATIVE_ACTION,
        "rights_changed": ReasonCode.ADMINISTRATIVE_ACTION,
        "kicked": ReasonCode.ADMINISTRATIVE_ACTION,
        "re_authentication_refused": ReasonCode.NOT_AUTHORIZED,
        "unexpected_packet": ReasonCode.PROTOCOL_ERROR,
        "unexpected_auth": ReasonCode.PROTOCOL_ERROR,
        "wrong_acknowledgement": ReasonCode.PROTOCOL_ERROR,
        "session_expiry_raised": ReasonCode.PROTOCOL_ERROR,
        "unknown_topic_alias": ReasonCode.PROTOCOL_ERROR,
        "subscription_identifier_of_client": ReasonCode.PROTOCOL_ERROR,
        "topic_alias_invalid": ReasonCode.TOPIC_ALIAS_INVALID,
        "misplaced_wildcard": ReasonCode.MALFORMED_PACKET,
        "receive_maximum_exceeded": ReasonCode.RECEIVE_MAXIMUM_EXCEEDED,
        "too_many_unreleased": ReasonCode.RECEIVE_MAXIMUM_EXCEEDED,
        "not_allowed": ReasonCode.QUOTA_EXCEEDED,
        "packet_too_large": ReasonCode.QUOTA_EXCEEDED,
        "message_too_slow": ReasonCode.QUOTA_EXCEEDED,
    }
)
