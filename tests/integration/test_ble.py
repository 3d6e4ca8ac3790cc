"""``healthsync ble`` from its command line to the log of a running service, on virtual peripherals."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import child
from tests.support.ble_cli import METER, SCALE, STRAP
from tests.support.pages import Typist, Walk
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.service import HEALTHSYNC, Service

ROOT = Path(__file__).parents[2]
VIRTUAL = [sys.executable, "-m", "tests.support.ble_cli"]
_ROOM = 32_768
"""Bytes of an outbox that has events in it, and more than its schema."""
ALICE = ("--user", "alice", "--device", "scale", "--zone", "Europe/Berlin")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("ble") / "data") as running:
        running.cli("user", "add", "alice", "--consent", "all")
        yield running


def ble(service: Service, *words: str) -> tuple[int, list[dict[str, Any]], str]:
    """What a command prints on a machine with a radio."""
    done = subprocess.run(
        [*VIRTUAL, *words],
        env=os.environ | {"HEALTHSYNC_DATA": str(service.data)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_who_is_there(service: Service) -> None:
    code, found, _ = ble(service, "ble", "scan", "--within", "1s", "--json")
    assert code == 0
    assert {each["address"]: (each["name"], each["profiles"]) for each in found} == {
        SCALE: ("Scale", ["weight_scale"]),
        METER: ("Meter", ["glucose"]),
        STRAP: ("Strap", ["heart_rate"]),
    }


def test_a_weighing_is_stored_and_the_same_one_is_known(service: Service) -> None:
    for expected in ({"stored": 1, "duplicate": 0}, {"stored": 0, "duplicate": 1}):
        code, (told,), said = ble(service, "ble", "read", SCALE, "--once", *ALICE, "--json")
        assert code == 0, said
        assert {name: told[name] for name in expected} == expected
        assert told["profiles"] == ["weight_scale"]
    (event,) = service.cli("events", "list", "--user", "alice", "--type", "weight")
    assert event["value"] == {"kg": 72.4}
    assert event["device_id"] == "scale"
    assert event["start_time"] == "2026-11-20T06:12:33.000000Z"


def test_another_users_weighing_is_left_out_and_told(service: Service) -> None:
    code, (told,), _ = ble(service, "ble", "read", SCALE, "--once", *ALICE, "--slot", "2", "--json", "--within", "2s")
    assert code == 0
    assert (told["events"], told["left_out"]) == (0, {"another_user": 1})


def test_whose_it_is_has_to_be_said(service: Service) -> None:
    code, _, said = ble(service, "ble", "read", SCALE, "--once")
    assert (code, "--user USER --device DEVICE" in said) == (2, True)


def listening(service: Service, login: Path, server: str) -> "subprocess.Popen[str]":
    where = ("--credentials", str(login), "--ca-file", str(service.data / "certs" / "ca.crt"), "--server", server)
    return child.start(
        [*VIRTUAL, "ble", "run", STRAP, *where, "--json"],
        env=os.environ | {"HEALTHSYNC_DATA": str(service.data)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def stopped(running: "subprocess.Popen[str]") -> dict[str, Any]:
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 0
    told: dict[str, Any] = json.loads(out)
    return told


def test_what_was_heard_while_the_service_was_away_waits_in_a_file(service: Service, tmp_path: Path) -> None:
    login, outbox = tmp_path / "strap.json", tmp_path / "strap.outbox"
    (made,) = service.cli("device", "add", "alice", "strap")
    login.write_text(json.dumps(made))
    login.chmod(0o600)

    def stored() -> int:
        return len(service.cli("events", "list", "--user", "alice", "--type", "heart_rate", "--limit", "100000"))

    running = listening(service, login, "127.0.0.1:1")
    try:
        wait_until(lambda: outbox.exists() and outbox.stat().st_size > _ROOM)
    finally:
        first = stopped(running)
    assert outbox.stat().st_mode & 0o077 == 0
    assert (first["events"] > 0, stored()) == (True, 0)
    host, port = service.mqtts
    running = listening(service, login, f"{host}:{port}")
    try:
        wait_until(lambda: stored() > first["events"])
    finally:
        second = stopped(running)
    assert stored() == first["events"] + second["events"]


def test_a_machine_without_a_radio_is_told_what_to_do(service: Service) -> None:
    done = subprocess.run(
        [*HEALTHSYNC, "ble", "scan", "--within", "1s", "--json"],
        env=os.environ | {"HEALTHSYNC_DATA": str(service.data), "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere/bus"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 69
    error = json.loads(done.stderr)["error"]
    assert error["reason"] == "radio_unavailable"
    assert "bluez" in error["fix"].lower()


def test_the_page_is_typed(service: Service, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    main = "from healthsync_mqtt.cli.main import main; main()"
    lines = {
        "healthsync": f'[ "$1" = ble ] && exec {sys.executable} -m tests.support.ble_cli "$@"\n'
        f"exec {sys.executable} -c '{main}' \"$@\"",
        "pip": f"exec {sys.executable} -c 'import bleak'",
    }
    for name, line in lines.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    service.cli("user", "add", "carol", "--consent", "all")
    host, port = service.mqtts
    swaps = {
        "--user alice --device scale": "--user carol --device scale",
        "device add alice meter": "device add carol meter",
        "health.example.org:8883": f"{host}:{port}",
        "data/certs/ca.crt": f"{service.data}/certs/ca.crt",
    }
    environment = os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HEALTHSYNC_DATA": str(service.data),
        "PYTHONPATH": str(ROOT),
    }

    def glucose() -> bool:
        return bool(service.cli("events", "list", "--user", "carol", "--type", "glucose"))

    typist = Typist(cwd=tmp_path, env=environment, swaps=swaps, stays={"ble run": glucose})
    try:
        walk = Walk("docs/howto/ble.md", typist)
        walk.go(4)
        walk.done()
    finally:
        typist.close()
