"""Requests that come in one piece, for routes that answer in one piece, are taken without h11's machine of states.

A quarter of what a small request cost the gateway was that machine, for what needs none: a POST with a length whose
body has come with its head. What is read here is a part of what h11 reads, and read as h11 reads it: one ``Host``, one
length of digits, plain headers, and nothing that says how the connection or the body goes on. Everything else is h11's:
it decides what is refused.
"""

import re
from typing import Any, Final, NamedTuple

from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, RequestResponseCycle

BODY: Final = "whole_body"
"""Where the state of a request has its body, when all of it is there before the application is asked."""
_BEGINS: Final = b"POST "
_HEAD_ENDS: Final = b"\r\n\r\n"
_LINE: Final = len(b"\r\n")
_NAME: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_VALUE: Final = rb"[!-~](?:[ -~]*[!-~])?"
_FIRST: Final = re.compile(rb"POST (/[!-~]*) HTTP/1\.1\r\n")
_HEADERS: Final = re.compile(rb"(?:%b: ?%b\r\n)+" % (_NAME, _VALUE))
_HEADER: Final = re.compile(rb"(%b): ?(%b)\r\n" % (_NAME, _VALUE))
_DIGITS: Final = re.compile(rb"[0-9]{1,10}")
_HOST: Final = b"host"
_LENGTH: Final = b"content-length"
_CONNECTION: Final = b"connection"
_CLOSE: Final = (_CONNECTION, b"close")
_FOR_H11: Final = frozenset({b"transfer-encoding", b"upgrade", b"expect"})


class WholeRequest(NamedTuple):
    """A request and its body; names of headers are in small letters."""

    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @classmethod
    def read(cls, data: bytes, targets: frozenset[bytes], most: int) -> "WholeRequest | None":
        """The one request for one of these targets that ``data`` is, with a head of up to ``most`` bytes.

        None: it is not one, or that is not for here to say.
        """
        if not data.startswith(_BEGINS):
            return None
        ends = data.find(_HEAD_ENDS, 0, most)
        first = _FIRST.match(data)
        if ends < 0 or first is None or first[1] not in targets:
            return None
        begins, ends = first.end(), ends + _LINE
        if _HEADERS.fullmatch(data, begins, ends) is None:
            return None
        headers = [(name.lower(), value) for name, value in _HEADER.findall(data, begins, ends)]
        return cls(first[1], headers, data[ends + _LINE :]) if _is_plain(headers, len(data) - ends - _LINE) else None


def _is_plain(headers: list[tuple[bytes, bytes]], length: int) -> bool:
    """Whether they name one host and this length, and leave the connection as it is."""
    said, hosts = list[bytes](), 0
    for name, value in headers:
        if name == _LENGTH:
            said.append(value)
        elif name == _HOST:
            hosts += 1
        elif name in _FOR_H11 or (name == _CONNECTION and value.lower() != b"keep-alive"):
            return False
    return hosts == len(said) == 1 and _DIGITS.fullmatch(said[0]) is not None and int(said[0]) == length


class WholeExchange(RequestResponseCycle):
    """Such a request and its answer, which goes out when all of it is there."""

    def __init__(self, request: WholeRequest, **given: Any) -> None:
        super().__init__(**given)
        self._request = request
        self._asked = False
        self._start: Any = None
        self._parts: list[bytes] = []

    async def receive(self) -> Any:
        """ASGI."""
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._request.body, "more_body": False}
        if not self.disconnected and not self.response_complete:
            await self.message_event.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        """ASGI."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        expected = "http.response.body" if self.response_started else "http.response.start"
        if self.response_complete or message["type"] != expected:
            raise RuntimeError(f"{message['type']} where {expected} was to come, or after the whole answer")
        if not self.response_started:
            self.response_started, self._start = True, message
            return
        self._parts.append(message.get("body", b""))
        if message.get("more_body", False):
            return
        answer, closes = self._answer()
        self.response_complete = True
        self.message_event.set()
        self.transport.write(answer)
        if closes:
            self.transport.close()
        self.on_response()

    def _answer(self) -> tuple[bytes, bool]:
        """The bytes, and whether the connection ends behind them. RuntimeError for what would be read as another."""
        body = b"".join(self._parts)
        headers = [*self.default_headers, *self._start["headers"]]
        closes = _CLOSE in headers
        if not self.keep_alive and not closes:
            headers.append(_CLOSE)
        lengths = [value for name, value in headers if name.lower() == _LENGTH]
        if not lengths:
            headers.append((_LENGTH, b"%d" % len(body)))
        elif lengths != [b"%d" % len(body)]:
            raise RuntimeError("an answer that is not as long as it says")
        head = b"".join([b"%b: %b\r\n" % each for each in headers])
        if head.count(b"\r") != len(headers) or head.count(b"\n") != len(headers) or b"\0" in head:
            raise RuntimeError("a header of an answer that is more than one line")
        status = self._start["status"]
        first = b"HTTP/1.1 %d %b\r\n" % (status, STATUS_PHRASES[status])
        return b"%b%b\r\n%b" % (first, head, body), closes or not self.keep_alive
