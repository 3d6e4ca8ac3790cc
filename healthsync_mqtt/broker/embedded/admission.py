"""Whether a CONNECT is let in. Nothing that belongs to its client id is touched before it is."""

from collections.abc import Callable
from typing import NamedTuple

from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.identity.login.proof import Login, PerhapsNewError
from healthsync_mqtt.mqtt.codec.packets import Connect, ConnectCode
from healthsync_mqtt.topics.access import AccessRules


class Refusal(NamedTuple):
    """The CONNACK code, the reason for the log, and whether the answer is held back (a failed login), for how long.

    ``perhaps_new``: whoever asks may be known after another reading of the registry.
    """

    code: ConnectCode
    reason: str
    held: bool = False
    wait_s: float = 0.0
    perhaps_new: bool = False


def admission(packet: Connect, login: Callable[[Connect], Login], rules: AccessRules) -> Login | Refusal:
    """Judge version, client id, credentials and will, in this order; of MQTT 3.1 the credentials first.

    Paho (Java, Go, C) tries a refused login again as MQTT 3.1 and reports what it is told then: a wrong token must not
    be hidden by a version that nobody asked for.
    """
    old = (packet.protocol_name, packet.protocol_level) == ("MQIsdp", 3)
    if not old and (packet.protocol_level != 4 or packet.protocol_name != "MQTT"):
        return Refusal(ConnectCode.BAD_PROTOCOL_VERSION, "bad_version")
    if not packet.client_id:
        return Refusal(ConnectCode.IDENTIFIER_REJECTED, "no_client_id")
    try:
        accepted = login(packet)
    except TokenError as error:
        perhaps_new = isinstance(error, PerhapsNewError)
        return Refusal(ConnectCode.NOT_AUTHORIZED, error.detail, held=True, perhaps_new=perhaps_new)
    if old:
        return Refusal(ConnectCode.BAD_PROTOCOL_VERSION, "bad_version")
    will = packet.will
    if will is not None and not rules.may_will(accepted.principal, will.topic, retain=will.retain).allowed:
        return Refusal(ConnectCode.NOT_AUTHORIZED, "will_not_allowed")
    return accepted
