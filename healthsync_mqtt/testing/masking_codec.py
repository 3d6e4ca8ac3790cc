"""A codec that changes every byte, for tests: what lies in a store without having passed the seam is seen at once."""

import hashlib
from itertools import cycle
from typing import Final

_MARK: Final = b"masked:"


class MaskingCodec:
    """``storage.codec.BodyCodec``. Hides nothing from anybody who wants to know: the mask is the user's name."""

    def encode(self, user: str, data: bytes) -> bytes:
        """The bytes under the user's mask."""
        return _MARK + _masked(user, data)

    def decode(self, user: str, stored: bytes) -> bytes:
        """What they were. ValueError for what no ``encode`` has made."""
        if not stored.startswith(_MARK):
            raise ValueError("these bytes have not passed this codec")
        return _masked(user, stored[len(_MARK) :])


def _masked(user: str, data: bytes) -> bytes:
    mask = hashlib.sha256(user.encode()).digest()
    return bytes(byte ^ key for byte, key in zip(data, cycle(mask), strict=False))
