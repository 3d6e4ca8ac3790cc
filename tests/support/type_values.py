"""Values of any type of the catalogue, drawn from the description that the decoder itself goes by."""

import types
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st

from healthsync_mqtt.model.catalogue import EventType
from healthsync_mqtt.model.event_type import Form
from healthsync_mqtt.model.times import iso

START_US = 1_795_413_600_000_000  # 2026-11-23T06:00:00Z
SPAN_US = 600_000_000

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


def numbers(described: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], float, float]]:
    """Each number at the top of a struct: its path and its bounds."""
    for each in msgspec.structs.fields(described):
        for part in (each.type, *get_args(each.type)):
            if get_origin(part) is Annotated and get_args(part)[0] is float:
                meta = get_args(part)[1]
                yield (*path, each.encode_name), meta.ge, meta.le
