"""How far somebody has read what changed, as a text that nobody reads but the service. Pure.

It holds a place and digests of what it is good for: a log, a user, a grant. It is no secret and no right: what may be
read is asked anew with each request. The place is one that the reader was told, or sealed.
"""

from binascii import Error as Base64Error
from hashlib import blake2b
from typing import Final, NamedTuple, Self

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.model.base64url import base64url, from_base64url

_VERSION: Final = b"\x01"
_DIGEST: Final = 8
_PLACE: Final = 1 + 3 * _DIGEST
_CHECK: Final = 4
PLACES: Final = frozenset({8, 16})
"""Bytes that a place may have: a number, or a sealed one."""
LONGEST: Final = 128


class SyncTokenError(InputError):
    """A token that is good for nothing here: ``token_expired``, ``token_foreign`` or ``bad_token``."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message, hint="ask without a token: everything is told from the beginning")
        self.reason = reason  # type: ignore[misc]  # of this error, not of its class


class SyncToken(NamedTuple):
    """Behind ``place`` of what ``user`` has in the log of ``epoch``, as ``grant`` lets it be read.

    ``user`` None: of several users.
    """

    epoch: str
    user: str | None
    grant: str
    place: bytes

    def text(self) -> str:
        """As it is handed out."""
        body = _VERSION + _digest(self.epoch) + _digest(self.user or "") + _digest(self.grant) + self.place
        return base64url(body + _check(body))

    @classmethod
    def read(cls, text: str, *, epoch: str, user: str | None, grant: str) -> Self:
        """One that is for this log, user and grant. SyncTokenError says what it is else."""
        body = _body(text)
        log, whose, rights = (body[at : at + _DIGEST] for at in range(1, _PLACE, _DIGEST))
        if whose != _digest(user or ""):
            raise SyncTokenError("token_foreign", "the token is of another user's events")
        if log != _digest(epoch):
            raise SyncTokenError("token_expired", "the log is another one since: it was restored from a backup")
        if rights != _digest(grant):
            raise SyncTokenError("token_expired", "what may be read is something else since")
        return cls(epoch, user, grant, body[_PLACE:])


def no_token() -> SyncTokenError:
    """For a text that was never handed out."""
    return SyncTokenError("bad_token", "this is no token of ours")


def _body(text: str) -> bytes:
    try:
        found = from_base64url(text)
    except (Base64Error, ValueError):
        found = b""
    body = found[:-_CHECK]
    if len(body) - _PLACE not in PLACES or body[:1] != _VERSION or found[-_CHECK:] != _check(body):
        raise no_token()
    return body


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=_DIGEST).digest()


def _check(body: bytes) -> bytes:
    return blake2b(body, digest_size=_CHECK).digest()
