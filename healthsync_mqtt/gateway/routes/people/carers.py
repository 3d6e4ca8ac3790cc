"""Whom a user lets see the data, over HTTP: granted per type and until a time, and taken back, by the user alone."""

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from healthsync_mqtt.errors import InputError, NotFoundError
from healthsync_mqtt.gateway.bodies.body import read_body
from healthsync_mqtt.gateway.bodies.problem import HttpError, not_found
from healthsync_mqtt.gateway.document.openapi import answers
from healthsync_mqtt.gateway.event_log.questions import moment, type_of
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import Owner
from healthsync_mqtt.gateway.login.sessions import PersonSessions
from healthsync_mqtt.identity.people.carers import Carer
from healthsync_mqtt.identity.people.names import EVERY
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.times import iso

_MOST_BODY: Final = 16_384
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CarerGrant"}}},
    }
}


class CarerGrant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``PUT /v1/users/{user}/carers/{carer}``."""

    types: Annotated[list[str], msgspec.Meta(min_length=1, max_length=200)]
    until: str


def routes(sessions: PersonSessions, owner: Owner) -> APIRouter:
    """The routes of carers."""
    router = APIRouter(tags=["people"])

    @router.get(
        "/v1/users/{user}/carers",
        summary="Who may see a user's data",
        responses=answers("Carers", "The grants.", 401, 404, 503),
    )
    async def carers(user: str, _: Annotated[Caller, Depends(owner)]) -> Response:
        """Whom the user lets see which types until when."""
        return JSONResponse(_listed(await sessions.asked(lambda registry: registry.carers.of(user))))

    @router.put(
        "/v1/users/{user}/carers/{carer}",
        summary="Let another user see data",
        responses=answers("Carer", "The grant.", 400, 401, 403, 404, 408, 413, 415, 503),
        openapi_extra=_BODY,
    )
    async def granted(request: Request, user: str, carer: str, _: Annotated[Caller, Depends(owner)]) -> Response:
        """These types until a time, in place of what was granted before. `*` are the general types."""
        try:
            asked = msgspec.json.decode(await read_body(request, _MOST_BODY), type=CarerGrant)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise HttpError(
                400, "bad_input", "that is no grant", hint='send {"types": ["steps"], "until": "2027-01-01T00:00:00Z"}'
            ) from None
        until_us = moment(asked.until, "until")
        types = sorted({each if each == EVERY else str(type_of(each)) for each in asked.types})

        def grant(registry: Registry) -> Carer:
            made = registry.carers.grant(user, carer, types, until_us or 0, sessions.now_us())
            until = iso(made.until_us)
            who = sessions.pseudonym(carer)
            sessions.note("carer.granted", actor="user", user=user, carer=who, types=types, until=until)
            return made

        try:
            return JSONResponse(_described(await sessions.changed(grant)))
        except NotFoundError:
            raise not_found() from None
        except InputError as error:
            raise HttpError(400, "bad_input", str(error), hint=error.hint) from None

    @router.delete(
        "/v1/users/{user}/carers/{carer}",
        summary="Take it back",
        responses=answers("Carers", "What is left.", 401, 403, 404, 503),
    )
    async def withdrawn(user: str, carer: str, _: Annotated[Caller, Depends(owner)]) -> Response:
        """From now on the carer sees nothing of the user."""

        def withdraw(registry: Registry) -> list[Carer]:
            if not registry.carers.withdraw(user, carer):
                raise not_found()
            sessions.note("carer.withdrawn", actor="user", user=user, carer=sessions.pseudonym(carer))
            return registry.carers.of(user)

        return JSONResponse(_listed(await sessions.changed(withdraw)))

    return router


def _described(carer: Carer) -> dict[str, Any]:
    return {
        "carer": carer.carer_id,
        "types": sorted(carer.listed),
        "granted_at": iso(carer.granted_us),
        "until": iso(carer.until_us),
    }


def _listed(carers: list[Carer]) -> dict[str, Any]:
    return {"carers": [_described(each) for each in carers]}
