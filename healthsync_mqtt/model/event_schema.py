"""JSON Schemas: of what devices send (events, batches), of what they are told (receipts), and of canonical events."""

from collections.abc import Iterable
from typing import Any, Final

from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event import DEVICE_FIELDS, RECORDINGS, SOURCE_FIELDS
from healthsync_mqtt.model.event_type import EventType, Form
from healthsync_mqtt.model.json_schema import DIALECT, MOMENT, Schema, json_schema
from healthsync_mqtt.model.limits import DEFAULT
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.model.receipt import Receipt

BASE: Final = "https://healthsync.invalid/schemas/"
"""What the ids of the schemas begin with; they are names and lead nowhere."""

_MOST: Final = 2**53
_TEXT: Final[Schema] = {"type": "string", "maxLength": DEFAULT.max_string}
_WORD: Final[Schema] = {"type": ["string", "null"], "maxLength": DEFAULT.max_string}
_SCALAR: Final[Schema] = {"type": ["string", "number", "boolean", "null"], "maxLength": DEFAULT.max_string}
_NAME: Final[Schema] = {"type": "string", "minLength": 1}
_EVENT: Final[Schema] = {"$ref": "event.json"}
_DELETED: Final[Schema] = {"required": ["op"], "properties": {"op": {"const": "delete"}}}


def value_schema(of: EventType) -> Schema:
    """The value of a type in any of its forms."""
    forms = [_form(form) for form in of.forms.values()]
    return forms[0] if len(forms) == 1 else {"anyOf": forms}


def _form(form: Form) -> Schema:
    schema = json_schema(form.type)
    if form.schema is not None:
        schema = form.schema(schema)
    # The first API had the app's name within the value.
    return schema | {"properties": schema["properties"] | {"source": _TEXT}}


def event_schema(of: EventType) -> Schema:
    """A whole event of one type: what a device may publish, and nothing else."""
    required = ["start_time", "value"] if of.max_span_us is None else ["start_time", "end_time", "value"]
    schema = _envelope({"type": {"enum": [of.name, *of.aliases]}})
    given: Schema = {"required": required, "properties": {"value": value_schema(of)}}
    if of.max_span_us is not None:
        given["properties"]["end_time"] = MOMENT
    return _titled(f"types/{of.name}.json", f"An event of the type {of.name}", schema | _unless_deleted(given)) | {
        "examples": [example_event(of)]
    }


def canonical_schema(of: EventType) -> Schema:
    """A canonical event of one type: what ``record.canonical_json`` makes of a row. Later versions may add fields."""
    deleted: Schema = {"properties": {"value": {"const": None}}}
    upserted: Schema = {"properties": {"value": value_schema(of), "start_time": MOMENT}}
    if of.max_span_us is not None:
        upserted["properties"]["end_time"] = MOMENT
    no_time = {"anyOf": [MOMENT, {"type": "null"}]}
    place: Schema = {"type": "integer", "minimum": 1}
    schema: Schema = {
        "type": "object",
        "required": [
            "seq", "id", "user_id", "device_id", "type", "start_time", "end_time", "value", "version", "op",
            "received_at",
        ],
        "properties": {
            "seq": place | {"description": "place among the user's own events"},
            "id": {"type": "string", "minLength": 1, "maxLength": 128},
            "user_id": _NAME,
            "device_id": {"anyOf": [_NAME, {"type": "null"}]},
            "type": {"const": of.name},
            "start_time": no_time,
            "end_time": no_time,
            "value": {},
            "device": {"type": "object"},
            "utc_offset": {"type": "integer", "minimum": -64_800, "maximum": 64_800},
            "source": {"type": "object"},
            "version": {"type": "integer", "minimum": 0, "maximum": _MOST},
            "op": {"enum": ["upsert", "delete"]},
            "received_at": MOMENT,
        },
        "if": _DELETED,
        "then": deleted,
        "else": upserted,
    }  # fmt: skip
    return _titled(canonical_name(of.name), f"A canonical event of the type {of.name}", schema)


def canonical_name(type_name: str) -> str:
    """What the id of the schema of a type's canonical events ends with, after ``BASE``."""
    return f"canonical/{type_name}.json"


def any_event_schema() -> Schema:
    """An event of any type; what its value is, the schema of its type says."""
    names = [name for of in CATALOGUE.values() for name in (of.name, *of.aliases)]
    schema = _envelope({"type": {"enum": sorted(names)}})
    given: Schema = {"required": ["start_time", "value"], "properties": {"value": {"type": "object"}}}
    return _titled("event.json", "An event", schema | _unless_deleted(given))


def batch_schema(event: Schema = _EVENT) -> Schema:
    """Events that are sent together under a name; ``event`` is the reference to the schema of one."""
    schema: Schema = {
        "type": "object",
        "required": ["batch", "events"],
        "properties": {
            "batch": {"type": "string", "minLength": 1, "maxLength": DEFAULT.max_batch_id},
            "events": {
                "type": "array",
                "items": event,
                "minItems": 1,
                "maxItems": DEFAULT.max_events,
            },
        },
        "additionalProperties": False,
    }
    return _titled("batch.json", "A batch of events", schema)


def receipt_schema() -> Schema:
    """What a device is told about its events. Later versions may add fields and reasons."""
    schema = json_schema(Receipt)
    code = schema["properties"]["rejected"]["items"]["properties"]["code"]
    code["examples"] = [reason.value for reason in Reason]
    return _titled("receipt.json", "A receipt", schema)


def schemas() -> dict[str, Schema]:
    """Every schema by the name of its file."""
    found = {"event.json": any_event_schema(), "batch.json": batch_schema(), "receipt.json": receipt_schema()}
    found |= {f"types/{of.name}.json": event_schema(of) for of in CATALOGUE.values()}
    return found | {canonical_name(of.name): canonical_schema(of) for of in CATALOGUE.values()}


def words(of: EventType) -> dict[str, list[str]]:
    """The words of each field at the top of a value that is one of a closed set."""
    fields = json_schema(of.usual.type)["properties"]
    return {name: [word for word in field["enum"] if word] for name, field in fields.items() if "enum" in field}


def example_event(of: EventType) -> dict[str, Any]:
    """An event of a type as a device sends it."""
    start, end = of.example_span
    event: dict[str, Any] = {"id": f"{of.name}-1", "type": of.name, "start_time": start}
    if end is not None:
        event["end_time"] = end
    return event | {"value": dict(of.example)}


def _titled(name: str, title: str, schema: Schema) -> Schema:
    return {"$schema": DIALECT, "$id": BASE + name, "title": title} | schema


def _unless_deleted(given: Schema) -> Schema:
    """A delete needs neither time nor value, and has no value that is looked at."""
    return {"if": _DELETED, "else": given}


def _envelope(own: Schema) -> Schema:
    return {
        "type": "object",
        "required": ["id", "type"],
        "properties": {
            "id": {"type": "string", "minLength": 1, "maxLength": 128},
            **own,
            "start_time": MOMENT,
            "end_time": {"anyOf": [MOMENT, {"type": "null"}]},
            "value": {},
            "user_id": {"type": ["string", "integer", "null"], "minimum": 0, "maximum": _MOST},
            "device": _scalars(DEVICE_FIELDS, {}),
            "utc_offset": {"type": ["integer", "null"], "minimum": -64_800, "maximum": 64_800},
            "source": _scalars(SOURCE_FIELDS, {"recording": {"enum": [*RECORDINGS, None]}}),
            "version": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": _MOST}, {"const": "latest"}]},
            "op": {"enum": ["upsert", "delete"]},
        },
        "additionalProperties": False,
    }


def _scalars(known: Iterable[str], own: Schema) -> Schema:
    """``device`` or ``source``: known texts, and some plain fields more."""
    texts = dict.fromkeys(known, _WORD) | own
    return {
        "type": ["object", "null"],
        "properties": texts,
        "additionalProperties": _SCALAR,
        "propertyNames": {"maxLength": DEFAULT.max_string},
        "maxProperties": len(texts) + DEFAULT.max_unknown,
    }
