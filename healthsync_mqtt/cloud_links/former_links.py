"""Ending a person's links: nothing is fetched any more, and what a provider has to be told is kept without a name.

``end`` is enough for who is removed: the worker takes back what is retained and forgets the rows. ``erase`` is for who
is erased: the rows are gone when it returns, whether there is a worker or none. Each may be done again.
"""

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import msgspec

from healthsync_mqtt.cloud_links.flights import Flights
from healthsync_mqtt.cloud_links.inbox import withdraw
from healthsync_mqtt.cloud_links.opening import FILE, LinkFile, fault_of, queries, tokens_context
from healthsync_mqtt.errors import StoreError, UnavailableError
from healthsync_mqtt.keys.faults import LOST, TamperedError

_SQL: Final = queries("partings")


@dataclass(frozen=True, slots=True)
class Parting:
    """Access that is over here, and that a provider has to be told of."""

    id: str
    provider: str
    failures: int


class PartingBook:
    """The endings in adapters.db. Calls block for a file read or one fsync."""

    def __init__(self, file: LinkFile) -> None:
        """Use ``open``."""
        self._file = file
        self._db = file.connection
        self._ring = file.ring

    @classmethod
    def open(cls, data: Path) -> Self:
        """Open or create the file of a data directory. StoreError, ConfigError."""
        return cls(LinkFile.open(data))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    # -- a person's links

    def users(self) -> list[str]:
        """Everybody who is linked, or is being asked to agree."""
        rows = self._db.execute(_SQL["users"])
        return [user for (user,) in rows]

    def end(self, user: str, *, erasure: str = "") -> list[str]:
        """Fetch nothing of a user any more; the providers that this ends. Tokens become partings.

        Those whose key is away stay where they are, until ``forget`` or ``erase`` can open them.
        """
        with self._file.transaction():
            return self._end(user, erasure, all_parted=False)

    def _end(self, user: str, erasure: str, *, all_parted: bool) -> list[str]:
        self._ring.refresh()
        rows = self._db.execute(_SQL["ending"], (user,)).fetchall()
        self._db.execute(_SQL["end_links"], (user,))
        self._db.execute(_SQL["end_pending"], (user,))
        for provider, tokens in rows:
            try:
                self._part(user, provider, tokens, erasure)
            except StoreError:
                if all_parted:
                    raise
            else:
                self._db.execute(_SQL["parted"], (user, provider))
        return sorted(provider for provider, _ in rows)

    def forget(self, link: int) -> None:
        """The rows of a link that is over, in the caller's turn; tokens that it still has are parted from.

        One that was made again meanwhile stays. StoreError: not yet, a key is away.
        """
        with self._file.transaction():
            row = self._db.execute(_SQL["leaving"], (link,)).fetchone()
            if row is not None:
                user, provider, tokens, account, mark = row
                self._part(user, provider, tokens, "")
                self._withdraw(user, provider, account, mark)
                self._db.execute(_SQL["forget_link"], (link,))

    def erase(self, user: str, flights: Flights, *, erasure: str) -> None:
        """No row has the user when this returns. Once more later: UnavailableError, and StoreError where a key is away.

        The first where a link is at work.
        """
        with ExitStack() as turns:
            for (link,) in self._db.execute(_SQL["links_of"], (user,)).fetchall():
                if not turns.enter_context(flights.turn_if_free(link)):
                    raise UnavailableError("a link of a person who is erased is at work", hint="healthsync status")
            with self._file.transaction():
                self._end(user, erasure, all_parted=True)  # a fetch may have got new tokens meanwhile
                for accounts in self._db.execute(_SQL["accounts_of"], (user,)).fetchall():
                    self._withdraw(user, *accounts)
                self._db.execute(_SQL["forget_links"], (user,))

    def _withdraw(self, user: str, provider: str, account: str, mark: bytes) -> None:
        """What a provider said of this account and nobody has worked off. Who else is linked to it keeps hearing."""
        (others,) = self._db.execute(_SQL["linked_to"], (provider, mark)).fetchone()
        if others > 1:
            return
        try:
            opened = self._file.sealing.open(account, user, "account", provider)
        except TamperedError:
            return  # whose they are is not known, and the worker drops them for it
        withdraw(self._file, provider, str(opened or ""))

    def scrub(self) -> None:
        """Write the file anew: what was deleted is in no page and no journal of it. UnavailableError: later."""
        try:
            self._db.execute("VACUUM")
            (busy, *_) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            raise fault_of(error) from error
        if busy:
            raise UnavailableError(f"{FILE} is being read: its journal is not empty yet", hint="healthsync status")

    def _part(self, user: str, provider: str, sealed: bytes | None, erasure: str) -> None:
        if sealed is None:
            return
        try:
            tokens = self._ring.open(user, sealed, tokens_context(provider))
        except LOST:
            return  # nobody can tell the provider as this user any more
        name = secrets.token_hex(8)
        whole = msgspec.json.decode(tokens)
        # Of who is erased without the account at the provider, though some can be told of no other way.
        bare = msgspec.json.encode(whole[:3] if erasure else whole)
        kept = self._ring.seal_service(_owner(name), bare, tokens_context(provider))
        self._db.execute(_SQL["add_parting"], (name, provider, kept, erasure))

    # -- partings

    def partings(self, *, erasure: str | None = None) -> list[Parting]:
        """Those that are not over, of an erasure or all."""
        rows = self._db.execute(_SQL["partings"], (erasure,))
        return [Parting(*row) for row in rows]

    def due(self, now_us: int) -> list[Parting]:
        """Those whose provider is to be told now."""
        rows = self._db.execute(_SQL["due"], (now_us,))
        return [Parting(*row) for row in rows]

    def tokens(self, parting: Parting) -> bytes:
        """What lets us in, as the link kept it. StoreError where its key is gone."""
        self._ring.refresh()
        row = self._db.execute(_SQL["tokens"], (parting.id,)).fetchone()
        if row is None:
            raise StoreError("this parting is over")
        return self._ring.open_service(_owner(parting.id), row[0], tokens_context(parting.provider))

    def keep(self, parting: Parting, tokens: bytes) -> None:
        """New tokens, durable before they are used."""
        sealed = self._ring.seal_service(_owner(parting.id), tokens, tokens_context(parting.provider))
        with self._file.transaction():
            self._db.execute(_SQL["keep_tokens"], (sealed, parting.id))

    def again(self, parting: Parting, due_us: int) -> None:
        """The provider could not be told: once more then."""
        with self._file.transaction():
            self._db.execute(_SQL["later"], (due_us, parting.id))

    def over(self, parting: Parting) -> None:
        """The provider knows, or can never be told. Its key goes first: what is killed here has tokens for nobody."""
        self._ring.destroy_service(_owner(parting.id))
        with self._file.transaction():
            self._db.execute(_SQL["over"], (parting.id,))


def end_links(data: Path, user: str) -> list[str]:
    """End the links of a user who is removed; the providers. Nothing is made where nobody was ever linked."""
    with existing(data) as book:
        return [] if book is None else book.end(user)


@contextmanager
def existing(data: Path) -> Iterator[PartingBook | None]:
    """The book of a data directory; None where nobody was ever linked."""
    if not (data / FILE).exists():
        yield None
        return
    with PartingBook.open(data) as book:
        yield book


def _owner(parting: str) -> str:
    return f"parting:{parting}"
