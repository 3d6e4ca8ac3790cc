"""Users over HTTP: who is registered, added, invited, suspended and removed, by admins."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from healthsync_mqtt.descriptions.people import UserDescription, described_user
from healthsync_mqtt.gateway.bodies.body import read_form
from healthsync_mqtt.gateway.bodies.lists import Cursor, PageSize, cut, written
from healthsync_mqtt.gateway.document.openapi import answers, form
from healthsync_mqtt.gateway.document.request_bodies import InviteRequest, UserRequest
from healthsync_mqtt.gateway.event_log.questions import types_of
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import Administrator, Keeper
from healthsync_mqtt.gateway.registry.deeds import Deed, Deeds
from healthsync_mqtt.identity.consent.decisions import Purpose
from healthsync_mqtt.identity.people.sessions import SessionRole
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.times import iso


def routes(deeds: Deeds, admin: Administrator, keeper: Keeper) -> APIRouter:
    """The routes of users."""
    router = APIRouter(tags=["administration"])

    @router.get("/v1/users", summary="All users", responses=answers("UserPage", "A page.", 400, 401, 404, 503))
    async def users(_: Annotated[Caller, Depends(admin)], cursor: Cursor = "", limit: PageSize = 100) -> Response:
        """Who is registered, by name."""

        def listed(registry: Registry) -> tuple[list[UserDescription], str | None]:
            now_us = deeds.now_us()
            found = registry.users(after=cursor, limit=limit + 1)
            page, after = cut(found, lambda user: user.id, limit)
            return [described_user(registry, user, now_us) for user in page], after

        page, after = await deeds.ask(listed)
        return written({"users": page, "next": after})

    @router.post(
        "/v1/users",
        summary="Add a user",
        responses=answers("UserDescription", "The user.", 400, 401, 403, 404, 408, 409, 413, 415, 503),
        openapi_extra=form("UserRequest"),
    )
    async def added(request: Request, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """With what the user agrees to; without a consent nothing of the user is stored."""
        asked = await read_form(request, UserRequest, '{"user_id": "alice", "consent": ["all"]}')
        types = types_of(asked.consent) if asked.consent else None
        purposes = tuple(map(Purpose, asked.purposes))

        def add(deed: Deed) -> UserDescription:
            user = deed.registry.add_user(asked.user_id, types, deed.now_us, purposes=purposes, recorded_by=deed.actor)
            deed.note("user.added", user=user.id)
            if types is not None:
                deed.note("consent.granted", user=user.id, types=types, purposes=purposes)
            return described_user(deed.registry, user, deed.now_us)

        return written(await deeds.do(caller, add))

    @router.get(
        "/v1/users/{user}", summary="A user", responses=answers("UserDescription", "The user.", 400, 401, 404, 503)
    )
    async def one(user: str, _: Annotated[Caller, Depends(keeper)]) -> Response:
        """Of the user's own, and of admins: since when, with which devices, and what may be stored."""
        return written(await deeds.ask(lambda registry: described_user(registry, registry.user(user), deeds.now_us())))

    @router.delete(
        "/v1/users/{user}",
        summary="Remove a user",
        responses=answers("UserDescription", "What it was.", 400, 401, 403, 404, 503),
    )
    async def removed(user: str, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """End the devices, tokens and consents of a user. Stored events stay; an erasure is another thing."""

        def remove(deed: Deed) -> UserDescription:
            shown = described_user(deed.registry, deed.registry.user(user), deed.now_us)
            deed.registry.remove_user(user, deed.now_us, recorded_by=deed.actor)
            deed.note("user.removed", user=user, devices=len(shown.devices))
            return shown

        return written(await deeds.do(caller, remove))

    @router.post(
        "/v1/users/{user}/suspend",
        summary="Let no device of a user connect",
        responses=answers("UserDescription", "The user.", 400, 401, 403, 404, 503),
    )
    async def suspended(user: str, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """Until it is resumed. Live connections and sessions end within a second."""

        def suspend(deed: Deed) -> UserDescription:
            if deed.registry.revocation.suspend_user(user, deed.now_us):
                deed.note("user.suspended", user=user)
            return described_user(deed.registry, deed.registry.user(user), deed.now_us)

        return written(await deeds.do(caller, suspend))

    @router.post(
        "/v1/users/{user}/resume",
        summary="Let a user's devices connect again",
        responses=answers("UserDescription", "The user.", 400, 401, 403, 404, 503),
    )
    async def resumed(user: str, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """The end of a suspension."""

        def resume(deed: Deed) -> UserDescription:
            if deed.registry.revocation.resume_user(user):
                deed.note("user.resumed", user=user)
            return described_user(deed.registry, deed.registry.user(user), deed.now_us)

        return written(await deeds.do(caller, resume))

    @router.post(
        "/v1/users/{user}/invites",
        summary="A link for a user",
        responses=answers("Invite", "The link, once.", 400, 401, 403, 404, 408, 413, 415, 503),
        openapi_extra=form("InviteRequest"),
    )
    async def invited(request: Request, user: str, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """Who opens it first has a session of the user."""
        asked = await read_form(request, InviteRequest, '{"lifetime_s": 86400}')
        return written(await deeds.do(caller, lambda deed: invite(deed, SessionRole.user, user, asked.lifetime_s)))

    return router


def invite(deed: Deed, role: SessionRole, holder: str, lifetime_s: int) -> dict[str, str]:
    """A new link of a user or an admin."""
    until_us = deed.now_us + lifetime_s * 1_000_000
    code = deed.registry.sessions.invite(role, holder, deed.now_us, until_us=until_us)
    if role is SessionRole.user:
        deed.note("user.invited", user=holder)
    else:
        deed.note("admin.invited", name=holder)
    return {"path": f"/v1/invites/{code}", "expires_at": iso(until_us)}
