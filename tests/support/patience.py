"""How long the tests wait for what has no event of its own.

The bound tells what hangs from what is slow, by much: a machine with other work on it may take twenty times as long,
and a wait whose condition holds ends at once whatever the bound is.
"""

import asyncio
import time
from collections.abc import Callable

PATIENCE_S = 120.0


def wait_until(holds: Callable[[], object], what: str = "what the test waits for") -> None:
    """Return when ``holds`` says yes; AssertionError with ``what`` when patience ends."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, f"did not happen within {PATIENCE_S:g} s: {what}"
        time.sleep(0.02)


async def until(holds: Callable[[], object], what: str = "what the test waits for") -> None:
    """As `wait_until`, while the loop goes on."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():  # noqa: ASYNC110  # no event says it
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"did not happen within {PATIENCE_S:g} s: {what}") from None
