"""How many events there are of what: kept for the older rows, counted when asked for in those after them.

A row up to ``head.counted`` is in the counts when it is an event with a body, and none of those rows supersedes it.
What changes one of these changes the counts in the same transaction: counting on, a purge, an erasure.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from healthsync_mqtt.postgres.connection import Connection
from healthsync_mqtt.storage.port import NOBODY, CountKey
from healthsync_mqtt.storage.postgres.connection import fetch, run
from healthsync_mqtt.storage.postgres.statements import statements
from healthsync_mqtt.storage.whole_days import WholeDays

_SQL = statements("counting")
ROWS_AT_ONCE: Final = 8192
"""Rows that are not counted, before they are: reading looks at so many."""


def count_on(connection: Connection, counted: int, head: int) -> None:
    """Count the next rows, once there are enough of them; ``head`` is the last one. A log of before catches up so."""
    if head - counted < ROWS_AT_ONCE:
        return
    through = min(head, counted + 2 * ROWS_AT_ONCE)
    stretch = {"after": counted, "through": through, "nobody": NOBODY}
    for each in ("count_rows", "uncount_superseded"):
        run(connection, _SQL[each], stretch)
    run(connection, _SQL["set_counted"], (through,))


def uncount(connection: Connection, seqs: Sequence[int], user: str | None = None) -> None:
    """Rows (of a user alone) that are about to lose their body, or their user, are no longer counted."""
    counted = fetch(connection, _SQL["counted_through"])[0][0]
    run(connection, _SQL["uncount_rows"], {"seqs": list(seqs), "counted": counted, "user": user, "nobody": NOBODY})


def forget_counts(connection: Connection, user: str) -> None:
    """Leave nothing that counts rows of a user."""
    run(connection, _SQL["forget_counts"], (user,))


def counts(ask: Callable[[bytes, Any], list[Any]], wanted: dict[str, Any]) -> Counter[CountKey]:
    """How many there are, as ``port.LogReader.counts`` has it; ``ask`` sees one state throughout.

    Whole days are in what is kept. Of a day that is asked for in part the rows on its shelves are looked at.
    """
    days = WholeDays.between(wanted["since"], wanted["until"])
    asked = wanted | {"counted": ask(_SQL["counted_through"], ())[0][0]}
    rows = ask(_SQL["scan"], asked | {"after": asked["counted"]})
    for part in days.parts:
        rows += ask(_SQL["scan_day"], asked | part._asdict())
    if not days.none:
        rows += ask(_SQL["kept"], asked | {"first_day": days.first, "end_day": days.end})
        rows += ask(_SQL["superseded_since"], asked | {"since": days.since_us, "until": days.until_us})
    found = Counter[CountKey]()
    for user, kind, device, provider, day, events in rows:
        found[CountKey(user, kind, device or None, provider or None, day)] += events
    return +found
