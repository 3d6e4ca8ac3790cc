"""The declared topics as an AsyncAPI 3.0 document, and as the table of the docs.

The application is the service (broker and bridge together): it receives what clients publish and sends what they
subscribe to. Facts: AsyncAPI 3.0.0; MQTT bindings 0.2.0.
"""

import json
from collections.abc import Iterable
from typing import Any

import yaml

from healthsync_mqtt import __version__
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.topics.grammar import ID_MAX
from healthsync_mqtt.topics.registry import Channel, TopicRegistry
from healthsync_mqtt.topics.schemas import SCHEMAS

_BINDING = "0.2.0"
_PARAMETERS = {
    "user": "id of the user",
    "device": "id of the device, unique per user",
    "provider": "name of the adapter's cloud provider",
    "type": "canonical name of the event type",
    "kind": "kind of the insight",
    "bridge": "id of the bridge",
    "client": "MQTT client id of the asking client",
    "format": "name of a payload format",
}


def asyncapi(registry: TopicRegistry, *, host: str = "localhost") -> dict[str, Any]:
    """The AsyncAPI document of ``registry`` as plain data."""
    payloads = sorted({channel.payload for channel in registry})
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "HealthSync MQTT",
            "version": __version__,
            "description": "Health events from devices, their receipts, and the canonical events for subscribers.",
        },
        "defaultContentType": "application/json",
        "servers": _servers(registry, host),
        "channels": {channel.key: _channel(channel) for channel in registry},
        "operations": {name: body for channel in registry for name, body in _operations(channel)},
        "components": {
            "messages": {name: _message(name) for name in payloads},
            "parameters": _parameters(registry.types),
            "schemas": SCHEMAS | {name: {} for name in payloads if name not in SCHEMAS},
            "securitySchemes": {
                "token": {"type": "userPassword", "description": "user name = client id, password = token"},
            },
        },
    }


def asyncapi_json(registry: TopicRegistry) -> str:
    """The document as indented JSON, ending in a newline."""
    return json.dumps(asyncapi(registry), indent=2, ensure_ascii=False) + "\n"


def asyncapi_yaml(registry: TopicRegistry) -> str:
    """The document as YAML."""
    # Through JSON, so that shared parts are written out and not as anchors.
    return yaml.safe_dump(json.loads(asyncapi_json(registry)), sort_keys=False, allow_unicode=True, width=120)


def topic_table(registry: TopicRegistry | None = None) -> str:
    """The table of topics for the docs, in Markdown."""
    rows = [
        "| topic | publish | subscribe | QoS | retained | payload | what it carries |",
        "|---|---|---|---|---|---|---|",
    ]
    for channel in registry or TopicRegistry.load():
        cells = (
            f"`{channel.template.text}`",
            _roles(channel.roles_publish),
            _roles(channel.roles_subscribe),
            str(channel.qos),
            "yes" if channel.retain else "no",
            channel.payload,
            channel.summary,
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _roles(roles: Iterable[Role]) -> str:
    return ", ".join(role for role in Role if role in roles)


def _servers(registry: TopicRegistry, host: str) -> dict[str, Any]:
    security = [{"$ref": "#/components/securitySchemes/token"}]
    binding: dict[str, Any] = {"cleanSession": False, "keepAlive": 60, "bindingVersion": _BINDING}
    wills = [channel for channel in registry if channel.will and Role.device in channel.roles_publish]
    for channel in wills[:1]:
        binding["lastWill"] = {"topic": channel.template.text, "qos": channel.qos, "retain": channel.retain}
    return {
        name: {
            "host": f"{host}:{port}",
            "protocol": protocol,
            "protocolVersion": "3.1.1",
            "description": text,
            "security": security,
            "bindings": {"mqtt": binding},
        }
        for name, port, protocol, text in (
            ("mqtts", 8883, "secure-mqtt", "MQTT over TLS"),
            ("wss", 8084, "wss", "MQTT over WebSocket over TLS"),
        )
    }


def _parameters(types: frozenset[str] | None) -> dict[str, Any]:
    parameters: dict[str, dict[str, Any]] = {
        name: {"description": f"{text}; 1 to {ID_MAX} of A-Z a-z 0-9 _ -"} for name, text in _PARAMETERS.items()
    }
    if types is not None:
        parameters["type"]["enum"] = sorted(types)
    return parameters


def _channel(channel: Channel) -> dict[str, Any]:
    return {
        "address": channel.template.text,
        "description": channel.summary,
        "messages": {channel.payload: {"$ref": f"#/components/messages/{channel.payload}"}},
        "parameters": {name: {"$ref": f"#/components/parameters/{name}"} for name in channel.template.variables},
        "x-direction": channel.direction.value,
    }


def _operations(channel: Channel) -> Iterable[tuple[str, dict[str, Any]]]:
    clients_publish = channel.roles_publish - {Role.bridge}
    clients_subscribe = channel.roles_subscribe - {Role.bridge}
    if clients_publish:
        yield f"receive_{channel.key}", _operation(channel, "receive", f"Published by: {_roles(clients_publish)}")
    if clients_subscribe:
        yield f"send_{channel.key}", _operation(channel, "send", f"Subscribed to by: {_roles(clients_subscribe)}")


def _operation(channel: Channel, action: str, description: str) -> dict[str, Any]:
    reply: dict[str, Any] = {}
    if channel.answer and action == "receive":
        reply = {"reply": {"channel": {"$ref": f"#/channels/{channel.answer}"}}}
    return reply | {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel.key}"},
        "summary": channel.summary,
        "description": description,
        "messages": [{"$ref": f"#/channels/{channel.key}/messages/{channel.payload}"}],
        "bindings": {"mqtt": {"qos": channel.qos, "retain": channel.retain, "bindingVersion": _BINDING}},
    }


def _message(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{name}"},
    }
