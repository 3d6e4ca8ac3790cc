"""The payload schemas that ``topics.yaml`` names, as JSON Schema draft-07 (what every AsyncAPI tool reads)."""

from typing import Any

from healthsync_mqtt.topics.grammar import ID_MAX

Schema = dict[str, Any]

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
_IDS_OR_COUNT: Schema = {"oneOf": [{"type": "array", "items": _TEXT}, _COUNT]}
_PRESENCE: Schema = _object(
    ["status"],
    {
        "status": {"type": "string", "description": "online, offline (on purpose) or lost (said by the will)"},
        "session": _TEXT | {"description": "names this run or connection, so that a late will can be told apart"},
        "since": _TIME,
        "version": _TEXT,
    },
)

_EVENT = _object(
    ["id", "type"],
    {
        "id": {"type": "string", "description": "the client's idempotency id, unique per user"},
        "user_id": {"type": ["string", "integer"], "description": "when present, the user of the topic"},
        "type": {"type": "string", "description": "a type of the catalogue, or an alias of one"},
        "start_time": _TIME,
        "end_time": {"type": ["string", "null"], "format": "date-time"},
        "value": {
            "type": "object",
            "description": "the value model of the type, or its series: {samples: [[s, v], …]}",
        },
        "device": {"type": "object", "description": "describes the sensor; identity comes from the topic"},
        "utc_offset": {"type": "integer", "description": "seconds east of UTC where it was recorded"},
        "source": _OPEN,
        "version": _COUNT | {"default": 0},
        "op": {"type": "string", "enum": ["upsert", "delete"], "default": "upsert"},
    },
    additionalProperties=False,
    # A delete needs neither time nor value.
    anyOf=[{"required": ["op"], "properties": {"op": {"const": "delete"}}}, {"required": ["start_time", "value"]}],
)

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

_RECEIPT = _object(
    ["epoch", "seq", "stored", "duplicate", "rejected"],
    {
        "epoch": {"type": "string", "description": "names the event log; a new one means a restored backup"},
        "seq": _COUNT | {"description": "how far the user's own events are"},
        "batch": {"type": ["string", "null"], "description": "the batch this answers"},
        "stored": _IDS_OR_COUNT | {"description": "ids, or how many of the batch"},
        "duplicate": _IDS_OR_COUNT | {"description": "ids, or how many of the batch"},
        "rejected": {
            "type": "array",
            "items": _object(
                ["index", "code"],
                {
                    "index": _COUNT | {"description": "place in the delivery"},
                    "id": {"type": ["string", "null"]},
                    "code": {"type": "string", "description": "one of the closed list of reasons"},
                    "field": {"type": ["string", "null"]},
                    "message": _TEXT,
                    "retry": {"type": "boolean", "description": "keep it and send it again later"},
                    "held": {"type": "boolean", "description": "the service takes it by itself when its clock allows"},
                    "topic": {"type": "string", "description": "a whole message went nowhere; this was its topic"},
                    "limit": _COUNT | {"description": "bytes of the longest packet, where it was longer"},
                },
            ),
        },
        "unlisted": _COUNT | {"description": "so many more events were rejected; send smaller batches to hear which"},
        "ignored": {
            "type": "array",
            "items": {"type": "string", "enum": ["retain"]},
            "description": "what was asked for and is not done: events are stored and never retained",
        },
    },
)

_BATCH = _object(
    ["events"],
    {"batch": {"type": "string"}, "events": {"type": "array", "items": _ref("Event"), "minItems": 1}},
    additionalProperties=False,
)

_CONNECTION = _object(
    ["state"],
    {"state": {"type": "string", "enum": ["ok", "needs_reauth", "rate_limited", "error"]}, "at": _TIME},
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

SCHEMAS: dict[str, Schema] = {
    "TokenRequest": _TOKEN_REQUEST,
    "TokenResponse": _TOKEN_RESPONSE,
    "Event": _EVENT,
    "EventBatch": _BATCH,
    "EventMessage": {"anyOf": [*_one_or_many("Event"), _ref("EventBatch")]},
    "CanonicalEvent": _CANONICAL,
    "CanonicalMessage": {"anyOf": _one_or_many("CanonicalEvent")},
    "Receipt": _RECEIPT,
    "DeviceStatus": _PRESENCE,
    "Command": _OPEN | {"description": "what a backend and its devices agree on"},
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
