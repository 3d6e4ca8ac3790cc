"""An event as cells of a table: which columns a type has, with their units, and the rows of one event. Pure.

A number, a word, a text and a flag are a column each; what has parts (stages, items, laps) is JSON in one. A series is
one row a sample, at its own time.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.record import OP_WORDS, Record

_SECOND_US: Final = 1_000_000
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


class CellKind(StrEnum):
    """What is in the cells of a column."""

    NUMBER = "number"
    WHOLE = "whole"
    FLAG = "flag"
    TEXT = "text"
    #: microseconds since the epoch
    TIME = "time"
    JSON = "json"


class TableColumn(NamedTuple):
    """One column; ``unit`` in UCUM, "" where there is none."""

    name: str
    kind: CellKind
    unit: str = ""


ABOUT: Final = (
    TableColumn("id", CellKind.TEXT),
    TableColumn("version", CellKind.WHOLE),
    TableColumn("op", CellKind.TEXT),
    TableColumn("start_time", CellKind.TIME),
    TableColumn("end_time", CellKind.TIME),
    TableColumn("utc_offset", CellKind.WHOLE, "s"),
    TableColumn("device_id", CellKind.TEXT),
    TableColumn("provider", CellKind.TEXT),
    TableColumn("app", CellKind.TEXT),
    TableColumn("recording", CellKind.TEXT),
    TableColumn("received_at", CellKind.TIME),
)
"""What every event has, before its value."""
MORE: Final = TableColumn("more", CellKind.JSON)
"""What an event says that has no column of its own, last."""
_ELSEWHERE: Final = frozenset({"amount", "unit", "samples"})


@cache
def columns_of(type_name: str) -> tuple[TableColumn, ...]:
    """All columns of a type; of one that this version does not know only what every event has."""
    of = CATALOGUE.get(type_name)
    own: dict[str, TableColumn] = {}
    if of is not None:
        units = {each.field: each.unit for each in of.quantities}
        described = [
            each
            for name, form in of.forms.items()
            # Any other form is a number in another unit, which is stored in the type's own.
            if form is of.usual or form.refine is None or name in units
            for each in msgspec.structs.fields(form.type)
            if each.encode_name not in _ELSEWHERE
        ]
        kinds = {each.encode_name: _kind(each.type) for each in described}
        names = [*(name for name in units if name in kinds), *kinds]
        own = {name: TableColumn(name, kinds[name], units.get(name, "")) for name in names}
    return (*ABOUT, *own.values(), MORE)


def rows(record: Record) -> Iterator[dict[str, Any]]:
    """The rows of an event by the names of columns: one, or one a sample; what is absent has no cell."""
    body: Mapping[str, Any] = _decode(record.body) if record.body else {}
    source = body.get("source") or {}
    about = {
        "id": record.id,
        "version": record.version,
        "op": OP_WORDS[record.op],
        "start_time": None if record.op and not record.start_us else record.start_us,
        "end_time": record.end_us,
        "utc_offset": body.get("utc_offset"),
        "device_id": record.device,
        "provider": record.provider or source.get("provider"),
        "app": source.get("app"),
        "recording": source.get("recording"),
        "received_at": record.received_us,
    }
    value = body.get("value") or {}
    known = {column.name: column.kind for column in columns_of(record.type)[len(ABOUT) : -1]}
    samples = value.get("samples")
    series = samples if isinstance(samples, list) and "samples" not in known else None
    cells = {
        name: _encode(said).decode() if known[name] is CellKind.JSON else said
        for name, said in value.items()
        if name in known
    }
    more = {name: said for name, said in value.items() if name not in known and (name != "samples" or series is None)}
    more |= {f"device.{name}": said for name, said in (body.get("device") or {}).items()}
    more |= {f"source.{name}": said for name, said in source.items() if name not in {"provider", "app", "recording"}}
    if more:
        cells["more"] = _encode(more).decode()
    if series is None:
        yield about | cells
        return
    field = CATALOGUE[record.type].quantities[0].field
    for seconds, number in series:
        yield about | cells | {"start_time": record.start_us + round(seconds * _SECOND_US), field: number}


def _kind(described: Any) -> CellKind:
    """Of a field's type: a number, a flag or a text where it is one and nothing else."""
    kinds = {_kind_of_one(part) for part in _parts(described)}
    return kinds.pop() if len(kinds) == 1 else CellKind.JSON


def _parts(described: Any) -> Iterator[Any]:
    origin = get_origin(described)
    if origin is Annotated:
        yield from _parts(get_args(described)[0])
    elif origin in {Union, UnionType}:
        for part in get_args(described):
            yield from _parts(part)
    elif described is not type(None):
        yield described


def _kind_of_one(described: Any) -> CellKind:
    if described is bool:
        return CellKind.FLAG
    if described in {int, float}:
        return CellKind.NUMBER
    if described is str or described is datetime or get_origin(described) is Literal:
        return CellKind.TEXT
    return CellKind.JSON
