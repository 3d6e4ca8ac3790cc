"""Mosquitto as a bridge to the embedded broker, as docs/howto/mqtt5.md configures it, in each version of MQTT."""

import json
import os
import pwd
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.test_foreign_clients import TOPIC, Setup, event, fresh_id, setup
from tests.support import child
from tests.support.mosquitto import wait_listening
from tests.support.pages import ROOT
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.ports import free_port

__all__ = ["setup"]
pytestmark = pytest.mark.real_server
VERSIONS = ("mqttv31", "mqttv311", "mqttv50")


@contextmanager
def bridging(setup: Setup, root: Path, login: dict[str, str], version: str, topic: str) -> Iterator[int]:
    """A Mosquitto with the lines of the page; the port of its own listener."""
    page = (ROOT / "docs/howto/mqtt5.md").read_text(encoding="utf-8")
    lines = page.partition("```conf\n")[2].partition("```")[0]
    host, port = setup.service.mqtts
    for written, meant in (
        ("address localhost:8883", f"address {host}:{port}"),
        ("bridge_cafile ca.crt", f"bridge_cafile {setup.service.ca_file}"),
        ("remote_clientid alice-watch", f"remote_clientid {login['client_id']}"),
        ("remote_username alice-watch", f"remote_username {login['username']}"),
        ("remote_password TOKEN", f"remote_password {login['token']}"),
        (f"topic {TOPIC} out 1", f"topic {topic} 1"),
    ):
        assert written in lines
        lines = lines.replace(written, meant)
    own, config = free_port(), root / "bridging.conf"
    # As root it would become another account, which may not read the data directory of the tests.
    more = f"user {pwd.getpwuid(os.geteuid()).pw_name}\nbridge_protocol_version {version}\nrestart_timeout 1\n"
    config.write_text(f"listener {own} 127.0.0.1\nallow_anonymous true\n{lines}{more}")
    process = child.start(["mosquitto", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_listening(own, process)
        yield own
    finally:
        child.end(process)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_bridge_hands_on_is_stored(setup: Setup, tmp_path: Path, version: str) -> None:
    event_id = fresh_id()
    with bridging(setup, tmp_path, setup.device, version, f"{TOPIC} out") as port:
        publish = ["mosquitto_pub", "-p", str(port), "-q", "1", "-t", TOPIC, "-m", event(event_id)]
        subprocess.run(publish, check=True, timeout=PATIENCE_S)
        wait_until(lambda: setup.stored(event_id) == 1, "the bridge has handed it on")


def test_what_a_bridge_fetches_is_what_was_stored(setup: Setup, tmp_path: Path) -> None:
    canonical, published = "users/alice/canonical/weight", []
    with bridging(setup, tmp_path, setup.subscriber, "mqttv311", f"{canonical} in") as port:
        reading = ["mosquitto_sub", "-p", str(port), "-q", "1", "-C", "1", "-t", canonical]
        waiting = child.start(reading, stdout=subprocess.PIPE, text=True)
        try:
            end = time.monotonic() + PATIENCE_S
            while waiting.poll() is None and time.monotonic() < end:
                published.append(fresh_id())
                host, own = setup.service.mqtt
                who = ["-i", setup.device["client_id"], "-u", setup.device["username"], "-P", setup.device["token"]]
                publish = ["mosquitto_pub", "-h", host, "-p", str(own), *who, "-q", "1", "-t", TOPIC]
                subprocess.run([*publish, "-m", event(published[-1])], check=True, timeout=PATIENCE_S)
                time.sleep(0.5)
            assert waiting.poll() == 0
            assert waiting.stdout
            assert json.loads(waiting.stdout.read())["id"] in published
        finally:
            waiting.kill()
            waiting.communicate()
