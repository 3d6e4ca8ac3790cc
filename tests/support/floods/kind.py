"""What a kind of flood is: its bytes, over which transport, before or after a login."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from tests.support.wire import Login


class Over(Enum):
    """What carries the bytes of a kind."""

    TCP = auto()
    TLS = auto()
    #: frames of an open WebSocket, over TLS
    WEB = auto()
    #: TLS on the WebSocket's listener, where none is opened
    HTTP = auto()
    #: to the port of TLS, and none is spoken
    HALF_TLS = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of flood. ``block`` makes its bytes for a login, or several of them: a connection takes the next one.

    ``churn``: a block is written once a connection, which then leaves and comes back.
    ``version`` is the protocol level that its CONNECT names.
    ``piece``: so many bytes are written at a time, each in a segment or in a TLS record of its own; 0 is all at once.
    """

    name: str
    block: Callable[[Login], bytes | tuple[bytes, ...]]
    login: bool = True
    over: Over = Over.TCP
    churn: bool = False
    version: int = 4
    piece: int = 0

    def blocks(self, login: Login) -> tuple[bytes, ...]:
        """What its connections write, in turns."""
        made = self.block(login)
        return (made,) if isinstance(made, bytes) else made


BLOCK = 32_768
"""Bytes that a block has at least, where its packet is short."""


def filled(packet: bytes) -> bytes:
    """A packet as often as a block holds it."""
    return packet * max(1, BLOCK // len(packet))


def again_and_again(packet: bytes) -> Callable[[Login], bytes]:
    """A block of one packet, whoever sends it."""
    block = filled(packet)
    return lambda _login: block
