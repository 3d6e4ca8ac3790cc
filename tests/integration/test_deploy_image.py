"""The image, without a container engine: the Dockerfile's files suffice to install, and its account runs each service.

This is what docs/howto/compose.md says was tried.

The steps run in a directory; where the tests are root they run as the image's uid, which owns nothing else.
"""

import json
import os
import re
import shlex
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.integration.test_package import environment, run
from tests.support.accounts import interpreter, taken_on
from tests.support.ports import free_port
from tests.support.service import HEALTHSYNC, Service
from tests.support.wheelhouse import locked_wheels

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy" / "compose"
STEPS = [
    (line.split(maxsplit=1)[0], line.split(maxsplit=1)[1])
    for line in re.sub(r"\\\n\s*", "", (COMPOSE / "Dockerfile").read_text()).splitlines()
    if line and not line.startswith("#")
]


def steps(word: str) -> list[str]:
    return [rest for name, rest in STEPS if name == word]


def copied(source: Path) -> Path:
    """What COPY brings."""
    for step in steps("COPY"):
        *names, target = step.split()
        for name in names:
            to = source / target / (name if target == "./" else "")
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, to, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, to)
    return source


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the image holds: the programs, installed from what COPY brings, and the directories that RUN makes."""
    source = copied(tmp_path_factory.mktemp("src"))
    # Beside pytest's own directories, which no other account may enter.
    with tempfile.TemporaryDirectory(prefix="image-") as directory:
        place = Path(directory)
        place.chmod(0o755)
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", place / "dist", cwd=source)
        environment(place / "venv", next((place / "dist").glob("*.whl")), interpreter(UID) or sys.executable)
        owner = account()
        for command in steps("RUN")[0].split("&&"):
            words = shlex.split(command)
            if words[:2] == ["install", "-d"]:
                mode = int(words[words.index("-m") + 1], 8)
                for target in (word for word in words[2:] if word.startswith("/")):
                    made = place / target.lstrip("/")
                    made.mkdir(parents=True)
                    made.chmod(mode)
                    if owner is not None:
                        os.chown(made, owner, owner)
        yield place


UID = int(steps("USER")[0].partition(":")[0])


def account() -> int | None:
    """The uid of USER where the tests may take it on."""
    return UID if interpreter(UID) else None


def as_account() -> list[str]:
    return taken_on(UID) if interpreter(UID) else []


class Installed(Service):
    """The service from the programs of the image instead of this checkout."""

    def __init__(self, program: list[str], data: Path, env: dict[str, str]) -> None:
        super().__init__(data, env=env)
        self._command = [*program, *self._command[len(HEALTHSYNC) :]]


def set_up(image: Path, *words: str) -> None:
    paths = {"HEALTHSYNC_DATA": image / "data", "SECRETS": image / "secrets", "BROKER": image / "mosquitto/healthsync"}
    setting = {name: str(path) for name, path in paths.items()}
    setting["PATH"] = f"{image}/venv/bin:{os.environ['PATH']}"
    run(*as_account(), "sh", COMPOSE / "setup.sh", *words, cwd=image, **setting)


def test_the_pip_step_installs_all_that_the_entry_point_needs_from_what_copy_brings(tmp_path: Path) -> None:
    """In an environment that sees nothing else; the packages are those of the tests' environment, packed again."""
    source, wheels = tmp_path / "src", tmp_path / "wheels"
    source.mkdir()
    wheels.mkdir()
    copied(source)
    (source / "requirements.lock").write_text(locked_wheels((source / "requirements.lock").read_text(), wheels))
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    settings = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_NO_COMPILE": "1"}
    settings["PATH"] = f"{tmp_path}/venv/bin:{os.environ['PATH']}"
    (_, step) = steps("RUN")
    assert step.startswith("pip install")
    run("sh", "-c", step, cwd=source, **settings)
    (entry,) = json.loads(steps("ENTRYPOINT")[0])
    assert str(tmp_path) in run("sh", "-c", f"command -v {entry}", cwd=tmp_path, **settings)
    # Every import of every command.
    said = run(entry, "user", "add", "alice", "--consent", "all", "--data", "data", "--json", cwd=tmp_path, **settings)
    assert json.loads(said)["user_id"] == "alice"
    program = "import bridge.__main__, healthsync_mqtt.broker.external.hooks; print(bridge.__file__)"
    assert str(tmp_path) in run("python", "-c", program, cwd=tmp_path, **settings)


def test_setup_makes_what_the_others_need_and_changes_nothing_the_second_time(image: Path) -> None:
    set_up(image, "mosquitto")
    made = {path: path.read_bytes() for path in sorted((image / "secrets").iterdir())}
    assert [path.name for path in made] == ["grafana-password", "influx-password", "influx-token"]
    assert len(set(made.values())) == 3
    assert all(len(secret) == 48 for secret in made.values())
    # Other containers have other accounts.
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o644 for path in made)
    token = image / "data" / "influx.token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert token.read_bytes() == made[image / "secrets" / "influx-token"]
    state = (image / "mosquitto/healthsync/dynamic-security.json").read_bytes()
    set_up(image, "mosquitto")
    assert {path: path.read_bytes() for path in made} == made
    assert (image / "mosquitto/healthsync/dynamic-security.json").read_bytes() == state


def test_the_embedded_service_runs_as_the_account_of_the_image_and_is_ready_by_its_health_check(image: Path) -> None:
    set_up(image)
    service = yaml.safe_load((COMPOSE / "embedded.yaml").read_text())["services"]["healthsync"]
    assert service["command"] == ["up"]
    kind, *check = service["healthcheck"]["test"]
    assert kind == "CMD"
    assert service["environment"]["HEALTHSYNC_METRICS__PORT"] == "9464"
    port = str(free_port())
    program = [*as_account(), str(image / "venv/bin/healthsync")]
    with Installed(program, image / "data", {"HEALTHSYNC_METRICS__PORT": port}) as running:
        asked = [word.replace(":9464/", f":{port}/") for word in check]
        assert asked != check
        run(sys.executable, *asked[1:], cwd=image)
        added = run(*program, "user", "add", "alice", "--consent", "all", "--data", image / "data", "--json", cwd=image)
        assert json.loads(added)
        assert running.running
    owners = {path.stat().st_uid for path in (image / "data").rglob("*")}
    assert owners == {os.geteuid() if account() is None else account()}
