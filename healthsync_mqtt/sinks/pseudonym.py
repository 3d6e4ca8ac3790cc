"""Users as sinks know them: HMAC-SHA256 of a random salt that is kept per user and can be deleted.

Whoever reads the bucket learns nothing about the user's name, and once the salt is deleted nobody can tell whose
points they were; a new salt gives a new pseudonym. One file serves all sinks.
"""

import hashlib
import hmac
import secrets
import sqlite3
from pathlib import Path
from typing import Self

from healthsync_mqtt.config.private_files import create_private
from healthsync_mqtt.errors import StoreError

_PURPOSE = b"influx"
_BYTES = 12


class Pseudonyms:
    """The salts (pseudonyms.db). Any number of processes; a pseudonym is durable before it is returned."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[str, str] = {}

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create, mode 0600. StoreError when it cannot be used."""
        create_private(path)
        try:
            connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS salt (user TEXT PRIMARY KEY, salt BLOB NOT NULL) STRICT, WITHOUT ROWID"
            )
        except sqlite3.Error as error:
            raise StoreError(f"{path} cannot be used: {error}", hint="is the disk full?") from error
        return cls(connection)

    def of(self, user: str) -> str:
        """The pseudonym of a user, 24 hexadecimal digits; minted at the first call."""
        known = self._known.get(user)
        if known is None:
            try:
                salt = self._salt(user)
            except sqlite3.Error as error:
                raise StoreError(f"the pseudonyms cannot be used: {error}", hint="is the disk full?") from error
            digest = hmac.digest(salt, _PURPOSE, hashlib.sha256)
            known = self._known[user] = digest[:_BYTES].hex()
        return known

    def forget(self, user: str) -> bool:
        """Delete the salt; True when there was one. Processes that know the pseudonym forget it when they restart."""
        self._known.pop(user, None)
        return self._connection.execute("DELETE FROM salt WHERE user = ?", (user,)).rowcount > 0

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _salt(self, user: str) -> bytes:
        query = "SELECT salt FROM salt WHERE user = ?"
        row = self._connection.execute(query, (user,)).fetchone()
        if row is None:
            self._connection.execute("INSERT OR IGNORE INTO salt VALUES (?, ?)", (user, secrets.token_bytes(32)))
            row = self._connection.execute(query, (user,)).fetchone()
        salt: bytes = row[0]
        return salt
