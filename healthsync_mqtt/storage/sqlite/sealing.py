"""Rows of a sealed log in SQLite: what tells of a person is one sealed piece, bound to the rest of its row.

Of a sealed row ``id`` is empty and ``body`` holds the id and the body together, since sealing costs by the piece. When
a row is purged its body has no bytes, as every purged row's, and ``id`` holds the sealed id as text. Of a row whose key
was destroyed nothing is known but that it was there: it is read as purged, without an id.
"""

import struct
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any, Final

from healthsync_mqtt.keys.faults import KeyDestroyedError, TamperedError
from healthsync_mqtt.storage.sealing import ERASED, NO_END, PURGED, ROW, SEALED, Sealing, parts_of, piece_of

_numbers: Final = struct.Struct(">BQQqqqqqq").pack


class RowSealing(Sealing):
    """Seals and opens rows as SQLite has them."""

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
                    ROW if body else PURGED, seq, identity, version, op, start_us,
                    NO_END if end_us is None else end_us, received_us, position,
                )
                + part
            )  # fmt: skip
            name = event_id.encode()
            if body:
                event_id, stored = "", encode(piece_of(name, body), place)  # noqa: PLW2901
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
                    ROW if body else PURGED, seq, identity, version, op, start_us,
                    NO_END if end_us is None else end_us, received_us, position,
                )
                + part
            )  # fmt: skip
            if body:
                return parts_of(self.codec.decode(str(names[user]), body, place))
            name = self.codec.decode(str(names[user]), b64decode(event_id, validate=True), place)
            return name.decode(), b""
        except KeyDestroyedError:
            return "", b""
        except (TamperedError, struct.error, ValueError, TypeError, AttributeError) as error:
            raise TamperedError(f"row {seq} of the event log") from error

    def is_gone(self, event_id: str, body: bytes, how: int) -> bool:
        """Whether a row that is not stored as it is cannot be opened any more; it is not opened for that."""
        return how == ERASED or self.codec.is_gone(body or b64decode(event_id))
