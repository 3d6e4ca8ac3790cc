"""The body of a request: read as far as it may go, within the time that it may take."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.server.whole_request import BODY

T = TypeVar("T")

WITHIN_S: Final = 30.0
"""Seconds that a whole body may take to arrive."""
_MOST_FORM: Final = 65_536
"""Bytes of a body that says what is to be done."""
_ENCODINGS: Final = frozenset({"", "identity", "gzip"})


def _free(_: int) -> None:
    """Bodies that are bounded otherwise cost nothing."""


async def read_body(request: Request, most: int, take: Callable[[int], None] = _free) -> bytes:
    """The bytes as they came, packed ones too: the service unfolds them within its limits. HttpError 408, 413, 415.

    ``take`` is called with the length of each piece before it is kept, and refuses it with an error of its own.
    """
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise HttpError(
            415, "unsupported_encoding", "the body is in an encoding that is not read", hint="send it as gzip"
        )
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise _too_large(most)
    whole: bytes | None = request.scope.get("state", {}).get(BODY)
    if whole is not None:
        if len(whole) > most:
            raise _too_large(most)
        take(len(whole))
        return whole
    body = bytearray()
    try:
        async with asyncio.timeout(WITHIN_S):
            async for part in request.stream():
                if len(body) + len(part) > most:
                    raise _too_large(most)
                take(len(part))
                body += part
    except TimeoutError:
        raise HttpError(
            408, "slow", f"the body took longer than {WITHIN_S:.0f} s", hint="send smaller batches"
        ) from None
    except ClientDisconnect:
        raise HttpError(400, "malformed", "the request ended within its body") from None
    return bytes(body)


async def read_form(request: Request, kind: type[T], example: str) -> T:
    """A JSON body of a known shape; ``example`` is one that would do. HttpError 400, and those of ``read_body``."""
    try:
        return msgspec.json.decode(await read_body(request, _MOST_FORM), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        said = str(error) if isinstance(error, msgspec.ValidationError) else "that is no JSON of this shape"
        raise HttpError(400, "bad_input", said, hint=f"send {example}") from None


def _too_large(most: int) -> HttpError:
    return HttpError(413, "too_large", f"the body is longer than {most} bytes", hint="send smaller batches, or gzip")
