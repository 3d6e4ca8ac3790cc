"""Requests of clients for what changed since: pages of one user's events, in the order of the log.

What may be read is asked at each request: the client's own rights as the registry has them now, and the user's consent
to share. An app, whose password does not expire, is told what it brought itself and no more.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Any, Final

import msgspec

from bridge.edges.desks import OpenRequests
from bridge.stages.consent import ConsentGate
from healthsync_mqtt.errors import DeniedError, HealthSyncError, InputError, StoreError, UnavailableError
from healthsync_mqtt.identity.login.proof import Login
from healthsync_mqtt.model.catalogue import GUARDED, resolve
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.model.sync_token import LONGEST
from healthsync_mqtt.storage.changes import ChangesAsked, changes
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.topics.access import bound, grant_of, may_read
from healthsync_mqtt.topics.registry import Channel

log = get_logger("bridge")

_MOST: Final = 500
_USUAL: Final = 200
_BYTES: Final = 200_000
_Id = Annotated[str, msgspec.Meta(max_length=64)]


class ChangesRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request's payload. ``user``: whose; a device asks for its own. ``types`` None: all that may be read."""

    user: _Id | None = None
    token: Annotated[str, msgspec.Meta(max_length=LONGEST)] | None = None
    types: Annotated[list[_Id], msgspec.Meta(min_length=1, max_length=500)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=_MOST)] = _USUAL
    transaction: _Id | None = None


class _Named(msgspec.Struct, frozen=True):
    """What an answer to any request begins with, also to one that cannot be read otherwise."""

    transaction: _Id | None = None


_read = msgspec.json.Decoder(ChangesRequest).decode
_read_name = msgspec.json.Decoder(_Named).decode


def refusal(payload: bytes, error: HealthSyncError) -> bytes:
    """The answer to a request that is not granted."""
    transaction = _transaction(payload)
    said = {"status": "error", "reason": error.reason, "message": str(error)}
    return msgspec.json.encode(said if transaction is None else {"transaction": transaction} | said)


class ChangeRequests:
    """Answers ``changes_request`` (the door's ``Requests``). One at a time for each client.

    ``principal`` is who a client is now; ``open_reader`` opens a reader for the thread that reads.
    """

    def __init__(
        self,
        *,
        open_reader: Callable[[], LogReader],
        gate: ConsentGate,
        principal: Callable[[str], Principal | None],
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._open_reader = open_reader
        self._reader: LogReader | None = None
        self._gate = gate
        self._principal = principal
        self._clock_us = clock_us
        self._open_requests = OpenRequests()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="changes")

    def take(self, channel: Channel, login: Login, payload: bytes, answer: Callable[[bytes], None]) -> bool:
        """Answer soon; a client that asks again before its answer came, or one too many, is not heard."""
        return self._open_requests.admit(channel, login, partial(self._serve, login, payload, answer))

    async def drain(self) -> None:
        """Wait for the answers that are being made."""
        await self._open_requests.drain()

    async def close(self) -> None:
        """Wait for the answers that are being made, and let go of the log."""
        await self.drain()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._let_go)
        self._thread.shutdown()

    async def _serve(self, login: Login, payload: bytes, answer: Callable[[bytes], None]) -> None:
        transaction = _transaction(payload)
        try:
            asked = _parsed(payload)
            said = await asyncio.get_running_loop().run_in_executor(self._thread, self._page, login, asked)
        except HealthSyncError as error:
            said = {"status": "error", "reason": error.reason, "message": str(error)}
        answer(msgspec.json.encode(said if transaction is None else {"transaction": transaction} | said))

    def _page(self, login: Login, asked: ChangesRequest) -> dict[str, Any]:
        principal = self._principal(login.principal.client_id)
        user = asked.user or (principal.user if principal is not None and principal.role is Role.device else None)
        if principal is None or user is None or not _may_ask(principal, user):
            raise DeniedError("this user's events are not yours to read")
        types = None if asked.types is None else frozenset(_known(name) for name in asked.types)
        own = principal.device if login.is_app else None
        grant = grant_of(principal, of="what it sent" if own else "general" if principal.role is Role.device else "")

        def shown(record: Record) -> bool:
            return (
                (types is None or record.type in types)
                and (own is None or record.device == own)
                and _readable(principal, record.type)
                and self._gate.shares(record, self._clock_us())
            )

        question = ChangesAsked(user=user, grant=grant, token=asked.token, limit=asked.limit, most_bytes=_BYTES)
        try:
            if self._reader is None:
                self._reader = self._open_reader()
            found = changes(self._reader, question, shown)
        except (StoreError, UnavailableError) as error:
            log.error("bridge.changes_unread", error=error)  # noqa: TRY400  # no traceback
            self._let_go()
            raise UnavailableError("the log cannot be read at the moment") from None
        events = [msgspec.Raw(each) for each in found.events]
        return {"status": "ok", "user": user, "token": found.token, "more": found.more, "events": events}

    def _let_go(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def _may_ask(principal: Principal, user: str) -> bool:
    ids = bound(principal, "user")
    return principal.role in {Role.device, Role.subscriber} and (ids is None or user in ids)


def _readable(principal: Principal, type_name: str) -> bool:
    """Guarded types were granted to some subscribers; a device is granted none."""
    return type_name not in GUARDED if principal.role is Role.device else may_read(principal, type_name)


def _known(name: str) -> str:
    found = resolve(name)
    if found is None:
        raise InputError("there is no such type", hint="healthsync type list")
    return found.name


def _parsed(payload: bytes) -> ChangesRequest:
    try:
        return _read(payload or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise InputError(
            "not a request for changes", hint='send {"user": "…"} and the token of the last page'
        ) from None


def _transaction(payload: bytes) -> str | None:
    try:
        return _read_name(payload).transaction
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
