"""Wrapped data keys in keys.db. What is deleted there is overwritten, and in no journal after the commit.

A rollback journal and no write-ahead log: a key that is destroyed would stay in the WAL for as long as some reader
holds up its checkpoint. The directory is synced when the journal goes (EXTRA), else a power cut could bring the journal
back, and with it the key.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from healthsync_mqtt.config.private_database import open_private_database, transaction
from healthsync_mqtt.errors import StoreError, UnavailableError
from healthsync_mqtt.keys.key_id import new_key_id
from healthsync_mqtt.sql_files import numbered, statements
from healthsync_mqtt.sqlite_faults import fix_of

_HERE: Final = __package__ or ""
_SQL = statements(_HERE, "keys.sql")


class WrappedKey(NamedTuple):
    """A data key as it is stored."""

    no: int
    id: bytes
    owner: str
    provider: str
    wrapped: bytes


class KeyBook:
    """One connection, used by any thread, one at a time."""

    def __init__(self, path: Path) -> None:
        """Open or create the file. StoreError when it cannot be used."""
        self.path = path
        self._db = open_private_database(path, numbered(_HERE, "sql"))
        self._db.execute("PRAGMA synchronous=EXTRA")
        self._turn = threading.RLock()
        self._version = self._data_version()

    @classmethod
    def existing(cls, path: Path) -> Self:
        """The file that is there. UnavailableError where there is none."""
        if not path.exists():
            raise UnavailableError(
                f"there are no data keys at {path}", hint="put keys.db back from where keys are kept"
            )
        return cls(path)

    def facts(self) -> dict[str, Any]:
        """What is known of the ring itself."""
        with self._asking():
            return dict(self._db.execute(_SQL["facts"]).fetchall())

    def set_fact(self, name: str, value: str) -> None:
        """Durable when it returns."""
        with self._asking():
            self._db.execute(_SQL["set_fact"], (name, value))

    def newest_of(self, owner: str) -> WrappedKey | None:
        """The key that seals for an owner."""
        return self._one("newest_of", (owner,))

    def oldest_of(self, owner: str) -> WrappedKey | None:
        """The key that makes marks for an owner, however often it was renewed."""
        return self._one("oldest_of", (owner,))

    def by_id(self, key_id: bytes) -> WrappedKey | None:
        """The key of this id."""
        return self._one("by_id", (key_id,))

    def after(self, no: int, limit: int) -> list[WrappedKey]:
        """At most so many keys behind this number."""
        with self._asking():
            return [WrappedKey(*row) for row in self._db.execute(_SQL["after"], (no, limit))]

    def add(
        self, owner: str, provider: str, wrap: Callable[[bytes], bytes], now_us: int, *, unless_there: bool
    ) -> WrappedKey:
        """Keep a new key of an owner, or with ``unless_there`` give the one that another process was first with.

        ``wrap`` is called with the new key's id, inside the transaction: see ``alone``.
        """
        with self._asking(), transaction(self._db):
            there = self._one("newest_of", (owner,)) if unless_there else None
            if there is not None:
                return there
            key_id = new_key_id()
            wrapped = wrap(key_id)
            (no,) = self._db.execute(_SQL["add"], (key_id, owner, provider, wrapped, now_us)).fetchone()
            return WrappedKey(no, key_id, owner, provider, wrapped)

    def rewrap(self, key: WrappedKey, provider: str, wrapped: bytes) -> bool:
        """Replace how a key is wrapped; False where it is not what it was any more."""
        with self._asking():
            return bool(self._db.execute(_SQL["rewrap"], (provider, wrapped, key.no, key.wrapped)).rowcount)

    def destroy(self, owner: str) -> int:
        """Destroy all keys of an owner; how many there were. Durable and overwritten when it returns."""
        with self._asking(), transaction(self._db):
            return self._note(self._db.execute(_SQL["destroy"], (owner,)).fetchall())

    def give_up(self, keys: Iterable[WrappedKey]) -> int:
        """Destroy these, but those that were wrapped otherwise since; how many. As ``destroy`` otherwise."""
        with self._asking(), transaction(self._db):
            gone = [self._db.execute(_SQL["give_up"], (key.no, key.wrapped)).fetchone() for key in keys]
            return self._note([each for each in gone if each is not None])

    def was_destroyed(self, key_id: bytes) -> bool:
        """Whether there was such a key, and its owner was erased."""
        with self._asking():
            return bool(self._db.execute(_SQL["was_destroyed"], (key_id,)).fetchone()[0])

    def owners(self, prefix: str) -> int:
        """How many owners begin so."""
        with self._asking():
            (count,) = self._db.execute(_SQL["owners"], (prefix, prefix + "\U0010ffff")).fetchone()
            return int(count)

    def owners_named(self, prefix: str) -> list[str]:
        """Those who begin so."""
        with self._asking():
            return [owner for (owner,) in self._db.execute(_SQL["owners_named"], (prefix, prefix + "\U0010ffff"))]

    def count(self) -> dict[str, int]:
        """Keys by provider."""
        with self._asking():
            return dict(self._db.execute(_SQL["count"]).fetchall())

    def changed(self) -> bool:
        """Whether another process, or another connection, has written since this was last asked."""
        with self._asking():
            version, self._version = self._version, self._data_version()
            return version != self._version

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody adds or wraps a key meanwhile, in any process."""
        with self._asking(), transaction(self._db):
            yield

    def close(self) -> None:
        """Release the file."""
        with self._turn:
            self._db.close()

    def _note(self, gone: list[tuple[bytes]]) -> int:
        """Inside a transaction: ids of keys that are destroyed are kept."""
        if gone:
            self._db.executemany(_SQL["note_destroyed"], gone)
            self._db.execute(_SQL["destroyed"])
        return len(gone)

    def _data_version(self) -> int:
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def _one(self, which: str, bindings: tuple[Any, ...]) -> WrappedKey | None:
        with self._asking():
            row = self._db.execute(_SQL[which], bindings).fetchone()
            return None if row is None else WrappedKey(*row)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        with self._turn:
            try:
                yield
            except sqlite3.Error as error:
                raise StoreError(f"{self.path} cannot be used: {error}", hint=fix_of(error)) from error
