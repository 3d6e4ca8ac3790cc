"""Live events: Server-Sent Events and WebSockets. A stream is a place in the log that moves, never a queue.

What a slow client has not taken is read for it when it takes more. A stream ends when its login does.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Query, Request, WebSocket
from starlette.responses import StreamingResponse
from starlette.websockets import WebSocketDisconnect

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.gateway.bodies.deprecation import Outdated
from healthsync_mqtt.gateway.bodies.event_forms import as_first_api
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.document.openapi import answers
from healthsync_mqtt.gateway.event_log.pages import AT_ONCE_BYTES, changes
from healthsync_mqtt.gateway.event_log.questions import LogQuestions, Text, one_user, type_of
from healthsync_mqtt.gateway.event_log.tail import Tail
from healthsync_mqtt.gateway.login.callers import SUBPROTOCOL, Caller, Callers
from healthsync_mqtt.gateway.login.rules import Reader
from healthsync_mqtt.model.record import Record, canonical_json
from healthsync_mqtt.model.start_position import FromPosition, parse_since
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.storage.subscriber_start import place

MOST: Final = 1_000
MOST_OF_ONE: Final = 50
"""Streams of all, and of one login."""
HEARTBEAT_S: Final = 15.0
"""Seconds after which a stream with nothing to say says that it is there."""
SEND_S: Final = 30.0
"""Seconds that a WebSocket may leave what is sent to it untaken."""
_AT_ONCE: Final = 200
_SOON_S: Final = 2_000
_NO_BYTES: Final = 1003
"""The close code of RFC 6455 for a kind of data that an endpoint does not take."""
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What a stream follows: one user or all that the caller may read, one type or all; and where it begins."""

    caller: Caller
    user: str | None
    type: str | None
    after: int

    def wants(self, record: Record) -> bool:
        """Whether it is of the type that is followed."""
        return self.type in {None, record.type}


class Streams:
    """All open streams."""

    def __init__(
        self, reading: LogQuestions, tail: Tail, callers: Callers, *, heartbeat_s: float = HEARTBEAT_S
    ) -> None:
        self._reading = reading
        self._tail = tail
        self._callers = callers
        self._heartbeat_s = heartbeat_s
        self._of: Counter[str] = Counter()

    @property
    def open(self) -> int:
        """How many there are."""
        return self._of.total()

    @property
    def farewell(self) -> tuple[int, str]:
        """The code and the words with which a WebSocket is closed when there are no events any more."""
        return (1001, "the gateway ends") if self._tail.ended else (1008, "the login has ended")

    @contextlib.contextmanager
    def admitted(self, caller: Caller) -> Iterator[None]:
        """Count a stream. HttpError 429 when there are too many."""
        name = caller.principal.client_id
        if self.open >= MOST or self._of[name] >= MOST_OF_ONE:
            raise HttpError(429, "too_many", "too many streams are open", hint="close one", retry_after_s=5.0)
        self._of[name] += 1
        try:
            yield
        finally:
            self._of[name] -= 1
            if not self._of[name]:
                del self._of[name]

    async def followed(
        self,
        caller: Caller,
        *,
        user: str | None,
        type: str | None,  # noqa: A002
        last: str | None,
        since: str | None,
    ) -> Followed:
        """Where a stream begins: behind ``last``, the id of the last event that the client has; else at ``since``.

        Without either it begins now. HttpError 400.
        """
        whose, wanted = one_user(caller, user), type_of(type)
        after = await self._reading.log.ask(partial(self._begin, caller, whose, last, since))
        return Followed(caller=caller, user=whose, type=wanted, after=after)

    async def events(self, followed: Followed) -> AsyncIterator[Record | None]:
        """What the caller may see of what came into the log, until the login or the gateway ends.

        None: nothing has come for a while.
        """
        at, told = followed.after, time.monotonic()
        shown = partial(self._reading.shares.shows, followed.caller)
        while self._callers.still(followed.caller) and not self._tail.ended:
            found = await self._reading.log.ask(partial(_changes, after=at, shown=shown, user=followed.user))
            for record in filter(followed.wants, found.events):
                yield record
                told = time.monotonic()
            at = found.through
            # What comes into the log for others is nothing that this client hears.
            left_s = told + self._heartbeat_s - time.monotonic()
            if left_s <= 0 or not (found.more or await self._tail.beyond(at, left_s)):
                yield None
                told = time.monotonic()

    def id_of(self, followed: Followed, record: Record) -> str:
        """By what a client resumes: the seq of its one user, else a sealed place."""
        if followed.user is not None:
            return str(record.position)
        return self._reading.places.seal(record.seq, _about(followed.caller))

    def _begin(self, caller: Caller, user: str | None, last: str | None, since: str | None, reader: LogReader) -> int:
        head = reader.head()
        if last is not None:
            if user is None:
                return self._reading.place(last, _about(caller))
            if not (last.isascii() and last.isdigit() and len(last) < 19):
                raise HttpError(400, "bad_cursor", "the id of the last event is none of this stream")
            return place(FromPosition(int(last) + 1), reader, head, user)
        if since is None:
            return head
        try:
            start = parse_since(since)
        except InputError as error:
            raise HttpError(400, "bad_from", str(error), hint=error.hint) from None
        if isinstance(start, FromPosition) and user is None:
            raise HttpError(400, "bad_from", "a seq counts the events of one user", hint="name the user: ?user=")
        return place(start, reader, head, user)


def _about(caller: Caller) -> str:
    return f"stream/{caller.principal.client_id}"


_changes = partial(changes, limit=_AT_ONCE, most_bytes=AT_ONCE_BYTES)


def routes(streams: Streams, reader: Reader) -> APIRouter:
    """The routes of live events."""
    router = APIRouter(tags=["live"])

    @router.get(
        "/v1/stream",
        summary="Live events as Server-Sent Events",
        responses=answers("Event", "A stream.", 400, 401, 404, 429, 503, media=("text/event-stream",)),
    )
    async def sse(
        request: Request,
        caller: Annotated[Caller, Depends(reader)],
        user: Text = None,
        type: Text = None,  # noqa: A002
        since: Annotated[str | None, Query(alias="from", max_length=128)] = None,
    ) -> StreamingResponse:
        """Events as they are stored. `Last-Event-ID` goes on behind that event; `from` is earliest, a seq or a time."""
        last = request.headers.get("last-event-id")
        followed = await streams.followed(caller, user=user, type=type, last=last, since=since)
        admission = contextlib.ExitStack()
        admission.enter_context(streams.admitted(caller))

        async def frames() -> AsyncIterator[bytes]:
            with admission:
                yield b"retry: %d\n\n" % _SOON_S
                async for record in streams.events(followed):
                    if record is None:
                        yield b": still here\n\n"
                    else:
                        yield b"id: %b\ndata: %b\n\n" % (
                            streams.id_of(followed, record).encode(),
                            canonical_json(record),
                        )

        return StreamingResponse(frames(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    @router.websocket("/v1/stream")
    async def web_socket(
        *,
        socket: WebSocket,
        caller: Annotated[Caller, Depends(reader)],
        user: Text = None,
        type: Text = None,  # noqa: A002
        since: Annotated[str | None, Query(alias="from", max_length=128)] = None,
        last_event_id: Text = None,
    ) -> None:
        followed = await streams.followed(caller, user=user, type=type, last=last_event_id, since=since)
        with streams.admitted(caller):
            await _talk(socket, streams, followed, first_api=False)

    @router.websocket("/ws", dependencies=[Depends(Outdated("/v1/stream"))])
    async def old_web_socket(socket: WebSocket, caller: Annotated[Caller, Depends(reader)]) -> None:
        followed = await streams.followed(caller, user=None, type=None, last=None, since=None)
        with streams.admitted(caller):
            await _talk(socket, streams, followed, first_api=True)

    return router


async def _talk(socket: WebSocket, streams: Streams, followed: Followed, *, first_api: bool) -> None:
    """Send events until the client goes, does not read, or its login ends."""
    asked = socket.scope.get("subprotocols", ())
    await socket.accept(SUBPROTOCOL if SUBPROTOCOL in asked else None)

    async def send() -> None:
        async for record in streams.events(followed):
            if record is None:
                continue  # the server's pings say that it is there
            if first_api and record.op:
                continue
            text = _encode(as_first_api(record)) if first_api else canonical_json(record)
            async with asyncio.timeout(SEND_S):
                await socket.send_text(text.decode())
        await socket.close(*streams.farewell)

    async def listen() -> bool:
        """Until the client goes; whether it is to go, for it sent bytes. Texts mean nothing here."""
        while (said := await socket.receive())["type"] != "websocket.disconnect":
            if said.get("text") is None:
                return True
        return False

    sending = asyncio.create_task(send(), name="gateway.send")
    listening = asyncio.create_task(listen(), name="gateway.listen")
    try:
        await asyncio.wait((sending, listening), return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            with contextlib.suppress(WebSocketDisconnect, TimeoutError):
                sending.result()
    finally:
        sending.cancel()
        listening.cancel()
        _, wrong = await asyncio.gather(sending, listening, return_exceptions=True)
    if wrong is True:
        await socket.close(_NO_BYTES, "texts only")
