"""What a codec promises, whatever it does to the bytes."""

from typing import Protocol


class BodyCodec(Protocol):
    """Turns bytes of a user into what is stored and back: ``decode(user, encode(user, data)) == data``.

    Every body of an event and every refused byte passes here, so that a store which is copied holds only what
    ``encode`` makes of them. Bytes that are absent (a purged body, nothing kept of a refusal) are stored as absent and
    never passed. ``encode`` may return more bytes than it was given, and never none.
    """

    def encode(self, user: str, data: bytes) -> bytes: ...

    def decode(self, user: str, stored: bytes) -> bytes: ...
