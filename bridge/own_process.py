"""A process of the service's own, from its start to its end: it never outlives the block that wanted it."""

import asyncio
import contextlib
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, NoReturn

from healthsync_mqtt.telemetry.log import get_logger

_FIRST_WAIT_S: Final = 0.2
_MOST_WAIT_S: Final = 30.0
_STEADY_S: Final = 30.0
_STOP_S: Final = 2.0
_MOST_START_S: Final = 600.0


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


class KeptProcess:
    """A program that is started again whenever it ends: at once after it was steady, else later each time.

    It says JSON objects on stdout, one a line. One that says nothing for ``silence_s`` hangs, and is killed. One that
    has said nothing yet may only be slow, on a machine that is: the next has twice the time until its first word.
    """

    def __init__(self, part: str, *, silence_s: float) -> None:
        """``part`` is whose process it is: "gateway"."""
        self._part = part
        self._log = get_logger(part)
        self._silence_s = silence_s
        #: the same until the first word
        self._start_s = silence_s
        #: how often it has ended
        self.restarts = 0

    async def run(
        self,
        command: Callable[[], Awaitable[tuple[str, ...]]],
        heard: Callable[[dict[str, Any]], None],
        ended: Callable[[], None],
        **options: Any,
    ) -> NoReturn:
        """Keep it running, for ever; it ends when this is cancelled. ``command`` is asked before each start."""
        loop = asyncio.get_running_loop()
        wait = _FIRST_WAIT_S
        while True:
            started = loop.time()
            try:
                code = await self._run_once(await command(), heard, options)
            except (OSError, ValueError) as error:  # no process to be had, or it talks nonsense
                self._log.error(f"{self._part}.process_failed", error=error)  # no traceback
                code = -1
            ended()
            self.restarts += 1
            wait = _FIRST_WAIT_S if loop.time() - started > _STEADY_S else wait
            self._log.warning(f"{self._part}.process_ended", code=code, again_in_s=wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _MOST_WAIT_S)

    async def _run_once(
        self, command: tuple[str, ...], heard: Callable[[dict[str, Any]], None], options: dict[str, Any]
    ) -> int:
        async with own_process(*command, stop_s=_STOP_S, **options) as process:
            first = True
            while line := await self._next_line(process, first=first):
                first = False
                said = json.loads(line)
                if not isinstance(said, dict):
                    raise ValueError("it says what is no object")  # noqa: TRY004  # caught with what is no JSON
                heard(said)
            return await process.wait()

    async def _next_line(self, process: Process, *, first: bool) -> bytes:
        """Empty at the end of its stdout, which is brought about when it is silent too long."""
        assert process.stdout
        within_s = self._start_s if first else self._silence_s
        try:
            async with asyncio.timeout(within_s):
                return await process.stdout.readline()
        except TimeoutError:
            self._log.warning(f"{self._part}.process_hangs", silent_s=within_s)
            if first:
                self._start_s = min(2 * self._start_s, max(_MOST_START_S, self._silence_s))
            process.kill()
            return b""
