"""Admins over HTTP: who they are, a new one, a link for one, and the end of one."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from healthsync_mqtt.descriptions.people import AdminDescription, described_admin
from healthsync_mqtt.errors import ConflictError
from healthsync_mqtt.gateway.bodies.body import read_form
from healthsync_mqtt.gateway.bodies.lists import Cursor, PageSize, page_of, written
from healthsync_mqtt.gateway.document.openapi import answers, form
from healthsync_mqtt.gateway.document.request_bodies import AdminRequest, InviteRequest
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import Administrator
from healthsync_mqtt.gateway.registry.deeds import Deed, Deeds
from healthsync_mqtt.gateway.routes.people.users import invite
from healthsync_mqtt.identity.people.sessions import SessionRole


def routes(deeds: Deeds, admin: Administrator) -> APIRouter:
    """The routes of admins."""
    router = APIRouter(tags=["administration"])

    @router.get("/v1/admins", summary="All admins", responses=answers("AdminPage", "A page.", 400, 401, 404, 503))
    async def admins(_: Annotated[Caller, Depends(admin)], cursor: Cursor = "", limit: PageSize = 100) -> Response:
        """Who administers."""
        found = await deeds.ask(lambda registry: registry.admins())
        page, after = page_of(map(described_admin, found), lambda each: each.name, cursor, limit)
        return written({"admins": page, "next": after})

    @router.post(
        "/v1/admins",
        summary="Add an admin",
        responses=answers("AdminDescription", "The admin.", 400, 401, 403, 404, 408, 409, 413, 415, 503),
        openapi_extra=form("AdminRequest"),
    )
    async def added(request: Request, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """Who gets a session by a link."""
        asked = await read_form(request, AdminRequest, '{"name": "root"}')

        def add(deed: Deed) -> AdminDescription:
            made = deed.registry.add_admin(asked.name, deed.now_us)
            deed.note("admin.added", name=asked.name)
            return described_admin(made)

        return written(await deeds.do(caller, add))

    @router.post(
        "/v1/admins/{name}/invites",
        summary="A link for an admin",
        responses=answers("Invite", "The link, once.", 400, 401, 403, 404, 408, 413, 415, 503),
        openapi_extra=form("InviteRequest"),
    )
    async def invited(request: Request, name: str, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """Who opens it first has a session of the admin."""
        asked = await read_form(request, InviteRequest, '{"lifetime_s": 86400}')

        def made(deed: Deed) -> dict[str, str]:
            deed.registry.admin(name)
            return invite(deed, SessionRole.admin, name, asked.lifetime_s)

        return written(await deeds.do(caller, made))

    @router.delete(
        "/v1/admins/{name}",
        summary="Remove an admin",
        responses=answers("AdminDescription", "What it was.", 400, 401, 403, 404, 409, 503),
    )
    async def removed(name: str, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """Tokens, links and sessions end. Nobody removes the own name here: the last one would lock everybody out."""

        def remove(deed: Deed) -> AdminDescription:
            if name == caller.principal.client_id:
                raise ConflictError("that is you", hint="let another do it, or: healthsync admin remove NAME --yes")
            was = deed.registry.remove_admin(name, deed.now_us)
            deed.note("admin.removed", name=name)
            return described_admin(was)

        return written(await deeds.do(caller, remove))

    return router
