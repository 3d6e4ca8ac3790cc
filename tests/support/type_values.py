"""Values of any type of the catalogue, drawn from the description that the decoder itself goes by."""

import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st

from healthsync_mqtt.model.catalogue import EventType
from healthsync_mqtt.model.event_type import Form
from healthsync_mqtt.model.times import iso

START_US = 1_795_413_600_000_000  # 2026-11-23T06:00:00Z
SPAN_US = 600_000_000
EXAMPLE_US = 1_795_384_800_000_000  # when examples begin: 2026-11-22T22:00:00Z

plain_text = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Zs")), min_size=1, max_size=8)


def values(form: Form) -> st.SearchStrategy[Any]:
    """Values of one form in JSON; nearly all of them are such as the decoder takes."""
    return _values(form.type)


def event_of(of: EventType, value: Any, **changes: Any) -> dict[str, Any]:
    """An event of a type at ``START_US``, ten minutes long, or as long as it may be."""
    span_us = min(SPAN_US, of.max_span_us or SPAN_US)
    times = {"start_time": iso(START_US), "end_time": iso(START_US + span_us)}
    return {"id": "e-1", "type": of.name, **times, "value": value, **changes}


def _values(described: Any) -> st.SearchStrategy[Any]:
    origin = get_origin(described)
    if origin in {Union, types.UnionType}:
        return st.one_of([_values(part) for part in get_args(described)])
    meta = msgspec.Meta()
    if origin is Annotated:
        described, meta = get_args(described)
        origin = get_origin(described)
    if described is int:
        return st.integers(-1000 if meta.ge is None else int(meta.ge), 1000 if meta.le is None else int(meta.le))
    if described is float:
        return st.floats(-1000 if meta.ge is None else meta.ge, 1000 if meta.le is None else meta.le)
    if described is str:
        return plain_text
    if described is bool:
        return st.booleans()
    if described is type(None):
        return st.none()
    if described is datetime:
        return st.integers(START_US, START_US + SPAN_US // 20).map(iso)
    if origin is Literal:
        return st.sampled_from(get_args(described))
    if origin is list:
        (item,) = get_args(described)
        found = st.lists(_values(item), min_size=meta.min_length or 0, max_size=3)
        return found.map(sorted) if get_origin(item) is tuple else found
    if origin is tuple:
        # The first of a sample are its seconds, few enough for the shortest session.
        first, *others = get_args(described)
        return st.tuples(st.integers(0, 20), *map(_values, others)).map(list) if first else st.nothing()
    return _objects(described)


def _objects(described: Any) -> st.SearchStrategy[dict[str, Any]]:
    fields = msgspec.structs.fields(described)
    required = {each.encode_name: _values(each.type) for each in fields if each.required}
    optional = {each.encode_name: _values(each.type) for each in fields if not each.required}
    return st.fixed_dictionaries(required, optional=optional).map(_in_order)


def _in_order(value: dict[str, Any]) -> dict[str, Any]:
    """Of a part its end is not before its start, of a zone the upper bound not below the lower one."""
    for first, last in (("start_time", "end_time"), ("low", "high")):
        if value.get(first) is not None and value.get(last) is not None:
            value[first], value[last] = sorted((value[first], value[last]))
    return value


Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Bounded:
    """A number of a value, at any depth: where it is, and its bounds.

    ``seconds``: it is the first of a row, which says when the others were. ``described`` is of the whole value.
    """

    path: Path
    low: float
    high: float
    seconds: bool
    described: Any

    @property
    def place(self) -> str:
        """Its place as a refusal names it, below the value."""
        return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)[1:]

    def put(self, value: dict[str, Any], number: float) -> dict[str, Any]:
        """The value with this number; what has to be around it, and is not there yet, is made."""
        found: dict[str, Any] = _put(self.described, value, self.path, number)
        return found


def numbers(described: Any) -> Iterator[Bounded]:
    """Each number that has bounds: in structs, in lists, where the first item stands for all, and in rows."""
    for path, (low, high) in _bounds(described):
        seconds = path[-1] == 0 and len(path) > 2 and isinstance(path[-2], int)
        yield Bounded(path, low, high, seconds, described)


def _bounds(described: Any) -> Iterator[tuple[Path, tuple[float, float]]]:
    for part in _choices(described):
        origin = get_origin(part)
        if origin is Annotated:
            inner, meta = get_args(part)
            if inner is float:
                yield (), (meta.ge, meta.le)
            elif get_origin(inner) is list:
                yield from _bounds(inner)
        elif origin in {list, tuple}:
            for place, item in enumerate(get_args(part)):
                yield from (((place, *path), both) for path, both in _bounds(item))
        elif _is_struct(part):
            for each in msgspec.structs.fields(part):
                yield from (((each.encode_name, *path), both) for path, both in _bounds(each.type))


def _put(described: Any, value: Any, path: Path, number: float) -> Any:
    if not path:
        return number
    step, rest = path[0], path[1:]
    for part in _choices(described):
        inner = get_args(part)[0] if get_origin(part) is Annotated else part
        if isinstance(step, str) and _is_struct(inner):
            whole = _least(inner) if value is None else dict(value)
            (of,) = (each.type for each in msgspec.structs.fields(inner) if each.encode_name == step)
            return whole | {step: _put(of, whole.get(step), rest, number)}
        if isinstance(step, int) and get_origin(inner) in {list, tuple}:
            items = get_args(inner)
            if get_origin(inner) is tuple:
                row = list(value) if value else [_least(item) for item in items]
                return [_put(item, row[n], rest, number) if n == step else row[n] for n, item in enumerate(items)]
            others = list(value or [])[1:] if _is_struct(items[0]) else []
            return [_put(items[0], value[0] if value else None, rest, number), *others]
    raise AssertionError(f"{described} has no {step}")


def _least(described: Any) -> Any:
    """The least that is taken for it: structs with what is required, words that are the first, the lowest numbers."""
    part, meta = _choices(described)[0], msgspec.Meta()
    if get_origin(part) is Annotated:
        part, meta = get_args(part)
    if part in {int, float}:
        return 0 if meta.ge is None else meta.ge
    if part is str:
        return "x"
    if part is datetime:
        return iso(EXAMPLE_US)
    if get_origin(part) is Literal:
        return get_args(part)[0]
    if get_origin(part) is list:
        return [_least(get_args(part)[0])] if meta.min_length else []
    if get_origin(part) is tuple:
        return [_least(item) for item in get_args(part)]
    return {each.encode_name: _least(each.type) for each in msgspec.structs.fields(part) if each.required}


def _choices(described: Any) -> Sequence[Any]:
    return get_args(described) if get_origin(described) in {Union, types.UnionType} else (described,)


def _is_struct(described: Any) -> bool:
    return isinstance(described, type) and issubclass(described, msgspec.Struct)
