"""Where an export goes: stdout, a file, or a directory of files. Private to this account, and whole or not at all."""

import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from healthsync_mqtt.config.private_files import sync_directory
from healthsync_mqtt.errors import UsageError


@contextmanager
def one_file(path: Path | None) -> Iterator[IO[bytes]]:
    """A file at ``path`` that is there, on disk, when the block has ended without an error; None: stdout.

    What was there before is replaced in one step. A pipe or a device is written to as it comes. UsageError when there
    is no place for it.
    """
    if path is None:
        yield sys.stdout.buffer
        return
    found = _kind(path)
    if found is not None and not stat.S_ISREG(found) and not stat.S_ISDIR(found):
        with path.open("wb") as stream:
            yield stream
        return
    if found is not None and stat.S_ISDIR(found):
        raise UsageError(f"{path} is a directory", hint="name a file: -o FILE")
    beside = _beside(path)
    descriptor = _opened(beside, path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        sync_directory(path.parent)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


@contextmanager
def directory(path: Path) -> Iterator[Path]:
    """A directory for the files of an export, which is at ``path`` when the block has ended without an error.

    UsageError when something is there already, unless it is an empty directory.
    """
    found = _kind(path)
    if found is not None and not (stat.S_ISDIR(found) and not any(path.iterdir())):
        raise UsageError(f"{path} is there already", hint="name a directory that is new or empty: -o DIRECTORY")
    beside = _beside(path)
    try:
        beside.mkdir(mode=0o700)
    except OSError as error:
        raise _no_place(path, error) from error
    try:
        yield beside
        beside.replace(path)  # over an empty directory, in one step
        sync_directory(path.parent)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


@contextmanager
def file_in(folder: Path, name: str) -> Iterator[IO[bytes]]:
    """A new private file of a directory, on disk when the block has ended."""
    with os.fdopen(_opened(folder / name, folder), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _kind(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _no_place(path, error) from error


def _beside(path: Path) -> Path:
    return path.absolute().with_name(f".{path.absolute().name}.{secrets.token_hex(4)}")


def _opened(file: Path, told: Path) -> int:
    try:
        return os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _no_place(told, error) from error


def _no_place(path: Path, error: OSError) -> UsageError:
    return UsageError(f"{path} cannot be written: {error.strerror}", hint="name another place: -o PATH")
