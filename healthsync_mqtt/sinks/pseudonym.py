"""Users as sinks know them: HMAC-SHA256 of a salt that is kept per user and can be deleted.

A new user's salt is made of a secret that all bridges of an installation share, so that each of them knows the user by
the same name; who was forgotten once gets a random one.

Whoever reads the bucket learns nothing about the user's name, and once the salt is deleted nobody can tell whose
points they were; a new salt gives a new pseudonym. One file serves all sinks. A salt that is lost is never replaced
silently: the points written with it would belong to nobody, and could not be erased.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

from healthsync_mqtt.errors import ConflictError, StoreError
from healthsync_mqtt.sinks.database import Database

_PURPOSE = b"influx"
_BYTES = 12
_LOST = (
    "restore sinks/pseudonyms.db from a backup; to begin anew: healthsync sink remove NAME --yes, then add it with an "
    "empty bucket"
)


class LostPseudonymError(StoreError):
    """The salt that points were written with is gone. It is not minted again: the old points would be nobody's."""

    reason = "pseudonym_lost"


class Names(NamedTuple):
    """What salts are made of, and those that were made."""

    secret: bytes
    salts: dict[str, bytes]


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

    def names(self) -> "Names":
        """What another bridge of the installation has to know. It is secret."""
        return Names(self._database.rows("secret")[0][0], dict(self._database.rows("salts")))

    def join(self, names: "Names") -> None:
        """Know everybody under these names, and those who come. ConflictError when points were written otherwise."""
        own = self.names().salts
        differing = [user for user, salt in names.salts.items() if own.get(user, salt) != salt and self._known(user)]
        if differing:
            raise ConflictError(
                f"points of {len(differing)} users were written under other pseudonyms here than there",
                hint="healthsync sink remove NAME --yes, then add it with an empty bucket, and join",
            )
        self._pseudonyms.clear()
        self._database.write("share_secret", [(names.secret,)])
        self._database.write("take_salt", names.salts.items())

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _salt(self, user: str) -> bytes:
        rows = self._database.rows("salt", user)
        if not rows:
            forgotten = bool(self._database.rows("is_forgotten", self._mark(user)))
            if self._known(user) and not forgotten:
                raise LostPseudonymError("the salt of a user whose points were shipped is gone", hint=_LOST)
            secret: bytes = self._database.rows("secret")[0][0]
            salt = secrets.token_bytes(32) if forgotten else hmac.digest(secret, user.encode(), hashlib.sha256)
            self._database.write("mint", [(user, salt)])
            rows = self._database.rows("salt", user)
        return bytes(rows[0][0])

    def _mark(self, user: str) -> bytes:
        return hmac.digest(bytes.fromhex(self.identity), user.encode(), hashlib.sha256)


def lost(path: Path) -> LostPseudonymError:
    """The error for a file that is not the one which the bucket was written with, or not there."""
    wrong = "is not the file" if path.exists() else "is gone, the file"
    return LostPseudonymError(f"{path} {wrong} that this sink's points were written with", hint=_LOST)
