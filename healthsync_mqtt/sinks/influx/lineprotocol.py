"""Line protocol, typed: every name, tag value and text is of a closed alphabet, so nothing ever needs an escape.

A value that could end a field, a tag or a line is refused where the series or the field is made; there is no escaping
that could be wrong. (Facts: docs.influxdata.com, line protocol; influxdb-client's own Point drops NaN, and points whose
fields are all NaN, without a word.)
"""

import math
import re
from collections.abc import Iterable

from healthsync_mqtt.errors import InputError

_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")

#: The times that InfluxDB stores.
MIN_NS, MAX_NS = -9_223_372_036_854_775_806, 9_223_372_036_854_775_806


class UnmappableError(InputError):
    """An event that cannot become points; its seq is kept as refused, and the rest goes on."""

    reason = "unmappable"


def word(text: str) -> str:
    """``text`` when it is 1 to 64 of A-Z a-z 0-9 - _; UnmappableError otherwise, which does not repeat it."""
    if not _WORD.fullmatch(text):
        raise UnmappableError("a name or tag is outside the alphabet of sinks")
    return text


def tag_set(tags: Iterable[tuple[str, str | None]]) -> str:
    """``,device=watch,user=5e…``: sorted by key, absent tags left out."""
    present = sorted((word(key), word(value)) for key, value in tags if value is not None)
    return "".join(f",{key}={value}" for key, value in present)


def number(name: str, value: float) -> str:
    """A float field: ``bpm=72.0``. It stays a float whatever the number looks like."""
    if not math.isfinite(value):
        raise UnmappableError(f"{name} is not finite")
    return f"{name}={float(value)!r}"


def text(name: str, value: str) -> str:
    """A string field whose value is a word of a closed set: ``stage="deep"``."""
    return f'{name}="{word(value)}"'


def flag(name: str, value: bool) -> str:  # noqa: FBT001 - a boolean field
    """A boolean field: ``deleted=true``."""
    return f"{name}={'true' if value else 'false'}"
