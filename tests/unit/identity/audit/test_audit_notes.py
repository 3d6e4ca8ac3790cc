"""Notes on their way to the audit log, and what of that log cannot vanish unnoticed."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from healthsync_mqtt.config.private_files import directory_lock
from healthsync_mqtt.errors import StoreError, UnavailableError
from healthsync_mqtt.identity.audit.delivery import deliver
from healthsync_mqtt.identity.audit.log import GENESIS, HEAD_LOST, AuditLog
from healthsync_mqtt.identity.audit.outbox import AuditHead
from healthsync_mqtt.identity.registry import Registry

NOW_US = 1_800_000_000_000_000


class House:
    """A registry and its audit log in one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.registry = Registry.open(root / "registry.db")
        self.outbox = self.registry.audit_outbox
        self.log = self.opened()

    def opened(self) -> AuditLog:
        return AuditLog.open(self.root / "audit.db", self.root / "keys" / "audit.key")

    def act(self, user: str) -> None:
        with self.registry.write():
            self.registry.add_user(user, "all", NOW_US)
            self.outbox.note("user.added", actor="os:root", now_us=NOW_US, detail={"n": user})

    def bad(self) -> int | None:
        return self.opened().verify(self.outbox.anchor()).first_bad


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House(tmp_path)
    for user in ("alice", "bob", "carol"):
        built.act(user)
        deliver(built.outbox, built.log)
    yield built
    built.registry.close()


def test_a_change_and_its_note_are_one(house: House) -> None:
    def crash() -> None:
        with house.registry.write():
            house.registry.add_user("dave", "all", NOW_US)
            house.outbox.note("user.added", actor="x", now_us=NOW_US)
            raise RuntimeError("a crash")

    with pytest.raises(RuntimeError):
        crash()
    assert house.outbox.pending() == []
    assert [user.id for user in house.registry.users()] == ["alice", "bob", "carol"]


def test_a_note_is_one_row_however_often_it_is_carried(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise StoreError("a crash between the two files")

    house.act("dave")
    for _ in range(3):
        with monkeypatch.context() as patched:
            patched.setattr(house.outbox, "arrived", crash)
            with pytest.raises(StoreError):
                deliver(house.outbox, house.log)
    assert deliver(house.outbox, house.log) == 1
    assert [row.detail.get("n") for row in house.log.rows()] == ["alice", "bob", "carol", "dave"]
    assert house.bad() is None
    assert house.log.verify(house.outbox.anchor()).unchecked == ()


def remove_everything(root: Path) -> None:
    for name in ("audit.db", "audit.head", "keys/audit.key"):
        (root / name).unlink()


LOSSES = {
    "the file": (lambda root: (root / "audit.db").unlink(), 1),
    "the file and its head": (lambda root: [(root / name).unlink() for name in ("audit.db", "audit.head")], 1),
    "the head": (lambda root: (root / "audit.head").unlink(), 4),
    "file, head and key": (remove_everything, 1),
}


@pytest.mark.parametrize(("lose", "first_bad"), LOSSES.values(), ids=LOSSES)
def test_t55_a_deletion_is_found_and_stays_found(house: House, lose: Callable[[Path], object], first_bad: int) -> None:
    lose(house.root)
    assert house.bad() == first_bad
    for user in ("dave", "erin", "frank", "gina"):
        house.act(user)
        deliver(house.outbox, house.opened())
        assert house.bad() is not None


def test_t55_an_older_copy_of_both_files_is_found(house: House) -> None:
    for name in ("audit.db", "audit.head"):
        shutil.copy2(house.root / name, house.root / f"{name}.old")
    house.act("dave")
    deliver(house.outbox, house.log)
    for name in ("audit.db", "audit.head"):
        shutil.copy2(house.root / f"{name}.old", house.root / name)
    assert house.bad() == 4
    assert house.opened().verify().first_bad is None, "without the registry nobody could tell"
    assert "older copies" in house.opened().verify().unchecked[0]


@pytest.mark.parametrize("at", ["head", "key", "file"])
def test_a_crash_while_the_log_is_made_is_no_damage(tmp_path: Path, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from healthsync_mqtt.identity.audit import log as module

    steps = {"head": "write_durably", "key": "read_private", "file": "migrate"}

    def crash(*_: object, **__: object) -> None:
        raise OSError("a crash")

    with monkeypatch.context() as patched:
        patched.setattr(module, steps[at], crash)
        with pytest.raises(OSError, match="a crash"):
            AuditLog.open(tmp_path / "audit.db", tmp_path / "keys" / "audit.key")
    log = AuditLog.open(tmp_path / "audit.db", tmp_path / "keys" / "audit.key")
    log.append("x", actor="y", now_us=1)
    assert log.verify()[:3] == (1, None, "")


def test_what_the_head_does_not_cover_is_said(house: House) -> None:
    behind = (house.root / "audit.head").read_bytes()
    house.log.append("x", actor="y", now_us=1)
    (house.root / "audit.head").write_bytes(behind)
    verdict = house.log.verify(house.outbox.anchor())
    assert verdict.first_bad is None
    assert "audit.head ends with row 3" in verdict.unchecked[0]


def test_verifying_holds_nobody_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("healthsync_mqtt.identity.audit.log._PAGE", 1)
    with directory_lock(house.root):
        assert house.log.verify(house.outbox.anchor()).first_bad is None
    pages = house.log._pages()
    next(pages)
    house.log.append("meanwhile", actor="y", now_us=1)
    assert len(list(pages)) == 3
    assert house.bad() is None


def test_a_lock_that_is_held_ends_in_words_and_not_in_waiting(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("healthsync_mqtt.config.private_files.directory_lock.__kwdefaults__", {"within_s": 0.05})
    house.act("dave")
    with directory_lock(house.root), pytest.raises(UnavailableError, match="in use by process"):
        deliver(house.outbox, house.log)
    assert len(house.outbox.pending()) == 1
    assert deliver(house.outbox, house.log) == 1


def test_a_log_of_the_first_release_opens(tmp_path: Path) -> None:
    from importlib import resources

    script = (resources.files("healthsync_mqtt.identity.audit") / "sql" / "0001_audit.sql").read_text()
    log = AuditLog.open(tmp_path / "audit.db", tmp_path / "keys" / "audit.key")
    log.append("x", actor="y", now_us=1)
    connection = sqlite3.connect(tmp_path / "audit.db")
    connection.execute("DROP TABLE taken")
    connection.executescript(script + "PRAGMA user_version = 0;")
    connection.close()
    log = AuditLog.open(tmp_path / "audit.db", tmp_path / "keys" / "audit.key")
    log.append("x", actor="y", now_us=2)
    assert log.verify(AuditHead(0, GENESIS))[:3] == (2, None, "")
    assert HEAD_LOST not in {row.action for row in log.rows()}
