"""The service that started this process: what it is told, and how a process ends with it.

``bridge.own_process`` is the other end: it reads JSON objects from stdout, and closes stdin when its interest ends. A
service that is stopped (SIGSTOP) closes nothing: who must not work on then is told again and again that it is there.
"""

import contextlib
import json
import os
import select
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


def end_with_parent(*, silence_s: float | None = None) -> None:
    """From now on this process ends at once when the service is gone, whatever it is at.

    ``silence_s``: also when a service that has said something says nothing for so long.
    """
    threading.Thread(target=_until_gone, args=(silence_s,), daemon=True).start()


def give_way(nice: int) -> None:
    """The data path goes first."""
    with contextlib.suppress(OSError):
        os.nice(nice)


def _until_gone(silence_s: float | None) -> None:
    within_s = None
    while select.select([0], [], [], within_s)[0] and os.read(0, 4096):
        within_s = silence_s
    os._exit(0)
