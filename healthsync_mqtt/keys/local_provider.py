"""Providers whose outer key is a file of ours: as it is, or under a passphrase."""

import hashlib
import json
import secrets
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from healthsync_mqtt.config.private_files import (
    directory_lock,
    make_private_directory,
    read_private,
    sync_directory,
    write_durably,
)
from healthsync_mqtt.config.secrets import KEY_PASSPHRASE_FILE
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.keys.faults import IF_LOST, KeyUnavailableError, TamperedError
from healthsync_mqtt.keys.outer_key import KEY_BYTES, OuterKey, version_of

_ABOUT_CHECK: Final = b"check"


class Lock(Protocol):
    """How the outer key lies in its file."""

    def close(self, content: bytes) -> bytes:
        """What the file holds. KeyUnavailableError when it cannot be made now."""

    def open(self, stored: bytes) -> bytes:
        """The content again. ValueError for a file of another kind; KeyUnavailableError without what opens it."""


class NoLock:
    """It lies there as it is: whoever reads the disk has it."""

    def close(self, content: bytes) -> bytes:
        """As it is."""
        return content

    def open(self, stored: bytes) -> bytes:
        """As it is."""
        return stored


class PassphraseLock:
    """Under a key that scrypt makes of a passphrase, which is asked for once and not kept."""

    _SCRYPT: Final[Mapping[str, int]] = {"n": 2**15, "r": 8, "p": 1}

    def __init__(self, passphrase: Callable[[], bytes | None]) -> None:
        self._passphrase = passphrase
        self._made: dict[bytes, bytes] = {}

    def close(self, content: bytes) -> bytes:
        """Sealed, with what scrypt was told."""
        salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
        sealed = AESGCM(self._key(salt, self._SCRYPT)).encrypt(nonce, content, b"outer key")
        values = {"scrypt": {**self._SCRYPT, "salt": _text(salt)}, "nonce": _text(nonce), "sealed": _text(sealed)}
        return json.dumps(values).encode() + b"\n"

    def open(self, stored: bytes) -> bytes:
        """KeyUnavailableError without a passphrase, and with a wrong one."""
        try:
            values = json.loads(stored)
            scrypt, nonce, sealed = values["scrypt"], b64decode(values["nonce"]), b64decode(values["sealed"])
            salt = b64decode(scrypt["salt"])
            cost = {each: int(scrypt[each]) for each in self._SCRYPT}
        except (KeyError, TypeError) as error:
            raise ValueError("no outer key under a passphrase") from error
        if any(cost[each] > 16 * most for each, most in self._SCRYPT.items()):
            raise ValueError("scrypt of such a cost is not ours")
        try:
            return AESGCM(self._key(salt, cost)).decrypt(nonce, sealed, b"outer key")
        except InvalidTag:
            raise KeyUnavailableError(
                "the passphrase does not open the outer key", hint=f"set {KEY_PASSPHRASE_FILE} to the right one"
            ) from None

    def _key(self, salt: bytes, cost: Mapping[str, int]) -> bytes:
        key = self._made.get(salt)
        if key is None:
            passphrase = self._passphrase()
            if passphrase is None:
                raise KeyUnavailableError(
                    "the outer key is under a passphrase, and there is none",
                    hint=f"set {KEY_PASSPHRASE_FILE}, or call this at a terminal, where it is asked for",
                )
            key = hashlib.scrypt(passphrase, salt=salt, **cost, maxmem=512 * 1024 * 1024, dklen=KEY_BYTES)
            self._made[salt] = key
        return key


class LocalProvider:
    """KeyProvider on one private file. It is read when it is first needed, and again when another process wrote it."""

    def __init__(self, name: str, path: Path, lock: Lock) -> None:
        self._name = name
        self._path = path
        self._lock = lock
        self._turn = threading.Lock()
        self._outer: OuterKey | None = None
        self._seen: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """See ``port.KeyProvider.name``."""
        return self._name

    @property
    def path(self) -> Path:
        """Where the outer key lies."""
        return self._path

    def exists(self) -> bool:
        """Whether there is an outer key."""
        return self._path.exists()

    def create(self) -> None:
        """Make an outer key where there is none. Durable when it returns."""
        make_private_directory(self._path.parent)
        with directory_lock(self._path.parent):
            if not self._path.exists():
                self._write(OuterKey.new())

    def remove(self) -> None:
        """See ``port.KeyProvider.remove``. Durable when it returns."""
        with directory_lock(self._path.parent):
            self._outer = None
            self._path.unlink(missing_ok=True)
            sync_directory(self._path.parent)

    def wrap(self, key: bytes, about: bytes) -> bytes:
        """See ``port.KeyProvider.wrap``."""
        return self._current().wrap(key, about)

    def unwrap(self, wrapped: bytes, about: bytes) -> bytes:
        """See ``port.KeyProvider.unwrap``."""
        outer = self._current()
        if not outer.knows(wrapped):
            outer = self._read()  # another process has rotated it
        return outer.unwrap(wrapped, about)

    def newest(self) -> str:
        """See ``port.KeyProvider.newest``."""
        return self._current().newest

    def version(self, wrapped: bytes) -> str:
        """See ``port.KeyProvider.version``."""
        return version_of(wrapped)

    def rotate(self) -> None:
        """See ``port.KeyProvider.rotate``."""
        with directory_lock(self._path.parent):
            self._write(self._read().rotated())

    def forget_older(self, newest: str) -> None:
        """See ``port.KeyProvider.forget_older``."""
        with directory_lock(self._path.parent):
            outer = self._read()
            if (left := outer.without_older(newest)) != outer:
                self._write(left)

    def check(self) -> None:
        """See ``port.KeyProvider.check``."""
        outer, probe = self._read(), secrets.token_bytes(KEY_BYTES)
        if outer.unwrap(outer.wrap(probe, _ABOUT_CHECK), _ABOUT_CHECK) != probe:
            raise TamperedError("the outer key's bytes")

    def _current(self) -> OuterKey:
        """The key of the file as it is now: what an older version wraps may be lost when that is forgotten."""
        outer = self._outer
        return outer if outer is not None and self._seen == self._mark() else self._read()

    def _mark(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def _read(self) -> OuterKey:
        with self._turn:
            self._outer, self._seen = None, self._mark()
            try:
                self._outer = OuterKey.of_bytes(self._lock.open(read_private(self._path)))
            except ConfigError as error:
                hint = error.hint if self.exists() else f"put it back from where keys are kept; {IF_LOST}"
                raise KeyUnavailableError(f"the outer key cannot be read: {error}", hint=hint) from error
            except OSError as error:
                raise KeyUnavailableError(f"the outer key cannot be read: {error.strerror}") from error
            except ValueError:
                raise KeyUnavailableError(
                    f"{self._path} is no outer key", hint=f"put the right file back; {IF_LOST}"
                ) from None
            return self._outer

    def _write(self, outer: OuterKey) -> None:
        try:
            write_durably(self._path, self._lock.close(outer.to_bytes()))
        except OSError as error:
            raise KeyUnavailableError(f"the outer key cannot be written: {error.strerror}") from error
        self._outer, self._seen = outer, self._mark()


def _text(content: bytes) -> str:
    return b64encode(content).decode()
