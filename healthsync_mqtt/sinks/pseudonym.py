"""Users as sinks know them: HMAC-SHA256 of a random salt that is kept per user and can be deleted.

Whoever reads the bucket learns nothing about the user's name, and once the salt is deleted nobody can tell whose
points they were; a new salt gives a new pseudonym. One file serves all sinks. A salt that is lost is never replaced
silently: the points written with it would belong to nobody, and could not be erased.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Self

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.sinks.database import Database

_PURPOSE = b"influx"
_BYTES = 12
_LOST = (
    "restore sinks/pseudonyms.db from a backup; to begin anew: healthsync sink remove NAME, add it with an empty bucket"
)


class LostPseudonymError(StoreError):
    """The salt that points were written with is gone. It is not minted again: the old points would be nobody's."""

    reason = "pseudonym_lost"


class Pseudonyms:
    """The salts (pseudonyms.db). Any number of processes; a pseudonym is durable before it is returned.

    ``known`` says whether points of a user were made already: such a user is given no new salt.
    """

    def __init__(self, database: Database, known: Callable[[str], bool]) -> None:
        """Use ``open``."""
        self._database = database
        self._known = known
        self._pseudonyms: dict[str, str] = {}
        #: Which file this is.
        self.identity: str = database.rows("identity")[0][0]

    @classmethod
    def open(cls, path: Path, *, known: Callable[[str], bool] = lambda _user: False) -> Self:
        """Open or create, mode 0600. StoreError when it cannot be used."""
        return cls(Database.open(path, "pseudonyms", "the pseudonyms"), known)

    def of(self, user: str) -> str:
        """The pseudonym of a user, 24 hexadecimal digits; minted at the first call. LostPseudonymError."""
        pseudonym = self._pseudonyms.get(user)
        if pseudonym is None:
            digest = hmac.digest(self._salt(user), _PURPOSE, hashlib.sha256)
            pseudonym = self._pseudonyms[user] = digest[:_BYTES].hex()
        return pseudonym

    def forget(self, user: str) -> bool:
        """Delete the salt; True when there was one. Processes that know the pseudonym forget it when they restart."""
        self._pseudonyms.pop(user, None)
        self._database.write("remember_forgotten", [(self._mark(user),)])
        return self._database.write("forget", [(user,)]) > 0

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _salt(self, user: str) -> bytes:
        rows = self._database.rows("salt", user)
        if not rows:
            if self._known(user) and not self._database.rows("is_forgotten", self._mark(user)):
                raise LostPseudonymError("the salt of a user whose points were shipped is gone", hint=_LOST)
            self._database.write("mint", [(user, secrets.token_bytes(32))])
            rows = self._database.rows("salt", user)
        salt: bytes = rows[0][0]
        return salt

    def _mark(self, user: str) -> bytes:
        return hmac.digest(bytes.fromhex(self.identity), user.encode(), hashlib.sha256)


def lost(path: Path) -> LostPseudonymError:
    """The error for a file that is not the one which the bucket was written with."""
    return LostPseudonymError(f"{path} is not the file that this sink's points were written with", hint=_LOST)
