"""Rows of a sealed log on PostgreSQL: id and body of a row are one sealed piece, bound to the rest of it.

As in SQLite ``id`` is empty then; of a purged row it holds the sealed id as text, and ``body`` is empty.
"""

import struct
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from healthsync_mqtt.keys.faults import KeyDestroyedError, KeyUnavailableError, TamperedError
from healthsync_mqtt.model.delivery import OWN_FORM
from healthsync_mqtt.storage.port import NOBODY, RejectedRow
from healthsync_mqtt.storage.sealing import (
    ERASED,
    NO_END,
    PURGED,
    ROW,
    SEALED,
    KeptRefusal,
    Sealed,
    Sealing,
    parts_of,
    piece_of,
)

_numbers: Final = struct.Struct(">Bqqqqqqq").pack


class StoredRow(NamedTuple):
    """A row of the log as it is stored."""

    seq: int
    position: int
    start_us: int
    end_us: int | None
    received_us: int
    version: int
    op: int
    identity: bytes
    user: str
    device: str | None
    provider: str | None
    type: str
    id: str
    body: bytes
    sealed: int | None

    @property
    def place(self) -> bytes:
        """All of it that is readable and its own, as bytes."""
        end = NO_END if self.end_us is None else self.end_us
        numbers = _numbers(
            ROW if self.body else PURGED, self.seq, self.position, self.start_us, end, self.received_us, self.version,
            self.op,
        )  # fmt: skip
        return numbers + bytes(self.identity)


def sealed_as(meta: Mapping[str, bytes]) -> Sealed:
    """How a log is sealed, as its own facts have it."""
    plain_from, plain_through = (int(meta.get(name, b"0")) for name in ("plain_from", "plain_through"))
    return Sealed(meta.get("encryption") == b"rows", plain_from, plain_through)


class ServerSealing(Sealing):
    """Seals and opens rows as PostgreSQL has them."""

    def rows(self, rows: Iterable[tuple[Any, ...]]) -> list[StoredRow]:
        """Rows as they are written; they come without ``sealed``."""
        return [self.row(StoredRow._make((*row, None))) for row in rows]

    def row(self, row: StoredRow) -> StoredRow:
        """A row whose id and body are readable, sealed. Of one of nobody there is nothing to seal."""
        if not row.id:
            return row._replace(sealed=None if row.user == NOBODY else ERASED)
        place = row.place + self._part((row.device, row.provider, row.type))
        name = row.id.encode()
        if row.body:
            body = self.codec.encode(row.user, piece_of(name, row.body), place)
            return row._replace(id="", body=body, sealed=SEALED)
        kept = b64encode(self.codec.encode(row.user, name, place)).decode()
        return row._replace(id=kept, body=b"", sealed=SEALED)

    def opened(self, row: StoredRow) -> tuple[str, bytes]:
        """The id and the body of a row that is not stored as it is. Both empty: its key was destroyed.

        TamperedError when it is not what was written there.
        """
        if row.sealed == ERASED and not row.id and not row.body:
            return "", b""
        if row.sealed != SEALED or bool(row.id) == bool(row.body):
            raise TamperedError(f"row {row.seq} of the event log")
        try:
            place = row.place + self._part((row.device, row.provider, row.type))
            if row.body:
                return parts_of(self.codec.decode(row.user, bytes(row.body), place))
            return self.codec.decode(row.user, b64decode(row.id, validate=True), place).decode(), b""
        except KeyDestroyedError:
            return "", b""
        except (TamperedError, struct.error, ValueError, TypeError, AttributeError) as error:
            raise TamperedError(f"row {row.seq} of the event log") from error

    def is_gone(self, row: StoredRow) -> bool:
        """Whether a row that is not stored as it is cannot be opened any more; it is not opened for that."""
        return row.sealed == ERASED or self.codec.is_gone(bytes(row.body) or b64decode(row.id))

    def without_body(self, row: StoredRow) -> StoredRow | None:
        """The same row, purged. None: its key is away, and nobody's commit waits for it; the next sweep finds it."""
        try:
            name = self.opened(row)[0] if row.sealed is not None else row.id
            if name:
                return self.row(row._replace(id=name, body=b""))
        except KeyUnavailableError:
            return None
        except TamperedError:  # what is damaged of it goes
            pass
        return row._replace(id="", body=b"", sealed=ERASED)

    def refusal(self, row: RejectedRow) -> bytes:
        """What is stored of a refusal with this number."""
        kept = KeptRefusal(whole(row.field), whole(row.message) or "", whole(row.event_id), row.sha256, row.raw)
        return self.kept(row.user, row.no, _place(row), kept)

    def refusal_again(self, row: RejectedRow, how: int) -> RejectedRow:
        """The refusal of which only the place is readable; without its bytes where the key was destroyed."""
        if how != SEALED:
            raise TamperedError(f"refusal {row.no} of the quarantine")
        kept = self.kept_again(row.user, row.no, _place(row), row.raw)
        if kept is None:
            return row._replace(raw=b"")
        return row._replace(
            field=kept.field, message=kept.message, event_id=kept.event_id, sha256=kept.sha256, raw=kept.raw
        )


def _place(row: RejectedRow) -> tuple[Any, ...]:
    form = None if row.form == OWN_FORM else row.form
    topic = whole(row.topic) or ""
    return row.reason, row.device, row.provider, topic, row.received_us, row.size, form, row.sha256 is None


def whole(text: str | None) -> str | None:
    """Without halves of characters, which the form of a sealed piece has no room for."""
    return text and text.encode("utf-8", "replace").decode()
