"""JSON Schema (2020-12) of the shapes that values have: what msgspec checks, in the words of others.

The schema says what the decoder takes, and as tightly as a schema can. What compares one place with another (a stage
within its night, seconds that never go back) or is no matter of shape (invisible characters) only the decoder checks.
"""

import types
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

#: RFC 3339 with an offset or Z; the decoder refuses what is no date.
MOMENT: Final[Schema] = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:?[0-9]{2})$",
}


def json_schema(described: Any) -> Schema:
    """The schema of one msgspec type: numbers, texts, words, lists, pairs, structs, and what may be absent."""
    if get_origin(described) in {Union, types.UnionType}:
        return _any_of([json_schema(part) for part in get_args(described) if part is not msgspec.UnsetType])
    meta = msgspec.Meta()
    if get_origin(described) is Annotated:
        described, meta = get_args(described)
    origin = get_origin(described)
    if described is Any:
        return {}
    if described is int or described is float:
        limits = {"minimum": meta.ge, "maximum": meta.le}
        return {"type": "integer" if described is int else "number"} | _given(limits)
    if described is str:
        return {"type": "string"} | _given({"minLength": meta.min_length, "maxLength": meta.max_length})
    if described is bool:
        return {"type": "boolean"}
    if described is type(None):
        return {"type": "null"}
    if described is datetime:
        return dict(MOMENT)
    if origin is Literal:
        return {"enum": list(get_args(described))}
    if origin is list:
        bounds = {"minItems": meta.min_length, "maxItems": meta.max_length}
        return {"type": "array", "items": json_schema(get_args(described)[0])} | _given(bounds)
    if origin is tuple:
        items = [json_schema(item) for item in get_args(described)]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
    return _struct(described)


def _given(limits: dict[str, Any]) -> Schema:
    return {
        name: int(limit) if isinstance(limit, float) and limit.is_integer() else limit
        for name, limit in limits.items()
        if limit is not None
    }


def _any_of(parts: list[Schema]) -> Schema:
    """Alternatives; an integer or a float within the same bounds is one number."""
    numbers = [part for part in parts if part.get("type") in {"integer", "number"}]
    if len(numbers) > 1:
        wide = next(part for part in numbers if part["type"] == "number")
        parts = [wide, *(part for part in parts if part not in numbers)]
    if {"type": "null"} in parts and len(parts) == 2:
        first = parts[0]
        if "type" in first and "enum" not in first and "const" not in first:
            return first | {"type": [first["type"], "null"]}
        if "enum" in first:
            return first | {"enum": [*first["enum"], None]}
    return parts[0] if len(parts) == 1 else {"anyOf": parts}


def _struct(described: Any) -> Schema:
    fields = msgspec.structs.fields(described)
    required = [each.encode_name for each in fields if each.required]
    schema: Schema = {"type": "object"} | ({"required": required} if required else {})
    schema["properties"] = {each.encode_name: json_schema(each.type) for each in fields}
    if described.__struct_config__.forbid_unknown_fields:
        schema["additionalProperties"] = False
    return schema
