"""Refused logins on their way to the audit log: counted as they come, written in few rows however many there are."""

import asyncio
import time
from collections.abc import Callable

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("bridge")

_MOST_ROWS = 20


class RefusalTrail:
    """``note`` is called on the event loop and only counts; ``flush`` blocks, in a worker thread."""

    def __init__(self, audit: AuditLog, *, clock_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._audit = audit
        self._clock_us = clock_us
        self._counts: dict[tuple[str, str], int] = {}

    def note(self, reason: str, peer: str) -> None:
        """A login from ``peer`` was refused. ``reason`` is one of the program's own texts."""
        key = (reason, peer)
        if key not in self._counts and len(self._counts) >= _MOST_ROWS:
            key = (reason, "")
        self._counts[key] = self._counts.get(key, 0) + 1

    async def write(self) -> None:
        """``flush`` in a worker thread."""
        if self._counts:
            await asyncio.to_thread(self.flush)

    async def close(self) -> None:
        """Write what is left; an audit log that cannot be written does not keep the service from stopping."""
        try:
            await self.write()
        except StoreError as error:
            log.error("bridge.audit_failed", error=error)  # noqa: TRY400  # no traceback

    def flush(self) -> None:
        """Write one row for each reason and address since the last call. StoreError: what was counted is kept."""
        counts, self._counts = self._counts, {}
        for (reason, peer), count in list(counts.items()):
            address = self._audit.pseudonym("address", peer) if peer else None
            try:
                self._audit.append(
                    "login.refused",
                    actor="service",
                    now_us=self._clock_us(),
                    subject=address,
                    detail={"reason": reason, "count": count},
                )
            except BaseException:
                for key, number in counts.items():
                    self._counts[key] = self._counts.get(key, 0) + number
                raise
            del counts[reason, peer]
