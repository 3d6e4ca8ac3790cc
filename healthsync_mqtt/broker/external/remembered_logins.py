"""Logins that the access hooks have allowed, in a file: what was revoked while they were down is found afterwards.

A line is added for each login, about once a second; the file is written anew when it has grown, and when somebody was
erased. What the last second before a crash allowed is not in it. There is no secret in it.
"""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from healthsync_mqtt.config.private_files import create_private, file_lock, read_private, unfinished, write_durably
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.model.principal import Principal

_SPARE: Final = 10_000


class Note(NamedTuple):
    """One login. ``rights`` names whom it let in, with what, in which epoch; ``identity`` whom, and in which epoch."""

    client_id: str
    rights: str
    expires_at: float
    jti: str | None
    kid: str | None
    identity: str = ""
    """"": it was noted by a release that knew no other."""


def rights_of(principal: Principal, epoch: int) -> str:
    """The same text as long as the principal may do the same, and nothing that it was given was revoked."""

    def listed(names: frozenset[str] | None) -> list[str] | None:
        return None if names is None else sorted(names)

    said = _identity(principal, epoch)
    said += [listed(principal.users), listed(principal.types), principal.batches]
    return _digest(said + sorted(principal.named))


def identity_of(principal: Principal, epoch: int) -> str:
    """The same text as long as it is the same one, who may read anything at all, and nothing was revoked."""
    reads = principal.users != frozenset() and principal.types != frozenset()
    return _digest([*_identity(principal, epoch), reads])


def _identity(principal: Principal, epoch: int) -> list[Any]:
    return [principal.role.value, principal.user, principal.device, principal.provider, epoch]


def _digest(said: list[Any]) -> str:
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]


class RememberedLogins:
    """The newest login of each client id.

    ``erased`` says which client ids are nobody's any more. It is asked while the file is held and before a name goes
    into it, so a name that is forgotten before ``forget_erased`` is called is not in it afterwards.
    """

    def __init__(self, path: Path, erased: Callable[[Iterable[str]], Collection[str]] = lambda _names: ()) -> None:
        self._path = path
        self._erased = erased
        self._lines = 0

    def read(self, now: float) -> dict[str, Note]:
        """What is not over; a line that a crash has cut is left out. HealthSyncError when it cannot be read."""
        if not self._path.exists():
            return {}
        notes = {note.client_id: note for line in self._lines_of_file() if (note := _note(line)) is not None}
        self._lines = len(notes)
        return {name: note for name, note in notes.items() if note.expires_at > now}

    def add(self, notes: Iterable[Note], all_of: Mapping[str, Note]) -> None:
        """On disk when this returns. ``all_of`` is what remains when the file is written anew.

        StoreError; UnavailableError when another process has the file for too long.
        """
        try:
            with file_lock(self._path):
                self._add(list(notes), all_of)
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written: {error.strerror}", hint="see: df, ls -l") from None

    def forget_erased(self) -> None:
        """Nothing of who was erased is in the file, nor in what a process left that was killed. As ``add``."""
        if not any(self._path.parent.glob(f"*{self._path.stem}.*")):  # no hooks were ever here
            return
        try:
            with file_lock(self._path):
                for left in unfinished(self._path.parent, self._path.name):
                    left.unlink(missing_ok=True)
                if self._path.exists():
                    found = [(note, line) for line in self._lines_of_file() if (note := _note(line)) is not None]
                    gone = self._erased({note.client_id for note, _ in found})
                    write_durably(
                        self._path, b"".join(b"%b\n" % line for note, line in found if note.client_id not in gone)
                    )
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written: {error.strerror}", hint="see: df, ls -l") from None

    def _add(self, notes: list[Note], all_of: Mapping[str, Note]) -> None:
        anew = self._lines + len(notes) > 2 * len(all_of) + _SPARE or not self._path.exists()
        named = list(all_of.values()) if anew else notes
        gone = self._erased(note.client_id for note in named)
        lines = [json.dumps(note) for note in named if note.client_id not in gone]
        if anew:
            write_durably(self._path, _text(lines))
            self._lines = 0
        else:
            create_private(self._path)
            with self._path.open("ab") as file:
                file.write(b"\n" + _text(lines))  # a line that a crash has cut ends here
                file.flush()
                os.fsync(file.fileno())
        self._lines += len(lines)

    def _lines_of_file(self) -> list[bytes]:
        return read_private(self._path).splitlines()


def _note(line: bytes) -> Note | None:
    """What a line says; None: it was cut."""
    try:
        client_id, rights, expires_at, jti, kid, *more = json.loads(line)
        return Note(str(client_id), str(rights), float(expires_at), jti, kid, str(more[0]) if more else "")
    except (ValueError, TypeError):
        return None


def _text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
