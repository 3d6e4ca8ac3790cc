"""The payload schemas that ``topics.yaml`` names, as JSON Schema draft-07 (what every AsyncAPI tool reads)."""

from typing import Any

from healthsync_mqtt.model.event_schema import any_event_schema, batch_schema, receipt_schema
from healthsync_mqtt.model.json_schema import Schema
from healthsync_mqtt.topics.grammar import ID_MAX

ID_PATTERN = f"^[A-Za-z0-9_-]{{1,{ID_MAX}}}$"


def _object(required: list[str], properties: dict[str, Schema], **more: Any) -> Schema:
    schema: Schema = {"type": "object"}
    if required:
        schema["required"] = required
    return schema | {"properties": properties} | more


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _one_or_many(name: str) -> list[Schema]:
    return [_ref(name), {"type": "array", "items": _ref(name), "minItems": 1}]


_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"type": "string", "format": "date-time", "description": "RFC 3339 with an offset or Z"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_OPEN: Schema = {"type": "object"}
_PRESENCE: Schema = _object(
    ["status"],
    {
        "status": {"type": "string", "description": "online, offline (on purpose) or lost (said by the will)"},
        "session": _TEXT | {"description": "names this run or connection, so that a late will can be told apart"},
        "since": _TIME,
        "version": _TEXT,
    },
)


def _component(schema: Schema) -> Schema:
    """A published schema as a part of the AsyncAPI document: it has no words that draft-07 has not."""
    return {key: said for key, said in schema.items() if key not in {"$schema", "$id"}}


_CANONICAL = _object(
    ["seq", "id", "user_id", "device_id", "type", "start_time", "value", "version", "op", "received_at"],
    {
        "seq": _COUNT | {"description": "place among the user's own events"},
        "id": _TEXT,
        "user_id": {"type": "string", "pattern": ID_PATTERN},
        "device_id": {"type": ["string", "null"]},
        "type": {"type": "string", "description": "canonical name of the type"},
        "start_time": {"type": ["string", "null"], "format": "date-time"},
        "end_time": {"type": ["string", "null"], "format": "date-time"},
        "value": {"type": ["object", "null"], "description": "null for a delete"},
        "device": _OPEN,
        "utc_offset": {"type": "integer"},
        "source": _OPEN,
        "version": _COUNT,
        "op": {"type": "string", "enum": ["upsert", "delete"]},
        "received_at": _TIME,
    },
)

_LATEST = _object(
    ["start_time", "end_time", "device_id"],
    {
        "start_time": _TIME,
        "end_time": {"type": ["string", "null"], "format": "date-time"},
        "device_id": {"type": ["string", "null"]},
    },
    additionalProperties={"type": ["number", "string"], "description": "a field of the type, named with its unit"},
    description="the newest value; no bytes: there is none, or it is shown no more",
)

_HOMEASSISTANT_CONFIG = _object(
    ["device", "origin", "components", "state_topic"],
    {"device": _OPEN, "origin": _OPEN, "components": _OPEN, "state_topic": _TEXT, "qos": {"const": 1}},
    description="as Home Assistant defines it: the discovery payload of a device; no bytes: it is to be removed",
)

_CONNECTION = _object(
    ["state"],
    {
        "state": {"type": "string", "enum": ["ok", "syncing", "needs_reauth", "rate_limited", "paused", "error"]},
        "at": _TIME,
    },
)

_TOKEN_REQUEST = _object(
    [],
    {
        "refresh_token": _TEXT | {"description": "not needed right after a login with a one-time code"},
        "transaction": _TEXT | {"description": "comes back in the response"},
    },
    additionalProperties=False,
)

_TOKEN_RESPONSE = _object(
    ["status"],
    {
        "status": {"type": "string", "enum": ["ok", "error"]},
        "transaction": _TEXT,
        "user_id": _TEXT,
        "device_id": _TEXT,
        "client_id": _TEXT | {"description": "the MQTT client id of the device"},
        "username": _TEXT,
        "token": _TEXT | {"description": "the access token: the MQTT password"},
        "expires_at": _TIME,
        "refresh_token": _TEXT | {"description": "to be kept before it is used; the one before it is void then"},
        "refresh_expires_at": _TIME,
        "reason": _TEXT,
        "message": _TEXT,
    },
)

_CHANGES_REQUEST = _object(
    [],
    {
        "user": _TEXT | {"description": "whose events; a device may leave it out"},
        "token": _TEXT | {"description": "of the last page; absent: from the beginning"},
        "types": {"type": "array", "items": _TEXT, "description": "absent: all that may be read"},
        "limit": {"type": "integer", "minimum": 1, "maximum": 500},
        "transaction": _TEXT | {"description": "comes back in the response"},
    },
    additionalProperties=False,
)

_CHANGES_RESPONSE = _object(
    ["status"],
    {
        "status": {"type": "string", "enum": ["ok", "error"]},
        "transaction": _TEXT,
        "user": _TEXT,
        "events": {"type": "array", "items": _ref("CanonicalEvent")},
        "token": _TEXT | {"description": "the place after these events"},
        "more": {"type": "boolean", "description": "whether there may be another page now"},
        "reason": _TEXT,
        "message": _TEXT,
    },
)

_GATEWAY_REQUEST: Schema = {
    "description": "a line of JSON (call, topic, traceparent), a line feed, and the bytes that belong on the topic",
}

_GATEWAY_ANSWER = _object(
    ["call"],
    {
        "call": {"type": "string", "pattern": ID_PATTERN, "description": "which request it answers"},
        "code": _COUNT | {"description": "as the reason code of a PUBACK of MQTT 5 on HealthSync's own broker"},
        "why": _TEXT,
        "said": {
            "type": "array",
            "items": {"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 2},
            "description": "what that PUBACK says in user properties: stored, duplicate, rejected, seq, epoch, …",
        },
    },
)

SCHEMAS: dict[str, Schema] = {
    "ChangesRequest": _CHANGES_REQUEST,
    "ChangesResponse": _CHANGES_RESPONSE,
    "TokenRequest": _TOKEN_REQUEST,
    "TokenResponse": _TOKEN_RESPONSE,
    "Event": _component(any_event_schema()),
    "EventBatch": _component(batch_schema(_ref("Event"))),
    "EventMessage": {"anyOf": [*_one_or_many("Event"), _ref("EventBatch")]},
    "GatewayAnswer": _GATEWAY_ANSWER,
    "GatewayRequest": _GATEWAY_REQUEST,
    "FormatMessage": {"description": "as its format says: healthsync format list"},
    "CanonicalEvent": _CANONICAL,
    "CanonicalMessage": {"anyOf": _one_or_many("CanonicalEvent")},
    "Receipt": _component(receipt_schema()),
    "DeviceStatus": _PRESENCE,
    "Command": _OPEN | {"description": "what a backend and its devices agree on"},
    "LatestValue": _LATEST,
    "HomeAssistantConfig": _HOMEASSISTANT_CONFIG,
    "HomeAssistantStatus": {"type": "string", "description": "online or offline, as Home Assistant says it"},
    "ConnectionState": _CONNECTION,
    "Insight": _OPEN,
    "BridgeStatus": _PRESENCE,
    "BridgeRejection": _object(
        ["reason", "user_id", "topic", "sha256", "bytes", "received_at"],
        {
            "reason": _TEXT,
            "field": {"type": ["string", "null"]},
            "user_id": _TEXT,
            "device_id": {"type": ["string", "null"]},
            "topic": _TEXT,
            "sha256": _TEXT | {"description": "digest of the event's own bytes"},
            "bytes": _COUNT,
            "received_at": _TIME,
        },
    ),
}
