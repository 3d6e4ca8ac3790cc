"""The HTTP gateway beside a bridge on a real external broker: both as processes, and who may call."""

import contextlib
import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.support import child
from tests.support.external_bridge import BridgeProcess
from tests.support.mosquitto import Mosquitto
from tests.support.patience import PATIENCE_S
from tests.support.service import HEALTHSYNC, run_cli
from tests.support.web import Web


class GatewayRun:
    """``healthsync gateway run`` on a data directory."""

    def __init__(self, data: Path, **settings: object) -> None:
        """``settings`` are those of the gateway, by name."""
        self.data = data
        self._env = os.environ | {f"HEALTHSYNC_GATEWAY__{name.upper()}": str(value) for name, value in settings.items()}
        self.process: subprocess.Popen[str] | None = None
        self.log_path = data.with_name(f"{data.name}-gateway.log")
        self.url = ""

    def start(self) -> Self:
        command = [*HEALTHSYNC, "gateway", "run", "--http-port", "0", "--data", str(self.data), "--json"]
        with self.log_path.open("ab") as log:
            self.process = child.start(command, env=self._env, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout
        try:
            ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
            assert ready, f"the gateway is not ready\n{self.log()}"
            line = self.process.stdout.readline()
            assert line, f"the gateway ended\n{self.log()}"
            self.url = json.loads(line)["http"]
        except BaseException:
            child.end(self.process)
            raise
        return self

    def end(self, number: int = signal.SIGTERM) -> None:
        child.end(self.process, number)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")[-3000:]


@dataclass
class Beside:
    """A broker, its bridge and a gateway; ``tokens`` by who has them."""

    broker: Mosquitto
    bridge: BridgeProcess
    gateway: GatewayRun
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def web(self) -> Web:
        return Web(self.gateway.url, self.broker.certificates.ca_cert)

    def by(self, name: str) -> Web:
        return self.web.as_(self.tokens[name])

    def cli(self, *words: str, check: bool = True) -> list[Any]:
        return run_cli(self.broker.data, *words, check=check)

    def stored(self, user: str) -> list[str]:
        """The ids in the log, an event as often as it is there."""
        return [each["id"] for each in self.cli("events", "list", "--user", user, "--limit", "1000")]


@contextlib.contextmanager
def beside(broker: Mosquitto, provision: Any, **settings: object) -> Iterator[Beside]:
    """All of it, with devices of alice and bob and a reader of both; ``provision`` tells the broker who there is."""
    for user in ("alice", "bob"):
        run_cli(broker.data, "user", "add", user, "--consent", "all")
    tokens = {user: run_cli(broker.data, "device", "add", user, "watch")[0]["token"] for user in ("alice", "bob")}
    made = run_cli(broker.data, "subscriber", "add", "reader", "--users", "alice,bob", "--types", "*")
    tokens["reader"] = made[0]["token"]
    with broker:
        provision(broker)
        bridge = BridgeProcess(broker.data, by_command=True)
        gateway = GatewayRun(broker.data, **settings)
        try:
            bridge.start()
            gateway.start()
            yield Beside(broker, bridge, gateway, tokens)
        finally:
            gateway.end()
            bridge.end()
