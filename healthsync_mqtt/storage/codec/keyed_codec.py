"""Bytes sealed with the keys of a data directory."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from healthsync_mqtt.keys.ring import KeyRing


class KeyCodec:
    """BodyCodec. ``ring`` is asked for at the first need: a log that is not sealed has none. ``make`` makes one."""

    def __init__(self, ring: "Callable[[], KeyRing]", make: "Callable[[], KeyRing]") -> None:
        self._open, self._make = ring, make
        self._ring: KeyRing | None = None

    def prepare(self, *, make: bool) -> None:
        """See ``port.BodyCodec.prepare``."""
        self._ring = self._make() if make else self._open()

    def fresh(self) -> None:
        """See ``port.BodyCodec.fresh``."""
        if self._ring is not None:
            self._ring.refresh()

    def encoder(self, user: str) -> Callable[[bytes, bytes], bytes]:
        """See ``port.BodyCodec.encoder``."""
        return self._at_hand().key(user).seal

    def encode(self, user: str, data: bytes, place: bytes) -> bytes:
        """See ``port.BodyCodec.encode``."""
        return self._at_hand().key(user).seal(data, place)

    def decode(self, user: str, stored: bytes, place: bytes) -> bytes:
        """See ``port.BodyCodec.decode``."""
        return self._at_hand().open(user, stored, place)

    def is_gone(self, stored: bytes) -> bool:
        """See ``port.BodyCodec.is_gone``."""
        return self._at_hand().was_destroyed(stored)

    def mark(self, user: str, data: bytes) -> bytes:
        """See ``port.BodyCodec.mark``."""
        return self._at_hand().mark(user, data)

    def _at_hand(self) -> "KeyRing":
        if self._ring is None:
            self._ring = self._open()
        return self._ring
