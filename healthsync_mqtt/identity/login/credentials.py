"""Credentials that do not expire: for the bridges and canaries, and for devices of brokers that verify no tokens.

One private file a client id in ``credentials/`` of the data directory. The client id, username and password that a
device got from a provisioned broker are also accepted by the access hooks and by the embedded broker, so that moving
between brokers changes nothing on the device.
"""

import hmac
import secrets
from dataclasses import dataclass
from pathlib import Path

from healthsync_mqtt.config.private_files import make_private_directory, read_private, write_durably
from healthsync_mqtt.errors import ConfigError, NotFoundError
from healthsync_mqtt.topics.grammar import is_id

_BYTES = 32


@dataclass(frozen=True, slots=True)
class CredentialStore:
    """The credentials of one data directory. Nothing is created before the first is needed."""

    directory: Path

    def ensure(self, client_id: str) -> tuple[str, bool]:
        """The credential of a client id, and whether it had to be made."""
        known = self.find(client_id)
        if known is not None:
            return known, False
        make_private_directory(self.directory)
        made = secrets.token_urlsafe(_BYTES)
        write_durably(self._path(client_id), made.encode())
        return made, True

    def find(self, client_id: str) -> str | None:
        """The credential of a client id; ConfigError when its file is readable by others."""
        path = self._path(client_id)
        return read_private(path).decode("ascii", "replace").strip() if path.exists() else None

    def need(self, client_id: str, hint: str) -> str:
        """The credential of a client id; NotFoundError with ``hint`` when there is none."""
        found = self.find(client_id)
        if found is None:
            raise NotFoundError(f"there is no credential for {client_id} in {self.directory}", hint=hint)
        return found

    def forget(self, client_id: str) -> None:
        """Remove a credential; whoever needs it again gets another one."""
        self._path(client_id).unlink(missing_ok=True)

    def fits(self, client_id: str, password: bytes) -> bool:
        """Whether ``password`` is the client id's credential; takes the same time whichever byte differs."""
        if not is_id(client_id):
            return False
        known = self.find(client_id)
        return known is not None and hmac.compare_digest(known.encode(), password)

    def _path(self, client_id: str) -> Path:
        if not is_id(client_id):
            raise ConfigError("a credential is kept for an id only", hint="use A-Z a-z 0-9 - _")
        return self.directory / client_id
