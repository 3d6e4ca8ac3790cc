"""Each service of ours in the compose files, by its own command and environment, as the image's account.

There is no container engine: volumes are directories, names of other containers are this machine, ports are free ones.
Mosquitto is Debian's. EMQX is not here: there its two bridges work on a Mosquitto, with what their own setup gave them.
"""

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.test_deploy_image import COMPOSE, as_account, image
from tests.integration.test_package import run
from tests.support import child
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.servers import free_port

__all__ = ["image"]
pytestmark = pytest.mark.real_server


class Containers:
    """The services of one compose file. ``swaps``: what is written differently here, the first match first."""

    def __init__(self, file: str, image: Path, swaps: Mapping[str, str], *, rooted: bool) -> None:
        document = yaml.safe_load((COMPOSE / file).read_text())
        self.services: dict[str, dict[str, Any]] = document["services"]
        self.image = image
        self.log = image / f"{file}.log"
        self._swaps = swaps
        self._as = [] if rooted else as_account()

    def swapped(self, text: str) -> str:
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text).replace("$$", "$")
        for old, new in self._swaps.items():
            text = text.replace(old, new)
        return text

    def environment(self, name: str) -> dict[str, str]:
        said = self.services[name].get("environment", {})
        here = {key: self.swapped(str(value)) for key, value in said.items()}
        path = f"{self.image}/venv/bin:{os.environ['PATH']}:/usr/sbin"
        return {"HEALTHSYNC_DATA": str(self.image / "data"), "HOME": "/", "LANG": "C.UTF-8", "PATH": path} | here

    def command(self, name: str) -> list[str]:
        service = self.services[name]
        ours = service["image"] == "healthsync-mqtt"
        entry: Sequence[str] = service.get("entrypoint", ["healthsync"] if ours else [])
        return [*self._as, *(self.swapped(word) for word in (*entry, *service.get("command", ())))]

    def once(self, name: str, **more: str) -> None:
        """A service that ends."""
        env = self.environment(name) | more
        done = subprocess.run(self.command(name), env=env, cwd=self.image, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (name, done.stdout, done.stderr)

    @contextmanager
    def runs(self, *names: str) -> Iterator[None]:
        """Services that stay, each after what it waits for here; they end with their last words in the log."""
        started = []
        try:
            with self.log.open("ab") as log:
                for name in names:
                    for other, wanted in self.services[name].get("depends_on", {}).items():
                        if other in names and wanted["condition"] == "service_healthy":
                            wait_until(partial(self.healthy, other), f"{other} for {name}")
                    words, env = self.command(name), self.environment(name)
                    started.append(child.start(words, env=env, cwd=self.image, stdout=log, stderr=log))
            yield
        except BaseException:
            sys.stderr.write(self.log.read_text(errors="replace")[-4000:])
            raise
        finally:
            for process in reversed(started):
                child.end(process, 15)

    def healthy(self, name: str) -> bool:
        """Its health check, typed as it stands."""
        kind, *check = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        words = [sys.executable if word == "python3" else self.swapped(word) for word in check]
        return subprocess.run(words, capture_output=True, check=False).returncode == 0

    def exec(self, name: str, *words: str) -> list[Any]:
        """As ``docker compose exec`` does, in the environment of the service."""
        line = [*self._as, str(self.image / "venv/bin/healthsync"), *words, "--json"]
        return [json.loads(each) for each in run(*line, cwd=self.image, **self.environment(name)).splitlines()]


def local(conf: Path, port: str) -> None:
    """Let the broker listen here, on a free port."""
    conf.write_text(re.sub(r"^listener .*$", f"listener {port} 127.0.0.1", conf.read_text(), flags=re.MULTILINE))


@contextmanager
def listening(port: str) -> Iterator[None]:
    """The broker takes connections."""

    def connects() -> bool:
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", int(port))) == 0

    wait_until(connects, "the broker")
    yield


EVENT = {"id": "c-1", "type": "weight", "start_time": "2026-11-23T06:00:00Z", "value": {"kg": 70.5}}


def publish(place: Path, ca: Path, port: str, password: str, user: str) -> None:
    (place / "event.json").write_text(json.dumps(EVENT))
    words = ["mosquitto_pub", "-h", "localhost", "-p", port, "--cafile", str(ca), "-q", "1", "-i", f"{user}-watch"]
    words += ["-u", f"{user}-watch", "-P", password, "-t", f"users/{user}/devices/watch/events", "-f"]
    run(*words, place / "event.json", cwd=place)


def test_mosquitto_yaml(image: Path) -> None:
    port, metrics = str(free_port()), str(free_port())
    swaps = {
        "/deploy/setup.sh": str(COMPOSE / "setup.sh"),
        "/mosquitto/healthsync": str(image / "mosquitto/healthsync"),
        "/data/certs": str(image / "data/certs"),
        "/data/credentials": str(image / "data/credentials"),
        "127.0.0.1:9464": f"127.0.0.1:{metrics}",
        "9464": metrics,
        "8883": port,
    }
    file = Containers("mosquitto.yaml", image, swaps, rooted=False)
    assert set(file.services) == {
        *("setup", "mosquitto", "provision", "bridge"),  # these run here
        *("influxdb", "metrics", "grafana"),  # images of others
    }
    assert file.services["bridge"]["environment"]["HEALTHSYNC_EXTERNAL__HOST"] == "mosquitto"
    assert file.services["mosquitto"]["user"] == "10001:10001"
    file.once("setup", SECRETS=f"{image}/secrets", BROKER=f"{image}/mosquitto/healthsync")
    local(image / "mosquitto/healthsync/mosquitto.conf", port)
    # The certificate is for both names; only one of them is known here.
    for name in ("provision", "bridge"):
        file.services[name]["environment"] = file.services[name]["environment"] | {
            "HEALTHSYNC_EXTERNAL__HOST": "localhost"
        }
    # In the order of depends_on; nc, its health check, is the image's.
    with file.runs("mosquitto"), listening(port), file.runs("provision", "bridge"):
        wait_until(lambda: file.healthy("bridge"), "the bridge")
        file.exec("bridge", "user", "add", "carol", "--consent", "all")
        file.exec("bridge", "device", "add", "carol", "watch")
        password = image / "data/credentials/carol-watch"
        wait_until(lambda: f"password in {password}" in file.log.read_text(), "provision")
        publish(image, image / "data/certs/ca.crt", port, password.read_text(), "carol")
        wait_until(lambda: file.exec("bridge", "events", "list", "--user", "carol"), "the event")
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=PATIENCE_S) as answer:
            assert b"healthsync_events_received_total" in answer.read()


def test_emqx_yaml(image: Path, tmp_path: Path) -> None:
    """``setup``, ``auth`` and both bridges, as whom the file names: nobody gives volumes away."""
    port, hooks = str(free_port()), str(free_port())
    for volume in ("shared", "emqx", "one", "two"):
        (tmp_path / volume).mkdir(mode=0o755)
    swaps = {f"/{volume}": str(tmp_path / volume) for volume in ("shared", "one", "two")}
    swaps |= {"/$bridge": f"{tmp_path}/$bridge", "--out /emqx": f"--out {tmp_path / 'emqx'}", "8883": port}
    file = Containers("emqx.yaml", image, swaps, rooted=True)
    assert set(file.services) == {"setup", "auth", "emqx", "bridge-one", "bridge-two"}
    assert {each["user"] for name, each in file.services.items()} == {"root"}
    file.once("setup", HEALTHSYNC_BROKER__CERTIFICATE_HOSTS="emqx,localhost")  # only one of them is known here
    assert (tmp_path / "emqx/emqx.conf").is_file()
    for one in ("one", "two"):
        made = {path.name for path in (tmp_path / one / "credentials").iterdir()}
        assert f"healthsync-bridge-{one}" in made
        assert len(made) > 3, "and the canaries'"
    file.services["auth"]["command"] += ["--port", hooks]
    # In place of EMQX: what it decides, and how, is tried in tests/unit/broker/external and by hand.
    shared, broker = str(tmp_path / "shared"), tmp_path / "broker"
    ours = str(image / "venv/bin/healthsync")
    run(ours, "broker", "render", "mosquitto", "--out", broker, "--data", shared, cwd=tmp_path)
    local(broker / "mosquitto.conf", port)
    conf = re.sub(r"^user .*$", "", (broker / "mosquitto.conf").read_text(), flags=re.MULTILINE)
    (broker / "mosquitto.conf").write_text(conf + ("user root\n" if os.geteuid() == 0 else ""))
    external = {"HEALTHSYNC_EXTERNAL__HOST": "localhost", "HEALTHSYNC_EXTERNAL__PORT": port}
    for name in ("bridge-one", "bridge-two"):
        file.services[name]["environment"] |= external
    with (
        file.runs("auth"),
        child.started(["mosquitto", "-c", str(broker / "mosquitto.conf")], stderr=subprocess.DEVNULL),
        listening(port),
    ):
        run(ours, "user", "add", "alice", "--consent", "all", "--data", shared, cwd=tmp_path)
        run(ours, "device", "add", "alice", "watch", "--data", shared, cwd=tmp_path)
        ca = external | {"HEALTHSYNC_EXTERNAL__CA_FILE": f"{shared}/certs/ca.crt"}
        provision = [ours, "broker", "provision", "mosquitto", "--bridges", "one,two", "--data", shared]

        run(*provision, cwd=tmp_path, **ca)
        with file.runs("bridge-one", "bridge-two"):
            wait_until(lambda: file.log.read_text().count("bridge.ready") == 2, "both bridges")
            password = (tmp_path / "shared/credentials/alice-watch").read_text()
            publish(tmp_path, tmp_path / "shared/certs/ca.crt", port, password, "alice")

            def stored() -> list[int]:
                logs = ((ours, "events", "list", "--data", str(tmp_path / one)) for one in ("one", "two"))
                return [len(run(*words, cwd=tmp_path).splitlines()) for words in logs]

            wait_until(lambda: sum(stored()) > 0, "the event")
            assert sorted(stored()) == [0, 1], "one of them has the user"
        assert "The access hooks listen" in file.log.read_text()
