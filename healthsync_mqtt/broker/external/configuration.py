"""Complete configurations for external brokers, made from the settings and ``topics.yaml``."""

from collections.abc import Callable, Mapping
from pathlib import Path

from healthsync_mqtt.broker.external.emqx.configuration import emqx
from healthsync_mqtt.broker.external.hivemq.configuration import hivemq
from healthsync_mqtt.broker.external.mosquitto.configuration import mosquitto
from healthsync_mqtt.broker.external.plan import Plan, Rendered
from healthsync_mqtt.broker.external.rabbitmq.configuration import rabbitmq
from healthsync_mqtt.broker.external.vernemq.configuration import vernemq
from healthsync_mqtt.config.private_files import make_private_directory, write_durably
from healthsync_mqtt.errors import ConfigError, InputError

_UNSAFE = frozenset("\n\r\0\"'\\{}")
_MAKERS: Mapping[str, Callable[[Plan], dict[str, Rendered]]] = {
    "emqx": emqx,
    "hivemq": hivemq,
    "mosquitto": mosquitto,
    "rabbitmq": rabbitmq,
    "vernemq": vernemq,
}
BROKERS = tuple(_MAKERS)
"""The brokers that there are templates for."""


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
