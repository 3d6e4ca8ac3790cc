"""A set is put back whole, with a new epoch, or not at all."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from healthsync_mqtt.backup import restoration
from healthsync_mqtt.backup.keyfile import read_keys, write_keys
from healthsync_mqtt.backup.manifest import DamagedBackupError, UnfitBackupError
from healthsync_mqtt.backup.place import open_backup
from healthsync_mqtt.cli.backup import finish
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.errors import ConfigError, ConflictError, StoreError
from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.storage.anchor import AnchorVerdict
from healthsync_mqtt.storage.opening import compare_with_anchor, open_log, open_reader
from healthsync_mqtt.testing.log_items import NOW_US
from tests.unit.backup.conftest import House


def put_back(house: House, target: Path, keys: dict[str, bytes] | None = None) -> None:
    source = open_backup(house.place)
    restoration.restore(source, source.read_set(source.ids()[-1]), target, keys=keys, finish=finish)


def keys_of(house: House, tmp_path: Path) -> dict[str, bytes]:
    write_keys(house.data, tmp_path / "keys.tar", NOW_US)
    return read_keys(tmp_path / "keys.tar")


def test_everything_is_there_again_under_a_new_epoch(
    house: House, tmp_path: Path, restored: Callable[[], Path]
) -> None:
    house.backup()
    house.add("lost")
    target = restored()
    put_back(house, target, keys_of(house, tmp_path))
    with open_reader(target) as reader:
        assert [each.id for each in reader.read(0, 999)] == [f"e{n}" for n in range(50)]
        assert [each.event_id for each in reader.rejected()] == ["bad"]
        assert reader.epoch != house.log.epoch
    assert compare_with_anchor(target).verdict is AnchorVerdict.WHOLE
    place = DataDirectory(target)
    with place.registry() as registry:
        assert [each.id for each in registry.users()] == ["alice"]
        anchor = registry.audit_outbox.anchor()
    log = AuditLog.open(target / "audit.db", target / "keys/audit.key")
    verdict = log.verify(anchor)
    assert (verdict.first_bad, verdict.unchecked) == (None, ())
    assert [each.action for each in log.rows()] == ["user.added", "storage.restored"]
    assert (target / "healthsync.toml").read_bytes() == (house.data / "healthsync.toml").read_bytes()
    assert (target / "sinks/pseudonyms.db").exists()
    assert not [path for path in target.rglob("*") if path.stat().st_mode & 0o077]
    with open_log(target) as log_again:
        assert log_again.head() == 50


def test_without_keys_none_are_there(house: House, restored: Callable[[], Path]) -> None:
    house.backup()
    target = restored()
    put_back(house, target)
    assert not (target / "certs").exists()
    assert not (target / "sinks/pseudonyms.db").exists()
    assert not list((target / "keys").glob("*.pem"))


def test_an_older_set_is_taken_where_it_is_named(house: House, restored: Callable[[], Path]) -> None:
    older = house.backup().made
    house.add("newer")
    house.backup(NOW_US + 1_000_000)
    source = open_backup(house.place)
    target = restored()
    restoration.restore(source, source.read_set(older.id), target, keys=None, finish=finish)
    with open_reader(target) as reader:
        assert reader.head() == 50


def test_a_directory_with_something_in_it_is_refused_and_stays_as_it_is(
    house: House, restored: Callable[[], Path]
) -> None:
    house.backup()
    target = restored()
    target.mkdir()
    (target / "mine.txt").write_text("x")
    with pytest.raises(ConflictError, match="not empty") as caught:
        put_back(house, target)
    assert "new directory" in caught.value.hint
    assert [path.name for path in target.iterdir()] == ["mine.txt"]


def test_an_empty_directory_will_do(house: House, restored: Callable[[], Path]) -> None:
    house.backup()
    target = restored()
    target.mkdir()
    put_back(house, target)
    assert (target / "events.db").exists()


def test_keys_of_another_installation_are_refused(house: House, tmp_path: Path, restored: Callable[[], Path]) -> None:
    house.backup()
    other = DataDirectory(tmp_path / "other")
    other.audit("user.added")
    write_keys(other.path, tmp_path / "others.tar", NOW_US)
    target = restored()
    with pytest.raises(UnfitBackupError, match="not those of the set"):
        put_back(house, target, read_keys(tmp_path / "others.tar"))
    assert not target.exists()


def test_a_file_of_keys_that_was_cut_or_opened_to_others_is_refused(house: House, tmp_path: Path) -> None:
    file = tmp_path / "keys.tar"
    write_keys(house.data, file, NOW_US)
    assert file.stat().st_mode & 0o777 == 0o600
    content = bytearray(file.read_bytes())
    at = content.index((house.data / "keys/audit.key").read_bytes())
    content[at] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedBackupError, match="not as it was written"):
        read_keys(file)
    file.write_bytes(content[:700])
    with pytest.raises(DamagedBackupError):
        read_keys(file)
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="open to other accounts"):
        read_keys(file)


def test_a_damaged_set_leaves_nothing_behind(house: House, restored: Callable[[], Path]) -> None:
    made = house.backup().made
    log = made.file("events.db")
    assert log is not None
    piece = house.place / "objects" / log.chunks[0][:2] / log.chunks[0]
    piece.write_bytes(piece.read_bytes()[:-1] + b"!")
    target = restored()
    with pytest.raises(DamagedBackupError):
        put_back(house, target)
    assert not target.exists()
    assert not list(target.parent.glob(".restored*"))


def test_killed_on_the_way_nothing_is_at_the_target_and_the_next_one_works(
    house: House, restored: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    house.backup()
    target = restored()
    for syncs in (1, 4, 9):
        child = os.fork()
        if not child:
            monkeypatch.setattr(restoration.os, "fsync", _killed_at(syncs))
            put_back(house, target)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status)
        assert not target.exists()
    put_back(house, target)
    assert not list(target.parent.glob(f".{target.name}.*"))


def _killed_at(syncs: int) -> Callable[[int], None]:
    left, real = syncs, os.fsync

    def counted(descriptor: int) -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        real(descriptor)

    return counted


def test_a_full_disk_is_told(house: House, restored: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    house.backup()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(restoration.os, "fsync", full)
    target = restored()
    with pytest.raises(StoreError, match="No space left"):
        put_back(house, target)
    monkeypatch.undo()
    assert not target.exists()


def test_a_log_of_another_set_is_refused(house: House, restored: Callable[[], Path]) -> None:
    """A manifest that was put together by hand: every piece is sound, and they do not belong together."""
    from dataclasses import replace

    older = house.backup().made
    house.add("newer")
    newer = house.backup(NOW_US + 1_000_000).made
    log = older.file("events.db")
    assert log is not None
    mixed = replace(newer, files=tuple(log if each.path == log.path else each for each in newer.files), mac="")
    target = restored()
    with pytest.raises(UnfitBackupError, match="another one than its manifest says"):
        restoration.restore(open_backup(house.place), mixed, target, keys=None, finish=finish)
    assert not target.exists()
