"""The README's examples, run as printed on a service as scripts/up prepares it; only ports and places are swapped."""

import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import child
from tests.support.patience import PATIENCE_S
from tests.support.servers import Influxd
from tests.support.service import Service, run_cli

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECTIONS = dict(SECTION.findall(README))


def block(section: str, language: str, number: int = 0) -> str:
    """A fenced block of a section."""
    found = [text for name, text in BLOCK.findall(SECTIONS[section]) if name == language]
    return found[number]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that looks like a checkout after scripts/up: tokens, CA file, the command."""
    root = tmp_path_factory.mktemp("readme")
    data = root / "data"
    run_cli(data, "user", "add", "demo", "--consent", "all")
    watch = run_cli(data, "device", "add", "demo", "watch")[0]
    app = run_cli(data, "subscriber", "add", "demo-app", "--users", "demo", "--types", "*")[0]
    (data / "demo-watch.token").write_text(watch["token"])
    (data / "demo-app.token").write_text(app["token"])
    (root / ".venv" / "bin").mkdir(parents=True)
    command = root / ".venv" / "bin" / "healthsync"
    command.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "from healthsync_mqtt.cli.main import main; main()" "$@"\n'
    )
    command.chmod(0o755)
    (root / "certs").mkdir()
    return root


@pytest.fixture(scope="module")
def up(checkout: Path) -> Iterator[Service]:
    service = Service(checkout / "data")
    with service:
        (checkout / "certs" / "ca.crt").write_bytes(service.ca_file.read_bytes())
        yield service


def shell(text: str, checkout: Path, service: Service) -> str:
    """Run a block of the README; the port of the TLS listener is the only thing that is different."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text.replace("-p 8883", f"-p {service.mqtts[1]}")],
        cwd=checkout,
        env={name: value for name, value in os.environ.items() if name != "HEALTHSYNC_DATA"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.real_server
def test_publish_and_list(checkout: Path, up: Service) -> None:
    assert shell(block("Publish", "sh"), checkout, up) == ""
    # As beside scripts/up: what the simulator sends meanwhile is newer.
    newer = [
        {"id": f"sim-{n}", "type": "heart_rate", "start_time": f"2026-11-24T06:00:{n:02}Z", "value": {"bpm": 60}}
        for n in range(20)
    ]
    (checkout / "newer.json").write_text(json.dumps(newer))
    up.cli("publish", str(checkout / "newer.json"), "--user", "demo", "--device", "simulator")
    listed = shell(block("Publish", "sh", 1), checkout, up)
    assert '"id":"readme-1"' in listed.replace(" ", "")
    shown = shell(block("Publish", "sh", 2), checkout, up)
    assert "readme-1" in shown
    assert "watch" in shown
    shell(block("Publish", "sh"), checkout, up)
    assert listed.count("readme-1") == shell(block("Publish", "sh", 1), checkout, up).count("readme-1") == 1


@pytest.mark.real_server
def test_subscribe(checkout: Path, up: Service) -> None:
    subscribe = block("Subscribe", "sh").replace("-p 8883", f"-p {up.mqtts[1]}")
    waiting = child.start(["bash", "-c", f"exec {subscribe.strip()}"], cwd=checkout, stdout=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + PATIENCE_S
        # mosquitto_sub says nothing when it has subscribed: publish until it has what it waits for.
        for number in itertools.takewhile(lambda _: time.monotonic() < end, itertools.count()):
            shell(block("Publish", "sh").replace("readme-1", f"readme-sub-{number}"), checkout, up)
            with contextlib.suppress(subprocess.TimeoutExpired):
                waiting.wait(0.5)
                break
        assert waiting.poll() == 0
        assert waiting.stdout
        seen = waiting.stdout.read().splitlines()
    finally:
        waiting.kill()
        waiting.communicate()
    assert any(line.startswith("users/demo/canonical/heart_rate ") and "readme-sub" in line for line in seen), seen


def test_python_client(checkout: Path, up: Service) -> None:
    shell(block("From Python", "sh"), checkout, up)
    assert (checkout / "data" / "demo-phone.json").stat().st_mode & 0o777 == 0o600
    program = block("From Python", "python").replace("8883", str(up.mqtts[1]))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=checkout, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1 stored, 0 known before, 0 rejected\n"


def test_a_devices_life(checkout: Path, up: Service) -> None:
    add, enrol = block("A device's life", "sh").splitlines()
    shell(add, checkout, up)
    code = json.loads(shell(f"{enrol} --json", checkout, up))["code"]
    (checkout / "ring.py").write_text(block("A device's life", "python").replace("8883", str(up.mqtts[1])))

    def ring(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "ring.py", *words],
            cwd=checkout,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert ring(code) == ring() == "stored"
    withdraw, rejected, remove, audit, verify = block("A device's life", "sh", 1).splitlines()
    shell(withdraw, checkout, up)
    until = time.monotonic() + PATIENCE_S
    while (said := ring()) == "stored" and time.monotonic() < until:
        pass
    assert said == "no_consent"
    assert "no_consent" in shell(rejected, checkout, up)
    shell(remove, checkout, up)
    assert "device.removed" in shell(audit, checkout, up)
    shell(verify, checkout, up)


@pytest.mark.real_server
def test_an_activity_ends_as_points(checkout: Path, up: Service, tmp_path: Path) -> None:
    with Influxd(tmp_path / "influxd") as server:
        place = f"localhost:{server.port}"
        shell(block("Query and chart", "sh").replace("localhost:8086", place), checkout, up)
        # Carol took back her consent above: a sink that is new gets nothing of hers.
        stored = len(up.cli("events", "list", "--type", "heart_rate", "--user", "demo"))
        assert stored >= 120
        until = time.monotonic() + PATIENCE_S
        query = block("Query and chart", "sh", 1).replace("localhost:8086", place)
        while '"values"' not in (answer := shell(query, checkout, up)) or json_count(answer) < stored:
            assert time.monotonic() < until, (answer, stored, up.cli("sink", "status"))
        assert json_count(answer) == stored
        # The server ends here, and doctor would say so, rightly.
        shell(".venv/bin/healthsync sink remove influxdb --yes", checkout, up)


def test_every_block_of_the_readme_is_run_by_a_test_of_this_file() -> None:
    own = Path(__file__).read_text(encoding="utf-8")
    used = {(section, language, int(number or 0))
            for section, language, number in re.findall(r'block\("([^"]+)", "(\w+)"(?:, (\d+))?\)', own)}  # fmt: skip
    there = set()
    for section, text in SECTIONS.items():
        counts: dict[str, int] = {}
        for language, _ in BLOCK.findall(text):
            if language != "text":
                there.add((section, language, counts.setdefault(language, 0)))
                counts[language] += 1
    assert there == used


def json_count(answer: str) -> int:
    return int(json.loads(answer)["results"][0]["series"][0]["values"][0][1])


def test_commands(checkout: Path, up: Service) -> None:
    lines = block("Commands", "sh").splitlines()
    assert len(lines) >= 8
    for line in lines:
        shell(line, checkout, up)


def test_the_example_event_and_receipt_are_what_the_code_reads() -> None:
    from bridge.decode.delivery import decode
    from healthsync_mqtt.model.origin import Origin
    from healthsync_mqtt.model.receipt import parse_receipt

    origin = Origin(user="demo", device="watch", provider=None, topic="users/demo/devices/watch/events")
    late = 4_000_000_000_000_000
    decoded = decode(block("The event", "json").encode(), origin, late)
    assert (len(decoded.events), decoded.rejections) == (1, [])
    receipt = parse_receipt(block("The event", "json", 1).encode())
    assert (receipt.stored, receipt.duplicate, receipt.rejected[0].code) == (98, 1, "out_of_range")
