"""A page of a log. Rows whose key was destroyed are left out of it, as purged ones are, and what is not asked for."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from healthsync_mqtt.model.choice import Contents
from healthsync_mqtt.model.record import Record

_AT_ONCE: Final = 16_000
_FIRST_LOOK: Final = 256


def whole_page(
    ask: Callable[[dict[str, Any]], list[Any]],
    opened: Callable[[Iterable[Any]], list[Record]],
    wanted: dict[str, Any],
    *,
    newest: bool,
    contents: Contents | None = None,
) -> list[Record]:
    """As many records as are wanted, whatever is left out on the way. Rows begin with their seq, the next one first."""
    limit, found, look = wanted["limit"], list[Record](), 0 if contents is None else _FIRST_LOOK
    while True:
        wanted["limit"] = max(limit - len(found), look)
        rows = ask(wanted)
        records = opened(reversed(rows) if newest else rows)
        there = [record for record in records if record.body and (contents is None or record in contents)]
        found = there + found if newest else found + there
        if len(found) >= limit or len(rows) < wanted["limit"]:
            return found[max(len(found) - limit, 0) :] if newest else found[:limit]
        wanted["before" if newest else "after"] = rows[-1][0]
        look = min(4 * look, _AT_ONCE)
