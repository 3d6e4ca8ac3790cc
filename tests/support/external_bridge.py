"""``python -m bridge`` as a process, and a TCP proxy that breaks connections between it and its broker."""

import asyncio
import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from enum import Enum, auto
from pathlib import Path
from typing import Self

from tests.support import child
from tests.support.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
_HUNG_S = 900
_COMMAND = ("-c", "import sys; from healthsync_mqtt.cli.main import main; sys.exit(main())", "bridge", "run")


class BridgeProcess:
    """One bridge on a data directory. Killed at the end of the ``with`` if it still runs."""

    def __init__(
        self, data: Path, *options: str, env: Mapping[str, str] | None = None, by_command: bool = False
    ) -> None:
        """``by_command``: ``healthsync bridge run``, which answers other commands."""
        self.data = data
        self._program = _COMMAND if by_command else ("-m", "bridge")
        self._env = os.environ | dict(env or {})
        self._options = options
        self.process: subprocess.Popen[str] | None = None
        self.log_path = data.with_name(f"{data.name}-bridge.log")

    def start(self, *more: str, wait: bool = True) -> Self:
        command = [sys.executable, *self._program, "--data", str(self.data), "--json", *self._options, *more]
        with self.log_path.open("ab") as log:
            self.process = child.start(command, cwd=ROOT, env=self._env, stdout=subprocess.PIPE, stderr=log, text=True)
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                child.end(self.process)
                raise
        return self

    def wait_ready(self, within: float = PATIENCE_S) -> None:
        assert self.process
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], within)
        assert ready, f"the bridge is not ready after {within} s\n{self.log()}"
        assert '"ready"' in self.process.stdout.readline(), f"the bridge ended\n{self.log()}"

    def wait_end(self) -> int:
        """Wait until it ends by itself; its exit code. What hangs is told apart from what is slow, by much."""
        assert self.process
        self.process.wait(_HUNG_S)
        return self.end()

    def send(self, number: int) -> None:
        assert self.process
        os.kill(self.process.pid, number)

    def end(self, number: int = signal.SIGTERM, within: float = PATIENCE_S) -> int:
        """Send a signal and wait for the end; its exit code."""
        code = child.end(self.process, number, within)
        assert code is not None
        return code

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")[-3000:]

    def __enter__(self) -> Self:
        return self if self.process else self.start()

    def __exit__(self, *_: object) -> None:
        child.end(self.process, signal.SIGTERM)


class Wire(Enum):
    """How a proxy treats its connections."""

    WHOLE = auto()
    #: 2 KiB every 20 ms
    SLOW = auto()
    #: open, and nothing passes
    SILENT = auto()


class Proxy:
    """A TCP proxy in this event loop."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.wire = Wire.WHOLE
        self.port = 0
        self.connections = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self._server.close()
        self.reset()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def reset(self) -> None:
        """Cut every connection with a RST."""
        for writer in self._writers:
            raw = writer.transport.get_extra_info("socket")
            if raw is not None:
                with contextlib.suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        for one in (writer, there_writer):
            self._writers.add(one)
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(2048 if self.wire is Wire.SLOW else 65536):
                while self.wire is Wire.SILENT:  # noqa: ASYNC110  # a test's proxy
                    await asyncio.sleep(0.02)
                if self.wire is Wire.SLOW:
                    await asyncio.sleep(0.02)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
