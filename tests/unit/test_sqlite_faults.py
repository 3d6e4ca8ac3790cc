"""What is told when SQLite fails: the cause, and a fix for that cause. The disk is blamed for nothing else."""

import ast
import errno
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from healthsync_mqtt import sql_files
from healthsync_mqtt.client.outbox_file import SqliteOutbox
from healthsync_mqtt.config.private_database import open_private_database
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.sqlite_faults import fix_of
from tests.support.sources import functions

ROOT = Path(__file__).parents[2]


def failing(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("it failed")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (13, "the disk is full"),
        (10 | 3 << 8, "disk or file system fails"),
        (5, "another process holds it"),
        (6, "another process holds it"),
        (8, "read-only"),
        (14, "owner and mode"),
        (11, "from a backup"),
        (26, "from a backup"),
        (1, "not as this program left it"),
        (19, "not as this program left it"),
    ],
)
def test_each_cause_has_its_fix(code: int, words: str) -> None:
    assert words in fix_of(failing(code))
    assert ("disk is full" in fix_of(failing(code))) == (code == 13)


def test_apsw_and_the_system_are_understood_too(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database, however it is looked at" * 100)
    with pytest.raises(apsw.NotADBError) as caught:
        apsw.Connection(str(tmp_path / "text")).execute("SELECT * FROM sqlite_schema")
    assert fix_of(caught.value) == "restore it from a backup"
    assert "full" in fix_of(OSError(errno.ENOSPC, "no space"))
    assert "owner" in fix_of(PermissionError(errno.EACCES, "no"))


def test_every_connection_waits_for_whoever_has_the_file_alone_for_a_moment() -> None:
    """apsw does not wait by itself, sqlite3 does for five seconds: each apsw.Connection stands beside its wait."""
    opening = [(place, words) for place, node in functions() if "apsw.Connection(" in (words := ast.unparse(node))]
    waits = ("set_busy_timeout(", "_prepare(")
    unwaiting = [place for place, words in opening if not any(each in words for each in waits)]
    # a copy in memory that nobody else has; and the simulator's disk, where a process is alone
    assert unwaiting == [
        "healthsync_mqtt/storage/sqlite/pages.py:_copied",
        "healthsync_mqtt/testing/simulator/machine.py:_now",
    ]


def steps_with_a_bad_one(read: Callable[..., Any]) -> Callable[..., Any]:
    def found(*path: str) -> Any:
        known = read(*path)
        return (*known, (known[-1][0] + 1, "CREATE TABLE more (a);\nINSERT INTO nowhere VALUES (1);\n"))

    return found


OPENED: dict[str, Callable[[Path], Any]] = {
    "the registry": lambda place: Registry.open(place / "registry.db").close(),
    "the audit log": lambda place: AuditLog.open(place / "audit.db", place / "audit.key"),
    "the outbox": lambda place: SqliteOutbox(place / "outbox.db").close(),
}


@pytest.mark.parametrize("what", OPENED)
def test_a_step_of_a_schema_that_fails_is_named_and_nothing_is_changed(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = OPENED[what]
    opened(tmp_path)
    before = {path: schema(path) for path in tmp_path.glob("*.db")}
    monkeypatch.setattr(sql_files, "numbered", steps_with_a_bad_one(sql_files.numbered))
    for module in ("healthsync_mqtt.client.outbox_file",):
        monkeypatch.setattr(f"{module}.numbered", sql_files.numbered)
    with pytest.raises(StoreError) as caught:
        opened(tmp_path)
    assert re.match(
        rf"{what}\b.* could not be brought from schema \d+ to \d+: no such table: nowhere", str(caught.value)
    )
    assert "disk" not in caught.value.hint
    assert "nothing in it was changed" in caught.value.hint
    assert {path: schema(path) for path in tmp_path.glob("*.db")} == before


def test_other_databases_of_ours_say_it_too(tmp_path: Path) -> None:
    path = tmp_path / "small.db"
    open_private_database(path, [(1, "CREATE TABLE a (b);")]).close()
    with pytest.raises(StoreError, match=r"from schema 1 to 2: table a already exists"):
        open_private_database(path, [(1, "CREATE TABLE a (b);"), (2, "CREATE TABLE a (b);")])


def test_nobody_blames_the_disk_without_having_looked() -> None:
    blamed = [
        path.relative_to(ROOT).as_posix()
        for package in ("healthsync_mqtt", "bridge")
        for path in (ROOT / package).rglob("*.py")
        if "is the disk full" in path.read_text(encoding="utf-8")
    ]
    assert blamed == ["healthsync_mqtt/sinks/file/sink.py"], "use fix_of"


def schema(path: Path) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
    found += connection.execute("PRAGMA user_version").fetchall()
    connection.close()
    return found
