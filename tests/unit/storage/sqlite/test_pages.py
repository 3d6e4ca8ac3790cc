"""A database is read as it was at one moment, whatever is committed, moved or read meanwhile."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.storage.sqlite import pages
from healthsync_mqtt.storage.sqlite.checkpoints import Checkpoints
from healthsync_mqtt.storage.sqlite.connection import CHECKPOINT_PAGES
from healthsync_mqtt.storage.sqlite.pages import HeldDatabase

_SIZE = 64 * 1024
_ROWS = "SELECT group_concat(hex(body)) FROM (SELECT body FROM rows ORDER BY no)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.db"


@pytest.fixture
def writer(path: Path) -> Iterator[apsw.Connection]:
    with closing(apsw.Connection(str(path))) as connection:
        for pragma in ("journal_mode=WAL", "wal_autocheckpoint=0", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.execute("CREATE TABLE rows (no INTEGER PRIMARY KEY, body BLOB)").fetchall()
        write(connection, 300)
        yield connection


def write(connection: apsw.Connection, rows: int) -> None:
    """New rows, and new bytes in some of the old ones, all over the file."""
    with connection:
        for _ in range(rows):
            connection.execute("INSERT INTO rows (body) VALUES (randomblob(900))").fetchall()
        connection.execute("UPDATE rows SET body = randomblob(900) WHERE no % 7 = 0").fetchall()


def content(connection: apsw.Connection) -> object:
    return connection.execute(_ROWS).fetchall()[0][0]


def in_file(chunks: list[tuple[int, bytes]], place: Path) -> object:
    """What a database of these chunks has."""
    place.write_bytes(b"".join(chunk for _, chunk in sorted(chunks)))
    with closing(apsw.Connection(str(place))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return content(connection)


def test_what_is_committed_and_moved_meanwhile_is_not_in_it(
    path: Path, writer: apsw.Connection, tmp_path: Path
) -> None:
    with HeldDatabase(path) as held:
        held.hold()
        before = content(writer)
        chunks = []
        for chunk in held.chunks(_SIZE):
            write(writer, 5)
            writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            chunks.append(chunk)
        assert content(writer) != before
        assert in_file(chunks, tmp_path / "copy.db") == before


def test_where_somebody_reads_an_older_state_it_is_the_newest_all_the_same(
    path: Path, writer: apsw.Connection, tmp_path: Path
) -> None:
    with closing(apsw.Connection(str(path))) as reader, HeldDatabase(path) as held:
        reader.execute("BEGIN").fetchall()
        content(reader)
        write(writer, 200)
        held.hold()
        now = content(writer)
        write(writer, 5)
        assert in_file(list(held.chunks(_SIZE)), tmp_path / "copy.db") == now


def test_a_moment_is_found_between_commits_that_do_not_stop(
    path: Path, writer: apsw.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody commits after the first three beginnings: those are given up, and what is read is one moment."""
    begin, left = HeldDatabase._begin, 3

    def begun(held: HeldDatabase) -> None:
        nonlocal left
        begin(held)
        if left:
            left -= 1
            write(writer, 1)

    monkeypatch.setattr(HeldDatabase, "_begin", begun)
    monkeypatch.setattr(pages, "_copied", None)
    with HeldDatabase(path) as held:
        held.hold()
        assert not left
        assert in_file(list(held.chunks(_SIZE)), tmp_path / "copy.db") == content(writer)


def test_where_each_moment_is_followed_by_a_commit_a_copy_is_made(
    path: Path, writer: apsw.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = HeldDatabase._begin
    seen: list[object] = []

    def begun(held: HeldDatabase) -> None:
        begin(held)
        seen.append(content(writer))
        write(writer, 1)

    monkeypatch.setattr(HeldDatabase, "_begin", begun)
    with HeldDatabase(path) as held:
        held.hold()
        assert in_file(list(held.chunks(_SIZE)), tmp_path / "copy.db") == seen[-1]


def test_who_has_the_file_alone_for_a_moment_is_waited_for(path: Path, writer: apsw.Connection, tmp_path: Path) -> None:
    """As whoever opens a database, or closes it last, does."""
    now = content(writer)
    writer.close()
    alone = apsw.Connection(str(path))
    alone.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
    content(alone)
    with pytest.raises(apsw.BusyError), closing(apsw.Connection(str(path))) as other:
        content(other)
    let_go = threading.Timer(0.2, alone.close)
    with HeldDatabase(path) as held:
        let_go.start()
        held.hold()
        assert in_file(list(held.chunks(_SIZE)), tmp_path / "copy.db") == now
    let_go.join()


def test_nothing_new_is_the_same_bytes(path: Path, writer: apsw.Connection) -> None:
    def read() -> list[tuple[int, bytes]]:
        with HeldDatabase(path) as held:
            held.hold()
            return list(held.chunks(_SIZE))

    first = read()
    assert len(first) > 3
    assert read() == first
    write(writer, 1)
    assert read() != first


def test_a_file_that_was_cut_is_told(path: Path, writer: apsw.Connection) -> None:
    with HeldDatabase(path) as held:
        held.hold()
        with path.open("r+b") as file:
            file.truncate(8192)
        with pytest.raises(StoreError, match="shorter"):
            list(held.chunks(_SIZE))


class _Meanwhile(apsw.VFS):
    """Calls something while a page is moved into a database."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.call = call
        super().__init__("meanwhile", "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "_MeanwhileFile":  # noqa: N802
        return _MeanwhileFile(self.call, name, flags)


class _MeanwhileFile(apsw.VFSFile):
    def __init__(self, call: Callable[[], None], name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._call = call if flags[0] & apsw.SQLITE_OPEN_MAIN_DB else None
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        if self._call is not None:
            self._call()
        super().xWrite(data, offset)


def test_that_a_backup_moves_pages_right_now_is_no_failure_of_the_writer_s_checkpoint(
    path: Path, writer: apsw.Connection
) -> None:
    checkpoints = Checkpoints(writer, path)
    writer.set_busy_timeout(0)
    write(writer, 10)
    asked = []

    def meanwhile() -> None:
        checkpoints._pages = CHECKPOINT_PAGES
        checkpoints.after_commit()
        asked.append((checkpoints.failures, checkpoints.failing))

    vfs = _Meanwhile(meanwhile)
    try:
        with closing(apsw.Connection(str(path), vfs="meanwhile")) as other:
            content(other)
            other.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    finally:
        vfs.unregister()
    assert asked
    assert set(asked) == {(0, "")}
