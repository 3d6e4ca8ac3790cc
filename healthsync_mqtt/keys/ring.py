"""The ring: seals and opens for users, and for parts of the service, each with a key of its own."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.keys.book import KeyBook, WrappedKey
from healthsync_mqtt.keys.faults import KeyDestroyedError, KeyUnavailableError, TamperedError
from healthsync_mqtt.keys.port import KeyProvider
from healthsync_mqtt.keys.sealed_bytes import FORM, HEADER_BYTES, KEY_BYTES, DataKey, key_id_of

_USER: Final = "user:"
_SERVICE: Final = "service:"
_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class RingFacts:
    """The ring as people are told of it."""

    id: str
    provider: str
    users: int
    #: Keys that an older version of the outer key, or another provider, wraps still.
    behind: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LostKeys:
    """Data keys that nobody opens now, and what the last of them was answered."""

    keys: tuple[WrappedKey, ...] = ()
    fault: StoreError | None = None

    @property
    def users(self) -> int:
        """How many users they are of."""
        return len({key.owner for key in self.keys if key.owner.startswith(_USER)})


class KeyRing:
    """One per process and data directory, used by any thread. Keys stay unwrapped once they were needed.

    So a provider that is away stops only what was not needed yet: that is KeyUnavailableError, and nothing is ever
    written unsealed instead. Every method may raise StoreError when the file of keys cannot be used.
    """

    def __init__(
        self,
        book: KeyBook,
        providers: Mapping[str, KeyProvider],
        provider: str,
        *,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        """``provider`` is the name of the one that wraps what is new."""
        self._book = book
        self._providers = dict(providers)
        self._provider = provider
        self._clock_us = clock_us
        facts = book.facts()
        self.id: str = facts["id"]
        self._destroyed = facts["destroyed"]
        self._files_sealed: bool = facts.get("files") == "sealed"
        self._newest: dict[str, DataKey] = {}
        self._marking: dict[str, DataKey] = {}
        self._known: dict[bytes, DataKey] = {}
        self._turn = threading.RLock()

    # -- users

    def seal(self, user: str, plaintext: bytes, context: bytes) -> bytes:
        """Bytes that only ``open`` with the same user and context reads; a key is made for a user's first ones."""
        return self.key(user).seal(plaintext, context)

    def open(self, user: str, sealed: bytes, context: bytes) -> bytes:
        """What was sealed. KeyDestroyedError after ``destroy``; TamperedError when a bit of the three differs."""
        found = self._known.get(sealed[:HEADER_BYTES])
        if found is None or found.owner != _USER + user:
            found = self.key_of(user, sealed)
        return found.open(sealed, context)

    def key(self, user: str) -> DataKey:
        """The key that seals for a user, for who seals much. Ask again after ``refresh``."""
        return self._newest.get(_USER + user) or self._sealing(_USER + user)

    def key_of(self, user: str, sealed: bytes) -> DataKey:
        """The key that opens this; it is told by its id, never by trying."""
        return self._opening(_USER + user, sealed)

    def mark(self, user: str, data: bytes) -> bytes:
        """A digest by which equal bytes of a user are known, whatever keys there have been since: see ``DataKey``."""
        return self._marked(_USER + user, data)

    def was_destroyed(self, sealed: bytes) -> bool:
        """Whether the key of this is destroyed; it is not asked for. TamperedError for what no key has sealed."""
        key_id = key_id_of(sealed)
        return self._book.by_id(key_id) is None and self._book.was_destroyed(key_id)

    def destroy(self, user: str) -> bool:
        """Destroy every key of a user: what they sealed is gone for ever. Durable, and overwritten, when it returns.

        May be done again. False when there was none. A key is made again when something is sealed for the user.
        """
        return self._destroy(_USER + user)

    def renew(self, user: str) -> None:
        """Seal with a new key from now on; the older ones still open."""
        with self._turn:
            row = self._add(_USER + user, unless_there=False)
            self._newest[row.owner] = self._unwrapped(row)

    # -- parts of the service

    def seal_service(self, name: str, plaintext: bytes, context: bytes) -> bytes:
        """As ``seal``, for secrets that are no user's: tokens of sinks, secrets of clients at providers."""
        owner = _SERVICE + name
        return (self._newest.get(owner) or self._sealing(owner)).seal(plaintext, context)

    def open_service(self, name: str, sealed: bytes, context: bytes) -> bytes:
        """As ``open``."""
        return self._opening(_SERVICE + name, sealed).open(sealed, context)

    def mark_service(self, name: str, data: bytes) -> bytes:
        """As ``mark``."""
        return self._marked(_SERVICE + name, data)

    def destroy_service(self, name: str) -> bool:
        """As ``destroy``."""
        return self._destroy(_SERVICE + name)

    # -- all of them

    @property
    def seals_files(self) -> bool:
        """Whether files beside the log are sealed, too. Said once by whoever seals the log, heard by ``refresh``."""
        return self._files_sealed

    def seal_files(self) -> None:
        """From now on they are. Durable when it returns."""
        self.refresh()
        if not self._files_sealed:
            self._book.set_fact("files", "sealed")
            self._files_sealed = True

    def refresh(self) -> None:
        """Hear what other processes have destroyed or renewed since. Cheap: to be called before each portion."""
        if self._book.changed():
            facts = self._book.facts()
            destroyed = facts["destroyed"]
            with self._turn:
                self._newest, self._marking = {}, {}
                self._provider = facts.get("provider", self._provider)
                self._files_sealed = facts.get("files") == "sealed"
                if destroyed != self._destroyed:
                    self._destroyed, self._known = destroyed, {}

    @property
    def provider(self) -> str:
        """Who wraps what is new."""
        return self._provider

    def users(self) -> int:
        """How many users have a key."""
        return self._book.owners(_USER)

    def names(self) -> list[str]:
        """Whose keys there are."""
        return [owner.removeprefix(_USER) for owner in self._book.owners_named(_USER)]

    def facts(self) -> RingFacts:
        """What there is. KeyUnavailableError when the provider is away."""
        newest = self._current().newest()
        behind = sum(1 for row in self._rows() if not self._is_of(newest, row))
        return RingFacts(id=self.id, provider=self._provider, users=self.users(), behind=behind)

    def check(self) -> int:
        """Ask the provider whether it works, and unwrap every key anew; how many there are."""
        self._current().check()
        keys = 0
        for row in self._rows():
            self._unwrap(row)
            keys += 1
        return keys

    def rotate(self) -> int:
        """A new version of the outer key, and every key wrapped with it; how many were. Data is not touched.

        Killed anywhere, everything opens as before, and ``rewrap`` goes on.
        """
        self._current().rotate()
        return self.rewrap()

    def rewrap(self, provider: KeyProvider | None = None) -> int:
        """Wrap with the newest outer key what is wrapped otherwise, then destroy what is older; how many were.

        ``provider`` wraps from now on. The outer keys of the others are destroyed once nothing is wrapped with them, in
        the same moment: who has not heard of it wraps with one of them until then, and with none after.
        """
        if provider is not None and provider.name != self._provider:
            provider.check()
            self._providers[provider.name] = provider
            self._book.set_fact("provider", provider.name)
            self._provider = provider.name
        wrapped = 0
        while True:
            wrapped += self._rewrap_all()
            with self._book.alone():
                newest = self._current().newest()
                if all(self._is_of(newest, row) for row in self._rows()):
                    # Not what is older than the newest by then: others rotate without this lock, the holder by itself.
                    self._current().forget_older(newest)
                    for each in self._providers.values():
                        if each.name != self._provider:
                            each.remove()
                    return wrapped

    def lost(self) -> LostKeys:
        """The keys that do not open now: each is asked for, or its holder is away. Only people know if for good."""
        away: dict[str, StoreError] = {}
        found, fault = [], None
        for row in self._rows():
            said = away.get(row.provider) or self._fault_of(row, away)
            if said is not None:
                found.append(row)
                fault = said
        return LostKeys(keys=tuple(found), fault=fault)

    def give_up(self, lost: LostKeys) -> int:
        """Destroy keys that are lost for good: what they sealed is gone, as after ``destroy``; how many there were.

        An outer key of ours that cannot be used and wraps nothing any more is made anew: ``rotate`` needs one.
        """
        with self._turn:
            count = self._book.give_up(lost.keys)
            self._newest, self._marking, self._known = {}, {}, {}
        with self._book.alone():
            if all(row.provider != self._provider for row in self._rows()):
                try:
                    self._current().check()
                except StoreError:
                    self._current().remove()
        return count

    def close(self) -> None:
        """Release the file of keys."""
        self._book.close()

    def _current(self) -> KeyProvider:
        return self._named(self._provider)

    def _named(self, name: str) -> KeyProvider:
        try:
            return self._providers[name]
        except KeyError:
            raise KeyUnavailableError(
                f"the data keys are wrapped by {name}, which this program cannot ask", hint="see: docs/howto/keys.md"
            ) from None

    def _sealing(self, owner: str) -> DataKey:
        with self._turn:
            found = self._newest.get(owner)
            if found is None:
                row = self._book.newest_of(owner) or self._add(owner, unless_there=True)
                found = self._newest[owner] = self._unwrapped(row)
            return found

    def _marked(self, owner: str, data: bytes) -> bytes:
        found = self._marking.get(owner)
        if found is None:
            with self._turn:
                self._sealing(owner)  # there is one
                row = self._book.oldest_of(owner)
                if row is None:
                    raise KeyDestroyedError  # by another process, between the two
                found = self._marking[owner] = self._unwrapped(row)
        return found.mark(data)

    def _opening(self, owner: str, sealed: bytes) -> DataKey:
        found = self._known.get(sealed[:HEADER_BYTES])
        if found is None:
            key_id = key_id_of(sealed)
            with self._turn:
                row = self._book.by_id(key_id)
                if row is None:
                    raise self._missing(key_id, owner)
                found = self._unwrapped(row)
        if found.owner != owner:
            raise TamperedError
        return found

    def _missing(self, key_id: bytes, owner: str) -> StoreError:
        if self._book.was_destroyed(key_id):
            return KeyDestroyedError()
        return KeyUnavailableError(
            f"{self._book.path} has no such key",
            hint="is it older than the data? put the newest copy back",
            owner=owner,
        )

    def _add(self, owner: str, *, unless_there: bool) -> WrappedKey:
        provider = self._current()

        def wrap(key_id: bytes) -> bytes:
            return provider.wrap(secrets.token_bytes(KEY_BYTES), self._about(key_id, owner))

        try:
            return self._book.add(owner, provider.name, wrap, self._clock_us(), unless_there=unless_there)
        except KeyUnavailableError as error:
            error.owner = owner
            raise

    def _unwrapped(self, row: WrappedKey) -> DataKey:
        found = self._known.get(FORM + row.id)
        if found is None:
            found = self._known[FORM + row.id] = DataKey(row.id, row.owner, self._unwrap(row))
        return found

    def _unwrap(self, row: WrappedKey) -> bytes:
        try:
            return self._named(row.provider).unwrap(row.wrapped, self._about(row.id, row.owner))
        except KeyUnavailableError as error:
            error.owner = row.owner
            raise

    def _fault_of(self, row: WrappedKey, away: dict[str, StoreError]) -> StoreError | None:
        """Why a key does not open, into ``away`` where nobody's of this holder would; None: it does."""
        try:
            self._unwrap(row)
        except TamperedError as error:
            return error
        except KeyUnavailableError as error:
            try:
                self._named(row.provider).check()
            except StoreError:
                away[row.provider] = error
                return error
            # One answer that was lost on its way is no key that is.
            try:
                self._unwrap(row)
            except StoreError as again:
                return again
        return None

    def _about(self, key_id: bytes, owner: str) -> bytes:
        return b"%b:%b:%b" % (self.id.encode(), key_id, owner.encode())

    def _destroy(self, owner: str) -> bool:
        with self._turn:
            self._newest.pop(owner, None)
            self._marking.pop(owner, None)
            self._known = {key_id: key for key_id, key in self._known.items() if key.owner != owner}
            return bool(self._book.destroy(owner))

    def _is_of(self, newest: str, row: WrappedKey) -> bool:
        return row.provider == self._provider and self._current().version(row.wrapped) == newest

    def _rewrap_all(self) -> int:
        provider, wrapped = self._current(), 0
        newest = provider.newest()
        for row in self._rows():
            if not self._is_of(newest, row):
                again = provider.wrap(self._unwrap(row), self._about(row.id, row.owner))
                wrapped += self._book.rewrap(row, provider.name, again)
        return wrapped

    def _rows(self) -> Iterator[WrappedKey]:
        at = 0
        while rows := self._book.after(at, _AT_ONCE):
            yield from rows
            at = rows[-1].no
