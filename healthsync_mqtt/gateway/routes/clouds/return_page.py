"""The page that a cloud sends a user back to: whoever was invited by `adapter link --public` has agreed there, or not.

The answer is taken once, within ten minutes, and only with the state that was given out with the invitation; what it
leads to is that user's, whatever the browser says. A link that was begun in a session is ended in the same browser.
"""

import asyncio
import html
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from healthsync_mqtt.adapters.authorization import finish
from healthsync_mqtt.adapters.links import CloudLink, LinkBook
from healthsync_mqtt.adapters.ready_adapters import ReadyAdapter
from healthsync_mqtt.adapters.web import DirectWeb, Web
from healthsync_mqtt.cloud_links.former_links import end_links
from healthsync_mqtt.errors import (
    ConflictError,
    DeniedError,
    HealthSyncError,
    InputError,
    NotFoundError,
    TokenError,
    UnavailableError,
)
from healthsync_mqtt.gateway.bodies.problem import HttpError, not_found
from healthsync_mqtt.gateway.document.openapi import answers
from healthsync_mqtt.gateway.login.callers import Callers
from healthsync_mqtt.gateway.login.rules import Anybody
from healthsync_mqtt.gateway.login.sessions import PersonSessions
from healthsync_mqtt.gateway.server.peer import peer_of
from healthsync_mqtt.gateway.stores.link_pool import LinkPool
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.topics.grammar import is_id

LINK_COOKIE: Final = "__Host-healthsync-link"
"""What a browser keeps in which a link was begun in a session."""
_AT_ONCE: Final = 4
_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>HealthSync</title></head>'
    "<body><p>{said}</p></body></html>"
)


class LinkReturns:
    """Takes the answers of clouds to users who were invited."""

    def __init__(self, links: LinkPool, sessions: PersonSessions, callers: Callers, web: Web | None = None) -> None:
        self._links = links
        self._sessions = sessions
        self._callers = callers
        self._web = web or DirectWeb()
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def finish(self, request: Request, provider: str) -> str:
        """Make the link that an answer is about; what its user reads then. HttpError."""
        ready = (await self._links.call(lambda files: files.ready.now())).get(provider) if is_id(provider) else None
        if ready is None:
            raise not_found()
        peer = peer_of(request)
        title = ready.adapter.capability.title
        async with self._callers.trying(peer, f"link/{provider}"), self._turns:
            try:
                browser = request.cookies.get(LINK_COOKIE, "")
                made = await asyncio.to_thread(self._finished, ready, str(request.url), browser)
            except ConflictError as error:
                raise TokenError(str(error)) from None
            except DeniedError:
                return f"{title} lets nobody in. Nothing is linked."
            except (UnavailableError, InputError) as error:
                raise HttpError(503, "unavailable", str(error), hint="ask for another invitation") from None
        await self._note(made)
        return f"{title} is linked. This page can be closed."

    def _finished(self, ready: ReadyAdapter, redirected: str, browser: str) -> CloudLink:
        """In a thread, with a file of its own: the provider may take its time, and webhooks have none."""

        def of(provider: str) -> ReadyAdapter:
            if provider != ready.adapter.name:
                raise ConflictError("this answer is of another provider than the invitation")
            return ready

        with LinkBook.open(self._links.data) as book:
            return finish(book, self._web, of, redirected, self._sessions.now_us(), browser=browser)

    async def _note(self, made: CloudLink) -> None:
        def noted(registry: Registry) -> None:
            registry.user(made.user)
            self._sessions.note(
                "adapter.linked", actor=f"link/{made.provider}", user=made.user, provider=made.provider,
                scopes=made.scopes,
            )  # fmt: skip

        try:
            await self._sessions.changed(noted)
        except NotFoundError:  # removed while the browser was away
            await asyncio.to_thread(end_links, self._links.data, made.user)
            raise not_found() from None
        except HealthSyncError:
            await asyncio.to_thread(end_links, self._links.data, made.user)
            raise


def routes(link_returns: LinkReturns, anybody: Anybody) -> APIRouter:
    """The route that clouds send users back to."""
    router = APIRouter(tags=["clouds"])

    @router.get(
        "/v1/link/{provider}/callback",
        summary="A user comes back from agreeing at a cloud",
        responses=answers("Anything", "What came of it, as a page.", 401, 404, 429, 503, media=("text/html",)),
    )
    async def returned(request: Request, provider: str, _: Annotated[None, Depends(anybody)]) -> Response:
        """With the state of an invitation, once. The code in it is exchanged for tokens here, and shown to nobody."""
        said = await link_returns.finish(request, provider)
        return Response(_PAGE.format(said=html.escape(said)), media_type="text/html")

    return router
