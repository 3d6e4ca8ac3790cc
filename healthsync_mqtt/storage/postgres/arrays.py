"""Arrays as the server reads them: the driver writes a list of digests as text, which takes longer than all else."""

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Self

from psycopg.adapt import Dumper
from psycopg.pq import Format

if TYPE_CHECKING:
    from psycopg import Connection

_header: Final = struct.Struct("!iiIii").pack
_BYTEA: Final = 17
_INT8: Final = 20
_TEXT: Final = 25
_BYTEA_ARRAY: Final = 1001
_INT8_ARRAY: Final = 1016
_TEXT_ARRAY: Final = 1009
_WIDTH: Final = 8


class DigestArray(bytes):
    """``bytea[]`` of digests that are all as long as the first one."""

    @classmethod
    def of(cls, digests: Sequence[bytes]) -> Self:
        """As a parameter of a statement."""
        if not digests:
            return cls(_header(0, 0, _BYTEA, 0, 1)[:12])
        each = len(digests[0]).to_bytes(4, "big")
        return cls(_header(1, 0, _BYTEA, len(digests), 1) + each + each.join(digests))


class BigintArray(bytes):
    """``bigint[]``."""

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Self:
        """As a parameter of a statement."""
        if not numbers:
            return cls(_header(0, 0, _INT8, 0, 1)[:12])
        parts = [_WIDTH] * (2 * len(numbers))
        parts[1::2] = numbers
        return cls(_header(1, 0, _INT8, len(numbers), 1) + struct.pack("!" + "iq" * len(numbers), *parts))


class TextArray(bytes):
    """``text[]``."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        """As a parameter of a statement."""
        if not texts:
            return cls(_header(0, 0, _TEXT, 0, 1)[:12])
        parts = [_header(1, 0, _TEXT, len(texts), 1)]
        for text in texts:
            each = text.encode()
            parts += (len(each).to_bytes(4, "big"), each)
        return cls(b"".join(parts))


class _DigestDumper(Dumper):
    format = Format.BINARY
    oid = _BYTEA_ARRAY

    def dump(self, obj: bytes) -> bytes:
        return obj


class _BigintDumper(_DigestDumper):
    oid = _INT8_ARRAY


class _TextDumper(_DigestDumper):
    oid = _TEXT_ARRAY


def register(connection: "Connection[tuple[Any, ...]]") -> None:
    """Let statements of a connection take them."""
    connection.adapters.register_dumper(DigestArray, _DigestDumper)
    connection.adapters.register_dumper(BigintArray, _BigintDumper)
    connection.adapters.register_dumper(TextArray, _TextDumper)
