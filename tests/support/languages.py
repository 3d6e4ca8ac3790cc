"""Clients of MQTT 5 in other languages, built from their registries' packages: MQTT.js, paho (Go, Java, C), HiveMQ's.

Each connects a subscriber and a device, publishes one event and prints what the acknowledgement said and what arrived.
Where a language is not installed its tests are skipped with that reason; where its packages cannot be had they are
skipped too, and in CI they fail.
"""

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.java_brokers import FOLDER, JAVA, class_path

_HERE = Path(__file__).parent / "languages"
_BUILD_S = 300
_RUN_S = 60


def run(name: str, asked: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What the client ``name`` prints; ``folder`` is for what is built, once a session.

    JavaScript and Go read ``asked`` from stdin; the others get it as arguments, in the order of ``_arguments``.
    """
    match name:
        case "js":
            command = ["node", str(_js(folder) / "client.mjs")]
        case "js-queue":
            command = ["node", str(_js(folder) / "queue.mjs")]
        case "go":
            command = _go(folder)
        case "c":
            command = [*_c(folder), *_arguments(asked)]
        case _:
            command = [*JAVA, "-cp", class_path("clients"), str(FOLDER / f"{name}.java"), *_arguments(asked)]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False, timeout=_RUN_S)
    assert done.returncode == 0, done.stderr[-2_000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    message = answer.pop("message", None)
    return answer if message is None else answer | {"id": message["id"]}


def _arguments(asked: dict[str, Any]) -> list[str]:
    said = [asked[key] for key in ("protocol", "host", "port", "ca_file", "filter", "topic", "event")]
    logins = [asked[who][key] for who in ("subscriber", "device") for key in ("client_id", "token")]
    return [*map(str, said), *logins]


@functools.cache
def _js(folder: Path) -> Path:
    _needs("npm", "node", package="nodejs npm")
    place = folder / "js"
    shutil.copytree(_HERE / "js", place)
    _make(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], place, "MQTT.js")
    return place


@functools.cache
def _go(folder: Path) -> list[str]:
    _needs("go", package="golang-go")
    made = folder / "go-client"
    _make(["go", "build", "-o", str(made), "."], _HERE / "go", "paho.golang")
    return [str(made)]


@functools.cache
def _c(folder: Path) -> list[str]:
    _needs("cc", package="gcc")
    if not Path("/usr/include/MQTTAsync.h").exists():
        pytest.skip("paho's C library is not installed (Debian: apt install libpaho-mqtt-dev)")
    made = folder / "c-client"
    _make(["cc", "-o", str(made), "client.c", "-lpaho-mqtt3cs"], _HERE / "c", "libpaho-mqtt-dev")
    return [str(made)]


def _needs(*tools: str, package: str) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)}: not installed (Debian: apt install {package})")


def _make(command: list[str], place: Path, what: str) -> None:
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=_BUILD_S)
    if done.returncode == 0:
        return
    missing = f"{what} cannot be built: {(done.stderr or done.stdout)[-600:]}"
    if os.environ.get("CI", "").lower() not in {"", "0", "false"}:
        pytest.fail(missing)
    pytest.skip(missing)
