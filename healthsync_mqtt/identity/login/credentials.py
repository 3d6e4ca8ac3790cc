"""Credentials that do not expire: for the bridges and canaries, and for devices of brokers that verify no tokens.

One private file a client id in ``credentials/`` of the data directory. The client id, username and password that a
device got from a provisioned broker are also accepted by the access hooks and by the embedded broker, so that moving
between brokers changes nothing on the device.

A password is good for one epoch of its holder, which it names: whatever revokes the holder's tokens (``token revoke``,
a removal) raises the epoch, and voids the password with them. One that names none is of epoch 0.
"""

import hmac
import secrets
from dataclasses import dataclass
from pathlib import Path

from healthsync_mqtt.config.private_files import (
    directory_lock,
    make_private_directory,
    read_private,
    unfinished,
    write_durably,
)
from healthsync_mqtt.errors import ConfigError, Noun, UnknownNameError
from healthsync_mqtt.topics.grammar import is_id

_BYTES = 32
_MARK = "~"
"""Between the epoch and the rest of a password; the rest has none."""


@dataclass(frozen=True, slots=True)
class CredentialStore:
    """The credentials of one data directory. Nothing is created before the first is needed."""

    directory: Path

    def ensure(self, client_id: str, epoch: int = 0) -> tuple[str, bool]:
        """The credential of a client id in its holder's ``epoch``, and whether a broker has not been ``told`` of it."""
        known = self._good(client_id, epoch)
        if known is None:
            make_private_directory(self.directory)
            with directory_lock(self.directory):  # who else needs it makes no other one at the same time
                known = self._good(client_id, epoch) or self._made(client_id, epoch)
        return known, self._untold(client_id).exists()

    def rotate(self, client_id: str, epoch: int = 0) -> str:
        """Make a new credential; the old one is void here at once, and at a broker that is told."""
        make_private_directory(self.directory)
        with directory_lock(self.directory):
            return self._made(client_id, epoch)

    def _good(self, client_id: str, epoch: int) -> str | None:
        known = self.find(client_id)
        return known if known is not None and epoch_of(known) >= epoch else None

    def _made(self, client_id: str, epoch: int) -> str:
        made = secrets.token_urlsafe(_BYTES)
        if epoch:
            made = f"{epoch}{_MARK}{made}"
        write_durably(self._untold(client_id), b"")  # first: a crash in between tells a broker what it knows
        write_durably(self._path(client_id), made.encode())
        return made

    def told(self, client_id: str, password: str) -> None:
        """The broker knows this credential; another one that was made meanwhile it does not."""
        if self._untold(client_id).exists():
            with directory_lock(self.directory):
                if self.find(client_id) == password:
                    self._untold(client_id).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """The client ids that have a credential."""
        if not self.directory.is_dir():
            return []
        return sorted(path.name for path in self.directory.iterdir() if is_id(path.name))

    def find(self, client_id: str) -> str | None:
        """The credential of a client id; ConfigError when its file is readable by others."""
        path = self._path(client_id)
        return read_private(path).decode("ascii", "replace").strip() if path.exists() else None

    def need(self, client_id: str, hint: str) -> str:
        """The credential of a client id; NotFoundError with ``hint`` when there is none."""
        found = self.find(client_id)
        if found is None:
            message = f"there is no credential for {client_id} in {self.directory}"
            raise UnknownNameError(Noun.password, client_id, message, hint=hint)
        return found

    def forget(self, client_id: str) -> None:
        """Nothing here names a client id, whoever was killed while writing; whoever needs a credential gets another."""
        for path in (self._path(client_id), self._untold(client_id)):
            for each in (path, *unfinished(self.directory, path.name)):
                each.unlink(missing_ok=True)

    def fits(self, client_id: str, password: bytes) -> bool:
        """Whether ``password`` is the client id's credential; takes the same time whichever byte differs."""
        if not is_id(client_id):
            return False
        known = self.find(client_id)
        return known is not None and hmac.compare_digest(known.encode(), password)

    def _untold(self, client_id: str) -> Path:
        return self.directory / f".untold.{client_id}"

    def _path(self, client_id: str) -> Path:
        if not is_id(client_id):
            raise ConfigError("a credential is kept for an id only", hint="use A-Z a-z 0-9 - _")
        return self.directory / client_id


def epoch_of(password: str) -> int:
    """The epoch of its holder that a password is good for."""
    epoch, mark, _ = password.partition(_MARK)
    return int(epoch) if mark and epoch.isdecimal() else 0
