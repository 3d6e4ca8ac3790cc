"""Providers whose outer key a service holds: it wraps a secret of ours for each data key, and never sees a data key.

The data key is sealed with that secret here, about what it is for: so all services bind alike, also one whose wrapping
binds nothing (Azure's RSA), and what was tampered with is told from what is away.
"""

import secrets
from collections.abc import Callable
from typing import Final, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.keys.faults import KeyUnavailableError, TamperedError
from healthsync_mqtt.keys.holders.holder_request import HolderRefusedError
from healthsync_mqtt.keys.holders.port import Holder, WrappedSecret
from healthsync_mqtt.keys.outer_key import KEY_BYTES

_T = TypeVar("_T")
_FORM: Final = b"\x02"
_NONCE_BYTES: Final = 12
_SEALED_BYTES: Final = _NONCE_BYTES + KEY_BYTES + 16
_ABOUT_CHECK: Final = b"check"


class RemoteProvider:
    """``keys.port.KeyProvider`` on a service. ``holder`` is made when it is first needed."""

    def __init__(self, name: str, holder: Callable[[], Holder]) -> None:
        self._name = name
        self._make = holder
        self._holder: Holder | None = None

    @property
    def name(self) -> str:
        """See ``port.KeyProvider.name``."""
        return self._name

    def exists(self) -> bool:
        """The outer key is the service's: there is nothing to make."""
        return True

    def create(self) -> None:
        """Nothing is made: see that it works."""
        self.check()

    def remove(self) -> None:
        """See ``port.KeyProvider.remove``: the service's key stays there."""

    def wrap(self, key: bytes, about: bytes) -> bytes:
        """See ``port.KeyProvider.wrap``."""
        secret, nonce = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(_NONCE_BYTES)
        wrapped = self._asked(lambda holder: holder.wrap(secret))
        version = wrapped.version.encode()
        sealed = AESGCM(secret).encrypt(nonce, key, _bound(wrapped.version, about))
        return b"".join((_FORM, bytes((len(version),)), version, wrapped.blob, nonce, sealed))

    def unwrap(self, wrapped: bytes, about: bytes) -> bytes:
        """See ``port.KeyProvider.unwrap``."""
        version, rest = _taken_apart(wrapped)
        blob, sealed = rest[:-_SEALED_BYTES], rest[-_SEALED_BYTES:]
        secret = self._asked(lambda holder: holder.unwrap(WrappedSecret(version, blob)))
        try:
            return AESGCM(secret).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound(version, about))
        except (InvalidTag, ValueError):
            raise TamperedError("a wrapped key's bytes") from None

    def newest(self) -> str:
        """See ``port.KeyProvider.newest``."""
        return self._asked(lambda holder: holder.newest())

    def version(self, wrapped: bytes) -> str:
        """See ``port.KeyProvider.version``."""
        return _taken_apart(wrapped)[0]

    def rotate(self) -> None:
        """See ``port.KeyProvider.rotate``."""
        self._asked(lambda holder: holder.rotate())

    def forget_older(self, newest: str) -> None:
        """See ``port.KeyProvider.forget_older``."""
        self._asked(lambda holder: holder.forget_older(newest))

    def check(self) -> None:
        """See ``port.KeyProvider.check``."""
        probe = secrets.token_bytes(KEY_BYTES)
        if self.unwrap(self.wrap(probe, _ABOUT_CHECK), _ABOUT_CHECK) != probe:
            raise TamperedError("the outer key's bytes")

    def _asked(self, ask: Callable[[Holder], _T]) -> _T:
        try:
            if self._holder is None:
                self._holder = self._make()
            return ask(self._holder)
        except ConfigError as error:
            raise KeyUnavailableError(f"{self._name} cannot be asked: {error}", hint=error.hint) from error
        except HolderRefusedError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # Its answer was JSON, and not the one that is documented.
            raise KeyUnavailableError(
                f"{self._name} answers with something that is not its own: {error.__class__.__name__}"
            ) from error


def _bound(version: str, about: bytes) -> bytes:
    """What the seal is about: the version too, which some services do not need to unwrap."""
    return version.encode() + b"\0" + about


def _taken_apart(wrapped: bytes) -> tuple[str, bytes]:
    """The version and the rest. TamperedError for what no ``wrap`` has made."""
    length = wrapped[1] if len(wrapped) > 1 else 0
    rest = wrapped[2 + length :]
    if wrapped[:1] != _FORM or not length or len(rest) <= _SEALED_BYTES:
        raise TamperedError("a wrapped key's bytes")
    try:
        return wrapped[2 : 2 + length].decode(), rest
    except UnicodeDecodeError:
        raise TamperedError("a wrapped key's bytes") from None
