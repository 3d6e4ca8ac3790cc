"""The bytes of FIT: files in a row, each a header, definitions and data of messages, and a checksum.

Everything that can be told apart is read, whatever is wrong around it; what is wrong is said with its place. Nothing of
what messages mean is known here.
"""

import struct
from collections.abc import Generator, Iterator
from typing import Any, Final, NamedTuple

TIMESTAMP: Final = 253
_MAGIC: Final = b".FIT"
_HEAD: Final = 64
_CRC: Final = (
    *(0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401),
    *(0xA001, 0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400),
)
_STRING: Final = 7
#: The number of a base type (without the bit that says that its bytes have an order): its letter, and what is no value.
_BASES: Final[dict[int, tuple[str, int | float]]] = {
    0: ("B", 0xFF), 1: ("b", 0x7F), 2: ("B", 0xFF), 3: ("h", 0x7FFF), 4: ("H", 0xFFFF), 5: ("i", 0x7FFFFFFF),
    6: ("I", 0xFFFFFFFF), 8: ("f", float("nan")), 9: ("d", float("nan")), 10: ("B", 0), 11: ("H", 0), 12: ("I", 0),
    13: ("B", 0xFF), 14: ("q", 0x7FFFFFFFFFFFFFFF), 15: ("Q", 0xFFFFFFFFFFFFFFFF), 16: ("Q", 0),
}  # fmt: skip


class FitMessage(NamedTuple):
    """A data message: the number of its kind, and its fields by their numbers, without those that have no value.

    A field is an integer, a float, a text, or a tuple of numbers of which some may be None. ``place`` is its
    first byte.
    """

    kind: int
    fields: dict[int, Any]
    place: int


class Damage(NamedTuple):
    """Something that is wrong: where, and whether parts of the file are lost by it."""

    place: int
    text: str
    lost: bool = True


class NextFile(NamedTuple):
    """From here on it is another file: its counters and sessions are others."""

    place: int


Frame = FitMessage | Damage | NextFile


class _Field(NamedTuple):
    number: int
    at: int
    letter: str
    times: int
    invalid: int | float


class _Definition(NamedTuple):
    kind: int
    size: int
    order: str
    fields: tuple[_Field, ...]


class _CutError(Exception):
    """The bytes end, or cannot be told apart any more."""


def is_fit(content: bytes) -> bool:
    """By the word that stands in each header, also where what is before it is damaged; the beginning is enough."""
    return _MAGIC in content[:_HEAD]


def frames(content: bytes) -> Iterator[Frame]:
    """All that is in the bytes, in their order."""
    at = 0
    while at < len(content):
        start = _header_at(content, at)
        if start is None:
            if at:
                rest = len(content) - at
                yield Damage(at, f"{rest} bytes after the end of the file", lost=_may_be_a_file(content[at:]))
            else:
                yield Damage(0, "it does not begin as a FIT file")
            return
        if start > at:
            yield Damage(at, f"{start - at} bytes that are no FIT file")
        yield NextFile(start)
        at = yield from _file(content, start)


def _header_at(content: bytes, at: int) -> int | None:
    """Where the next header begins: here, or further on."""
    while (found := content.find(_MAGIC, at)) >= 0:
        for size in (14, 12):
            start = found - 8
            if start >= at and content[start] == size:
                return start
        at = found + 1
    return None


def _may_be_a_file(rest: bytes) -> bool:
    """Whether bytes after the end were a file once: their header is damaged, and what follows it begins as one does."""
    return len(rest) > 16 and rest[:1] in {b"\x0c", b"\x0e"} and rest[rest[0] : rest[0] + 1] in {b"\x40", b"\x41"}


def _file(content: bytes, start: int) -> Generator[Frame, None, int]:
    """One file; returns where it ends."""
    head = content[start]
    said = int.from_bytes(content[start + 4 : start + 8], "little")
    begin = start + head
    # Who stops while writing leaves no length.
    end = begin + said if said else _unsaid_end(content, begin)
    cut = end > len(content)
    end = min(end, len(content))
    try:
        yield from _messages(content, begin, end)
    except _CutError as error:
        following = _header_at(content, begin)
        yield Damage(error.args[1], str(error.args[0]))
        return following if following is not None and (cut or not said) else min(end + 2, len(content))
    if cut:
        yield Damage(len(content), f"{begin + said - len(content)} bytes are missing at the end")
        return len(content)
    kept = content[end : end + 2]
    if len(kept) == 2 and said and int.from_bytes(kept, "little") not in {0, crc_of(content[start:end])}:
        yield Damage(end, "the checksum is wrong: something in it was changed", lost=True)
    return end + len(kept)


def _unsaid_end(content: bytes, begin: int) -> int:
    following = _header_at(content, begin)
    end = len(content) if following is None else following
    return max(begin, end - 2)


def _messages(content: bytes, at: int, end: int) -> Iterator[FitMessage]:
    known: dict[int, _Definition] = {}
    clock = 0
    while at < end:
        place, head = at, content[at]
        at += 1
        if head & 0xC0 == 0x40:
            known[head & 0x0F], at = _definition(content, at, end, developer=bool(head & 0x20), place=place)
            continue
        local = (head >> 5) & 0x03 if head & 0x80 else head & 0x0F
        definition = known.get(local)
        if definition is None:
            raise _CutError(f"a message that was not described, at byte {place}", place)
        if at + definition.size > end:
            raise _CutError(f"the message at byte {place} is cut", place)
        fields = _fields(content, at, definition)
        at += definition.size
        if head & 0x80:
            clock += ((head & 0x1F) - clock) & 0x1F
            fields.setdefault(TIMESTAMP, clock)
        elif isinstance(fields.get(TIMESTAMP), int):
            clock = fields[TIMESTAMP]
        yield FitMessage(definition.kind, fields, place)


def _definition(content: bytes, at: int, end: int, *, developer: bool, place: int) -> tuple[_Definition, int]:
    if at + 5 > end:
        raise _CutError(f"the description at byte {place} is cut", place)
    order = ">" if content[at + 1] else "<"
    (kind,) = struct.unpack_from(f"{order}H", content, at + 2)
    count = content[at + 4]
    at += 5
    if at + count * 3 > end:
        raise _CutError(f"the description at byte {place} is cut", place)
    fields, offset = [], 0
    for _ in range(count):
        number, size, base = content[at], content[at + 1], content[at + 2] & 0x1F
        field = _field(number, offset, size, base)
        if field is not None:
            fields.append(field)
        offset += size
        at += 3
    if developer:
        if at >= end or at + 1 + content[at] * 3 > end:
            raise _CutError(f"the description at byte {place} is cut", place)
        others = content[at]
        offset += sum(content[at + 2 + 3 * each] for each in range(others))
        at += 1 + others * 3
    return _Definition(kind, offset, order, tuple(fields)), at


def _field(number: int, offset: int, size: int, base: int) -> _Field | None:
    """How a field is read; None for one that has no bytes, or not as many as its values take."""
    if base == _STRING:
        return _Field(number, offset, "s", size, 0) if size else None
    letter, invalid = _BASES.get(base, ("B", 0xFF))
    width = struct.calcsize(f"<{letter}")
    count, rest = divmod(size, width)
    return _Field(number, offset, letter, count, invalid) if count and not rest else None


def _fields(content: bytes, at: int, definition: _Definition) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for number, offset, letter, count, invalid in definition.fields:
        if letter == "s":
            text = content[at + offset : at + offset + count].split(b"\0", 1)[0].decode("utf-8", "replace").strip()
            if text:
                found[number] = text
            continue
        values = struct.unpack_from(f"{definition.order}{count}{letter}", content, at + offset)
        if count == 1:
            value = values[0]
            if value != invalid and value == value:  # noqa: PLR0124  # a float that is none
                found[number] = value
        elif any(value != invalid for value in values):
            found[number] = tuple(None if value == invalid else value for value in values)
    return found


def crc_of(content: bytes) -> int:
    """The checksum over bytes."""
    crc = 0
    for byte in content:
        crc = (crc >> 4) ^ _CRC[crc & 15] ^ _CRC[byte & 15]
        crc = (crc >> 4) ^ _CRC[crc & 15] ^ _CRC[byte >> 4]
    return crc
