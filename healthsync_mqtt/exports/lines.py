"""Our own JSON lines: one canonical event a line, complete, which ``healthsync import`` reads again."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import IO

from healthsync_mqtt.model.record import Record, canonical_json


class Lines:
    """``port.Export``: every row, tombstones too, with its id and its version."""

    left_out: Mapping[str, int] = MappingProxyType({})

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def take(self, record: Record) -> None:
        """See ``port.Export.take``."""
        self._file.write(canonical_json(record) + b"\n")

    def close(self) -> None:
        """See ``port.Export.close``."""

    def abandon(self) -> None:
        """See ``port.Export.abandon``."""
