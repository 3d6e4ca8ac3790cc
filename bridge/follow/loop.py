"""The one loop of everything that follows the log: steps while there are any, then waits to be woken."""

import asyncio
from collections.abc import Callable
from typing import Final

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.outage import Outage

log = get_logger("bridge")

_AGAIN_S: Final = 1.0


class CursorLoop:
    """``step`` takes the next events on; it returns False when there are none, or when nobody takes more now."""

    def __init__(self, step: Callable[[], bool]) -> None:
        self._step = step
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """The log has grown, or there is room again."""
        self._wake.set()

    async def run(self) -> None:
        """Follow for ever; everything else on the loop has its turn after each step.

        A log that cannot be read for now, as one on a server that is away, is an outage: the step is tried again.
        """
        loop, outage = asyncio.get_running_loop(), Outage(log, "bridge.log")
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._step():  # noqa: ASYNC110
                    await asyncio.sleep(0)  # the others' turn; there is nothing to wait for
            except StoreError as error:
                if not error.retryable:
                    raise
                outage.failed(loop.time(), error=str(error), hint=error.hint)
                self._wake.set()
                await asyncio.sleep(_AGAIN_S)
            else:
                outage.worked(loop.time())
