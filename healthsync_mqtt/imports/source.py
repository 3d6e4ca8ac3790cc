# long: files, folders, zips and gzips as one thing, and every bound on what they unfold to
"""What is imported: a file, a folder or a zip, as members that are read without being unpacked anywhere.

Nothing is written and no name of an archive is used as a path, so that no member can reach outside; what unfolds is
bounded, member by member and altogether.
"""

import contextlib
import gzip
import hashlib
import io
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import IO, Final

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.keys import spool
from healthsync_mqtt.model.text import printable

MOST_DOCUMENT: Final = 64 * 1024 * 1024
"""Bytes of a member that has to be read whole: a JSON document, a FIT file."""
_HEAD: Final = 65_536
_MOST_MEMBERS: Final = 500_000
_MOST_UNFOLDED: Final = 256 * 1024**3
_MOST_KEPT: Final = 4 * 1024**3
"""Bytes of all archives within archives, which are kept on the disk while they are read."""
_MOST_RATIO: Final = 200
_RATIO_FROM: Final = 64 * 1024 * 1024
"""Unfolded bytes from which the ratio counts: small texts fold better than any bomb."""
_IN_MEMORY: Final = 32 * 1024 * 1024
_DEEPEST: Final = 12
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)

_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_GZIP: Final = b"\x1f\x8b"


@dataclass(slots=True)
class Budget:
    """What one import may unfold to and keep, altogether; each archive in it alone may be as it should."""

    #: bytes on the disk that everything else unfolds from
    folded: int = 0
    unfolded: int = 0
    kept: int = 0

    @property
    def in_memory(self) -> int:
        """Bytes that may still be kept in memory."""
        return max(0, _IN_MEMORY - self.kept)

    def holds(self, unfolded: int) -> bool:
        """Count what is going to be unfolded; whether the budget has room for it."""
        self.unfolded += unfolded
        return self.unfolded <= min(_MOST_UNFOLDED, max(_RATIO_FROM, self.folded * _MOST_RATIO))

    def keeps(self, count: int) -> bool:
        """Count what is kept; whether the budget has room for it."""
        self.kept += count
        return self.kept <= _MOST_KEPT


class UnreadableError(Exception):
    """A member cannot be read, or not any further; the message says why."""


Find = Callable[[str], "Member | None"]
Moved = Callable[[int], None]


def _nobody(_count: int) -> None:
    """Nobody wants to know how far it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of what is imported: ``name`` is its path in it, with ``/``; ``size`` its bytes as far as they are said.

    ``find`` gives the file of a name in the same folder or archive, and None for one that is not in it.
    """

    name: str
    size: int
    opens: Callable[[], IO[bytes]] = field(repr=False, compare=False)
    find: Find = field(repr=False, compare=False)

    @property
    def shown(self) -> str:
        """Its name, safe to show."""
        return printable(self.name, 256)

    @contextlib.contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Its bytes from the beginning. What goes wrong while they are read raises UnreadableError."""
        try:
            with self.opens() as file:
                yield file
        except _BROKEN as error:
            raise UnreadableError(_why(error)) from None

    def head(self) -> bytes:
        """Its first bytes, or as many of them as can be read."""
        with contextlib.suppress(UnreadableError), self.open() as file:
            return file.read(_HEAD)
        return b""

    def whole(self, most: int = MOST_DOCUMENT) -> bytes:
        """All of its bytes. Raises UnreadableError, also for more than ``most``."""
        with self.open() as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise UnreadableError(f"it has more than {most // 1024**2} MiB, which is the most that is read at once")
        return content

    def unfolded(self, budget: Budget) -> "Member":
        """What a gzip holds; how much that is nobody knows before it is read."""
        furthest = 0

        def reached(count: int) -> None:
            nonlocal furthest
            further, furthest = max(0, count - furthest), max(count, furthest)
            if further and not budget.holds(further):
                raise _too_much(self.shown, budget)

        def opens() -> IO[bytes]:
            return io.BufferedReader(_Bounded(_Folded(self.opens()), self.size, reached), 1 << 18)

        return replace(self, name=self.name.removesuffix(".gz"), opens=opens)


def members_of(path: Path, opened: contextlib.ExitStack, moved: Moved = _nobody) -> Iterator[tuple[Member, bytes]]:
    """All members of a file, a folder or an archive with their first bytes, in the order of their names.

    They can be read until ``opened`` is closed. ``moved`` is told how many bytes were read of what is on the disk, from
    now on. Raises InputError for what cannot be read at all.
    """
    budget = Budget()
    try:
        folder = path if path.is_dir() else path.absolute().parent
        for each in _files_below(path) if path.is_dir() else (path,):
            member = _plain(each, folder, moved)
            budget.folded += member.size
            yield from _leaves(member, opened, budget)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", hint="check the path") from None


def _leaves(
    member: Member, opened: contextlib.ExitStack, budget: Budget, depth: int = 0
) -> Iterator[tuple[Member, bytes]]:
    """The member itself, or what it holds: a gzip one thing, a zip many."""
    head = member.head()
    if head[:2] == _GZIP:
        member = member.unfolded(budget)
        head = member.head() or head
    if head[:4] in _ZIP and depth < 2:
        yield from _of_zip(member, opened, budget, depth)
    else:
        yield member, head


def _files_below(folder: Path) -> Iterator[Path]:
    """Files in a folder and those in it, without following links."""
    count = 0
    for root, folders, files in os.walk(folder, followlinks=False):
        if len(Path(root).relative_to(folder).parts) >= _DEEPEST:
            folders.clear()
        folders.sort()
        for name in sorted(files):
            path = Path(root, name)
            if path.is_symlink() or not path.is_file():
                continue
            count += 1
            if count > _MOST_MEMBERS:
                message = f"{folder} has more than {_MOST_MEMBERS} files"
                raise InputError(message, hint="import one folder of it at a time")
            yield path


def _plain(path: Path, folder: Path, moved: Moved) -> Member:
    """A file on the disk; it may ask for others in its folder, and for none outside."""
    name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
    folder = folder.resolve()

    def find(name: str) -> Member | None:
        there = folder / name.lstrip("/")
        try:
            inside = there.resolve().is_relative_to(folder) and not there.is_symlink() and there.is_file()
        except (OSError, ValueError):
            return None
        return _plain(there.resolve(), folder, moved) if inside else None

    return Member(name=name, size=spool.size_of(path), opens=lambda: _counted(path, moved), find=find)


def _counted(path: Path, moved: Moved) -> IO[bytes]:
    return io.BufferedReader(_Counted(spool.open_bytes(path), moved), 1 << 18)


def _of_zip(member: Member, opened: contextlib.ExitStack, budget: Budget, depth: int) -> Iterator[tuple[Member, bytes]]:
    """The members of a zip, and of zips in it. Raises InputError for one that is damaged or asks for too much."""
    file = opened.enter_context(_seekable(member, budget))
    try:
        archive = opened.enter_context(zipfile.ZipFile(file))
        infos = sorted((info for info in archive.infolist() if not info.is_dir()), key=lambda info: info.filename)
    except _BROKEN as error:
        raise InputError(f"{member.shown} cannot be read: {_why(error)}", hint="download it again") from None
    _check(member.shown, infos, budget)
    prefix = f"{member.name}/" if depth else ""
    names = {_name(info): info for info in infos}

    def find(name: str) -> Member | None:
        info = names.get(str(PurePosixPath(name.lstrip("/"))))
        return None if info is None else zipped(info)

    def zipped(info: zipfile.ZipInfo) -> Member:
        def opens() -> IO[bytes]:
            return io.BufferedReader(_Bounded(archive.open(info), info.compress_size), 1 << 18)

        return Member(name=prefix + _name(info), size=info.file_size, opens=opens, find=find)

    for info in infos:
        yield from _leaves(zipped(info), opened, budget, depth + 1)


def _name(info: zipfile.ZipInfo) -> str:
    return str(PurePosixPath(info.filename.replace("\\", "/")))


def _seekable(member: Member, budget: Budget) -> IO[bytes]:
    """A file whose end can be read first: a zip within a zip is kept on the disk while it is read, without a name."""
    file = member.opens()
    if not isinstance(file, io.BufferedReader) or not isinstance(file.raw, _Bounded):
        return file
    room = budget.in_memory
    kept: IO[bytes] = tempfile.SpooledTemporaryFile(room) if room else tempfile.TemporaryFile()  # noqa: SIM115  # for later
    try:
        with file:
            while budget.keeps(len(chunk := file.read(1 << 20))):
                if not chunk:
                    kept.seek(0)
                    return kept
                kept.write(chunk)
    except (*_BROKEN, UnreadableError) as error:
        kept.close()
        raise InputError(f"{member.shown} cannot be read: {_why(error)}", hint="download it again") from None
    kept.close()
    message = f"{member.shown}: the archives within archives have more than {_MOST_KEPT / 1024**3:.3g} GiB"
    raise InputError(message, hint="unpack them, and import the folder")


def _check(named: str, infos: list[zipfile.ZipInfo], budget: Budget) -> None:
    if len(infos) > _MOST_MEMBERS:
        raise InputError(f"{named} has more than {_MOST_MEMBERS} files", hint="import parts of it")
    total = sum(info.file_size for info in infos)
    folded = sum(info.compress_size for info in infos)
    if total > _MOST_UNFOLDED or (total > _RATIO_FROM and total > folded * _MOST_RATIO):
        raise InputError(
            f"{named} unfolds to {total} bytes from {folded}: no archive of health data does",
            hint="download it again; unpack it and import the folder if you know what it is",
        )
    if not budget.holds(total):
        raise _too_much(named, budget)
    until = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < until:
            message = f"{named}: its files lie over each other, and no program writes that"
            raise InputError(message, hint="download it again")
        until = info.header_offset + info.compress_size


def _too_much(named: str, budget: Budget) -> InputError:
    return InputError(
        f"{named}: all archives up to this one unfold to {budget.unfolded} bytes from {budget.folded} on the disk",
        hint="unpack it, and import the folder, if you know what it is",
    )


class _Folded(gzip.GzipFile):
    """A gzip that closes what it is read from."""

    def __init__(self, folded: IO[bytes]) -> None:
        super().__init__(fileobj=folded)
        self._folded = folded

    def close(self) -> None:
        super().close()
        self._folded.close()


class _Counted(io.RawIOBase):
    """A file on the disk of which somebody is told how much was read."""

    def __init__(self, file: io.RawIOBase, moved: Moved) -> None:
        self._file = file
        self._moved = moved

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]  # the buffer of BufferedReader
        count = self._file.readinto(buffer)
        self._moved(count or 0)
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Bounded(io.RawIOBase):
    """What unfolds, as long as it does not unfold to far more than it was."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile, folded: int, reached: Moved = _nobody) -> None:
        """``reached`` is told how far it was read; what it raises ends the reading."""
        self._file = file
        self._most = max(_RATIO_FROM, folded * _MOST_RATIO)
        self._read = 0
        self._reached = reached

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the buffer of BufferedReader
        chunk = self._file.read(len(buffer))
        self._read += len(chunk)
        if self._read > self._most:
            raise UnreadableError(f"it unfolds to more than {_MOST_RATIO} times its size")
        self._reached(self._read)
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self._file.close()
        super().close()


def _why(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return printable(str(error), 200) or error.__class__.__name__


def size_of(path: Path) -> int:
    """Bytes of a file, or of all in a folder; 0 where that cannot be said."""
    try:
        return sum(each.stat().st_size for each in _files_below(path)) if path.is_dir() else spool.size_of(path)
    except OSError:
        return 0


def digest_of(path: Path) -> str:
    """What a file or folder holds, as a number that another one does not have. Raises InputError."""
    found = hashlib.blake2b(digest_size=20)
    try:
        folder = path if path.is_dir() else path.parent
        for each in _files_below(path) if path.is_dir() else (path,):
            named = f"\0{each.relative_to(folder).as_posix()}\0{spool.size_of(each)}\0"
            found.update(named.encode("utf-8", "replace"))
            with spool.buffered(each) as file:
                while chunk := file.read(1 << 20):
                    found.update(chunk)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", hint="check the path") from None
    return found.hexdigest()
