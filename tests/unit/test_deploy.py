"""Deployment files, as far as they can be checked without a container engine or systemd."""

import configparser
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from healthsync_mqtt.cli.main import app
from healthsync_mqtt.config.settings import ENV_PREFIX, Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
COMPOSE = sorted((DEPLOY / "compose").glob("*.yaml"))


def check_command(words: list[str]) -> None:
    """The words name a command of ours, and every option in them is one of its options."""
    command: object = typer.main.get_command(app)
    rest = list(words)
    while (members := getattr(command, "commands", None)) is not None:
        command = members[rest.pop(0)]
    options = {name for parameter in command.params for name in parameter.opts}  # type: ignore[attr-defined]
    assert {word for word in rest if word.startswith("--")} <= options


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_runs_a_command_that_exists_and_is_hardened(path: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(path.read_text())
    service = dict(unit["Service"])
    program, *words = shlex.split(service["ExecStart"])
    assert program == "/opt/healthsync/bin/healthsync"
    check_command(words)
    assert service["User"] == "healthsync"
    assert service["NoNewPrivileges"] == service["PrivateTmp"] == service["ProtectHome"] == "yes"
    assert (service["ProtectSystem"], service["UMask"], service["StateDirectoryMode"]) == ("strict", "0077", "0700")


def waits_for_setup(services: dict[str, Any], service: dict[str, Any]) -> bool:
    """It starts after setup has ended well, by itself or behind one that does."""
    behind = service.get("depends_on", {})
    if behind.get("setup", {}).get("condition") == "service_completed_successfully":
        return True
    shared = service.get("network_mode", "").removeprefix("service:")
    return any(waits_for_setup(services, services[name]) for name in [*behind, *filter(None, [shared])])


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_a_compose_file_names_volumes_services_commands_and_settings_that_exist(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    services = document["services"]
    keys = {"data", *(setting.key for setting in Settings().describe())}
    for service in services.values():
        assert set(service.get("depends_on", [])) <= set(services)
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (path.parent / source).exists() if source.startswith(".") else source in document["volumes"]
        for name in service.get("environment", {}):
            if name.startswith(ENV_PREFIX):
                assert name.removeprefix(ENV_PREFIX).lower().replace("__", ".") in keys
        if service.get("image") == "healthsync-mqtt" and "entrypoint" not in service:
            check_command(service["command"])
        assert re.fullmatch(r"healthsync-mqtt|[\w./-]+:v?\d[\w.-]*", service["image"]), "a release, and not the newest"
    assert "profiles" not in services["setup"], "it runs by itself, before the others"
    waits = {name for name, service in services.items() if waits_for_setup(services, service)}
    assert waits == services.keys() - {"setup"}
    assert "${" not in re.sub(r"\$\{\w+:-[^}]*\}", "", path.read_text()), (
        "a variable without a default has to be prepared"
    )


def test_the_builder_is_given_what_the_image_is_made_of_and_nothing_else() -> None:
    """A checkout has keys in data/, an environment and a history beside it."""
    copied = set()
    for line in re.sub(r"\\\n\s*", "", (DEPLOY / "compose" / "Dockerfile").read_text()).splitlines():
        if line.startswith("COPY "):
            copied |= set(line.split()[1:-1])
    kept = [
        line for line in (DEPLOY.parent / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert kept[0] == "*"
    assert {line[1:] for line in kept if line.startswith("!")} == copied


def test_the_page_about_systemd_names_units_paths_and_commands_that_exist() -> None:
    page = (DEPLOY.parent / "docs" / "howto" / "systemd.md").read_text()
    ours = [
        line.partition("/opt/healthsync/bin/healthsync ")[2]
        for line in page.splitlines()
        if "sudo -u healthsync" in line
    ]
    assert len(ours) == 3
    for line in ours:
        check_command(shlex.split(line))
    assert all(f"deploy/systemd/{path.name}" in page for path in UNITS)
    for path in UNITS:
        assert "HEALTHSYNC_DATA=/var/lib/healthsync" in path.read_text()
