"""Files and directories that only their owner may read: keys, databases, the admin socket.

A file with loose modes, of another owner, or reached through a symbolic link is refused (threat T54): whoever could
write it could already have replaced what is in it. A credential of systemd is root's, and lent to us.
"""

import contextlib
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from healthsync_mqtt.errors import ConfigError, UnavailableError

LOCK_S: Final = 5.0
"""How long a lock is waited for: what is done under one takes milliseconds."""

CREDENTIALS_DIRECTORY: Final = "CREDENTIALS_DIRECTORY"
"""The variable in which systemd names the directory of a service's credentials: ``%d`` in its unit."""

_LOOK_S: Final = 0.01
_UNFINISHED_BYTES: Final = 4


def make_private_directory(path: Path) -> Path:
    """Create ``path`` (mode 0700) where it is missing, and check it: no other account may write in it.

    What is missing above it is made private too: it is mostly the data directory.
    """
    try:
        for missing in [each for each in reversed(path.parents) if not each.exists()]:
            missing.mkdir(mode=0o700, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ConfigError(f"{path} is not a directory", hint="name a directory, or move the file away") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be created: {error.strerror}", hint="name another directory") from error
    info = path.stat()
    _check_owner(path, info)
    if info.st_mode & 0o022:
        raise ConfigError(f"{path} can be written by other accounts", hint=f"chmod 700 {path}")
    return path


def check_private(path: Path) -> None:
    """Refuse ``path`` (ConfigError) unless it is a plain file of ours that no other account may touch.

    A credential that systemd hands to this service may be root's.
    """
    try:
        info = path.lstat()
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing", hint="restore it, or start with an empty directory") from None
    if stat.S_ISLNK(info.st_mode):
        raise ConfigError(f"{path} is a symbolic link", hint=f"put the file itself at {path}")
    if not stat.S_ISREG(info.st_mode):
        raise ConfigError(f"{path} is not a plain file", hint="move it away")
    if _is_lent(path, info):
        return
    _check_owner(path, info)
    if info.st_mode & 0o077:
        raise ConfigError(
            f"{path} is open to other accounts (mode {stat.S_IMODE(info.st_mode):04o})", hint=f"chmod 600 {path}"
        )


def read_private(path: Path) -> bytes:
    """The content of a private file; ConfigError when it is missing or loose."""
    check_private(path)
    return path.read_bytes()


def create_private(path: Path) -> bool:
    """Create an empty private file; False when it exists already (it is then checked)."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        check_private(path)
        return False
    os.close(descriptor)
    return True


def write_durably(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace ``path`` in one step, on disk when this returns; a crash leaves the old content or the new."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(_UNFINISHED_BYTES)}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)  # the umask may have taken bits that a public file needs
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def unfinished(directory: Path, name: str) -> list[Path]:
    """What whoever was killed in ``write_durably`` has left of files of this name, which is a pattern."""
    return list(directory.glob(f".{name}.{'[0-9a-f]' * 2 * _UNFINISHED_BYTES}"))


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def directory_lock(path: Path, *, within_s: float = LOCK_S) -> Iterator[None]:
    """Hold ``path`` for one process at a time, so that two first starts do not both create keys.

    UnavailableError, naming the holder, when another one still has it after ``within_s``: nobody waits for ever.
    """
    with _held(path / ".lock", path, within_s):
        yield


@contextlib.contextmanager
def file_lock(path: Path, *, within_s: float = LOCK_S) -> Iterator[None]:
    """The same for a file that one process replaces while others add to it; the lock is a file beside it."""
    with _held(path.with_suffix(".lock"), path, within_s):
        yield


@contextlib.contextmanager
def _held(lock: Path, path: Path, within_s: float) -> Iterator[None]:
    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, path, within_s)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
                raise UnavailableError(
                    f"{path} is in use by {f'process {holder}' if holder.isdigit() else 'another process'}",
                    hint="try again; if that process hangs, end it",
                ) from None
            time.sleep(_LOOK_S)
        else:
            return


def _is_lent(path: Path, info: os.stat_result) -> bool:
    """Whether it lies where systemd lays the credentials of this service, and nobody but root and we may change it.

    Since 254 systemd leaves a credential to root, where the file system has access lists, and lets the service read it
    by one. Its mask is shown as what the group may do: 0440, and no group may read it.
    """
    lent = os.environ.get(CREDENTIALS_DIRECTORY)
    if not lent or path.parent != Path(lent):
        return False
    owners = {0, os.geteuid()}
    place = path.parent.stat()
    sure = place.st_uid in owners and not place.st_mode & 0o022
    return sure and info.st_uid in owners and not info.st_mode & 0o137


def _check_owner(path: Path, info: os.stat_result) -> None:
    if info.st_uid != os.geteuid():
        sudo = "sudo " if os.geteuid() else ""
        raise ConfigError(
            f"{path} belongs to another account", hint=f"run as its owner, or: {sudo}chown {os.geteuid()} {path}"
        )
