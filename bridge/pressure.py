"""How much waits for its commit, and who is read no further for it. Pure.

A source has a share: what one commit takes. When all together hold more than the limit, only users of whom little waits
are read on, out of a reserve; so those who fill the backlog hold nobody up who sends little. The same where what waits
is more than two commits, in however few bytes: to read on would only take time from them. And while somebody waits of
whom little does, those are not read of whom there is plenty for a commit: each message that is decoded meanwhile takes
time from that one's commit. A user is counted over all connections: coming back with a new one changes nothing.
"""

from typing import Final, NamedTuple

from bridge.group import GROUP_BYTES
from healthsync_mqtt.model.delivery import Delivery, Source

LITTLE: Final = 512
"""Of a user little waits up to one so-many-th of the limit."""
RESERVE: Final = 4
"""One so-many-th of the limit is for users of whom little waits, when all together are over it."""
PLENTY: Final = 64
"""Of a user plenty waits, decoded, above one so-many-th of the limit: some 2,500 events."""


class _Held(NamedTuple):
    """Bytes that wait, and of these what is decoded."""

    size: int = 0
    decoded: int = 0


class Pressure:
    """Counts bytes of deliveries; ``limit`` is for all together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._share = min(limit, GROUP_BYTES)
        self._sources: dict[Source, _Held] = {}
        self._users: dict[str, int] = {}
        #: of these what is decoded, and not stored in parts
        self._decoded_of: dict[str, int] = {}
        #: bytes of those users of whom little waits
        self._little = 0
        #: over the limit, and not at half of it yet
        self._full = False
        #: more work of commits waits than is of use
        self._ahead = False
        #: who was told to read no more, with the user it sends for as far as that is known
        self._waiting: dict[Source, str | None] = {}
        self._of_user: dict[str, dict[Source, None]] = {}
        #: those of them for whom something has changed
        self._perhaps: dict[Source, None] = {}
        self._decoded = 0
        #: bytes of everybody
        self.size = 0

    def add(self, source: Source, user: str, size: int, *, decoded: bool, in_parts: bool = False) -> None:
        """So many bytes wait from now on. ``in_parts``: they are stored so, and hold up nobody else of the user."""
        held = self._sources.get(source, _Held())
        more = size if decoded else 0
        self._sources[source] = _Held(held.size + size, held.decoded + more)
        self._change(user, size)
        self._decoded += more
        self._change_plenty(user, 0 if in_parts else more)
        self.size += size
        self._full = self._full or self.size > self._limit

    def less(self, source: Source, user: str, size: int, *, decoded: bool, in_parts: bool = False) -> None:
        """So many bytes wait no more."""
        held = self._sources.pop(source)
        less = size if decoded else 0
        if held.size > size:
            self._sources[source] = _Held(held.size - size, held.decoded - less)
        if source in self._waiting:
            self._perhaps[source] = None
        uneven, plenty = self.uneven, self._has_plenty(user)
        self._decoded -= less
        self._change_plenty(user, 0 if in_parts else -less)
        self.size -= size
        if self._full and self.size <= self._limit // 2:
            self._full = False
            self._perhaps.update(dict.fromkeys(self._waiting))
        self._change(user, -size)
        if uneven and not self.uneven:
            self._perhaps.update(dict.fromkeys(self._waiting))
        if user in self._of_user and (self.is_little(user) or (plenty and not self._has_plenty(user))):
            self._perhaps.update(self._of_user[user])

    def ahead(self, *, much: bool) -> None:
        """Whether so much work of commits waits that reading more of it would only take time from them."""
        if self._ahead and not much:
            self._perhaps.update(dict.fromkeys(self._waiting))
        self._ahead = much

    def room(self, delivery: Delivery) -> bool:
        """Whether a delivery that waits undecoded may be decoded: it takes more memory then."""
        held, user = self._sources.get(delivery.source, _Held()), delivery.origin.user
        if self._has_plenty(user):
            return False
        return held.decoded <= self._share and (self._decoded <= self._limit or self.is_little(user))

    def hold(self, source: Source, user: str | None) -> bool:
        """Whether the source is to read no more; then ``freed`` names it some time."""
        if source in self._waiting:
            return True
        if self._sources.get(source, _Held()).size <= self._share and not self._is_behind(user):
            return False
        self._waiting[source] = user
        if user is not None:
            self._of_user.setdefault(user, {})[source] = None
        return True

    def holds(self, source: Source) -> bool:
        """Whether something of the source waits."""
        return source in self._sources

    def leave(self, source: Source) -> None:
        """The source is gone, and waits for nothing."""
        if source not in self._waiting:
            return
        user = self._waiting.pop(source)
        self._perhaps.pop(source, None)
        if user is not None:
            del self._of_user[user][source]
            if not self._of_user[user]:
                del self._of_user[user]

    def freed(self) -> list[Source]:
        """Those that may read again; they wait no more."""
        if not self._perhaps:
            return []
        perhaps, self._perhaps = self._perhaps, {}
        found = [
            source
            for source in perhaps
            if self._sources.get(source, _Held()).size <= self._share // 2
            and not self._is_behind(self._waiting[source])
        ]
        for source in found:
            self.leave(source)
        return found

    @property
    def uneven(self) -> bool:
        """Whether somebody of whom little waits waits beside somebody of whom much does."""
        return 0 < self._little < self.size

    def _is_behind(self, user: str | None) -> bool:
        """Whether all together hold so much that this user waits for it."""
        if user is not None and (self._has_plenty(user) or (self._ahead and not self.is_little(user))):
            return True
        if not self._full:
            return False
        return user is None or not self.is_little(user) or self._little > self._limit // RESERVE

    def _has_plenty(self, user: str) -> bool:
        """Whether enough of the user is decoded while somebody waits of whom little does."""
        return self._decoded_of.get(user, 0) > self._limit // PLENTY and self.uneven

    def _change_plenty(self, user: str, size: int) -> None:
        after = self._decoded_of.pop(user, 0) + size
        if after:
            self._decoded_of[user] = after

    def _change(self, user: str, size: int) -> None:
        before = self._users.pop(user, 0)
        after = before + size
        if after:
            self._users[user] = after
        most = self._limit // LITTLE
        self._little += (after if after <= most else 0) - (before if before <= most else 0)

    def is_little(self, user: str) -> bool:
        """Whether little waits of this user."""
        return self._users.get(user, 0) <= self._limit // LITTLE
