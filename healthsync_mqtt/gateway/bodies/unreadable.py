"""What is answered where no route is asked: a request that cannot be read, or a WebSocket that is none."""

import secrets
from typing import Final

from starlette.responses import Response

from healthsync_mqtt.gateway.bodies.own_headers import own_headers
from healthsync_mqtt.gateway.bodies.problem import HttpError, problem

_KINDS: Final = {
    400: ("malformed", "the request cannot be read", "send HTTP/1.1 as RFC 9112 has it"),
    431: ("too_large", "the head of the request is too long", "send fewer or shorter headers"),
    500: ("failed", "this failed here", ""),
    501: ("unsupported_encoding", "the body comes in a coding that is not read", "send it with a length, or chunked"),
}
_NO_HANDSHAKE: Final = ("malformed", "this is no handshake of a WebSocket", "see RFC 6455")


def unread(status: int, *, tls: bool, handshake: bool = False) -> Response:
    """The problem, with what every answer has. Nothing of the request is repeated: nobody knows what that is.

    With ``handshake`` it could be read, and asks for a WebSocket in no way that there is.
    """
    known = status if status in _KINDS else 400
    word, said, hint = _NO_HANDSHAKE if handshake and known == 400 else _KINDS[known]
    request_id = secrets.token_hex(8)
    answer = problem(HttpError(known, word, said, hint=hint), request_id)
    answer.raw_headers.extend(own_headers(request_id, tls=tls))
    return answer
