"""Refresh tokens: opaque, kept as digests, rotated at each use (RFC 9700, section 4.14).

A token is ``hsr.FAMILY.SECRET.TAG``. A family is one chain of tokens from one enrolment. Whoever presents a token that
is not the newest one has either stolen it or was stolen from, so the family ends. One case is innocent: the answer
with the new token was lost and the device asks again. Within a minute, and while the new token is unused, it gets the
same new token: that is kept sealed with a key that is derived from the old one, which is itself kept nowhere.

The tag, a keyed digest, tells an old token of ours from an invented one, so that inventing tokens ends nobody's family.
"""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.identity.people.lookup import PEOPLE
from healthsync_mqtt.identity.people.records import Family
from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.identity.sql import statements
from healthsync_mqtt.model.base64url import base64url

PREFIX: Final = "hsr."
GRACE_S: Final = 60
"""How long a device whose answer was lost gets the same token again."""
IDLE_S: Final = 90 * 86_400
"""A token that is not used for so long is void."""
FAMILY_S: Final = 365 * 86_400
"""A chain of tokens ends so long after its enrolment, however it was used."""

_SQL: Final = statements("people", "login")
_SECOND_US = 1_000_000
_SHAPE = re.compile(r"hsr\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{22})")
_NONCE = bytes(12)  # each key seals one token, so the nonce may be fixed


class ReuseError(TokenError):
    """A refresh token was used a second time: its family is revoked now."""

    def __init__(self, user_id: str, device_id: str) -> None:
        super().__init__("the refresh token was used before; its family is revoked")
        self.user_id = user_id
        self.device_id = device_id


class Reused(NamedTuple):
    """The device whose token came twice: the family has ended."""

    user_id: str
    device_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """A token to hand out, whose device it is, and until when it may be used (epoch microseconds)."""

    token: str = field(repr=False)
    user_id: str
    device_id: str
    expires_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _TokenFamily(Family):
    """A family as it is kept, with the digests of its newest token and of the one before."""

    newest_sha256: str = field(repr=False)
    newest_us: int
    parent_sha256: str | None = field(repr=False)
    sealed_newest: str | None = field(repr=False)
    revoked_us: int | None


def family_of(token: str) -> str | None:
    """The family that a token names; None when it has not the shape of one."""
    shape = _SHAPE.fullmatch(token)
    return None if shape is None else shape[1]


def is_genuine(token: str, tag_key: str) -> bool:
    """Whether a token of the right shape was issued by us, be it the newest of its family or not."""
    head, _, tag = token.rpartition(".")
    return hmac.compare_digest(tag, _tag(head, tag_key))


class RefreshTokens:
    """The chains of tokens in registry.db."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def begin(self, user_id: str, device_id: str, now_us: int) -> Refreshed:
        """The first token of a new family, inside ``Registry.write``."""
        family, tag_key = secrets.token_urlsafe(12), secrets.token_urlsafe(32)
        token = _mint(family, tag_key)
        expires_us = now_us + FAMILY_S * _SECOND_US
        self._tables.insert(
            "refresh_families",
            {
                "family": family,
                "user_id": user_id,
                "device_id": device_id,
                "tag_key": tag_key,
                "created_us": now_us,
                "expires_us": expires_us,
                "newest_sha256": _digest(token),
                "newest_us": now_us,
                "parent_sha256": None,
                "sealed_newest": None,
                "revoked_us": None,
                "revoked_for": None,
            },
        )
        return Refreshed(token=token, user_id=user_id, device_id=device_id, expires_us=_end(expires_us, now_us))

    def rotate(self, token: str, now_us: int) -> Refreshed:
        """The next token in exchange for the newest one, durable before it is returned.

        TokenError when it is not worth anything; ReuseError, after its family was revoked, when it was used before.
        """
        with self._tables.write(quiet=True):
            found = self.turn(token, now_us)
        if isinstance(found, Reused):
            raise ReuseError(found.user_id, found.device_id)
        return found

    def turn(self, token: str, now_us: int) -> "Refreshed | Reused":
        """``rotate`` inside ``Registry.write``, which commits also where it ended a family. TokenError as there."""
        chain = self._chain_of(token, now_us)
        digest = _digest(token)
        if hmac.compare_digest(digest, chain.newest_sha256):
            return self._next(chain, token, now_us)
        again = self._same_again(chain, token, digest, now_us)
        if again is not None:
            return again
        with self._tables.write():  # directories have to hear of it
            changes = {"revoked_us": now_us, "revoked_for": "a token was used twice", "sealed_newest": None}
            self._tables.update("refresh_families", chain.family, changes)
        return Reused(chain.user_id, chain.device_id)

    def is_unused(self, user_id: str, device_id: str) -> bool:
        """Whether the device has one living family, and its first token was never exchanged."""
        families = self._tables.column(str, PEOPLE["families_of_device"], user_id, device_id)
        chain = self._chain(families[0]) if len(families) == 1 else None
        return chain is not None and chain.parent_sha256 is None

    def find(self, family: str) -> Family | None:
        """A family that is not revoked; whoever holds it in memory looks at its end."""
        chain = self._chain(family)
        if chain is None or chain.revoked_us is not None:
            return None
        return Family(**{name: getattr(chain, name) for name in Family.__slots__})

    def holder(self, token: str) -> tuple[str, str] | None:
        """User and device of a genuine token, be it worth anything or not; None for an invented one."""
        chain = self._named_by(token)
        return None if chain is None else (chain.user_id, chain.device_id)

    def live(self, now_us: int) -> list[Family]:
        """The families that are not revoked and not at their end."""
        return self._tables.records(Family, _SQL["live_families"], now_us, now_us - IDLE_S * _SECOND_US)

    def _chain(self, family: str) -> _TokenFamily | None:
        return self._tables.record(_TokenFamily, _SQL["family"], family)

    def _named_by(self, token: str) -> _TokenFamily | None:
        family = family_of(token)
        chain = None if family is None else self._chain(family)
        return chain if chain is not None and is_genuine(token, chain.tag_key) else None

    def _chain_of(self, token: str, now_us: int) -> _TokenFamily:
        chain = self._named_by(token)
        if chain is None:
            raise TokenError("no refresh token of ours")
        if chain.revoked_us is not None:
            raise TokenError("the refresh token's family is revoked")
        if now_us >= _end(chain.expires_us, chain.newest_us):
            raise TokenError("the refresh token has expired")
        return chain

    def _next(self, chain: _TokenFamily, parent: str, now_us: int) -> Refreshed:
        token = _mint(chain.family, chain.tag_key)
        sealed = AESGCM(_sealing_key(parent)).encrypt(_NONCE, token.encode(), chain.family.encode())
        self._tables.update(
            "refresh_families",
            chain.family,
            {
                "newest_sha256": _digest(token),
                "newest_us": now_us,
                "parent_sha256": _digest(parent),
                "sealed_newest": base64.b64encode(sealed).decode(),
            },
        )
        return _refreshed(chain, token, now_us)

    @staticmethod
    def _same_again(chain: _TokenFamily, parent: str, digest: str, now_us: int) -> Refreshed | None:
        """The newest token once more for its parent, while it is fresh and (being the newest) unused."""
        known, sealed = chain.parent_sha256, chain.sealed_newest
        if known is None or sealed is None or not hmac.compare_digest(digest, known):
            return None
        if now_us - chain.newest_us > GRACE_S * _SECOND_US:
            return None
        try:
            token = AESGCM(_sealing_key(parent)).decrypt(_NONCE, base64.b64decode(sealed), chain.family.encode())
        except InvalidTag:
            return None
        return _refreshed(chain, token.decode(), chain.newest_us)


def _refreshed(chain: _TokenFamily, token: str, issued_us: int) -> Refreshed:
    end = _end(chain.expires_us, issued_us)
    return Refreshed(token=token, user_id=chain.user_id, device_id=chain.device_id, expires_us=end)


def _end(family_us: int, issued_us: int) -> int:
    return min(family_us, issued_us + IDLE_S * _SECOND_US)


def _mint(family: str, tag_key: str) -> str:
    head = f"{PREFIX}{family}.{secrets.token_urlsafe(32)}"
    return f"{head}.{_tag(head, tag_key)}"


def _tag(head: str, tag_key: str) -> str:
    digest = hmac.digest(tag_key.encode(), head.encode(), "sha256")
    return base64url(digest[:16])


def _digest(token: str) -> str:
    return hashlib.sha256(b"healthsync refresh token\0" + token.encode()).hexdigest()


def _sealing_key(parent: str) -> bytes:
    return hmac.digest(b"healthsync sealed refresh token", parent.encode(), "sha256")
