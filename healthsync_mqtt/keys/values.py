"""Values of the small databases beside the log, sealed and opened by functions in their SQL statements.

``sealed(value, user, *place)`` is what is stored, ``opened(stored, user, *place)`` the value again; user "" is the
service itself. ``marked(value, user)`` is bytes by which a row is found. What is empty stays empty. Bytes stay bytes
and text stays text, so a schema means what it meant.

A file is sealed throughout or not at all. Whoever writes it converts it when it is opened, or when it hears that the
log is sealed now, in one transaction, and its header says that it is done: from then on a value that is not sealed is
found out. Who has not looked at the header since reads either, and looks before it writes.
"""

import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from healthsync_mqtt.errors import HealthSyncError, UnavailableError
from healthsync_mqtt.keys.faults import KeyDestroyedError, KeyUnavailableError, TamperedError
from healthsync_mqtt.keys.opening import has_ring, ring_of
from healthsync_mqtt.keys.ring import KeyRing
from healthsync_mqtt.keys.sealed_bytes import OVERHEAD, key_id_of

#: "HSSV" in the file's header: its values are sealed.
_SEALED: Final = 0x48535356
_TEXT: Final = "\x01"
_pack: Final = msgspec.msgpack.encode

Value = bytes | str | None


class ValueSealing:
    """Of one open file in a data directory. ``name`` is the file's, and part of what values are bound to."""

    def __init__(self, data: Path, name: str) -> None:
        self._data = data
        self._name = name
        self._ring: KeyRing | None = None
        self._fault: HealthSyncError | None = None
        #: whether what is written is sealed
        self.on = False
        self._connection: sqlite3.Connection | None = None
        #: how what is there is sealed, by who writes the file
        self._older: Sequence[str] | None = None

    @classmethod
    def reading(cls, connection: sqlite3.Connection, data: Path, name: str) -> "ValueSealing":
        """For whoever only reads the file."""
        made = cls(data, name)
        made._install(connection)
        made.refresh()
        return made

    @classmethod
    def writing(cls, connection: sqlite3.Connection, data: Path, name: str, older: Sequence[str]) -> "ValueSealing":
        """For whoever writes it; ``older`` are the statements that seal what is there as it is. StoreError."""
        made = cls(data, name)
        made._install(connection)
        made._older = older
        with made.asking():
            return made

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around statements: what went wrong with a key is raised as that. Hears what ``refresh`` does."""
        try:
            self.refresh()
            yield
        except sqlite3.Error:
            fault, self._fault = self._fault, None
            if fault is not None:
                raise fault from None
            raise

    def refresh(self) -> None:
        """Hear what other processes destroyed, and whether the file is sealed now: who writes it may do that here."""
        if self._ring is not None:
            self._ring.refresh()
        if self.on or self._connection is None:
            return
        self.on = _is_sealed(self._connection)
        if not self.on and self._older is not None and not self._connection.in_transaction and self.is_due():
            self._convert(self._connection, self._older)

    def is_due(self) -> bool:
        """Whether the file is to be sealed, and is not. As far as ``refresh`` has heard."""
        return not self.on and (self._ring is not None or has_ring(self._data)) and self._at_hand().seals_files

    def seal(self, value: Value, user: str, *place: object) -> Value:
        """What is stored of a value."""
        if not value or not self.seals():
            return value
        content = value.encode() if isinstance(value, str) else value
        ring, context = self._at_hand(), self._context(place)
        sealed = ring.seal(user, content, context) if user else ring.seal_service(self._name, content, context)
        return sealed if isinstance(value, bytes) else _TEXT + b64encode(sealed).decode()

    def open(self, stored: Value, user: str, *place: object) -> Value:
        """The value again; None when its key was destroyed. TamperedError for what was not sealed for this place."""
        if not stored:
            return stored
        sealed = _sealed_bytes(stored)
        if sealed is None:
            if self.on:
                raise TamperedError(f"a value of {self._name}")
            return stored
        ring, context = self._at_hand(), self._context(place)
        try:
            content = ring.open(user, sealed, context) if user else ring.open_service(self._name, sealed, context)
        except KeyDestroyedError:
            return None
        except TamperedError:
            raise TamperedError(f"a value of {self._name}") from None
        return content if isinstance(stored, bytes) else content.decode()

    def mark(self, data: bytes, user: str) -> bytes:
        """A digest by which equal bytes are known; when the file is sealed nobody tries it out without the key."""
        if not data or not self.seals():
            return data
        ring = self._at_hand()
        return ring.mark(user, data) if user else ring.mark_service(self._name, data)

    def _marked(self, value: Value, user: str) -> bytes:
        return self.mark(value.encode() if isinstance(value, str) else value or b"", user)

    def seals(self) -> bool:
        """Whether what is written is sealed. For inside of a transaction: the file may have been sealed just before."""
        if not self.on and self._connection is not None:
            self.on = _is_sealed(self._connection)
        return self.on

    def _install(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.create_function("sealed", -1, self._noting(self.seal))
        connection.create_function("opened", -1, self._noting(self.open))
        connection.create_function("marked", 2, self._noting(self._marked))

    def _noting(self, function: Callable[..., Value]) -> Callable[..., Value]:
        """SQLite only says that a function failed, so the fault is kept for ``asking``."""

        def noting(value: Value, user: str, *place: object) -> Value:
            try:
                return function(value, user, *place)
            except HealthSyncError as error:
                self._fault = error
                raise

        return noting

    def _convert(self, connection: sqlite3.Connection, older: Sequence[str]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Under the lock: another process may have been first.
            if not _is_sealed(connection):
                self.on = True
                for statement in older:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id={_SEALED}")
            connection.execute("COMMIT")
        except BaseException:
            self.on = False
            connection.execute("ROLLBACK")
            raise
        self.on = True
        # A journal that is written ahead has what was there before. Beside a reader the last one to close does it.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _at_hand(self) -> KeyRing:
        if self._ring is None:
            try:
                self._ring = ring_of(self._data)
            except UnavailableError as error:
                raise KeyUnavailableError(str(error), hint=error.hint) from error
        return self._ring

    def _context(self, place: Sequence[object]) -> bytes:
        return _pack((self._name, *place))


def _is_sealed(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA application_id").fetchone()[0] == _SEALED)


def _sealed_bytes(stored: bytes | str) -> bytes | None:
    """The sealed bytes in what is stored; None: it is stored as it is."""
    if isinstance(stored, str):
        if not stored.startswith(_TEXT):
            return None
        try:
            return b64decode(stored[1:], validate=True)
        except ValueError:
            return None
    if len(stored) < OVERHEAD:
        return None
    try:
        key_id_of(stored)
    except TamperedError:
        return None
    return stored
