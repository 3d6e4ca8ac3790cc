"""Real servers from Debian's packages on free loopback ports: VictoriaMetrics, and InfluxDB 1.6 (``/write`` only)."""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support import child
from tests.support.patience import PATIENCE_S
from tests.support.ports import free_port


class RealServer:
    """A server process on its own directory; ``kill`` is SIGKILL, ``start`` starts it on the same port again."""

    program = ""
    ready_path = "/ping"

    def __init__(self, directory: Path) -> None:
        if shutil.which(self.program) is None:
            pytest.skip(f"{self.program} is not installed: scripts/test installs it where it can")
        self.directory = directory
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "server.log").open("ab") as log:
            self.process = child.start(self.command(), stdout=log, stderr=log)
        try:
            self._wait_ready(self.process)
        except BaseException:
            child.end(self.process)
            raise
        return self

    def _wait_ready(self, process: "subprocess.Popen[bytes]") -> None:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.get(self.ready_path)
            except OSError:
                if time.monotonic() > until or process.poll() is not None:
                    raise
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        child.end(self.process)

    def get(self, path: str, **query: str) -> bytes:
        target = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(target, timeout=PATIENCE_S) as response:
            content: bytes = response.read()
        return content

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()


class VictoriaMetrics(RealServer):
    """It keeps milliseconds and numbers only, and every copy of a sample unless told to keep one a millisecond."""

    program = "victoria-metrics"
    ready_path = "/health"

    def command(self) -> list[str]:
        return [
            self.program,
            f"-storageDataPath={self.directory / 'data'}",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            "-retentionPeriod=100y",
            "-dedup.minScrapeInterval=1ms",
            "-memory.allowedPercent=10",
        ]

    def samples(self, name: str) -> dict[tuple[str, int], float]:
        """All samples of ``measurement_field``: (subject, millisecond) → value."""
        self.get("/internal/force_flush")
        found: dict[tuple[str, int], float] = {}
        for line in self.get("/api/v1/export", **{"match[]": f'{{__name__="{name}"}}'}).splitlines():
            series = json.loads(line)
            for at, value in zip(series["timestamps"], series["values"], strict=True):
                found[series["metric"]["user"], at] = value
        return found


class Influxd(RealServer):
    """InfluxDB 1.6 with a database ``healthsync``."""

    program = "influxd"

    def command(self) -> list[str]:
        config = self.directory / "influxdb.conf"
        config.write_text(
            f"""reporting-disabled = true
bind-address = "127.0.0.1:{free_port()}"
[meta]
  dir = "{self.directory}/meta"
[data]
  dir = "{self.directory}/data"
  wal-dir = "{self.directory}/wal"
  index-version = "inmem"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{self.port}"
  log-enabled = false
"""
        )
        return [self.program, "-config", str(config)]

    def start(self) -> Self:
        super().start()
        self._post("CREATE DATABASE healthsync")
        return self

    def write(self, lines: str) -> None:
        with urllib.request.urlopen(f"{self.url}/write?db=healthsync", data=lines.encode(), timeout=PATIENCE_S):
            pass

    def _post(self, statement: str, **more: str) -> Any:
        data = urllib.parse.urlencode({"q": statement} | more).encode()
        with urllib.request.urlopen(f"{self.url}/query", data=data, timeout=PATIENCE_S) as response:
            return json.loads(response.read())

    def rows(self, statement: str) -> list[list[Any]]:
        """The rows of an InfluxQL query, of all its series, times in nanoseconds."""
        answer = json.loads(self.get("/query", db="healthsync", epoch="ns", q=statement))
        (result,) = answer["results"]
        if "error" in result:
            raise AssertionError(result["error"])
        return [row for series in result.get("series", ()) for row in series["values"]]
