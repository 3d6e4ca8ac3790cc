"""A user's links to clouds over HTTP, for the user and for admins: seen, begun, and ended."""

import asyncio
import secrets
import time
from collections.abc import Awaitable
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from healthsync_mqtt.adapters.authorization import LASTS_S, Invitation, invite
from healthsync_mqtt.adapters.link_descriptions import (
    AdapterLine,
    CloudLine,
    LinkDescription,
    described_adapters,
    described_link,
)
from healthsync_mqtt.adapters.link_end import ended
from healthsync_mqtt.adapters.link_state import CloudLinkState
from healthsync_mqtt.adapters.links import LinkBook
from healthsync_mqtt.adapters.ready_adapters import ReadyAdapter
from healthsync_mqtt.adapters.web import DirectWeb, Web
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import ConflictError
from healthsync_mqtt.gateway.bodies.body import read_form
from healthsync_mqtt.gateway.bodies.lists import written
from healthsync_mqtt.gateway.bodies.problem import HttpError, not_found
from healthsync_mqtt.gateway.document.openapi import answers, form
from healthsync_mqtt.gateway.document.request_bodies import LinkWish
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import Administrator, Keeper
from healthsync_mqtt.gateway.registry.deeds import Deed, Deeds, carried_out
from healthsync_mqtt.gateway.routes.clouds.return_page import LINK_COOKIE
from healthsync_mqtt.gateway.stores.link_pool import LinkFiles, LinkPool
from healthsync_mqtt.model.times import iso


class Clouds:
    """Begins and ends links."""

    def __init__(self, links: LinkPool, web: Web | None = None) -> None:
        self._links = links
        self._web = web or DirectWeb()

    async def known(self, user: str) -> dict[str, list[LinkDescription] | list[CloudLine]]:
        """The links of a user, and the clouds that there are."""

        def listed(files: LinkFiles) -> dict[str, list[LinkDescription] | list[CloudLine]]:
            ready = [each.adapter for _, each in sorted(files.ready.now().items())]
            clouds = [
                CloudLine(provider=each.name, title=each.capability.title, types=list(each.types)) for each in ready
            ]
            return {"links": list(map(described_link, files.book.links(user))), "clouds": clouds}

        return await self._links.call(listed)

    async def adapters(self) -> list[AdapterLine]:
        """Every adapter, and the links of all users by their state."""

        def listed(files: LinkFiles) -> list[AdapterLine]:
            return described_adapters(load_settings(self._links.data), self._links.data, files.book.links())

        return await self._links.call(listed)

    async def invite(self, user: str, provider: str, browser: str = "") -> Invitation:
        """Where the user agrees. HttpError 404 for a cloud that is not set up, 409 where nobody can come back."""

        def invited(files: LinkFiles) -> Invitation:
            ready = files.ready.now().get(provider)
            if ready is None:
                raise HttpError(404, "not_found", "that cloud is not set up here", hint="see: healthsync adapter list")
            if not ready.hooks.public_url:
                raise HttpError(
                    409, "conflict", "users cannot come back from a cloud to here", hint="set gateway.public_url"
                )
            redirect = f"{ready.hooks.public_url}/v1/link/{provider}/callback"
            return invite(files.book, ready, user, redirect, _now_us(), browser=browser)

        return await self._links.call(invited)

    async def leave(self, user: str, provider: str) -> bool:
        """End a link; whether the cloud knows that our access is over. HttpError 404."""
        ready = await self._links.call(lambda files: files.ready.now().get(provider))
        if ready is None:
            raise not_found()
        return await asyncio.to_thread(self._left, user, ready)

    async def pause(self, user: str, provider: str, *, paused: bool) -> LinkDescription:
        """Fetch a link no more, or again. NotFoundError."""

        def changed(files: LinkFiles) -> LinkDescription:
            files.book.pause(files.book.of(user, provider).id, paused=paused)
            return described_link(files.book.of(user, provider))

        return await self._links.call(changed)

    async def sync(self, user: str, provider: str) -> LinkDescription:
        """Ask the worker to fetch a link now. NotFoundError; ConflictError where the user has to agree once more."""

        def asked(files: LinkFiles) -> LinkDescription:
            found = files.book.of(user, provider)
            if found.state is CloudLinkState.needs_reauth:
                raise ConflictError(f"{provider} does not let us in: {found.hint}", hint="begin the link once more")
            files.book.ask(found.id, _now_us())
            return described_link(found)

        return await self._links.call(asked)

    def _left(self, user: str, ready: ReadyAdapter) -> bool:
        """In a thread, with a file of its own: the provider may take its time."""
        with LinkBook.open(self._links.data) as book:
            return ended(book, book.of(user, ready.adapter.name), ready, self._web, _now_us())


def routes(deeds: Deeds, clouds: Clouds, keeper: Keeper, admin: Administrator) -> APIRouter:
    """The routes of links, and of the adapters that make them."""
    router = APIRouter(tags=["clouds"])

    @router.get("/v1/adapters", summary="All adapters", responses=answers("Adapters", "They.", 400, 401, 404, 503))
    async def adapters(_: Annotated[Caller, Depends(admin)]) -> Response:
        """Whether each can be linked here, what is missing where not, and how many links there are by their state."""
        return written({"adapters": await carried_out(clouds.adapters())})

    async def of(user: str) -> Response:
        await deeds.ask(lambda registry: registry.user(user))
        return written(await clouds.known(user))

    @router.get(
        "/v1/users/{user}/links",
        summary="A user's links to clouds",
        responses=answers("Links", "The links, and the clouds that there are.", 400, 401, 404, 503),
    )
    async def links(user: str, _: Annotated[Caller, Depends(keeper)]) -> Response:
        """What is fetched, when it last was, and what is to be done where it does not work."""
        return await of(user)

    @router.post(
        "/v1/users/{user}/links",
        summary="Begin a link to a cloud",
        responses=answers("LinkInvitation", "Where the user agrees.", 400, 401, 403, 404, 408, 409, 413, 415, 503),
        openapi_extra=form("LinkWish"),
    )
    async def begun(request: Request, user: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """The user opens `url` within ten minutes, agrees there, and comes back to here."""
        asked = await read_form(request, LinkWish, '{"provider": "oura"}')

        def noted(deed: Deed) -> None:
            deed.registry.user(user)
            deed.note("adapter.invited", user=user, provider=asked.provider)

        await deeds.do(caller, noted)
        until_us = deeds.now_us() + LASTS_S * 1_000_000
        # Else somebody who was sent the address by another person would have their own cloud fetched for that one.
        browser = "" if caller.person is None else request.cookies.get(LINK_COOKIE) or secrets.token_urlsafe(24)
        invitation = await clouds.invite(user, asked.provider, browser)
        answer = written({"provider": asked.provider, "url": invitation.url, "expires_at": iso(until_us)})
        if browser:
            # It comes back from another site, which a cookie that is strict would not survive.
            answer.set_cookie(
                LINK_COOKIE, browser, max_age=LASTS_S, path="/", secure=True, httponly=True, samesite="lax"
            )
        return answer

    @router.delete(
        "/v1/users/{user}/links/{provider}",
        summary="End a link to a cloud",
        responses=answers("LinkEnd", "It has ended.", 400, 401, 403, 404, 503),
    )
    async def left(user: str, provider: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """What was stored stays. `told` is whether the cloud knows; where not, the user takes our access away there."""
        knows = await carried_out(clouds.leave(user, provider))
        await deeds.do(caller, lambda deed: deed.note("adapter.unlinked", user=user, provider=provider, told=knows))
        return written({"provider": provider, "told": knows})

    async def said(caller: Caller, work: Awaitable[LinkDescription], action: str, user: str, provider: str) -> Response:
        link = await carried_out(work)
        await deeds.do(caller, lambda deed: deed.note(action, user=user, provider=provider))
        return written(link)

    @router.post(
        "/v1/users/{user}/links/{provider}/pause",
        summary="Fetch a link no more",
        responses=answers("LinkDescription", "The link.", 400, 401, 403, 404, 503),
    )
    async def paused(user: str, provider: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """Until it is resumed. Our access at the cloud stays."""
        return await said(caller, clouds.pause(user, provider, paused=True), "adapter.paused", user, provider)

    @router.post(
        "/v1/users/{user}/links/{provider}/resume",
        summary="Fetch a link again",
        responses=answers("LinkDescription", "The link.", 400, 401, 403, 404, 503),
    )
    async def resumed(user: str, provider: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """The end of a pause: what came meanwhile is fetched, too."""
        return await said(caller, clouds.pause(user, provider, paused=False), "adapter.resumed", user, provider)

    @router.post(
        "/v1/users/{user}/links/{provider}/sync",
        summary="Fetch a link now",
        responses=answers("LinkDescription", "The link, as it was.", 400, 401, 403, 404, 409, 503),
    )
    async def synced(user: str, provider: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """Asked for, and done soon: `synced_at` of the link says when. 409 where the user has to agree once more."""
        return await said(caller, clouds.sync(user, provider), "adapter.sync_asked", user, provider)

    return router


def _now_us() -> int:
    return time.time_ns() // 1000
