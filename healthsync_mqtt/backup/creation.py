"""A new set: the files of a data directory, read while the service writes them, and read back before it counts."""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from healthsync_mqtt import __version__
from healthsync_mqtt.backup import inventory
from healthsync_mqtt.backup.erasures import carry_ledger, erasures_in
from healthsync_mqtt.backup.inventory import Found
from healthsync_mqtt.backup.manifest import BackupSet, DamagedBackupError, FileKind, KeptFile, LogPlace
from healthsync_mqtt.backup.place import BackupDirectory, digest_of
from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.config.private_files import read_private
from healthsync_mqtt.errors import NotFoundError, StoreError
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.storage.opening import HeldDatabase, hold_database, hold_log
from healthsync_mqtt.telemetry.spare_time import SpareTime

PIECE: Final = 256 * 1024
"""Bytes of a piece: small enough that few changed pages take few bytes, large enough that there are not many."""

_TRIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeBackup:
    """A set that is there and was read back; ``copied`` are the bytes that no older set had."""

    made: BackupSet
    copied: int


class _Read(NamedTuple):
    """A file that was read, before it is read back."""

    name: str
    kind: FileKind
    pieces: tuple[str, ...]
    schema: int | None


class _Gathering:
    """One reading of a data directory."""

    def __init__(self, directory: BackupDirectory, spare: SpareTime) -> None:
        self._directory = directory
        self._spare = spare
        self.copied = 0
        self.files: list[_Read] = []
        self.log: LogPlace | None = None

    def everything(self, data: Path, topics_file: Path | None) -> None:
        """All files in the order that makes them fit; their pieces are on the disk when this returns."""
        try:
            for found in inventory.before_log(data, topics_file):
                self._take(found)
            with ExitStack() as opened:
                held = hold_log(data)
                if held is not None:
                    opened.enter_context(held.database)
                    self.log = LogPlace(epoch=held.epoch, head=held.head)
                for found in inventory.after_log(data):
                    self._take(found)
                if held is not None:
                    self._take_database(inventory.EVENTS, held.database)
            self._directory.flush()
        except BaseException:
            self._directory.give_up()
            raise

    def _take(self, found: Found) -> None:
        """Nothing of what went since it was found: a sink was removed."""
        if found.kind is FileKind.database:
            try:
                held = hold_database(found.path)
            except StoreError:
                if found.path.exists():
                    raise
                return
            with held:
                held.hold()
                self._take_database(found.name, held)
            return
        try:
            file = found.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            pieces = iter(lambda: file.read(PIECE), b"")
            self._keep(found.name, FileKind.plain, enumerate(pieces), None)

    def _take_database(self, name: str, held: HeldDatabase) -> None:
        self._keep(name, FileKind.database, held.chunks(PIECE), held.schema)

    def _keep(self, name: str, kind: FileKind, pieces: Iterable[tuple[int, bytes]], schema: int | None) -> None:
        digests: dict[int, str] = {}
        self._spare.spend(self._copied(pieces, digests))
        self.files.append(_Read(name, kind, tuple(digests[no] for no in sorted(digests)), schema))

    def _copied(self, pieces: Iterable[tuple[int, bytes]], digests: dict[int, str]) -> Iterator[None]:
        for no, piece in pieces:
            digest = digests[no] = digest_of(piece)
            if not self._directory.has(digest, len(piece)):
                self._directory.put(digest, piece)
                self.copied += len(piece)
            yield


def make_backup(
    data: Path,
    directory: BackupDirectory,
    *,
    now_us: int,
    topics_file: Path | None = None,
) -> MadeBackup:
    """Add a set to the directory, and read all of it back. Nothing waits for this, and older sets stay as they are.

    The ledger of erasures goes beside the sets. NotFoundError for a directory that never ran; UnavailableError while
    another process makes a backup there; StoreError where there is no room, or a file cannot be read.
    """
    if not (data / inventory.REGISTRY).exists():
        raise NotFoundError(f"{data} is no data directory", hint="name it: --data DIR")
    with directory.alone(), SpareTime() as spare:
        for tries_left in reversed(range(_TRIES)):
            known = erasures_in(data)
            reading = _Gathering(directory, spare)
            reading.everything(data, topics_file)
            if tries_left and erasures_in(data).forgotten != known.forgotten:
                # Some files are of before a person was erased, and the registry of after it, which could not tell whose
                # they are. What only this reading had is no set's.
                with contextlib.suppress(DamagedBackupError):
                    directory.sweep()
                continue
            try:
                files = tuple(_read_back(directory, each, spare) for each in reading.files)
            except DamagedBackupError as error:
                if tries_left:
                    continue  # a piece of an older set went bad: it is gone now, and is copied anew
                raise StoreError(
                    f"what was written is not what is read back: {error}", hint="use another disk"
                ) from error
            made = _signed(data, BackupSet(
                id=_id(directory.ids(), now_us),
                made_us=now_us,
                program=__version__,
                log=reading.log,
                erased=known.done,
                files=files,
            ))  # fmt: skip
            directory.add_set(made)
            carry_ledger(data, directory.path)
            return MadeBackup(made=made, copied=reading.copied)
    raise AssertionError


def _read_back(directory: BackupDirectory, read: _Read, spare: SpareTime) -> KeptFile:
    size, whole = 0, hashlib.sha256()

    def steps() -> Iterator[None]:
        nonlocal size
        for digest in read.pieces:
            piece = directory.read_piece(digest)
            if digest_of(piece) != digest:
                directory.drop_piece(digest)
                raise DamagedBackupError(f"the piece {digest[:16]} of {read.name}")
            size += len(piece)
            whole.update(piece)
            yield

    spare.spend(steps())
    return KeptFile(
        path=read.name, kind=read.kind, size=size, sha256=whole.hexdigest(), chunks=read.pieces, schema=read.schema
    )


def _signed(data: Path, made: BackupSet) -> BackupSet:
    key_file = DataPaths(root=data).audit_key
    return made.signed(bytes.fromhex(read_private(key_file).decode())) if key_file.exists() else made


def _id(known: Sequence[str], now_us: int) -> str:
    """Numbers count up, so that the order of names is that of the sets, whatever the clock did in between."""
    number = int(known[-1][:6]) + 1 if known and known[-1][6:7] == "-" else 1
    return f"{number:06d}-{iso(now_us)[:19].replace('-', '').replace(':', '')}Z"
