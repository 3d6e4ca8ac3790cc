"""Subscribers over HTTP, by admins: who reads which users and types, and what they log in with."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from healthsync_mqtt.descriptions.people import SubscriberDescription, described_subscriber, told
from healthsync_mqtt.gateway.bodies.body import read_form
from healthsync_mqtt.gateway.bodies.lists import Cursor, PageSize, page_of, written
from healthsync_mqtt.gateway.document.openapi import answers, form
from healthsync_mqtt.gateway.document.request_bodies import SubscriberRequest, TokenWish
from healthsync_mqtt.gateway.event_log.questions import types_of
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import Administrator
from healthsync_mqtt.gateway.registry.deeds import Deed, Deeds
from healthsync_mqtt.gateway.registry.installation import Installation
from healthsync_mqtt.gateway.registry.new_tokens import TokenAnswer, TokenDesk
from healthsync_mqtt.gateway.routes.people.devices import seen_of
from healthsync_mqtt.identity.registry import Registry

_EXAMPLE = '{"name": "dashboard", "users": ["alice"], "types": ["*"]}'


def routes(deeds: Deeds, desk: TokenDesk, installation: Installation, admin: Administrator) -> APIRouter:
    """The routes of subscribers."""
    router = APIRouter(tags=["administration"])

    @router.get(
        "/v1/subscribers", summary="All subscribers", responses=answers("SubscriberPage", "A page.", 400, 401, 404, 503)
    )
    async def subscribers(_: Annotated[Caller, Depends(admin)], cursor: Cursor = "", limit: PageSize = 100) -> Response:
        """What each may read, and when it was last here."""
        live = await installation.live()

        def listed(registry: Registry) -> tuple[list[dict[str, Any]], str | None]:
            page, after = page_of(registry.subscribers(), lambda each: each.name, cursor, limit)
            now_us = deeds.now_us()
            return [
                told(described_subscriber(each)) | seen_of(registry, each.name, live, now_us) for each in page
            ], after

        page, after = await deeds.ask(listed)
        return written({"subscribers": page, "next": after})

    @router.post(
        "/v1/subscribers",
        summary="Add a subscriber",
        responses=answers("SubscriberDescription", "It.", 400, 401, 403, 404, 408, 409, 413, 415, 503),
        openapi_extra=form("SubscriberRequest"),
    )
    async def added(request: Request, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """Of these users and types. Users may be added after it; it gets a token by another request."""
        asked = await read_form(request, SubscriberRequest, _EXAMPLE)
        types, users = types_of(asked.types), "*" if asked.users == ("*",) else asked.users

        def add(deed: Deed) -> SubscriberDescription:
            made = deed.registry.add_subscriber(asked.name, users, types, deed.now_us, batches=asked.batches)
            deed.note("subscriber.added", name=asked.name, users=len(made.users or ()) or "all", types=types)
            return described_subscriber(made)

        return written(await deeds.do(caller, add))

    @router.get(
        "/v1/subscribers/{name}",
        summary="A subscriber",
        responses=answers("Subscriber", "It.", 400, 401, 404, 503),
    )
    async def one(name: str, _: Annotated[Caller, Depends(admin)]) -> Response:
        """What it may read, and when it was last here."""
        live = await installation.live()

        def shown(registry: Registry) -> dict[str, Any]:
            found = registry.subscriber(name)
            return told(described_subscriber(found)) | seen_of(registry, name, live, deeds.now_us())

        return written(await deeds.ask(shown))

    @router.post(
        "/v1/subscribers/{name}/token",
        summary="A new token of a subscriber",
        responses=answers("TokenAnswer", "The login, once.", 400, 401, 403, 404, 408, 413, 415, 503),
        openapi_extra=form("TokenWish"),
    )
    async def token(request: Request, name: str, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """Older ones stay valid until they expire."""
        asked = await read_form(request, TokenWish, "{}")

        def issued(deed: Deed) -> TokenAnswer:
            found = deed.registry.subscriber(name)
            return desk.issue(deed, found.principal, found.token_epoch, asked.lifetime_s)

        return written(await deeds.do(caller, issued))

    @router.post(
        "/v1/subscribers/{name}/suspend",
        summary="Let a subscriber not connect",
        responses=answers("SubscriberDescription", "It.", 400, 401, 403, 404, 503),
    )
    async def suspended(name: str, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """Until it is resumed. A live connection ends within a second."""

        def suspend(deed: Deed) -> SubscriberDescription:
            if deed.registry.revocation.suspend_subscriber(name, deed.now_us):
                deed.note("subscriber.suspended", name=name)
            return described_subscriber(deed.registry.subscriber(name))

        return written(await deeds.do(caller, suspend))

    @router.post(
        "/v1/subscribers/{name}/resume",
        summary="Let a subscriber connect again",
        responses=answers("SubscriberDescription", "It.", 400, 401, 403, 404, 503),
    )
    async def resumed(name: str, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """The end of a suspension."""

        def resume(deed: Deed) -> SubscriberDescription:
            if deed.registry.revocation.resume_subscriber(name):
                deed.note("subscriber.resumed", name=name)
            return described_subscriber(deed.registry.subscriber(name))

        return written(await deeds.do(caller, resume))

    @router.post(
        "/v1/subscribers/{name}/revoke",
        summary="Void what a subscriber was given",
        responses=answers("SubscriberDescription", "It.", 400, 401, 403, 404, 503),
    )
    async def revoked(name: str, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """Every token and certificate up to now. Webhooks that it made itself end."""

        def revoke(deed: Deed) -> SubscriberDescription:
            deed.registry.revocation.revoke_subscriber_tokens(name)
            deed.note("token.revoked", client=name, which="all")
            return described_subscriber(deed.registry.subscriber(name))

        return written(await deeds.do(caller, revoke))

    @router.delete(
        "/v1/subscribers/{name}",
        summary="Remove a subscriber",
        responses=answers("SubscriberDescription", "What it was.", 400, 401, 403, 404, 503),
    )
    async def removed(name: str, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """Its tokens are void, also when it is added again."""

        def remove(deed: Deed) -> SubscriberDescription:
            was = deed.registry.remove_subscriber(name, deed.now_us)
            deed.note("subscriber.removed", name=name)
            return described_subscriber(was)

        return written(await deeds.do(caller, remove))

    return router
