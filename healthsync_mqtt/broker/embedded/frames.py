"""WebSocket frames of a client (RFC 6455, section 5), as they stream in. Pure.

A frame is never held: its bytes are unmasked and handed on as they come, so that a connection costs the same memory
whatever a client declares, and work is counted frame by frame, the empty ones too.
"""

from enum import IntEnum
from typing import Final, NamedTuple


class Opcode(IntEnum):
    """What a frame is."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


#: Close codes (section 7.4.1).
NORMAL: Final = 1000
PROTOCOL_ERROR: Final = 1002
UNSUPPORTED: Final = 1003
TOO_BIG: Final = 1009

_FRAME: Final = 20  # units of work of a frame; see ``turns``
_BYTES: Final = 10  # its payload costs its length >> this


class Unframed(NamedTuple):
    """What some bytes held: payload, what to send back, what it cost; ``over`` when the WebSocket has ended."""

    payload: bytes
    reply: bytes
    cost: int
    over: bool


def frame(opcode: Opcode, payload: bytes) -> bytes:
    """A whole frame of a server: not masked."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, size))
    elif size < 1 << 16:
        head = bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big")
    return head + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame."""
    return frame(Opcode.CLOSE, code.to_bytes(2, "big") + reason.encode())


class _FrameError(Exception):
    """The client breaks the protocol: the close code and why."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Frames:
    """The frames of one client. ``most`` bounds a message, in however many fragments it comes."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._head = b""
        #: bytes of the current frame that are still to come
        self._left = 0
        self._mask = b""
        self._opcode = Opcode.BINARY
        self._final = True
        #: bytes of the message under way; None between messages
        self._message: int | None = None
        self._control = bytearray()
        self._over = False

    def take(self, data: memoryview, work: int) -> tuple[int, Unframed]:
        """Take frames for about so much work from the beginning of ``data``; how many bytes, and what they held."""
        payload: list[bytes] = []
        reply: list[bytes] = []
        at = spent = 0
        end = len(data)
        try:
            while at < end and spent < work and not self._over:
                if not self._left:
                    at += self._header(data[at:])
                    if self._head:
                        break
                    spent += _FRAME
                size = min(self._left, end - at)
                piece = self._unmasked(data[at : at + size])
                at += size
                self._left -= size
                spent += size >> _BYTES
                if self._opcode >= Opcode.CLOSE:
                    self._control += piece
                    if not self._left:
                        self._controlled(reply)
                elif piece:
                    payload.append(piece)
        except _FrameError as fault:
            self._over = True
            reply.append(close_frame(fault.code, fault.reason))
        if self._over:
            at = end
        return at, Unframed(b"".join(payload), b"".join(reply), max(spent, 1), self._over)

    def _header(self, data: memoryview) -> int:
        """Read a header; how many bytes of ``data`` were taken. ``_head`` keeps one that is not complete."""
        before = len(self._head)
        head = self._head + bytes(data[: 14 - before])
        if len(head) >= 2:
            short = head[1] & 0x7F
            wide = {126: 2, 127: 8}.get(short, 0)
            needed = 2 + wide + 4
            if not head[1] & 0x80:
                raise _FrameError(PROTOCOL_ERROR, "a client's frames are masked")
            if len(head) >= needed:
                self._head = b""
                self._left = int.from_bytes(head[2 : 2 + wide], "big") if wide else short
                self._mask = head[2 + wide : needed]
                self._begin(head[0])
                return needed - before
        self._head = head
        return len(head) - before

    def _begin(self, first: int) -> None:
        """Judge a frame by its header."""
        if first & 0x70:
            raise _FrameError(PROTOCOL_ERROR, "reserved bits are set")
        try:
            self._opcode = Opcode(first & 0x0F)
        except ValueError:
            raise _FrameError(PROTOCOL_ERROR, "an unknown kind of frame") from None
        self._final = bool(first & 0x80)
        if self._opcode >= Opcode.CLOSE:
            if not self._final or self._left > 125:
                raise _FrameError(PROTOCOL_ERROR, "a control frame is whole and short")
            self._control.clear()
            return
        if self._opcode is Opcode.TEXT:
            raise _FrameError(UNSUPPORTED, "MQTT needs binary frames")
        if (self._opcode is Opcode.CONTINUATION) is (self._message is None):
            raise _FrameError(PROTOCOL_ERROR, "a fragment out of place")
        size = (self._message or 0) + self._left
        if size > self.most:
            raise _FrameError(TOO_BIG, "the message is too big")
        self._message = None if self._final else size

    def _controlled(self, reply: list[bytes]) -> None:
        """A control frame is here."""
        body = bytes(self._control)
        if self._opcode is Opcode.PING:
            reply.append(frame(Opcode.PONG, body))
        elif self._opcode is Opcode.CLOSE:
            self._over = True
            reply.append(frame(Opcode.CLOSE, body[:2] if len(body) >= 2 else b""))

    def _unmasked(self, data: memoryview) -> bytes:
        size = len(data)
        if not size:
            return b""
        mask = self._mask
        key = (mask * (size // 4 + 1))[:size]
        self._mask = mask[size % 4 :] + mask[: size % 4]
        return (int.from_bytes(data, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")
