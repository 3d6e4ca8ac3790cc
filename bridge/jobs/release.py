"""Out of the quarantine: rejected bytes go through the pipeline again, as if their sender had sent them now.

An admin asks for it who has mended the cause. What was refused for its time is tried again by itself, once the clock
says that it may be taken: of two clocks that disagree, ours may have been the wrong one.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from bridge.decode.delivery import QUICK, decode
from bridge.pipeline import Pipeline
from bridge.ports import Chore, Chores
from bridge.stages.journal import Journal
from healthsync_mqtt.errors import NotFoundError, UnavailableError
from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import Told
from healthsync_mqtt.model.delivery import OWN_FORM, Delivery, DeliveryVerdict
from healthsync_mqtt.model.event import Decoded
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.storage.port import LogReader, RejectedRow
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("bridge")

_AT_ONCE: Final = 100
_BYTES_AT_ONCE: Final = 262_144
"""Of held events that are tried again in one commit."""
_COMMITS: Final = 50
_AGAIN: Final = "try again in a moment"


class _Nobody:
    """A source that nobody waits behind: the commit itself is waited for."""

    def acknowledge(self, tokens: Sequence[int], verdicts: Sequence[DeliveryVerdict] = ()) -> None:
        pass

    def charge(self, cost: int) -> None:
        pass

    def resume(self) -> None:
        pass


class Release:
    """Replays rows of the quarantine."""

    def __init__(
        self,
        pipeline: Pipeline,
        chores: Chores,
        reader: LogReader,
        *,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._pipeline = pipeline
        self._chores = chores
        self._reader = reader
        self._clock_us = clock_us

    async def release(self, no: int) -> dict[str, Any]:
        """Try row ``no`` again: stored and taken out of the quarantine in one commit, or left where it is.

        Returns ``number``, ``outcome`` ("released" or "rejected") and, when rejected, ``reason`` and ``field``.
        Raises NotFoundError when there is no such row, UnavailableError when the service stops meanwhile.
        """
        row = self._reader.rejected_get(no)
        if row is None:
            raise NotFoundError(f"there is no rejected event {no}", hint="healthsync rejected list")
        self._not_under_way(row)
        if not row.raw or row.truncated or row.form not in FORMATS:
            # Not kept, or not all of it (no consent, or too long), or in a format that was taken away since.
            return {"number": no, "outcome": "rejected", "reason": row.reason, "field": row.field}
        told = self._told(row)
        decoded = await self._decoded(row, told)
        if decoded.rejections:
            first = decoded.rejections[0]
            return {"number": no, "outcome": "rejected", "reason": first.reason.value, "field": first.field}
        self._not_under_way(row)
        if self._told(row).state != told.state:
            raise UnavailableError("a message of this app was stored meanwhile", hint=_AGAIN)
        decoded, kept = self._pipeline.folds.settled(_origin(row), row.form, decoded)
        await self._store([(row, decoded)], kept)
        return {"number": no, "outcome": "released"}

    def _not_under_way(self, row: RejectedRow) -> None:
        """What a format remembers has one hand on it at a time."""
        if self._pipeline.folds.waits(_delivery(row)):
            raise UnavailableError("a message of this app is being stored", hint=_AGAIN)

    async def take_due(self) -> None:
        """Take what is held and due, some thousands of it: stored, or refused again for the reason that it has now."""
        taken = 0
        for _ in range(_COMMITS):
            if not (rows := self._due()):
                break
            good: list[tuple[RejectedRow, Decoded]] = []
            bad: dict[int, int | None] = {}
            for row in rows:
                decoded = await self._decoded(row, self._told(row))
                if decoded.rejections:
                    bad[row.no] = decoded.rejections[0].due_us
                else:
                    good.append((row, decoded))
            await self._store(good)
            await self._hold(bad)
            taken += len(good)
        if taken:
            log.info("bridge.held_events_taken", events=taken)

    def _due(self) -> list[RejectedRow]:
        rows: list[RejectedRow] = []
        held = 0
        for no in self._reader.rejected_due(self._clock_us(), _AT_ONCE):
            row = self._reader.rejected_get(no)
            if row is not None:
                rows.append(row)
                held += len(row.raw)
            if held >= _BYTES_AT_ONCE:
                break
        return rows

    def _told(self, row: RejectedRow) -> Told:
        return self._pipeline.folds.told(_origin(row), row.form, row.received_us)

    async def _decoded(self, row: RejectedRow, told: Told) -> Decoded:
        now_us, limits = self._clock_us(), self._pipeline.limits_of(row.form, told)
        read = partial(decode, row.raw, _origin(row), now_us, limits, form=FORMATS[row.form], told=told)
        quick = len(row.raw) <= QUICK and row.form == OWN_FORM  # no format says how long it takes
        decoded = read() if quick else await asyncio.to_thread(lambda: self._resolved(row, read()))
        return self._pipeline.gate.screen(decoded, row.user, now_us)

    def _resolved(self, row: RejectedRow, decoded: Decoded) -> Decoded:
        return self._pipeline.folds.resolved(_origin(row), row.form, decoded)

    async def _hold(self, bad: Mapping[int, int | None]) -> None:
        """What is refused again: held on where only the clock is against it, else an admin finds it as it was."""
        if not bad:
            return
        now_us = self._clock_us()

        def write(journal: Journal) -> None:
            for no, due_us in bad.items():
                journal.hold_rejected(no, due_us, now_us)

        await self._chores.durable(write)

    async def _store(self, good: Sequence[tuple[RejectedRow, Decoded]], kept: Chore | None = None) -> None:
        """Store each of them, and take it out of the quarantine, in one commit that does ``kept`` as well."""
        if not good:
            return
        stored, left = self._chores.promise(), len(good)

        def done() -> None:
            nonlocal left
            left -= 1
            if not left and not stored.done():
                stored.set_result(None)

        for row, decoded in good:
            chore = Chore(partial(_discard, row.no), done)
            self._pipeline.store(_delivery(row), decoded, chore if kept is None else kept.and_then(chore))
        await stored


def _discard(no: int, journal: Journal) -> None:
    journal.discard_rejected(no)


def _delivery(row: RejectedRow) -> Delivery:
    return Delivery(_Nobody(), 0, _origin(row), row.raw, form=row.form, kept=True)


def _origin(row: RejectedRow) -> Origin:
    return Origin(row.user, row.device, row.provider, row.topic)
