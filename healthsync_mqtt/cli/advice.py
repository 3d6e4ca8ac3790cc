"""What a refusal at the door means, in words, and what to do about it. Each of the door's words has its entry."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple


class Advice(NamedTuple):
    """What happened, and what to do."""

    words: str
    fix: str


_ANOTHERS: Final = "its password is no token of this service: use the one that `healthsync device add` printed"
_NOT_OF_OURS: Final = (
    "the token is longer", "the token is not three parts", "the password is not ASCII", "a part is not", "alg is not",
    "the header", "iss is not", "aud is not", "did does not", "scope does not", "role is not", "the lifetime is not",
)  # fmt: skip
_RENEW: Final = "give it a new token: healthsync device token USER DEVICE"
_PROVE: Final = "send the token as the MQTT password"
_COPY_AGAIN: Final = (
    "copy its password again, or make another one: healthsync app rotate USER NAME; of a suspended app none fits"
)
_ADD: Final = (
    "add it: healthsync device add USER DEVICE; or let it in again: healthsync device resume USER DEVICE; "
    "healthsync user resume USER"
)
_CERTIFICATE: Final = "issue another one: healthsync cert issue device USER DEVICE"
_CODE: Final = "print a new code: healthsync device enroll USER DEVICE"
_SERVER_CA: Final = "give it the CA file that `healthsync status` names, and the name or address of the certificate"

LOGINS: Final[tuple[tuple[str, str], ...]] = (
    ("the token has expired", f"{_RENEW}; or let it refresh its own"),
    ("the token is not valid yet", "its clock or this machine's is wrong: compare both"),
    ("the token is revoked", _RENEW),
    ("the token is older than the last removal", _RENEW),
    ("the token is newer", "the registry is older than the token: was a backup restored?"),
    ("the token's holder is not registered", _ADD),
    (
        "the client id is not one for enrolment",
        "its client id has to be its user's or device's: see docs/howto/enrolment.md",
    ),
    ("the client id is not the user name", "give it its user name as its client id, too"),
    ("the client id is not the", "its client id has to be the one that its token was printed with"),
    ("the username is not the", "its username has to be its client id"),
    ("kid names no key of ours", "its token is of another installation, or its key was retired: give it a new token"),
    ("the signature does not fit", "its token was cut or changed on its way: copy it again"),
    ("the password does not fit", _COPY_AGAIN),
    ("too many passwords", "let it try again in a moment; if it goes on, see who knocks: healthsync status"),
    ("the password is being checked", "let it try again in a moment"),
    ("there is no password", _PROVE),
    ("the password is neither a code", _CODE),
    ("the credential is older", "provision it again: healthsync broker provision mosquitto"),
    ("the credential does not fit", f"its password is no token, and not the one that was provisioned; {_RENEW}"),
    ("there is no client certificate", "this listener wants a certificate: healthsync cert issue device USER DEVICE"),
    ("the client certificate is revoked", _CERTIFICATE),
    ("the client certificate has expired", _CERTIFICATE),
    ("the certificate's holder is not registered", _ADD),
    ("the code", _CODE),
    ("no refresh token", _CODE),
    ("the refresh token", _CODE),
    ("the user is suspended", "let it in again: healthsync user resume USER"),
    ("the device is suspended", "let it in again: healthsync device resume USER DEVICE"),
    ("certificate and token", "its token and its certificate have to be of one device: issue both for it"),
    ("there is no proof", _PROVE),
    ("there is a certificate and no token", "this listener wants a token, too: send it as the MQTT password"),
    *((start, _ANOTHERS) for start in _NOT_OF_OURS),
)
"""What the reason of a refused login begins with; the reason itself is words already."""

DOOR: Final[Mapping[str, Advice]] = {
    "will_not_allowed": Advice(
        "its will is for a topic that it may not publish on",
        "a will may go to the device's own status topic only: healthsync device show USER DEVICE",
    ),
    "token_cloned": Advice(
        "two clients use one login and drive each other out", "give each of them a device and a token of its own"
    ),
    "bad_version": Advice(
        "it speaks a version of MQTT that this service does not", "let it speak MQTT 5.0, 3.1.1 or 3.1"
    ),
    "bad_authentication_method": Advice(
        "it asked for a way of authentication of MQTT 5 that is none of ours", "send the token as the MQTT password"
    ),
    "packets_too_small": Advice(
        "it takes no packet that is long enough for what the service has to say",
        "let the client take larger packets (Maximum Packet Size of MQTT 5)",
    ),
    "logins_busy": Advice(
        "too many passwords of apps were being checked, and it had places enough among them",
        "it may come again in a few seconds; whose address guesses so many: healthsync status",
    ),
    "moved": Advice("this installation is served elsewhere", "give it the address that broker.moved_to names"),
    "no_client_id": Advice("it sent no client id", "its client id has to be the one that its token was printed with"),
    "tls_plain_mqtt": Advice(
        "MQTT without TLS came to a TLS port", "switch TLS on in the client, or use the plain port on this machine"
    ),
    "tls_plain_http": Advice("HTTP without TLS came to a TLS port", "use wss:// or mqtts:// in its address"),
    "tls_wrong_ca": Advice("it does not trust the CA of our certificate and said so", _SERVER_CA),
    "tls_certificate_refused": Advice(
        "it did not take our certificate: another name, another CA, or ended", _SERVER_CA
    ),
    "tls_client_certificate": Advice(
        "this listener asks for a client certificate and got none that our CA has signed", _CERTIFICATE
    ),
    "tls_old_tls": Advice(
        "it speaks only older TLS, or other ciphers, than we take", "update it; or lower broker.tls_minimum to 1.2"
    ),
    "tls_timeout": Advice("its TLS handshake did not come to an end in time", "look at its network"),
    "tls_hung_up": Advice(
        "it went away during the TLS handshake and did not say why",
        f"it may not trust our certificate: {_SERVER_CA}; port scans look like this, too",
    ),
    "tls_other": Advice("its TLS handshake failed", "the log has OpenSSL's word: door.tls_failed"),
    "tls_on_plain_port": Advice(
        "TLS came to the plain port", "use the TLS port that `healthsync status` shows, or switch TLS off in the client"
    ),
    "http_on_mqtt_port": Advice(
        "HTTP, perhaps a WebSocket, came to an MQTT port", "use the WebSocket port that `healthsync status` shows"
    ),
    "mqtt_on_websocket_port": Advice(
        "MQTT came to the WebSocket port", "use the MQTT port that `healthsync status` shows, or MQTT over WebSocket"
    ),
    "origin": Advice(
        "a web page of another site asked", "name the page's origin in broker.allowed_origins, if it is yours"
    ),
    "max_connections": Advice(
        "there were too many connections at once", "raise limits.max_connections and the limit of open files"
    ),
    "max_unauthenticated": Advice(
        "too many connections at once had not logged in",
        "see who knocks: healthsync status; or raise limits.max_unauthenticated",
    ),
    "connections_per_address": Advice(
        "its address has too many connections", "close some there, or raise limits.connections_per_address"
    ),
    "unauthenticated_per_address": Advice(
        "too many connections of its address had not logged in",
        "look for a client there that connects and says nothing, or raise limits.unauthenticated_per_address",
    ),
    "handshakes": Advice(
        "too many TLS handshakes of its address were under way, and others wanted a place",
        "look for clients there that begin one and do not go on",
    ),
    "proxy_header": Advice(
        "a proxy of broker.proxies did not say whose connection it hands on",
        "let it send the PROXY protocol (HAProxy: send-proxy-v2), or take it out of broker.proxies",
    ),
    "connect_timeout": Advice("it connected and sent no CONNECT in time", "look at its network, or at its TLS setting"),
    "not_connect": Advice("what it sent first was no CONNECT", "it has to speak MQTT: is this the right port?"),
}
"""By the door's own words: refusals of a CONNECT, and of connections that never said who they are."""

MESSAGES: Final[Mapping[str, Advice]] = {
    "not_allowed": Advice(
        "it may not publish on this topic",
        "see which ones are its own: healthsync device show USER DEVICE",
    ),
    "packet_too_large": Advice(
        "the message was longer than the service takes", "let it send smaller batches, or raise limits.max_packet"
    ),
}
"""By the door's own words: messages of a client that is logged in, which went nowhere."""

_OF_DEVICES: Final = re.compile(r"device (token|resume|show) USER DEVICE")
_OF_APPS: Final = (
    (f"its password is no token, and not the one that was provisioned; {_RENEW}", _COPY_AGAIN),
    (_RENEW, _COPY_AGAIN),
    (_ANOTHERS, _COPY_AGAIN),
    (_PROVE, "send its password as the MQTT password"),
    ("device add USER DEVICE", "app add USER NAME --format FORMAT"),
    ("device resume USER DEVICE", "app resume USER NAME"),
    ("device show USER DEVICE", "app show USER NAME"),
    ("raise limits.max_packet", "raise limits.app_message, or add it again with a --longest"),
)
"""What is done about a device, and what about an app, which has a password and no token."""
_UNKNOWN: Final = "look at the service's log at that time"


def addressed(fix: str, who: Mapping[str, Any]) -> str:
    """``fix`` with the names of a client and the commands of its noun: device, app (it has formats), or subscriber."""
    if "device_id" in who:
        if "formats" in who:
            for of_device, of_app in _OF_APPS:
                fix = fix.replace(of_device, of_app)
        named = re.sub("USER (DEVICE|NAME)", f"{who['user_id']} {who['device_id']}", fix)
        return named.replace("resume USER", f"resume {who['user_id']}")
    name = who["client_id"]
    found = fix.removesuffix("; healthsync user resume USER")
    found = found.replace("cert issue device USER DEVICE", f"cert issue subscriber {name}")
    found = found.replace("device add USER DEVICE", f"subscriber add {name} --users USER")
    return _OF_DEVICES.sub(rf"subscriber \1 {name}", found)


def advice(reason: str) -> Advice:
    """What a refusal means and what to do about it."""
    if reason in DOOR:
        return DOOR[reason]
    fix = next((fix for start, fix in LOGINS if reason.startswith(start)), _UNKNOWN)
    return Advice(reason.replace("_", " "), fix)
