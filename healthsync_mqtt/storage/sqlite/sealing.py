"""Rows of a sealed log as they are stored: what tells of a person is one sealed piece, bound to the rest of its row.

Of a sealed row ``id`` is empty and ``body`` holds the id and the body together, since sealing costs by the piece. When
a row is purged its body has no bytes, as every purged row's, and ``id`` holds the sealed id as text. Of a row whose key
was destroyed nothing is known but that it was there: it is read as purged, without an id.

``sealed`` says how a row is stored: NULL as it is, SEALED, or ERASED. In a log that is sealed throughout NULL is found
out, too.
"""

import struct
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple, Self

import msgspec

from healthsync_mqtt.keys.faults import KeyDestroyedError, TamperedError
from healthsync_mqtt.storage.codec import BodyCodec

SEALED: Final = 1
ERASED: Final = 2

_numbers: Final = struct.Struct(">BQQqqqqqq").pack
_LENGTH: Final = 2
_length: Final = struct.Struct(">H").pack
_ROW: Final = 1
_PURGED: Final = 2
_REFUSED: Final = b"\x03"
_STATE: Final = b"\x04"
_RECORD: Final = b"\x05"
_NO_END: Final = -(2**63)
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


class RowSealing:
    """Seals and opens for one log. Not for several threads at once."""

    def __init__(self, codec: BodyCodec, log_id: bytes) -> None:
        self.codec = codec
        self._log_id = log_id
        self._parts: dict[tuple[str | None, str | None, str], bytes] = {}

    def rows(self, rows: Iterable[Any], names: Mapping[int | None, str | None]) -> list[Any]:
        """Rows as they are written, each with ``sealed`` behind; names by number, None for None."""
        sealed: list[Any] = []
        add, encode, encoding = sealed.append, None, None
        parts: dict[tuple[int | None, int | None, int], bytes] = {}
        for (
            seq, identity, user, device, provider, kind, version, op, start_us, end_us, received_us, event_id, body,
            position,
        ) in rows:  # fmt: skip
            if user != encoding or encode is None:
                encode, encoding = self.codec.encoder(str(names[user])), user
            whose = device, provider, kind
            part = parts.get(whose)
            if part is None:
                part = parts[whose] = self._part((names[device], names[provider], str(names[kind])))
            place = (
                _numbers(
                    _ROW if body else _PURGED, seq, identity, version, op, start_us,
                    _NO_END if end_us is None else end_us, received_us, position,
                )
                + part
            )  # fmt: skip
            name = event_id.encode()
            if body:
                event_id, stored = "", encode(_length(len(name)) + name + body, place)  # noqa: PLW2901
            else:
                event_id, stored = b64encode(encode(name, place)).decode(), b""  # noqa: PLW2901
            add(
                (
                    seq, identity, user, device, provider, kind, version, op, start_us, end_us, received_us, event_id,
                    stored, position, SEALED,
                )
            )  # fmt: skip
        return sealed

    def opened(self, row: Any, names: Mapping[int | None, str | None]) -> tuple[str, bytes]:
        """The id and the body of a row that is not stored as it is. Both empty: its key was destroyed.

        TamperedError when it is not what was written there.
        """
        (
            seq, identity, user, device, provider, kind, version, op, start_us, end_us, received_us, event_id, body,
            position, how,
        ) = row  # fmt: skip
        if how == ERASED and not event_id and not body:
            return "", b""
        if how != SEALED or bool(event_id) == bool(body):
            raise TamperedError(f"row {seq} of the event log")
        part = self._part((names[device], names[provider], str(names[kind])))
        try:
            place = (
                _numbers(
                    _ROW if body else _PURGED, seq, identity, version, op, start_us,
                    _NO_END if end_us is None else end_us, received_us, position,
                )
                + part
            )  # fmt: skip
            if body:
                content = self.codec.decode(str(names[user]), body, place)
                end = _LENGTH + int.from_bytes(content[:_LENGTH], "big")
                return content[_LENGTH:end].decode(), content[end:]
            name = self.codec.decode(str(names[user]), b64decode(event_id, validate=True), place)
            return name.decode(), b""
        except KeyDestroyedError:
            return "", b""
        except (TamperedError, struct.error, ValueError, TypeError, AttributeError) as error:
            raise TamperedError(f"row {seq} of the event log") from error

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

    def mark(self, user: str, *parts: str) -> bytes:
        """A digest by which a row is found that says this."""
        return self.codec.mark(user, _pack(parts))

    def _refused(self, no: int, place: tuple[Any, ...]) -> bytes:
        return _REFUSED + self._log_id + _pack((no, place))

    def _remembered(self, kind: bytes, whose: tuple[str, str, str]) -> bytes:
        return kind + self._log_id + _pack(whose)

    def _part(self, whose: tuple[str | None, str | None, str]) -> bytes:
        part = self._parts.get(whose)
        if part is None:
            part = self._parts[whose] = self._log_id + _pack(whose)
        return part
