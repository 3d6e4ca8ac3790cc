"""The keys of an installation as one file of its own, apart from every set: signing keys, CA, key ring, salts."""

import contextlib
import hashlib
import io
import json
import os
import secrets
import tarfile
from pathlib import Path
from typing import Final

from healthsync_mqtt.backup import inventory
from healthsync_mqtt.backup.manifest import FORMAT, DamagedBackupError, FileKind, UnfitBackupError
from healthsync_mqtt.config.private_files import check_private
from healthsync_mqtt.errors import NotFoundError, StoreError
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.storage.opening import hold_database

_MANIFEST: Final = "keys.json"
AUDIT_KEY: Final = "keys/audit.key"
_PIECE: Final = 256 * 1024


def write_keys(data: Path, file: Path, now_us: int) -> None:
    """Write the keys of a data directory into ``file`` (mode 0600), in one step. StoreError."""
    found: dict[str, bytes] = {}
    for each in inventory.keys(data):
        if each.kind is FileKind.database:
            with hold_database(each.path) as held:
                held.hold()
                found[each.name] = b"".join(piece for _, piece in sorted(held.chunks(_PIECE)))
        else:
            with contextlib.suppress(FileNotFoundError):  # it went since it was found
                found[each.name] = each.path.read_bytes()
    manifest = {
        "format": FORMAT,
        "made_at": iso(now_us),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in found.items()},
    }
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            with tarfile.open(fileobj=stream, mode="w:", format=tarfile.PAX_FORMAT) as tar:
                for name, content in {_MANIFEST: json.dumps(manifest, sort_keys=True).encode(), **found}.items():
                    member = tarfile.TarInfo(name)
                    member.size, member.mode = len(content), 0o600
                    tar.addfile(member, io.BytesIO(content))
            stream.flush()
            os.fsync(stream.fileno())
        temporary.rename(file)
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror or error}", hint="name another place") from error
    finally:
        temporary.unlink(missing_ok=True)


def read_keys(file: Path) -> dict[str, bytes]:
    """What ``write_keys`` wrote, by name. NotFoundError, ConfigError for loose modes, DamagedBackupError."""
    if not file.exists():
        raise NotFoundError(f"{file} is missing", hint="name the file that backup create --keys FILE made")
    check_private(file)
    try:
        with tarfile.open(file, "r:") as tar:
            found = {each.name: content.read() for each in tar if (content := tar.extractfile(each)) is not None}
        manifest = json.loads(found.pop(_MANIFEST))
        digests, form = dict(manifest["files"]), int(manifest["format"])
    except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError):
        raise DamagedBackupError(f"{file} is no file of keys, or was cut", hint="use another copy of it") from None
    if form > FORMAT:
        raise UnfitBackupError(f"{file} was made by a newer version of this program", hint="use that version")
    if digests != {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}:
        raise DamagedBackupError(f"{file} is not as it was written", hint="use another copy of it")
    if foreign := [name for name in found if not inventory.is_key(name)]:
        raise DamagedBackupError(f"{file} holds {foreign[0]}, which is no key", hint="use another copy of it")
    return found
