"""Where sets lie: a directory that grows by what is new, or one file with one set.

``objects/`` has the pieces of files by their SHA-256, each once for all sets; ``sets/`` the manifests. A piece is never
changed, and a set is there when its manifest is: whoever is killed leaves pieces that no set needs, and nothing else.
"""

import contextlib
import hashlib
import json
import os
import secrets
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from healthsync_mqtt.backup.manifest import FORMAT, BackupSet, DamagedBackupError, UnfitBackupError
from healthsync_mqtt.config.file_turn import FileTurn
from healthsync_mqtt.config.private_files import make_private_directory, sync_directory, write_durably
from healthsync_mqtt.errors import ConfigError, NotFoundError, StoreError, UnavailableError

_MARK: Final = "healthsync-backup.json"
_TOGETHER: Final = 1024
"""Pieces that are made durable at once: a million new events, for whose syncs nobody holds the log."""


class Misplacement(NamedTuple):
    """Why something must not lie where it is to be put, and what to do instead."""

    message: str
    hint: str


def misplaced(data: Path, place: Path, keys: Path | None) -> Misplacement | None:
    """What is wrong with where a data directory's backups, or keys, are to go, whatever links it is named by."""
    inside, sets = data.resolve(), place.resolve()
    if sets.is_relative_to(inside):
        return Misplacement(f"{place} lies in {data}, and would be lost with it", "name a place on another disk")
    if keys is not None and (keys.resolve().is_relative_to(inside) or keys.resolve().is_relative_to(sets)):
        return Misplacement(f"{keys} is no place apart", "keep the keys outside of the data and of the backup")
    return None


class BackupSource(Protocol):
    """What sets are read from."""

    def ids(self) -> list[str]:
        """The sets, oldest first."""

    def read_set(self, name: str) -> BackupSet:
        """One of them. NotFoundError, DamagedBackupError, UnfitBackupError."""

    def read_piece(self, digest: str) -> bytes:
        """A piece of a file. DamagedBackupError where it is missing; whether it is right is the caller's question."""


class BackupDirectory:
    """A directory of sets."""

    def __init__(self, path: Path) -> None:
        """Use ``open`` or ``make``."""
        self.path = path
        #: pieces without a name, and which one each gets
        self._fresh: list[tuple[Path, Path]] = []
        #: where names are that are not durable
        self._named: set[Path] = set()

    @classmethod
    def open(cls, path: Path) -> "BackupDirectory":
        """One that is there. NotFoundError, UnfitBackupError."""
        try:
            mark = json.loads((path / _MARK).read_bytes())
            form = mark["format"]
        except FileNotFoundError:
            raise NotFoundError(f"{path} is no backup", hint=f"make one: healthsync backup create {path}") from None
        except (OSError, ValueError, TypeError, KeyError):
            raise DamagedBackupError(
                f"{path / _MARK} cannot be read", hint="put it back: every backup has the same"
            ) from None
        if form > FORMAT:
            raise UnfitBackupError(f"{path} was made by a newer version of this program", hint="use that version")
        return cls(path)

    @classmethod
    def make(cls, path: Path) -> "BackupDirectory":
        """One that is there, or a new one in an empty directory. ConfigError for a directory of something else."""
        if not (path / _MARK).exists():
            make_private_directory(path)
            if any(path.iterdir()):
                raise ConfigError(
                    f"{path} holds other files and no backup", hint="name an empty directory, or a new one"
                )
            for each in ("sets", "objects"):
                make_private_directory(path / each)
            write_durably(path / _MARK, json.dumps({"format": FORMAT}).encode() + b"\n")
        made = cls.open(path)
        for each in ("sets", "objects"):  # whoever made it may have been killed in between
            make_private_directory(path / each)
        return made

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else writes or takes away here. UnavailableError when somebody does."""
        turn = FileTurn(self.path / ".lock")
        if not turn.take():
            raise UnavailableError(
                f"another process makes a backup in {self.path}", hint="wait for it, or name another directory"
            )
        try:
            yield
        finally:
            turn.leave()

    def ids(self) -> list[str]:
        """See ``BackupSource``: a set's name begins with its number."""
        return sorted(each.stem for each in (self.path / "sets").glob("*.json"))

    def read_set(self, name: str) -> BackupSet:
        """See ``BackupSource``."""
        try:
            data = self._manifest(name).read_bytes()
        except FileNotFoundError:
            raise _no_set(name, self.path, self.ids()) from None
        return BackupSet.decode(data, name)

    def read_piece(self, digest: str) -> bytes:
        """See ``BackupSource``."""
        try:
            return self._piece(digest).read_bytes()
        except FileNotFoundError:
            raise _no_piece(digest, self.path) from None

    def has(self, digest: str, size: int) -> bool:
        """Whether a piece is there, with its size."""
        try:
            return self._piece(digest).stat().st_size == size
        except FileNotFoundError:
            return False

    def put(self, digest: str, data: bytes) -> None:
        """Write a piece; it is there after ``flush``. StoreError where there is no room."""
        path = self._piece(digest)
        with _disk_told(self.path):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            temporary = path.with_name(f".{digest[:16]}.{secrets.token_hex(4)}")
            descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            self._fresh.append((temporary, path))
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
                # The disk begins now, so that syncs find most of it done; and what is read once is not cached.
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
        if len(self._fresh) >= _TOGETHER:
            self._name()

    def flush(self) -> None:
        """All pieces that were put are on the disk, and are there."""
        self._name()
        with _disk_told(self.path):
            if self._named:
                self._named.add(self.path / "objects")
            for folder in self._named:
                sync_directory(folder)
            self._named.clear()

    def give_up(self) -> None:
        """Forget what was put and not flushed."""
        fresh, self._fresh = self._fresh, []
        for temporary, _ in fresh:
            temporary.unlink(missing_ok=True)

    def _name(self) -> None:
        """What is in a piece is durable before the piece has its name."""
        with _disk_told(self.path):
            try:
                for temporary, path in self._fresh:
                    descriptor = os.open(temporary, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
                    try:
                        os.fsync(descriptor)
                    finally:
                        os.close(descriptor)
                    temporary.rename(path)
                    self._named.add(path.parent)
            finally:
                self.give_up()

    def drop_piece(self, digest: str) -> None:
        """A piece that is not what it should be is copied again by the next set."""
        self._piece(digest).unlink(missing_ok=True)

    def add_set(self, made: BackupSet) -> None:
        """The set is there when this returns."""
        with _disk_told(self.path):
            write_durably(self._manifest(made.id), made.encode())

    def remove_sets(self, names: Iterable[str]) -> None:
        """Take sets away; ``sweep`` takes what only they needed."""
        for name in names:
            self._manifest(name).unlink(missing_ok=True)
        sync_directory(self.path / "sets")

    def sweep(self) -> int:
        """Take away pieces that no set needs, and what a killed process left; how many bytes.

        DamagedBackupError, and nothing is taken, where a set does not say what it needs.
        """
        needed = frozenset().union(*(self.read_set(name).chunks() for name in self.ids()))
        freed = 0
        for path in (self.path / "objects").glob("*/*"):
            if path.name not in needed:
                freed += path.stat().st_size
                path.unlink()
        for path in (self.path / "sets").glob(".*"):
            path.unlink()
        return freed

    def _piece(self, digest: str) -> Path:
        return self.path / "objects" / digest[:2] / digest

    def _manifest(self, name: str) -> Path:
        return self.path / "sets" / f"{name}.json"


class BackupFile:
    """One set as a file, which is a tar of such a directory."""

    def __init__(self, path: Path) -> None:
        """NotFoundError, DamagedBackupError."""
        self.path = path
        try:
            with tarfile.open(path, "r:") as tar:
                self._members = {each.name: (each.offset_data, each.size) for each in tar if each.isfile()}
        except FileNotFoundError:
            raise NotFoundError(f"{path} is no backup", hint=f"make one: healthsync backup create {path}") from None
        except (tarfile.TarError, EOFError):
            raise DamagedBackupError(f"{path} is no backup, or was cut", hint="use another one") from None
        if _MARK not in self._members:
            raise NotFoundError(f"{path} is no backup", hint="name a directory of backups, or a file of one")

    def ids(self) -> list[str]:
        """See ``BackupSource``."""
        return sorted(
            name.removeprefix("sets/").removesuffix(".json") for name in self._members if name.startswith("sets/")
        )

    def read_set(self, name: str) -> BackupSet:
        """See ``BackupSource``."""
        data = self._read(f"sets/{name}.json")
        if data is None:
            raise _no_set(name, self.path, self.ids())
        return BackupSet.decode(data, name)

    def read_piece(self, digest: str) -> bytes:
        """See ``BackupSource``."""
        data = self._read(f"objects/{digest[:2]}/{digest}")
        if data is None:
            raise _no_piece(digest, self.path)
        return data

    def _read(self, name: str) -> bytes | None:
        if name not in self._members:
            return None
        offset, size = self._members[name]
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(size)


def open_backup(path: Path) -> BackupSource:
    """A directory or file of sets. NotFoundError, DamagedBackupError, UnfitBackupError."""
    return BackupDirectory.open(path) if path.is_dir() else BackupFile(path)


def pack(directory: BackupDirectory, file: Path) -> None:
    """Make one file of a directory, in one step."""
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with _disk_told(file.parent):
            descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                with tarfile.open(fileobj=stream, mode="w:", format=tarfile.PAX_FORMAT) as tar:
                    for path in (directory.path / _MARK, *sorted(directory.path.glob("[so]*/**/*"))):
                        if path.is_file():
                            tar.add(path, str(path.relative_to(directory.path)))
                stream.flush()
                os.fsync(stream.fileno())
            temporary.rename(file)
            sync_directory(file.parent)
    finally:
        temporary.unlink(missing_ok=True)


def digest_of(data: bytes) -> str:
    """The name of a piece."""
    return hashlib.sha256(data).hexdigest()


@contextlib.contextmanager
def _disk_told(where: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{where} cannot be written: {error.strerror or error}",
            hint="make room there, or name another place; what was there before is as it was",
        ) from error


def _no_set(name: str, path: Path, known: Sequence[str]) -> NotFoundError:
    return NotFoundError(
        f"there is no set {name} in {path}", hint=f"the newest is {known[-1]}" if known else "it is empty"
    )


def _no_piece(digest: str, path: Path) -> DamagedBackupError:
    return DamagedBackupError(
        f"a piece of a file is missing in {path}: {digest[:16]}", hint="use another set, or make a new one"
    )
