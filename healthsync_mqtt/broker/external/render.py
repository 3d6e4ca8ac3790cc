"""Complete configurations for external brokers, made from the settings and ``topics.yaml``."""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from string import Template

from healthsync_mqtt.broker.external.grants import Grants
from healthsync_mqtt.broker.external.mosquitto.dynsec import initial_state
from healthsync_mqtt.config.private_files import make_private_directory, write_durably
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.errors import ConfigError, InputError
from healthsync_mqtt.topics.registry import TopicRegistry

_PLUGINS = (
    "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so",
    "/usr/lib/aarch64-linux-gnu/mosquitto_dynamic_security.so",
    "/usr/lib/mosquitto_dynamic_security.so",
    "/opt/homebrew/lib/mosquitto_dynamic_security.so",
)
_UNSAFE = frozenset("\n\r\0\"'\\{}")


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


def render(broker: str, plan: Plan) -> dict[str, Rendered]:
    """The files of one broker by name. InputError for an unknown broker, ConfigError for an unusable path."""
    for path in (plan.directory, plan.certfile, plan.keyfile, plan.cafile):
        if _UNSAFE.intersection(str(path)):
            raise ConfigError(f"{path} cannot stand in a broker's configuration", hint="use a path without quotes")
    maker = _MAKERS.get(broker)
    if maker is None:
        raise InputError(f"there is no template for {broker}", hint=f"one of: {', '.join(sorted(_MAKERS))}")
    return maker(plan)


def write(files: Mapping[str, Rendered], out: Path) -> list[Path]:
    """Write the files into ``out`` and return the paths of those that were written."""
    make_private_directory(out)
    written = []
    for name, rendered in files.items():
        path = out / name
        if rendered.keep and path.exists():
            continue
        write_durably(path, rendered.content, mode=0o600 if rendered.private else 0o644)
        written.append(path)
    return written


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


def _fill(name: str, values: Mapping[str, object]) -> bytes:
    folder = resources.files("healthsync_mqtt.broker.external") / "templates"
    return Template((folder / name).read_text(encoding="utf-8")).substitute(values).encode()


def _mosquitto(plan: Plan) -> dict[str, Rendered]:
    plugin = next((path for path in _PLUGINS if Path(path).exists()), _PLUGINS[0])
    state = plan.directory / "dynamic-security.json"
    values = _common(plan) | {"plugin": plugin, "state": state, "user": plan.user or "mosquitto"}
    password = plan.admin_password or secrets.token_urlsafe(32)
    return {
        "mosquitto.conf": Rendered(_fill("mosquitto.conf", values)),
        "dynamic-security.json": Rendered(initial_state(password), private=True, keep=True),
    }


def _rabbitmq(plan: Plan) -> dict[str, Rendered]:
    plugins = b"[rabbitmq_mqtt,rabbitmq_auth_backend_http,rabbitmq_management].\n"
    return {
        "rabbitmq.conf": Rendered(_fill("rabbitmq.conf", _common(plan)), private=True),
        "enabled_plugins": Rendered(plugins),
    }


def _emqx(plan: Plan) -> dict[str, Rendered]:
    return {"emqx.conf": Rendered(_fill("emqx.conf", _common(plan)), private=True)}


def _vernemq(plan: Plan) -> dict[str, Rendered]:
    return {"vernemq.conf": Rendered(_fill("vernemq.conf", _common(plan)), private=True)}


def _hivemq(plan: Plan) -> dict[str, Rendered]:
    rights = {client_id: asdict(grants) for client_id, grants in sorted(plan.grants.items())}
    return {
        "config.xml": Rendered(_fill("hivemq.xml", _common(plan))),
        "hivemq-rights.json": Rendered(json.dumps(rights, indent=2).encode() + b"\n", private=True),
    }


_MAKERS: dict[str, Callable[[Plan], dict[str, Rendered]]] = {
    "emqx": _emqx,
    "hivemq": _hivemq,
    "mosquitto": _mosquitto,
    "rabbitmq": _rabbitmq,
    "vernemq": _vernemq,
}
