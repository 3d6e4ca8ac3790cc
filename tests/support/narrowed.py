"""What one JSON Schema took and another does not: found by comparing their words, place by place.

It knows the words that our schemas use. Where it cannot tell, it says that the schema is narrower.
"""

import json
from collections.abc import Iterator
from typing import Any

_UPPER = ("maximum", "maxLength", "maxItems", "maxProperties")
_LOWER = ("minimum", "minLength", "minItems", "minProperties")
_TEXTS = {"$schema", "$id", "title", "description", "examples", "format", "default"}
_KNOWN = _TEXTS | {*_UPPER, *_LOWER} | {
    "type", "enum", "const", "pattern", "required", "properties", "additionalProperties", "propertyNames", "items",
    "prefixItems", "anyOf", "if", "then", "else", "not",
}  # fmt: skip


def narrowed(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """One line for each place at which ``new`` does not take all that ``old`` took."""
    if new is True or new == {}:
        return
    if old is True or old == {}:
        yield f"{place}: everything was taken"
        return
    if old is False:
        return
    if new is False:
        yield f"{place}: nothing is taken any more"
        return
    if unknown := new.keys() - _KNOWN:
        yield f"{place}: {', '.join(sorted(unknown))} cannot be compared"
    yield from _kinds(old, new, place)
    yield from _bounds(old, new, place)
    yield from _objects(old, new, place)
    yield from _lists(old, new, place)
    for word in ("pattern", "if", "not"):
        if word in new and json.dumps(new[word], sort_keys=True) != json.dumps(old.get(word), sort_keys=True):
            yield f"{place}: {word} is another"
    for word in ("then", "else", "propertyNames"):
        if word in new:
            yield from narrowed(old.get(word, True), new[word], f"{place}/{word}")
    if "anyOf" in new:
        ways = old["anyOf"] if "anyOf" in old else [{key: part for key, part in old.items() if key not in _TEXTS}]
        for at, way in enumerate(ways):
            found = [list(narrowed(way, other, f"{place}/anyOf/{at}")) for other in new["anyOf"]]
            if all(found):
                yield from min(found, key=len)


def _kinds(old: Any, new: Any, place: str) -> Iterator[str]:
    if "type" in new:
        before, after = (
            {each} if isinstance(each, str) else set(each) for each in (old.get("type", "anything"), new["type"])
        )
        if "number" in after:
            after |= {"integer"}
        if "type" not in old and set(map(_kind, old.get("enum", [old.get("const", ...)]))) <= after:
            before = set()
        if before - after:
            yield f"{place}: no longer {', '.join(sorted(before - after))}"
    before_words = old.get("enum", [old["const"]] if "const" in old else None)
    after_words = new.get("enum", [new["const"]] if "const" in new else None)
    if after_words is not None:
        lost = ["anything"] if before_words is None else [word for word in before_words if word not in after_words]
        if lost:
            yield f"{place}: no longer {', '.join(map(str, lost))}"


def _kind(value: Any) -> str:
    return {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}.get(type(value), "any")


def _bounds(old: Any, new: Any, place: str) -> Iterator[str]:
    for word in _UPPER:
        if word in new and not (word in old and old[word] <= new[word]):
            yield f"{place}: {word} is {new[word]}, was {old.get(word)}"
    for word in _LOWER:
        nothing = {None} if word == "minimum" else {None, 0}
        if new.get(word) not in nothing and not (word in old and old[word] >= new[word]):
            yield f"{place}: {word} is {new[word]}, was {old.get(word)}"


def _objects(old: Any, new: Any, place: str) -> Iterator[str]:
    if more := set(new.get("required", ())) - set(old.get("required", ())):
        yield f"{place}: {', '.join(sorted(more))} is required now"
    rest_before, rest_after = old.get("additionalProperties", True), new.get("additionalProperties", True)
    before, after = old.get("properties", {}), new.get("properties", {})
    for name, part in before.items():
        yield from narrowed(part, after.get(name, rest_after), f"{place}/{name}")
    if rest_before is not False:
        for name in after.keys() - before.keys():
            yield from narrowed(rest_before, after[name], f"{place}/{name}")
        yield from narrowed(rest_before, rest_after, f"{place}/*")


def _lists(old: Any, new: Any, place: str) -> Iterator[str]:
    before, after = old.get("prefixItems", []), new.get("prefixItems", [])
    rest_before, rest_after = old.get("items", True), new.get("items", True)
    for at in range(max(len(before), len(after))):
        one = before[at] if at < len(before) else rest_before
        yield from narrowed(one, after[at] if at < len(after) else rest_after, f"{place}/{at}")
    yield from narrowed(rest_before, rest_after, f"{place}/[]")
