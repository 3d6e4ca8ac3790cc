"""A small Garmin activity of our own, for those who have no FIT file: ten minutes of walking, the same each time.

FIT: a header, definition and data messages (little-endian here), and a CRC over both. Times count from 1989-12-31.
"""

import math
import struct
from collections.abc import Sequence
from typing import Final

_EPOCH_S: Final = 631_065_600
_START_S: Final = 1_748_761_200 - _EPOCH_S
"""2025-06-01T07:00:00Z: past on every clock that is right."""
_RECORDS: Final = 120
_STEP_S: Final = 5
_METERS_A_STEP: Final = 7.0
_CRC: Final = (
    *(0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401),
    *(0xA001, 0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400),
)

_U8, _U16, _U32, _ENUM = (2, "B"), (0x84, "H"), (0x86, "I"), (0, "B")
_FILE_ID: Final = (0, ((0, _ENUM), (1, _U16), (2, _U16), (4, _U32)))
_SESSION: Final = (18, ((253, _U32), (2, _U32), (7, _U32), (9, _U32), (10, _U32), (5, _ENUM)))
_LAP: Final = (19, ((253, _U32), (2, _U32), (7, _U32), (9, _U32)))
_RECORD: Final = (20, ((253, _U32), (5, _U32), (3, _U8)))
_ACTIVITY: Final = (34, ((253, _U32), (0, _U32), (1, _U16), (2, _ENUM), (3, _ENUM), (4, _ENUM)))
"""The global number of each message, and its fields: number and base type."""

_Kind = tuple[int, tuple[tuple[int, tuple[int, str]], ...]]
_WALKING, _GARMIN, _FENIX_5, _AN_ACTIVITY = 11, 1, 2697, 4


def sample_activity() -> bytes:
    """The bytes of the file: 120 records with heart rate and distance, their lap, session and activity."""
    seconds = (_RECORDS - 1) * _STEP_S
    end, thousandths = _START_S + seconds, seconds * 1000
    hundredths = _hundredths(_RECORDS - 1)
    strides = round((_RECORDS - 1) * _METERS_A_STEP / 1.5)
    records = [
        (_START_S + number * _STEP_S, _hundredths(number), 96 + round(14 * math.sin(number / 19)))
        for number in range(_RECORDS)
    ]
    body = b"".join(
        (
            _messages(_FILE_ID, [(_AN_ACTIVITY, _GARMIN, _FENIX_5, _START_S)]),
            _messages(_RECORD, records),
            _messages(_LAP, [(end, _START_S, thousandths, hundredths)]),
            _messages(_SESSION, [(end, _START_S, thousandths, hundredths, strides, _WALKING)]),
            _messages(_ACTIVITY, [(end, thousandths, 1, 0, 26, 1)]),
        )
    )
    head = struct.pack("<BBHI4s", 14, 0x20, 2132, len(body), b".FIT")
    whole = head + struct.pack("<H", _crc(head)) + body
    return whole + struct.pack("<H", _crc(whole))


def _hundredths(number: int) -> int:
    return round(number * _METERS_A_STEP * 100)


def _messages(kind: _Kind, rows: Sequence[tuple[int, ...]]) -> bytes:
    """The definition of a message as local message 0, and a data message for each row."""
    number, fields = kind
    layout = "<" + "".join(letter for _, (_, letter) in fields)
    definition = struct.pack("<BBBHB", 0x40, 0, 0, number, len(fields))
    for field, (base, letter) in fields:
        definition += struct.pack("<BBB", field, struct.calcsize("<" + letter), base)
    return definition + b"".join(b"\0" + struct.pack(layout, *row) for row in rows)


def _crc(content: bytes) -> int:
    crc = 0
    for byte in content:
        for nibble in (byte & 15, byte >> 4):
            crc = (crc >> 4) ^ _CRC[crc & 15] ^ _CRC[nibble]
    return crc
