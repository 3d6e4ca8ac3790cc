"""The chart's bridges on a real PostgreSQL and Debian's Mosquitto: each pod by its own words."""

import json
import os
import re
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_compose_services import listening
from tests.support import child
from tests.support.chart.draw import ROOT, drawn
from tests.support.chart.pods import of_kind, pods
from tests.support.chart.running_pod import RunningPod
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.ports import free_port
from tests.support.postgres import PASSWORD, Postgres, installed
from tests.support.service import HEALTHSYNC

pytestmark = [
    pytest.mark.real_server,
    pytest.mark.skipif(not installed(), reason="postgresql is not installed: scripts/test installs it where it can"),
]

PREPARED = (
    "cert init-ca --data ours",
    "key list --data ours",
    "broker credentials --bridges bridge-1,bridge-2,bridge-3 --gateways 1,2 --data ours",
)
"""What docs/howto/compose.md makes the Secrets of."""


def prepared(place: Path) -> dict[str, dict[str, bytes]]:
    """The Secrets of the page: the files of three directories; of the last one what bridges and gateways have."""
    page = (ROOT / "docs" / "howto" / "compose.md").read_text()
    for words in PREPARED:
        assert f"$ healthsync {words}\n" in page
        subprocess.run([*HEALTHSYNC, *words.split()], check=True, cwd=place, stdout=subprocess.DEVNULL)
    found: dict[str, dict[str, bytes]] = {"db": {"password": PASSWORD.encode()}}
    for kind in ("keys", "certs", "credentials"):
        files = (each for each in (place / "ours" / kind).iterdir() if each.name[0] != ".")
        found[kind] = {each.name: each.read_bytes() for each in files}
    ours = re.compile(r"healthsync-(bridge|canary|gateway)")
    found["credentials"] = {name: text for name, text in found["credentials"].items() if ours.match(name)}
    return found


def broker(home: RunningPod, place: Path, port: int) -> list[str]:
    """Mosquitto as the first pod renders its configuration; it runs as whom the tests do."""
    words = ("broker", "render", "mosquitto", "--out", str(place), "--host", "127.0.0.1", "--port", str(port))
    home.tell("bridge-1", *words)
    conf = place / "mosquitto.conf"
    text = re.sub(r"^user .*$", "", conf.read_text(), flags=re.MULTILINE)
    conf.write_text(text + ("\nuser root\n" if os.geteuid() == 0 else ""))
    return [shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", str(conf)]


def publish(home: RunningPod, port: int, name: str) -> None:
    event = {"id": name, "type": "weight", "start_time": "2026-11-23T06:00:00Z", "value": {"kg": 70.5}}
    (home.root / "event.json").write_text(json.dumps(event))
    password = (home.data / "credentials/alice-watch").read_text()
    words = ["mosquitto_pub", "-h", "localhost", "-p", str(port), "--cafile", str(home.data / "certs/ca.crt")]
    words += ["-q", "1", "-i", "alice-watch", "-u", "alice-watch", "-P", password]
    words += ["-t", "users/alice/devices/watch/events"]
    subprocess.run([*words, "-f", str(home.root / "event.json")], check=True, timeout=PATIENCE_S)


def stored(home: RunningPod) -> list[str]:
    return [each["id"] for each in home.tell("bridge-1", "events", "list", "--user", "alice")]


@pytest.mark.parametrize("divide", ["messages", "users"])
def test_each_pod_by_its_own_words(tmp_path: Path, divide: str) -> None:
    """A job, a pod with the volume, two with nothing that may not be lost: one log, each event once."""
    port = free_port()
    secrets = prepared(tmp_path)
    with Postgres() as server, ExitStack() as running:
        server.execute("CREATE DATABASE chart")
        documents = drawn(
            "mode=external", "external.host=localhost", f"external.port={port}", "external.bridges=3",
            f"external.divide={divide}", f"postgres.url=postgresql://healthsync@127.0.0.1:{server.port}/chart",
            "postgres.passwordSecretName=db", "secrets.credentials=credentials", "secrets.keys=keys",
            "secrets.certs=certs",
        )  # fmt: skip
        specs = pods(documents)
        job = RunningPod(tmp_path / "job", specs["health-migrate"], secrets)
        home = RunningPod(tmp_path / "home", specs["health"], secrets)
        begins = of_kind(documents, "StatefulSet", "health-bridge")["spec"]["ordinals"]["start"]
        others = [
            RunningPod(tmp_path / f"bridge-{number}", specs["health-bridge"], secrets, number)
            for number in (begins, begins + 1)
        ]
        job.begin()
        assert "brought to this release: log, registry" in job.once("migrate")
        home.begin()
        running.enter_context(child.started(broker(home, tmp_path / "broker", port), stderr=subprocess.DEVNULL))
        running.enter_context(listening(str(port)))
        running.enter_context(home.runs())
        for each in others:
            each.begin()
            running.enter_context(each.runs())
        for each in (home, *others):
            each.wait_ready()

        home.tell("bridge-1", "user", "add", "alice", "--consent", "all")
        home.tell("bridge-1", "device", "add", "alice", "watch")
        wait_until(lambda: "credentials/alice-watch" in home.log(), "provision has told the broker")
        publish(home, port, "one")
        wait_until(lambda: stored(home) == ["one"], "the event")

        def installation() -> Any:
            return others[0].tell("bridge", "status")[0].get("installation", {}).get("bridges")

        wait_until(lambda: installation() == ["bridge-1", "bridge-2", "bridge-3"], "each knows the others")
        for each in others:
            each.end(9)
            shutil.rmtree(each.root)  # as on another node
            each.begin()
            each.start()
            each.wait_ready()
            assert not (each.data / "keys").exists()
        publish(home, port, "two")
        wait_until(lambda: stored(home) == ["one", "two"], "what comes afterwards")
        assert "those of this release" in job.once("migrate"), "an upgrade that changes no table stops nobody"
