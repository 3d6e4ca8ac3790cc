"""Whether a CONNECT is let in. Nothing that belongs to its client id is touched before it is."""

from collections.abc import Callable
from typing import Final, NamedTuple

from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.identity.login.passwords import normal_password
from healthsync_mqtt.identity.login.proof import BannedError, CrowdedError, Login, PerhapsNewError, UnprovedError
from healthsync_mqtt.mqtt.codec.packets import Connect, ConnectCode, Property
from healthsync_mqtt.mqtt.codec.v5 import ReasonCode
from healthsync_mqtt.topics.access import AccessRules

METHOD: Final = "healthsync-token"
"""The authentication method of MQTT 5: the authentication data is a token, in CONNECT and in AUTH."""

LEAST_PACKET: Final = 32
"""The least maximum packet size of a client: with less it could not be told what holds here."""

_FIVE: Final = {
    ConnectCode.BAD_PROTOCOL_VERSION: ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
    ConnectCode.IDENTIFIER_REJECTED: ReasonCode.CLIENT_IDENTIFIER_NOT_VALID,
    ConnectCode.SERVER_UNAVAILABLE: ReasonCode.SERVER_UNAVAILABLE,
    ConnectCode.BAD_CREDENTIALS: ReasonCode.BAD_CREDENTIALS,
    ConnectCode.NOT_AUTHORIZED: ReasonCode.NOT_AUTHORIZED,
}
_VERSIONS: Final = {("MQIsdp", 3), ("MQTT", 4), ("MQTT", 5)}


class Refusal(NamedTuple):
    """The CONNACK code, the reason for the log, and whether the answer is held back (a failed login), for how long.

    ``perhaps_new``: whoever asks may be known after another reading of the registry; ``unproved``: the password is to
    be checked; ``busy``: it was not, and nothing is held against who asks. ``five`` is the reason code of MQTT 5 where
    it says more than ``code``, ``advice`` the reason string there, ``to`` the server reference.
    """

    code: ConnectCode
    reason: str
    held: bool = False
    wait_s: float = 0.0
    perhaps_new: bool = False
    unproved: bool = False
    busy: bool = False
    five: ReasonCode | None = None
    advice: str = ""
    to: str = ""

    @property
    def answer(self) -> ReasonCode:
        """The reason code of MQTT 5."""
        if self.five is not None:
            return self.five
        if self.held and self.code is ConnectCode.NOT_AUTHORIZED:
            return ReasonCode.BAD_CREDENTIALS
        return _FIVE[self.code]


def named(packet: Connect) -> Connect:
    """The CONNECT with its proof in the places of MQTT 3.1.1: a token that came as authentication data is its password.

    A client without a client id gets its user name for one, and in MQTT 5 a password may come without a user name: both
    are who the token is for. An app cannot be told which client id to use, perhaps: with a password of ours it is who
    its user name says. In 3.1.1 a session that lasts needs a client id all the same [MQTT-3.1.3-8].
    """
    about = packet.properties
    if packet.protocol_level < 5 and not packet.client_id and not packet.clean_session:
        return packet
    if packet.username and packet.password is not None and normal_password(packet.password) is not None:
        return packet._replace(client_id=packet.username)
    client_id = packet.client_id or packet.username or ""
    if packet.protocol_level < 5:
        return packet._replace(client_id=client_id)
    if Property.AUTHENTICATION_METHOD not in about:
        username = client_id if packet.username is None and packet.password is not None else packet.username
        return packet._replace(client_id=client_id, username=username)
    secret = about.get(Property.AUTHENTICATION_DATA, packet.password)
    return packet._replace(client_id=client_id, username=packet.username or client_id, password=secret)


def admission(packet: Connect, login: Callable[[Connect], Login], rules: AccessRules) -> Login | Refusal:
    """Judge version, method, client id, credentials and will, in this order.

    MQTT 3.1 is spoken as 3.1.1. Paho (Java, Go, C) tries a refused login again as 3.1 and reports what it is told then:
    the same as before.
    """
    if (packet.protocol_name, packet.protocol_level) not in _VERSIONS:
        advice = "MQTT 5.0, 3.1.1 and 3.1 are spoken here"
        return Refusal(ConnectCode.BAD_PROTOCOL_VERSION, "bad_version", advice=advice)
    if packet.properties.get(Property.MAXIMUM_PACKET_SIZE, LEAST_PACKET) < LEAST_PACKET:
        five, advice = ReasonCode.PACKET_TOO_LARGE, f"packets have up to {LEAST_PACKET} bytes at least"
        return Refusal(ConnectCode.SERVER_UNAVAILABLE, "packets_too_small", five=five, advice=advice)
    method = packet.properties.get(Property.AUTHENTICATION_METHOD)
    if method is not None and method != METHOD:
        five, advice = ReasonCode.BAD_AUTHENTICATION_METHOD, f"the authentication method is {METHOD}, or none"
        return Refusal(ConnectCode.NOT_AUTHORIZED, "bad_authentication_method", five=five, advice=advice)
    if not packet.client_id:
        advice = "a client id, or a user name for one, is needed"
        return Refusal(ConnectCode.IDENTIFIER_REJECTED, "no_client_id", advice=advice)
    try:
        accepted = login(packet)
    except CrowdedError as error:
        five, advice = ReasonCode.SERVER_BUSY, f"{error.detail}: try again in a few seconds"
        return Refusal(ConnectCode.SERVER_UNAVAILABLE, "logins_busy", busy=True, five=five, advice=advice)
    except TokenError as error:
        perhaps_new = isinstance(error, PerhapsNewError)
        banned = isinstance(error, BannedError) or (isinstance(error, PerhapsNewError) and error.banned)
        return Refusal(
            ConnectCode.NOT_AUTHORIZED,
            error.detail,
            held=True,
            perhaps_new=perhaps_new,
            unproved=isinstance(error, UnprovedError),
            five=ReasonCode.BANNED if banned else None,
        )
    will = packet.will
    if will is not None and not rules.may_will(accepted.principal, will.topic, retain=will.retain).allowed:
        return Refusal(ConnectCode.NOT_AUTHORIZED, "will_not_allowed", advice="a will on this topic is not allowed")
    return accepted
