"""What a caller hands over, and the call that waits for it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from healthsync_mqtt.client.exchange import Settled
from healthsync_mqtt.client.results import Rejected, Result, Results, Stored
from healthsync_mqtt.errors import HealthSyncError, InputError

MAX_EVENT = 900_000
_encode = msgspec.json.Encoder().encode


def encode_events(events: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> list[tuple[str, bytes]]:
    """(id, JSON) of each event. Times may be aware datetimes. Raises InputError naming the event that cannot be one."""
    listed = [events] if isinstance(events, Mapping) else list(events)
    rows: list[tuple[str, bytes]] = []
    for index, event in enumerate(listed):
        event_id = event.get("id") if isinstance(event, Mapping) else None
        if not isinstance(event_id, str) or not event_id:
            raise InputError(
                f"event {index} has no id",
                hint="give each event an id that is the same when it is handed over again, such as a UUID kept with it",
            )
        try:
            payload = _encode(event)
        except (TypeError, msgspec.MsgspecError, RecursionError) as error:
            raise InputError(f"event {index} ({event_id}) is not JSON: {error}") from None
        if len(payload) > MAX_EVENT:
            raise InputError(f"event {index} ({event_id}) has {len(payload)} bytes; the limit is {MAX_EVENT}")
        rows.append((event_id, payload))
    return rows


class Call:
    """One ``publish`` that waits for its results."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.keys: list[int] = []
        self._results: list[Result | None] = [None] * len(ids)
        self._open = len(ids)
        self._mixed_stored = 0
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not ids:
            self._done.set_result(None)

    def count(self, settled: Settled) -> None:
        """A receipt was about events of this call alone, so its counts are exact even where results are not."""
        if settled.stored and settled.duplicate:
            self._mixed_stored += settled.stored

    def settle(self, index: int, result: Result) -> None:
        """Event ``index`` has its result."""
        if self._results[index] is None:
            self._results[index] = result
            self._open -= 1
            if not self._open and not self._done.done():
                self._done.set_result(None)

    def fail(self, error: HealthSyncError) -> None:
        """No more results will come."""
        if not self._done.done():
            self._done.set_exception(error)
            self._done.exception()

    async def finished(self) -> Results:
        """All results; raises what ``fail`` was given."""
        await self._done
        results = [result for result in self._results if result is not None]
        rejected = sum(isinstance(result, Rejected) for result in results)
        stored = self._mixed_stored + sum(isinstance(result, Stored) for result in results)
        return Results(results, stored=stored, duplicate=len(results) - rejected - stored, rejected=rejected)
