"""A real RabbitMQ with the rendered configuration and the access hooks, on free ports of the loopback address."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

from healthsync_mqtt.broker.external.configuration import render, write
from healthsync_mqtt.broker.external.hook_server import SECRET_CREDENTIAL
from healthsync_mqtt.broker.external.identities import ADMIN, own_principals
from healthsync_mqtt.broker.external.management import Management
from healthsync_mqtt.broker.external.plan import Plan
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.identity.login.tokens import MAX_LIFETIME_S
from healthsync_mqtt.mqtt.links.port import ClientLogin
from tests.support import child
from tests.support.mosquitto import Mosquitto
from tests.support.patience import PATIENCE_S
from tests.support.ports import free_port

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
HEALTHSYNC = [sys.executable, "-c", "import sys; from healthsync_mqtt.cli.main import main; sys.exit(main())"]


def installed() -> bool:
    """Whether Debian's package is there."""
    return SERVER.exists() and shutil.which("epmd") is not None


def node(root: Path) -> dict[str, str]:
    """The environment of a node of its own, with its state under ``root``, and of the tools that ask it."""
    (root / "home").mkdir(exist_ok=True)
    return {
        "ERL_EPMD_PORT": str(free_port()),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "HOME": str(root / "home"),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"hs{secrets.token_hex(4)}@localhost",
        "RABBITMQ_MNESIA_BASE": str(root / "mnesia"),
        "RABBITMQ_LOG_BASE": str(root / "log"),
        "RABBITMQ_PID_FILE": str(root / "rabbit.pid"),
        "ERL_CRASH_DUMP": str(root / "erl_crash.dump"),
    }


#: Erlang starts in seconds, and in minutes where ten others want the processor.
_STARTED_S = 300.0


class RabbitMq(Mosquitto):
    """As Mosquitto: a broker and the data directory of its bridge; tokens are passwords here."""

    def __init__(self, root: Path, *, bridges: tuple[str, ...] = (), **external: Any) -> None:
        super().__init__(root, **external)
        self.bridges = bridges or (self.settings.bridge.id,)
        self.directory = root / "rabbitmq"
        self.hooks_port, self.management_port = free_port(), free_port()
        self.hooks: subprocess.Popen[str] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        self._node = node(root)
        for name in own_principals(self.bridges):
            self.store.ensure(name)

    def render(self) -> Path:
        plan = Plan(
            settings=self.settings,
            topics=self.topics,
            directory=self.directory,
            certfile=self.certificates.server_cert,
            keyfile=self.certificates.server_key,
            cafile=self.certificates.ca_cert,
            host="127.0.0.1",
            port=self.port,
            hooks_url=f"http://127.0.0.1:{self.hooks_port}",
            management_port=self.management_port,
            hooks_secret=self.store.ensure(SECRET_CREDENTIAL)[0],
        )
        self.store.ensure(ADMIN)
        write(render("rabbitmq", plan), self.directory)
        return self.directory / "rabbitmq.conf"

    def start(self) -> Self:
        config = self.render()
        self.start_hooks()
        env = (
            os.environ
            | self._node
            | {
                "RABBITMQ_CONFIG_FILE": str(config.with_suffix("")),
                "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.directory / "advanced.config"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "enabled_plugins"),
            }
        )
        epmd = shutil.which("epmd") or "epmd"
        with (self.root / "rabbitmq.log").open("ab") as log:
            # Its own port mapper, so that none stays behind as a daemon.
            self._epmd = child.start([epmd], env=env, stdout=log, stderr=log)
            self.process = child.start([str(SERVER)], env=env, stdout=log, stderr=log, start_new_session=True)
        self.wait_listening(within=_STARTED_S)
        return self

    def start_hooks(self) -> None:
        """Run ``healthsync auth serve``."""
        command = [
            *HEALTHSYNC, "auth", "serve", "--data", str(self.data), "--port", str(self.hooks_port),
            "--rabbitmq", f"http://127.0.0.1:{self.management_port}", "--bridges", ",".join(self.bridges), "--json",
        ]  # fmt: skip
        with (self.root / "hooks.log").open("ab") as log:
            self.hooks = child.lasting(child.start(command, stdout=subprocess.PIPE, stderr=log, text=True))
        assert self.hooks.stdout
        with self.hooks.stdout as ready:  # it says this one line
            assert ready.readline(), (self.root / "hooks.log").read_text()[-2000:]

    def device_account(self, user: str, device: str) -> ClientLogin:
        """A device's login: its token, of a day."""
        with self.registry() as registry:
            found = registry.device(user, device)
        token = DataDirectory(self.data).device_identity(found, lifetime_s=MAX_LIFETIME_S)["token"]
        return ClientLogin(client_id=found.client_id, username=found.client_id, password=token)

    def end(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, number)  # the script and the machine it runs
            self.process.wait(PATIENCE_S)
        for helper in (self.hooks, self._epmd):
            child.end(helper, signal.SIGTERM)

    def log(self) -> str:
        return (self.root / "rabbitmq.log").read_text(errors="replace")[-4000:]

    def management(self) -> Management:
        """The management interface, with the account that evicts."""
        return Management.at(f"http://127.0.0.1:{self.management_port}", ADMIN, self.store.ensure(ADMIN)[0])

    def healthy(self) -> bool:
        with (
            contextlib.suppress(urllib.error.HTTPError),
            urllib.request.urlopen(f"http://127.0.0.1:{self.hooks_port}/health", timeout=5) as response,
        ):
            return bool(response.status == 200)
        return False
