"""An answer that is written out: its bytes, its tag, and a response that is sent as far as the client takes it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from healthsync_mqtt.gateway.bodies.entity_tag import has
from healthsync_mqtt.gateway.bodies.room import Room

_PIECE: Final = 65_536
_PRIVATE: Final = {"Cache-Control": "private, no-cache", "Vary": "Accept, Authorization, Cookie"}


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes of a media type, with headers of their own. Made beside the loop: both cost time by their length."""

    body: bytes
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)
    tag: str = ""

    @classmethod
    def tagged(cls, body: bytes, media_type: str, headers: Mapping[str, str] | None = None) -> "Written":
        """With an entity tag: the same for the same bytes."""
        return cls(body, media_type, headers or {}, f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"')


class Answers:
    """Answers of one process: what clients have not taken yet is bounded, and most of it for each of them."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def answer(self, request: Request, written: Written, who: str) -> Response:
        """The answer for somebody; 304 for who has it."""
        headers = _PRIVATE | ({"ETag": written.tag} if written.tag else {}) | dict(written.headers)
        if written.tag and has(request, written.tag):
            return Response(None, 304, headers)
        return _Charged(written, headers, self._room, who)


class _Charged(Response):
    """Holds its place in the room until the last piece is handed over; 503 where there is none."""

    def __init__(self, written: Written, headers: Mapping[str, str], room: Room, who: str) -> None:
        super().__init__(written.body, 200, headers, written.media_type)
        self._room = room
        self._who = who

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        del scope, receive
        with self._room.taken_by(self._who) as take:
            take(len(self.body))
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            # The server waits before each piece until the client has taken enough of those before.
            for start in range(0, len(self.body), _PIECE):
                await send({"type": "http.response.body", "body": self.body[start : start + _PIECE], "more_body": True})
            await send({"type": "http.response.body", "body": b""})
