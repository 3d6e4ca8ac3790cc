"""The ring of a data directory: one for each process, made at the first need of one."""

import os
import threading
import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.config.private_files import directory_lock, make_private_directory, sync_directory
from healthsync_mqtt.config.secrets import key_passphrase, passphrase_or_asked
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.keys.book import KeyBook
from healthsync_mqtt.keys.local_provider import LocalProvider, NoLock, PassphraseLock
from healthsync_mqtt.keys.remote_provider import RemoteProvider
from healthsync_mqtt.keys.ring import KeyRing

if TYPE_CHECKING:
    from healthsync_mqtt.config.holder_settings import HolderName
    from healthsync_mqtt.keys.holders.port import Holder

FILE: Final = "file"
PASSPHRASE: Final = "passphrase"  # noqa: S105  # a provider's name
SERVICES: Final[tuple["HolderName", ...]] = ("vault", "aws", "google", "azure")
"""Providers that are services of others."""

OuterProvider = LocalProvider | RemoteProvider

_rings: weakref.WeakValueDictionary[tuple[Path, int], KeyRing] = weakref.WeakValueDictionary()
_turn = threading.Lock()
os.register_at_fork(after_in_child=_rings.clear)


def has_ring(data: Path) -> bool:
    """Whether this data directory has keys."""
    return DataPaths(root=data).keys_db.exists()


def files_are_sealed(data: Path) -> bool:
    """Whether values in the files beside the log are to be sealed: they are once the log was."""
    if not has_ring(data):
        return False
    ring = ring_of(data)
    ring.refresh()
    return ring.seals_files


def ring_of(data: Path) -> KeyRing:
    """The ring of a data directory, one for all who have it in this process. UnavailableError where there is none."""
    paths = DataPaths(root=data)
    with _turn:
        place = _place(paths.keys_db)
        ring = None if place is None else _rings.get(place)
        if ring is None:
            book = KeyBook.existing(paths.keys_db)
            ring = KeyRing(book, providers(data), book.facts().get("provider", FILE))
            weakref.finalize(ring, book.close)
            _rings[_place(paths.keys_db) or (paths.keys_db, 0)] = ring
        return ring


def users_with_keys(data: Path) -> set[str]:
    """Whose keys a data directory has; nobody where it has none. No key is unwrapped. StoreError."""
    return set(ring_of(data).names()) if has_ring(data) else set()


def ring_made_if_missing(data: Path) -> KeyRing:
    """The ring, with a new outer key and a file of keys where there were none.

    The outer key is under the passphrase of keys at rest where the environment has one, else a file on the same disk.
    """
    paths = DataPaths(root=data)
    if not paths.keys_db.exists():
        make_private_directory(paths.keys)
        with directory_lock(paths.root):
            if not paths.keys_db.exists():
                _make(data)
    return ring_of(data)


def providers(data: Path) -> dict[str, OuterProvider]:
    """Whoever may hold the outer key of a data directory, by name; the passphrase is asked for when it is needed."""
    keys = DataPaths(root=data).keys
    return {
        FILE: LocalProvider(FILE, keys / "outer.json", NoLock()),
        PASSPHRASE: LocalProvider(PASSPHRASE, keys / "outer-passphrase.json", PassphraseLock(passphrase_or_asked)),
        **{name: RemoteProvider(name, partial(_holder, data, name)) for name in SERVICES},
    }


def _holder(data: Path, service: "HolderName") -> "Holder":
    """A service as the settings of the data directory say where it is; read when it is first needed."""
    from healthsync_mqtt.config.holder_settings import HolderSettings  # noqa: PLC0415  # a key of our own needs none of it
    from healthsync_mqtt.config.settings import load_settings  # noqa: PLC0415
    from healthsync_mqtt.keys.holders.catalogue import HOLDERS  # noqa: PLC0415

    return HOLDERS[service](load_settings(data).keys.get(service, HolderSettings()))


def _make(data: Path) -> None:
    """The outer key first, then the book under its name in one step: killed anywhere, there is no ring without it."""
    path = DataPaths(root=data).keys_db
    chosen = providers(data)[FILE if key_passphrase() is None else PASSPHRASE]
    if not chosen.exists():
        chosen.create()
    chosen.check()
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    book = KeyBook(unfinished)
    book.set_fact("provider", chosen.name)
    book.close()
    unfinished.rename(path)
    sync_directory(path.parent)


def _place(path: Path) -> tuple[Path, int] | None:
    try:
        return path.resolve(), path.stat().st_ino
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path} cannot be looked at: {error.strerror}", hint="look at the path") from error
