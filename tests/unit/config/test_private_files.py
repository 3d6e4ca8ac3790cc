"""Private files: written whole or not at all, and never through somebody else's hands."""

import os
from pathlib import Path

import pytest

from healthsync_mqtt.config.private_files import (
    check_private,
    create_private,
    directory_lock,
    make_private_directory,
    read_private,
    write_durably,
)
from healthsync_mqtt.errors import ConfigError, UnavailableError


def test_content_is_replaced_in_one_step(tmp_path: Path) -> None:
    file = tmp_path / "key"
    write_durably(file, b"one")
    write_durably(file, b"two")
    assert read_private(file) == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        write_durably(tmp_path / "public", b"", mode=0o644)
        os.umask(0)
        write_durably(tmp_path / "private", b"")
        make_private_directory(tmp_path / "directory")
        assert create_private(tmp_path / "created")
    finally:
        os.umask(old)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"public": 0o644, "private": 0o600, "directory": 0o700, "created": 0o600}


def test_a_write_that_fails_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    write_durably(file, b"one")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_durably(file, b"two")
    assert file.read_bytes() == b"one"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_t54_what_is_loose_linked_or_missing_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    with pytest.raises(ConfigError, match="missing"):
        check_private(file)
    assert create_private(file)
    assert not create_private(file)
    for mode in (0o601, 0o610, 0o640, 0o644):
        file.chmod(mode)
        with pytest.raises(ConfigError) as loose:
            create_private(file)
        assert f"{mode:04o}" in str(loose.value)
    file.chmod(0o600)
    (tmp_path / "link").symlink_to(file)
    with pytest.raises(ConfigError, match="symbolic link"):
        read_private(tmp_path / "link")
    with pytest.raises(ConfigError, match="not a plain file"):
        read_private(tmp_path)


def test_a_file_in_the_way_of_a_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    for path in (tmp_path / "data", tmp_path / "data" / "keys"):
        with pytest.raises(ConfigError, match="not a directory"):
            make_private_directory(path)


def test_a_directory_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    import fcntl

    with directory_lock(tmp_path), (tmp_path / ".lock").open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / ".lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert (tmp_path / ".lock").stat().st_mode & 0o777 == 0o600


def test_nobody_waits_for_a_lock_for_ever(tmp_path: Path) -> None:
    second = directory_lock(tmp_path, within_s=0.05)
    with directory_lock(tmp_path), pytest.raises(UnavailableError, match=f"process {os.getpid()}"), second:
        pytest.fail("two had it")
    with directory_lock(tmp_path, within_s=0.05):
        pass
