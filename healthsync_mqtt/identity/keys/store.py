"""Signing keys on disk: ``keyring.json`` with a record of every key, and ``<kid>.pem`` with each private half.

All files are private (0600) and refused otherwise. Private halves are PKCS #8, encrypted when there is a passphrase. A
``kid`` from a token is only ever compared with the kids recorded here: it never becomes a path.
"""

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from healthsync_mqtt.config.private_files import (
    check_private,
    directory_lock,
    make_private_directory,
    read_private,
    write_durably,
)
from healthsync_mqtt.config.secrets import KEY_PASSPHRASE_FILE, key_passphrase, passphrase_or_asked
from healthsync_mqtt.errors import ConfigError, ConflictError, NotFoundError
from healthsync_mqtt.identity.keys.agreement import agree, refuse_first
from healthsync_mqtt.identity.keys.signing import (
    KeyRecord,
    Keyring,
    KeyState,
    Signer,
    free_from_us,
    key_id,
    states,
)
from healthsync_mqtt.model.times import iso

_SECOND_US: Final = 1_000_000
_ACTIVE: Final = "active"  # releases before 0.2 named the signing key in this file and kept no records


class _KeyEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kid: str
    public: str
    created_us: int
    signs_from_us: int
    retired_us: int | None = None


class _Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: list[_KeyEntry]


class KeyStore:
    """The keys in one directory. Every call reads the files anew; changes are made under a lock and are durable."""

    def __init__(self, directory: Path, passphrase: bytes | None = None) -> None:
        self._directory = directory
        self._passphrase = passphrase
        self._index = directory / "keyring.json"

    @classmethod
    def of_environment(cls, directory: Path) -> "KeyStore":
        """With the passphrase that the environment gives, if any; where a key needs one then, a person is asked."""
        return cls(directory, key_passphrase())

    def keyring(self, now_us: int) -> Keyring:
        """The keys that are accepted, and those that sign now or later; a first key is made when there is none."""
        records = self.records(now_us)
        agree(self._directory, records, now_us)
        at = states(records, now_us)
        public = {each.kid: each.public for each in records if at[each.kid] is not KeyState.retired}
        signing = sorted((each.signs_from_us, each.kid) for each in records if at[each.kid] in _SIGNERS)
        signers = tuple(Signer(kid, self._private(kid, public[kid]), us / _SECOND_US) for us, kid in signing)
        return Keyring(public=public, signers=signers)

    def records(self, now_us: int) -> list[KeyRecord]:
        """A record of every key there was, oldest first; a first key is made when there is none."""
        make_private_directory(self._directory)
        if self._index.exists():  # replaced in one step, so it is read whole: a reader waits for no lock
            self._check_halves()
            return self._read()
        with directory_lock(self._directory):
            return self._records(now_us)

    def rotate(self, now_us: int, *, publish_s: float) -> KeyRecord:
        """Add a key that verifies at once and signs ``publish_s`` from now: by then all who verify must have it.

        ConflictError while an earlier rotation is still to come.
        """
        make_private_directory(self._directory)
        with directory_lock(self._directory):
            records = self._records(now_us)
            at = states(records, now_us)
            waiting = next((each for each in records if at[each.kid] is KeyState.next), None)
            if waiting is not None:
                raise ConflictError(
                    f"the key {waiting.kid} is to sign from {iso(waiting.signs_from_us)}",
                    hint=f"wait for it, or take it back: healthsync key retire {waiting.kid}",
                )
            agree(self._directory, records, now_us)
            made = self._make(now_us, now_us + int(publish_s * _SECOND_US))
            self._write([*records, made])
            agree(self._directory, [*records, made], now_us)
            return made

    def retire(self, kid: str, now_us: int, *, force: bool = False) -> KeyRecord:
        """Accept a key no longer and destroy its private half.

        NotFoundError; ConflictError for the key that signs, and without ``force`` while one of its tokens may be alive.
        """
        make_private_directory(self._directory)
        with directory_lock(self._directory):
            records = self._records(now_us)
            at = states(records, now_us)
            state = at.get(kid)
            if state is None:
                raise NotFoundError("there is no key of this id", hint="healthsync key list")
            if state is KeyState.signing:
                raise ConflictError(
                    f"the key {kid} signs", hint="first give it a successor: healthsync key rotate --publish 0s"
                )
            if state is KeyState.verifying and not force:
                free_us = free_from_us(records, kid)
                if free_us is not None and free_us > now_us:
                    raise ConflictError(
                        f"tokens of the key {kid} may be in use until {iso(free_us)}",
                        hint=f"wait, or log their holders out: healthsync key retire {kid} --yes",
                    )
            changed = [_retired(each, now_us) if each.kid == kid else each for each in records]
            agree(self._directory, records, now_us)
            if state is not KeyState.retired:
                self._write(changed)
            agree(self._directory, changed, now_us)
            self._pem(kid).unlink(missing_ok=True)  # after the record: a crash in between leaves a key nobody accepts
            return next(each for each in changed if each.kid == kid)

    def encrypted(self, kid: str) -> bool:
        """Whether the private half of a key is under a passphrase."""
        return b"ENCRYPTED" in read_private(self._pem(kid)).split(b"\n", 1)[0]

    def stamp(self) -> tuple[int, int]:
        """Changes whenever the records do; cheap. ConfigError when the file is loose or gone."""
        check_private(self._index)
        info = self._index.stat()
        return info.st_ino, info.st_mtime_ns

    def _check_halves(self) -> None:
        for path in self._directory.glob("*.pem"):
            check_private(path)

    # -- inside the lock

    def _records(self, now_us: int) -> list[KeyRecord]:
        self._check_halves()
        if not self._index.exists():
            adopted = self._adopted(now_us)
            if not adopted:
                refuse_first(self._directory)
            self._write(adopted or [self._make(now_us, now_us)])
            (self._directory / _ACTIVE).unlink(missing_ok=True)
        return self._read()

    def _read(self) -> list[KeyRecord]:
        content = read_private(self._index)
        try:
            entries = msgspec.json.decode(content, type=_Index).keys
            records = [_record(entry) for entry in entries]
        except (msgspec.MsgspecError, ValueError, binascii.Error):
            records = []
        if not any(each.retired_us is None for each in records):
            raise ConfigError(
                f"{self._index} is not a list of keys", hint="restore it from a backup, or move the directory away"
            )
        return records

    def _write(self, records: list[KeyRecord]) -> None:
        entries = [
            _KeyEntry(
                kid=each.kid,
                public=base64.b64encode(each.public.public_bytes_raw()).decode(),
                created_us=each.created_us,
                signs_from_us=each.signs_from_us,
                retired_us=each.retired_us,
            )
            for each in records
        ]
        write_durably(self._index, msgspec.json.format(msgspec.json.encode(_Index(entries)), indent=2) + b"\n")

    def _make(self, now_us: int, signs_from_us: int) -> KeyRecord:
        key = Ed25519PrivateKey.generate()
        while key_id(key.public_key()).startswith("-"):  # a command would take it for an option
            key = Ed25519PrivateKey.generate()
        public = key.public_key()
        kid = key_id(public)
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if self._passphrase is not None:
            encryption = serialization.BestAvailableEncryption(self._passphrase)
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        write_durably(self._pem(kid), key.private_bytes(encoding, form, encryption))
        return KeyRecord(kid=kid, public=public, created_us=now_us, signs_from_us=signs_from_us)

    def _adopted(self, now_us: int) -> list[KeyRecord]:
        """The keys of a directory without records: ``active`` names the one that signs."""
        files = sorted(self._directory.glob("*.pem"))
        active = self._directory / _ACTIVE
        named = read_private(active).decode(errors="replace").strip() if active.exists() else None
        if named is None and len(files) > 1:
            raise ConfigError(f"{active} is missing: which key signs?", hint=f"echo KID > {active}; chmod 600 {active}")
        if named is not None and named not in {path.stem for path in files}:
            raise ConfigError(f"{active} names a key that is not there", hint="write the kid of one of the files in it")
        records = []
        for path in files:
            public = self._load(path).public_key()
            created_us = min(now_us, path.stat().st_mtime_ns // 1000)
            from_us = created_us if named in {None, path.stem} else 0
            records.append(KeyRecord(kid=key_id(public), public=public, created_us=created_us, signs_from_us=from_us))
        return records

    def _private(self, kid: str, public: Ed25519PublicKey) -> Ed25519PrivateKey:
        key = self._load(self._pem(kid))
        if key.public_key() != public:
            raise ConfigError(f"{self._pem(kid)} is another key than {self._index} says", hint="restore both together")
        return key

    def _load(self, path: Path) -> Ed25519PrivateKey:
        content = read_private(path)
        encrypted = b"ENCRYPTED" in content.split(b"\n", 1)[0]
        if encrypted and self._passphrase is None:
            self._passphrase = passphrase_or_asked()
        passphrase = self._passphrase if encrypted else None
        try:
            key = serialization.load_pem_private_key(content, password=passphrase)
        except TypeError:
            raise ConfigError(f"{path} needs a passphrase", hint=f"set {KEY_PASSPHRASE_FILE}") from None
        except ValueError as error:
            if passphrase is not None:
                raise ConfigError(
                    f"{path} does not open with the passphrase", hint=f"check {KEY_PASSPHRASE_FILE}"
                ) from error
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(
                f"{path} is not an Ed25519 private key", hint="restore it from a backup, or move the directory away"
            )
        return key

    def _pem(self, kid: str) -> Path:
        return self._directory / f"{kid}.pem"


class LiveKeys:
    """The keys of a running service: a Keyring that ``refresh`` replaces when another process changed the files."""

    def __init__(self, store: KeyStore, now_us: int) -> None:
        self._store = store
        self._keyring = store.keyring(now_us)
        self._stamp = (0, 0)  # what changes while this is read is found by the first refresh

    @property
    def public(self) -> Mapping[str, Ed25519PublicKey]:
        """The keys whose tokens are accepted, by kid."""
        return self._keyring.public

    def signer(self, now: float) -> Signer:
        """The key that signs at ``now`` (epoch seconds)."""
        return self._keyring.signer(now)

    def refresh(self, now_us: int) -> frozenset[str]:
        """Read again if the records changed; the kids that are accepted no longer.

        Blocks for the reading. ConfigError leaves the old keys in use.
        """
        before = self._keyring.public.keys()
        try:
            stamp = self._store.stamp()
            if stamp == self._stamp:
                return frozenset()
            self._keyring = self._store.keyring(now_us)
        except OSError as error:
            raise ConfigError(f"the keys cannot be read: {error.strerror}", hint="healthsync doctor") from error
        self._stamp = stamp
        return frozenset(before - self._keyring.public.keys())


_SIGNERS = frozenset({KeyState.signing, KeyState.next})


def _record(entry: _KeyEntry) -> KeyRecord:
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(entry.public, validate=True))
    if key_id(public) != entry.kid:
        raise ValueError("the kid is another key's")
    return KeyRecord(
        kid=entry.kid,
        public=public,
        created_us=entry.created_us,
        signs_from_us=entry.signs_from_us,
        retired_us=entry.retired_us,
    )


def _retired(record: KeyRecord, now_us: int) -> KeyRecord:
    return KeyRecord(
        kid=record.kid,
        public=record.public,
        created_us=record.created_us,
        signs_from_us=record.signs_from_us,
        retired_us=record.retired_us if record.retired_us is not None else now_us,
    )
