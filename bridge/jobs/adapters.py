"""The adapters' worker beside the service: its process runs once there is a link, and again when it ends."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bridge.own_process import KeptProcess

_LOOK_S: Final = 1.0
_SILENCE_S: Final = 60.0
"""A process that works says so every second; one that does not is killed."""
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
        self._kept = KeptProcess("adapters", silence_s=silence_s)

    async def run(self, broker: str) -> None:
        """Keep its process running once there is a link, for ever."""
        while not self._links.exists():  # noqa: ASYNC110  # a command of another process makes it
            await asyncio.sleep(_LOOK_S)

        async def prepared() -> tuple[str, ...]:
            await asyncio.to_thread(self._prepare)
            return (*self._command, "--data", str(self._data), "--broker", broker)

        await self._kept.run(prepared, lambda _said: None, lambda: None)
