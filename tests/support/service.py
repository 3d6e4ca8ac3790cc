"""The service as a user starts it: a subprocess on free ports of the loopback address, told apart by its ready line."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.support import child, zygote
from tests.support.patience import PATIENCE_S

HEALTHSYNC = zygote.PROGRAM
Address = tuple[str, int]


class NotReadyError(Exception):
    """The service ended or stayed silent before its ready line; the message carries the end of its log."""


def run_cli(data: Path, *arguments: str, check: bool = True, timeout: float = PATIENCE_S) -> list[Any]:
    """The JSON lines a command prints; raises CalledProcessError when it fails and ``check`` is set."""
    done = subprocess.run(
        [*HEALTHSYNC, *arguments, "--json"],
        env=os.environ | {"HEALTHSYNC_DATA": str(data)},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if check and done.returncode:
        message = f"healthsync {' '.join(arguments)} exited with {done.returncode}: {done.stderr.strip()[-2000:]}"
        raise AssertionError(message)
    return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]


def address(text: str) -> Address:
    """``127.0.0.1:1883`` → ``("127.0.0.1", 1883)``."""
    host, _, port = text.rpartition(":")
    return host, int(port)


class Service:
    """One run of ``healthsync up``. Use as a context manager: what was started is stopped."""

    def __init__(
        self,
        data: Path,
        *options: str,
        env: Mapping[str, str] | None = None,
        wrapper: Sequence[str] = (),
        file_limit: int | None = None,
    ) -> None:
        self.data = data
        self.log_path = data.with_name(f"{data.name}.log")
        ports = ("--mqtt-port", "0", "--mqtts-port", "0", "--wss-port", "0")
        self._command = [*wrapper, *HEALTHSYNC, "up", "--data", str(data), *ports, "--json", *options]
        self._env = os.environ | dict(env or {})
        self._file_limit = file_limit
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.process: subprocess.Popen[str] | None = None
        self.ready: dict[str, Any] = {}
        self.started_in = 0.0

    def start(self, *more: str, wait: bool = True) -> Self:
        """Start it, this time with ``more`` options, and with ``wait`` return when the ready line has come."""
        began = time.perf_counter()
        log = self.log_path.open("ab")
        with log:
            self.process = child.start(
                [*self._command, *more],
                env=self._env,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                preexec_fn=self._limit_files if self._file_limit else None,
            )
        self._lines = queue.Queue()
        threading.Thread(target=self._read, args=(self.process, self._lines), daemon=True).start()
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                self.kill()
                raise
            self.started_in = time.perf_counter() - began
        return self

    def _limit_files(self) -> None:
        import resource

        assert self._file_limit
        # The soft limit only, so that it can be lifted while the service runs.
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._file_limit, hard))

    @staticmethod
    def _read(process: subprocess.Popen[str], lines: "queue.Queue[str | None]") -> None:
        assert process.stdout
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    def wait_ready(self, within: float = PATIENCE_S) -> None:
        """Return at the ready line; raise NotReadyError at the end of the process or of the time."""
        until = time.monotonic() + within
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise NotReadyError(f"no ready line within {within} s\n{self.log_tail()}") from None
            if line is None:
                self._lines.put(None)  # for whoever waits for the end
                raise NotReadyError(f"the service ended before it was ready\n{self.log_tail()}")
            message = json.loads(line)
            if message.get("event") == "ready":
                self.ready = message
                return

    def log_tail(self, size: int = 3000) -> str:
        """The end of what the service wrote on stderr."""
        with contextlib.suppress(FileNotFoundError):
            return self.log_path.read_text(errors="replace")[-size:]
        return ""

    @property
    def mqtt(self) -> Address:
        return address(self.ready["mqtt"])

    @property
    def mqtts(self) -> Address:
        return address(self.ready["mqtts"])

    @property
    def wss(self) -> Address:
        return address(self.ready["wss"])

    @property
    def ca_file(self) -> Path:
        return Path(self.ready["ca_file"])

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, signal_number: int) -> None:
        if self.running:
            os.kill(self.pid, signal_number)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self.send(signal.SIGKILL)
        self._end(PATIENCE_S)

    def stop(self, within: float = PATIENCE_S) -> int:
        """SIGINT as Ctrl-C sends it; the exit code."""
        self.send(signal.SIGCONT)
        self.send(signal.SIGINT)
        return self._end(within)

    def _end(self, within: float) -> int:
        assert self.process
        try:
            return self.process.wait(within)
        except BaseException:
            self.process.kill()
            self.process.wait(10)
            raise
        finally:
            if self.process.stdout and not self.process.stdout.closed:
                # The reader thread ends at end of file; closing under it would be a race.
                with contextlib.suppress(queue.Empty):
                    while self._lines.get(timeout=5) is not None:
                        pass
                self.process.stdout.close()

    def cli(self, *arguments: str, check: bool = True) -> list[Any]:
        """Run another command on the same data directory."""
        return run_cli(self.data, *arguments, check=check)

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(self, *_: object) -> None:
        if self.process and self.process.stdout and not self.process.stdout.closed:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                sys.stderr.write(f"the service did not stop in time\n{self.log_tail()}\n")
                raise


@contextlib.contextmanager
def running(data: Path, *options: str) -> Iterator[Service]:
    """A service on ``data`` for the length of a ``with``."""
    with Service(data, *options) as service:
        yield service
