"""A second reader of line protocol, written from the specification and sharing nothing with the encoder.

https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/ : it honours every escape and quote, so that a
line that smuggles in a field, a tag or another line is read as the server would read it.
"""

from typing import NamedTuple

FieldValue = float | int | bool | str


class ParsedPoint(NamedTuple):
    measurement: str
    tags: dict[str, str]
    fields: dict[str, FieldValue]
    time_ns: int


class NotLineProtocolError(Exception):
    """A server would refuse this line."""


def parse(body: str) -> list[ParsedPoint]:
    """Every point of a request body."""
    return [_point(line) for line in _lines(body) if line.strip() and not line.startswith("#")]


def _lines(body: str) -> list[str]:
    """Lines end at a newline outside of a quoted field value."""
    lines, start, quoted, escaped, spaces = [], 0, False, False, 0
    for place, char in enumerate(body):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == '"' and spaces == 1:
            quoted = not quoted
        elif char == " " and not quoted:
            spaces += 1
        elif char == "\n" and not quoted:
            lines.append(body[start:place])
            start, spaces = place + 1, 0
    lines.append(body[start:])
    return lines


def _split(text: str, separator: str, *, quotes: bool = False) -> list[str]:
    parts, start, quoted, escaped = [], 0, False, False
    for place, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif quotes and char == '"':
            quoted = not quoted
        elif char == separator and not quoted:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


def _plain(text: str) -> str:
    plain, escaped = [], False
    for char in text:
        if escaped:
            plain.append(char if char in ',= "\\' else "\\" + char)
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            plain.append(char)
    return "".join(plain)


def _pairs(parts: list[str], *, quotes: bool) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in parts:
        key, *rest = _split(part, "=", quotes=quotes)
        if not key or len(rest) != 1 or not rest[0]:
            raise NotLineProtocolError(part)
        if _plain(key) in pairs:
            raise NotLineProtocolError(f"{key} twice")
        pairs[_plain(key)] = rest[0]
    return pairs


def _point(line: str) -> ParsedPoint:
    parts = _split(line, " ", quotes=True)
    if len(parts) != 3:
        raise NotLineProtocolError(line)
    series, fields, moment = parts
    measurement, *tags = _split(series, ",")
    if not measurement:
        raise NotLineProtocolError(line)
    return ParsedPoint(
        _plain(measurement),
        {key: _plain(value) for key, value in _pairs(tags, quotes=False).items()},
        {key: _value(value) for key, value in _pairs(_split(fields, ",", quotes=True), quotes=True).items()},
        int(moment),
    )


def _value(text: str) -> FieldValue:
    if text[0] == '"':
        if len(text) < 2 or text[-1] != '"':
            raise NotLineProtocolError(text)
        return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if text in {"t", "T", "true", "True", "TRUE"}:
        return True
    if text in {"f", "F", "false", "False", "FALSE"}:
        return False
    if text[-1] in "iu":
        return int(text[:-1])
    if any(char in text.lower() for char in "naif"):
        raise NotLineProtocolError(text)
    return float(text)
