"""Webhooks of clouds: what is the provider's is kept, durably, and answered; the adapters' worker works it off.

The bytes are verified as they came. What is nobody's is refused as a wrong credential is, after a while. No answer says
whose account anything is.
"""

import time
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from healthsync_mqtt.adapters.notices import FORGED, CloudDelivery, NoticeAnswer
from healthsync_mqtt.adapters.ready_adapters import HOOKS
from healthsync_mqtt.adapters.signatures import same
from healthsync_mqtt.broker.embedded.limits.addresses import network
from healthsync_mqtt.errors import TokenError, UnavailableError
from healthsync_mqtt.gateway.bodies.body import read_body
from healthsync_mqtt.gateway.bodies.problem import HttpError, not_found
from healthsync_mqtt.gateway.bodies.room import Room
from healthsync_mqtt.gateway.document.openapi import answers, takes
from healthsync_mqtt.gateway.login.callers import Callers
from healthsync_mqtt.gateway.login.rules import Anybody
from healthsync_mqtt.gateway.server.peer import peer_of
from healthsync_mqtt.gateway.stores.link_pool import LinkFiles, LinkPool
from healthsync_mqtt.topics.grammar import is_id

_SECRET_PATHS: Final = ("withings", "garmin")
"""Providers that sign nothing: the second part of their address is a secret."""
_AGAIN_S: Final = 30.0
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_REFUSALS: Final = (401, 403, 404, 408, 413, 415, 429, 503)


class ProviderHooks:
    """Takes what providers send."""

    def __init__(self, links: LinkPool, callers: Callers, room: Room) -> None:
        self._links = links
        self._callers = callers
        self._room = room

    async def take(self, request: Request, provider: str, word: str = "") -> Response:
        """The answer to one delivery, after what it says is durable. HttpError."""
        peer = peer_of(request)
        most = await self._links.call(partial(_bounds, provider, word)) if is_id(provider) else None
        if most is None:
            raise not_found()
        with self._room.taken_by(network(peer)) as take:
            body = await read_body(request, most, take)
            delivery = CloudDelivery(
                method=request.method,
                query=dict(request.query_params),
                headers=dict(request.headers),
                body=body,
                word=word,
                received_us=time.time_ns() // 1000,
            )
            answer = await self._answer(provider, delivery, peer)
        return _response(answer)

    async def _answer(self, provider: str, delivery: CloudDelivery, peer: str) -> NoticeAnswer:
        answer = FORGED
        try:
            async with self._callers.trying(peer, f"hooks/{provider}"):
                answer = await self._links.call(partial(_received, provider, delivery))
                if answer.status in {401, _FORBIDDEN}:
                    raise TokenError("it is not signed by the provider")
        except HttpError as error:
            if error.status == 401 and answer.status == _FORBIDDEN:
                raise HttpError(_FORBIDDEN, "not_allowed", "this is not the word that was agreed on") from None
            raise
        except UnavailableError as error:
            raise HttpError(503, "busy", str(error), retry_after_s=_AGAIN_S) from None
        if answer.status == _NOT_FOUND:
            raise not_found()
        return answer


def _bounds(provider: str, word: str, files: LinkFiles) -> int | None:
    """The bytes that a delivery may have; None: there is nobody who is sent to there."""
    ready = files.ready.now().get(provider)
    if ready is None or ready.notices is None or ready.notices.secret_path != bool(word):
        return None
    if word and not same(word, ready.owner(files.inbox.secrets(provider)).known.word):
        return None
    return ready.notices.most


def _received(provider: str, delivery: CloudDelivery, files: LinkFiles) -> NoticeAnswer:
    """What the provider's module says of it; what is to be kept is kept when this returns. UnavailableError."""
    ready = files.ready.now().get(provider)
    if ready is None or ready.notices is None:
        return NoticeAnswer(_NOT_FOUND)
    answer = ready.notices.receive(delivery, ready.owner(files.inbox.secrets(provider)))
    if answer.kept:
        files.inbox.put(provider, delivery.body, delivery.received_us)
    if answer.look:
        files.inbox.want_look(provider, delivery.received_us)
    return answer


def _response(answer: NoticeAnswer) -> Response:
    if answer.body is None:
        return Response(status_code=answer.status)
    return JSONResponse(dict(answer.body), answer.status)


def routes(hooks: ProviderHooks, anybody: Anybody) -> APIRouter:
    """The routes of providers' webhooks."""
    router = APIRouter(tags=["clouds"])
    taken = answers("Anything", "It is kept.", *_REFUSALS)

    @router.post(
        f"{HOOKS}/{{provider}}",
        summary="A cloud says what is new",
        responses=taken,
        openapi_extra=takes("What the provider signs."),
    )
    async def delivered(request: Request, provider: str, _: Annotated[None, Depends(anybody)]) -> Response:
        """Signed as the provider signs; kept before it is answered, and worked off after it."""
        return await hooks.take(request, provider)

    @router.get(f"{HOOKS}/{{provider}}", summary="A cloud asks whether this address is ours", responses=taken)
    async def challenged(request: Request, provider: str, _: Annotated[None, Depends(anybody)]) -> Response:
        """The challenge is repeated to who knows the word that was agreed on."""
        return await hooks.take(request, provider)

    @router.head(f"{HOOKS}/{{provider}}", include_in_schema=False)
    async def probed(request: Request, provider: str, _: Annotated[None, Depends(anybody)]) -> Response:
        return await hooks.take(request, provider)

    for name in _SECRET_PATHS:
        _secretly(router, hooks, anybody, name)
    return router


def _secretly(router: APIRouter, hooks: ProviderHooks, anybody: Anybody, name: str) -> None:
    """The routes of a provider that signs nothing."""
    path = f"{HOOKS}/{name}/{{word}}"

    @router.api_route(path, methods=["GET", "HEAD", "POST"], include_in_schema=False)
    async def delivered(request: Request, word: str, _: Annotated[None, Depends(anybody)]) -> Response:
        return await hooks.take(request, name, word)
