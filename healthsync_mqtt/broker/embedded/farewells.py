"""The reason code of the DISCONNECT that ends an MQTT 5 connection, by the reason in our log; some have none."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from healthsync_mqtt.mqtt.codec import Fault
from healthsync_mqtt.mqtt.codec.v5 import Reason

_PROTOCOL_ERRORS: Final = {Fault.REPEATED_PROPERTY, Fault.NO_TOPIC, Fault.NO_FILTERS}
_LIMITS: Final = {Fault.TOO_MANY_PROPERTIES, Fault.TOO_MANY_FILTERS}


def _of_fault(fault: Fault) -> Reason:
    if fault in _PROTOCOL_ERRORS:
        return Reason.PROTOCOL_ERROR
    if fault in _LIMITS:
        return Reason.QUOTA_EXCEEDED
    return Reason.PACKET_TOO_LARGE if fault is Fault.TOO_LARGE else Reason.MALFORMED_PACKET


CODES: Final[Mapping[str, Reason]] = MappingProxyType(
    {fault.value: _of_fault(fault) for fault in Fault}
    | {
        "shutdown": Reason.SERVER_SHUTTING_DOWN,
        "taken_over": Reason.SESSION_TAKEN_OVER,
        "keep_alive": Reason.KEEP_ALIVE_TIMEOUT,
        "token_expired": Reason.MAXIMUM_CONNECT_TIME,
        "revoked": Reason.ADMINISTRATIVE_ACTION,
        "kicked": Reason.ADMINISTRATIVE_ACTION,
        "re_authentication_refused": Reason.NOT_AUTHORIZED,
        "unexpected_packet": Reason.PROTOCOL_ERROR,
        "unexpected_auth": Reason.PROTOCOL_ERROR,
        "wrong_acknowledgement": Reason.PROTOCOL_ERROR,
        "session_expiry_raised": Reason.PROTOCOL_ERROR,
        "unknown_topic_alias": Reason.PROTOCOL_ERROR,
        "topic_alias_invalid": Reason.TOPIC_ALIAS_INVALID,
        "misplaced_wildcard": Reason.MALFORMED_PACKET,
        "receive_maximum_exceeded": Reason.RECEIVE_MAXIMUM_EXCEEDED,
        "too_many_unreleased": Reason.RECEIVE_MAXIMUM_EXCEEDED,
        "not_allowed": Reason.QUOTA_EXCEEDED,
        "packet_too_large": Reason.QUOTA_EXCEEDED,
    }
)
