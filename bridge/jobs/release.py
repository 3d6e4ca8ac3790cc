"""Out of the quarantine: rejected bytes go through the pipeline again, as if their sender had sent them now."""

import time
from collections.abc import Sequence
from typing import Any

from bridge.decode.delivery import decode
from bridge.pipeline import Pipeline
from bridge.ports import Chores
from healthsync_mqtt.errors import NotFoundError
from healthsync_mqtt.model.delivery import Delivery, Verdict
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.storage.port import LogReader


class _Nobody:
    """A source that nobody waits behind: the commit itself is waited for."""

    def acknowledge(self, tokens: Sequence[int], verdicts: Sequence[Verdict] = ()) -> None:
        pass

    def charge(self, cost: int) -> None:
        pass

    def resume(self) -> None:
        pass


class Release:
    """Replays rows of the quarantine, for an admin who has mended the cause (a newer version, a corrected clock)."""

    def __init__(self, pipeline: Pipeline, chores: Chores, reader: LogReader) -> None:
        self._pipeline = pipeline
        self._chores = chores
        self._reader = reader

    async def release(self, no: int) -> dict[str, Any]:
        """Try row ``no`` again: stored and taken out of the quarantine in one commit, or left where it is.

        Returns ``number``, ``outcome`` ("released" or "rejected") and, when rejected, ``reason`` and ``field``.
        Raises NotFoundError when there is no such row, UnavailableError when the service stops meanwhile.
        """
        row = self._reader.rejected_get(no)
        if row is None:
            raise NotFoundError(f"there is no rejected event {no}", hint="healthsync rejected list")
        origin = Origin(row.user, row.device, row.provider, row.topic)
        if not row.raw or row.truncated:  # not kept, or not all of it: no consent, or too long
            return {"number": no, "outcome": "rejected", "reason": row.reason, "field": row.field}
        now_us = time.time_ns() // 1000
        decoded = self._pipeline.gate.screen(decode(row.raw, origin, now_us, self._pipeline.limits), row.user, now_us)
        if decoded.rejections:
            first = decoded.rejections[0]
            return {"number": no, "outcome": "rejected", "reason": first.reason.value, "field": first.field}
        self._pipeline.store(Delivery(_Nobody(), 0, origin, row.raw), decoded)
        await self._chores.durable(lambda journal: journal.discard_rejected(no))
        return {"number": no, "outcome": "released"}
