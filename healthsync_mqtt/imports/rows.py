"""Tables of text: their header, and their rows one by one, whatever separates them."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from healthsync_mqtt.formats.reading.document import number_of_text
from healthsync_mqtt.formats.reading.moment import Moment, moment
from healthsync_mqtt.imports.source import Member, UnreadableError
from healthsync_mqtt.model.reasons import Reason, RefusedError

_LONGEST: Final = 1_000_000
_SEPARATORS: Final = ",;\t"
_UNIT: Final = re.compile(r"^(?P<name>.*?)\s*[(\[](?P<unit>[^()\[\]]*)[)\]]\s*$")
_DOTTED: Final = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(.*)")


class Row(NamedTuple):
    """A row by the names of its columns, folded, and which line of the file it is on."""

    line: int
    cells: dict[str, str]


class Column(NamedTuple):
    """The name of a column, and the unit that stands behind it in brackets."""

    name: str
    unit: str | None


def header_of(head: bytes) -> list[str]:
    """The names in the first line of a table, folded; nothing where it is no table."""
    text = head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    first = text.split("\n", 1)[0].strip("\r")
    if not first or first[:1] in {"{", "[", "<"} or "\0" in first:
        return []
    separator = max(_SEPARATORS, key=first.count)
    try:
        return [folded(each) for each in next(csv.reader([first], delimiter=separator))]
    except (csv.Error, StopIteration):
        return []


def rows_of(member: Member) -> Iterator[Row]:
    """All rows. Raises UnreadableError."""
    with member.open() as file:
        first = file.readline(_LONGEST).decode("utf-8-sig", "replace")
        separator = max(_SEPARATORS, key=first.count)
        names = [folded(each) for each in next(csv.reader([first], delimiter=separator), [])]
        try:
            lines = csv.reader(io.TextIOWrapper(file, "utf-8", "replace", newline=""), delimiter=separator)
            for cells in lines:
                if any(cells):
                    yield Row(lines.line_num + 1, dict(zip(names, (each.strip() for each in cells), strict=False)))
        except csv.Error as error:
            raise UnreadableError(str(error)) from None


def folded(name: str) -> str:
    """A name of a column without what differs: case and blanks around it."""
    return " ".join(name.strip().strip('"').casefold().split())


def column(name: str) -> Column:
    """The name of a column without its unit, and the unit as it is written."""
    found = _UNIT.match(name)
    return Column(name, None) if found is None else Column(found["name"], found["unit"] or None)


def number_in(cells: dict[str, str], name: str) -> float | None:
    """A number, also one with a decimal comma; None where there is none. Raises RefusedError."""
    text = cells.get(name, "")
    if not text:
        return None
    return number_of_text(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text, name)


def time_in(cells: dict[str, str], name: str, zone: str | None) -> Moment:
    """A time in a column, in ISO or with a day first and dots. Raises RefusedError."""
    text = cells.get(name, "")
    if not text:
        raise RefusedError(Reason.MISSING_FIELD, name, f"{name} is missing")
    dotted = _DOTTED.fullmatch(text)
    if dotted is not None:
        text = f"{dotted[3]}-{int(dotted[2]):02d}-{int(dotted[1]):02d}{dotted[4]}"
    return moment(text, name, zone)
