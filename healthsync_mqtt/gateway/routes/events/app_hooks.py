"""Webhooks of apps that sign what they send: an HMAC over the body instead of a credential.

The secret of an app is made of the gateway's credential, its client id and its epoch, and is kept nowhere: whatever
voids the app's password voids it, too.
"""

import hmac
import re
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from healthsync_mqtt.broker.embedded.limits.addresses import network
from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.document.openapi import answers, takes
from healthsync_mqtt.gateway.login.callers import Callers
from healthsync_mqtt.gateway.login.rules import Anybody
from healthsync_mqtt.gateway.routes.events.intake import EventIntake, answer_of
from healthsync_mqtt.gateway.server.peer import peer_of

_SIGNATURE: Final = re.compile(r"sha256=([0-9A-Fa-f]{64})")


def routes(intake: EventIntake, callers: Callers, anybody: Anybody) -> APIRouter:
    """The route of signed webhooks."""
    router = APIRouter(tags=["events in"])

    @router.post(
        "/v1/hooks/{client}/{format}",
        summary="Send a signed payload in a format of others",
        responses=answers("Receipt", "What became of each event.", 401, 403, 404, 408, 413, 415, 422, 429, 503),
        openapi_extra=takes("What the app makes."),
    )
    async def hook(request: Request, client: str, format: str, _: Annotated[None, Depends(anybody)]) -> Response:  # noqa: A002
        """`X-Signature: sha256=` and the HMAC-SHA256 of the body in hexadecimal, under what `app webhook` printed."""
        said = _SIGNATURE.fullmatch(request.headers.get("x-signature", ""))
        if said is None:
            raise HttpError(401, "no_credentials", "there is no signature", hint="send X-Signature: sha256=…")
        peer = peer_of(request)
        with intake.room.taken_by(network(peer)) as take:
            async with callers.trying(peer, client):
                body = await intake.body(request, take)
                caller = callers.of_app(client)
                if caller is None:
                    raise TokenError("there is no such app")
                expected = hmac.digest(callers.hook_secret(caller).encode(), body, "sha256")
                if not hmac.compare_digest(expected, bytes.fromhex(said.group(1))):
                    raise TokenError("the signature is not that of the body")
            receipt = await intake.send(caller, intake.format_topic(caller, format), body)
        return answer_of(receipt)

    return router
