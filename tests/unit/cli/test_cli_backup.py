"""What the backup commands print, and what they refuse."""

import json
import tarfile
from pathlib import Path

import pytest

from healthsync_mqtt.storage.opening import open_log
from healthsync_mqtt.testing.log_items import NOW_US, item


@pytest.fixture
def filled(data: Path, lines) -> Path:
    lines("user", "add", "alice", "--consent", "all")
    lines("device", "add", "alice", "watch")
    with open_log(data) as log:
        log.stage([item("a"), item("b")], [], NOW_US)
        log.commit()
    return data


def test_create_verify_list_restore(filled: Path, tmp_path: Path, run, lines) -> None:
    place, keys = tmp_path / "backups", tmp_path / "keys.tar"
    (made,) = lines("backup", "create", str(place), "--keys", str(keys))
    assert set(made) == {
        "backup", "set", "made_at", "events", "epoch", "files", "bytes", "copied_bytes", "version", "keys", "verified",
        "seconds",
    }  # fmt: skip
    assert (made["events"], made["verified"], made["keys"]) == (2, True, str(keys))
    (again,) = lines("backup", "create", str(place))
    assert again["copied_bytes"] < made["copied_bytes"]
    assert [each["set"] for each in lines("backup", "list", str(place))] == [made["set"], again["set"]]
    (verified,) = lines("backup", "verify", str(place))
    assert (verified["sound"], verified["sets"]) == (True, 2)
    target = tmp_path / "restored"
    (restored,) = lines("restore", str(place), "--data", str(target), "--keys", str(keys), "--set", made["set"])
    assert (restored["data"], restored["events"], restored["keys"]) == (str(target), 2, True)
    assert {each.action for each in _audit(target)} >= {"user.added", "device.added", "storage.restored"}
    assert (target / "keys" / "audit.key").read_bytes() == (filled / "keys" / "audit.key").read_bytes()


def _audit(data: Path):
    from healthsync_mqtt.identity.audit.log import AuditLog

    return AuditLog.open(data / "audit.db", data / "keys" / "audit.key").rows()


def test_it_is_written_down_that_a_copy_was_made(filled: Path, tmp_path: Path, lines) -> None:
    (made,) = lines("backup", "create", str(tmp_path / "backups"))
    (entry,) = lines("audit", "list", "--action", "backup.created")
    assert entry["detail"] == {"keys": False, "set": made["set"]}


def test_one_file(filled: Path, tmp_path: Path, lines) -> None:
    file = tmp_path / "one.tar"
    lines("backup", "create", str(file))
    (made,) = lines("backup", "create", str(file))
    assert tarfile.is_tarfile(file)
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".one")] == []
    assert [each["set"] for each in lines("backup", "list", str(file))] == [made["set"]]
    (restored,) = lines("restore", str(file), "--data", str(tmp_path / "restored"))
    assert (restored["events"], restored["keys"]) == (2, False)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("backup", "create", "{data}/inside"), "usage"),
        (("backup", "create", "{tmp}/backups", "--keys", "{data}/keys.tar"), "usage"),
        (("backup", "create", "{tmp}/backups", "--keys", "{tmp}/backups/keys.tar"), "usage"),
        (("backup", "create", "{tmp}/link/inside"), "usage"),
        (("backup", "create", "{tmp}/backups", "--keys", "{tmp}/link/keys.tar"), "usage"),
        (("backup", "create", "{data}/inside", "--data", "{tmp}/link"), "usage"),
        (("backup", "create", "{tmp}/nowhere/one.tar"), "not_found"),
        (("backup", "verify", "{tmp}/none"), "not_found"),
        (("backup", "list", "{tmp}/none"), "not_found"),
        (("restore", "{tmp}/none", "--data", "{tmp}/x"), "not_found"),
    ],
)
def test_refusals_have_a_reason_and_a_fix(filled: Path, tmp_path: Path, run, words, reason) -> None:
    (tmp_path / "link").symlink_to(filled)
    result = run(*(word.format(data=filled, tmp=tmp_path) for word in words), "--json")
    assert result.exit_code
    error = json.loads(result.stderr)["error"]
    assert error["reason"] == reason
    assert error["fix"]
    assert not list(tmp_path.glob("backups/sets/*"))


def test_a_damaged_backup_exits_with_1_and_says_which_file(filled: Path, tmp_path: Path, run, lines) -> None:
    lines("backup", "create", str(tmp_path / "backups"))
    piece = next((tmp_path / "backups" / "objects").glob("*/*"))
    piece.write_bytes(piece.read_bytes() + b"x")
    result = run("backup", "verify", str(tmp_path / "backups"))
    assert result.exit_code == 1
    assert "is damaged in the backup" in result.stderr


def test_a_place_without_sets_is_no_backup_yet(filled: Path, tmp_path: Path, run, lines) -> None:
    from healthsync_mqtt.backup.place import BackupDirectory

    BackupDirectory.make(tmp_path / "backups")
    assert lines("backup", "list", str(tmp_path / "backups")) == []
    for words in (("backup", "verify"), ("restore",)):
        result = run(*words, str(tmp_path / "backups"), *(() if words[0] == "backup" else ("--data", "x")))
        assert result.exit_code == 1
        assert "there is no set" in result.stderr
