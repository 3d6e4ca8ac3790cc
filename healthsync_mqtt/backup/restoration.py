"""A set back into a directory: what does not fit together is refused, and nothing is there before all of it is."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from healthsync_mqtt.backup import inventory
from healthsync_mqtt.backup.keyfile import AUDIT_KEY
from healthsync_mqtt.backup.manifest import BackupSet, DamagedBackupError, UnfitBackupError
from healthsync_mqtt.backup.place import BackupSource
from healthsync_mqtt.backup.verification import contents
from healthsync_mqtt.config.private_files import make_private_directory, sync_directory
from healthsync_mqtt.errors import ConflictError, StoreError
from healthsync_mqtt.storage.opening import hold_log

Finish = Callable[[Path], None]
"""Called with a directory that has all files, before it is where it belongs; what it raises ends the restoring."""


def restore(
    source: BackupSource, kept: BackupSet, target: Path, *, keys: dict[str, bytes] | None, finish: Finish
) -> None:
    """Put a set at ``target``, which is missing or empty; there is nothing there until ``finish`` has returned.

    ConflictError for a directory with something in it, DamagedBackupError, UnfitBackupError for keys of another
    installation, StoreError where there is no room.
    """
    _refuse_full(target)
    if keys is not None:
        _refuse_other_keys(kept, keys)
    target = target.absolute()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in target.parent.glob(f".{target.name}.restoring-*"):  # of one that was killed
        shutil.rmtree(left)
    staging = target.parent / f".{target.name}.restoring-{secrets.token_hex(4)}"
    make_private_directory(staging)
    try:
        _fill(source, kept, staging, keys or {})
        _compare(kept, staging)
        finish(staging)
        if target.exists():
            target.rmdir()
        staging.rename(target)
        sync_directory(target.parent)
    except OSError as error:
        raise StoreError(
            f"{staging} cannot be written: {error.strerror or error}", hint="make room there, or name another place"
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _refuse_full(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConflictError(
            f"{target} is not empty", hint="restore into a new directory, look at it, and let the service use it then"
        )


def _refuse_other_keys(kept: BackupSet, keys: dict[str, bytes]) -> None:
    key = keys.get(AUDIT_KEY)
    if kept.mac and (key is None or not kept.made_with(bytes.fromhex(key.decode()))):
        raise UnfitBackupError(
            f"these keys are not those of the set {kept.id}",
            hint="name the keys of the same installation; if they are, somebody changed the set: use another one",
        )


def _fill(source: BackupSource, kept: BackupSet, staging: Path, keys: dict[str, bytes]) -> None:
    for file in kept.files:
        if not inventory.is_kept(file.path):
            raise DamagedBackupError(
                f"the set {kept.id} holds {file.path}, which belongs in no data directory", hint="use another set"
            )
        _write(staging / file.path, contents(source, file))
    for name, content in keys.items():
        _write(staging / name, [content])


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    make_private_directory(path.parent)
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)


def _compare(kept: BackupSet, staging: Path) -> None:
    """The log is the one that the manifest names. (An older schema is brought up to date at the first start.)"""
    if kept.log is None:
        return
    held = hold_log(staging)
    if held is None:
        raise DamagedBackupError(f"the set {kept.id} has lost its event log", hint="use another set")
    with held.database:
        if (held.epoch, held.head) != (kept.log.epoch, kept.log.head):
            raise UnfitBackupError(
                f"the event log of the set {kept.id} is another one than its manifest says", hint="use another set"
            )
        if held.sealed and not (staging / inventory.RING).exists():
            raise UnfitBackupError(
                f"the event log of the set {kept.id} is sealed, and its keys are not in a set",
                hint="name the file of keys: healthsync restore BACKUP --data NEW --keys FILE",
            )
