"""healthsync gateway run, where it does not begin."""

import os
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.errors import UnavailableError


def test_no_gateway_serves_beside_a_bridge_on_an_external_broker(data: Path, run: Callable[..., Result]) -> None:
    """Such a broker does not say what is stored, and an answer over HTTP would."""
    data.mkdir(mode=0o700)
    ServiceFile(
        pid=os.getpid(),
        mqtt="",
        mqtts="127.0.0.1:2",
        wss="",
        ca_file="ca.crt",
        socket=str(data / "service.sock"),
        started_at="2026-11-23T06:00:00.000000Z",
        version="1",
    ).write(data)
    refused = run("gateway", "run", "--http-port", "0")
    assert refused.exit_code == UnavailableError.exit_code
    assert "works on an external broker" in refused.output
    assert "healthsync up" in refused.output
