"""Where in the log rows of somebody, or of something, may lie: found by what is counted, and not by looking at rows."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from healthsync_mqtt.storage.postgres.statements import statements
from healthsync_mqtt.storage.whole_days import DAY_US

_SQL = statements("shelves")
_COUNTING_SQL = statements("counting")
SHELF_LOG2: Final = 19
"""Rows of the log that are counted together; ``queries/counting.sql`` has the same."""


class CountedShelves:
    """For a reader, inside of its snapshot. A stretch is of the rows after its first number, up to its second."""

    def __init__(self, ask: Callable[[bytes, Any], list[Any]]) -> None:
        self._ask = ask

    def counted_through(self) -> int:
        """The last row that is counted: those after it may be any."""
        through: int = self._ask(_COUNTING_SQL["counted_through"], ())[0][0]
        return through

    def with_rows(
        self, wanted: dict[str, Any], after: int, through: int, *, newest: bool = False
    ) -> Iterator[tuple[int, int]]:
        """Stretches of counted rows with some of this user, type and device (None: any), and of that time; in order."""
        if after >= through:
            return
        shelves = self._with_rows(wanted, (after + 1) >> SHELF_LOG2, through >> SHELF_LOG2)
        for shelf in reversed(shelves) if newest else shelves:
            yield max(after, (shelf << SHELF_LOG2) - 1), min(through, ((shelf + 1) << SHELF_LOG2) - 1)

    def only_user_of(self, device: str) -> str | None:
        """The one user who has rows of this device that are counted; None where there are none, or several."""
        users = self._ask(_SQL["users_of_device"], (device,))
        return users[0][0] if len(users) == 1 else None

    def _with_rows(self, wanted: dict[str, Any], first: int, last: int) -> list[int]:
        asked = {key: wanted[key] for key in ("user", "type", "device")} | {"first": first, "last": last}
        since, until = wanted["since"], wanted["until"]
        asked["first_day"] = None if since is None else since // DAY_US
        asked["end_day"] = None if until is None else -(-until // DAY_US)
        if all(asked[key] is None for key in ("user", "type", "device", "first_day", "end_day")):
            return list(range(first, last + 1))
        return [shelf for (shelf,) in self._ask(_SQL["with_rows"], asked)]
