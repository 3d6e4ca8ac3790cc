"""A set: consistent, only what is new, whatever moment the process ends at."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.backup import inventory
from healthsync_mqtt.backup import place as places
from healthsync_mqtt.backup.creation import PIECE, make_backup
from healthsync_mqtt.backup.inventory import Found
from healthsync_mqtt.backup.keyfile import read_keys, write_keys
from healthsync_mqtt.backup.manifest import BackupSet, DamagedBackupError, UnfitBackupError
from healthsync_mqtt.backup.place import BackupDirectory, BackupFile, open_backup, pack
from healthsync_mqtt.backup.verification import check, contents
from healthsync_mqtt.errors import ConfigError, NotFoundError, StoreError, UnavailableError
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.unit.backup.conftest import House

_HOUR_US = 3_600_000_000


def test_a_set_holds_what_a_directory_is_and_no_key(house: House) -> None:
    made = house.backup().made
    assert {each.path for each in made.files} == {
        "events.db", "registry.db", "audit.db", "audit.head", "healthsync.toml", "formats/own.yaml",
        "sinks/folder.json", "sinks/folder.db", "credentials/healthsync-gateway",
    }  # fmt: skip
    assert made.log is not None
    assert (made.log.epoch, made.log.head) == (house.log.epoch, 50)
    (audit_key,) = [(house.data / "keys/audit.key").read_bytes()]
    everything = b"".join(path.read_bytes() for path in house.place.rglob("*") if path.is_file())
    assert audit_key not in everything


def test_what_is_committed_while_it_is_read_is_in_the_next_set(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    put, names = BackupDirectory.put, iter(range(1000))

    def meanwhile(self: BackupDirectory, digest: str, data: bytes) -> None:
        house.add(f"late-{next(names)}")
        put(self, digest, data)

    monkeypatch.setattr(BackupDirectory, "put", meanwhile)
    made = house.backup()
    assert made.made.log is not None
    assert 50 <= made.made.log.head < house.log.head()
    assert check(open_backup(house.place), [made.made.id]).sets == 1


def test_what_goes_after_it_was_found_is_not_in_it(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sink is removed, a key retired, while a backup is made."""

    def gone(list_of: Callable[..., Iterator[Found]], *names: str) -> Callable[..., Iterator[Found]]:
        def found(*asked: Any) -> Iterator[Found]:
            for each in list(list_of(*asked)):
                if each.name in names:
                    each.path.unlink()
                yield each

        return found

    monkeypatch.setattr(inventory, "before_log", gone(inventory.before_log, "sinks/folder.db", "sinks/folder.json"))
    kept = {each.path for each in house.backup().made.files}
    assert "events.db" in kept
    assert not {"sinks/folder.db", "sinks/folder.json"} & kept
    monkeypatch.setattr(inventory, "keys", gone(inventory.keys, "keys/audit.key"))
    write_keys(house.data, tmp_path / "keys.tar", NOW_US)
    keys = read_keys(tmp_path / "keys.tar")
    assert keys
    assert "keys/audit.key" not in keys


def test_pieces_that_did_not_change_are_not_copied_again(house: House) -> None:
    house.log.stage([item(f"long-{n}") for n in range(8_000)], [], NOW_US)
    house.log.commit()
    first = house.backup()
    assert first.copied > 4 * PIECE
    house.add("one-more")
    again = house.backup(NOW_US + _HOUR_US)
    assert 0 < again.copied < first.copied / 2
    assert len(open_backup(house.place).ids()) == 2


def test_nothing_new_copies_the_first_pages_at_most(house: House) -> None:
    house.backup()
    again = house.backup(NOW_US + _HOUR_US)
    assert again.copied <= sum(min(PIECE, each.size) for each in again.made.files if each.path.endswith(".db"))


def test_killed_anywhere_the_sets_that_there_are_stay_whole_and_the_next_one_works(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 at each write and each sync, until a run comes to its end."""
    house.backup()
    source = BackupDirectory.open(house.place)
    killed = 0
    for writes in count(1):
        before = len(source.ids())
        house.add(f"more-{writes}")
        child = os.fork()
        if not child:
            _kill_at(writes, monkeypatch)
            house.backup(NOW_US + writes * _HOUR_US)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert len(source.ids()) - before in {0, 1}
        assert check(source, source.ids()).sets == len(source.ids())
        if not os.WIFSIGNALED(status):
            break
        killed += 1
    assert killed > 5, "each piece, each sync, and the manifest"
    house.backup(NOW_US + 1000 * _HOUR_US)
    source.sweep()
    assert not [path for path in house.place.rglob(".*") if path.name != ".lock"]
    assert check(source, source.ids()).sets == len(source.ids())


def _kill_at(writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    left = writes

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments)

        return call

    monkeypatch.setattr(places.os, "write", counted(os.write))
    monkeypatch.setattr(places.os, "fsync", counted(os.fsync))


def test_a_full_disk_is_told_and_leaves_what_there_was(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    first = house.backup().made
    house.add("more")

    def full(*_arguments: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(places.os, "write", full)
    with pytest.raises(StoreError, match="No space left") as caught:
        house.backup(NOW_US + _HOUR_US)
    assert "make room" in caught.value.hint
    monkeypatch.undo()
    source = BackupDirectory.open(house.place)
    assert source.ids() == [first.id]
    check(source, source.ids())
    house.backup(NOW_US + _HOUR_US)


def test_a_piece_that_went_bad_is_found_and_copied_anew_by_the_next_set(house: House) -> None:
    made = house.backup().made
    log = made.file("events.db")
    assert log is not None
    piece = house.place / "objects" / log.chunks[-1][:2] / log.chunks[-1]
    content = bytearray(piece.read_bytes())
    content[100] ^= 1
    piece.write_bytes(content)
    source = open_backup(house.place)
    with pytest.raises(DamagedBackupError, match=r"events\.db is damaged"):
        check(source, [made.id])
    house.backup(NOW_US + _HOUR_US)
    assert check(source, source.ids()).sets == 2


def test_a_missing_piece_is_found(house: House) -> None:
    made = house.backup().made
    digest = made.files[0].chunks[0]
    (house.place / "objects" / digest[:2] / digest).unlink()
    with pytest.raises(DamagedBackupError, match="missing"):
        check(open_backup(house.place), [made.id])


def test_a_manifest_that_was_changed_is_found(house: House) -> None:
    made = house.backup().made
    file = house.place / "sets" / f"{made.id}.json"
    file.write_bytes(file.read_bytes().replace(b"events.db", b"evenTs.db"))
    with pytest.raises(DamagedBackupError, match="manifest"):
        check(open_backup(house.place), [made.id])


def test_a_manifest_of_a_newer_program_is_refused_with_a_hint(house: House) -> None:
    made = house.backup().made
    file = house.place / "sets" / f"{made.id}.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 99}))
    with pytest.raises(UnfitBackupError, match="newer version") as caught:
        check(open_backup(house.place), [made.id])
    assert "that version" in caught.value.hint


def test_a_place_of_something_else_is_refused(house: House) -> None:
    house.place.mkdir(mode=0o700)
    (house.place / "letters.txt").write_text("x")
    with pytest.raises(ConfigError, match="other files"):
        house.backup()
    with pytest.raises(NotFoundError):
        open_backup(house.place)


def test_one_at_a_time(house: House) -> None:
    directory = BackupDirectory.make(house.place)
    with directory.alone(), pytest.raises(UnavailableError, match="another process"):
        house.backup()


def test_no_data_no_backup(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(NotFoundError, match="no data directory"):
        make_backup(tmp_path / "data", BackupDirectory.make(tmp_path / "place"), now_us=NOW_US)


def test_a_file_of_one_set_is_read_like_a_directory(house: House, tmp_path: Path) -> None:
    made = house.backup().made
    file = tmp_path / "one.tar"
    pack(BackupDirectory.open(house.place), file)
    assert file.stat().st_mode & 0o777 == 0o600
    source = open_backup(file)
    assert isinstance(source, BackupFile)
    assert source.read_set(made.id) == made
    assert check(source, source.ids()).sets == 1
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(DamagedBackupError):
        check(BackupFile(file), [made.id])


def test_what_was_written_is_read_again_exactly(house: House) -> None:
    made = house.backup().made
    assert BackupSet.decode(made.encode(), made.id) == made
    toml = made.file("healthsync.toml")
    assert toml is not None
    assert b"".join(contents(open_backup(house.place), toml)) == (house.data / "healthsync.toml").read_bytes()


def test_sets_are_in_the_order_in_which_they_were_made_whatever_the_clock_says(house: House) -> None:
    made = [house.backup(NOW_US + by).made.id for by in (0, 0, -_HOUR_US, 1, _HOUR_US)]
    assert BackupDirectory.open(house.place).ids() == made
