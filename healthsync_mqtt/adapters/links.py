# long: one noun: a link's row, and what hangs on it
"""adapters.db: who is linked to what, how far it was fetched, and the tokens, which only the user's key opens.

The worker and commands use it at once; ``cloud_links.flights`` says whose turn a link is. Commands wait for no turn:
each that says something else of a link gives its row another ``orders``, and what the worker writes from an older copy
leaves what the command said.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from healthsync_mqtt.adapters.cloud import Tokens
from healthsync_mqtt.adapters.link_state import CloudLinkState, LinkEvent, after
from healthsync_mqtt.cloud_links.opening import LinkFile, queries, tokens_context
from healthsync_mqtt.errors import ConflictError, NotFoundError
from healthsync_mqtt.formats.port import Gone, Made
from healthsync_mqtt.formats.reading.moment import moment

_SQL: Final = queries("links")
_SET_BACK: Final = tuple(query for name, query in _SQL.items() if name.startswith("set_back_"))
_OVER: Final = frozenset({LinkEvent.fetched, LinkEvent.refused, LinkEvent.held, LinkEvent.halted})
"""How a fetch ends that says nothing of when the provider may be asked again."""


@dataclass(frozen=True, slots=True)
class CloudLink:
    """A user's link to a provider."""

    id: int
    user: str
    provider: str
    state: CloudLinkState
    hint: str
    until_us: int
    scopes: str
    paused: bool
    linked_us: int
    synced_us: int
    due_us: int
    failures: int
    orders: int


@dataclass(frozen=True, slots=True)
class FetchCursor:
    """How far a kind was fetched: all from ``back`` to ``since``, in seconds since 1970."""

    since: int
    back: int


class LinkBook:
    """The open file. Calls block for a file read or one fsync."""

    def __init__(self, file: LinkFile) -> None:
        """Use ``open``."""
        self._file = file
        self._db = file.connection
        self._ring = file.ring
        self._version = -1

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

    # -- links

    def links(self, user: str | None = None) -> list[CloudLink]:
        """All links, of a user or of everybody."""
        rows = self._db.execute(_SQL["links"], (user,))
        return [_link(row) for row in rows]

    def link(self, link: int) -> CloudLink | None:
        """One link by its number."""
        row = self._db.execute(_SQL["link"], (link,)).fetchone()
        return None if row is None else _link(row)

    def of_account(self, provider: str, account: str) -> list[CloudLink]:
        """The links to one account at a provider."""
        with self._file.asking():
            rows = self._db.execute(_SQL["of_account"], (provider, account)).fetchall()
        return [_link(row) for row in rows]

    def account(self, link: int) -> str:
        """Which account at the provider a link is of, as far as it is known. StoreError where its key is away."""
        return str(self._value(_SQL["account"], link) or "")

    def zone(self, link: int) -> str:
        """The time zone of the account at the provider, as it said; "" where it did not. StoreError as ``account``."""
        return str(self._value(_SQL["zone"], link) or "")

    def is_in_zone(self, link: CloudLink, zone: str) -> None:
        """In which time zone the account at the provider is."""
        with self._file.transaction():
            self._db.execute(_SQL["is_in_zone"], (zone, link.id, link.orders))

    def of(self, user: str, provider: str) -> CloudLink:
        """One link. NotFoundError."""
        row = self._db.execute(_SQL["of"], (user, provider)).fetchone()
        if row is None:
            raise NotFoundError(f"{user} is not linked to {provider}", hint="healthsync adapter status")
        return _link(row)

    def due(self, provider: str, now_us: int, most: int) -> list[CloudLink]:
        """Links to a provider whose time has come, the longest waiting first."""
        rows = self._db.execute(_SQL["due"], (provider, now_us, most))
        return [_link(row) for row in rows]

    def changed(self) -> bool:
        """Whether anybody else has written to the file since this was asked."""
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        known, self._version = self._version, version
        return bool(known != version)

    def providers(self) -> list[str]:
        """Those to which somebody is linked, by one step in the index for each."""
        return [name for (name,) in self._db.execute(_SQL["providers"])]

    def unknown_accounts(self, provider: str) -> bool:
        """Whether there are links of which the account at the provider is not known yet."""
        row = self._db.execute(_SQL["unknown_account"], (provider,)).fetchone()
        return row is not None

    def unhooked(self, provider: str, now_us: int, most: int) -> list[CloudLink]:
        """Links of which the provider is to be asked whether it tells us of their users."""
        rows = self._db.execute(_SQL["unhooked"], (provider, now_us, most))
        return [_link(row) for row in rows]

    def hooked(self, link: CloudLink, again_us: int) -> None:
        """It was asked, and is to be asked again then."""
        with self._file.transaction():
            self._db.execute(_SQL["hooked"], (again_us, link.id, link.orders))

    def agree(self, user: str, provider: str, tokens: Tokens, scopes: str, now_us: int) -> CloudLink:
        """The user let us in: a new link, or the one that was there, which goes on where it was."""
        with self._file.transaction():
            self._db.execute(
                _SQL["agree"],
                # Numbers of links are given again, and no order of one is one of another.
                (user, provider, now_us),
            )
            link = self.of(user, provider)
            self._db.execute(
                _SQL["agreed"],
                # Who agrees again may be another account there: whose it is, is asked anew where tokens do not say it.
                (tokens.account, tokens.scopes or scopes, tokens.until_us, self._sealed(link, tokens), link.id),
            )
            return self.of(user, provider)

    def leave(self, link: int) -> None:
        """The link is over, and its tokens are gone; the worker takes its state back and forgets it."""
        with self._file.transaction():
            self._db.execute(_SQL["leave"], (link,))

    def leaving(self) -> list[CloudLink]:
        """Links that are over."""
        return [_link(row) for row in self._db.execute(_SQL["leaving"])]

    def stands(self, link: int) -> bool:
        """Whether a link is there and not over."""
        return self._db.execute(_SQL["stands"], (link,)).fetchone() is not None

    def is_leaving(self, link: int) -> bool:
        """Whether a link is over and not forgotten yet."""
        return self._db.execute(_SQL["is_leaving"], (link,)).fetchone() is not None

    def happened(
        self,
        link: CloudLink,
        event: LinkEvent,
        *,
        hint: str = "",
        due_us: int = 0,
        now_us: int = 0,
        cursors: Mapping[str, FetchCursor] | None = None,
    ) -> CloudLink:
        """What happened to a link, durably; one that it cannot happen to stays as it is.

        ``cursors``: of the kinds in which nothing was new, in the same step.
        """
        with self._file.transaction():
            if cursors:
                self._move(link, cursors)
            now = self.link(link.id)
            if now is None:
                return link
            state = after(now.state, event)
            if state is None:
                return now
            if now.orders != link.orders and event in _OVER:
                # Who refused may have been asked with the tokens before; who was fetched is to be fetched once more.
                state, hint, due_us = CloudLinkState.ok, "", 0
                self._db.execute(_SQL["make_due"], (link.id,))
            failures = now.failures + 1 if event in {LinkEvent.failed, LinkEvent.throttled} else 0
            if event is LinkEvent.begun:
                failures = now.failures
            self._db.execute(_SQL["happened"], (state, hint, due_us, due_us, failures, now_us, now_us, link.id))
            return self.link(link.id) or now

    def pause(self, link: int, *, paused: bool) -> None:
        """Fetch it no more, or again."""
        with self._file.transaction():
            self._db.execute(_SQL["pause"], (int(paused), link))

    def is_paused(self, link: int) -> bool | None:
        """Whether it is not to be fetched; None: there is no such link, or it is over."""
        row = self._db.execute(_SQL["is_paused"], (link,)).fetchone()
        return None if row is None else bool(row[0])

    def deepen(self, link: int) -> None:
        """Fetch the history again, from the link on backwards."""
        with self._file.transaction():
            self._db.execute(_SQL["deepen_cursors"], (link,))
            self._db.execute(_SQL["fetch_anew"], (link,))

    def set_back(self, by_us: int, now_us: int, longest_us: int) -> None:
        """The clock was set back by so much, to ``now_us``: what waits is due after as long as it would have been.

        What would be due later than ``longest_us`` from now is due now: it was said by a clock that was ahead.
        """
        bindings = {"by": by_us, "now": now_us, "longest": now_us + longest_us}
        with self._file.transaction():
            for query in _SET_BACK:
                self._db.execute(query, bindings)

    def _value(self, query: str, *bindings: object) -> Any:
        """Of the one row that it finds; None where there is none."""
        with self._file.asking():
            row = self._db.execute(query, bindings).fetchone()
        return None if row is None else row[0]

    # -- tokens

    def tokens(self, link: CloudLink) -> Tokens | None:
        """The pair that is used now. StoreError where the user's key is gone."""
        return self._opened(link, "tokens")

    def tokens_before(self, link: CloudLink) -> Tokens | None:
        """The pair before it, until the new one has worked."""
        return self._opened(link, "tokens_before")

    def keep(self, link: CloudLink, tokens: Tokens, old: Tokens) -> bool:
        """A new pair in place of the old one, durable before it is used; the old one stays beside it.

        False where the user has agreed again since: the pair of then stays.
        """
        with self._file.transaction():
            stored = self._opened(link, "tokens")
            if stored is not None and stored != old:
                return False
            self._db.execute(_SQL["keep_tokens"], (self._sealed(link, tokens), tokens.until_us, link.id))
            return True

    def worked(self, link: CloudLink) -> None:
        """The new pair was taken: the old one is nothing any more."""
        self._db.execute(_SQL["worked"], (link.id,))

    def _sealed(self, link: CloudLink, tokens: Tokens) -> bytes:
        self._ring.refresh()
        return self._ring.seal(link.user, msgspec.json.encode(list(tokens)), tokens_context(link.provider))

    def _opened(self, link: CloudLink, column: str) -> Tokens | None:
        row = self._db.execute(_SQL[column], (link.id,)).fetchone()
        if row is None or row[0] is None:
            return None
        self._ring.refresh()
        return Tokens(*msgspec.json.decode(self._ring.open(link.user, row[0], tokens_context(link.provider))))

    # -- how far

    def cursor(self, link: int, kind: str) -> FetchCursor | None:
        """How far a kind was fetched; None: not at all."""
        row = self._db.execute(_SQL["cursor"], (link, kind)).fetchone()
        return None if row is None else FetchCursor(*row)

    def memory(self, link: int) -> bytes:
        """What the mapping remembers."""
        return bytes(self._value(_SQL["memory"], link) or b"")

    def advance(self, link: CloudLink, kind: str, cursor: FetchCursor, memory: bytes) -> None:
        """All of a window is committed: the cursor and what is remembered, in one step."""
        with self._file.transaction():
            self._move(link, {kind: cursor})
            self._db.execute(_SQL["advance_memory"], (memory, link.id, link.linked_us))

    def caught_up(self, link: CloudLink, cursors: Mapping[str, FetchCursor]) -> None:
        """Nothing was new in any of these kinds: their cursors, in one step."""
        with self._file.transaction():
            self._move(link, cursors)

    def _move(self, link: CloudLink, cursors: Mapping[str, FetchCursor]) -> None:
        (orders,) = self._db.execute(_SQL["orders"], (link.id,)).fetchone() or (None,)
        if orders == link.orders:
            self._db.executemany(
                _SQL["move_cursor"], [(link.id, kind, each.since, each.back) for kind, each in cursors.items()]
            )
        else:
            late = [(link.id, kind, each.since, link.linked_us) for kind, each in cursors.items()]
            self._db.executemany(_SQL["move_cursor_late"], late)

    def is_account(self, link: CloudLink, account: str) -> None:
        """Which account at the provider a link is of."""
        with self._file.transaction():
            self._db.execute(_SQL["is_account"], (account, link.id, link.orders))

    def remember(self, link: int, memory: bytes) -> None:
        """What the mapping remembers, where no cursor moves."""
        with self._file.transaction():
            self._db.execute(_SQL["remember"], (memory, link))

    def discovered(self, link: int, name: str) -> str:
        """What a list said of a record when it was asked for by itself; "" where it never was."""
        return str(self._value(_SQL["discovered"], link, name) or "")

    def discover(self, link: int, name: str, mark: str) -> None:
        """All of a record is committed, as a list named it."""
        with self._file.transaction():
            self._db.execute(_SQL["discover"], (link, name, mark))

    # -- files that are given once

    def shelved(self, link: CloudLink, name: str) -> bytes | None:
        """A file that was fetched and is not committed yet."""
        body = self._value(_SQL["shelved"], link.id, name, link.user)
        return None if body is None else self._ring.open(link.user, body, _shelf(link.provider))

    def shelve(self, link: CloudLink, name: str, body: bytes) -> None:
        """A file, durable before anything is made of it."""
        self._ring.refresh()
        sealed = self._ring.seal(link.user, body, _shelf(link.provider))
        with self._file.transaction():
            self._db.execute(_SQL["shelve"], (link.id, name, link.user, sealed))

    def unshelve(self, link: CloudLink, name: str) -> None:
        """All of it is committed."""
        with self._file.transaction():
            self._db.execute(_SQL["unshelve"], (link.id, name, link.user))

    # -- what may be taken back

    def note(self, link: int, made: Iterable[Made]) -> None:
        """The events of records with names, before they are published."""
        rows = [
            (
                link,
                each.event["id"],
                _stem(each.name),
                each.event["type"],
                each.event.get("start_time", ""),
                msgspec.json.encode((each.event["id"], each.name)),
            )
            for each in made
            if each.name is not None and each.event.get("op") != "delete"
        ]
        if rows:
            with self._file.transaction():
                self._db.executemany(_SQL["note"], rows)

    def found(self, link: int, gone: Gone) -> list[tuple[str, str, str]]:
        """The events that a provider takes back: id, type, start."""
        stem = _stem(gone.prefix) if ";" in gone.prefix else None
        return [
            (event, type_, start)
            for event, name, type_, start in self._named(link, stem, lambda _type, _start: True)
            if name.startswith(gone.prefix)
        ]

    def named_between(self, link: int, types: Sequence[str], start_us: int, end_us: int) -> list[tuple[str, str, str]]:
        """The events of records with names, of these types, that begin in a time: id, type, start."""

        def is_asked(type_: str, start: str) -> bool:
            return type_ in types and start != "" and start_us <= moment(start).us < end_us

        return [(event, type_, start) for event, _, type_, start in self._named(link, None, is_asked)]

    def _named(self, link: int, stem: str | None, which: Callable[[str, str], bool]) -> Iterator[tuple[str, ...]]:
        """Event, name, type and start, of all or of a stem; only those are opened that ``which`` takes."""
        with self._file.asking():
            rows = self._db.execute(_SQL["named"] if stem is None else _SQL["named_by_stem"], (link, stem)).fetchall()
        for user, event, mark, type_, start, said in rows:
            if which(type_, start):
                found = self._file.sealing.open(said, user, "named", link, event, mark)
                if found is not None:
                    yield (*msgspec.json.decode(found, type=tuple[str, str]), type_, start)

    def forget(self, link: int, events: Iterable[str]) -> None:
        """These are gone, and that is committed."""
        with self._file.transaction():
            self._db.executemany(_SQL["forget"], [(link, each) for each in events])

    # -- links that are being made

    def expect(self, state: str, user: str, provider: str, *, redirect: str, verifier: str, until_us: int) -> None:
        """A user was sent to the provider with this state."""
        sealed = self._ring.seal(user, verifier.encode(), f"adapters:pending:{state}".encode())
        with self._file.transaction():
            self._db.execute(_SQL["expire_pending"], (until_us - 86_400_000_000,))
            self._db.execute(_SQL["expect"], (state, user, provider, redirect, sealed, until_us))

    def expected(self, state: str, now_us: int) -> tuple[str, str, str, str]:
        """User, provider, redirect and verifier of a state, which is good once. ConflictError."""
        with self._file.transaction():
            row = self._db.execute(_SQL["expected"], (state,)).fetchone()
        if row is None or row[4] < now_us:
            raise ConflictError(
                "this answer was not asked for, or too long ago", hint="healthsync adapter link USER PROVIDER"
            )
        user, provider, redirect, sealed, _ = row
        return user, provider, redirect, self._ring.open(user, sealed, f"adapters:pending:{state}".encode()).decode()

    # -- what commands ask for

    def ask(self, link: int, now_us: int) -> int:
        """Ask the worker to fetch a link now; the number of the question."""
        with self._file.transaction():
            row = self._db.execute(_SQL["ask"], (link, now_us)).fetchone()
            self._db.execute(_SQL["make_due"], (link,))
        return int(row[0])

    def asked(self) -> list[tuple[int, int]]:
        """What was asked and not answered: number and link."""
        rows = self._db.execute(_SQL["asked"])
        return [(number, link) for number, link in rows]

    def answer(self, numbers: Sequence[int], answer: dict[str, Any]) -> None:
        """What came of it; questions of yesterday are forgotten."""
        text = msgspec.json.encode(answer).decode()
        with self._file.transaction():
            self._db.executemany(_SQL["answer"], [(text, number) for number in numbers])
            self._db.execute(_SQL["forget_answered"], (max(numbers, default=0) - 1_000,))

    def answered(self, number: int) -> dict[str, Any] | None:
        """What came of a question; None: nothing yet. Those about a link that was forgotten went with it."""
        row = self._db.execute(_SQL["answered"], (number,)).fetchone()
        if row is None:
            return {"state": "gone"}
        return dict(msgspec.json.decode(row[0])) if row[0] else None


def _stem(name: str) -> str:
    """How the name of a record begins: parts of one record, and what takes it back, have that in common."""
    return name[: name.find(";") + 1] or name


def _shelf(provider: str) -> bytes:
    return f"adapters:shelf:{provider}".encode()


def _link(row: Sequence[Any]) -> CloudLink:
    values = list(row)
    values[3] = CloudLinkState(values[3])
    values[7] = bool(values[7])
    return CloudLink(*values)
