"""The adapters' worker beside the service: its process runs once there is a link, and again when it ends."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bridge.own_process import own_process
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("adapters")

_LOOK_S: Final = 1.0
_FIRST_WAIT_S: Final = 0.2
_MOST_WAIT_S: Final = 30.0
_STEADY_S: Final = 30.0
_SILENCE_S: Final = 60.0
"""A process that works says so every second; one that does not is killed."""
_STOP_S: Final = 2.0
_MODULE: Final = "healthsync_mqtt.adapters"


class AdapterProcess:
    """The worker of one data directory. ``run`` is a task of the service; it ends the process when it is cancelled."""

    def __init__(
        self,
        data: Path,
        links: Path,
        *,
        prepare: Callable[[], object],
        command: tuple[str, ...] = (sys.executable, "-m", _MODULE),
        silence_s: float = _SILENCE_S,
    ) -> None:
        """``links`` is the file that the first link makes; ``prepare`` comes before each run of the process."""
        self._data = data
        self._links = links
        self._prepare = prepare
        self._command = command
        self._silence_s = silence_s
        self.restarts = 0
        self.status: dict[str, Any] = {}

    async def run(self, broker: str) -> None:
        """Keep its process running once there is a link, for ever."""
        loop = asyncio.get_running_loop()
        while not self._links.exists():  # noqa: ASYNC110  # a command of another process makes it
            await asyncio.sleep(_LOOK_S)
        wait = _FIRST_WAIT_S
        while True:
            started = loop.time()
            try:
                code = await self._run_once(broker)
            except (OSError, ValueError) as error:  # no process to be had, or it talks nonsense
                log.error("adapters.process_failed", error=error)  # noqa: TRY400  # no traceback
                code = -1
            self.restarts += 1
            wait = _FIRST_WAIT_S if loop.time() - started > _STEADY_S else wait
            log.warning("adapters.process_ended", code=code, again_in_s=wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _MOST_WAIT_S)

    async def _run_once(self, broker: str) -> int:
        await asyncio.to_thread(self._prepare)
        command = (*self._command, "--data", str(self._data), "--broker", broker)
        async with own_process(*command, stop_s=_STOP_S) as process:
            assert process.stdout
            while line := await self._listen(process, process.stdout):
                said = json.loads(line)
                if not isinstance(said, dict):
                    raise ValueError("it says what no worker says")  # noqa: TRY004  # caught with what is no JSON
                self.status = said.get("status", {})
            return await process.wait()

    async def _listen(self, process: asyncio.subprocess.Process, stdout: asyncio.StreamReader) -> bytes:
        """Its next line; empty at its end, which is brought about when it is silent too long."""
        try:
            async with asyncio.timeout(self._silence_s):
                return await stdout.readline()
        except TimeoutError:
            log.warning("adapters.process_hangs", silent_s=self._silence_s)
            process.kill()
            return b""
