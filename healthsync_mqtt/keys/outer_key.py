"""The outer key where we hold it ourselves: its versions, and what they wrap. Pure."""

import json
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from healthsync_mqtt.keys.faults import KeyUnavailableError, TamperedError

KEY_BYTES: Final = 32
_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_FORM: Final = b"\x01"


@dataclass(frozen=True, slots=True)
class OuterKey:
    """Versions by id, the newest last. There is one at least."""

    versions: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def new(cls) -> Self:
        """One version, at random."""
        return cls((_version(),))

    @classmethod
    def of_bytes(cls, content: bytes) -> Self:
        """What ``to_bytes`` has written. ValueError for anything else."""
        try:
            found = tuple((bytes.fromhex(each["id"]), b64decode(each["key"])) for each in json.loads(content)["keys"])
        except (KeyError, TypeError) as error:
            raise ValueError("no outer key") from error
        if not found or any((len(name), len(key)) != (_ID_BYTES, KEY_BYTES) for name, key in found):
            raise ValueError("no outer key")
        return cls(found)

    def to_bytes(self) -> bytes:
        """As a file holds it."""
        keys = [{"id": name.hex(), "key": b64encode(key).decode()} for name, key in self.versions]
        return json.dumps({"keys": keys}).encode() + b"\n"

    def rotated(self) -> Self:
        """With one version more."""
        return type(self)((*self.versions, _version()))

    def without_older(self, newest: str) -> Self:
        """Without those before this version; as it is where that is gone itself."""
        names = [name.hex() for name, _ in self.versions]
        return type(self)(self.versions[names.index(newest) :]) if newest in names else self

    @property
    def newest(self) -> str:
        """The id of the version that ``wrap`` uses."""
        return self.versions[-1][0].hex()

    def knows(self, wrapped: bytes) -> bool:
        """Whether one of the versions may have wrapped it."""
        return any(wrapped[1 : 1 + _ID_BYTES] == name for name, _ in self.versions)

    def wrap(self, key: bytes, about: bytes) -> bytes:
        """See ``port.KeyProvider.wrap``."""
        name, outer = self.versions[-1]
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _FORM + name + nonce + AESGCM(outer).encrypt(nonce, key, about)

    def unwrap(self, wrapped: bytes, about: bytes) -> bytes:
        """See ``port.KeyProvider.unwrap``."""
        rest = wrapped[1 + _ID_BYTES :]
        if wrapped[:1] != _FORM or len(rest) < _NONCE_BYTES:
            raise TamperedError("a wrapped key's bytes")
        for name, outer in self.versions:
            if wrapped[1 : 1 + _ID_BYTES] == name:
                try:
                    return AESGCM(outer).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], about)
                except InvalidTag:
                    raise TamperedError("a wrapped key's bytes") from None
        raise KeyUnavailableError(
            "the outer key has no version that opens this data key",
            hint="put the right file back: healthsync key check",
        )


def version_of(wrapped: bytes) -> str:
    """The id of the version that says to have wrapped it."""
    return wrapped[1 : 1 + _ID_BYTES].hex()


def _version() -> tuple[bytes, bytes]:
    return secrets.token_bytes(_ID_BYTES), secrets.token_bytes(KEY_BYTES)
