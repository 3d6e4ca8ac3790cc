"""What a codec promises, whatever it does to the bytes."""

from collections.abc import Callable
from typing import Protocol


class BodyCodec(Protocol):
    """Turns bytes of a user into what is stored and back: ``decode(user, encode(user, data, place), place) == data``.

    A log that is sealed passes everything here that tells what a user measured: bodies, event ids, refused bytes, what
    formats remember. ``place`` is where the bytes belong; ``decode`` refuses (TamperedError) what was made for another
    user or another place, and what is not what ``encode`` has made to the bit.

    KeyUnavailableError: not now; nothing was changed. KeyDestroyedError: these bytes are gone for ever, as purged.
    """

    def prepare(self, *, make: bool) -> None:
        """Have the keys at hand; with ``make`` they are made where there are none. UnavailableError without them."""

    def fresh(self) -> None:
        """Hear what other processes have changed; called before each portion of work."""

    def encoder(self, user: str) -> Callable[[bytes, bytes], bytes]:
        """``encode`` of one user, for a run of them: called with data and place. Not kept beyond the portion."""

    def encode(self, user: str, data: bytes, place: bytes) -> bytes:
        """What is stored; at least one byte."""

    def decode(self, user: str, stored: bytes, place: bytes) -> bytes:
        """The bytes again."""

    def is_gone(self, stored: bytes) -> bool:
        """Whether their key was destroyed; nobody is asked to open them."""

    def mark(self, user: str, data: bytes) -> bytes:
        """A digest of 16 bytes: equal for equal bytes of one user, and nobody tries it out without the key."""
