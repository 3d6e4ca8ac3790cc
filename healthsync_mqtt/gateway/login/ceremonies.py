"""The two ceremonies of WebAuthn: a passkey is made, and it signs. No state: a challenge proves itself.

A challenge is random, says until when it is good, and has a code over both, over what it is for and over whom it was
given to: a session, or a browser by its cookie. That it is answered once is the registry's to know.
"""

import hashlib
import hmac
import ipaddress
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import bytes_to_base64url
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from healthsync_mqtt.errors import InputError, TokenError
from healthsync_mqtt.gateway.bodies.problem import HttpError

CHALLENGE_S: Final = 300
"""Seconds that a challenge may be answered in."""
_NONCE: Final = 16
_TIME: Final = 8
_LENGTH: Final = _NONCE + _TIME + hashlib.sha256().digest_size
_MALFORMED: Final = (WebAuthnException, UnsupportedAlgorithm, ValueError, LookupError, TypeError, AttributeError)
"""What the library and what it is built on raise for answers that nobody's authenticator gives."""
_ALGORITHMS: Final = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
_DECOY: Final = bytes.fromhex(
    "a5010203262001215820"
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "225820"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
"""The generator of P-256 as a COSE key: what signatures of passkeys that nobody has are looked at with, as long."""


class PasskeyDomain(NamedTuple):
    """Where passkeys are good: the domain, and the origin of its pages."""

    domain: str
    origin: str


class Challenge(NamedTuple):
    """One that was answered, and until when it would have been good."""

    value: bytes
    expires_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MadePasskey:
    """What an authenticator made: its id, its public key as COSE, and its counter."""

    id: str
    public_key: bytes
    sign_count: int


class Ceremonies:
    """Gives out challenges, and judges the answers. ``secret`` is what challenges are proved with."""

    def __init__(self, public_url: str, secret: Callable[[], str]) -> None:
        self._place = _place_of(public_url)
        self._secret = secret

    def origin(self) -> str | None:
        """The origin of the pages that passkeys are good for; None: there are none."""
        return None if self._place is None else self._place.origin

    def place(self) -> PasskeyDomain:
        """Where passkeys are good. HttpError 409 where they cannot be: there is no domain."""
        if self._place is None:
            raise HttpError(
                409, "conflict", "passkeys belong to a domain, and this has none", hint="set gateway.public_url"
            )
        return self._place

    def handle(self, role: str, name: str) -> str:
        """What authenticators know a person by: no name, and the same for all of a person's passkeys."""
        return bytes_to_base64url(self._code("handle", role, name.encode()))

    def to_make(self, session: str, name: str, handle: str, known: Sequence[str], now_us: int) -> dict[str, Any]:
        """What `navigator.credentials.create()` is asked with, in a session. ``known``: passkeys that are there."""
        options = generate_registration_options(
            rp_id=self.place().domain,
            rp_name="HealthSync",
            user_name=name,
            user_id=base64url_to_bytes(handle),
            challenge=self._challenge("make", session, now_us),
            timeout=CHALLENGE_S * 1_000,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=base64url_to_bytes(each)) for each in known],
            supported_pub_key_algs=_ALGORITHMS,
        )
        told: dict[str, Any] = json.loads(options_to_json(options))
        return told

    def made(self, session: str, credential: dict[str, Any], now_us: int) -> tuple[MadePasskey, Challenge]:
        """What was made. InputError for what is no answer to a challenge of this session, at this place."""
        place = self.place()
        try:
            challenge = self._answered("make", session, credential, now_us)
            found = verify_registration_response(
                credential=credential,
                expected_challenge=challenge.value,
                expected_rp_id=place.domain,
                expected_origin=place.origin,
                require_user_verification=True,
                supported_pub_key_algs=_ALGORITHMS,
            )
        except (*_MALFORMED, TokenError) as error:
            why = error.detail if isinstance(error, TokenError) else str(error)
            raise InputError(f"that is no passkey for here: {why}", hint="ask for a challenge, and try again") from None
        made = MadePasskey(
            id=bytes_to_base64url(found.credential_id),
            public_key=found.credential_public_key,
            sign_count=found.sign_count,
        )
        return made, challenge

    def to_sign(self, browser: str, now_us: int) -> dict[str, Any]:
        """What `navigator.credentials.get()` is asked with: any passkey of this place, whoever's it is."""
        options = generate_authentication_options(
            rp_id=self.place().domain,
            challenge=self._challenge("sign", browser, now_us),
            timeout=CHALLENGE_S * 1_000,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        told: dict[str, Any] = json.loads(options_to_json(options))
        return told

    def signed(
        self, browser: str, credential: dict[str, Any], key: bytes | None, handle: str, now_us: int
    ) -> tuple[int, Challenge]:
        """The counter of an authenticator that has signed. TokenError. Without a ``key`` nothing is good, as slowly.

        Whether the counter has gone on is for the registry to say, in the turn in which it is written down.
        """
        place = self.place()
        try:
            challenge = self._answered("sign", browser, credential, now_us)
            found = verify_authentication_response(
                credential=credential,
                expected_challenge=challenge.value,
                expected_rp_id=place.domain,
                expected_origin=place.origin,
                credential_public_key=_DECOY if key is None else key,
                credential_current_sign_count=0,
                require_user_verification=True,
            )
            said = credential["response"].get("userHandle")
        except _MALFORMED as error:
            raise TokenError(f"the passkey is not good: {type(error).__name__}") from None
        if key is None or said != handle:
            raise TokenError("the passkey is nobody's, or another's")
        return found.new_sign_count, challenge

    def _challenge(self, what: str, whose: str, now_us: int) -> bytes:
        begun = secrets.token_bytes(_NONCE) + (now_us + CHALLENGE_S * 1_000_000).to_bytes(_TIME)
        return begun + self._code(what, whose, begun)

    def _answered(self, what: str, whose: str, credential: dict[str, Any], now_us: int) -> Challenge:
        said = json.loads(base64url_to_bytes(credential["response"]["clientDataJSON"]))
        value = base64url_to_bytes(said["challenge"])
        begun, code = value[: _NONCE + _TIME], value[_NONCE + _TIME :]
        if len(value) != _LENGTH or not whose or not hmac.compare_digest(code, self._code(what, whose, begun)):
            raise TokenError("the challenge was not given out here, or to somebody else")
        expires_us = int.from_bytes(begun[_NONCE:])
        if now_us >= expires_us:
            raise TokenError("the challenge is over")
        return Challenge(value, expires_us)

    def _code(self, what: str, whose: str, begun: bytes) -> bytes:
        key = hashlib.blake2b(self._secret().encode(), digest_size=32, person=b"hs passkeys").digest()
        return hmac.digest(key, f"{what}\n{whose}\n".encode() + begun, "sha256")


def _place_of(public_url: str) -> PasskeyDomain | None:
    there = urlsplit(public_url)
    domain = there.hostname or ""
    try:
        ipaddress.ip_address(domain)
    except ValueError:
        secure = there.scheme == "https" or domain == "localhost"
        return PasskeyDomain(domain, f"{there.scheme}://{there.netloc.lower()}") if domain and secure else None
    return None  # WebAuthn knows no addresses
