"""Sinks over HTTP, by admins: how each does, and whether it ships. What it is configured with is a command's.

Who says where everybody's data goes, and which secret opens the place, has the data directory: see ``sink add``.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from healthsync_mqtt.descriptions.outlets import described_sink, sink_status
from healthsync_mqtt.gateway.bodies.lists import Cursor, PageSize, page_of, written
from healthsync_mqtt.gateway.document.openapi import answers
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import Administrator
from healthsync_mqtt.gateway.registry.deeds import Deeds
from healthsync_mqtt.gateway.registry.installation import Installation
from healthsync_mqtt.sinks.config import Sinks


def routes(deeds: Deeds, installation: Installation, admin: Administrator) -> APIRouter:
    """The routes of sinks."""
    router = APIRouter(tags=["administration"])

    def kept() -> Sinks:
        found = Sinks(installation.data)
        if not found.directory.exists():
            installation.expect_home()
        return found

    def shown(name: str) -> dict[str, Any]:
        sinks = kept()
        return described_sink(sinks.get(name)) | {"status": sink_status(installation.data, sinks, name)}

    async def paused(caller: Caller, name: str, *, paused: bool) -> Response:
        def pause() -> None:
            sinks = kept()
            sinks.put(sinks.get(name).model_copy(update={"paused": paused}), replace=True)

        await installation.ask(pause)
        action = "sink.suspended" if paused else "sink.resumed"
        await deeds.do(caller, lambda deed: deed.note(action, sink=name))
        return written(await installation.ask(lambda: shown(name)))

    @router.get("/v1/sinks", summary="All sinks", responses=answers("SinkPage", "A page.", 400, 401, 404, 503))
    async def sinks(_: Annotated[Caller, Depends(admin)], cursor: Cursor = "", limit: PageSize = 100) -> Response:
        """What each is configured with, without its secret."""

        def listed() -> tuple[list[dict[str, Any]], str | None]:
            known = kept()
            page, after = page_of(sorted(known.names()), str, cursor, limit)
            return [described_sink(known.get(name)) for name in page], after

        page, after = await installation.ask(listed)
        return written({"sinks": page, "next": after})

    @router.get("/v1/sinks/{name}", summary="A sink", responses=answers("Sink", "It.", 400, 401, 404, 503))
    async def one(name: str, _: Annotated[Caller, Depends(admin)]) -> Response:
        """With what it is doing, how far behind it is, and what to do."""
        return written(await installation.ask(lambda: shown(name)))

    @router.post(
        "/v1/sinks/{name}/suspend",
        summary="Stop shipping",
        responses=answers("Sink", "It.", 400, 401, 403, 404, 503),
    )
    async def suspended(name: str, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """Events stay in the log."""
        return await paused(caller, name, paused=True)

    @router.post(
        "/v1/sinks/{name}/resume", summary="Ship again", responses=answers("Sink", "It.", 400, 401, 403, 404, 503)
    )
    async def resumed(name: str, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """From where it stopped; a paused server is tried now."""
        return await paused(caller, name, paused=False)

    return router
