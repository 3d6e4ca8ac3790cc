"""docs/howto/clients.md: each program compiled and run as it stands there, with a good token and with a bad one."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.fetched import cargo_crate, go_module, npm_package, python_packages, python_source
from tests.support.java_brokers import JAVA, class_path
from tests.support.pages import blocks
from tests.support.service import Service, run_cli

PAGE = "docs/howto/clients.md"
EVENT = {
    "type": "weight", "start_time": "2026-11-23T06:00:00Z", "value": {"kg": 70.5}, "device": {"model": "Wäge 2"},
}  # fmt: skip
pytestmark = pytest.mark.real_server


@dataclass(frozen=True, slots=True)
class Setup:
    """A running service and the token of alice's watch."""

    service: Service
    token: str


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    data = tmp_path_factory.mktemp("clients") / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    token = run_cli(data, "device", "add", "alice", "watch")[0]["token"]
    # Each of them is refused on purpose from the same address; that they wait longer and longer is another test's.
    (data / "healthsync.toml").write_text("[limits]\nfailed_login_base_s = 0.01\n")
    with Service(data) as service:
        yield Setup(service, token)


def javascript(place: Path, source: str) -> list[str]:
    (place / "publish.js").write_text(source)
    (place / "node_modules").symlink_to(npm_package("mqtt", "5.16.0") / "node_modules")
    return ["node", "publish.js"]


def python(place: Path, source: str) -> list[str]:
    (place / "publish.py").write_text(source)
    return [sys.executable, "publish.py"]


def java(place: Path, source: str) -> list[str]:
    (place / "Publish.java").write_text(source)
    return [*JAVA, "-cp", class_path("clients"), "Publish.java"]


def go(place: Path, source: str) -> list[str]:
    program = go_module("paho", {"main.go": source}, "github.com/eclipse/paho.mqtt.golang", "v1.5.1")
    shutil.copy(program, place / "publish")
    return ["./publish"]


def c(place: Path, source: str) -> list[str]:
    compiler = shutil.which("cc")
    if compiler is None or not Path("/usr/include/MQTTClient.h").exists():
        pytest.skip("libpaho-mqtt-dev and a C compiler are not installed: scripts/test installs them where it can")
    (place / "publish.c").write_text(source)
    subprocess.run(
        [compiler, "-Wall", "-Werror", "publish.c", "-o", "publish", "-lpaho-mqtt3cs"], cwd=place, check=True
    )
    return ["./publish"]


def rust(place: Path, source: str) -> list[str]:
    shutil.copy(cargo_crate("rumqttc-example", source, "rumqttc", "0.24.0"), place / "publish")
    return ["./publish"]


def micropython(place: Path, source: str) -> list[str]:
    """MicroPython itself. PyPI's umqtt is of before ``SSLContext``: the module that it asks for hands the page's over.

    mip, which the page names, fetches from a server that no test can count on; its umqtt (1.8.0) was tried by hand.
    """
    (place / "umqtt").mkdir()
    (place / "umqtt" / "simple.py").write_bytes(python_source(*UMQTT))
    (place / "ussl.py").write_text(
        "import __main__\n"
        "def wrap_socket(sock):\n"
        "    return __main__.tls.wrap_socket(sock, server_hostname='localhost')\n"
    )
    subprocess.run(["openssl", "x509", "-in", "ca.crt", "-outform", "der", "-out", "ca.der"], cwd=place, check=True)
    (place / "publish.py").write_text(source)
    # Nothing of ours is in its environment; the page's program has its token in a file.
    start = (
        "import os, sys; open('token', 'w').write(os.environ['TOKEN']); sys.path.insert(0, sys.argv.pop());"
        "import micropython_run; sys.exit(micropython_run.run_main(['micropython', 'publish.py']))"
    )
    return [sys.executable, "-c", start, str(python_packages(MICROPYTHON))]


MICROPYTHON = Path(__file__).parents[1] / "support" / "languages" / "micropython.lock"
UMQTT = (
    "https://files.pythonhosted.org/packages/bd/cf/697e3418b2f44222b3e848078b1e33ee76aedca9b6c2430ca1b1aec1ce1d",
    "micropython-umqtt.simple-1.3.4.tar.gz",
    "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f",
    "umqtt/simple.py",
)
LANGUAGES = {"js": javascript, "python": python, "java": java, "go": go, "c": c, "rust": rust}
OTHERS = {"umqtt, MicroPython": micropython}
"""By section, what is not run as its language is."""
PROGRAMS = [block for block in blocks(PAGE) if block.reason is None]


def test_every_client_of_the_page_has_one_program() -> None:
    sections = [block.section for block in blocks(PAGE)]
    assert sections == [
        *("MQTT.js", "paho, Python", "aiomqtt", "paho, Java", "HiveMQ client, Java"),
        *("paho, Go", "paho, C", "rumqttc, Rust", "umqtt, MicroPython"),
    ]
    assert len(PROGRAMS) == len(sections)


DEFAULT_VERSION = {
    "paho, Java": ("options.setMqttVersion(MqttConnectOptions.MQTT_VERSION_3_1_1);", "(5)"),
    "paho, Go": (".SetProtocolVersion(4)", "not Authorized"),
    "paho, C": ("options.MQTTVersion = MQTTVERSION_3_1_1;", "refused: 5"),
}
"""What the page tells each to set, and how it says "not authorized" when it is left out."""


@pytest.mark.parametrize("section", DEFAULT_VERSION)
def test_a_refused_login_that_is_tried_again_as_3_1_is_refused_in_the_same_words(
    setup: Setup, tmp_path: Path, section: str
) -> None:
    (program,) = (each for each in PROGRAMS if each.section == section)
    setting, says = DEFAULT_VERSION[section]
    assert setting in program.text
    source = program.text.replace(setting, "").replace("8883", str(setup.service.mqtts[1]))
    # Java's launcher cannot print an exception of another thread: it is said before.
    caught = "catch (MqttException e) { System.err.println(e); System.exit(1); }"
    source = source.replace("client.connect(options);", f"try {{ client.connect(options); }} {caught}")
    (tmp_path / "event.json").write_text(json.dumps({"id": section, **EVENT}))
    shutil.copy(setup.service.ca_file, tmp_path / "ca.crt")
    command = LANGUAGES[program.language](tmp_path, source)

    def run(token: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"TOKEN": token}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    before = refusals(setup)
    bad = run("no-token")
    assert bad.returncode != 0
    assert says in bad.stdout + bad.stderr
    assert refusals(setup) >= before + 2, "it did not try again"
    assert run(setup.token).stdout == "stored\n"


def refusals(setup: Setup) -> int:
    return int(setup.service.cli("status")[0]["counters"]["logins_refused"])


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda block: block.section)
def test_a_program_stores_an_event_and_ends_when_it_is_refused(setup: Setup, tmp_path: Path, program) -> None:
    source = program.text.replace("8883", str(setup.service.mqtts[1]))
    assert source != program.text
    name = "".join(filter(str.isalnum, program.section))
    (tmp_path / "event.json").write_text(json.dumps({"id": name, **EVENT}, ensure_ascii=False))
    shutil.copy(setup.service.ca_file, tmp_path / "ca.crt")
    command = OTHERS.get(program.section, LANGUAGES[program.language])(tmp_path, source)

    def run(token: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"TOKEN": token}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    good = run(setup.token)
    assert (good.returncode, good.stdout) == (0, "stored\n"), good.stderr
    stored = [row for row in setup.service.cli("events", "list", "--user", "alice") if row["id"] == name]
    assert len(stored) == 1
    bad = run("no-token")
    assert bad.returncode != 0
    assert "stored" not in bad.stdout
