"""A process of the service's own, from its start to its end: it never outlives the block that wanted it."""

import asyncio
import contextlib
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from typing import Any


@contextlib.asynccontextmanager
async def own_process(*command: str, stop_s: float, **options: Any) -> AsyncIterator[Process]:
    """Start a program that ends when its stdin does; stdin and stdout are pipes.

    When the block ends the process has ``stop_s`` seconds to do so too, and is killed then, whoever is impatient
    meanwhile. Ctrl-C is for the service, which then ends its own. OSError where it cannot be started.
    """
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, start_new_session=True, **options)
    try:
        yield process
    finally:
        await _ended(process, stop_s)


async def _ended(process: Process, stop_s: float) -> None:
    assert process.stdin
    process.stdin.close()
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(stop_s):
                await process.wait()
    finally:
        try:
            # Cancelled again while it waits, nobody would come back to a process that is stopped.
            if process.returncode is None:
                process.kill()
                await process.wait()
        finally:
            # asyncio closes it at the end of the pipe, which a loop that ends first never reads.
            process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001  # no public way
