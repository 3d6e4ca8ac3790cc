"""What a user agrees to, over HTTP: seen and decided by the user, and by admins who write down what the user said."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from healthsync_mqtt.descriptions.consents import ConsentLine, described_decision, described_standings
from healthsync_mqtt.gateway.bodies.body import read_form
from healthsync_mqtt.gateway.bodies.lists import PageSize, Place, written
from healthsync_mqtt.gateway.document.openapi import answers, form
from healthsync_mqtt.gateway.document.request_bodies import ConsentRequest
from healthsync_mqtt.gateway.event_log.questions import moment, types_of
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import Keeper
from healthsync_mqtt.gateway.registry.deeds import Deed, Deeds
from healthsync_mqtt.identity.consent.decisions import PURPOSES, USUAL_PURPOSES, Purpose
from healthsync_mqtt.identity.registry import Registry

_EXAMPLE = '{"action": "grant", "types": ["steps"], "purposes": ["store"]}'


def routes(deeds: Deeds, keeper: Keeper) -> APIRouter:
    """The routes of consent."""
    router = APIRouter(tags=["consent"])

    def lines(registry: Registry, user: str) -> dict[str, list[ConsentLine]]:
        return {"consents": described_standings(registry.consent.standings(user), deeds.now_us())}

    @router.get(
        "/v1/users/{user}/consents",
        summary="What a user agrees to",
        responses=answers("Consents", "What holds, was withdrawn or has expired.", 400, 401, 404, 503),
    )
    async def consents(user: str, _: Annotated[Caller, Depends(keeper)]) -> Response:
        """By purpose, for all general types or for those that are named."""
        return written(await deeds.ask(partial(lines, user=user)))

    @router.get(
        "/v1/users/{user}/consents/history",
        summary="Every decision of a user",
        responses=answers("DecisionPage", "A page, oldest first.", 400, 401, 404, 503),
    )
    async def history(
        user: str,
        _: Annotated[Caller, Depends(keeper)],
        cursor: Place = 0,
        limit: PageSize = 100,
    ) -> Response:
        """Nothing is ever taken out of it."""

        def decided(registry: Registry) -> dict[str, Any]:
            found = registry.consent.history(user)
            page = [described_decision(line) for line in found[cursor : cursor + limit]]
            return {"decisions": page, "next": cursor + limit if cursor + limit < len(found) else None}

        return written(await deeds.ask(decided))

    @router.post(
        "/v1/users/{user}/consents",
        summary="Grant or withdraw",
        responses=answers("Consents", "What holds now.", 400, 401, 403, 404, 408, 413, 415, 503),
        openapi_extra=form("ConsentRequest"),
    )
    async def decided(request: Request, user: str, caller: Annotated[Caller, Depends(keeper)]) -> Response:
        """A decision about types and purposes, heeded within a second. What was stored stays at a withdrawal."""
        asked = await read_form(request, ConsentRequest, _EXAMPLE)
        types = types_of(asked.types)
        unnamed = USUAL_PURPOSES if asked.action == "grant" else PURPOSES
        purposes = unnamed if asked.purposes is None else tuple(map(Purpose, asked.purposes))
        expires_us = moment(asked.expires_at, "expires_at")

        def decide(deed: Deed) -> dict[str, list[ConsentLine]]:
            deed.registry.user(user)
            book = deed.registry.consent
            if asked.action == "grant":
                book.grant(
                    user,
                    types,
                    deed.now_us,
                    purposes=purposes,
                    expires_us=expires_us,
                    text_version=asked.text_version,
                    recorded_by=deed.actor,
                )
                deed.note("consent.granted", user=user, types=types, purposes=purposes, text_version=asked.text_version)
            else:
                book.withdraw(user, types, deed.now_us, purposes=purposes, recorded_by=deed.actor)
                deed.note("consent.withdrawn", user=user, types=types, purposes=purposes)
            return lines(deed.registry, user)

        return written(await deeds.do(caller, decide))

    return router
