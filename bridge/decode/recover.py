"""Telling the parts of a delivery apart when it is almost JSON: one NaN must not cost the other 499 events.

Brackets and texts are followed and nothing else, so that each part can then be read exactly on its own. One pass of a
pattern without backtracking does it; only where a part nests deeper than an event may, its levels are stepped through,
and their number is bounded.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from bridge.decode.exact_json import InexactError, read

_BLANK = re.compile(rb"[ \t\r\n]*+")
# A repetition that never gives back ends each time with an empty alternative, so that its last round always matches:
# CPython before 3.11.5 does not step back from a round that failed halfway (its issue 106052); Debian 12 has 3.11.2.
_TEXT = rb'"(?:[^"\\]++|\\.|)*+"'
_BATCH = rb'"batch"[ \t\r\n]*+:[ \t\r\n]*+(' + _TEXT + rb")"
_BATCH_FIRST = re.compile(rb"[ \t\r\n]*+\{[ \t\r\n]*+" + _BATCH, re.DOTALL)
_BATCH_LAST = re.compile(rb",[ \t\r\n]*+" + _BATCH + rb"[ \t\r\n]*+\}[ \t\r\n]*+\Z", re.DOTALL)
NEAR = 2048
"""Bytes at the start and the end of a payload in which its batch id is looked for."""

_FLAT = rb'(?:[^"\[\]{}]++|' + _TEXT + rb"|)*+"
_SHALLOW = rb'(?:[^"\[\]{}]++|' + _TEXT + rb"|[\[{]" + _FLAT + rb"[\]}]|)*+"
# Where nothing else matches the last two do, so that a search is always over where it began.
_BRACKET = rb"(?:([\[{])|([\]}])|(.)|\Z)"
_NEXT = re.compile(_FLAT + _BRACKET, re.DOTALL)
"""What comes up to the next bracket, and that: the group says whether it opens, closes or is none."""
_NEXT_OF_DEEP = re.compile(_SHALLOW + _BRACKET, re.DOTALL)
"""The same past pairs of brackets with no others in them, of which there may be many: the samples of a series."""
_OPENS, _CLOSES = 1, 2
_OPENING = frozenset({b"[", b"{"})

#: Steps through levels that are too deep, for one delivery.
MOST_STEPS = 65_536

_STRIDE = 512
"""Of these steps so many are made between two pauses; each takes a quarter of a microsecond."""


def go_on() -> None:
    """A pause that is none."""


class Part(NamedTuple):
    """The bytes of one value; ``deep`` when it nests deeper than was asked for."""

    raw: bytes
    deep: bool


_NONE = Part(b"", deep=False)


class Parts(NamedTuple):
    """``wrapper`` are the fields other than ``events`` of a batch (None without a wrapper); then each event."""

    wrapper: list[tuple[str, Part]] | None
    events: list[Part]


class LostError(Exception):
    """Where one part ends and the next begins cannot be seen: brackets or texts do not close as they should.

    ``parts`` are what was whole up to ``at``: the events, and each field whose name was seen, with its value or none.
    """

    parts = Parts(None, [])
    at = 0


class TooManyError(Exception):
    """There are more events than were asked for."""


def take_apart(payload: bytes, levels: int, most: int, pause: Callable[[], None] = go_on) -> Parts:
    """The events of an array, or of an object whose field ``events`` is one. Raises LostError and TooManyError.

    ``pause`` is called before each part, and now and then within one that nests too deep.
    """
    taking = _Taking(payload, levels, most, pause)
    try:
        return taking.delivery()
    except LostError as lost:
        lost.parts, lost.at = taking.so_far()
        raise


def nests_deeper(payload: bytes, levels: int, pause: Callable[[], None] = go_on) -> bool:
    """Whether brackets open more levels than these somewhere; looks at the first MOST_STEPS brackets."""
    depth = 0
    for step, found in enumerate(islice(_NEXT.finditer(payload), MOST_STEPS), 1):
        if not step % _STRIDE:
            pause()
        mark = found.lastindex
        if mark == _OPENS:
            depth += 1
            if depth > levels:
                return True
        elif mark == _CLOSES:
            depth -= 1
        else:
            break
    return False


def batch_of(payload: bytes, *, whole: bool = True) -> str | None:
    """The batch id that a payload names at its start or end, whatever is wrong with the rest.

    Of one that is not ``whole`` the beginning is known alone.
    """
    found = _BATCH_FIRST.match(payload[:NEAR]) or (_BATCH_LAST.search(payload[-NEAR:]) if whole else None)
    try:
        text = read(found[1]) if found else None
    except InexactError:
        return None
    return text if isinstance(text, str) else None


@lru_cache(maxsize=8)
def _pattern(levels: int) -> re.Pattern[bytes]:
    """One value without more than this many levels."""
    inside = _FLAT
    for _ in range(levels - 1):
        inside = rb'(?:[^"\[\]{}]++|' + _TEXT + rb"|[\[{]" + inside + rb"[\]}]|)*+"
    value = rb"(?:[\[{]" + inside + rb"[\]}]|" + _TEXT + rb'|[^"\[\]{},]++)'
    return re.compile(value, re.DOTALL)


class _Taking:
    """One walk over a payload."""

    def __init__(self, payload: bytes, levels: int, most: int, pause: Callable[[], None]) -> None:
        self._payload = payload
        self._pause = pause
        self._value = _pattern(levels)
        self._most = most
        self._steps = MOST_STEPS
        self._at = 0
        self._fields: list[tuple[str, Part]] | None = None
        self._events: list[Part] = []

    def so_far(self) -> tuple[Parts, int]:
        """What is whole, and where the walk is; of a field that is not, the name alone."""
        return Parts(self._fields, self._events), self._at

    def delivery(self) -> Parts:
        self._skip()
        found = Parts(None, self._array()) if self._next() == b"[" else self._batch()
        self._skip()
        if self._at != len(self._payload):
            raise LostError
        return found

    def _next(self) -> bytes:
        return self._payload[self._at : self._at + 1]

    def _skip(self) -> None:
        found = _BLANK.match(self._payload, self._at)
        self._at = self._at if found is None else found.end()

    def _expect(self, mark: bytes) -> None:
        self._skip()
        if self._next() != mark:
            raise LostError
        self._at += 1
        self._skip()

    def _array(self) -> list[Part]:
        events = self._events
        self._expect(b"[")
        if self._next() == b"]":
            self._at += 1
            return events
        while len(events) <= self._most:
            events.append(self._part())
            self._skip()
            if self._next() == b"]":
                self._at += 1
                return events
            self._expect(b",")
        raise TooManyError

    def _batch(self) -> Parts:
        fields = self._fields = []
        events: list[Part] | None = None
        self._expect(b"{")
        while len(fields) <= self._most:
            key = self._key()
            self._expect(b":")
            if key == "events" and events is None and self._next() == b"[":
                events = self._array()
            else:
                fields.append((key, _NONE))
                fields[-1] = (key, self._part())
            self._skip()
            if self._next() == b"}":
                self._at += 1
                break
            self._expect(b",")
        if events is None:
            raise LostError
        return Parts(fields, events)

    def _key(self) -> str:
        try:
            key = read(self._part().raw)
        except InexactError:
            key = None
        if not isinstance(key, str):
            raise LostError
        return key

    def _part(self) -> Part:
        self._pause()
        start = self._at
        found = self._value.match(self._payload, start)
        if found is not None:
            self._at = found.end()
        elif self._next() in _OPENING:
            self._at = self._end_of_deep(start)
        else:
            raise LostError
        return Part(self._payload[start : self._at].rstrip(b" \t\r\n"), found is None)

    def _end_of_deep(self, at: int) -> int:
        """The end of a value that nests too deep, level by level."""
        depth = 0
        for found in islice(_NEXT_OF_DEEP.finditer(self._payload, at), self._steps):
            self._steps -= 1
            if not self._steps % _STRIDE:
                self._pause()
            mark = found.lastindex
            if mark == _OPENS:
                depth += 1
            elif mark == _CLOSES:
                depth -= 1
                if depth == 0:
                    return found.end()
            else:
                break
        raise LostError
