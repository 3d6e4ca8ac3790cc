"""Parquet, one file a type, a typed column a field with its unit as metadata. Needs pyarrow (extra parquet)."""

from collections.abc import Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa
from pyarrow import parquet

from healthsync_mqtt.exports.columns import CellKind, columns_of, rows
from healthsync_mqtt.exports.port import Folder
from healthsync_mqtt.model.record import Record

_GROUP: Final = 20_000
"""Rows that are held of a type; of all types together ten times as many."""
_KINDS: Final = {
    CellKind.NUMBER: pa.float64(),
    CellKind.WHOLE: pa.int64(),
    CellKind.FLAG: pa.bool_(),
    CellKind.TEXT: pa.string(),
    CellKind.TIME: pa.timestamp("us", tz="UTC"),
    CellKind.JSON: pa.string(),
}


class ParquetFiles:
    """``port.Export``: ``TYPE.parquet``, of which ``open_file`` makes each when its type first comes."""

    left_out: Mapping[str, int] = MappingProxyType({})

    def __init__(self, open_file: Folder) -> None:
        self._open_file = open_file
        self._opened = ExitStack()
        self._writers: dict[str, parquet.ParquetWriter] = {}
        self._held: dict[str, list[dict[str, Any]]] = {}
        self._count = 0

    def take(self, record: Record) -> None:
        """See ``port.Export.take``."""
        held = self._held.setdefault(record.type, [])
        before = len(held)
        held.extend(rows(record))
        self._count += len(held) - before
        if len(held) >= _GROUP:
            self._write(record.type)
        elif self._count >= 10 * _GROUP:
            self._write(max(self._held, key=lambda name: len(self._held[name])))

    def close(self) -> None:
        """See ``port.Export.close``."""
        for name in list(self._held):
            self._write(name)
        for writer in self._writers.values():
            writer.close()
        self._opened.close()

    def abandon(self) -> None:
        """See ``port.Export.abandon``."""
        self._opened.close()

    def _write(self, name: str) -> None:
        writer = self._writers.get(name)
        if writer is None:
            file = self._opened.enter_context(self._open_file(f"{name}.parquet"))
            writer = self._writers[name] = parquet.ParquetWriter(file, _schema(name))
        held = self._held.pop(name)
        self._count -= len(held)
        writer.write_table(pa.Table.from_pylist(held, schema=_schema(name)))


def _schema(name: str) -> pa.Schema:
    return pa.schema(
        [
            pa.field(each.name, _KINDS[each.kind], metadata={"unit": each.unit} if each.unit else None)
            for each in columns_of(name)
        ]
    )
