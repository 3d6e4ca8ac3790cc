"""The audit log: T55, every way of changing it is found, and the first bad row is named."""

import json
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from healthsync_mqtt.errors import ConfigError, StoreError
from healthsync_mqtt.identity.audit.log import HEAD_LOST, AuditLog, plain, subject_of
from tests.support import child
from tests.support.patience import PATIENCE_S

ROWS = 6


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    opened = AuditLog.open(tmp_path / "data" / "audit.db", tmp_path / "data" / "keys" / "audit.key")
    for number in range(1, ROWS + 1):
        user = "alice" if number % 2 else "bob"
        opened.append(
            "device.added", actor="os:root", now_us=number, subject=subject_of(opened, user), detail={"n": number}
        )
    return opened


def tampered(log: AuditLog, *statements: str) -> None:
    """Change the database behind the program's back."""
    connection = sqlite3.connect(log._path)
    connection.execute("DROP TRIGGER audit_stays")
    connection.execute("DROP TRIGGER audit_does_not_change")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def rewritten(log: AuditLog, first: int) -> None:
    """Recompute the chain from a row on, as somebody does who knows the code and not the key."""
    from healthsync_mqtt.identity.audit import log as audit

    connection = sqlite3.connect(log._path)
    rows = connection.execute("SELECT * FROM audit ORDER BY no").fetchall()
    previous = rows[first - 2][-1]
    for row in rows[first - 1 :]:
        content = (*row[:-2], previous)
        previous = audit._digest(content)
        connection.execute("UPDATE audit SET previous = ?, hash = ? WHERE no = ?", (content[-1], previous, row[0]))
    connection.commit()
    connection.close()


def test_a_whole_log_verifies(log: AuditLog) -> None:
    assert log.verify()[:3] == (ROWS, None, "")


SWAP = ("UPDATE audit SET subject = (SELECT b.subject FROM audit b WHERE b.no = 7 - audit.no) WHERE no IN (3, 4)",)
ATTACKS: dict[str, tuple[tuple[str, ...], int]] = {
    "edited detail": (("UPDATE audit SET detail = '{\"n\":9}' WHERE no = 4",), 4),
    "edited time": (("UPDATE audit SET at_us = 0 WHERE no = 1",), 1),
    "edited actor": (("UPDATE audit SET actor = 'os:nobody' WHERE no = 5",), 5),
    "edited digest": (("UPDATE audit SET hash = previous WHERE no = 2",), 2),
    "deleted in the middle": (("DELETE FROM audit WHERE no = 3",), 3),
    "deleted and renumbered": (("DELETE FROM audit WHERE no = 3", "UPDATE audit SET no = no - 1 WHERE no > 3"), 3),
    "deleted at the start": (("DELETE FROM audit WHERE no = 1",), 1),
    "truncated tail": (("DELETE FROM audit WHERE no > 4",), 5),
    "emptied": (("DELETE FROM audit",), 1),
    "subjects swapped": (SWAP, 3),
    "reordered": (
        ("UPDATE audit SET no = 100 WHERE no = 2", "UPDATE audit SET no = 2 WHERE no = 5",
         "UPDATE audit SET no = 5 WHERE no = 100"),
        2,
    ),
    "inserted": (
        ("INSERT INTO audit SELECT 7, at_us, actor, action, subject, detail, hash, hash FROM audit WHERE no = 6",), 7,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("statements", "first_bad"), ATTACKS.values(), ids=ATTACKS)
def test_t55_a_change_is_found_and_the_first_bad_row_named(
    log: AuditLog, statements: tuple[str, ...], first_bad: int
) -> None:
    tampered(log, *statements)
    verdict = log.verify()
    assert verdict.first_bad == first_bad
    assert verdict.reason


@pytest.mark.parametrize("statements", [ATTACKS["truncated tail"][0], ATTACKS["emptied"][0]])
def test_t55_going_on_does_not_hide_what_is_missing(log: AuditLog, statements: tuple[str, ...]) -> None:
    tampered(log, *statements)
    before = log.verify().first_bad
    log.append("user.added", actor="os:root", now_us=9)
    log.append("user.added", actor="os:root", now_us=10)
    assert log.verify().first_bad == before


@pytest.mark.parametrize("first", [2, 4, ROWS])
def test_t55_a_chain_that_was_computed_anew_is_found(log: AuditLog, first: int) -> None:
    tampered(log, f"UPDATE audit SET actor = 'os:nobody' WHERE no = {first}")
    rewritten(log, first)
    assert log.verify().first_bad == ROWS
    log.append("user.added", actor="os:root", now_us=9)
    assert log.verify().first_bad == ROWS + 1


@pytest.mark.parametrize("spoil", [
    lambda path: path.unlink(),
    lambda path: path.write_text("{}"),
    lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | {"no": ROWS - 2})),
])  # fmt: skip
def test_t55_a_missing_or_forged_head_is_found_and_stays_found(log: AuditLog, spoil: Callable[[Path], object]) -> None:
    spoil(log._head_path)
    assert log.verify().first_bad == ROWS + 1
    log.append("user.added", actor="os:root", now_us=9)
    assert log.rows(newest=True, limit=2)[0].action == HEAD_LOST
    assert log.verify().first_bad == ROWS + 1


def test_a_crash_between_the_row_and_the_head_is_no_damage(log: AuditLog) -> None:
    behind = log._head_path.read_bytes()
    log.append("user.added", actor="os:root", now_us=9)
    log._head_path.write_bytes(behind)
    assert log.verify()[:3] == (ROWS + 1, None, "")
    log.append("user.added", actor="os:root", now_us=10)
    assert log.verify()[:3] == (ROWS + 2, None, "")


def test_rows_cannot_be_changed_through_the_file_as_it_is(log: AuditLog) -> None:
    connection = sqlite3.connect(log._path)
    for sql in ("UPDATE audit SET actor = ''", "DELETE FROM audit"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(sql)
    connection.close()


def test_persons_are_pseudonyms_of_this_installation(log: AuditLog, tmp_path: Path) -> None:
    other = AuditLog.open(tmp_path / "other" / "audit.db", tmp_path / "other" / "keys" / "audit.key")
    assert log.pseudonym("user", "alice") == subject_of(log, "alice") != other.pseudonym("user", "alice")
    assert subject_of(log, "alice", "watch") != subject_of(log, "alicewatch", "")
    assert subject_of(log, None) is None
    assert "alice" not in log._path.read_bytes().decode(errors="replace")
    assert [row.no for row in log.rows(subject=subject_of(log, "alice"))] == [1, 3, 5]
    assert [row.no for row in log.rows(limit=2, newest=True)] == [5, 6]
    assert [row.no for row in log.rows(limit=2, newest=True, before=5)] == [3, 4]
    assert [row.no for row in log.rows(after=4)] == [5, 6]


def test_detail_is_plain_values(log: AuditLog) -> None:
    assert plain({"a": None, "b": ("x", "y"), "c": 1, "d": True}) == {"b": ["x", "y"], "c": 1, "d": True}


def test_threads_and_processes_append_to_one_chain(log: AuditLog) -> None:
    script = (
        "import sys; from pathlib import Path; from healthsync_mqtt.identity.audit.log import AuditLog\n"
        "log = AuditLog.open(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "for n in range(5): log.append('x', actor='y', now_us=n)"
    )
    key = log._path.parent / "keys" / "audit.key"
    writers = [child.start([sys.executable, "-c", script, str(log._path), str(key)]) for _ in range(2)]
    threads = [
        threading.Thread(target=lambda: [log.append("x", actor="y", now_us=n) for n in range(5)]) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [writer.wait(PATIENCE_S) for writer in writers] == [0, 0]
    assert log.verify()[:3] == (ROWS + 20, None, "")


def test_t54_loose_files_are_refused(log: AuditLog, tmp_path: Path) -> None:
    key = tmp_path / "data" / "keys" / "audit.key"
    for file in (log._path, key):
        file.chmod(0o640)
        with pytest.raises(ConfigError, match="open to other accounts"):
            AuditLog.open(log._path, key)
        file.chmod(0o600)


def test_a_log_that_cannot_be_written_says_so(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_write_head", lambda _: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(StoreError):
        log.append("x", actor="y", now_us=1)
