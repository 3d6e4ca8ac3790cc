"""Brokers without access rules that are built from their registries' packages: mochi-mqtt (Go) and rumqttd (Rust).

They are built once a machine; what their languages' tools cannot have is skipped with that reason. rumqttd takes
minutes of both cores, so it is built only where ``HEALTHSYNC_TEST_BUILDS`` is set, and used wherever it is there.
"""

import os
from pathlib import Path
from typing import Any, Self

import pytest

from healthsync_mqtt.broker.external.identities import own_principals
from tests.support import child
from tests.support.fetched import BUILDS, LONG_BUILD, cargo_crate, go_module, kept
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port

FOLDER = Path(__file__).parent / "open_brokers"


def mochi() -> Path:
    """The program of mochi-mqtt's server."""
    source = (FOLDER / "mochi.go").read_text()
    return go_module("mochi", {"main.go": source}, "github.com/mochi-mqtt/server/v2", "v2.7.9")


def rumqttd() -> Path:
    """The program of rumqttd."""
    name = "open-rumqttd"
    if not (kept("cargo", name) / "target" / "debug" / name).exists() and not os.environ.get(BUILDS):
        pytest.skip(f"rumqttd {LONG_BUILD}; {BUILDS}=1 does it, once")
    return cargo_crate(name, (FOLDER / "rumqttd.rs").read_text(), "rumqttd", "0.20.0", features=False)


class BuiltBroker(Mosquitto):
    """A broker that allows everything, and the data directory of its bridge."""

    def __init__(self, root: Path, program: Path, **external: Any) -> None:
        super().__init__(root, host="127.0.0.1", tls=False, **external)
        self._program = program
        for client_id in own_principals([self.settings.bridge.id]):
            self.store.ensure(client_id)

    def start(self) -> Self:
        with (self.root / "broker.log").open("ab") as log:
            # rumqttd has a port for each version; the other takes the first and no more.
            command = [str(self._program), str(self.port), str(free_port())]
            self.process = child.start(command, stdout=log, stderr=log)
        self.wait_listening()
        return self

    def log(self) -> str:
        return (self.root / "broker.log").read_text(errors="replace")[-4000:]
