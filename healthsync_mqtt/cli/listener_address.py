"""How a listener is written for people: the address of this machine, which others it takes, what is typed elsewhere."""

import socket
from collections.abc import Iterable
from pathlib import Path

from healthsync_mqtt.control.service_file import ServiceFile, split_address
from healthsync_mqtt.errors import HealthSyncError

_EVERY = {"0.0.0.0": "every IPv4 address", "[::]": "every IPv6 address"}  # noqa: S104


def reached(here: str, bound: Iterable[str]) -> str:
    """How a listener is reached on this machine, and what else it is bound to."""
    others = ", ".join(
        _EVERY.get(each.rpartition(":")[0], each) for each in bound if not here.endswith(f"//{each}") and each != here
    )
    return f"{here} ({others})" if others else here


def ports(data: Path, mqtts: int, wss: int) -> dict[str, int]:
    """Where the service listens, when it runs; else where it is set to."""
    try:
        service = ServiceFile.read(data)
        return {"mqtts_port": split_address(service.mqtts)[1], "wss_port": split_address(service.wss)[1]}
    except (HealthSyncError, ValueError):
        return {"mqtts_port": mqtts, "wss_port": wss}


def known_host(named: Iterable[str]) -> str:
    """A name that the certificate carries and that leads here."""
    named, own = tuple(named), socket.gethostname()
    for host in (*named, own):
        try:
            socket.getaddrinfo(host, None)
        except OSError:
            continue
        return host
    return named[0] if named else "localhost"
