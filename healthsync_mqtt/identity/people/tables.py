"""Transactions and rows of a registry: what Registry is written in terms of, wherever the rows lie.

The statements are one text for all. What only one kind of database understands stays out of it: a set of names is put
into a query as one JSON array, the larger of two is a CASE, and a parameter that is given twice has a number.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, TypeVar

from healthsync_mqtt.identity.sql import statements

R = TypeVar("R")
GENERATION: Final = statements("people", "generation")

Key = str | int | tuple[str, ...]
"""The primary key of a row."""


class Tables(ABC):
    """One open registry, used by one thread at a time. A transaction inside another one belongs to the outer one."""

    @abstractmethod
    def close(self) -> None:
        """Close it; later calls raise StoreError."""

    @abstractmethod
    def write(self, *, quiet: bool = False) -> AbstractContextManager[None]:
        """One durable transaction that also raises the generation; StoreError when nothing can be written.

        No other process writes meanwhile. ``quiet`` is for what no directory has in memory: the generation stays, and
        nobody reads again.
        """

    @abstractmethod
    def read(self) -> AbstractContextManager[None]:
        """One consistent reading."""

    @abstractmethod
    def records(self, kind: Callable[..., R], sql: str, *parameters: object) -> list[R]:
        """The rows of a query as values: its columns are the fields of ``kind``, or what makes one of them."""

    @abstractmethod
    def tuples(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of a query that has many, as they come."""

    @abstractmethod
    def execute(self, sql: str, *parameters: object) -> None:
        """Run a statement that changes rows, inside ``write()``."""

    @abstractmethod
    def insert(self, table: str, row: dict[str, Any]) -> None:
        """Add one row, inside ``write()``."""

    @abstractmethod
    def replace(self, table: str, row: dict[str, Any]) -> None:
        """Add one row, or take the place of the one with its primary key, inside ``write()``."""

    @abstractmethod
    def update(self, table: str, key: Key, changes: dict[str, Any]) -> None:
        """Change one row by its primary key, inside ``write()``."""

    @abstractmethod
    def delete(self, table: str, where: str, *parameters: object) -> None:
        """Remove rows, inside ``write()``."""

    @abstractmethod
    def rewrite(self) -> None:
        """Write everything anew, so that nothing of what was deleted is left. StoreError while another writes."""

    def generation(self) -> int:
        """The number that every write raises."""
        return self.number(GENERATION["generation"])

    def histories(self) -> int:
        """How often what was read before may be of another history than what is there now. Nothing is asked for it."""
        return 0

    def record(self, kind: Callable[..., R], sql: str, *parameters: object) -> R | None:
        """The first of the ``records``, if there is one."""
        return next(iter(self.records(kind, sql, *parameters)), None)

    def column(self, kind: Callable[[Any], R], sql: str, *parameters: object) -> list[R]:
        """The one column that a query selects, each value as ``kind``."""
        return [kind(value) for (value,) in self.tuples(sql, *parameters)]

    def number(self, sql: str, *parameters: object) -> int:
        """The number that a query is about."""
        (value,) = self.column(int, sql, *parameters)
        return value
