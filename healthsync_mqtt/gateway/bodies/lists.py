"""Lists of named things, page by page: in the order of their names, and the last name is where the next page begins."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final, TypeVar

import msgspec
from fastapi import Query
from starlette.responses import Response

MOST_LISTED: Final = 1_000
BEHIND_ALL: Final = 2**53 + 1
"""Where a list of numbered rows begins that tells the newest first."""

T = TypeVar("T")
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


def written(answer: Any, status: int = 200) -> Response:
    """An answer that is made of descriptions."""
    return Response(_encode(answer), status, media_type="application/json")
