"""What one set of a backup holds, as a file: pure values, and their form on the disk."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final, Self

from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.model.times import iso

FORMAT: Final = 1
"""Of the place and its manifests. A newer one is refused, older ones are read."""


class DamagedBackupError(HealthSyncError):
    """Something of a backup is not as it was written, or is missing."""

    reason = "backup_damaged"


class UnfitBackupError(HealthSyncError):
    """Parts that were handed in do not belong together, or not to this program."""

    reason = "backup_unfit"


class FileKind(StrEnum):
    """How a file was read."""

    #: as it is
    plain = "plain"
    #: a SQLite database, as it was at one moment
    database = "database"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """One file of a set. ``chunks`` are the SHA-256 of its pieces, in order; ``path`` is from the data directory on."""

    path: str
    kind: FileKind
    size: int
    sha256: str
    chunks: tuple[str, ...]
    schema: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPlace:
    """Which event log, and how far it went."""

    epoch: str
    head: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSet:
    """One consistent set. ``mac`` is made with a key of the installation; empty where that was not to be had.

    ``erased`` are the erasures that were complete before the first file was read. No restore goes by them any more.
    """

    id: str
    made_us: int
    program: str
    log: LogPlace | None
    erased: tuple[str, ...]
    files: tuple[KeptFile, ...]
    mac: str = ""

    @property
    def made_at(self) -> str:
        """When, for people."""
        return iso(self.made_us)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(each.size for each in self.files)

    def chunks(self) -> frozenset[str]:
        """Everything that its files are made of."""
        return frozenset(chunk for each in self.files for chunk in each.chunks)

    def file(self, path: str) -> KeptFile | None:
        """One file of it."""
        return next((each for each in self.files if each.path == path), None)

    def signed(self, key: bytes) -> "BackupSet":
        """The same, with the mark of an installation."""
        return replace(self, mac=self._mac(key))

    def made_with(self, key: bytes) -> bool:
        """Whether it is a set of the installation that has this key; True where it has no mark."""
        return not self.mac or hmac.compare_digest(self.mac, self._mac(key))

    def encode(self) -> bytes:
        """Its form on the disk; the last line's digest is of all before it."""
        content = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return json.dumps({"format": FORMAT, "set": content, "sha256": _digest(content)}).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes, name: str) -> Self:
        """What ``encode`` wrote. DamagedBackupError, or UnfitBackupError for one of a newer program."""
        try:
            outer = json.loads(data)
            form, content = outer["format"], outer["set"]
            if isinstance(form, int) and form > FORMAT:
                raise UnfitBackupError(
                    f"the set {name} was made by a newer version of this program", hint="restore it with that version"
                )
            if not hmac.compare_digest(_digest(content), outer["sha256"]):
                raise _damaged(name)
            return cls(**_read(json.loads(content)))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise _damaged(name) from None

    def _mac(self, key: bytes) -> str:
        content = json.dumps(asdict(replace(self, mac="")), sort_keys=True, separators=(",", ":"))
        return hmac.digest(key, b"backup\0" + content.encode(), hashlib.sha256).hex()


def _read(values: Mapping[str, Any]) -> dict[str, Any]:
    log = values["log"]
    files = tuple(
        KeptFile(**each | {"kind": FileKind(each["kind"]), "chunks": tuple(each["chunks"])}) for each in values["files"]
    )
    return dict(values) | {
        "log": None if log is None else LogPlace(**log),
        "erased": tuple(values["erased"]),
        "files": files,
    }


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def _damaged(name: str) -> DamagedBackupError:
    return DamagedBackupError(
        f"the manifest of the set {name} is damaged", hint="use another set: healthsync backup list DIR"
    )
