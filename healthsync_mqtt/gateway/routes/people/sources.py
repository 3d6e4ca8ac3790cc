"""What measured for a user, over HTTP: listed, and put into the order in which it counts."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from healthsync_mqtt.descriptions.sources import SourceLine, described_sources
from healthsync_mqtt.gateway.bodies.body import read_form
from healthsync_mqtt.gateway.bodies.lists import written
from healthsync_mqtt.gateway.document.openapi import answers, form
from healthsync_mqtt.gateway.document.request_bodies import SourceOrder
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import Keeper
from healthsync_mqtt.gateway.registry.deeds import Deed, Deeds
from healthsync_mqtt.gateway.registry.installation import Installation


def routes(deeds: Deeds, installation: Installation, keeper: Keeper) -> APIRouter:
    """The routes of sources."""
    router = APIRouter(tags=["devices"])

    async def listed(user: str, preferred: tuple[str, ...]) -> Response:
        lines: list[SourceLine] = await installation.ask(
            lambda: described_sources(installation.summaries, user, preferred)
        )
        return written({"sources": lines})

    @router.get(
        "/v1/users/{user}/sources",
        summary="What measured for a user",
        responses=answers("Sources", "The sources.", 400, 401, 404, 503),
    )
    async def sources(user: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """A device, and the app behind it where events name one; the user's own order first."""

        def asked(deed: Deed) -> tuple[str, ...]:
            deed.registry.user(user)
            deed.note("sources.listed", user=user)
            return deed.registry.sources.of(user)

        return await listed(user, await deeds.do(caller, asked))

    @router.put(
        "/v1/users/{user}/sources",
        summary="Which sources count first",
        responses=answers("Sources", "The sources.", 400, 401, 403, 404, 408, 413, 415, 503),
        openapi_extra=form("SourceOrder"),
    )
    async def preferred(request: Request, user: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """Where several measured the same; none: no order of the user's own. Every day is worked out again."""
        asked = await read_form(request, SourceOrder, '{"sources": ["watch", "phone"]}')

        def prefer(deed: Deed) -> tuple[str, ...]:
            order = deed.registry.sources.prefer(user, asked.sources, deed.now_us)
            deed.note("sources.preferred", user=user, sources=len(order))
            return order

        return await listed(user, await deeds.do(caller, prefer))

    return router
