"""What an id token says, once it is known to be the provider's, for us, of this round; and which user that is. Pure."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jwt

from healthsync_mqtt.config.sections import OidcSettings
from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.topics.grammar import is_id

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA", "RS384", "RS512", "PS384", "PS512", "ES384", "ES512")
"""Signatures with a key that the provider publishes; never one that whoever knows our secret could make."""
_SKEW_S: Final = 60
_LONGEST: Final = 32_768
_EMAIL: Final = "email"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token has to say."""

    issuer: str
    audience: str
    nonce: str


def key_of(token: str, keys: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The published key that a token says it is signed with; None: it is not among these. TokenError."""
    try:
        said = jwt.get_unverified_header(token) if len(token) <= _LONGEST else {}
    except jwt.PyJWTError:
        said = {}
    if said.get("alg") not in ALGORITHMS:
        raise TokenError("the id token is none, or is not signed with a key that is published")
    kid = said.get("kid")
    found = [key for key in keys if key.get("use") != "enc" and (kid is None or key.get("kid") == kid)]
    return found[0] if len(found) == 1 else None


def claims_of(token: str, key: Mapping[str, Any], expected: Expected) -> Mapping[str, Any]:
    """The claims of a token that is good. TokenError."""
    try:
        algorithm = jwt.get_unverified_header(token)["alg"]
        published = {name: value for name, value in key.items() if name not in {"alg", "x5c"}}
        claims: dict[str, Any] = jwt.decode(
            token,
            jwt.PyJWK(published, algorithm).key,
            algorithms=[algorithm],
            audience=expected.audience,
            issuer=expected.issuer,
            leeway=_SKEW_S,
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        raise TokenError(f"the id token is not good: {type(error).__name__}") from None
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else expected.audience) != expected.audience:
        raise TokenError("the id token was given to another client")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise TokenError("the id token is of another sign-in")
    return claims


def user_of(claims: Mapping[str, Any], settings: OidcSettings) -> str:
    """The user whom the claims stand for. TokenError: they stand for nobody."""
    value = claims.get(settings.claim)
    if not isinstance(value, str) or not value:
        raise TokenError(f"the id token has no claim {settings.claim}")
    if settings.claim == _EMAIL and claims.get("email_verified") is not True:
        raise TokenError("the provider does not say that the address is the person's")
    if (bound := settings.users.get(value)) is not None:
        return bound
    user, _, domain = value.rpartition("@") if settings.domain else (value, "", "")
    if domain.lower() != settings.domain.lower():
        raise TokenError("the name is of another domain")
    if user in settings.users.values():
        raise TokenError("the user is bound to another name")
    if not is_id(user):
        raise TokenError("the name is no user's")
    return user
