"""What is retained for whoever comes, one message for each key: the newest of each, and nothing of what is over.

The file that belongs to it says what may be retained, so that after a kill nothing is forgotten there.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Final, Generic, TypeVar

from bridge.ports import Shelf

K = TypeVar("K")
Digests = Mapping[K, bytes | None]

_AT_ONCE: Final = 100
_AGAIN_S: Final = 30.0


class RetainedBoard(Generic[K]):
    """``message`` is what a key comes to now, empty: nothing. ``version`` is another number when others may be told.

    ``shown`` are the digests of what was retained, as the file has them (None: it is not known; empty: nothing);
    ``show`` keeps them there, durably.
    """

    def __init__(
        self,
        shelf: Shelf,
        *,
        topic: Callable[[K], str],
        message: Callable[[K], Awaitable[bytes]],
        show: Callable[[Digests[K]], Awaitable[None]],
        shown: Digests[K],
        version: Callable[[], int],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shelf = shelf
        self._topic = topic
        self._message = message
        self._show = show
        self._version = version
        self._monotonic_s = monotonic_s
        self._run = -1
        self._shown: dict[K, bytes | None] = dict(shown)
        self._sent: dict[K, bytes] = {}
        self._dirty: dict[K, None] = {}
        self._refused: set[K] = set()
        self._unwritten: set[K] = set()
        self._again_at = 0.0

    @property
    def keys(self) -> frozenset[K]:
        """Of what something is retained, or may be."""
        return frozenset(self._shown)

    @property
    def idle(self) -> bool:
        """Whether all is told."""
        return not self._dirty

    def touch(self, keys: Iterable[K]) -> None:
        """These may come to something else now."""
        self._dirty |= dict.fromkeys(keys)

    def free_of(self, key: K) -> bool:
        """Whether nothing can be retained of this any more; what is left of it here is forgotten then."""
        if self._shown.get(key, b"") != b"":
            self._dirty[key] = None
            return False
        for kept in (self._shown, self._sent, self._dirty):
            kept.pop(key, None)
        self._refused.discard(key)
        self._unwritten.discard(key)
        return True

    async def renew(self) -> None:
        """After a start, and after each connection: go by what the broker has now."""
        shelf = self._shelf
        if shelf.run == self._run or not shelf.ready:
            return
        self._run = shelf.run
        if shelf.remembers:
            self._shown = {key: digest_of(shelf.recall(self._topic(key))) for key in self._shown}
        elif not shelf.lasting:
            self._shown = dict.fromkeys(self._shown)
        self._dirty |= dict.fromkeys(self._shown)

    async def publish(self) -> None:
        """Tell what is different."""
        if self._refused and self._monotonic_s() >= self._again_at:
            self._again_at = self._monotonic_s() + _AGAIN_S
            self._dirty |= dict.fromkeys(self._refused)
            self._refused.clear()
        version = self._version()
        due: dict[K, bytes] = {}
        for key in list(self._dirty)[:_AT_ONCE] if self._shelf.ready else []:
            message = await self._message(key)
            if self._shown.get(key, b"") == digest_of(message):
                self._dirty.pop(key, None)
            else:
                due[key] = message
        unsure = {key: None for key in due if key not in self._shown or not self._shelf.remembers}
        if unsure:
            await self._show(unsure)  # before: after a kill it is known what may be retained
        if self._version() != version:
            return  # who may be told what has changed meanwhile: everything is asked again
        for key, message in due.items():
            self._dirty.pop(key, None)
            digest = digest_of(message)
            self._shown.setdefault(key, None)
            self._sent[key] = digest
            if not self._shelf.retain(self._topic(key), message, self._settles(key, digest)):
                self._dirty[key] = None

    def _settles(self, key: K, digest: bytes) -> Callable[[bool], None]:
        run = self._shelf.run

        def settled(taken: bool) -> None:  # noqa: FBT001
            if run != self._shelf.run or self._sent.get(key) != digest:
                return  # it was published again since
            if taken:
                self._shown[key] = digest
                self._unwritten.add(key)
            else:
                self._shown[key] = None
                self._refused.add(key)

        return settled

    async def write(self) -> None:
        """Keep what is retained."""
        if not self._unwritten:
            return
        keys, self._unwritten = self._unwritten, set()
        digests = {key: self._shown.get(key, b"") for key in keys}
        await self._show(digests)
        for key in keys:
            if digests[key] == b"" and self._shown.get(key) == b"":
                del self._shown[key]


def digest_of(message: bytes) -> bytes:
    """Of what is retained; empty: nothing."""
    return blake2b(message, digest_size=16).digest() if message else b""
