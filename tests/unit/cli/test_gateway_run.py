"""healthsync gateway run, where it does not begin."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import Result

from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.errors import ConfigError, NotFoundError

Run = Callable[..., Result]


@pytest.fixture
def bridge(data: Path) -> ServiceFile:
    """A bridge that runs on an external broker."""
    data.mkdir(mode=0o700)
    made = ServiceFile(
        pid=os.getpid(),
        mqtt="",
        mqtts="127.0.0.1:2",
        wss="",
        ca_file="ca.crt",
        socket=str(data / "service.sock"),
        started_at="2026-11-23T06:00:00.000000Z",
        version="1",
    )
    made.write(data)
    return made


def test_beside_a_bridge_that_has_a_part_of_the_users_it_would_find_no_others(
    data: Path, run: Run, bridge: ServiceFile
) -> None:
    """Whether the command said so, or the settings."""
    replace(bridge, shard="1/2").write(data)
    by_command = run("gateway", "run", "--http-port", "0")
    bridge.write(data)
    (data / "healthsync.toml").write_text('[external]\nshard = "2/2"\n')
    by_settings = run("gateway", "run", "--http-port", "0")
    for refused in (by_command, by_settings):
        assert refused.exit_code == ConfigError.exit_code
        assert "a part of the users" in refused.output
        assert "storage.shared" in refused.output


@pytest.mark.usefixtures("bridge")
def test_beside_a_registry_that_is_elsewhere_it_has_no_keys(data: Path, run: Run) -> None:
    (data / "healthsync.toml").write_text('[external]\nregistry_file = "/srv/main/registry.db"\n')
    refused = run("gateway", "run", "--http-port", "0")
    assert refused.exit_code == ConfigError.exit_code
    assert "--data /srv/main" in refused.output


@pytest.mark.usefixtures("bridge")
def test_without_its_credential_it_says_how_the_broker_is_told(run: Run) -> None:
    refused = run("gateway", "run", "--http-port", "0")
    assert refused.exit_code == NotFoundError.exit_code
    assert "healthsync-gateway" in refused.output
    assert "healthsync broker provision mosquitto" in refused.output
