"""What the shell offers for users, devices, subscribers, sinks and types. Reads only; whatever fails offers nothing."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.catalogue import CATALOGUE


def users(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of users."""
    return _of_registry(ctx, incomplete, lambda registry: (user.id for user in registry.users()))


def devices(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of the devices of the user that was written before; of all users' without one."""
    user = ctx.params.get("user")
    return _of_registry(ctx, incomplete, lambda registry: (each.device_id for each in registry.devices(user)))


def subscribers(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of subscribers."""
    return _of_registry(ctx, incomplete, lambda registry: (each.name for each in registry.subscribers()))


def clients(ctx: typer.Context, incomplete: str) -> list[str]:
    """Client ids of devices and subscribers."""

    def known(registry: Registry) -> list[str]:
        return [each.client_id for each in registry.devices()] + [each.name for each in registry.subscribers()]

    return _of_registry(ctx, incomplete, known)


def sinks(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of sinks: their files' names."""
    return _beginning(incomplete, (file.stem for file in (_data(ctx) / "sinks").glob("*.json")))


def types(incomplete: str) -> list[str]:
    """Names of types."""
    return _beginning(incomplete, CATALOGUE)


def _of_registry(ctx: typer.Context, incomplete: str, names: Any) -> list[str]:
    file = _data(ctx) / "registry.db"
    if not file.is_file():
        return []  # looking must not create one
    try:
        with Registry.open(file) as registry:
            return _beginning(incomplete, names(registry))
    except (HealthSyncError, OSError):
        return []


def _data(ctx: typer.Context) -> Path:
    return Path(ctx.params.get("data") or os.environ.get("HEALTHSYNC_DATA") or "data")


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})
