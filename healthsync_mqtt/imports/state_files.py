"""Where imports keep what they keep in a data directory, by whose it is: no name of a person is in a file's name."""

import re
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Final

from healthsync_mqtt.config.private_files import unfinished

_OLDER_MARK: Final = re.compile(r"\.?mark-[0-9a-f]{32}-[0-9a-f]{32}\.json.*")
"""Of a version that did not say whose it is."""


def short(*words: str) -> str:
    """Words as a part of a file's name."""
    return blake2b("\x1f".join(words).encode(), digest_size=16).hexdigest()


def folder(data: Path) -> Path:
    """Where all of it is."""
    return data / "imports"


def memory_file(data: Path, user: str, device: str) -> Path:
    """What kinds of archives remember of a device."""
    return folder(data) / f"device-{short(user, device)}.json"


def mark_name(user: str, device: str, digest: str) -> str:
    """How the names begin of what says how far the import of a content has come."""
    return f"mark-{short(user)}-{short(user, device, digest)}"


def forget_person(data: Path, user: str, devices: Iterable[str]) -> None:
    """Nothing of a user's imports is left. What an older version kept of anybody's goes, too: it only begins anew."""
    place = folder(data)
    found = [memory_file(data, user, device) for device in devices]
    found += [left for path in found for left in unfinished(place, path.name)]
    for pattern in (f"mark-{short(user)}-*", f".mark-{short(user)}-*"):
        found += place.glob(pattern)
    found += [path for path in place.glob("*") if _OLDER_MARK.fullmatch(path.name)]
    for path in found:
        path.unlink(missing_ok=True)
