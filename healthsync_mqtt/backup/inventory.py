"""What of a data directory a set holds, and in which order it is read.

The order is what makes files that are read one after the other fit together; decision 88 says why for each.
What can be made again from the log is left out, and so is what the broker owes to clients: they say it again. Keys and
salts are never in a set: whoever has only the sets cannot log in, sign, or say whose points are in a bucket.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from healthsync_mqtt.backup.manifest import FileKind
from healthsync_mqtt.config.paths import DataPaths

EVENTS: Final = "events.db"
REGISTRY: Final = "registry.db"
AUDIT: Final = "audit.db"
AUDIT_HEAD: Final = "audit.head"
TOPICS: Final = "topics.yaml"
SALTS: Final = "sinks/pseudonyms.db"
RING: Final = "keys.db"


class Found(NamedTuple):
    """A file, and its name in the set."""

    path: Path
    name: str
    kind: FileKind


def before_log(data: Path, topics_file: Path | None) -> Iterator[Found]:
    """What is read before the log is held: what sinks have must not be ahead of it."""
    for path in sorted((data / "sinks").glob("*.db")):
        if (name := f"sinks/{path.name}") != SALTS:
            yield Found(path, name, FileKind.database)
    for path in sorted((data / "sinks").glob("*.json")):
        yield Found(path, f"sinks/{path.name}", FileKind.plain)
    for folder in ("credentials", "formats"):
        for path in sorted((data / folder).rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                yield Found(path, str(path.relative_to(data)), FileKind.plain)
    paths = DataPaths(root=data)
    for path in (paths.config_file, paths.hook_logins):
        if path.exists():
            yield Found(path, path.name, FileKind.plain)
    topics = topics_file or data / TOPICS
    if topics.exists():
        yield Found(topics, TOPICS, FileKind.plain)


def after_log(data: Path) -> Iterator[Found]:
    """What is read while the log is held: it knows everybody of whom the log has something."""
    paths = DataPaths(root=data)
    for path, kind in (
        (paths.registry_db, FileKind.database),
        (paths.audit_db.with_suffix(".head"), FileKind.plain),
        (paths.audit_db, FileKind.database),
    ):
        if path.exists():
            yield Found(path, path.name, kind)


def keys(data: Path) -> Iterator[Found]:
    """What goes into a file of keys."""
    paths = DataPaths(root=data)
    for folder in (paths.keys, paths.certs):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                yield Found(path, str(path.relative_to(data)), FileKind.plain)
    for name in (RING, SALTS):
        if (data / name).exists():
            yield Found(data / name, name, FileKind.database)


def is_key(name: str) -> bool:
    """Whether a file of this name belongs into a file of keys."""
    parts = Path(name).parts
    return name in {RING, SALTS} or (len(parts) > 1 and parts[0] in {"keys", "certs"} and ".." not in parts)


def is_kept(name: str) -> bool:
    """Whether a set may put a file of this name into a data directory."""
    parts = Path(name).parts
    known = name in {EVENTS, REGISTRY, AUDIT, AUDIT_HEAD, TOPICS, "healthsync.toml", "hook-logins.jsonl"}
    folder = len(parts) > 1 and parts[0] in {"sinks", "credentials", "formats"} and ".." not in parts
    return (known or folder) and name != SALTS
