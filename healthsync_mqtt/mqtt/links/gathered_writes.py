"""A transport that sends once a turn of the loop what was written in that turn: a call of the system is dearer.

uvloop sends each write at once, so the head and the body of an answer, or the messages of twenty requests that came
together, are as many calls, and wake whoever reads them as often.
"""

import asyncio
from typing import Any, Final

_MOST: Final = 65_536
"""Bytes that are kept for the end of the turn; more are sent at once, so that who reads slowly is noticed."""


class GatheredWrites:
    """Around a transport, whose order and whose bounds it keeps: what it does not name is the transport's own."""

    __slots__ = ("_call_soon", "_held", "_size", "_transport")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._call_soon = asyncio.get_running_loop().call_soon
        self._held: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send at the end of this turn, or now when it is much."""
        if not data:
            return
        if not self._held:
            self._call_soon(self._send)
        self._held.append(data)
        self._size += len(data)
        if self._size >= _MOST:
            self._send()

    def get_write_buffer_size(self) -> int:
        """With what waits for the end of the turn."""
        return self._size + int(self._transport.get_write_buffer_size())

    def close(self) -> None:
        """Close when everything that was written has gone out."""
        self._send()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what was written before is given to the system as if it had not been gathered."""
        self._send()
        self._transport.abort()

    def _send(self) -> None:
        if self._held:
            held, self._held, self._size = self._held, [], 0
            if not self._transport.is_closing():
                self._transport.write(held[0] if len(held) == 1 else b"".join(held))
