"""Who is calling: credentials of devices, subscribers, admins and apps as they are, by the chain of the front door."""

import base64
import binascii
import json
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, NamedTuple

from healthsync_mqtt.broker.embedded.limits.addresses import AddressGuard, network
from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.login.refusals import HeldRefusals
from healthsync_mqtt.gateway.login.sessions import Person, PersonSessions
from healthsync_mqtt.identity.certificates.demand import Demand
from healthsync_mqtt.identity.keys.signing import Keys
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.hook import hook_secret
from healthsync_mqtt.identity.login.logins import Logins
from healthsync_mqtt.identity.login.newcomers import Newcomers
from healthsync_mqtt.identity.login.proof import (
    APP_PASSWORD,
    CrowdedError,
    Login,
    PerhapsNewError,
    Proof,
    UnprovedError,
)
from healthsync_mqtt.model.base64url import from_base64url
from healthsync_mqtt.model.catalogue import GUARDED
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.notices import Notices

log = get_logger("gateway")

_LONGEST: Final = 8_192
_NOBODY: Final = "nobody"
SUBPROTOCOL: Final = "healthsync"
_BEARER: Final = "bearer."
"""How a browser says its token, which can set no header on a WebSocket: as a second subprotocol."""
_KNOWN_S: Final = 0.3
"""Seconds for which a credential that was good is not verified again: with the reading of the registry well within the
second in which a revocation has to have its effect."""
_MOST_KNOWN: Final = 20_000
_SESSION: Final = "session"
_BUSY_S: Final = 1.0
_LINES: Final = 5
"""Lines of log about refused logins of one address, for one reason, in ten seconds."""
_NEWS: Final = 2
"""So often the registry is read again for who may be new."""


class Credential(NamedTuple):
    """What an Authorization header says: a name, if it says one, and a secret."""

    name: str | None
    secret: bytes


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, for the length of a request."""

    login: Login
    epoch: int
    """That of the holder at the login: what raises it has revoked this login."""
    person: Person | None = None
    """Whose session it is; None for devices and programs."""

    @property
    def principal(self) -> Principal:
        """The identity, with its rights."""
        return self.login.principal

    @property
    def is_app(self) -> bool:
        """Whether it is a login of an app: it sends in its formats, and reads nothing."""
        return self.login.is_app


class Callers:
    """Decides who is calling; refusals are held back as the front door holds them, and alike for every cause."""

    def __init__(
        self,
        directory: Directory,
        logins: Logins,
        newcomers: Newcomers,
        guard: AddressGuard,
        keys: Keys,
        *,
        sessions: PersonSessions,
        secret: Callable[[], str] = str,
    ) -> None:
        """``secret`` is what secrets of webhooks are made of."""
        self._secret = secret
        self._sessions = sessions
        self._directory = directory
        self._keys = keys
        self._logins = logins
        self._newcomers = newcomers
        self._guard = guard
        self._key = secrets.token_bytes(32)
        #: by a keyed digest of the header: who it was good for a moment ago, and until when that is not asked again
        self._known: dict[bytes, tuple[Caller, float]] = {}
        self.refusals = HeldRefusals()
        self._notices = Notices()
        #: all there were
        self.refused = 0

    async def caller(self, headers: Mapping[str, str], peer: str, cookie: str = "") -> Caller:
        """Who an Authorization header is good for, or without one a session's cookie. HttpError 401, after a while."""
        header = headers.get("authorization")
        if header is None:
            header = _offered(headers) or None
        if header is None and cookie:
            return await self._visitor(cookie, peer)
        if header is None:
            raise HttpError(
                401, "no_credentials", "there are no credentials", hint="send Authorization: Bearer, or Basic"
            )
        said = credentials(header)
        if said is None:
            raise HttpError(
                401, "bad_credentials", "the credentials cannot be read", hint="send Authorization: Bearer, or Basic"
            )
        mark = blake2b(header.encode(), key=self._key, digest_size=16).digest()
        known = self._known.get(mark)
        if known is not None and time.monotonic() < known[1] and self.still(known[0]):
            return known[0]
        caller = await self.admitted(self._proof(said), peer)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[mark] = caller, time.monotonic() + _KNOWN_S
        return caller

    async def admitted(self, proof: Proof, peer: str) -> Caller:
        """Whom a proof is good for. HttpError 401, after a while; 429 and 503 when nobody has looked at it."""
        async with self.trying(peer, proof.client_id):
            return await self._login(proof._replace(address=network(peer)))

    @asynccontextmanager
    async def trying(self, peer: str, name: str) -> AsyncIterator[None]:
        """Something secret is looked at inside. TokenError there is refused alike, after a while: HttpError 401.

        429 when too much of this address is refused already, and nothing is to be looked at; 503 for CrowdedError.
        """
        with self.refusals.place(network(peer)) as place:
            if place is None:
                raise HttpError(429, "too_many", "too many logins fail", retry_after_s=_BUSY_S)
            try:
                yield
            except CrowdedError as error:
                raise HttpError(503, "busy", error.detail, retry_after_s=_BUSY_S) from None
            except TokenError as error:
                self._said(peer, name, error.detail)
                self.refused += 1
                await place.hold(self._guard.failed(peer, name, time.monotonic()))
                raise self.refusal() from None
        self._guard.succeeded(peer, name)

    def _said(self, peer: str, name: str, reason: str) -> None:
        """A refused login in the log: some lines of an address in a while, as at the front door."""
        left_out = self._notices.due(f"{network(peer)} {reason}", time.monotonic(), _LINES)
        if left_out is not None:
            log.info("gateway.login_refused", client=name, peer=peer, reason=reason, left_out=left_out)

    @staticmethod
    def refusal() -> HttpError:
        """The same for every cause."""
        return HttpError(
            401,
            "token_invalid",
            "the credentials were refused",
            hint="issue a new token: healthsync device token USER DEVICE",
        )

    def csrf(self, person: Person) -> str:
        """The word that unsafe requests of this session have to repeat."""
        return self._sessions.csrf(person.session)

    async def holder(self, token: bytes) -> Caller | None:
        """Whose token it is; None: nobody's that is good. HttpError 503 when nobody could look at it."""
        try:
            return await self._login(self._proof(Credential(None, token)))
        except CrowdedError as error:
            raise HttpError(503, "busy", error.detail, retry_after_s=_BUSY_S) from None
        except TokenError:
            return None

    def of_app(self, client_id: str) -> Caller | None:
        """An app by its client id, for what it proves by a signature; None: there is no such app."""
        principal = self._directory.principal(client_id)
        if principal is None or not self._directory.secret(client_id):
            return None
        login = Login(principal=principal, expires_at=math.inf, jti=APP_PASSWORD)
        return Caller(login, self._directory.epoch(principal))

    def hook_secret(self, app: Caller) -> str:
        """What an app signs its webhooks with."""
        return hook_secret(self._secret(), app.principal.client_id, app.epoch)

    async def read_again(self) -> None:
        """Read the registry now, for whoever has just changed it."""
        await self._newcomers.reading()

    def still(self, caller: Caller) -> bool:
        """Whether a login that was good is good now: for streams, which outlast a request."""
        login = caller.login
        if caller.person is not None:
            return self._sessions.alive(caller.person) and (
                login.principal.role is not Role.admin or self._directory.is_active(login.principal)
            )
        return (
            time.time() < login.expires_at
            and self._directory.is_active(login.principal)
            and self._directory.epoch(login.principal) == caller.epoch
            and (login.kid is None or login.kid in self._keys.public)
            and login.jti not in self._directory.revoked_tokens
        )

    async def _visitor(self, cookie: str, peer: str) -> Caller:
        async with self.trying(peer, _SESSION):
            person = await self._sessions.who(cookie)
            if person is None:
                raise TokenError("the session has ended, or its cookie is to be refreshed")
            login = Login(principal=self._principal(person), expires_at=person.expires_at, jti=None)
            return Caller(login, 0, person)

    def _principal(self, person: Person) -> Principal:
        """The rights of whom a session is. TokenError."""
        if person.user is None:
            entry = self._directory.entry(Role.admin, person.name, None)
            if entry is None:
                raise TokenError("there is no such admin any more")
            return entry.principal
        users = frozenset({person.user, *self._sessions.cared_for(person.user)})
        name = f"{_SESSION}/{person.user}"  # no client's id has a slash
        return Principal(role=Role.subscriber, client_id=name, users=users, types=None, named=GUARDED)

    def _proof(self, said: Credential) -> Proof:
        name = said.name
        if name is None:
            name = self._holder(said.secret) or _NOBODY
        return Proof(name, name, said.secret, None)

    def _holder(self, token: bytes) -> str | None:
        """The client id of whom a token names; nothing of the token has been verified then."""
        try:
            body = token.split(b".")[1]
            claims = json.loads(from_base64url(body.decode()))
            role, subject, device = Role(claims["role"]), claims["sub"], claims.get("did")
            entry = self._directory.entry(role, subject, device)
        except (IndexError, KeyError, ValueError, TypeError, AttributeError, RecursionError):
            return None
        return None if entry is None else entry.principal.client_id

    async def _login(self, proof: Proof) -> Caller:
        """The login; TokenError. Who may be new, or waits for the check of a password, is asked again after it."""
        news = 0
        while True:
            # Another thread reads the registry: a revocation that comes between the two must not count as known.
            claimed = self._directory.principal(proof.client_id)
            epoch = 0 if claimed is None else self._directory.epoch(claimed)
            try:
                return Caller(self._logins.authenticate(proof, Demand.off, time.time()), epoch)
            except UnprovedError:
                await self._newcomers.proving()
            except PerhapsNewError:
                if news == _NEWS:
                    raise
                news += 1
                await self._newcomers.reading()
                proof = self._named(proof) or proof
            except CrowdedError:
                raise
            except TokenError:
                # Another thread may have read of the holder while the token was verified: it is somebody's by now.
                named = self._named(proof)
                if named is None:
                    raise
                proof = named

    def _named(self, proof: Proof) -> Proof | None:
        """The proof of a token that was nobody's, whose holder is known now; None: it is as it was."""
        if proof.client_id != _NOBODY or proof.password is None:
            return None
        named = self._proof(Credential(None, proof.password))
        return None if named.client_id == _NOBODY else named._replace(address=proof.address)


def _offered(headers: Mapping[str, str]) -> str:
    """The token among the subprotocols of a WebSocket, as a header would say it; empty when there is none."""
    names = [name.strip() for name in headers.get("sec-websocket-protocol", "").split(",")]
    token = next((name.removeprefix(_BEARER) for name in names if name.startswith(_BEARER)), "")
    return f"Bearer {token}" if token and SUBPROTOCOL in names else ""


def credentials(header: str) -> Credential | None:
    """What the header says; None: nothing that we take."""
    scheme, _, value = header.partition(" ")
    value = value.strip()
    if len(header) > _LONGEST or not value.isascii():
        return None
    if scheme.lower() == "bearer":
        return Credential(None, value.encode())
    if scheme.lower() == "basic":
        try:
            name, colon, secret = base64.b64decode(value, validate=True).partition(b":")
            return Credential(name.decode("ascii"), secret) if colon else None
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None
