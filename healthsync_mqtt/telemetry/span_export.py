"""Spans to a collector of OpenTelemetry, over OTLP/HTTP: many at once, beside the loop, and never waited for.

What waits is bounded: a collector that is away or slow costs spans, which are counted, and nothing else.
"""

import asyncio
import contextlib
import http.client
import json
import ssl
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.outage import Outage
from healthsync_mqtt.telemetry.spans import SpanData, encoded

log = get_logger("tracing")

MOST_WAITING: Final = 2_048
"""Spans that wait for the collector."""
AT_ONCE: Final = 512
EVERY_S: Final = 1.0
_MOST_PAUSE_S: Final = 30.0
_WITHIN_S: Final = 5.0
_LAST_S: Final = 1.0
"""Seconds that the end of the process gives what is left."""
_MOST_ANSWER: Final = 65_536
_AGAIN: Final = frozenset({429, 502, 503, 504})
"""Statuses after which OTLP sends the same again."""


class _AwayError(Exception):
    """Nothing was taken; the same may be sent again."""


@dataclass(frozen=True, slots=True)
class Collector:
    """Where spans go: the whole URL of ``POST /v1/traces``."""

    endpoint: str
    service: str
    version: str
    within_s: float = _WITHIN_S

    def send(self, spans: Sequence[SpanData]) -> int:
        """How many of them it refused. Blocks; _AwayError."""
        there = urlsplit(self.endpoint)
        assert there.hostname is not None
        connection: http.client.HTTPConnection
        if there.scheme == "https":
            connection = http.client.HTTPSConnection(
                there.hostname, there.port, timeout=self.within_s, context=ssl.create_default_context()
            )
        else:
            connection = http.client.HTTPConnection(there.hostname, there.port, timeout=self.within_s)
        body = encoded(spans, self.service, self.version)
        try:
            connection.request("POST", there.path or "/v1/traces", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read(_MOST_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise _AwayError(str(error) or type(error).__name__) from None
        finally:
            connection.close()
        if answer.status in _AGAIN:
            raise _AwayError(f"it answers {answer.status}")
        return _refused(said, len(spans)) if answer.status == 200 else len(spans)


def _refused(said: bytes, sent: int) -> int:
    """What a partial success leaves out; an answer that says nothing of it took everything."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        return min(sent, max(0, int(json.loads(said or b"{}").get("partialSuccess", {}).get("rejectedSpans", 0))))
    return 0


class SpanExport:
    """Takes spans and sends them. ``run`` is a task of the process, ``close`` its end."""

    def __init__(self, collector: Collector, *, most: int = MOST_WAITING, every_s: float = EVERY_S) -> None:
        self._collector = collector
        self._most = most
        self._every_s = every_s
        self._waiting: deque[SpanData] = deque()
        self._outage = Outage(log, "tracing.collector")
        #: taken by the collector
        self.exported = 0
        #: neither kept nor taken
        self.dropped = 0

    def add(self, span: SpanData) -> None:
        """Send it soon, if there is room for it."""
        if len(self._waiting) >= self._most:
            self.dropped += 1
        else:
            self._waiting.append(span)

    def told(self) -> dict[str, int]:
        """As values of JSON."""
        return {"exported": self.exported, "dropped": self.dropped}

    async def run(self) -> None:
        """Send what comes, for ever; later each time while the collector is away."""
        pause_s = self._every_s
        while True:
            await asyncio.sleep(pause_s)
            pause_s = self._every_s if await self._sent() else min(pause_s * 2, _MOST_PAUSE_S)

    async def close(self) -> None:
        """Send what is left, as far as that is quick."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_S):
                await self._sent()
        self.dropped += len(self._waiting)
        self._waiting.clear()

    async def _sent(self) -> bool:
        """Send until nothing waits; False: the collector is away."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            try:
                refused = await self._asked(some)
            except asyncio.CancelledError:
                self.dropped += len(some)  # or they are taken, and nobody hears of it
                raise
            except _AwayError as error:
                self._outage.failed(loop.time(), error=str(error), hint="is tracing.endpoint an OTLP/HTTP receiver?")
                self._keep(some)
                return False
            self._outage.worked(loop.time())
            self.exported += len(some) - refused
            self.dropped += refused
        return True

    async def _asked(self, some: Sequence[SpanData]) -> int:
        """``send`` in a thread that the end of the process does not wait for."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[int] = loop.create_future()

        def tell(refused: int, away: _AwayError | None) -> None:
            if away is not None and not answer.done():
                answer.set_exception(away)
            elif not answer.done():
                answer.set_result(refused)

        def ask() -> None:
            refused, away = 0, None
            try:
                refused = self._collector.send(some)
            except _AwayError as error:
                away = error
            with contextlib.suppress(RuntimeError):  # the loop is over
                loop.call_soon_threadsafe(tell, refused, away)

        threading.Thread(target=ask, name="spans", daemon=True).start()
        return await answer

    def _keep(self, some: Sequence[SpanData]) -> None:
        """What was not taken waits again before the rest, as far as there is room."""
        room = max(0, self._most - len(self._waiting))
        self.dropped += len(some) - min(room, len(some))
        self._waiting.extendleft(reversed(some[:room]))
