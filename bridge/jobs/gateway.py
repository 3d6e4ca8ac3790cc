"""The HTTP gateway beside the service: its sockets are opened here, its process is kept running.

The sockets outlast the process: one that ends, or is killed because it hangs, is followed by another on the same port,
and whoever connects meanwhile waits. Nothing of the data path waits for it.
"""

import asyncio
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bridge.own_process import own_process
from healthsync_mqtt.broker.embedded.listeners import Bound, listening_on
from healthsync_mqtt.config.sections import GatewaySettings, addresses
from healthsync_mqtt.telemetry.log import get_logger

if TYPE_CHECKING:
    import socket

log = get_logger("gateway")

_FIRST_WAIT_S: Final = 0.2
_MOST_WAIT_S: Final = 30.0
_STEADY_S: Final = 30.0
_SILENCE_S: Final = 30.0
"""A process that works says its status every second; one that does not is killed."""
_STOP_S: Final = 2.0
_WITHIN_S: Final = 20.0
_MODULE: Final = "healthsync_mqtt.gateway"


class GatewayState(StrEnum):
    """Where the process is."""

    #: it was started, and does not serve yet
    starting = "starting"
    running = "running"
    #: it ended, and is started again soon
    failed = "failed"
    stopped = "stopped"


class GatewayProcess:
    """The gateway of one data directory. ``run`` is a task of the service; it ends the process when it is cancelled."""

    def __init__(
        self,
        data: Path,
        settings: GatewaySettings,
        *,
        command: tuple[str, ...] = (sys.executable, "-m", _MODULE),
        silence_s: float = _SILENCE_S,
    ) -> None:
        self._data = data
        self._settings = settings
        self._command = command
        self._silence_s = silence_s
        self._sockets: dict[socket.socket, Bound] = {}
        self._serves = asyncio.Event()
        self._status: dict[str, Any] = {}
        self.state = GatewayState.stopped
        self.restarts = 0

    async def open(self) -> list[Bound]:
        """Open its port; where it is bound. OSError for one that is taken."""
        self._sockets = await listening_on(addresses(self._settings.host), self._settings.port or 0)
        return list(self._sockets.values())

    def url(self, bound: Bound) -> str:
        """How it is reached."""
        return f"{'https' if self._settings.tls else 'http'}://{bound}"

    def report(self) -> dict[str, Any]:
        """Its state, and what it last said of itself."""
        return {"state": self.state.value, "restarts": self.restarts, **self._status}

    async def served(self, within_s: float = _WITHIN_S) -> bool:
        """Wait until it serves; False: it does not yet."""
        try:
            async with asyncio.timeout(within_s):
                await self._serves.wait()
        except TimeoutError:
            log.warning("gateway.slow_start", seconds=within_s)
            return False
        return True

    async def run(self, broker: str) -> None:
        """Keep its process running, for ever. ``broker`` is where it publishes: "127.0.0.1:1883"."""
        loop = asyncio.get_running_loop()
        wait = _FIRST_WAIT_S
        try:
            while True:
                started = loop.time()
                self.state = GatewayState.starting
                try:
                    code = await self._run_once(broker)
                except (OSError, ValueError) as error:  # no process to be had, or it talks nonsense
                    log.error("gateway.process_failed", error=error)  # noqa: TRY400  # no traceback
                    code = -1
                self.state, self._status = GatewayState.failed, {}
                self.restarts += 1
                wait = _FIRST_WAIT_S if loop.time() - started > _STEADY_S else wait
                log.warning("gateway.process_ended", code=code, again_in_s=wait)
                await asyncio.sleep(wait)
                wait = min(wait * 2, _MOST_WAIT_S)
        finally:
            self.state = GatewayState.stopped

    def close(self) -> None:
        """Give the port back. Idempotent."""
        for listening in self._sockets:
            listening.close()
        self._sockets.clear()

    async def _run_once(self, broker: str) -> int:
        """One run of the process; its exit code."""
        numbers = [each.fileno() for each in self._sockets]
        words = [word for number in numbers for word in ("--fd", str(number))]
        command = (*self._command, "--data", str(self._data), "--broker", broker, *words)
        async with own_process(*command, stop_s=_STOP_S, pass_fds=numbers) as process:
            assert process.stdout
            while line := await self._listen(process, process.stdout):
                self._heard(json.loads(line))
            return await process.wait()

    async def _listen(self, process: asyncio.subprocess.Process, stdout: asyncio.StreamReader) -> bytes:
        """Its next line; empty at its end, which is brought about when it is silent too long."""
        try:
            async with asyncio.timeout(self._silence_s):
                return await stdout.readline()
        except TimeoutError:
            log.warning("gateway.process_hangs", silent_s=self._silence_s)
            process.kill()
            return b""

    def _heard(self, message: Any) -> None:
        if not isinstance(message, dict):
            raise ValueError("it says what no gateway says")  # noqa: TRY004  # caught with what is no JSON
        if message.get("listening"):
            self.state = GatewayState.running
            self._serves.set()
        if isinstance(status := message.get("status"), dict):
            self._status = status
