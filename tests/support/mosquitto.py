"""A real Mosquitto with the rendered configuration, on a free port of the loopback address."""

import os
import shutil
import signal
import socket
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from healthsync_mqtt.broker.external.access import external_tls
from healthsync_mqtt.broker.external.configuration import render, write
from healthsync_mqtt.broker.external.identities import ADMIN, epochs, principals
from healthsync_mqtt.broker.external.mosquitto.provision import Provisioned, provision_mosquitto
from healthsync_mqtt.broker.external.plan import Plan
from healthsync_mqtt.config.settings import Settings, load_settings
from healthsync_mqtt.identity.certificates.files import ensure_ca_and_server
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.mqtt.links.port import Address, ClientLogin
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.registry import TopicRegistry
from tests.support import child
from tests.support.patience import PATIENCE_S
from tests.support.ports import free_port


def wait_listening(port: int, process: "subprocess.Popen[bytes]", within: float = PATIENCE_S) -> None:
    """Return when something listens on the port; AssertionError when the process ends or time is up."""
    until = time.monotonic() + within
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, f"the broker ended with {process.returncode}"
            assert time.monotonic() < until, "the broker does not listen"
            time.sleep(0.02)
        else:
            return


class Mosquitto:
    """A broker and the data directory of its bridge: ``data``, with ``settings`` that point to the broker."""

    def __init__(self, root: Path, **external: Any) -> None:
        self.root = root
        self.data = root / "data"
        self.directory = root / "mosquitto"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.port = free_port()
        self.certificates = ensure_ca_and_server(self.data / "certs", ["localhost"], datetime.now(UTC))
        lines = {
            "host": "localhost",
            "port": self.port,
            "ca_file": str(self.certificates.ca_cert),
            "canary": False,
        } | external
        text = "".join(f"{key} = {_toml(value)}\n" for key, value in lines.items())
        (self.data / "healthsync.toml").write_text(f"[external]\n{text}")
        self.settings: Settings = load_settings(self.data)
        self.topics = TopicRegistry.load()
        self.rules = AccessRules(self.topics)
        self.store = CredentialStore(self.settings.paths.credentials)
        self.process: subprocess.Popen[bytes] | None = None

    def render(self) -> Path:
        """Write the configuration; its path."""
        plan = Plan(
            settings=self.settings,
            topics=self.topics,
            directory=self.directory,
            certfile=self.certificates.server_cert,
            keyfile=self.certificates.server_key,
            cafile=self.certificates.ca_cert,
            host="127.0.0.1",
            port=self.port,
            user="root" if os.geteuid() == 0 else str(os.geteuid()),
            admin_password=self.store.ensure(ADMIN)[0],
        )
        self.directory.chmod(0o700)
        write(render("mosquitto", plan), self.directory)
        return self.directory / "mosquitto.conf"

    def start(self) -> Self:
        config = self.directory / "mosquitto.conf"
        if not config.exists():
            self.render()
        binary = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        with (self.root / "mosquitto.log").open("ab") as log:
            self.process = child.start([binary, "-c", str(config)], stdout=log, stderr=log)
        self.wait_listening()
        return self

    def wait_listening(self, within: float = PATIENCE_S) -> None:
        """Return when it listens; nothing is left running when it does not."""
        assert self.process
        try:
            wait_listening(self.port, self.process, within)
        except BaseException:
            self.end(signal.SIGKILL)
            raise

    def end(self, number: int = signal.SIGTERM) -> None:
        child.end(self.process, number)

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def log(self) -> str:
        return (self.root / "mosquitto.log").read_text(errors="replace")[-3000:]

    def registry(self) -> Registry:
        return Registry.open(self.settings.paths.registry_db)

    @property
    def address(self) -> Address:
        return Address(host="localhost", port=self.port, tls=external_tls(self.settings.external))

    async def provision(self, *bridges: str) -> Provisioned:
        with self.registry() as registry:
            roster = registry.roster()
        wanted = principals(roster, bridges or (self.settings.bridge.id,))
        admin = self.store.need(ADMIN, "")
        return await provision_mosquitto(
            self.address, admin, self.rules, wanted.values(), self.store, epochs=epochs(roster)
        )

    def account(self, client_id: str) -> ClientLogin:
        return ClientLogin(client_id=client_id, username=client_id, password=self.store.need(client_id, ""))

    def device_account(self, user: str, device: str) -> ClientLogin:
        """A device's login."""
        return self.account(f"{user}-{device}")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.end()


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else f'"{value}"'
