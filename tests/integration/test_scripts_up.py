"""scripts/up as people start it: once, and with a second data directory beside the first."""

import contextlib
import queue
import re
import subprocess
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import jwt
import paho.mqtt.client as paho
import pytest

from tests.support.checkout import make_checkout
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.service import Service

FREE = ["--mqtt-port", "0", "--mqtts-port", "0", "--wss-port", "0"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return make_checkout(tmp_path / "checkout")


class Started(Service):
    """A run of scripts/up instead of ``healthsync up``."""

    def __init__(self, checkout: Path, data: Path, *options: str, env: Mapping[str, str] | None = None) -> None:
        super().__init__(data, env=env)
        chosen = [] if data == checkout / "data" else ["--data", str(data)]
        self._command = [str(checkout / "scripts" / "up"), *chosen, "--json", *options]
        self._env.pop("HEALTHSYNC_DATA", None)


@contextlib.contextmanager
def first_of(checkout: Path) -> Iterator[Service]:
    with Started(checkout, checkout / "data", *FREE) as service:
        yield service


def test_a_second_one_says_how_it_can_run_beside_and_takes_nothing_from_the_first(
    checkout: Path, tmp_path: Path
) -> None:
    with first_of(checkout) as first:
        ca = (checkout / "certs" / "ca.crt").read_bytes()
        assert ca == first.ca_file.read_bytes()
        assert (checkout / "data").stat().st_mode & 0o777 == 0o700
        for name in ("demo-watch.token", "demo-app.token"):
            assert (checkout / "data" / name).stat().st_mode & 0o777 == 0o600
        taken = ["--mqtt-port", str(first.mqtt[1]), "--mqtts-port", str(first.mqtts[1])]
        refused = subprocess.run(
            [str(checkout / "scripts/up"), "--data", str(tmp_path / "other"), *taken, "--wss-port", str(first.wss[1])],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert refused.returncode == 69, refused.stderr
        fix = re.findall(r"--\w+-port 0", refused.stderr)
        assert len(fix) == 3
        options = [word for each in fix for word in each.split()]
        with Started(checkout, tmp_path / "other", *options) as second:
            assert second.mqtts != first.mqtts
            assert str(tmp_path / "other" / "certs" / "ca.crt") in second.log_tail()
            assert (checkout / "certs" / "ca.crt").read_bytes() == ca
            assert first.cli("events", "list", "--user", "demo", "--limit", "1")


def test_the_logins_of_the_demo_are_renewed_while_it_runs(checkout: Path) -> None:
    """What a reader copies from the files works at any time; the simulated watch outlives its own token as well."""
    with Started(checkout, checkout / "data", *FREE, env={"HEALTHSYNC_TOKEN__LIFETIME_S": "10"}) as service:
        files = [checkout / "data" / name for name in ("demo-watch.token", "demo-app.token")]
        over = max(map(end_of, files))
        for file in files:
            wait_until(lambda file=file: end_of(file) > over, f"another {file.name}")
            assert file.stat().st_mode & 0o777 == 0o600
        # Each attempt reads the file anew, as the page's line does.
        wait_until(lambda: lets_in(service, files[0].read_text()), "a login with what the file has now")

        def newest() -> str:
            return str(service.cli("events", "list", "--device", "simulator", "--limit", "1")[-1]["received_at"])

        wait_until(lambda: datetime.fromisoformat(newest()).timestamp() > over, "the simulator has another login too")


def end_of(file: Path) -> int:
    """When the token in a file ends."""
    return int(jwt.decode(file.read_text(), options={"verify_signature": False})["exp"])


def lets_in(service: Service, token: str) -> bool:
    said: queue.Queue[bool] = queue.Queue()
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="demo-watch", reconnect_on_failure=False)
    client.on_connect = lambda *words: said.put(not words[3].is_failure)
    client.username_pw_set("demo-watch", token)
    client.connect(*service.mqtt)
    client.loop_start()
    try:
        return said.get(timeout=PATIENCE_S)
    finally:
        client.disconnect()
        client.loop_stop()


def test_who_asks_for_help_gets_no_certificate(checkout: Path) -> None:
    asked = subprocess.run([checkout / "scripts" / "up", "--help"], capture_output=True, text=True, check=True)
    assert "Usage: healthsync up" in asked.stdout
    assert not (checkout / "data").exists()
    assert not (checkout / "certs" / "ca.crt").exists()
