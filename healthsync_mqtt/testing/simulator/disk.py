"""A disk in memory under SQLite: what was not synced may be lost, torn or kept when the power goes.

One process and one connection a file: open the log with ``exclusive=True``.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import apsw


@dataclass(slots=True)
class _Image:
    """One file: what a power cut leaves for sure, what programs see, and the changes between the two."""

    durable: bytearray = field(default_factory=bytearray)
    seen: bytearray = field(default_factory=bytearray)
    #: offset and bytes of a write, or the new size and None of a truncation
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    #: counts the writes
    changes: int = 0


class Disk(apsw.VFS):
    """A file system of its own under ``name``; ``full`` and ``broken`` make operations that change something fail."""

    def __init__(self, name: str, chance: random.Random) -> None:
        self.name = name
        self.full = False
        self.broken = False
        #: the process that has files open is dead: whatever it still tries fails and changes nothing
        self.dead = False
        #: counts what made or removed a file, or put others in the place of all
        self._turns = 0
        self._chance = chance
        self._images: dict[str, _Image] = {}
        super().__init__(name, "", maxpathname=512)

    # -- what SQLite calls

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "_OpenFile":  # type: ignore[override]  # noqa: N802
        """A file, made when it is not there."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        if path not in self._images:
            self.check()
            self._turns += 1
            self._images[path] = _Image()
        flags[1] = flags[0]
        return _OpenFile(self, self._images[path])

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: ARG002, N802
        """Whether there is such a file."""
        return pathname in self._images

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: ARG002, FBT001, N802
        """Remove a file; durable at once, as with a synced directory."""
        self.check()
        self._turns += 1
        self._images.pop(filename, None)

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        """Names are what they are."""
        return name

    # -- faults

    def stamp(self, database: str) -> tuple[int, ...]:
        """Another one after each change of a database: of its file, or of its write-ahead log."""
        files = (self._images.get(database), self._images.get(f"{database}-wal"))
        return (self._turns, *(0 if image is None else image.changes for image in files))

    def check(self) -> None:
        """Raise what an operation that changes a file meets now."""
        if self.broken or self.dead:
            raise apsw.IOError("the disk does not answer")
        if self.full:
            raise apsw.FullError("the disk is full")

    def cut_power(self) -> None:
        """Forget what was not synced, but for a random part of it, some of that torn."""
        self._turns += 1
        chance = self._chance
        for image in self._images.values():
            for offset, data in image.pending:
                if chance.random() < 0.5:
                    continue
                if data is None:
                    del image.durable[offset:]
                else:
                    _write(image.durable, offset, data[: chance.randrange(len(data) + 1)])
            image.seen = bytearray(image.durable)
            image.pending.clear()

    def backup(self) -> dict[str, bytes]:
        """Every file as it is on the disk now."""
        return {path: bytes(image.durable) for path, image in self._images.items()}

    def restore(self, backup: dict[str, bytes]) -> None:
        """Put an earlier backup in place of everything."""
        self._turns += 1
        self._images = {path: _Image(bytearray(data), bytearray(data)) for path, data in backup.items()}

    def image(self, path: str) -> _Image | None:
        """One file; None when there is none."""
        return self._images.get(path)

    def files(self) -> Iterator[str]:
        """The names of the files."""
        yield from self._images


class View(apsw.VFS):
    """The files of a disk as they are now, for one reading connection; nothing can be changed through it."""

    def __init__(self, disk: Disk) -> None:
        self.name = f"{disk.name}-view"
        self._disk = disk
        super().__init__(self.name, "", maxpathname=512)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "_Shown":  # type: ignore[override]  # noqa: N802
        """A file that is there."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        image = self._disk.image(path)
        if image is None:
            raise apsw.CantOpenError(path)
        flags[1] = flags[0]
        return _Shown(self._disk, image)

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: ARG002, N802
        """Whether there is such a file."""
        return self._disk.image(pathname) is not None

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: ARG002, FBT001, N802
        """Never."""
        raise apsw.ReadOnlyError("a view")

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        """Names are what they are."""
        return name


class _OpenFile:
    """One open file, for SQLite. Locks always succeed: there is one connection."""

    def __init__(self, disk: Disk, image: _Image) -> None:
        self._disk = disk
        self._image = image

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        return bytes(self._image.seen[offset : offset + amount])

    def xFileSize(self) -> int:  # noqa: N802
        return len(self._image.seen)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.check()
        kept = bytes(data)
        self._image.changes += 1
        self._image.pending.append((offset, kept))
        _write(self._image.seen, offset, kept)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._disk.check()
        self._image.changes += 1
        self._image.pending.append((newsize, None))
        del self._image.seen[newsize:]

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802
        if self._disk.broken or self._disk.dead:
            raise apsw.IOError("the disk does not answer")
        image = self._image
        for offset, data in image.pending:
            if data is None:
                del image.durable[offset:]
            else:
                _write(image.durable, offset, data)
        image.pending.clear()

    def xClose(self) -> None:  # noqa: N802
        pass

    def xLock(self, level: int) -> None:  # noqa: N802
        pass

    def xUnlock(self, level: int) -> None:  # noqa: N802
        pass

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: ARG002, N802
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        return 4096

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return 0


class _Shown(_OpenFile):
    """A file of a view."""

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: ARG002, N802
        raise apsw.ReadOnlyError("a view")

    def xTruncate(self, newsize: int) -> None:  # noqa: ARG002, N802
        raise apsw.ReadOnlyError("a view")

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802
        raise apsw.ReadOnlyError("a view")


def _write(image: bytearray, offset: int, data: bytes) -> None:
    if len(image) < offset:
        image.extend(bytes(offset - len(image)))
    image[offset : offset + len(data)] = data
