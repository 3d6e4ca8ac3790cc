"""A place in the log as a client carries it: sealed, because the number itself would tell how much others send.

It is good for one question only: what it was given for is part of the seal.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from healthsync_mqtt.model.base64url import base64url

_LENGTH: Final = 16


class SealedPlaces:
    """Seals and opens places with a secret of this installation."""

    def __init__(self, secret: str) -> None:
        key = hmac.digest(secret.encode(), b"healthsync places", "sha256")
        self._block = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305  # one block, of which half is a check
        self._key = key

    def seal(self, seq: int, about: str) -> str:
        """The place as text for whoever asks ``about`` this."""
        return base64url(self.sealed(seq, about))

    def open(self, text: str, about: str) -> int | None:
        """The place; None for a text that was not sealed here, or for another question."""
        try:
            sealed = base64.b64decode(text + "==", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        return self.opened(sealed, about)

    def sealed(self, seq: int, about: str) -> bytes:
        """The place as sixteen bytes."""
        encryptor = self._block.encryptor()
        return encryptor.update(seq.to_bytes(8, "big") + self._check(about)) + encryptor.finalize()

    def opened(self, sealed: bytes, about: str) -> int | None:
        """The place; None for what was not sealed here, or for another question."""
        if len(sealed) != _LENGTH:
            return None
        decryptor = self._block.decryptor()
        opened = decryptor.update(sealed) + decryptor.finalize()
        return int.from_bytes(opened[:8], "big") if hmac.compare_digest(opened[8:], self._check(about)) else None

    def _check(self, about: str) -> bytes:
        return hashlib.blake2b(about.encode(), key=self._key, digest_size=8).digest()
