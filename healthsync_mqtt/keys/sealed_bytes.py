"""Sealed bytes: a form, the id of the key, a nonce, and what AES-256-GCM makes of the rest. One key's side of it."""

import os
import struct
from collections import deque
from hashlib import blake2b
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from healthsync_mqtt.keys.faults import TamperedError
from healthsync_mqtt.keys.key_id import ID_BYTES, is_key_id

KEY_BYTES: Final = 32
FORM: Final = b"\x01"
_NONCE: Final = 12
_TAG: Final = 16
#: Form and id of the key.
HEADER_BYTES: Final = len(FORM) + ID_BYTES

_BEGIN: Final = HEADER_BYTES + _NONCE

#: How many bytes sealing adds.
OVERHEAD: Final = HEADER_BYTES + _NONCE + _TAG

_AT_ONCE: Final = 256

# Fetched in portions, since asking the system costs as much as sealing does. Each is handed out once, whatever threads
# there are (taking one is one step), and a child process begins with none of its parent's.
_nonces: deque[bytes] = deque()
os.register_at_fork(after_in_child=_nonces.clear)


_next_nonce: Final = _nonces.popleft
_portion: Final = struct.Struct(f"{_NONCE}s" * _AT_ONCE)


def _nonce_of_more() -> bytes:
    first: bytes
    first, *others = _portion.unpack(os.urandom(_portion.size))
    _nonces.extend(others)
    return first


class DataKey:
    """An unwrapped key. ``owner`` and the key's id are part of what its bytes are bound to, as ``context`` is."""

    __slots__ = ("_aead", "_bound", "_decrypt", "_encrypt", "_header", "_marking", "id", "owner")

    def __init__(self, key_id: bytes, owner: str, key: bytes) -> None:
        self.id = key_id
        self.owner = owner
        self._header = FORM + key_id
        name = owner.encode()
        self._bound = b"%b%b%b%b" % (FORM, key_id, len(name).to_bytes(2, "big"), name)
        self._aead = AESGCM(key)
        self._encrypt, self._decrypt = self._aead.encrypt, self._aead.decrypt
        self._marking = blake2b(b"healthsync mark", key=key, digest_size=KEY_BYTES).digest()

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """What only this key opens again, and only with this context."""
        try:
            nonce = _next_nonce()
        except IndexError:
            nonce = _nonce_of_more()
        return self._header + nonce + self._encrypt(nonce, plaintext, self._bound + context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """The bytes again. TamperedError when one bit of them, or of the context, is another."""
        try:
            return self._decrypt(
                sealed[HEADER_BYTES : HEADER_BYTES + _NONCE], sealed[HEADER_BYTES + _NONCE :], self._bound + context
            )
        except (InvalidTag, ValueError):
            raise TamperedError from None

    def mark(self, data: bytes) -> bytes:
        """A digest that nobody can make, or try out, without the key: equal for equal bytes."""
        return blake2b(data, key=self._marking, digest_size=16).digest()


def key_id_of(sealed: bytes) -> bytes:
    """Whose key sealed it. TamperedError for what no key has sealed."""
    key_id = sealed[len(FORM) : HEADER_BYTES]
    if sealed[:1] != FORM or len(sealed) < OVERHEAD or not is_key_id(key_id):
        raise TamperedError
    return key_id
