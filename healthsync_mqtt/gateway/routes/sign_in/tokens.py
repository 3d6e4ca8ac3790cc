"""What a token is worth (RFC 7662), and its end at the word of whoever holds it (RFC 7009)."""

import asyncio
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from healthsync_mqtt.errors import NotFoundError
from healthsync_mqtt.gateway.bodies.body import read_body
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.document.openapi import answers
from healthsync_mqtt.gateway.login.callers import Caller, Callers
from healthsync_mqtt.gateway.login.rules import Anybody, Rule
from healthsync_mqtt.gateway.login.sessions import PersonSessions
from healthsync_mqtt.identity.login.refresh import family_of
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.principal import Role

_MOST_BODY: Final = 16_384
_MOST_AT_ONCE: Final = 4
"""Revocations at a time: each writes the registry."""
_FORM: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {"type": "object", "required": ["token"], "properties": {"token": {"type": "string"}}}
            }
        },
    }
}


def routes(callers: Callers, sessions: PersonSessions, known: Rule, anybody: Anybody) -> APIRouter:
    """The routes about tokens. ``known`` lets in everybody with a credential."""
    router = APIRouter(tags=["credentials"])
    slots = asyncio.Semaphore(_MOST_AT_ONCE)

    @router.post(
        "/v1/oauth/introspect",
        summary="What a token is worth (RFC 7662)",
        responses=answers("Introspection", "Whether it is good, and whose.", 400, 401, 403, 408, 413, 415, 429, 503),
        openapi_extra=_FORM,
    )
    async def introspect(request: Request, caller: Annotated[Caller, Depends(known)]) -> Response:
        """`token=`, as a form. Admins are told of every token, everybody else of their own; others are not active."""
        found = await callers.holder(await _token(request))
        own = found is not None and found.principal.client_id == caller.principal.client_id
        if found is None or not (own or caller.principal.role is Role.admin):
            return JSONResponse({"active": False})
        return JSONResponse(_described(found))

    @router.post(
        "/v1/oauth/revoke",
        summary="The end of a token (RFC 7009)",
        responses=answers("Revoked", "It is worth nothing now, whatever it was.", 400, 408, 413, 415, 503),
        openapi_extra=_FORM,
    )
    async def revoke(request: Request, _: Annotated[None, Depends(anybody)]) -> Response:
        """`token=`, as a form. An access token is void; with a refresh token all that its device was given is."""
        token = await _token(request)
        found = await callers.holder(token)
        async with slots:
            if found is not None and found.login.jti is not None and not found.is_app:
                await sessions.changed(lambda registry: _end_access(registry, sessions, found))
                await callers.read_again()
            elif await sessions.asked(lambda registry: _is_live(registry, token.decode())):
                await sessions.changed(lambda registry: _end_refresh(registry, sessions, token.decode()))
                await callers.read_again()
        return JSONResponse({})

    return router


async def _token(request: Request) -> bytes:
    try:
        asked = parse_qs((await read_body(request, _MOST_BODY)).decode("ascii"), max_num_fields=8)
    except (UnicodeDecodeError, ValueError):
        asked = {}
    if len(asked.get("token", ())) != 1:
        raise HttpError(400, "bad_input", "no token is named", hint="send token= as a form", extra={"error": _INVALID})
    return asked["token"][0].encode()


_INVALID: Final = "invalid_request"


def _end_access(registry: Registry, sessions: PersonSessions, found: Caller) -> None:
    jti = found.login.jti
    assert jti is not None
    if registry.revocation.revoke_token(jti, sessions.now_us()):
        principal = found.principal
        sessions.note("token.revoked", actor="holder", user=principal.user, device=principal.device, jti=jti)


def _is_live(registry: Registry, token: str) -> bool:
    """Whether a refresh token is one of ours, of a chain that has not ended: nothing is written for any other."""
    tokens = registry.refresh_tokens
    return tokens.holder(token) is not None and tokens.find(family_of(token) or "") is not None


def _end_refresh(registry: Registry, sessions: PersonSessions, token: str) -> None:
    held = registry.refresh_tokens.holder(token)
    if held is None:
        return
    try:
        registry.revocation.revoke_device_tokens(*held, sessions.now_us())
    except NotFoundError:  # the device was removed: nothing is left to end
        return
    sessions.note("token.revoked", actor="holder", user=held[0], device=held[1], which="all")


def _described(found: Caller) -> dict[str, Any]:
    principal = found.principal
    return {
        "active": True,
        "token_type": "Bearer",
        "client_id": principal.client_id,
        "sub": principal.user or principal.client_id,
        "role": principal.role,
        "device_id": principal.device,
        "exp": int(found.login.expires_at),
        "jti": found.login.jti,
    }
