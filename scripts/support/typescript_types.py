"""The types of the TypeScript client, from the schemas and the OpenAPI document: its ``src/generated.ts``."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event_schema import event_schema
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.topics.registry import TopicRegistry
from scripts.support.schema_files import ROOT, openapi

PATH: Final = ROOT / "clients" / "typescript" / "src" / "generated.ts"
_NAME: Final = re.compile(r"[A-Za-z_$][\w$]*")
_SCALARS: Final = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}
_METHODS: Final = ("get", "put", "post", "patch", "delete")
_HEAD: Final = """\
// Written by scripts/docs from the schemas; changes made here are lost.
"""


def page() -> str:
    """The whole text of the file."""
    return "\n".join([_HEAD, *_topics(), *_events(), *_schemas(), *_routes()]) + "\n"


def _topics() -> Iterator[str]:
    registry = TopicRegistry.load()
    yield "/** Topics that a client uses, by name. */"
    yield "export const TOPICS = {"
    for name in ("device_events", "receipts", "status", "enroll_request", "enroll_response"):
        yield f"  {name}: {_quoted(registry[name].template.text)},"
    yield "} as const;\n"


def _events() -> Iterator[str]:
    yield "/** Why an event was not accepted. More words may come. */"
    yield f"export type Reason =\n{_lines(_quoted(each.value) for each in Reason)};\n"
    first = event_schema(next(iter(CATALOGUE.values())))["properties"]
    for name in ("device", "source"):
        filled = {**first[name], "type": "object"}
        yield f"export type Event{name.title()} = {typed(filled)};\n"
    yield "/** The value of an event by its type, as it is sent. */\nexport interface EventValues {"
    for each in CATALOGUE.values():
        value = event_schema(each)["else"]["properties"]["value"]
        yield f"  {each.name}: {typed(value, '  ')};"
    yield "}\n"


def _schemas() -> Iterator[str]:
    for name, schema in openapi()["components"]["schemas"].items():
        if name == Reason.__name__:  # told with the events
            continue
        yield f"export type {'CanonicalEvent' if name == 'Event' else name} = {typed(schema)};\n"


def _routes() -> Iterator[str]:
    yield "/** Every route of the gateway that answers JSON: what it takes, and what it answers with 200. */"
    yield "export interface Routes {"
    for path, methods in openapi()["paths"].items():
        for method in (each for each in _METHODS if each in methods):
            yield f"  {_quoted(f'{method.upper()} {path}')}: {{"
            yield from _route(methods[method])
            yield "  };"
    yield "}"


def _route(route: Mapping[str, Any]) -> Iterator[str]:
    for where in ("path", "query"):
        named = [each for each in route.get("parameters", ()) if each["in"] == where]
        members = [_parameter(each) for each in named]
        listed = "; ".join(members)
        said = f"{{ {listed} }}" if members else "Record<never, never>"
        yield f"    {where}: {said};"
    sent = route.get("requestBody", {}).get("content", {})
    body = sent.get("application/json", {}).get("schema")
    yield f"    body: {typed(body, '    ') if body else 'undefined' if not sent else 'unknown'};"
    answer = next((each for code, each in sorted(route["responses"].items()) if code.startswith("2")), {})
    schema = answer.get("content", {}).get("application/json", {}).get("schema")
    yield f"    answer: {typed(schema, '    ') if schema else 'undefined'};"


def _parameter(each: Mapping[str, Any]) -> str:
    said = typed(each["schema"])
    return f"{_key(each['name'])}: {said}" if each.get("required") else f"{_key(each['name'])}?: {said} | undefined"


def typed(schema: Mapping[str, Any], indent: str = "") -> str:
    """The type that a schema describes. What only narrows it (lengths, ranges, patterns) is left out."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return "CanonicalEvent" if name == "Event" else name
    if "enum" in schema or "const" in schema:
        words = schema["enum"] if "enum" in schema else [schema["const"]]
        return _union(_quoted(word) for word in words)
    if "allOf" in schema and "type" not in schema:
        return " & ".join(typed(each, indent) for each in schema["allOf"])
    kinds = schema.get("type")
    if kinds is None:
        forms = schema.get("anyOf") or schema.get("oneOf")
        return _union(typed(form, indent) for form in forms) if forms else "unknown"
    return _union(_one(kind, schema, indent) for kind in (kinds if isinstance(kinds, list) else [kinds]))


def _one(kind: str, schema: Mapping[str, Any], indent: str) -> str:
    if kind == "object":
        return _object(schema, indent)
    if kind == "array":
        if "prefixItems" in schema:
            places = [typed(each, indent) for each in schema["prefixItems"]]
            least = schema.get("minItems", 0)
            return f"[{', '.join(each if at < least else f'({each})?' for at, each in enumerate(places))}]"
        return f"Array<{typed(schema.get('items', {}), indent)}>"
    return _SCALARS[kind]


def _object(schema: Mapping[str, Any], indent: str) -> str:
    properties = schema.get("properties", {})
    rest = schema.get("additionalProperties")
    if not properties:
        return f"Record<string, {typed(rest, indent) if isinstance(rest, dict) else 'unknown'}>"
    required, deeper = frozenset(schema.get("required", ())), indent + "  "
    lines = ["{"]
    for name, each in properties.items():
        if isinstance(each, dict) and "description" in each:
            lines.append(f"{deeper}/** {each['description']} */")
        said = "unknown" if each is True else typed(each, deeper)
        optional = "" if name in required else "?"
        more = "" if name in required or said == "unknown" else " | undefined"
        lines.append(f"{deeper}{_key(name)}{optional}: {said}{more};")
    if isinstance(rest, dict) and rest:
        lines.append(f"{deeper}[name: string]: {typed(rest, deeper)} | undefined;")
    elif rest is True:
        lines.append(f"{deeper}[name: string]: unknown;")
    return "\n".join([*lines, f"{indent}}}"])


def _union(types: Iterator[str]) -> str:
    return " | ".join(dict.fromkeys(types)) or "never"


def _lines(words: Iterator[str]) -> str:
    return "\n".join(f"  | {word}" for word in words)


def _key(name: str) -> str:
    return name if _NAME.fullmatch(name) else _quoted(name)


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
