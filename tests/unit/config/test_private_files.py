"""Private files: written whole or not at all, and never through somebody else's hands."""

import errno
import os
import struct
from pathlib import Path

import pytest

from healthsync_mqtt.config.private_files import (
    CREDENTIALS_DIRECTORY,
    check_private,
    create_private,
    directory_lock,
    make_private_directory,
    read_private,
    write_durably,
)
from healthsync_mqtt.config.secrets import KEY_PASSPHRASE_FILE, key_passphrase
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


SERVICE = 65_534
"""An account that is nobody's here."""


@pytest.fixture
def lent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A credential of systemd: whoever made it is root, we are a service that root let read it."""
    place = tmp_path / "credentials"
    place.mkdir()
    file = place / "key-passphrase"
    file.write_text("correct horse\n")
    file.chmod(0o440)
    place.chmod(0o550)
    real = Path.stat

    def as_of_root(path: Path, **how: bool) -> os.stat_result:
        about = real(path, **how)
        return os.stat_result([*about[:4], 0 if about.st_uid == os.getuid() else about.st_uid, *about[5:]])

    monkeypatch.setattr(Path, "stat", as_of_root)
    monkeypatch.setattr(Path, "lstat", lambda path: as_of_root(path, follow_symlinks=False))
    monkeypatch.setattr(os, "geteuid", lambda: SERVICE)
    monkeypatch.setenv(CREDENTIALS_DIRECTORY, str(place))
    return file


def test_a_credential_that_systemd_lends_is_read(lent: Path) -> None:
    """Of systemd 254 and later it is root's and 0440: the mask of the access list that lets the service read it."""
    check_private(lent)
    assert read_private(lent) == b"correct horse\n"
    assert key_passphrase({KEY_PASSPHRASE_FILE: str(lent)}) == b"correct horse"
    lent.chmod(0o400)
    check_private(lent)


def test_a_credential_is_lent_where_systemd_says_and_nowhere_else(
    lent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "key").write_text("x")
    (other / "key").chmod(0o440)
    for path in (other / "key", lent.parent / ".." / "other" / "key"):
        with pytest.raises(ConfigError, match="another account"):
            read_private(path)
    lent.parent.chmod(0o750)
    (lent.parent / "link").symlink_to(other / "key")
    with pytest.raises(ConfigError, match="symbolic link"):
        read_private(lent.parent / "link")
    (lent.parent / "deeper").mkdir()
    (lent.parent / "deeper" / "key").write_text("x")
    with pytest.raises(ConfigError, match="another account"):
        read_private(lent.parent / "deeper" / "key")
    for said in ("", str(tmp_path)):
        monkeypatch.setenv(CREDENTIALS_DIRECTORY, said)
        with pytest.raises(ConfigError, match="another account"):
            read_private(lent)
    monkeypatch.delenv(CREDENTIALS_DIRECTORY)
    with pytest.raises(ConfigError, match="another account"):
        read_private(lent)


@pytest.mark.parametrize("mode", [0o441, 0o442, 0o444, 0o460, 0o450, 0o540])
def test_a_credential_that_others_may_touch_is_lent_by_nobody(lent: Path, mode: int) -> None:
    lent.chmod(mode)
    with pytest.raises(ConfigError, match="another account"):
        read_private(lent)


@pytest.mark.parametrize("mode", [0o770, 0o757, 0o572])
def test_a_directory_in_which_others_write_lends_nothing(lent: Path, mode: int) -> None:
    lent.parent.chmod(mode)
    with pytest.raises(ConfigError, match="another account"):
        read_private(lent)


def test_a_credential_of_a_third_account_is_lent_by_nobody(lent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_root = Path.lstat

    def of_a_third(path: Path) -> os.stat_result:
        about = of_root(path)
        return os.stat_result([*about[:4], 12_345, *about[5:]])

    monkeypatch.setattr(Path, "lstat", of_a_third)
    with pytest.raises(ConfigError, match="another account"):
        read_private(lent)


ENTRY = struct.Struct("<HHI")
"""Of an access list of Linux: what kind of entry, what it allows, to whom."""
ANYBODY = 0xFFFF_FFFF
LISTED = struct.pack("<I", 2) + b"".join(
    ENTRY.pack(*each)
    for each in (
        (0x01, 4, ANYBODY),  # its owner
        (0x02, 4, SERVICE),
        (0x04, 0, ANYBODY),  # its group
        (0x10, 4, ANYBODY),  # the mask, which shows as what the group may do
        (0x20, 0, ANYBODY),  # others
    )
)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends what is root's")
def test_an_account_reads_the_passphrase_that_an_access_list_lends_it() -> None:
    """The same with a real list and a real account, in memory as systemd keeps it."""
    import shutil
    import tempfile

    place = Path(tempfile.mkdtemp(prefix="credentials-", dir="/dev/shm"))
    try:
        file = place / "key-passphrase"
        file.write_text("correct horse\n")
        file.chmod(0o400)
        try:
            os.setxattr(file, "system.posix_acl_access", LISTED)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            pytest.skip("the file system has no access lists")
        place.chmod(0o755)
        assert file.stat().st_mode & 0o777 == 0o440
        child = os.fork()
        if not child:
            code = 9
            try:
                code = _read_as_service(file)
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        shutil.rmtree(place)


def _read_as_service(file: Path) -> int:
    """0: it is read with the directory named, and refused without."""
    os.setgroups([])
    os.setgid(SERVICE)
    os.setuid(SERVICE)
    os.environ[CREDENTIALS_DIRECTORY] = str(file.parent)
    if key_passphrase({KEY_PASSPHRASE_FILE: str(file)}) != b"correct horse":
        return 1
    del os.environ[CREDENTIALS_DIRECTORY]
    try:
        key_passphrase({KEY_PASSPHRASE_FILE: str(file)})
    except ConfigError as error:
        return 0 if "another account" in str(error) else 3
    return 2
