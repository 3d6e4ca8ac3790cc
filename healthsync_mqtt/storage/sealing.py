"""What is sealed of a log, whatever store it is in: refusals, what formats remember, and the form of a row's piece.

``sealed`` says how a row is stored: NULL as it is, SEALED, or ERASED. In a log that is sealed throughout NULL is found
out, too.
"""

import struct
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple, Self

import msgspec

from healthsync_mqtt.keys.faults import KeyDestroyedError, TamperedError
from healthsync_mqtt.storage.codec import BodyCodec

SEALED: Final = 1
ERASED: Final = 2

_LENGTH: Final = 2
_length: Final = struct.Struct(">H").pack
ROW: Final = 1
PURGED: Final = 2
_REFUSED: Final = b"\x03"
_STATE: Final = b"\x04"
_RECORD: Final = b"\x05"
_SKETCH: Final = b"\x06"
NO_END: Final = -(2**63)
_pack: Final = msgspec.msgpack.encode


class Sealed(NamedTuple):
    """How a log is sealed: ``on`` all that is new is; what was before is from these rows on, up to those, not yet."""

    on: bool = False
    plain_from: int = 0
    plain_through: int = 0

    @classmethod
    def of(cls, meta: Mapping[str, Any]) -> Self:
        """As the log's own facts have it."""
        return cls(meta.get("encryption") == "rows", meta.get("plain_from", 0), meta.get("plain_through", 0))

    @property
    def plain_rows(self) -> int:
        """How many rows may still be as they were."""
        return max(0, self.plain_through - self.plain_from + 1) if self.plain_through else 0

    @property
    def mixed(self) -> bool:
        """Whether some rows may still be as they were."""
        return self.plain_rows > 0

    def permits_plain(self, seq: int) -> bool:
        """Whether this row may be stored as it is."""
        return not self.on or self.plain_from <= seq <= self.plain_through


class KeptRefusal(NamedTuple):
    """What is sealed of a refusal."""

    field: str | None
    message: str
    event_id: str | None
    sha256: str | None
    raw: bytes


_unpack: Final = msgspec.msgpack.Decoder(KeptRefusal).decode


def log_id_of(secret: bytes) -> bytes:
    """Which log a row belongs to: the same after a restore, and no other log's."""
    return blake2b(secret, digest_size=16, person=b"healthsync log").digest()


def piece_of(name: bytes, body: bytes) -> bytes:
    """The id and the body of a row as one piece, since sealing costs by the piece."""
    return _length(len(name)) + name + body


def parts_of(piece: bytes) -> tuple[str, bytes]:
    """The id and the body again."""
    end = _LENGTH + int.from_bytes(piece[:_LENGTH], "big")
    return piece[_LENGTH:end].decode(), piece[end:]


class Sealing:
    """Seals and opens for one log. Not for several threads at once."""

    def __init__(self, codec: BodyCodec, log_id: bytes) -> None:
        self.codec = codec
        self._log_id = log_id
        self._parts: dict[tuple[str | None, str | None, str], bytes] = {}

    def kept(self, user: str, no: int, place: tuple[Any, ...], kept: KeptRefusal) -> bytes:
        """What is stored of a refusal; ``place`` is all of its row that is readable and never changes."""
        return self.codec.encode(user, _pack(kept), self._refused(no, place))

    def kept_again(self, user: str, no: int, place: tuple[Any, ...], stored: bytes) -> KeptRefusal | None:
        """What was kept; None when the key was destroyed."""
        try:
            return _unpack(self.codec.decode(user, stored, self._refused(no, place)))
        except KeyDestroyedError:
            return None
        except (TamperedError, msgspec.MsgspecError) as error:
            raise TamperedError(f"refusal {no} of the quarantine") from error

    def state(self, whose: tuple[str, str, str], state: bytes) -> bytes:
        """What a format remembers of a device."""
        return state and self.codec.encode(whose[0], state, self._remembered(_STATE, whose))

    def state_again(self, whose: tuple[str, str, str], stored: bytes) -> bytes:
        """The same again; nothing when the key was destroyed."""
        try:
            return stored and self.codec.decode(whose[0], stored, self._remembered(_STATE, whose))
        except KeyDestroyedError:
            return b""

    def record(self, whose: tuple[str, str, str], record: tuple[str, str]) -> bytes:
        """What a source calls a record, with the id of its event."""
        return self.codec.encode(whose[0], _pack(record), self._remembered(_RECORD, whose))

    def record_again(self, whose: tuple[str, str, str], stored: bytes) -> tuple[str, str] | None:
        """The same again; None when the key was destroyed."""
        try:
            content = self.codec.decode(whose[0], stored, self._remembered(_RECORD, whose))
        except KeyDestroyedError:
            return None
        name, event_id = msgspec.msgpack.decode(content)
        return name, event_id

    def is_any_gone(self, stored: Iterable[bytes]) -> bool:
        """Whether the key of one of these was destroyed: then what was opened with it is not known any more either."""
        return any(map(self.codec.is_gone, stored))

    def sketch(self, user: str, block: int, sketch: bytes) -> bytes:
        """What the user's rows of a block hold, roughly."""
        return self.codec.encode(user, sketch, self._sketched(user, block))

    def sketch_again(self, user: str, block: int, stored: bytes) -> bytes | None:
        """The same again; None when the key was destroyed."""
        try:
            return self.codec.decode(user, stored, self._sketched(user, block))
        except KeyDestroyedError:
            return None
        except TamperedError as error:
            raise TamperedError(f"what is known of block {block} of the event log") from error

    def mark(self, user: str, *parts: str) -> bytes:
        """A digest by which a row is found that says this."""
        return self.codec.mark(user, _pack(parts))

    def _refused(self, no: int, place: tuple[Any, ...]) -> bytes:
        return _REFUSED + self._log_id + _pack((no, place))

    def _sketched(self, user: str, block: int) -> bytes:
        return _SKETCH + self._log_id + _pack((user, block))

    def _remembered(self, kind: bytes, whose: tuple[str, str, str]) -> bytes:
        return kind + self._log_id + _pack(whose)

    def _part(self, whose: tuple[str | None, str | None, str]) -> bytes:
        """What of a row's place many rows have in common: the log, the device, the provider and the type."""
        part = self._parts.get(whose)
        if part is None:
            part = self._parts[whose] = self._log_id + _pack(whose)
        return part
