"""Where people reach the gateway of a running service."""

from pathlib import Path
from typing import Annotated

import typer

from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.errors import UnavailableError, UsageError

BaseUrl = Annotated[
    str | None,
    typer.Option("--base", help="Where the gateway is reached from outside, such as https://health.example.org."),
]


def gateway_url(data: Path, base: str | None) -> str:
    """``base``, or the running gateway's own URL. UsageError, UnavailableError."""
    if base is not None:
        if not base.startswith(("https://", "http://")):
            raise UsageError("--base is no URL", hint="--base https://health.example.org")
        return base.rstrip("/")
    found = ServiceFile.read(data).http
    if not found:
        raise UnavailableError(
            "the service has no gateway", hint="start it with: healthsync up --http-port 8443, or name --base"
        )
    return found
