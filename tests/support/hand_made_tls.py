"""A client of TLS 1.3 that makes records by hand, after a handshake of OpenSSL's: those that no library sends, too."""

import ssl
import struct
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

_CIPHER: Final = "TLS_AES_256_GCM_SHA384"
_HANDSHAKE, _DATA = 22, 23
_KEY_UPDATE: Final = b"\x18\x00\x00\x01"


def keylogged(ca_file: Path, keys: Path) -> ssl.SSLContext:
    """A client's context that writes the secrets of its one connection to ``keys``."""
    context = ssl.create_default_context(cafile=str(ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.keylog_filename = str(keys)
    return context


class HandMadeTls:
    """What a client sends that has shaken hands, and nothing since; each record is behind the ones before."""

    def __init__(self, keys: Path, cipher: str) -> None:
        assert cipher == _CIPHER, "the keys are made with its hash"
        lines = [line.split() for line in keys.read_text(encoding="ascii").splitlines()]
        (secret,) = [
            value for name, _, value in (line for line in lines if len(line) == 3) if name == "CLIENT_TRAFFIC_SECRET_0"
        ]
        self._use(bytes.fromhex(secret))

    def data(self, payload: bytes) -> bytes:
        """A record that carries ``payload``, which may be nothing."""
        return self._sealed(payload, _DATA)

    def new_keys(self, *, ask: bool = False) -> bytes:
        """A record that says that the next ones have new keys; ``ask``: the server's are to have new ones, too."""
        made = self._sealed(_KEY_UPDATE + bytes([ask]), _HANDSHAKE)
        self._use(_expanded(self._secret, b"traffic upd", 48))
        return made

    def _use(self, secret: bytes) -> None:
        self._secret, self._number = secret, 0
        self._key = AESGCM(_expanded(secret, b"key", 32))
        self._iv = int.from_bytes(_expanded(secret, b"iv", 12))

    def _sealed(self, payload: bytes, kind: int) -> bytes:
        head = struct.pack("!BHH", _DATA, 0x303, len(payload) + 1 + 16)
        nonce = (self._iv ^ self._number).to_bytes(12)
        self._number += 1
        return head + self._key.encrypt(nonce, payload + bytes([kind]), head)


def _expanded(secret: bytes, label: bytes, length: int) -> bytes:
    label = b"tls13 " + label
    info = struct.pack("!HB", length, len(label)) + label + b"\x00"
    return HKDFExpand(SHA384(), length, info).derive(secret)
