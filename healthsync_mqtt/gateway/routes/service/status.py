"""How the service does, over HTTP, by admins."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from healthsync_mqtt.descriptions.service import service_status
from healthsync_mqtt.gateway.bodies.lists import written
from healthsync_mqtt.gateway.document.openapi import answers
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import Administrator
from healthsync_mqtt.gateway.registry.installation import Installation


def routes(installation: Installation, admin: Administrator) -> APIRouter:
    """The route of the status."""
    router = APIRouter(tags=["administration"])

    @router.get("/v1/status", summary="How the service does", responses=answers("Status", "It.", 400, 401, 404, 503))
    async def status(_: Annotated[Caller, Depends(admin)]) -> Response:
        """As `healthsync status --json`: whether it runs, its counters, its tasks, sinks and certificates."""
        return written(await installation.ask(lambda: service_status(installation.data)))

    return router
