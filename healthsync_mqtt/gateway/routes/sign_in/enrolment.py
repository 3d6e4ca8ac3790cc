"""Credentials for who has none yet: an access token and a refresh token, for a one-time code or a refresh token.

The same exchange as over MQTT (``identity/exchange.py``); a client here needs no name for it.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import parse_qs

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from healthsync_mqtt.config.server_address import THIS_MACHINE
from healthsync_mqtt.errors import StoreError, TokenError, UnavailableError
from healthsync_mqtt.gateway.bodies.body import read_body
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.document.openapi import answers
from healthsync_mqtt.gateway.login.callers import Callers
from healthsync_mqtt.gateway.login.rules import Anybody
from healthsync_mqtt.gateway.server.peer import peer_of
from healthsync_mqtt.identity.exchange import GrantedTokens, TokenExchange
from healthsync_mqtt.identity.login.enrolment import ENROL_NAME, ENROL_PREFIX
from healthsync_mqtt.identity.login.proof import Proof

_MOST_BODY: Final = 4_096
_MOST_AT_ONCE: Final = 8
"""Exchanges at a time: each writes the registry."""
_REFRESH: Final = "refresh_token"
_UNKNOWN: Final = 401


class EnrolRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/enroll``."""

    code: Annotated[str, msgspec.Meta(max_length=64)]
    client: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{16,40}$")] | None = None
    """A random name that the client made for itself: with it the same may be asked again when the answer was lost."""


class BrokerLogin(NamedTuple):
    """How a device that has enrolled logs in to the external broker, beside what every device gets.

    ``password``: the one of a client id whose holder is of this epoch, for a broker that verifies no tokens; without
    it the token is the password there. It makes a file, and blocks.
    """

    host: str
    port: int
    tls: bool
    password: Callable[[str, int], str] | None
    epoch: Callable[[str, str], int]

    def of(self, granted: GrantedTokens) -> dict[str, Any]:
        """As JSON. A host of this machine is left out: the device is on another one."""
        said: dict[str, Any] = {"port": self.port, "tls": self.tls}
        if self.host not in THIS_MACHINE:
            said["host"] = self.host
        if self.password is not None:
            said["password"] = self.password(granted.client_id, self.epoch(granted.user_id, granted.device_id))
        return {"mqtt": said}


class EnrolmentDesk:
    """Exchanges codes and refresh tokens, a few at a time."""

    def __init__(
        self,
        callers: Callers,
        exchange: TokenExchange,
        *,
        broker: BrokerLogin | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``broker``: the external one, where devices log in otherwise than here."""
        self._callers = callers
        self._broker = broker
        self._exchange = exchange
        self._clock = clock
        self._slots = asyncio.Semaphore(_MOST_AT_ONCE)

    async def enrol(self, asked: EnrolRequest, peer: str) -> GrantedTokens:
        """The credentials of the device that the code is for. HttpError 401 for every code that is not good."""
        login = (await self._callers.admitted(guest(asked.code, asked.client), peer)).login
        if login.enrolment is None:
            raise self._callers.refusal()
        handle = login.enrolment
        return await self._write(lambda: self._exchange.enrol(handle, self._clock(), login.principal.client_id))

    async def also(self, granted: GrantedTokens) -> dict[str, Any]:
        """What else a device gets that has enrolled: its login at the external broker, where there is one."""
        broker = self._broker
        if broker is None:
            return {}
        try:
            return await asyncio.to_thread(broker.of, granted)
        except (StoreError, UnavailableError) as error:
            raise HttpError(503, "unavailable", str(error), hint=error.hint, retry_after_s=2.0) from None

    async def refresh(self, token: str, peer: str) -> GrantedTokens:
        """New credentials for a refresh token, which is used up. HttpError 401."""
        await self._callers.admitted(guest(token), peer)
        return await self._write(lambda: self._exchange.exchange(token, self._clock()))

    async def _write(self, work: Callable[[], GrantedTokens]) -> GrantedTokens:
        async with self._slots:
            try:
                granted = await asyncio.to_thread(work)
            except TokenError:
                raise self._callers.refusal() from None
            except StoreError as error:
                raise HttpError(503, "unavailable", str(error), hint=error.hint, retry_after_s=2.0) from None
        await self._callers.read_again()  # the device is going to log in
        return granted


def guest(secret: str, name: str | None = None) -> Proof:
    """The proof of who holds a code or a refresh token. Who made no name for itself gets one that nobody knows."""
    return Proof(f"{ENROL_PREFIX}http-{name or secrets.token_hex(12)}", ENROL_NAME, secret.encode(), None)


def routes(enrolment_desk: EnrolmentDesk, anybody: Anybody) -> APIRouter:
    """The routes by which credentials are had."""
    router = APIRouter(tags=["credentials"])
    name = {"type": "string", "pattern": "^[A-Za-z0-9_-]{16,40}$"}
    code_body = {"type": "object", "required": ["code"], "properties": {"code": {"type": "string"}, "client": name}}
    form_body = {
        "type": "object",
        "required": ["grant_type", _REFRESH],
        "properties": {"grant_type": {"const": _REFRESH}, _REFRESH: {"type": "string"}},
    }

    @router.post(
        "/v1/enroll",
        summary="Credentials for a one-time code",
        responses=answers("Anything", "The credentials, once.", 400, 401, 408, 413, 415, 429, 503),
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": code_body}}}},
    )
    async def enroll(request: Request, _: Annotated[None, Depends(anybody)]) -> Response:
        """What `healthsync device enroll` printed, for a token of an hour and a refresh token.

        `client` is a random name of the client's own: with it the same may be asked again for a minute. Beside an
        external broker `mqtt` says where that is, and the device's `password` there, if it is not the token.
        """
        try:
            asked = msgspec.json.decode(await read_body(request, _MOST_BODY), type=EnrolRequest)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise HttpError(400, "bad_input", "that is no enrolment", hint='send {"code": "K7QF-3M2D-…"}') from None
        granted = await enrolment_desk.enrol(asked, peer_of(request))
        return JSONResponse(granted.as_json() | await enrolment_desk.also(granted))

    @router.post(
        "/v1/oauth/token",
        summary="The next token for a refresh token (RFC 6749)",
        responses=answers("Anything", "The tokens.", 400, 401, 408, 413, 415, 429, 503),
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": form_body}}}
        },
    )
    async def token(request: Request, _: Annotated[None, Depends(anybody)]) -> Response:
        """`grant_type=refresh_token`. The refresh token is used up; used again later, its device has to enrol anew."""
        try:
            asked = parse_qs((await read_body(request, _MOST_BODY)).decode("ascii"), max_num_fields=8)
        except (UnicodeDecodeError, ValueError):
            asked = {}
        if asked.get("grant_type") != [_REFRESH] or len(asked.get(_REFRESH, ())) != 1:
            raise HttpError(
                400,
                "bad_input",
                "that is no request for a token that is answered here",
                hint="send grant_type=refresh_token and refresh_token=, as a form",
                extra={"error": "unsupported_grant_type" if "grant_type" in asked else "invalid_request"},
            )
        try:
            granted = await enrolment_desk.refresh(asked[_REFRESH][0], peer_of(request))
        except HttpError as error:
            if error.status == _UNKNOWN:
                error.extra["error"] = (
                    "invalid_grant"  # what libraries look for: without it they take the problem for tokens
                )
            raise
        return JSONResponse(
            {
                "access_token": granted.token,
                "token_type": "Bearer",
                "expires_in": max(0, granted.expires_at - int(time.time())),
                "refresh_token": granted.refresh.token,
            }
        )

    return router
