"""What a broker's configuration is made for, and one file of it. Each broker's folder has the part that writes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from string import Template

from healthsync_mqtt.broker.external.grants import Grants
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.topics.registry import TopicRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a configuration is made for. ``directory`` is where the broker finds the files and keeps its state."""

    settings: Settings
    topics: TopicRegistry
    directory: Path
    certfile: Path
    keyfile: Path
    cafile: Path
    host: str = "0.0.0.0"  # noqa: S104 - TLS and credentials guard it
    port: int = 8883
    user: str = ""
    hooks_url: str = "http://127.0.0.1:8870"
    management_port: int = 15672
    admin_password: str = field(default="", repr=False)
    hooks_secret: str = field(default="", repr=False)
    grants: Mapping[str, Grants] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rendered:
    """One file. ``private``: it holds a secret and is written with mode 0600."""

    content: bytes
    private: bool = False
    keep: bool = False
    """An existing file is not replaced: the broker has written into it since."""


def filled(broker: str, name: str, plan: Plan, **more: object) -> bytes:
    """The template ``name`` in the broker's folder, with the values of the plan."""
    folder = resources.files("healthsync_mqtt.broker.external") / broker
    return Template((folder / name).read_text(encoding="utf-8")).substitute(_common(plan) | more).encode()


def _common(plan: Plan) -> dict[str, object]:
    limits, external = plan.settings.limits, plan.settings.external
    return {
        "host": plan.host,
        "port": plan.port,
        "directory": plan.directory,
        "certfile": plan.certfile,
        "keyfile": plan.keyfile,
        "cafile": plan.cafile,
        "max_connections": limits.max_connections,
        "max_packet": limits.max_packet + 1_024,
        "max_payload": limits.max_packet,
        "max_keepalive": limits.max_keep_alive_s,
        "inflight": external.receive_maximum,
        "expiry_s": int(limits.session_expiry_s),
        "expiry_ms": int(limits.session_expiry_s * 1000),
        "expiry_days": max(1, round(limits.session_expiry_s / 86_400)),
        "hooks_url": plan.hooks_url,
        "hooks_secret": plan.hooks_secret,
        "management_port": plan.management_port,
    }
