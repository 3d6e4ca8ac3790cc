"""A page of a log. Rows whose key was destroyed are left out of it, as purged ones are."""

from collections.abc import Callable, Iterable
from typing import Any

from healthsync_mqtt.model.record import Record


def whole_page(
    ask: Callable[[dict[str, Any]], list[Any]],
    opened: Callable[[Iterable[Any]], list[Record]],
    wanted: dict[str, Any],
    *,
    newest: bool,
) -> list[Record]:
    """As many records as are wanted, whatever is left out on the way. Rows begin with their seq, the next one first."""
    limit, found = wanted["limit"], list[Record]()
    while True:
        wanted["limit"] = limit - len(found)
        rows = ask(wanted)
        records = opened(reversed(rows) if newest else rows)
        there = [record for record in records if record.body]
        found = there + found if newest else found + there
        if len(there) == len(rows) or len(rows) < wanted["limit"]:
            return found
        wanted["before" if newest else "after"] = rows[-1][0]
