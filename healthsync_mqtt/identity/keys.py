"""Signing keys: Ed25519, one file ``<kid>.pem`` each, one of them active.

Several keys verify (so that a key can be replaced while older tokens live out their day); one signs, and the file
``active`` names it. A ``kid`` from a token is only ever compared with the kids loaded here: it never becomes a path.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from healthsync_mqtt.config.private_files import (
    directory_lock,
    make_private_directory,
    read_private,
    write_durably,
)
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.topics.grammar import is_id

_ACTIVE = "active"


def key_id(key: Ed25519PublicKey) -> str:
    """The ``kid`` of a key: the first 16 characters of the base64url SHA-256 of its raw public bytes."""
    digest = hashlib.sha256(key.public_bytes_raw()).digest()
    return base64.urlsafe_b64encode(digest)[:16].decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """The keys of one installation. ``public`` verifies, ``signing`` (whose kid is ``active``) signs."""

    active: str
    public: Mapping[str, Ed25519PublicKey]
    signing: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """A keyring of one new key, in memory only."""
        return cls.of(Ed25519PrivateKey.generate())

    @classmethod
    def of(cls, signing: Ed25519PrivateKey, *older: Ed25519PublicKey) -> Self:
        """A keyring that signs with ``signing`` and also accepts tokens of the ``older`` keys."""
        keys = (signing.public_key(), *older)
        return cls(active=key_id(keys[0]), public={key_id(key): key for key in keys}, signing=signing)

    @classmethod
    def load_or_create(cls, directory: Path) -> Self:
        """The keys in ``directory``; a first key is created when there is none. ConfigError on loose or odd files."""
        make_private_directory(directory)
        with directory_lock(directory):
            files = sorted(directory.glob("*.pem"))
            if not files:
                _create(directory)
                files = sorted(directory.glob("*.pem"))
            keys = {path.stem: _load(path) for path in files}
            active = _active(directory, keys)
        public = {kid: key.public_key() for kid, key in keys.items()}
        return cls(active=active, public=public, signing=keys[active])


def rotate(directory: Path) -> str:
    """Add a key and make it the active one; returns its kid. Tokens of the older keys stay valid until they expire."""
    make_private_directory(directory)
    with directory_lock(directory):
        return _create(directory)


def _create(directory: Path) -> str:
    key = Ed25519PrivateKey.generate()
    kid = key_id(key.public_key())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_durably(directory / f"{kid}.pem", pem)
    write_durably(directory / _ACTIVE, f"{kid}\n".encode())
    return kid


def _load(path: Path) -> Ed25519PrivateKey:
    if not is_id(path.stem):
        raise ConfigError(f"{path} is not named by a key id", hint="keep only <kid>.pem files in this directory")
    content = read_private(path)
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(
            f"{path} is not an Ed25519 private key", hint="restore it from a backup, or move it away for a new one"
        )
    return key


def _active(directory: Path, keys: Mapping[str, Ed25519PrivateKey]) -> str:
    path = directory / _ACTIVE
    if not path.exists():
        if len(keys) == 1:
            return next(iter(keys))
        raise ConfigError(f"{path} is missing: which key signs?", hint=f"echo KID > {path}; chmod 600 {path}")
    kid = read_private(path).decode(errors="replace").strip()
    if kid not in keys:
        raise ConfigError(f"{path} names a key that is not there", hint=f"write one of the kids in {directory} into it")
    return kid
