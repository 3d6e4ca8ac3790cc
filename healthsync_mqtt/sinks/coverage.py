"""What consent covers at the moment of shipping: a sink that is new, or far behind, ships what users agree to now.

The purpose is ``store``, which is what a sink does. What was shipped while it was covered stays where it is, as it
stays in the log; a tombstone always goes through.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.identity.consent.decisions import NO_PERMISSION, NOBODY, Permissions, Purpose
from healthsync_mqtt.identity.people.opening import has_registry
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.record import Record

_LOOK_S = 0.5


class Coverage:
    """The registry's word, at most half a second old."""

    def __init__(
        self,
        registry: Registry,
        *,
        clock: Callable[[], float] = time.monotonic,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._now_us = now_us
        self._permissions: Permissions = NOBODY
        self._generation = -1
        self._looked: float | None = None

    @classmethod
    def open(cls, path: Path) -> Self:
        """Of this registry.db. UnavailableError when there is none: without it nobody knows who agrees."""
        if not has_registry(path):
            raise UnavailableError(
                f"there is no registry at {path}", hint="restore registry.db, or start: healthsync up"
            )
        return cls(Registry.open(path))

    def permits(self, record: Record) -> bool:
        """Whether this row may be shipped now. Raises StoreError while the registry cannot be read."""
        self._look()
        span = self._permissions[Purpose.store].get(record.user, NO_PERMISSION).span(record.type)
        return span.covers(record.received_us, self._now_us())

    def covers(self, user: str, type_name: str) -> bool:
        """Whether anything of a type may be shipped now. Raises StoreError while the registry cannot be read."""
        self._look()
        return self._now_us() < self._permissions[Purpose.store].get(user, NO_PERMISSION).span(type_name).until_us

    def users(self) -> list[str]:
        """Everybody in the registry."""
        return [user.id for user in self._registry.users()]

    def close(self) -> None:
        """Close the registry."""
        self._registry.close()

    def _look(self) -> None:
        now = self._clock()
        if self._looked is None or now - self._looked >= _LOOK_S:
            self._refresh()
            self._looked = now

    def _refresh(self) -> None:
        generation = self._registry.generation()
        if generation != self._generation:
            self._permissions = self._registry.consent.permissions()
            self._generation = generation  # read before the permissions: at worst they are read once more
