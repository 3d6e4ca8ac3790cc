"""A holder of the outer key in memory, which can be away."""

from healthsync_mqtt.keys.faults import KeyUnavailableError
from healthsync_mqtt.keys.outer_key import OuterKey, version_of


class MemoryProvider:
    """``keys.port.KeyProvider``. Set ``away`` to have it refuse; ``asked`` counts what it did."""

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.away = False
        self.removed = False
        self.asked = 0
        self.outer = OuterKey.new()

    def wrap(self, key: bytes, about: bytes) -> bytes:
        """See ``port.KeyProvider.wrap``."""
        return self._answering().wrap(key, about)

    def unwrap(self, wrapped: bytes, about: bytes) -> bytes:
        """See ``port.KeyProvider.unwrap``."""
        return self._answering().unwrap(wrapped, about)

    def newest(self) -> str:
        """See ``port.KeyProvider.newest``."""
        return self._answering().newest

    def version(self, wrapped: bytes) -> str:
        """See ``port.KeyProvider.version``."""
        return version_of(wrapped)

    def rotate(self) -> None:
        """See ``port.KeyProvider.rotate``."""
        self.outer = self._answering().rotated()

    def forget_older(self, newest: str) -> None:
        """See ``port.KeyProvider.forget_older``."""
        self.outer = self._answering().without_older(newest)

    def remove(self) -> None:
        """See ``port.KeyProvider.remove``."""
        self.removed = True

    def check(self) -> None:
        """See ``port.KeyProvider.check``."""
        self._answering()

    def _answering(self) -> OuterKey:
        self.asked += 1
        if self.away:
            raise KeyUnavailableError("the provider is away", hint="wait")
        if self.removed:
            raise KeyUnavailableError("the outer key is gone", hint="put it back")
        return self.outer
