"""Every unit under a real systemd, installed as docs/howto/systemd.md says, as its account and in its sandbox.

The page is typed as root in namespaces of its own (``tests/support/booted.py``), word by word. ``sudo`` is a double
where it is not installed, and pip's packages come from the environment of the tests.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.test_first_day import INSTALLING_S, clone
from tests.integration.test_service_account import PAGE, SUDO
from tests.support import child
from tests.support.accounts import NO_PYTHON, interpreter
from tests.support.booted import Booted, booted
from tests.support.pages import Typist, Walk
from tests.support.patience import wait_until
from tests.support.wheelhouse import locked_wheels

pytestmark = pytest.mark.real_server
PROGRAM, DATA = "/opt/healthsync/bin/healthsync", "/var/lib/healthsync"
EVENT = {"id": "s-1", "type": "weight", "start_time": "2026-11-23T06:00:00Z", "value": {"kg": 70.5}}


@dataclass(frozen=True)
class Machine:
    """A machine on which the page was typed: the program is installed, and its service runs."""

    booted: Booted
    place: Path
    checkout: Path
    env: dict[str, str]
    typist: Typist

    def healthsync(self, *words: str) -> list[dict]:
        """A command as the service's account."""
        become = ("setpriv", "--reuid=healthsync", "--regid=healthsync", "--init-groups")
        said = self.booted.run(*become, PROGRAM, *words, "--data", DATA, "--json").stdout
        return [json.loads(line) for line in said.splitlines()]

    def install(self, unit: str) -> None:
        """As the page does with the first one."""
        self.booted.run("install", "-m", "0644", str(self.checkout / "deploy/systemd" / f"{unit}.service"), UNITS)
        self.booted.run("systemctl", "daemon-reload")

    def begun(self, unit: str) -> None:
        """It runs, as whom and with what the unit says."""
        shown = self.booted.state(unit)
        assert (shown["ActiveState"], shown["SubState"]) == ("active", "running"), (shown, self.booted.log())
        status = self.booted.run("cat", f"/proc/{shown['MainPID']}/status").stdout
        about = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        uid = self.booted.run("id", "-u", "healthsync").stdout.strip()
        assert set(about["Uid"].split()) == {uid}
        assert (about["NoNewPrivs"], about["Seccomp"], int(about["CapBnd"], 16)) == ("1", "2", 0)
        assert about["Umask"] == "0077"

    def ended(self, unit: str) -> None:
        """It stops when it is told to, in peace."""
        self.booted.run("systemctl", "stop", unit)
        shown = self.booted.state(unit)
        assert (shown["ActiveState"], shown["Result"]) == ("inactive", "success"), (shown, self.booted.log())


UNITS = "/etc/systemd/system/"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    python = interpreter(65_534)
    if os.geteuid() == 0 and python is None:
        pytest.skip(NO_PYTHON)
    # Beside pytest's own directories, which no other account may enter.
    with (
        tempfile.TemporaryDirectory(prefix="machine-") as directory,
        booted(tmp_path_factory.mktemp("systemd") / "console.log") as running,
    ):
        place, checkout = Path(directory), clone(Path(directory) / "checkout")
        place.chmod(0o755)
        (place / "wheels").mkdir()
        locked_wheels((checkout / "requirements.lock").read_text(), place / "wheels")
        (place / "bin").mkdir()
        if shutil.which("sudo") is None:
            (place / "bin/sudo.py").write_text(SUDO)
            (place / "bin/sudo").write_text(f'#!/bin/sh\nexec /usr/bin/env python3 {place}/bin/sudo.py "$@"\n')
            (place / "bin/sudo").chmod(0o755)
        env = {
            "HOME": "/root",
            "PATH": f"{place}/bin:{Path(str(python)).parent}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(place / "wheels"),
            "PIP_NO_COMPILE": "1",
            "SYSTEMD_UNIT_PATH": UNITS,
        }
        typist = Typist(cwd=checkout, env=env, become=running.at(checkout), patience_s=INSTALLING_S)
        yield Machine(running, place, checkout, env, typist)


def test_the_page_is_typed_and_its_service_runs_in_its_sandbox(machine: Machine) -> None:
    walk = Walk(PAGE, machine.typist)
    walk.go(1)
    wait_until(lambda: machine.booted.run("test", "-e", f"{DATA}/service.json", check=False).returncode == 0)
    machine.begun("healthsync")
    walk.go(1)
    walk.done()
    (machine.place / "event.json").write_text(json.dumps(EVENT))
    (told,) = machine.healthsync("publish", str(machine.place / "event.json"), "--user", "alice", "--device", "watch")
    assert told["outcome"] == "stored"
    machine.booted.run("systemctl", "reload", "healthsync")
    wait_until(lambda: "bridge.reloaded" in machine.booted.log(), "the reload")
    machine.begun("healthsync")
    assert machine.booted.run("stat", "-c", "%a %U", DATA).stdout.split() == ["700", "healthsync"]
    machine.ended("healthsync")
    assert "Traceback" not in machine.booted.log()


@contextmanager
def mosquitto(machine: Machine) -> Iterator[None]:
    """As docs/howto/mosquitto.md sets it up, as its own account."""
    render = ("broker", "render", "mosquitto", "--out", "/etc/mosquitto/healthsync", "--user", "mosquitto")
    machine.booted.run(PROGRAM, *render, "--data", DATA)
    words = [*machine.booted.enter, "mosquitto", "-c", "/etc/mosquitto/healthsync/mosquitto.conf"]
    with (machine.place / "mosquitto.log").open("wb") as log, child.started(words, stdout=log, stderr=log):
        ask = ("python3", "-c", "import socket; socket.create_connection(('localhost', 8883))")
        wait_until(lambda: machine.booted.run(*ask, check=False).returncode == 0, "Mosquitto")
        yield


def test_the_units_of_an_external_broker_run_in_their_sandboxes(machine: Machine) -> None:
    (machine.place / "settings").write_text(
        f'external = {{host = "localhost", ca_file = "{DATA}/certs/ca.crt"}}\n'
        'broker = {certificate_hosts = ["localhost"]}\n'
    )
    machine.booted.run("systemctl", "stop", "healthsync")
    owner = ("-o", "healthsync", "-g", "healthsync")
    machine.booted.run("install", "-m", "0600", *owner, f"{machine.place}/settings", f"{DATA}/healthsync.toml")
    machine.healthsync("user", "add", "carol", "--consent", "all")
    machine.healthsync("device", "add", "carol", "scale")
    with mosquitto(machine):
        for unit in ("healthsync-provision", "healthsync-auth", "healthsync-bridge"):
            machine.install(unit)
        machine.booted.run("systemctl", "enable", "--now", "healthsync-provision", "healthsync-auth")
        password = f"{DATA}/credentials/carol-scale"
        wait_until(lambda: machine.booted.run("test", "-e", password, check=False).returncode == 0, "provision")
        machine.healthsync("broker", "credentials")
        # Type=notify: this returns when the bridge has tried the broker's rules and takes events.
        machine.booted.run("systemctl", "enable", "--now", "healthsync-bridge")
        assert "bridge.ready" in machine.booted.log()
        for unit in ("healthsync-provision", "healthsync-auth", "healthsync-bridge"):
            machine.begun(unit)
        publish = ["mosquitto_pub", "-h", "localhost", "-p", "8883", "--cafile", f"{DATA}/certs/ca.crt", "-q", "1"]
        publish += ["-i", "carol-scale", "-u", "carol-scale", "-P", machine.booted.run("cat", password).stdout]
        machine.booted.run(*publish, "-t", "users/carol/devices/scale/events", "-m", json.dumps(EVENT))
        wait_until(lambda: machine.healthsync("events", "list", "--user", "carol"), "the event")
        asked = ("python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 8870))")
        wait_until(lambda: machine.booted.run(*asked, check=False).returncode == 0, "the access hooks")
        for unit in ("healthsync-bridge", "healthsync-auth", "healthsync-provision"):
            machine.ended(unit)
    assert "Traceback" not in machine.booted.log()
