"""Brokers in Java, fetched by Maven into its own store: HiveMQ CE, Moquette and Artemis, on free ports of loopback.

Where there is no Maven or Java their tests are skipped with that reason. Where Maven is there and the jars cannot be
had, they are skipped too, and in CI they fail: then it is the network or a version that went away.
"""

import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

import pytest

from healthsync_mqtt.broker.external.hook_server import SECRET_CREDENTIAL
from healthsync_mqtt.broker.external.identities import own_principals
from healthsync_mqtt.mqtt.links.port import Address
from tests.support import child
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port

FOLDER = Path(__file__).parent / "java"
#: A virtual machine that lives for seconds: what it compiles well takes more of the processor than it gives back.
JAVA = ("java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
HEALTHSYNC = [sys.executable, "-c", "import sys; from healthsync_mqtt.cli.main import main; sys.exit(main())"]


@functools.cache
def class_path(profile: str) -> str:
    """The jars of one broker; skips (or, in CI, fails) without them."""
    if shutil.which("mvn") is None or shutil.which("java") is None:
        pytest.skip("mvn and java are not installed (Debian: apt install maven default-jdk-headless)")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "classpath"
        command = ["mvn", "-q", "-B", "-f", str(FOLDER / "pom.xml"), "-P", profile]
        goal = ["dependency:build-classpath", f"-Dmdep.outputFile={out}"]
        for how in (["-o"], []):
            done = subprocess.run([*command, *how, *goal], capture_output=True, text=True, check=False, timeout=300)
            if done.returncode == 0:
                return out.read_text().strip()
    missing = f"Maven has no {profile}: {done.stdout[-300:]}"
    if os.environ.get("CI", "").lower() not in {"", "0", "false"}:
        pytest.fail(missing)
    pytest.skip(missing)


class JavaBroker(Mosquitto):
    """A broker and the data directory of its bridge, without TLS. ``ruled``: the access hooks decide."""

    def __init__(self, root: Path, name: str, *, ruled: bool, **external: Any) -> None:
        self.jars = class_path(name.lower())
        super().__init__(root, host="127.0.0.1", tls=False, **external)
        self._name = name
        self._ruled = ruled
        self.hooks_port = free_port()
        self.hooks: subprocess.Popen[str] | None = None
        for client_id in own_principals([self.settings.bridge.id]):
            self.store.ensure(client_id)

    @property
    def address(self) -> Address:
        return Address(host="127.0.0.1", port=self.port)

    def start(self) -> Self:
        url = []
        if self._ruled:
            self.start_hooks()
            url = [f"http://127.0.0.1:{self.hooks_port}/{self.store.need(SECRET_CREDENTIAL, '')}"]
        folder = self.root / self._name
        folder.mkdir(exist_ok=True)
        source = FOLDER / f"{self._name}.java"
        command = [*JAVA, "-cp", self.jars, str(source), str(self.port), str(folder), *url]
        with (self.root / "java.log").open("ab") as log:
            self.process = child.start(command, stdout=log, stderr=log)
        self.wait_listening()
        return self

    def start_hooks(self) -> None:
        """Run ``healthsync auth serve``."""
        command = [*HEALTHSYNC, "auth", "serve", "--data", str(self.data), "--port", str(self.hooks_port), "--json"]
        with (self.root / "hooks.log").open("ab") as log:
            self.hooks = child.start(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.hooks.stdout
        with self.hooks.stdout as ready:  # it says this one line
            assert ready.readline(), (self.root / "hooks.log").read_text()[-2000:]

    def end(self, number: int = signal.SIGTERM) -> None:
        super().end(number)
        child.end(self.hooks, signal.SIGTERM)

    def log(self) -> str:
        return (self.root / "java.log").read_text(errors="replace")[-4000:]
