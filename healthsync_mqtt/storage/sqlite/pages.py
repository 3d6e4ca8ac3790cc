"""A database as it was at one moment, page by page, while others go on writing into it.

Who reads a WAL database keeps everybody from moving later pages from the log into the file. So a file that has all
that the reader sees does not change while it is held, and is read as any file is, in large pieces: see ``hold``. Chunks
that did not change are equal to those of the last time, and what is read needs no room on a disk.

Where somebody reads an older state, the file cannot have all of it. Then SQLite's online backup makes a copy, and a
layer of ours under the copy's file keeps nothing of it: pages that make a whole chunk are handed on. This is slow, and
the first chunk is never equal: SQLite counts in it that the copy was written.
"""

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import apsw

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.storage.sqlite.connection import abandon, connected, fetch, fetch_value

_PAGES_A_STEP: Final = 1024
_TRIES: Final = 20
_PAUSE_S: Final = 0.01
_numbers = count()


class HeldDatabase:
    """One database at one moment: from ``hold`` until it is closed. Of a WAL database nobody waits meanwhile."""

    def __init__(self, path: Path) -> None:
        """StoreError when it cannot be opened."""
        self._path = path
        self._whole = False
        try:
            self._connection = connected(path)
            fetch(self._connection, "PRAGMA query_only=ON")
        except apsw.Error as error:
            raise self._failed(error) from error

    def hold(self) -> None:
        """From now on what is read is what is committed now.

        Of a WAL database a moment is looked for whose pages are all in the file: a checkpoint after the beginning of
        the transaction moves no more than the transaction sees, so where it moved all there is, that was all seen.
        """
        try:
            other = connected(self._path)
            try:
                wal = fetch_value(other, "PRAGMA journal_mode") == "wal"
                for _ in range(_TRIES if wal else 0):
                    _move(other)  # so that little is left for the next
                    self._begin()
                    self._whole = _move(other)
                    if self._whole:
                        return
                    fetch(self._connection, "ROLLBACK")
                    time.sleep(_PAUSE_S)
            finally:
                abandon(other)
            self._begin()
        except apsw.Error as error:
            raise self._failed(error) from error

    def _begin(self) -> None:
        fetch(self._connection, "BEGIN")
        fetch(self._connection, "SELECT count(*) FROM sqlite_schema")

    def value(self, sql: str, *bindings: str) -> object:
        """The first column of the first row of a query; None: it has no row."""
        try:
            return next((row[0] for row in fetch(self._connection, sql, bindings)), None)
        except apsw.Error as error:
            raise self._failed(error) from error

    @property
    def schema(self) -> int:
        """Its ``user_version``."""
        return int(str(self.value("PRAGMA user_version")))

    def chunks(self, size: int) -> Iterator[tuple[int, bytes]]:
        """All of it, in numbered chunks of ``size`` bytes, a multiple of any page; the last one may be shorter.

        They come in any order, and each once.
        """
        try:
            page = int(fetch_value(self._connection, "PRAGMA page_size"))
            if self._whole:
                yield from self._read(page * int(fetch_value(self._connection, "PRAGMA page_count")), size)
            else:
                yield from _copied(self._connection, page, size)
        except apsw.Error as error:
            raise self._failed(error) from error

    def _read(self, length: int, size: int) -> Iterator[tuple[int, bytes]]:
        # By SQLite's own descriptor: closing another one of the same file would give up the locks of this process.
        for no, place in enumerate(range(0, length, size)):
            complete, chunk = self._connection.read("main", 0, place, min(size, length - place))
            if not complete:
                raise StoreError(f"{self._path} is shorter than it says", hint="is it damaged?")
            yield no, chunk

    def close(self) -> None:
        """Let it go. Idempotent."""
        abandon(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _failed(self, error: apsw.Error) -> StoreError:
        return StoreError(f"{self._path} cannot be read: {error}", hint="is it damaged, or locked by another program?")


def _move(connection: apsw.Connection) -> bool:
    """Move what may be moved from the log into the file; whether that was all there is."""
    try:
        there, moved = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except apsw.Error:  # somebody else moves pages right now, or there is no room
        return False
    return there == moved >= 0


def _copied(source: apsw.Connection, page: int, size: int) -> Iterator[tuple[int, bytes]]:
    file = _ChunkFile(page, size)
    layer = _Layer(f"chunks-{next(_numbers)}", file)
    try:
        copy = apsw.Connection("copy", flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE, vfs=layer.name)
        try:
            fetch(copy, "PRAGMA locking_mode=EXCLUSIVE")
            fetch(copy, "PRAGMA journal_mode=OFF")
            fetch(copy, "PRAGMA synchronous=OFF")
            with copy.backup("main", source, "main") as work:
                while not work.done:
                    work.step(_PAGES_A_STEP)
                    yield from file.taken()
            copy.close()
        finally:
            abandon(copy)
    finally:
        layer.unregister()
    yield from file.rest()


class _Layer(apsw.VFS):
    """A file system of one file."""

    def __init__(self, name: str, file: "_ChunkFile") -> None:
        self.name = name
        self._file = file
        super().__init__(name, "", maxpathname=64)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "_ChunkFile":  # type: ignore[override]  # noqa: ARG002, N802
        """The file."""
        flags[1] = flags[0]
        return self._file

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: ARG002, N802
        """There are no journals."""
        return False

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802
        """Nothing is there."""

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        """Names are what they are."""
        return name


class _ChunkFile:
    """The copy's file: pages come nearly in order, the first again at the end. A chunk goes out when it is whole."""

    def __init__(self, page: int, size: int) -> None:
        self._page = page
        self._size = size
        self._length = 0
        self._open: dict[int, bytearray] = {}
        #: places of the pages that were written, by chunk
        self._written: dict[int, set[int]] = {}

    def taken(self) -> Iterator[tuple[int, bytes]]:
        """The chunks that are whole; the first one is not before the end."""
        whole = self._size // self._page
        for no in [no for no, places in self._written.items() if no and len(places) == whole]:
            del self._written[no]
            yield no, bytes(self._open.pop(no))

    def rest(self) -> Iterator[tuple[int, bytes]]:
        """All that has not been handed on."""
        for no in sorted(self._open):
            yield no, bytes(self._open[no][: self._length - no * self._size])
        self._open.clear()

    # -- what SQLite calls

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        no, place = divmod(offset, self._size)
        if offset >= self._length:
            return b""
        if no not in self._open:
            raise apsw.IOError("it was handed on")
        return bytes(self._open[no][place : place + amount])

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        no, place = divmod(offset, self._size)
        chunk = self._open.get(no)
        if chunk is None:
            chunk = self._open[no] = bytearray(self._size)
        chunk[place : place + len(data)] = data
        self._written.setdefault(no, set()).add(place)
        self._length = max(self._length, offset + len(data))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._length = min(self._length, newsize)

    def xFileSize(self) -> int:  # noqa: N802
        return self._length

    def xSync(self, flags: int) -> None:  # noqa: N802
        pass

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
