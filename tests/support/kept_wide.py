"""What a newer OpenAPI document takes away from those who rely on an older one.

What is sent may be sent in more ways, never in fewer; what is answered may say more, never less, and nothing else.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Document = Mapping[str, Any]
Schema = Mapping[str, Any]


def narrowings(old: Document, new: Document) -> list[str]:
    """Each as a place and a reason; none when everything that was is still there."""
    return list(_Comparison(old, new).all())


class _Comparison:
    def __init__(self, old: Document, new: Document) -> None:
        self._old = old
        self._new = new

    def all(self) -> Iterator[str]:
        for path, operations in self._old["paths"].items():
            for method, operation in operations.items():
                newer = self._new["paths"].get(path, {}).get(method)
                where = f"{method.upper()} {path}"
                if newer is None:
                    yield f"{where}: is gone"
                else:
                    yield from self._operation(where, operation, newer)

    def _operation(self, where: str, old: Any, new: Any) -> Iterator[str]:
        before = {(each["in"], each["name"]): each for each in old.get("parameters", ())}
        after = {(each["in"], each["name"]): each for each in new.get("parameters", ())}
        for key, parameter in before.items():
            if key not in after:
                yield f"{where}: the parameter {key[1]} is gone"
            else:
                place = f"{where}: {key[1]}"
                if after[key].get("required") and not parameter.get("required"):
                    yield f"{place}: is required now"
                yield from self._sent(place, parameter.get("schema", {}), after[key].get("schema", {}), ())
        for key, parameter in after.items():
            if key not in before and parameter.get("required"):
                yield f"{where}: the parameter {key[1]} is new and required"
        yield from self._body(where, old.get("requestBody"), new.get("requestBody"))
        for status, answer in old["responses"].items():
            newer = new["responses"].get(status)
            if newer is None:
                yield f"{where}: the answer {status} is gone"
                continue
            for media, content in answer.get("content", {}).items():
                if media not in newer.get("content", {}):
                    yield f"{where}: {status} is not answered as {media} any more"
                else:
                    schemas = content.get("schema", {}), newer["content"][media].get("schema", {})
                    yield from self._told(f"{where}: {status}", *schemas, ())

    def _body(self, where: str, old: Any, new: Any) -> Iterator[str]:
        if old is None:
            if new is not None and new.get("required"):
                yield f"{where}: a body is required now"
            return
        if new is None:
            yield f"{where}: no body is taken any more"
            return
        for media, content in old["content"].items():
            if media not in new["content"]:
                yield f"{where}: {media} is not taken any more"
            else:
                schemas = content.get("schema", {}), new["content"][media].get("schema", {})
                yield from self._sent(f"{where}: body", *schemas, ())

    def _sent(self, where: str, old: Schema, new: Schema, seen: tuple[str, ...]) -> Iterator[str]:
        """Whether everything that was taken is taken."""
        yield from self._compared(where, old, new, seen, self._sent, _taken_less)

    def _told(self, where: str, old: Schema, new: Schema, seen: tuple[str, ...]) -> Iterator[str]:
        """Whether everything that was told is told, and nothing that a reader does not expect."""
        yield from self._compared(where, old, new, seen, self._told, _told_less)

    def _compared(  # noqa: PLR0917  # both directions walk alike
        self,
        where: str,
        old: Schema,
        new: Schema,
        seen: tuple[str, ...],
        again: Callable[[str, Schema, Schema, tuple[str, ...]], Iterator[str]],
        less: Callable[[Schema, Schema], Iterator[str]],
    ) -> Iterator[str]:
        name = str(old.get("$ref", ""))
        if name and name in seen:
            return
        seen = (*seen, name) if name else seen
        before, after = _whole(self._old, old), _whole(self._new, new)
        for reason in less(before, after):
            yield f"{where}: {reason}"
        known = after.get("properties", {})
        for each, schema in before.get("properties", {}).items():
            if each not in known:
                yield f"{where}: {each} is gone"
            else:
                yield from again(f"{where}.{each}", schema, known[each], seen)
        if isinstance(before.get("items"), Mapping):
            yield from again(f"{where}[]", before["items"], after.get("items", {}), seen)


def _whole(document: Document, schema: Schema) -> dict[str, Any]:
    """A schema without references at its top, with what it is made of put together; a choice with null is a type."""
    if "$ref" in schema:
        found: Any = document
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            found = found[part]
        return _whole(document, found)
    made = {key: value for key, value in schema.items() if key not in {"allOf", "anyOf"}}
    for each in schema.get("allOf", ()):
        part = _whole(document, each)
        made["properties"] = {**made.get("properties", {}), **part.get("properties", {})}
        made["required"] = [*made.get("required", ()), *part.get("required", ())]
        made.update({key: value for key, value in part.items() if key not in {"properties", "required"}})
    choices = [_whole(document, each) for each in schema.get("anyOf", ())]
    if choices:
        made["type"] = sorted(set().union(*(_types(each) for each in choices)))
        for each in choices:
            if each.get("type") != "null":
                made = {**{key: value for key, value in each.items() if key != "type"}, **made}
    return made


def _types(schema: Schema) -> set[str]:
    said = schema.get("type", ())
    return {said} if isinstance(said, str) else set(said)


_UP = ("minimum", "minLength", "minItems", "exclusiveMinimum")
"""A limit that takes less when it is higher."""
_DOWN = ("maximum", "maxLength", "maxItems", "exclusiveMaximum")


def _taken_less(old: Schema, new: Schema) -> Iterator[str]:
    if _types(new) and not (_types(old) and _types(old) <= _types(new)):
        yield f"takes {sorted(_types(new))}, and took {sorted(_types(old)) or 'anything'}"
    if "enum" in new and not set(map(str, old.get("enum", ["anything"]))) <= set(map(str, new["enum"])):
        yield "takes fewer words"
    for limit in _UP:
        if limit in new and (limit not in old or new[limit] > old[limit]):
            yield f"{limit} is higher"
    for limit in _DOWN:
        if limit in new and (limit not in old or new[limit] < old[limit]):
            yield f"{limit} is lower"
    if new.get("pattern", old.get("pattern")) != old.get("pattern"):
        yield "has another pattern"
    for each in set(new.get("required", ())) - set(old.get("required", ())):
        yield f"{each} is required now"
    if new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
        yield "takes no other members now"


def _told_less(old: Schema, new: Schema) -> Iterator[str]:
    if _types(old) and not (_types(new) and _types(new) <= _types(old)):
        yield f"is {sorted(_types(new)) or 'anything'} now, and was {sorted(_types(old))}"
    if "enum" in old and not set(map(str, new.get("enum", ["anything"]))) <= set(map(str, old["enum"])):
        yield "has words that nobody expects"
    for each in set(old.get("required", ())) - set(new.get("required", ())):
        yield f"{each} may be missing now"
