"""Mosquitto's configuration, and the first state of its dynamic security."""

import secrets
from pathlib import Path

from healthsync_mqtt.broker.external.mosquitto.dynsec import initial_state
from healthsync_mqtt.broker.external.plan import Plan, Rendered, filled

_PLUGINS = (
    "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so",
    "/usr/lib/aarch64-linux-gnu/mosquitto_dynamic_security.so",
    "/usr/lib/mosquitto_dynamic_security.so",
    "/opt/homebrew/lib/mosquitto_dynamic_security.so",
)


def mosquitto(plan: Plan) -> dict[str, Rendered]:
    """``mosquitto.conf`` and ``dynamic-security.json``; the plugin writes into the latter."""
    plugin = next((path for path in _PLUGINS if Path(path).exists()), _PLUGINS[0])
    state = plan.directory / "dynamic-security.json"
    password = plan.admin_password or secrets.token_urlsafe(32)
    conf = filled("mosquitto", "mosquitto.conf", plan, plugin=plugin, state=state, user=plan.user or "mosquitto")
    return {
        "mosquitto.conf": Rendered(conf),
        "dynamic-security.json": Rendered(initial_state(password), private=True, keep=True),
    }
