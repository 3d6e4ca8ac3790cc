"""amqtt as it ships, on a free loopback port: its own default configuration, only the address is ours."""

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import amqtt.scripts
import yaml

from tests.support import child
from tests.support.ports import free_port


@contextlib.contextmanager
def stock_amqtt() -> Iterator[tuple[str, int]]:
    """The address of a running amqtt, which cannot say which one it was given."""
    address = ("127.0.0.1", free_port())
    settings = yaml.safe_load((Path(amqtt.scripts.__file__).parent / "default_broker.yaml").read_text())
    settings["listeners"]["default"]["bind"] = f"{address[0]}:{address[1]}"
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "broker.yaml"
        path.write_text(yaml.safe_dump(settings))
        with child.started(
            [sys.executable, "-c", "from amqtt.scripts.broker_script import main; main()", "-c", str(path)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            wait_for(address, process)
            yield address


def wait_for(address: tuple[str, int], process: "subprocess.Popen[bytes]", within: float = 15) -> None:
    """Return when something listens at ``address``."""
    until = time.monotonic() + within
    while True:
        try:
            socket.create_connection(address, timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return
