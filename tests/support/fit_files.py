"""FIT files made by hand: messages with the fields that a test needs, of any size and order, whole or not."""

import struct
from collections.abc import Sequence
from typing import Any

from healthsync_mqtt.formats.fit.wire import crc_of

U8, S8, U16, S16, U32, STRING, FLOAT, BYTES = 2, 1, 0x84, 0x83, 0x86, 7, 0x88, 13
_LETTERS = {0: "B", U8: "B", S8: "b", U16: "H", S16: "h", U32: "I", FLOAT: "f", BYTES: "B"}
ENUM = 0
BEGIN = 1_100_000_000
"""2024-11-08T11:33:20Z in seconds of FIT."""

Field = tuple[int, int, Any]
Message = tuple[int, Sequence[Field]]
"""The kind, and its fields: number, base type, value (a tuple for several)."""


def record(at: int, *, bpm: int | None = None, meters: float | None = None) -> Message:
    fields: list[Field] = [(253, U32, at)]
    if bpm is not None:
        fields.append((3, U8, bpm))
    if meters is not None:
        fields.append((5, U32, round(meters * 100)))
    return 20, fields


def session(
    start: int, end: int, *, meters: float | None = None, sport: int = 1, more: Sequence[Field] = ()
) -> Message:
    fields: list[Field] = [(253, U32, end), (2, U32, start), (5, ENUM, sport)]
    if meters is not None:
        fields.append((9, U32, round(meters * 100)))
    return 18, [*fields, *more]


def file_id(kind: int = 4, *, created: int = BEGIN, serial: int = 7) -> Message:
    return 0, [(0, ENUM, kind), (1, U16, 1), (2, U16, 3113), (3, 0x8C, serial), (4, U32, created)]


def steps(at: int, count: int, *, activity: int = 6, minutes: int | None = None) -> Message:
    fields: list[Field] = [(253, U32, at), (5, ENUM, activity), (3, U32, count)]
    if minutes is not None:
        fields.append((29, U16, minutes))
    return 55, fields


def monitoring_info(at: int, offset_s: int) -> Message:
    return 103, [(253, U32, at), (0, U32, at + offset_s)]


def body(messages: Sequence[Message], *, order: str = "<") -> bytes:
    """The messages, each with its own definition."""
    found = b""
    for kind, fields in messages:
        found += struct.pack("<BBB", 0x40, 0, order == ">") + struct.pack(f"{order}HB", kind, len(fields))
        data = b""
        for number, base, value in fields:
            if base == STRING:
                raw = value.encode() + b"\0"
            else:
                values = value if isinstance(value, tuple) else (value,)
                raw = struct.pack(f"{order}{len(values)}{_LETTERS.get(base, 'I')}", *values)
            found += struct.pack("<BBB", number, len(raw), base)
            data += raw
        found += b"\0" + data
    return found


def fit_file(*messages: Message, first: Message | None = None, order: str = "<", size: int | None = None) -> bytes:
    """A whole file; ``size``: what its header says instead of the truth."""
    content = body([first or file_id(), *messages], order=order)
    head = struct.pack("<BBHI4s", 14, 0x20, 2132, len(content) if size is None else size, b".FIT")
    whole = head + struct.pack("<H", crc_of(head)) + content
    return whole + struct.pack("<H", crc_of(whole))


def day_of_steps(*readings: tuple[float, int], begin: int = BEGIN // 86_400 * 86_400) -> bytes:
    """A day file of a watch in UTC: hours, and what its counter of steps says then."""
    messages = [steps(begin + round(hour * 3600), count) for hour, count in readings]
    return fit_file(
        monitoring_info(begin + round(readings[0][0] * 3600), 0), *messages, first=file_id(32, created=begin)
    )
