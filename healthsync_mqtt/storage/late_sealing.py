"""An older log is sealed a little with each commit, under its readers: how far that is lies in the log itself.

Everything that is new is sealed from the first step on. Rows follow from the oldest up to the last one of that moment,
then refusals, then what formats remember. Each step is part of a commit, so a kill anywhere loses nothing of it.
"""

from abc import ABC, abstractmethod
from typing import Final

from healthsync_mqtt.storage.sealing import Sealed

ENCRYPTION: Final = "encryption"
"""The fact of a log that says how it is sealed."""


class LateSealing(ABC):
    """One step inside the writer's transaction. A store says how each kind of its rows is read and written again."""

    def step(self, how: Sealed, rows: int, head: int) -> int:
        """Seal so many; how many are left, in rows, refusals and memories together. 0: all is sealed."""
        if not how.on:
            how = Sealed(on=True, plain_from=1, plain_through=max(head, 1))
            self._set(ENCRYPTION, "rows")
            self._set("plain_through", how.plain_through)
        if not how.mixed:
            return 0
        end = min(how.plain_through, how.plain_from + rows - 1)
        self._rows(how.plain_from, end)
        left, done = how.plain_through - end, end - how.plain_from + 1
        self._set("plain_from", end + 1 if left else how.plain_through)
        if left or done >= rows:
            return left + 1 + self._others()
        for each in (self._refusals, self._states, self._records):
            if each(rows - done):
                return self._others() + 1
        self._set("plain_from", 0)
        self._set("plain_through", 0)
        self._over()
        return 0

    @abstractmethod
    def _set(self, name: str, value: str | int) -> None:
        """Keep a fact of the log."""

    @abstractmethod
    def _others(self) -> int:
        """How many refusals and memories are left."""

    @abstractmethod
    def _rows(self, first: int, last: int) -> None:
        """Seal these rows of the log."""

    @abstractmethod
    def _refusals(self, limit: int) -> bool:
        """Seal so many; whether there may be more."""

    @abstractmethod
    def _states(self, limit: int) -> bool:
        """The same, of what formats remember of a device."""

    @abstractmethod
    def _records(self, limit: int) -> bool:
        """The same, of the records that they may have to take back."""

    def _over(self) -> None:  # noqa: B027  # a store that gives nothing back has nothing to do
        """All is sealed."""
