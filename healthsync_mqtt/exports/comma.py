"""CSV, one file a type, as spreadsheets read it: units in the header, times in UTC.

A text that a spreadsheet would run (it begins with =, +, - or @) gets an apostrophe in front: it came from a device.
"""

import csv
import io
from collections.abc import Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import IO, Any, Final

from healthsync_mqtt.exports.columns import CellKind, TableColumn, columns_of, rows
from healthsync_mqtt.exports.port import Folder
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.model.times import iso

_RUN: Final = ("=", "+", "-", "@", "\t", "\r")


class CommaFiles:
    """``port.Export``: ``TYPE.csv``, of which ``open_file`` makes each when its type first comes."""

    left_out: Mapping[str, int] = MappingProxyType({})

    def __init__(self, open_file: Folder) -> None:
        self._open_file = open_file
        self._opened = ExitStack()
        self._files: dict[str, _CommaFile] = {}

    def take(self, record: Record) -> None:
        """See ``port.Export.take``."""
        file = self._files.get(record.type)
        if file is None:
            opened = self._opened.enter_context(self._open_file(f"{record.type}.csv"))
            file = self._files[record.type] = _CommaFile(opened, columns_of(record.type))
        for row in rows(record):
            file.write(row)

    def close(self) -> None:
        """See ``port.Export.close``."""
        for file in self._files.values():
            file.end()
        self._opened.close()

    def abandon(self) -> None:
        """See ``port.Export.abandon``."""
        self._opened.close()


class _CommaFile:
    def __init__(self, file: IO[bytes], columns: tuple[TableColumn, ...]) -> None:
        self._text = io.TextIOWrapper(file, "utf-8", newline="", write_through=False)
        self._columns = columns
        self._writer = csv.writer(self._text)
        self._writer.writerow([f"{each.name} [{each.unit}]" if each.unit else each.name for each in columns])

    def write(self, row: Mapping[str, Any]) -> None:
        self._writer.writerow([_cell(row.get(column.name), column.kind) for column in self._columns])

    def end(self) -> None:
        self._text.flush()
        self._text.detach()


def _cell(said: Any, kind: CellKind) -> Any:
    if said is None:
        return ""
    match kind:
        case CellKind.TIME:
            return iso(said)
        case CellKind.FLAG:
            return "true" if said else "false"
        case CellKind.TEXT:
            text = str(said)
            return f"'{text}" if text.startswith(_RUN) else text
        case _:
            return said
