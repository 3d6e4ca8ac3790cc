"""Lists page by page: in the order of names or numbers, and the last one of a page is where the next page begins."""

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Final, Protocol, TypeVar

import msgspec
from fastapi import Query
from starlette.responses import Response

MOST_LISTED: Final = 1_000
_BEHIND_ALL: Final = 2**53 + 1
"""Where a list of numbered rows begins that tells the newest first."""


class _Numbered(Protocol):
    @property
    def no(self) -> int: ...


T = TypeVar("T")
N = TypeVar("N", bound=_Numbered)
Cursor = Annotated[str, Query(max_length=128, description="The `next` of the page before.")]
Place = Annotated[int, Query(ge=0, le=2**53, description="The `next` of the page before.")]
PageSize = Annotated[int, Query(ge=1, le=MOST_LISTED, description="Entries of one page.")]
_encode: Final = msgspec.json.Encoder().encode


def page_of(rows: Iterable[T], name: Callable[[T], str], cursor: str, limit: int) -> tuple[list[T], str | None]:
    """The rows behind a name, which are sorted by it, and where the page after it begins; None at the end."""
    found = [row for row in rows if name(row) > cursor][: limit + 1]
    return cut(found, name, limit)


def cut(found: list[T], name: Callable[[T], str], limit: int) -> tuple[list[T], str | None]:
    """The same of rows of which one more than a page has was looked for."""
    return found[:limit], name(found[limit - 1]) if len(found) > limit else None


def looked_through(
    read: Callable[[int], Sequence[N]],
    wanted: Callable[[N], bool],
    cursor: int,
    limit: int,
    *,
    at_once: int,
    look: int,
    newest: bool,
) -> tuple[list[N], int | None]:
    """The wanted rows of a page, and where the page after it begins; None at the end.

    ``read`` gives ``at_once`` rows behind a number, fewer only at the end: those before it, with ``newest``. After
    ``look`` of them the page ends short.
    """
    at = cursor or (_BEHIND_ALL if newest else 0)
    found: list[N] = []
    looked = 0
    while looked < look:
        rows = read(at)
        for row in rows:
            if wanted(row):
                if len(found) == limit:
                    return found, at
                found.append(row)
            at = row.no
        looked += len(rows)
        if len(rows) < at_once:
            return found, None
    return found, at


def written(answer: Any, status: int = 200) -> Response:
    """An answer that is made of descriptions."""
    return Response(_encode(answer), status, media_type="application/json")
