"""The login of an organisation over HTTP: a browser goes there, comes back with a code, and gets the session of a user.

Nobody is registered by it: it opens sessions of users that there are, never of an admin, and leads to this app alone.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Annotated, Final, TypeVar
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from healthsync_mqtt.adapters.web import DirectWeb, Web
from healthsync_mqtt.config.sections import GatewaySettings
from healthsync_mqtt.errors import ConfigError, NotFoundError, TokenError, UnavailableError
from healthsync_mqtt.gateway.bodies.landing import ORGANISATION_REFUSED, SIGNED_IN, plain_page
from healthsync_mqtt.gateway.bodies.lists import written
from healthsync_mqtt.gateway.bodies.problem import HttpError, not_found
from healthsync_mqtt.gateway.document.openapi import answers
from healthsync_mqtt.gateway.login.beginnings import Beginnings
from healthsync_mqtt.gateway.login.callers import Caller, Callers
from healthsync_mqtt.gateway.login.rules import Anybody, Visitor
from healthsync_mqtt.gateway.login.sessions import PersonSessions, SessionTokens
from healthsync_mqtt.gateway.oidc.id_token import user_of
from healthsync_mqtt.gateway.oidc.provider import OidcProvider
from healthsync_mqtt.gateway.oidc.round import ROUND_S, Rounds
from healthsync_mqtt.gateway.routes.sign_in.sessions import with_cookies, with_cookies_on, without_cookies
from healthsync_mqtt.gateway.server.peer import peer_of
from healthsync_mqtt.identity.people.sessions import PersonSession, SessionRole
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.notices import Notices

T = TypeVar("T")

log = get_logger("gateway")

CALLBACK: Final = "/v1/session/organisation/callback"
ROUND_COOKIE: Final = "__Host-healthsync-organisation"
"""What a browser that went to the organisation's login is known by when it comes back."""
_AT_ONCE: Final = 4
_ASKING_S: Final = 10.0
_LONGEST: Final = 4_096
_Word = Annotated[str | None, Query(max_length=_LONGEST)]


class Organisation:
    """The organisation whose login is good here, if there is one."""

    def __init__(
        self, settings: GatewaySettings, sessions: PersonSessions, secret: Callable[[], str], web: Web | None = None
    ) -> None:
        self._settings = settings.oidc
        self._sessions = sessions
        self._rounds = Rounds(secret)
        self._home = f"{settings.public_url}/"
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._notices = Notices()
        self._provider = (
            OidcProvider(settings.oidc, settings.public_url + CALLBACK, web or DirectWeb(timeout_s=_ASKING_S))
            if settings.oidc.issuer
            else None
        )

    @property
    def title(self) -> str | None:
        """What people know it by; None: there is none."""
        return (self._settings.title or urlsplit(self._settings.issuer).hostname) if self._provider else None

    async def leave(self, browser: str) -> str:
        """Where a browser goes to sign in. HttpError 404 and 503."""
        begun = self._rounds.begin(browser, self._sessions.now_us())
        return await self._asked(lambda provider: provider.address(begun))

    async def end(self) -> str | None:
        """Where a browser ends its session there; None: nowhere. HttpError 404 and 503."""
        return await self._asked(lambda provider: provider.logout_address(self._home))

    async def ended(self, session: str) -> None:
        """The session ends here."""
        await self._sessions.end(session)

    async def come_back(self, browser: str, state: str, code: str, issuer: str | None) -> SessionTokens:
        """The session of whom the organisation says it is. TokenError for all who get none; HttpError 404 and 503."""
        now_us = self._sessions.now_us()
        begun = self._rounds.returned(browser, state, now_us)
        claims = await self._asked(lambda provider: provider.claims(begun, code, issuer))

        def opened(registry: Registry) -> PersonSession:
            user = user_of(claims, self._settings)
            registry.passkeys.answer(state.encode(), now_us, begun.expires_us)
            try:
                return registry.sessions.opened(SessionRole.user, user, now_us)
            except NotFoundError:
                raise TokenError("there is no such user here") from None

        try:
            return await self._sessions.begin_by("an organisation's login", opened)
        except TokenError as error:
            why = error.detail
            await self._sessions.changed(
                lambda _: self._sessions.note("organisation.refused", actor="organisation", user=None, why=why)
            )
            raise

    async def _asked(self, question: Callable[[OidcProvider], T]) -> T:
        provider = self._provider
        if provider is None:
            raise not_found()
        async with self._turns:
            try:
                return await asyncio.to_thread(question, provider)
            except (UnavailableError, ConfigError) as error:
                left_out = self._notices.due("away", time.monotonic())
                if left_out is not None:
                    log.error("gateway.organisation_away", error=error, left_out=left_out)  # noqa: TRY400  # no traceback
                raise HttpError(
                    503, "unavailable", "the organisation's login cannot be used now", hint="try again later",
                    retry_after_s=_ASKING_S,
                ) from None  # fmt: skip


def routes(
    organisation: Organisation, beginnings: Beginnings, callers: Callers, visitor: Visitor, anybody: Anybody
) -> APIRouter:
    """The routes of an organisation's login."""
    router = APIRouter(tags=["people"])

    @router.post(
        "/v1/session/organisation",
        summary="Begin to sign in with the organisation's login",
        responses=answers("Elsewhere", "Where to go.", 404, 429, 503),
    )
    async def left(request: Request, _: Annotated[None, Depends(anybody)]) -> Response:
        """The browser goes to `url`, and comes back within ten minutes, once."""
        beginnings.take(peer_of(request), time.monotonic())
        browser = secrets.token_urlsafe(32)
        answer = written({"url": await organisation.leave(browser)})
        # It comes back from another site, which a cookie that is strict would not survive.
        answer.set_cookie(ROUND_COOKIE, browser, max_age=ROUND_S, path="/", secure=True, httponly=True, samesite="lax")
        return answer

    @router.get(
        CALLBACK,
        summary="A browser comes back from the organisation's login",
        responses=answers("Session", "A session, in cookies.", 400, 401, 404, 429, 503),
    )
    async def returned(
        request: Request,
        _: Annotated[None, Depends(anybody)],
        state: _Word = None,
        code: _Word = None,
        iss: _Word = None,
        error: _Word = None,
    ) -> Response:
        """With a code, which is exchanged here. A browser, which asks for HTML, gets a page that leads to the app."""
        if organisation.title is None:
            raise not_found()
        for_browser = "text/html" in request.headers.get("accept", "").lower()
        try:
            beginnings.take(peer_of(request), time.monotonic())
            async with callers.trying(peer_of(request), "organisation"):
                if error is not None or not code or not state:
                    raise TokenError("the organisation's login let nobody in")
                tokens = await organisation.come_back(request.cookies.get(ROUND_COOKIE, ""), state, code, iss)
        except HttpError as refused:
            if not for_browser or refused.status == 404:
                raise
            return _over(plain_page(ORGANISATION_REFUSED, refused.status))
        return _over(with_cookies_on(plain_page(SIGNED_IN), tokens) if for_browser else with_cookies(tokens))

    @router.post(
        "/v1/session/organisation/end",
        summary="Log out, here and at the organisation's login",
        responses=answers("Elsewhere", "It has ended here; where it ends there, or null.", 401, 403, 404, 503),
    )
    async def ended(caller: Annotated[Caller, Depends(visitor)]) -> Response:
        """The session ends here, whatever becomes of the one there, which ends when the browser goes to `url`."""
        assert caller.person is not None
        url = await organisation.end()
        await organisation.ended(caller.person.session)
        return without_cookies(written({"url": url}))

    return router


def _over(answer: Response) -> Response:
    answer.delete_cookie(ROUND_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return answer
