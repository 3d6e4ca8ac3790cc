"""A codec that changes every byte, for tests: what lies in a store without having passed the seam is seen at once."""

import hashlib
from collections.abc import Callable
from functools import partial
from itertools import cycle
from typing import Final

from healthsync_mqtt.keys.faults import TamperedError

_MARK: Final = b"masked:"
_CHECK: Final = 8


class MaskingCodec:
    """``storage.codec.BodyCodec``. Hides nothing from anybody who wants to know: the mask is the user's name."""

    def prepare(self, *, make: bool) -> None:
        """Nothing is needed."""

    def fresh(self) -> None:
        """Nobody changes anything."""

    def encoder(self, user: str) -> Callable[[bytes, bytes], bytes]:
        """``encode`` of one user."""
        return partial(self.encode, user)

    def encode(self, user: str, data: bytes, place: bytes) -> bytes:
        """The bytes under the user's mask, with a digest that names the place."""
        masked = _masked(user, data)
        return _MARK + _check(user, masked, place) + masked

    def decode(self, user: str, stored: bytes, place: bytes) -> bytes:
        """What they were. TamperedError for what ``encode`` has not made of this user, here."""
        masked = stored[len(_MARK) + _CHECK :]
        if stored[: len(_MARK) + _CHECK] != _MARK + _check(user, masked, place):
            raise TamperedError("bytes that have not passed this codec")
        return _masked(user, masked)

    def is_gone(self, stored: bytes) -> bool:  # noqa: ARG002
        """There is no key to destroy."""
        return False

    def mark(self, user: str, data: bytes) -> bytes:
        """A digest with the user's name."""
        return hashlib.blake2b(data, digest_size=16, key=user.encode()[:64]).digest()


def _check(user: str, masked: bytes, place: bytes) -> bytes:
    return hashlib.sha256(b"%b|%b|%b" % (user.encode(), place, masked)).digest()[:_CHECK]


def _masked(user: str, data: bytes) -> bytes:
    mask = hashlib.sha256(user.encode()).digest()
    return bytes(byte ^ key for byte, key in zip(data, cycle(mask), strict=False))
