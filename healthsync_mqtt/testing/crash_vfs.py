"""A file layer for SQLite that loses what was not synced when the power goes, or fails, at a chosen operation.

Writes are held back until their file is synced. ``cut_power`` then applies a random part of what was held back, some of
it torn, as a disk does. One process, no shared memory: open the log with ``exclusive=True``.

A sync that fails leaves its writes where a kernel does: programs go on to see them, no later sync writes them, and a
power cut takes them.
"""

import random
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import apsw


class Trouble(Enum):
    """What happens at the chosen operation."""

    #: The power goes: this operation and all after it fail; nothing more reaches the disk.
    POWER_CUT = "power_cut"
    #: This one operation finds the disk full.
    FULL_ONCE = "full_once"
    #: This one operation fails with an I/O error.
    FAULT_ONCE = "fault_once"
    #: The first sync from this operation on fails.
    SYNC_FAULT = "sync_fault"
    #: The disk is full from this operation on, until ``heal``.
    FULL = "full"


@dataclass(slots=True)
class _Disk:
    """One file: what a power cut leaves for sure, what programs see, and the writes between the two."""

    path: Path
    seen: bytearray
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)


class CrashVfs(apsw.VFS):
    """Counts writes, truncations and syncs, and makes trouble at number ``at`` (from 1; None for never)."""

    def __init__(self, name: str, trouble: Trouble = Trouble.POWER_CUT, at: int | None = None) -> None:
        self.operations = 0
        self._trouble = trouble
        self._at = at
        self._disks: dict[str, _Disk] = {}
        self._open: list[_CrashFile] = []
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "_CrashFile":  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        file = _CrashFile(self, path, flags)
        if path not in self._disks:
            self._disks[path] = _Disk(Path(path), bytearray(Path(path).read_bytes()))
        file.disk = self._disks[path]
        self._open.append(file)
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802, FBT001
        self.count()
        super().xDelete(filename, syncdir)
        self._disks.pop(filename, None)

    def kill(self) -> None:
        """The process dies as it is: its locks go, and what its connections still do comes to nothing."""
        for file in self._open:
            file.die()
        self._open.clear()

    @property
    def powered(self) -> bool:
        """Whether the power is on."""
        return self._trouble is not Trouble.POWER_CUT or self._at is None or self.operations < self._at

    def heal(self) -> None:
        """The trouble is over."""
        self._at = None

    def count(self, *, sync: bool = False) -> None:
        """One operation that changes a file; raises when it is the chosen one."""
        self.operations += 1
        if self._at is None or self.operations < self._at:
            return
        if self._trouble is Trouble.SYNC_FAULT:
            if not sync:
                return
            self._at = None
            raise apsw.IOError("this sync failed")
        if self._trouble is Trouble.POWER_CUT:
            raise apsw.IOError("the power is off")
        if self._trouble is Trouble.FULL:
            raise apsw.FullError("the disk is full")
        if self.operations == self._at:
            raise apsw.FullError("full once") if self._trouble is Trouble.FULL_ONCE else apsw.IOError("fault once")

    def cut_power(self, chance: random.Random) -> None:
        """Leave on the real disk what a power cut may leave of the writes that were not synced."""
        for disk in self._disks.values():
            durable = bytearray(disk.path.read_bytes()) if disk.path.exists() else bytearray()
            for offset, data in disk.pending:
                if data is None or chance.random() < 0.5:
                    continue
                kept = data[: chance.randrange(len(data) + 1)] if chance.random() < 0.3 else data
                _write(durable, offset, kept)
            if disk.pending:
                disk.path.write_bytes(durable)
            disk.pending.clear()


class _CrashFile(apsw.VFSFile):
    disk: _Disk

    def __init__(self, vfs: CrashVfs, path: str, flags: list[int]) -> None:
        self._vfs = vfs
        self._dead = False
        super().__init__("", path, flags)

    def die(self) -> None:
        """Its process is gone."""
        with suppress(apsw.VFSFileClosedError):
            super().xUnlock(apsw.SQLITE_LOCK_NONE)
        self._dead = True

    def xUnlock(self, level: int) -> None:  # noqa: N802
        if not self._dead:
            super().xUnlock(level)

    def _living(self) -> None:
        if self._dead:
            raise apsw.IOError("this process is dead")

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        return bytes(self.disk.seen[offset : offset + amount])

    def xFileSize(self) -> int:  # noqa: N802
        return len(self.disk.seen)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._living()
        self._vfs.count()
        self.disk.pending.append((offset, bytes(data)))
        _write(self.disk.seen, offset, data)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._living()
        self._vfs.count()
        self.disk.pending.append((newsize, None))
        del self.disk.seen[newsize:]

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802
        self._living()
        disk = self.disk
        try:
            self._vfs.count(sync=True)
        except apsw.IOError:
            if self._vfs.powered:
                disk.pending.clear()  # clean as far as the kernel knows
            raise
        durable = bytearray(disk.path.read_bytes()) if disk.path.exists() else bytearray()
        for offset, data in disk.pending:
            if data is None:
                del durable[offset:]
            else:
                _write(durable, offset, data)
        disk.path.write_bytes(durable)
        disk.pending.clear()


def _write(image: bytearray, offset: int, data: bytes) -> None:
    if len(image) < offset:
        image.extend(bytes(offset - len(image)))
    image[offset : offset + len(data)] = data
