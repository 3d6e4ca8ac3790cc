"""Which guarded types may be named in bytes that nobody could read: so that consent need not look at them. Pure.

It is looked for once, where the payload is decoded: beside the event loop when there is much of it. Whoever asks for
consent, again and again perhaps, asks for what was found.
"""

import codecs
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final

from bridge.decode.gzip_payload import MAGIC
from healthsync_mqtt.model.catalogue import CATALOGUE, GUARDED

MOST_UNPACKED: Final = 65_536
"""So many bytes of a gzip stream are looked through: a few sent ones may be very many."""
MOST_PLAIN: Final = 4_194_304
"""So many bytes of anything else are."""
STRETCH: Final = 65_536
"""Bytes that are looked through between two pauses."""

_ESCAPE: Final = b"\\u"
_utf8: Final = codecs.getincrementaldecoder("utf-8")
_NONE: Final[frozenset[str]] = frozenset()


def named_in(raw: bytes, pause: Callable[[], None]) -> frozenset[str]:
    """The guarded types that may be named in ``raw``, as it came or as gzip; ``pause`` is called after each stretch.

    Escaped ones may name any, and so may what is not looked through: too much, damaged, or in letters of which nobody
    can say what they spell (UTF-16, another compression).
    """
    read = _unpacked(raw) if raw.startswith(MAGIC) else raw
    if read is None or len(read) > MOST_PLAIN:
        return GUARDED
    found: set[str] = set()
    if not _is_text(read, pause):
        return GUARDED
    for part in _stretches(read, pause):
        if _ESCAPE in part:
            return GUARDED
        found |= {name for word, name in _words() if word in part}
    return frozenset(found) if found else _NONE


def _is_text(read: bytes, pause: Callable[[], None]) -> bool:
    """Whether it is UTF-8, cut off perhaps: each letter of a name is the byte that is searched for."""
    decoder = _utf8()
    try:
        for start in range(0, len(read), STRETCH):
            if start:
                pause()
            if "\0" in decoder.decode(read[start : start + STRETCH]):
                return False
    except UnicodeDecodeError:
        return False
    return True


def _stretches(read: bytes, pause: Callable[[], None]) -> Iterator[bytes]:
    """In lower case, and so that no word lies across an end."""
    overlap = _overlap()
    for start in range(0, len(read), STRETCH):
        if start:
            pause()
        yield read[max(0, start - overlap) : start + STRETCH].lower()


def _unpacked(raw: bytes) -> bytes | None:
    """What a gzip stream holds, or as much as is there of one that was cut short; None where it is not just that."""
    stream = zlib.decompressobj(wbits=31)
    try:
        found = stream.decompress(raw, MOST_UNPACKED + 1)
    except zlib.error:
        return None
    return found if len(found) <= MOST_UNPACKED and not stream.unused_data else None


@cache
def _words() -> tuple[tuple[bytes, str], ...]:
    """The names of guarded types and whose they are; a name that holds another one of its type is found by that."""
    return tuple(
        (name.encode(), of)
        for of in sorted(GUARDED)
        for names in [(of, *CATALOGUE[of].aliases)]
        for name in names
        if not any(other in name for other in names if other != name)
    )


@cache
def _overlap() -> int:
    return max(len(word) for word, _ in _words()) - 1
