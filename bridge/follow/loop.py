"""The one loop of everything that follows the log: steps while there are any, then waits to be woken."""

import asyncio
from collections.abc import Callable


class CursorLoop:
    """``step`` takes the next events on; it returns False when there are none, or when nobody takes more now."""

    def __init__(self, step: Callable[[], bool]) -> None:
        self._step = step
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """The log has grown, or there is room again."""
        self._wake.set()

    async def run(self) -> None:
        """Follow for ever; everything else on the loop has its turn after each step."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._step():  # noqa: ASYNC110
                await asyncio.sleep(0)  # the others' turn; there is nothing to wait for
