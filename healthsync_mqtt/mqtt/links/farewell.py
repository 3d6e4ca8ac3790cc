"""Why a server ended a connection of MQTT 5: its DISCONNECT as an error that says what to do."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final, NamedTuple

from healthsync_mqtt.model.text import printable
from healthsync_mqtt.mqtt.codec.packets import Disconnect, Property
from healthsync_mqtt.mqtt.links.port import ConnectionLostError

_LONGEST: Final = 200


class ServerClosedError(ConnectionLostError):
    """The server said goodbye; ``code`` is the reason code of its DISCONNECT."""

    reason: ClassVar[str] = "server_closed"

    def __init__(self, message: str, *, hint: str = "", code: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.code = code


class ShuttingDownError(ServerClosedError):
    """The server stops, or is restarted."""

    reason: ClassVar[str] = "shutting_down"


class TakenOverError(ServerClosedError):
    """Another connection has logged in with the same client id."""

    reason: ClassVar[str] = "taken_over"


class TokenEndedError(ServerClosedError):
    """The time of the token that the connection was opened with is over."""

    reason: ClassVar[str] = "token_ended"


class DismissedError(ServerClosedError):
    """An administrator ended the connection: its identity was revoked or suspended, or it was thrown out."""

    reason: ClassVar[str] = "dismissed"


class OverQuotaError(ServerClosedError):
    """The server takes no more from this client for now."""

    reason: ClassVar[str] = "over_quota"


class MovedError(ServerClosedError):
    """The server is somewhere else; the message says where, if it was told."""

    reason: ClassVar[str] = "server_moved"


class _Words(NamedTuple):
    kind: type[ServerClosedError]
    message: str
    hint: str


_RENEW: Final = "issue a new token: healthsync device token USER DEVICE (an enrolled device renews its own)"
_QUOTA: Final = "send less at once; see: healthsync status (limited)"
_BUG: Final = "client and server disagree about the protocol: report it with both versions"
_MOVED: Final = "give the client the new host"

_WORDS: Final[Mapping[int, _Words]] = MappingProxyType(
    {
        0x81: _Words(ServerClosedError, "it found a malformed packet", _BUG),
        0x82: _Words(ServerClosedError, "it found a protocol error", _BUG),
        0x87: _Words(DismissedError, "the client is not authorized any more", _RENEW),
        0x89: _Words(OverQuotaError, "it is busy", "try again later"),
        0x8B: _Words(ShuttingDownError, "it shuts down", "wait until it is up again; the client tries by itself"),
        0x8D: _Words(
            ServerClosedError, "it heard nothing in time", "look at the network in between, or raise keep_alive"
        ),
        0x8E: _Words(
            TakenOverError,
            "another connection uses the same client id",
            "give each client a device of its own; one token must not be in two places",
        ),
        0x93: _Words(OverQuotaError, "too many messages were unanswered", _BUG),
        0x95: _Words(ServerClosedError, "a packet was too large for it", "send smaller batches"),
        0x96: _Words(OverQuotaError, "messages came too fast", _QUOTA),
        0x97: _Words(OverQuotaError, "its quota is used up", _QUOTA),
        0x98: _Words(DismissedError, "an administrator ended it", "see: healthsync device why USER DEVICE"),
        0x9C: _Words(MovedError, "another server is to be used", _MOVED),
        0x9D: _Words(MovedError, "the server has moved", _MOVED),
        0xA0: _Words(TokenEndedError, "the token's time is over", _RENEW),
    }
)


def farewell(packet: Disconnect) -> ServerClosedError:
    """The error for a DISCONNECT of the server, with its own words where it has some."""
    kind, message, hint = _WORDS.get(packet.reason, _Words(ServerClosedError, f"code {packet.reason}", ""))
    said = packet.properties.get(Property.REASON_STRING, "")
    where = packet.properties.get(Property.SERVER_REFERENCE, "")
    words = [message]
    if where:
        words.append(f"to {printable(where, _LONGEST)}")
    if said:
        words.append(f"({printable(said, _LONGEST)})")
    return kind(f"the server closed the connection: {' '.join(words)}", hint=hint, code=packet.reason)
