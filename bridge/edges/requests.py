"""Requests of clients to the bridge over MQTT: credentials for a one-time code or a refresh token."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Annotated, Any

import msgspec

from bridge.edges.desks import OpenRequests
from healthsync_mqtt.errors import HealthSyncError, InputError
from healthsync_mqtt.identity.exchange import DeviceName, GrantedTokens, TokenExchange
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.proof import Login
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.topics.registry import Channel


class TokenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request's payload."""

    refresh_token: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    transaction: Annotated[str, msgspec.Meta(max_length=64)] | None = None


_read = msgspec.json.Decoder(TokenRequest).decode


class TokenRequests:
    """Answers ``token_request`` and ``enroll_request`` (the door's ``Requests``). One at a time for each client."""

    def __init__(
        self,
        exchange: TokenExchange,
        directory: Directory,
        *,
        clock: Callable[[], float] = time.time,
        thread: Executor | None = None,
    ) -> None:
        """``thread`` is where the registry is written; None: one of the loop's."""
        self._thread = thread
        self._exchange = exchange
        self._directory = directory
        self._clock = clock
        self._open_requests = OpenRequests()

    def take(self, channel: Channel, login: Login, payload: bytes, answer: Callable[[bytes], None]) -> bool:
        """Answer soon; a client that asks again before its answer came, or one too many, is not heard."""
        return self._open_requests.admit(channel, login, partial(self._serve, login, payload, answer))

    async def drain(self) -> None:
        """Wait for the answers that are being made."""
        await self._open_requests.drain()

    async def _serve(self, login: Login, payload: bytes, answer: Callable[[bytes], None]) -> None:
        transaction: str | None = None
        try:
            request = _parsed(payload)
            transaction = request.transaction
            granted = await asyncio.get_running_loop().run_in_executor(self._thread, self._grant, login, request)
        except HealthSyncError as error:
            detail = getattr(error, "detail", str(error))
            self._open_requests.warn("bridge.token_refused", login.principal.client_id, reason=detail)
            answer(_response(transaction, {"status": "error", "reason": error.reason, "message": str(error)}))
        else:
            answer(_response(transaction, {"status": "ok"} | granted.as_json()))

    def _grant(self, login: Login, request: TokenRequest) -> GrantedTokens:
        now = self._clock()
        principal = login.principal
        if principal.role is Role.device:
            if request.refresh_token is None:
                raise InputError("a refresh token is needed", hint='send {"refresh_token": "…"}')
            assert principal.user is not None
            assert principal.device is not None
            return self._exchange.exchange(request.refresh_token, now, DeviceName(principal.user, principal.device))
        if request.refresh_token is not None:
            return self._exchange.exchange(request.refresh_token, now)
        if login.enrolment is None:
            raise InputError("a refresh token is needed", hint='send {"refresh_token": "…"}')
        granted = self._exchange.enrol(login.enrolment, now, principal.client_id)
        self._directory.catch_up()  # the device is going to log in
        return granted


def _parsed(payload: bytes) -> TokenRequest:
    try:
        return _read(payload or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise InputError("not a token request", hint='send {} or {"refresh_token": "…"}') from None


def _response(transaction: str | None, body: dict[str, Any]) -> bytes:
    return msgspec.json.encode(body if transaction is None else {"transaction": transaction} | body)
