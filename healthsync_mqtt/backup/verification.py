"""Whether sets are as they were written: every piece is read."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from healthsync_mqtt.backup.manifest import BackupSet, DamagedBackupError, KeptFile
from healthsync_mqtt.backup.place import BackupSource, digest_of
from healthsync_mqtt.errors import NotFoundError
from healthsync_mqtt.telemetry.spare_time import SpareTime


class CheckedBackup(NamedTuple):
    """What was read and found sound."""

    sets: int
    pieces: int
    size: int


def contents(source: BackupSource, file: KeptFile) -> Iterator[bytes]:
    """The bytes of a file, piece by piece. DamagedBackupError at the first that is wrong, and at a wrong whole."""
    size, whole = 0, hashlib.sha256()
    for digest in file.chunks:
        piece = source.read_piece(digest)
        if digest_of(piece) != digest:
            raise DamagedBackupError(
                f"{file.path} is damaged in the backup (piece {digest[:16]})",
                hint="use an older set, and make a new one: what is damaged is copied again",
            )
        size += len(piece)
        whole.update(piece)
        yield piece
    if (size, whole.hexdigest()) != (file.size, file.sha256):
        raise DamagedBackupError(
            f"{file.path} is not put together as it was", hint="use an older set; somebody may have changed this one"
        )


def check(source: BackupSource, names: list[str]) -> CheckedBackup:
    """Read these sets; a piece that several have is read once for each file. NotFoundError when there is none."""
    if not names:
        raise NotFoundError("there is no set in it", hint="make one: healthsync backup create DIR")
    seen: set[tuple[str, str]] = set()
    pieces: set[str] = set()
    size = 0
    with SpareTime() as spare:
        for name in names:
            kept: BackupSet = source.read_set(name)
            for file in kept.files:
                if (file.path, file.sha256) in seen:
                    continue
                seen.add((file.path, file.sha256))
                spare.spend(contents(source, file))
                size += file.size
                pieces.update(file.chunks)
    return CheckedBackup(len(names), len(pieces), size)
