"""Logins with a credential: what a device got from a provisioned broker is good here too."""

import contextlib
import hmac
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.identity.login.credentials import CredentialStore, epoch_of
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.proof import Answer, Denied, Login, Proof

_LOGIN_S: Final = 86_400.0
"""A login with a credential is looked at again after this time, as long as the longest token lives."""
_SETTLED_NS: Final = 2_000_000_000
"""A folder that was changed more recently may change again without another time of change."""

_LOOK_AGAIN_NS: Final = 30_000_000_000
"""Modes are no change of the folder, so all files are looked at as often as this."""

_Mark = tuple[int, int]


class CredentialLogin:
    """The credentials of a data directory, held in memory; ``catch_up`` reads those that are new or other ones."""

    def __init__(
        self, directory: Directory, store: CredentialStore, *, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._directory = directory
        self._store = store
        self._clock_ns = clock_ns
        self._folder: int | None = None
        self._looked_ns = 0
        self._known: dict[str, tuple[_Mark, bytes]] = {}
        self.catch_up()

    def answer(self, proof: Proof, now: float) -> Answer:
        """For a password without a dot, which every token has, under the client id of somebody who may connect."""
        principal = self._directory.principal(proof.client_id)
        if proof.password is None or b"." in proof.password or principal is None:
            return None
        _, known = self._known.get(proof.client_id, (None, b""))
        fits = hmac.compare_digest(known, proof.password) and known != b""
        if proof.username != proof.client_id or not fits:
            return Denied("the credential does not fit", perhaps_new=not known)
        if epoch_of(known.decode("ascii", "replace")) < self._directory.epoch(principal):
            return Denied("the credential is older than a revocation")
        return Login(principal=principal, expires_at=now + _LOGIN_S, jti="credential")

    def catch_up(self) -> None:
        """Read what changed in the folder. Blocks for a look at it, and for a file for each change.

        ConfigError: what was last read holds.
        """
        try:
            self._look()
        except OSError as error:
            raise ConfigError(
                f"the credentials in {self._store.directory} cannot be read: {error.strerror}",
                hint="see: healthsync doctor",
            ) from error

    def _look(self) -> None:
        folder = self._store.directory
        try:
            changed_ns = folder.stat().st_mtime_ns
        except FileNotFoundError:
            self._known, self._folder = {}, None
            return
        now_ns = self._clock_ns()
        if changed_ns == self._folder and 0 <= now_ns - self._looked_ns < _LOOK_AGAIN_NS:
            return
        found = {path.name: path for path in folder.iterdir() if not path.name.startswith(".")}
        known: dict[str, tuple[_Mark, bytes]] = {}
        for name, path in found.items():
            with contextlib.suppress(FileNotFoundError, ConfigError):  # gone again, or open to others: nobody's proof
                known[name] = self._read(name, path)
        self._known = known
        self._folder = changed_ns if now_ns - changed_ns > _SETTLED_NS else None
        self._looked_ns = now_ns

    def _read(self, name: str, path: Path) -> tuple[_Mark, bytes]:
        info = path.lstat()
        mark = info.st_ino, info.st_ctime_ns  # a change of mode counts too
        before = self._known.get(name)
        if before is not None and before[0] == mark:
            return before
        return mark, self._store.need(name, "").encode()
