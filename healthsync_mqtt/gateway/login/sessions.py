"""People's sessions as the gateway knows them: tokens in cookies, looked at in memory and renewed in the registry.

A token names its session, its kind and generation, and proves all of it with a code that only this installation makes.
An access token is short; a refresh token is good once, but for the minute in which its answer may have been lost: then
the same next tokens are made again. One that is older was copied, and ends its session.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeVar

from healthsync_mqtt.errors import HealthSyncError, TokenError
from healthsync_mqtt.identity.audit.delivery import deliver
from healthsync_mqtt.identity.audit.log import AuditLog, plain, subject_of
from healthsync_mqtt.identity.people.carers import Carer
from healthsync_mqtt.identity.people.sessions import PersonSession, SessionRole
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.base64url import base64url
from healthsync_mqtt.telemetry.log import get_logger

T = TypeVar("T")

log = get_logger("gateway")

ACCESS_S: Final = 900
"""Seconds that an access token lives."""
GRACE_S: Final = 60
"""Seconds after a refresh in which the tokens before it still do what they did."""
ACCESS_COOKIE: Final = "__Host-healthsync"
REFRESH_COOKIE: Final = "__Secure-healthsync-refresh"
CSRF_COOKIE: Final = "__Host-healthsync-csrf"
"""The one that a page's script reads, to repeat it in a header: no other site can do either."""
_SECOND_US: Final = 1_000_000
_PREFIX: Final = "hss"


class SessionToken(StrEnum):
    """What a token is for."""

    access = "a"
    refresh = "r"


@dataclass(frozen=True, slots=True)
class Person:
    """Who a session belongs to, for the length of a request. ``expires_at`` is its access token's, in epoch seconds."""

    session: str
    role: SessionRole
    name: str
    expires_at: float

    @property
    def user(self) -> str | None:
        """The user whose own data it may read; an admin has none."""
        return self.name if self.role is SessionRole.user else None


@dataclass(frozen=True, slots=True)
class SessionTokens:
    """What a browser keeps: two cookies, and a word that its requests repeat."""

    session: PersonSession
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    csrf: str = field(repr=False)


class _Parsed(NamedTuple):
    session: str
    generation: int


class PersonSessions:
    """The sessions that have not ended, and who cares for whom. ``follow`` is called again and again."""

    def __init__(
        self,
        registry: Registry,
        audit: AuditLog,
        secret: Callable[[], str],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``secret`` is what tokens are made with, beside what the registry keeps of them."""
        self._registry = registry
        self._audit = audit
        self._secret = secret
        self._clock = clock
        self._generation = -1
        self._live: dict[str, PersonSession] = {}
        self._carers: dict[str, dict[str, Carer]] = {}

    # -- in memory

    def alive(self, person: Person) -> bool:
        """Whether the session has not ended, and the access token of this request is good."""
        return person.session in self._live and self._clock() < person.expires_at

    def carer(self, carer: str, user: str) -> Carer | None:
        """What a user lets another one see."""
        return self._carers.get(carer, {}).get(user)

    def cared_for(self, carer: str) -> Mapping[str, Carer]:
        """The users who let this one see anything now, with what they let see."""
        now_us = self.now_us()
        return {user: each for user, each in self._carers.get(carer, {}).items() if now_us < each.until_us}

    def csrf(self, session: str) -> str:
        """The word that unsafe requests of a session repeat in a header, which no other site can set."""
        return self._code("csrf", session, 0, "")

    def csrf_of(self, refresh: str) -> str:
        """The same for whoever has a refresh token; of nothing for what is none."""
        parsed = _parsed(SessionToken.refresh, refresh)
        return self.csrf("" if parsed is None else parsed.session)

    def now_us(self) -> int:
        """The time that grants and sessions go by."""
        return int(self._clock() * _SECOND_US)

    # -- with the registry

    async def who(self, token: str) -> Person | None:
        """Whose access token it is; None: nobody's that is good."""
        session, generation = await self._genuine(SessionToken.access, token)
        if session is None:
            return None
        now_us = self.now_us()
        until_us = session.renewed_us + (ACCESS_S if generation == session.generation else GRACE_S) * _SECOND_US
        if generation < session.generation - 1 or now_us >= min(until_us, session.until_us):
            return None
        return Person(session.id, session.role, session.holder, until_us / _SECOND_US)

    async def begin(self, code: str) -> SessionTokens:
        """Open the session of a link. TokenError."""
        return self._tokens(await asyncio.to_thread(self._begin, code))

    async def begin_by(self, proof: str, opened: Callable[[Registry], PersonSession]) -> SessionTokens:
        """The session that another proof than a link opens, in one transaction with it. TokenError."""
        return self._tokens(await asyncio.to_thread(self._opened, opened, by=proof))

    async def refresh(self, token: str) -> SessionTokens:
        """The next tokens of a session; TokenError. A token that was used before ends its session."""
        session, generation = await self._genuine(SessionToken.refresh, token)
        if session is None:
            raise TokenError("no refresh token of a session")
        return self._tokens(await asyncio.to_thread(self._renew, session, generation))

    async def end(self, session: str, why: str = "logged out") -> None:
        """End a session."""
        await asyncio.to_thread(self._end, session, why)

    async def follow(self) -> None:
        """Read again what others may have changed. StoreError."""
        await asyncio.to_thread(self._read)

    async def changed(self, work: Callable[[Registry], T]) -> T:
        """Change the registry in one transaction, with its notes, and go by it at once. HealthSyncError."""
        return await asyncio.to_thread(self._change, work)

    async def asked(self, question: Callable[[Registry], T]) -> T:
        """Ask the registry. HealthSyncError."""
        return await asyncio.to_thread(question, self._registry)

    def pseudonym(self, user: str) -> str:
        """What the audit log calls a user who is not its row's subject."""
        return self._audit.pseudonym("user", user)

    def note(self, action: str, *, actor: str, user: str | None, device: str | None = None, **detail: Any) -> None:
        """A row for the audit log, inside of what it tells of."""
        self._registry.audit_outbox.note(
            action,
            actor=actor,
            now_us=self.now_us(),
            subject=subject_of(self._audit, user, device),
            detail=plain(detail),
        )

    # -- in a thread

    def _change(self, work: Callable[[Registry], T]) -> T:
        with self._registry.write():
            done = work(self._registry)
        self._read()
        try:
            deliver(self._registry.audit_outbox, self._audit)
        except HealthSyncError as error:  # the notes are safe where they are, and go with the next ones
            log.error("gateway.audit_delayed", error=error)  # noqa: TRY400  # no traceback
        return done

    def _read(self) -> None:
        generation = self._registry.generation()
        if generation == self._generation:
            return
        live = {each.id: each for each in self._registry.sessions.live(self.now_us())}
        carers: dict[str, dict[str, Carer]] = {}
        for each in self._registry.carers.all():
            carers.setdefault(each.carer_id, {})[each.user_id] = each
        self._live, self._carers, self._generation = live, carers, generation

    def _begin(self, code: str) -> PersonSession:
        return self._opened(lambda registry: registry.sessions.begin(code, self.now_us()))

    def _opened(self, opened: Callable[[Registry], PersonSession], **how: str) -> PersonSession:
        def begun(registry: Registry) -> PersonSession:
            session = opened(registry)
            self.note("session.begun", actor=_actor(session), user=_user(session), session=session.id[:8], **how)
            return session

        return self._change(begun)

    def _renew(self, session: PersonSession, generation: int) -> PersonSession:
        now_us = self.now_us()
        renewed = self._registry.sessions.renew(session.id, generation, now_us)
        if renewed is None:
            # Another request was first, or the answer to this one was lost.
            known = self._registry.sessions.find(session.id, now_us)
            if known is None:
                raise TokenError("the session has ended")
            if generation != known.generation - 1 or now_us >= known.renewed_us + GRACE_S * _SECOND_US:
                self._end(session.id, "a refresh token was used twice")
                log.error("gateway.refresh_token_reused", session=session.id[:8])
                raise TokenError("a refresh token was used twice")
            renewed = known
        self._live[renewed.id] = renewed
        return renewed

    def _end(self, session: str, why: str) -> None:
        def ended(registry: Registry) -> None:
            known = registry.sessions.find(session, self.now_us())
            if known is not None and registry.sessions.end(session, self.now_us(), why):
                self.note("session.ended", actor=_actor(known), user=_user(known), session=session[:8], why=why)

        self._change(ended)

    # -- tokens

    async def _genuine(self, kind: SessionToken, token: str) -> tuple[PersonSession | None, int]:
        """The session that a token names and proves, and its generation."""
        parsed = _parsed(kind, token)
        if parsed is None:
            return None, 0
        session = self._live.get(parsed.session)
        if session is None or session.generation < parsed.generation:  # another process may know more
            session = await asyncio.to_thread(self._registry.sessions.find, parsed.session, self.now_us())
            if session is not None:
                self._live[session.id] = session
        if session is None or parsed.generation > session.generation:
            return None, 0
        expected = self._token(kind, session, parsed.generation)
        return (session, parsed.generation) if hmac.compare_digest(expected, token) else (None, 0)

    def _tokens(self, session: PersonSession) -> SessionTokens:
        return SessionTokens(
            session,
            self._token(SessionToken.access, session, session.generation),
            self._token(SessionToken.refresh, session, session.generation),
            self.csrf(session.id),
        )

    def _token(self, kind: SessionToken, session: PersonSession, generation: int) -> str:
        return f"{_PREFIX}{kind}.{session.id}.{generation}.{self._code(kind, session.id, generation, session.seed)}"

    def _code(self, kind: str, session: str, generation: int, seed: str) -> str:
        key = hashlib.blake2b(self._secret().encode(), digest_size=32, person=b"hs sessions").digest()
        code = hmac.digest(key, f"{kind}\n{session}\n{generation}\n{seed}".encode(), "sha256")
        return base64url(code)


def _parsed(kind: SessionToken, token: str) -> _Parsed | None:
    head, *rest = token.split(".")
    if head != f"{_PREFIX}{kind}" or len(rest) != 3 or not token.isascii():
        return None
    session, generation, _ = rest
    if not (generation.isdigit() and len(generation) < 10):
        return None
    return _Parsed(session, int(generation))


def _user(session: PersonSession) -> str | None:
    return session.holder if session.role is SessionRole.user else None


def _actor(session: PersonSession) -> str:
    return f"admin {session.holder}" if session.role is SessionRole.admin else "user"
