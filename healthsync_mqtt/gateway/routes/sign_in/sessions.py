"""Sessions over HTTP: a link is used, its cookies are renewed, whose it is, and its end."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from healthsync_mqtt.gateway.bodies.landing import LINK_REFUSED, LINK_UNUSED, SIGNED_IN, plain_page
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.document.openapi import answers
from healthsync_mqtt.gateway.login.callers import Caller, Callers
from healthsync_mqtt.gateway.login.rules import Anybody, Visitor, expect_own_page
from healthsync_mqtt.gateway.login.sessions import (
    ACCESS_COOKIE,
    ACCESS_S,
    CSRF_COOKIE,
    REFRESH_COOKIE,
    Person,
    PersonSessions,
    SessionTokens,
)
from healthsync_mqtt.gateway.server.peer import peer_of
from healthsync_mqtt.identity.people.carers import Carer
from healthsync_mqtt.identity.people.sessions import IDLE_US
from healthsync_mqtt.model.times import iso

_REFRESH_PATH: Final = "/v1/session"
_SECOND_US: Final = 1_000_000
_HTML, _JSON = "text/html", "application/json"
_PAGE_OR_JSON: Final = (_JSON, _HTML)


def routes(sessions: PersonSessions, callers: Callers, visitor: Visitor, anybody: Anybody) -> APIRouter:
    """The routes of people."""
    router = APIRouter(tags=["people"])

    async def begun(request: Request, code: str, *, for_browser: bool) -> Response:
        try:
            async with callers.trying(peer_of(request), "link"):
                tokens = await sessions.begin(code)
        except HttpError as error:
            if for_browser and error.status == 401:
                return plain_page(LINK_REFUSED, 401)
            raise
        if for_browser:
            return with_cookies_on(plain_page(SIGNED_IN), tokens)
        return with_cookies(tokens)

    @router.get(
        "/v1/invites/{code}",
        summary="Look at a one-time link",
        responses=answers("Session", "A session, in cookies.", 401, 429, 503, media=_PAGE_OR_JSON),
    )
    async def looked_at(request: Request, code: str, _: Annotated[None, Depends(anybody)]) -> Response:
        """The link that `healthsync user invite` printed: a page with a button that uses it (POST).

        Looking uses nothing up, so previews of messengers and scanners of mail may. A program that asks for
        `application/json` by name uses it up, as with POST; it should send POST.
        """
        if _JSON in _accepted(request):
            return await begun(request, code, for_browser=False)
        return plain_page(LINK_UNUSED)

    @router.post(
        "/v1/invites/{code}",
        summary="Use a one-time link",
        responses=answers("Session", "A session, in cookies.", 401, 403, 429, 503, media=_PAGE_OR_JSON),
    )
    async def used(request: Request, code: str, _: Annotated[None, Depends(anybody)]) -> Response:
        """Good once: the answer sets the cookies of a session. A browser gets a page that leads to the app."""
        if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            # Another site would sign a person in as somebody else, who reads then what is entered. Origin says nothing
            # here: it is `null` from a page that sends no referrer.
            raise HttpError(403, "csrf", "a page of another site uses this link", hint="open the link itself")
        return await begun(request, code, for_browser=_HTML in _accepted(request))

    @router.post(
        "/v1/session/refresh",
        summary="The next cookies of a session",
        responses=answers("Session", "A session, in cookies.", 401, 403, 429, 503),
    )
    async def refreshed(request: Request, _: Annotated[None, Depends(anybody)]) -> Response:
        """By the refresh cookie, which is used up: used again later, it ends the session."""
        refresh = request.cookies.get(REFRESH_COOKIE, "")
        async with callers.trying(peer_of(request), "session"):
            if refresh:
                expect_own_page(request, sessions.csrf_of(refresh))
            tokens = await sessions.refresh(refresh)
        return with_cookies(tokens)

    @router.get("/v1/session", summary="Whose session it is", responses=answers("Session", "The session.", 401, 403))
    async def whose(caller: Annotated[Caller, Depends(visitor)]) -> Response:
        """Who is logged in, and the word that requests which change something repeat as X-CSRF-Token.

        `cares_for` are the other users who let this one see anything now, `grants` what each lets see.
        """
        person = caller.person
        assert person is not None
        cared = sessions.cared_for(person.user) if person.user is not None else {}
        grants = [_granted(cared[user]) for user in sorted(cared)]
        described = _described(person, sessions.csrf(person.session))
        return JSONResponse(described | {"cares_for": sorted(cared), "grants": grants})

    @router.delete("/v1/session", summary="Log out", responses=answers("Session", "It has ended.", 401, 403))
    async def ended(caller: Annotated[Caller, Depends(visitor)]) -> Response:
        """End the session and forget its cookies."""
        assert caller.person is not None
        await sessions.end(caller.person.session)
        return without_cookies(JSONResponse(_described(caller.person, "")))

    return router


def with_cookies(tokens: SessionTokens) -> Response:
    """A session as it is answered: who it is of, and its cookies."""
    session = tokens.session
    until_s = session.renewed_us / _SECOND_US + ACCESS_S
    person = Person(session.id, session.role, session.holder, until_s)
    return with_cookies_on(JSONResponse(_described(person, tokens.csrf)), tokens)


def with_cookies_on(answer: Response, tokens: SessionTokens) -> Response:
    """An answer with the cookies of a session."""
    long_s = IDLE_US // _SECOND_US
    answer.set_cookie(
        ACCESS_COOKIE, tokens.access, max_age=ACCESS_S, path="/", secure=True, httponly=True, samesite="strict"
    )
    answer.set_cookie(
        REFRESH_COOKIE,
        tokens.refresh,
        max_age=long_s,
        path=_REFRESH_PATH,
        secure=True,
        httponly=True,
        samesite="strict",
    )
    answer.set_cookie(CSRF_COOKIE, tokens.csrf, max_age=long_s, path="/", secure=True, samesite="strict")
    return answer


def without_cookies(answer: Response) -> Response:
    """An answer after which the browser has no cookie of a session."""
    answer.delete_cookie(ACCESS_COOKIE, path="/", secure=True, httponly=True, samesite="strict")
    answer.delete_cookie(REFRESH_COOKIE, path=_REFRESH_PATH, secure=True, httponly=True, samesite="strict")
    answer.delete_cookie(CSRF_COOKIE, path="/", secure=True, samesite="strict")
    return answer


def _accepted(request: Request) -> str:
    return ",".join(request.headers.getlist("accept")).lower()


def _described(person: Person, csrf: str) -> dict[str, Any]:
    expires_at = iso(int(person.expires_at * _SECOND_US))
    return {"role": person.role, "name": person.name, "expires_at": expires_at, "csrf_token": csrf}


def _granted(carer: Carer) -> dict[str, Any]:
    return {"user_id": carer.user_id, "types": sorted(carer.listed), "until": iso(carer.until_us)}
