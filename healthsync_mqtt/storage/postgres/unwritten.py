"""What a transaction says of identities and persons beside its rows, kept until its end and written there at once.

A group is staged in portions. Written with each, every portion would cost the server and the writer as many statements,
and neighbours in the index of identities would not come together.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from healthsync_mqtt.postgres.connection import Connection
from healthsync_mqtt.storage.defect import DefectError
from healthsync_mqtt.storage.postgres.arrays import BigintArray, DigestArray, TextArray
from healthsync_mqtt.storage.postgres.connection import run
from healthsync_mqtt.storage.postgres.statements import statements

_SQL = statements("writer")
_COPY_BEGINS: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_ENDS: Final = b"\xff\xff"
_COLUMNS, _DIGEST, _WIDE = 3, 16, 8
_copied: Final = struct.Struct("!hi16siqiq").pack

Place = tuple[int, int]
"""Seq and rank of the latest row of an identity."""


class Unwritten:
    """Of one transaction, which has the lock: what it has looked up is as it was, but for what it changed itself."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Nothing is to be written, and nobody was looked up."""
        #: By user the types that there are, of those who were looked up.
        self._types: dict[str, set[str]] = {}
        self._moved: set[str] = set()
        self._told: set[str] = set()
        self._identities: dict[bytes, Place] = {}
        #: Of these identities those that the table has.
        self._there: set[bytes] = set()

    def strange(self, users: Iterable[str]) -> list[str]:
        """Those who are to be looked up."""
        return [user for user in users if user not in self._types]

    def know(self, user: str, types: Iterable[str]) -> None:
        """Somebody was looked up."""
        self._types[user] = set(types)

    def unmoved(self, identities: Iterable[bytes]) -> list[bytes]:
        """Those of which the table says what is the latest row."""
        return [each for each in identities if each not in self._identities]

    def latest(self, found: Iterable[Sequence[Any]], identities: Iterable[bytes]) -> dict[bytes, Place]:
        """Where the latest rows of these are: ``found`` in the table, or of this transaction."""
        latest = {bytes(identity): (seq, rank) for identity, seq, rank in found}
        moved = self._identities
        if moved:
            latest |= {each: moved[each] for each in identities if each in moved}
        return latest

    def move(self, places: Mapping[bytes, Place], known: Mapping[bytes, object]) -> None:
        """Identities have a newer row, and ``known`` had one before."""
        self._there.update(each for each in places if each in known and each not in self._identities)
        self._identities |= places

    def has_row(self, user: str, type_name: str) -> None:
        """Somebody has one more, of this type."""
        self._moved.add(user)
        if type_name not in self._types[user]:
            self._types[user].add(type_name)
            self._told.add(user)

    def write(self, connection: Connection, positions: Mapping[str, int]) -> None:
        """All of it. Under the lock nobody adds an identity in between: an upsert would look for each again."""
        added = {each: place for each, place in self._identities.items() if each not in self._there}
        if added:
            _add(connection, added)
        if self._there:
            self._move_identities(connection)
        for user in sorted(self._told):
            run(connection, _SQL["keep_person"], (user, positions[user], sorted(self._types[user])))
        if moved := sorted(self._moved - self._told):
            run(connection, _SQL["move_persons"], (TextArray.of(moved), BigintArray.of([positions[u] for u in moved])))
        self.clear()

    def _move_identities(self, connection: Connection) -> None:
        digests = sorted(self._there)
        seqs, ranks = zip(*(self._identities[each] for each in digests), strict=True)
        places = DigestArray.of(digests), BigintArray.of(seqs), BigintArray.of(ranks)
        if run(connection, _SQL["move_identities"], places) != len(digests):
            raise DefectError(
                "a newer row of an id is in the event log than the one that was there under the lock",
                hint="nothing was acknowledged; report it with the log",
            )


def _add(connection: Connection, places: Mapping[bytes, Place]) -> None:
    """In the order of the index. With COPY the server writes, and logs, many of them at once."""
    rows = [_copied(_COLUMNS, _DIGEST, each, _WIDE, seq, _WIDE, rank) for each, (seq, rank) in sorted(places.items())]
    with connection.cursor() as cursor, cursor.copy(_SQL["add_identities"]) as copy:
        copy.write(b"".join((_COPY_BEGINS, *rows, _COPY_ENDS)))
