"""A file that is on the disk until another process has read it, under a key that is in memory alone.

Who writes it hands the key to who reads it (``KEY_BYTES`` on its standard input), and nobody else ever opens it: of a
program that was killed nothing is left that can be read. It is written once from its beginning and read from anywhere.
"""

import io
import os
from pathlib import Path
from typing import IO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
_PIECE: Final = 65_536
_TAG: Final = 16
_STORED: Final = _PIECE + _TAG
_LAST: Final = b"last"

_keys: dict[Path, AESGCM] = {}
"""Of the spools that were handed to this process."""


class SpoolWriter:
    """Seals what comes, in pieces that know their place and whether they are the last one. Calls block."""

    def __init__(self, descriptor: int, key: bytes) -> None:
        """``key`` seals nothing else."""
        self._descriptor = descriptor
        self._aead = AESGCM(key)
        self._pieces = 0
        self._buffer = bytearray()

    def write(self, data: bytes) -> None:
        """More of it. OSError."""
        self._buffer += data
        while len(self._buffer) > _PIECE:
            self._seal(bytes(self._buffer[:_PIECE]), b"")
            del self._buffer[:_PIECE]

    def finish(self) -> None:
        """That was all. The descriptor stays open. OSError."""
        self._seal(bytes(self._buffer), _LAST)

    def _seal(self, piece: bytes, last: bytes) -> None:
        view = memoryview(self._aead.encrypt(_nonce(self._pieces), piece, last))
        self._pieces += 1
        while view:
            view = view[os.write(self._descriptor, view) :]


class SpoolReader(io.RawIOBase):
    """What was written, from anywhere. OSError where it is not that, or not all of it."""

    def __init__(self, file: io.FileIO, aead: AESGCM) -> None:
        self._file = file
        self._aead = aead
        self._stored = os.fstat(file.fileno()).st_size
        self._size = _plain_size(self._stored)
        self._at = 0
        self._piece: tuple[int, bytes] = (-1, b"")

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the buffer of BufferedReader
        """As of any file."""
        if self._at >= self._size:
            return 0
        number, offset = divmod(self._at, _PIECE)
        if self._piece[0] != number:
            self._piece = number, self._opened(number)
        part = self._piece[1][offset : offset + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file."""
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def close(self) -> None:
        """Release the file."""
        self._file.close()
        super().close()

    def _opened(self, number: int) -> bytes:
        self._file.seek(number * _STORED)
        sealed = self._file.read(_STORED)
        last = _LAST if number * _STORED + len(sealed) == self._stored else b""
        try:
            return self._aead.decrypt(_nonce(number), sealed, last)
        except (InvalidTag, ValueError):
            raise OSError(5, "it is not what was written") from None


def hand_over(path: Path, key: bytes) -> None:
    """From now on this process reads the spool at ``path`` as what it is of."""
    _keys[path] = AESGCM(key)


def open_bytes(path: Path) -> io.RawIOBase:
    """A file on the disk, unbuffered: what is in it, or what the spool is of. OSError."""
    file = path.open("rb", buffering=0)
    aead = _keys.get(path)
    return file if aead is None else SpoolReader(file, aead)


def size_of(path: Path) -> int:
    """How many bytes ``open_bytes`` has to give. OSError."""
    stored = path.stat().st_size
    return _plain_size(stored) if path in _keys else stored


def buffered(path: Path) -> IO[bytes]:
    """``open_bytes`` for who reads all of it. OSError."""
    return io.BufferedReader(open_bytes(path), 1 << 18)


def _plain_size(stored: int) -> int:
    whole, rest = divmod(stored, _STORED)
    return whole * _PIECE + max(0, rest - _TAG)


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
