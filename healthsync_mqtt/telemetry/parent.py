"""The service that started this process: what it is told, and how a process ends with it.

``bridge.own_process`` is the other end: it reads JSON objects from stdout, and closes stdin when its interest ends.
"""

import contextlib
import json
import os
import sys
import threading
from typing import Any, Final

UNHURRIED: Final = 15
"""By so much whoever nobody waits for gives way, from before it imports anything."""


def tell(message: dict[str, Any]) -> None:
    """Say something to the service."""
    with contextlib.suppress(OSError):  # nobody listens: stdin ends, too
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


async def end_of_stdin() -> None:
    """Return when the service is gone."""
    import asyncio  # noqa: PLC0415  # most of those that use this module have no loop

    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        pass


def end_with_parent() -> None:
    """From now on this process ends at once when the service is gone, whatever it is at."""
    threading.Thread(target=_until_gone, daemon=True).start()


def give_way(nice: int) -> None:
    """The data path goes first."""
    with contextlib.suppress(OSError):
        os.nice(nice)


def _until_gone() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)
