"""Tokens: EdDSA JWTs that a principal sends as its MQTT password (RFC 7519, RFC 8725).

What is accepted is one shape only, and nothing in a token chooses how it is checked: the algorithm is fixed, the key
is an object found in the local keyring, and claims are compared for equality. Every failure raises the same TokenError.

Time: a token is valid while ``now < exp``, exactly. ``nbf`` and ``iat`` may lie up to ``LEEWAY_S`` ahead, because the
clock of another machine may have issued it; ``exp`` gets no leeway, so the door can close a connection at that second.
"""

import binascii
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import jwt

from healthsync_mqtt.errors import InputError, TokenError
from healthsync_mqtt.identity.keys.signing import CLOCK_SKEW_S, MAX_TOKEN_LIFE_S, Keys
from healthsync_mqtt.model.base64url import base64url, from_base64url
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.topics.grammar import is_id

ISSUER: Final = "healthsync"
AUDIENCE: Final = "healthsync-mqtt"
TOKEN_TYPE: Final = "hs-dev+jwt"  # noqa: S105 - the JOSE typ, not a secret
MAX_TOKEN_CHARS: Final = 4096
MAX_LIFETIME_S: Final = MAX_TOKEN_LIFE_S
LEEWAY_S: Final = CLOCK_SKEW_S

SCOPES: Final[Mapping[Role, str]] = {
    Role.device: "events:publish",
    Role.subscriber: "canonical:subscribe",
    Role.admin: "admin",
}
"""The scope word that a token needs for the role it claims. A role without one gets no token."""

_ALGORITHM: Final = "EdDSA"
_JWS = jwt.PyJWS(algorithms=[_ALGORITHM])
_SHAPE = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})")  # an Ed25519 signature is 86 characters
_HEADER_KEYS = frozenset({"alg", "typ", "kid"})
_LATEST = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A fresh token and what its holder needs to know: its id and its last second (exclusive, epoch seconds)."""

    token: str = field(repr=False)
    jti: str
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The verified content of a token. ``subject`` is the user of a device, else the principal's own name.

    ``epoch`` is that of its holder when it was issued; releases before 0.3 named none.
    """

    role: Role
    subject: str
    device: str | None
    scope: frozenset[str]
    issued_at: int
    not_before: int
    expires_at: int
    jti: str
    kid: str
    epoch: int | None = None


class TokenIssuer:
    """Signs tokens with the key whose time it is."""

    def __init__(self, keyring: Keys) -> None:
        self._keyring = keyring

    def issue(
        self,
        principal: Principal,
        *,
        lifetime_s: int,
        now: float,
        epoch: int | None = None,
        acl: Sequence[Mapping[str, Any]] = (),
    ) -> IssuedToken:
        """A token for a device, subscriber or admin that expires ``lifetime_s`` (1 to 86,400) after ``now``.

        ``epoch`` is the principal's: a token of an earlier one is void. ``acl`` becomes a claim of that name, for
        brokers that read their rules from it; we do not. InputError when the token would be longer than 4 KiB.
        """
        if not 1 <= lifetime_s <= MAX_LIFETIME_S:
            raise InputError(f"a token lives 1 to {MAX_LIFETIME_S} seconds", hint="choose 24 hours or less")
        scope = SCOPES.get(principal.role)
        if scope is None:
            raise InputError(f"the role {principal.role} is not given tokens")
        issued = int(now)
        claims: dict[str, Any] = {"iss": ISSUER, "aud": AUDIENCE, "sub": principal.client_id}
        if principal.role is Role.device:
            if principal.user is None or principal.device is None:
                raise InputError("a device token needs a user and a device")
            claims |= {"sub": principal.user, "did": principal.device}
        jti = secrets.token_urlsafe(16)
        while jti.startswith("-"):  # people type it: `token revoke`
            jti = secrets.token_urlsafe(16)
        expires = issued + lifetime_s
        claims |= {
            "role": principal.role.value,
            "scope": scope,
            "iat": issued,
            "nbf": issued,
            "exp": expires,
            "jti": jti,
        }
        if epoch is not None:
            claims["epoch"] = epoch
        if acl:
            claims["acl"] = list(acl)
        signer = self._keyring.signer(now)
        token = _JWS.encode(
            json.dumps(claims, separators=(",", ":")).encode(),
            signer.key,
            algorithm=_ALGORITHM,
            headers={"typ": TOKEN_TYPE, "kid": signer.kid},
        )
        if len(token) > MAX_TOKEN_CHARS:
            raise InputError(
                "the token would be longer than 4 KiB", hint="leave the rules to the broker's access hooks"
            )
        return IssuedToken(token=token, jti=jti, expires_at=expires)


class TokenVerifier:
    """Verifies tokens against the keys of one installation; no I/O, about 0.15 ms."""

    def __init__(self, keyring: Keys) -> None:
        self._keyring = keyring

    def verify(self, token: str, *, now: float) -> Claims:
        """The claims of a token that is valid at ``now`` (epoch seconds); TokenError for every other input."""
        if len(token) > MAX_TOKEN_CHARS:
            _refuse("the token is longer than 4 KiB")
        shape = _SHAPE.fullmatch(token)
        if shape is None:
            _refuse("the token is not three parts of unpadded base64url with an Ed25519 signature")
        header = _json_object(_decode(shape[1]), "header")
        if header.keys() != _HEADER_KEYS:
            _refuse("the header has other keys than alg, typ and kid")
        if header["alg"] != _ALGORITHM:
            _refuse("alg is not EdDSA")
        if header["typ"] != TOKEN_TYPE:
            _refuse(f"typ is not {TOKEN_TYPE}")
        kid = header["kid"]
        key = self._keyring.public.get(kid) if isinstance(kid, str) else None
        if key is None:
            _refuse("kid names no key of ours")
        body = _decode(shape[2])
        _decode(shape[3])
        try:
            _JWS.decode(token, key, algorithms=[_ALGORITHM])
        except jwt.PyJWTError:
            _refuse("the signature does not fit")
        return _claims(_json_object(body, "payload"), kid, now)


def _claims(raw: Mapping[str, Any], kid: str, now: float) -> Claims:
    if raw.get("iss") != ISSUER:
        _refuse("iss is not ours")
    if raw.get("aud") != AUDIENCE:  # a list, a prefix or another case is not equal
        _refuse("aud is not ours")
    role = _role(raw.get("role"))
    subject, jti = _id(raw, "sub"), _id(raw, "jti")
    device, scope = raw.get("did"), raw.get("scope")
    if not (is_id(device) if role is Role.device else "did" not in raw):
        _refuse("did does not fit the role")
    if not isinstance(scope, str) or SCOPES.get(role) not in (words := frozenset(scope.split(" "))):
        _refuse("scope does not cover the role")
    issued, not_before, expires = (_number(raw, name) for name in ("iat", "nbf", "exp"))
    if not 0 < expires - issued <= MAX_LIFETIME_S:
        _refuse("the lifetime is not within 24 hours")
    if now >= expires:
        _refuse("the token has expired")
    if issued > now + LEEWAY_S or not_before > now + LEEWAY_S:
        _refuse("the token is not valid yet")
    epoch = _number(raw, "epoch") if "epoch" in raw else None
    return Claims(
        role=role,
        subject=subject,
        device=device,
        scope=words,
        issued_at=issued,
        not_before=not_before,
        expires_at=expires,
        jti=jti,
        kid=kid,
        epoch=epoch,
    )


def _id(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not is_id(value):
        _refuse(f"{name} is not an id")
    return value


def _role(value: object) -> Role:
    try:
        return Role(value)  # type: ignore[arg-type]
    except ValueError:
        _refuse("role is not one of ours")


def _number(raw: Mapping[str, Any], name: str) -> int:
    value = raw.get(name)
    if type(value) is not int or not 0 <= value <= _LATEST:  # bool is an int to isinstance
        _refuse(f"{name} is not a whole number")
    return value


def _decode(part: str) -> bytes:
    """The bytes of one part; refused when another spelling of the same bytes exists and this is it."""
    try:
        data = from_base64url(part)
    except binascii.Error:
        _refuse("a part is not base64url")
    if base64url(data) != part:
        _refuse("a part is not canonical base64url")
    return data


def _json_object(data: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        _refuse(f"the {what} is not JSON, or repeats a key")
    if not isinstance(value, dict):
        _refuse(f"the {what} is not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("repeated key")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _refuse(detail: str) -> NoReturn:
    raise TokenError(detail) from None
