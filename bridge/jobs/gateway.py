"""The HTTP gateway beside the service: its sockets are opened here, its process is kept running.

The sockets outlast the process: one that ends, or is killed because it hangs, is followed by another on the same port,
and whoever connects meanwhile waits. Nothing of the data path waits for it.
"""

import asyncio
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bridge.own_process import KeptProcess
from healthsync_mqtt.broker.embedded.listeners import Bound, listening_on
from healthsync_mqtt.config.sections import GatewaySettings, addresses
from healthsync_mqtt.telemetry.log import get_logger

if TYPE_CHECKING:
    import socket

log = get_logger("gateway")

_SILENCE_S: Final = 30.0
"""A process that works says its status every second; one that does not is killed."""
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
        self._kept = KeptProcess("gateway", silence_s=silence_s)
        self._sockets: dict[socket.socket, Bound] = {}
        self._serves = asyncio.Event()
        self._status: dict[str, Any] = {}
        self.state = GatewayState.stopped

    async def open(self) -> list[Bound]:
        """Open its port; where it is bound. OSError for one that is taken."""
        self._sockets = await listening_on(addresses(self._settings.host), self._settings.port or 0)
        return list(self._sockets.values())

    def url(self, bound: Bound) -> str:
        """How it is reached."""
        return f"{'https' if self._settings.tls else 'http'}://{bound}"

    def report(self) -> dict[str, Any]:
        """Its state, and what it last said of itself."""
        return {"state": self.state.value, "restarts": self._kept.restarts, **self._status}

    async def served(self, within_s: float = _WITHIN_S) -> bool:
        """Wait until it serves; False: it does not yet."""
        try:
            async with asyncio.timeout(within_s):
                await self._serves.wait()
        except TimeoutError:
            log.warning("gateway.slow_start", seconds=within_s)
            return False
        return True

    async def run(self, broker: str | None) -> None:
        """Keep its process running, for ever. ``broker`` is where it publishes: "127.0.0.1:1883".

        None: on the external broker of the settings.
        """
        numbers = [each.fileno() for each in self._sockets]
        words = [word for number in numbers for word in ("--fd", str(number))]
        where = () if broker is None else ("--broker", broker)
        command = (*self._command, "--data", str(self._data), *where, *words)

        async def starting() -> tuple[str, ...]:
            self.state = GatewayState.starting
            return command

        try:
            await self._kept.run(starting, self._heard, self._ended, pass_fds=numbers)
        finally:
            self.state = GatewayState.stopped

    def close(self) -> None:
        """Give the port back. Idempotent."""
        for listening in self._sockets:
            listening.close()
        self._sockets.clear()

    def _ended(self) -> None:
        self.state, self._status = GatewayState.failed, {}

    def _heard(self, message: dict[str, Any]) -> None:
        if message.get("listening"):
            self.state = GatewayState.running
            self._serves.set()
        if isinstance(status := message.get("status"), dict):
            self._status = status
