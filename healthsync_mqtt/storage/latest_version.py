"""Events whose source says no version (``LATEST``): what they are beside what the log holds of their id. Pure.

Order of arrival decides here and nowhere else: the log gives the next version to what is different from the latest row.
"""

from typing import NamedTuple

import msgspec

from healthsync_mqtt.model.event import Event, Op


class Held(NamedTuple):
    """The latest row of an id. An empty body is a purged row, of which nothing can be told."""

    type: str
    version: int
    op: int
    start_us: int
    end_us: int | None
    body: bytes


class _Parts(msgspec.Struct):
    value: msgspec.Raw = msgspec.Raw(b"")


_parts = msgspec.json.Decoder(_Parts).decode
_read = msgspec.json.Decoder().decode


def version_after(held: Held | None, event: Event) -> int | None:
    """The version of an event of version LATEST in the log; None: it is a duplicate.

    Equal is what says the same: type, time and value. A source spells the offset of the same instant in another way
    after a journey, and an app has another version after an update: neither is a correction.
    """
    if event.op == Op.DELETE:
        return held.version if held is not None and held.op != Op.DELETE else None
    if held is None:
        return 0
    if held.op == Op.DELETE:
        return held.version + 1
    if not held.body:
        return None
    same = (held.type, held.start_us, held.end_us) == (event.type, event.start_us, event.end_us)
    return None if same and _same_value(held.body, event.body) else held.version + 1


def _same_value(one: bytes, other: bytes) -> bool:
    """Numbers are compared as numbers: 512 is 512.0."""
    mine, theirs = bytes(_parts(one).value), bytes(_parts(other).value)
    if mine == theirs or not (mine and theirs):
        return mine == theirs
    return bool(_read(mine) == _read(theirs))
