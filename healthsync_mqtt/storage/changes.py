"""What changed since: a page of what came into the log behind a token, and the token behind the page.

New versions and tombstones are rows like others. Of one user a place is a position among the user's own rows, so that
neither a page nor its token tells anything of others. Of several users it is one in the whole log, and sealed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from healthsync_mqtt.model.record import Record, canonical_json
from healthsync_mqtt.model.start_position import FromPosition
from healthsync_mqtt.model.sync_token import SyncToken, no_token
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.storage.subscriber_start import place

_ROWS: Final = 2_000
"""Rows that are looked at for one page: of what is not asked for, there may be many."""
_LOOK: Final = 20_000
_LOOKS: Final = 50
"""Purged rows have no end either."""
_AT_ONCE: Final = 40
"""Rows that are read at once: each may be as long as a packet, and a page is full before most of them then."""
_NUMBER: Final = 8


class Seal(Protocol):
    """Hides a place in the log from who carries it."""

    def sealed(self, seq: int, about: str) -> bytes:
        """Sixteen bytes that only this question opens."""

    def opened(self, sealed: bytes, about: str) -> int | None:
        """The place; None for what was not sealed here, or for another question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesAsked:
    """A question. ``user`` None: several users', with a ``seal``; ``token`` None: from the beginning.

    ``grant`` is what may be read, as a text that is another one when that is.
    """

    user: str | None
    grant: str
    token: str | None
    limit: int
    most_bytes: int
    seal: Seal | None = None


class ChangesPage(NamedTuple):
    """Canonical events as JSON, the token behind them, and whether there was more at that time."""

    events: list[bytes]
    token: str
    more: bool


def changes(reader: LogReader, asked: ChangesAsked, shown: Callable[[Record], bool]) -> ChangesPage:
    """The next page of what is ``shown``. SyncTokenError for a token that is not for this question."""
    head = reader.head()
    before = _place(reader, asked)
    after = _row(reader, asked, before, head)
    events: list[bytes] = []
    rows = size = 0
    full = False
    looks = 0
    while looks < _LOOKS and not full and after < head and rows < _ROWS:
        found = reader.stretch(after, min(_AT_ONCE, _ROWS - rows), look=_LOOK, user=asked.user)
        looks += len(found.rows) < _AT_ONCE
        for record in found.rows:
            event = canonical_json(record) if shown(record) else b""
            full = len(events) == asked.limit or (bool(events) and size + len(event) > asked.most_bytes)
            if full:
                break
            rows, after, before = rows + 1, record.seq, record.position
            if event:
                events.append(event)
                size += len(event)
        else:
            after = found.through
    following = reader.next_row(after, head, user=asked.user)
    if asked.user is None:
        return ChangesPage(events, _token(reader, asked, after), more=following is not None)
    if following is not None:  # what lies between was purged
        before = following.position - 1
    return ChangesPage(events, _token(reader, asked, before), more=following is not None)


def _place(reader: LogReader, asked: ChangesAsked) -> int:
    if asked.token is None:
        return 0
    token = SyncToken.read(asked.token, epoch=reader.epoch, user=asked.user, grant=asked.grant)
    if asked.user is not None and len(token.place) == _NUMBER:
        return int.from_bytes(token.place, "big")
    if asked.user is None and asked.seal is not None:
        opened = asked.seal.opened(token.place, asked.grant)
        if opened is not None:
            return opened
    raise no_token()


def _row(reader: LogReader, asked: ChangesAsked, before: int, head: int) -> int:
    """The place in the log before the first row that is wanted."""
    if asked.user is None or not before:
        return before
    return place(FromPosition(before + 1), reader, head, asked.user)


def _token(reader: LogReader, asked: ChangesAsked, number: int) -> str:
    if asked.user is not None:
        written = number.to_bytes(_NUMBER, "big")
    else:
        assert asked.seal is not None
        written = asked.seal.sealed(number, asked.grant)
    return SyncToken(reader.epoch, asked.user, asked.grant, written).text()
