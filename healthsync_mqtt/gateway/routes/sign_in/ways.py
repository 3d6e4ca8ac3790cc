"""How one can sign in here, for the page of who has not yet."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from healthsync_mqtt.descriptions.sign_in import SignInWays
from healthsync_mqtt.gateway.bodies.lists import written
from healthsync_mqtt.gateway.document.openapi import answers
from healthsync_mqtt.gateway.login.rules import Anybody


def routes(ways: SignInWays, anybody: Anybody) -> APIRouter:
    """The route that tells it."""
    router = APIRouter(tags=["people"])

    @router.get("/v1/session/ways", summary="How one can sign in", responses=answers("SignInWays", "What there is."))
    async def told(_: Annotated[None, Depends(anybody)]) -> Response:
        """Beside a one-time link. It says nothing of anybody."""
        return written(ways)

    return router
