"""Signing keys as values: Ed25519, several that verify, one of them that signs. Where they lie: ``keystore.py``.

The life of a key is a matter of two times in its record, so it moves on by itself and every process agrees:
``next`` (published, to be trusted, not signing yet) → ``signing`` → ``verifying`` (another one signs; its tokens live
to their expiry) → ``retired`` (by command; nothing of it is accepted any more).
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple, Protocol, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from healthsync_mqtt.model.base64url import base64url

MAX_TOKEN_LIFE_S: Final = 86_400
"""No token outlives the second it was signed in by more than this (and ``CLOCK_SKEW_S``)."""
CLOCK_SKEW_S: Final = 60

_SECOND_US: Final = 1_000_000


class KeyState(StrEnum):
    """Where a key is in its life."""

    #: verifies, and signs from its time on
    next = "next"
    #: verifies and signs
    signing = "signing"
    #: verifies what it signed before
    verifying = "verifying"
    #: is nothing to us
    retired = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What is known of a key without its private half. Times in microseconds since the epoch."""

    kid: str
    public: Ed25519PublicKey
    created_us: int
    signs_from_us: int
    retired_us: int | None = None


def states(records: Iterable[KeyRecord], now_us: int) -> dict[str, KeyState]:
    """The state of each key at ``now_us``. Of those whose time has come the newest signs.

    A machine whose clock was set back may find that no key's time has come: then the oldest one signs.
    """
    listed = list(records)
    alive = sorted((each for each in listed if each.retired_us is None), key=lambda each: each.signs_from_us)
    found = {each.kid: KeyState.retired for each in listed}
    found |= {each.kid: KeyState.next if each.signs_from_us > now_us else KeyState.verifying for each in alive}
    begun = [each for each in alive if each.signs_from_us <= now_us]
    if alive:
        found[(begun[-1] if begun else alive[0]).kid] = KeyState.signing
    return found


def free_from_us(records: Iterable[KeyRecord], kid: str) -> int | None:
    """When the last token of a key has expired, however late it was signed; None while the key may still sign."""
    alive = sorted((each for each in records if each.retired_us is None), key=lambda each: each.signs_from_us)
    position = next(at for at, each in enumerate(alive) if each.kid == kid)
    if position + 1 == len(alive):
        return None
    return alive[position + 1].signs_from_us + (MAX_TOKEN_LIFE_S + CLOCK_SKEW_S) * _SECOND_US


def key_id(key: Ed25519PublicKey) -> str:
    """The ``kid`` of a key: the first 16 characters of the base64url SHA-256 of its raw public bytes."""
    digest = hashlib.sha256(key.public_bytes_raw()).digest()
    return base64.urlsafe_b64encode(digest)[:16].decode()


def jwks(public: Mapping[str, Ed25519PublicKey]) -> dict[str, list[dict[str, str]]]:
    """The public keys as a JWK Set (RFC 7517, RFC 8037), by kid."""
    return {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "kid": kid,
                "use": "sig",
                "alg": "EdDSA",
                "x": base64url(key.public_bytes_raw()),
            }
            for kid, key in sorted(public.items())
        ]
    }


class Signer(NamedTuple):
    """A private key, its kid, and the second (of the epoch) from which it signs."""

    kid: str
    key: Ed25519PrivateKey
    from_s: float

    def __repr__(self) -> str:
        return f"Signer({self.kid!r})"


class Keys(Protocol):
    """What tokens are verified and signed with."""

    @property
    def public(self) -> Mapping[str, Ed25519PublicKey]:
        """The keys whose tokens are accepted, by kid."""

    def signer(self, now: float) -> Signer:
        """The key that signs at ``now`` (epoch seconds)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """The keys of one installation as they were when they were read. ``signers`` are in the order of their times."""

    public: Mapping[str, Ed25519PublicKey]
    signers: Sequence[Signer] = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """A keyring of one new key, in memory only."""
        return cls.of(Ed25519PrivateKey.generate())

    @classmethod
    def of(cls, signing: Ed25519PrivateKey, *older: Ed25519PublicKey) -> Self:
        """A keyring that signs with ``signing`` and also accepts tokens of the ``older`` keys."""
        keys = (signing.public_key(), *older)
        return cls(public={key_id(key): key for key in keys}, signers=(Signer(key_id(keys[0]), signing, 0.0),))

    def signer(self, now: float) -> Signer:
        """The key that signs at ``now``: a rotation that was announced before takes effect in that second."""
        chosen = self.signers[0]
        for each in self.signers[1:]:
            if each.from_s <= now:
                chosen = each
        return chosen
