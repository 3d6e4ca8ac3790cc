"""Each service of ours in the compose files, by its own command and environment, as the image's account.

There is no container engine: volumes are directories, names of other containers are this machine, ports are free ones.
Mosquitto, RabbitMQ and PostgreSQL are Debian's, with the files' own words. EMQX is not here: there its two bridges work
on a Mosquitto, with what their own setup gave them.
"""

import json
import os
import re
import shutil
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

from healthsync_mqtt.broker.external.canary_world import world_of
from tests.integration.test_deploy_image import COMPOSE, account, as_account, image
from tests.integration.test_package import run
from tests.support import child, postgres, rabbitmq
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.ports import free_port
from tests.support.web import Web

__all__ = ["image"]
pytestmark = pytest.mark.real_server


class Containers:
    """The services of one compose file. ``swaps``: what is written differently here, the first match first."""

    def __init__(self, file: str, image: Path, swaps: Mapping[str, str], *, rooted: bool) -> None:
        document = yaml.safe_load((COMPOSE / file).read_text())
        self.services: dict[str, dict[str, Any]] = document["services"]
        self.image = image
        self.log = image / f"{file}.log"
        #: what the images of others set, by service
        self.of_images: dict[str, dict[str, str]] = {}
        self._swaps = swaps
        self._as = [] if rooted else as_account()

    def swapped(self, text: str) -> str:
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text).replace("$$", "$")
        # All in one pass, and whole numbers: a free port may have digits in it that are another one in the file.
        words = (rf"(?<!\d){old}(?!\d)" if old.isdecimal() else re.escape(old) for old in self._swaps)
        return re.sub("|".join(words), lambda found: self._swaps[found[0]], text)

    def environment(self, name: str) -> dict[str, str]:
        said = self.services[name].get("environment", {})
        here = {key: self.swapped(str(value)) for key, value in said.items()}
        path = f"{self.image}/venv/bin:{os.environ['PATH']}:/usr/sbin"
        own = {"HEALTHSYNC_DATA": str(self.image / "data"), "HOME": "/", "LANG": "C.UTF-8", "PATH": path}
        return own | here | self.of_images.get(name, {})

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
        env = os.environ | self.environment(name)
        return subprocess.run(words, env=env, cwd="/", capture_output=True, check=False).returncode == 0

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


def known(web: Web) -> None:
    """What came by MQTT is a duplicate by HTTP, once the gateway's account is there."""
    assert web.taken("/v1/events", EVENT).json()["duplicate"] == 1


def test_mosquitto_yaml(image: Path) -> None:
    port, metrics, https = str(free_port()), str(free_port()), str(free_port())
    swaps = {
        "/deploy/setup.sh": str(COMPOSE / "setup.sh"),
        "/mosquitto/healthsync": str(image / "mosquitto/healthsync"),
        "/data/certs": str(image / "data/certs"),
        "/data/credentials": str(image / "data/credentials"),
        "127.0.0.1:9464": f"127.0.0.1:{metrics}",
        "9464": metrics,
        "8883": port,
        "8443": https,
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
        (made,) = file.exec("bridge", "device", "token", "carol", "watch")
        known(Web(f"https://localhost:{https}", image / "data/certs/ca.crt").as_(made["token"]))
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
        assert {each.client_id for each in world_of(one).everybody} <= made
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


@pytest.mark.skipif(not (rabbitmq.installed() and postgres.installed()), reason="needs rabbitmq-server and postgresql")
def test_rabbitmq_yaml(image: Path, tmp_path: Path) -> None:
    """All of it but InfluxDB: the broker and the server with their own words of the file, three bridges on one log."""
    port, server, metrics = str(free_port()), str(free_port()), [str(free_port()) for _ in range(3)]
    hooks, management, https = str(free_port()), str(free_port()), str(free_port())
    volume, broker, queues = image / "three", image / "rabbitmq/healthsync", image / "queues"
    for each in (volume, queues):  # a volume takes over owner and mode
        each.mkdir(mode=0o700)
        if (owner := account()) is not None:
            os.chown(each, owner, owner)
    run(*as_account(), "mkdir", queues / "home", cwd=image)
    swaps = {
        "/deploy/setup.sh": str(COMPOSE / "setup.sh"),
        "/deploy/parts.sh": str(COMPOSE.parent / "helm/healthsync/files/parts.sh"),
        "/rabbitmq/healthsync": str(broker),
        "/data/": f"{volume}/",
        "@postgres:5432": f"@localhost:{server}",
        "8883": port, "5432": server, "15672": management, "8870": hooks, "8443": https,
    }  # fmt: skip
    file = Containers("rabbitmq.yaml", image, swaps, rooted=False)
    bridges = ("bridge-1", "bridge-2", "bridge-3")
    assert set(file.services) == {"setup", "rabbitmq", "auth", "postgres", *bridges, "influxdb"}
    assert {file.services[name]["user"] for name in ("rabbitmq", "postgres")} == {"10001:10001"}
    for _ in range(2):  # and again at the next `up`
        file.once("setup", SECRETS=f"{image}/secrets", VOLUME=str(volume))
    conf = (broker / "rabbitmq.conf").read_text()
    for there, here in (
        ("0.0.0.0:8883", f"127.0.0.1:{port}"),
        ("management.tcp.port = 15672", f"management.tcp.port = {management}"),
        ("127.0.0.1:8870", f"127.0.0.1:{hooks}"),
    ):
        assert there in conf
        conf = conf.replace(there, here)
    (broker / "rabbitmq.conf").write_text(conf)

    programs = Path(str(postgres.program("postgres"))).parent
    path = os.environ["PATH"]
    file.of_images = {
        "postgres": {"PATH": f"{programs}:{path}", "PGDATA": str(image / "cluster")},
        "rabbitmq": {"PATH": f"{rabbitmq.SERVER.parent}:{path}", **rabbitmq.node(queues)},
    }
    initialise(file, image, image / "secrets/postgres-password")
    file.services["postgres"]["command"] += ["-k", "", "-p", server, "-h", "127.0.0.1"]
    file.services["rabbitmq"]["command"] = ["rabbitmq-server"]  # the image's own
    file.services["auth"]["command"] += ["--port", hooks]
    for name, own in zip(bridges, metrics, strict=True):
        file.services[name]["environment"] |= {
            "HEALTHSYNC_EXTERNAL__HOST": "localhost",
            "HEALTHSYNC_METRICS__PORT": own,
        }
        file.services[name]["healthcheck"] = json.loads(
            json.dumps(file.services[name]["healthcheck"]).replace("9464", own)
        )
    epmd = [*as_account(), str(shutil.which("epmd"))]  # its own port mapper, so that none stays behind
    with (
        child.started(epmd, env=file.environment("rabbitmq")),
        file.runs("rabbitmq", "auth", "postgres"),
        listening(port),
    ):
        for name in ("rabbitmq", "auth", "postgres"):
            wait_until(partial(file.healthy, name), name)
        with file.runs(*bridges):
            for name in bridges:
                wait_until(partial(file.healthy, name), name)
            file.exec("bridge-1", "user", "add", "alice", "--consent", "all")
            (made,) = file.exec("bridge-1", "device", "add", "alice", "watch")
            publish(image, volume / "data/certs/ca.crt", port, made["token"], "alice")
            wait_until(lambda: file.exec("bridge-2", "events", "list", "--user", "alice"), "the event")
            known(Web(f"https://localhost:{https}", volume / "data/certs/ca.crt").as_(made["token"]))
            for name in bridges:
                assert [each["id"] for each in file.exec(name, "events", "list")] == ["c-1"], "one log"
                assert file.exec(name, "sink", "list"), "whoever is elected writes to InfluxDB"

            def installation() -> Any:
                return file.exec("bridge-2", "status")[0].get("installation", {}).get("bridges")

            wait_until(lambda: installation() == list(bridges), "the others in the status of one")


def initialise(file: Containers, place: Path, password: Path) -> None:
    """What the image does at its first start: the cluster, its user and its database. Then all of it is the account's.

    ``initdb`` wants to know the name of who runs it: so it is Debian's account here.
    """
    env, cluster, who = file.environment("postgres"), place / "cluster", postgres.account()
    cluster.mkdir(mode=0o700)
    if who:
        shutil.chown(cluster, who["user"], who["group"])
    words = ["initdb", "-U", env["POSTGRES_USER"], f"--pwfile={password}", "--no-sync"]
    made = f"CREATE DATABASE {env['POSTGRES_DB']};\n\n"
    for line, said in (
        ([*words, *env["POSTGRES_INITDB_ARGS"].split()], ""),
        (["postgres", "--single", "-F", "-j", "postgres"], made),
    ):
        done = subprocess.run(line, input=said, env=env, cwd=place, text=True, capture_output=True, check=False, **who)
        assert done.returncode == 0, done.stderr
    if who and as_account():
        run("chown", "-R", file.services["postgres"]["user"], cluster, cwd=place)
