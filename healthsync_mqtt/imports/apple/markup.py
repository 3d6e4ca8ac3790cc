"""The markup of an export, element by element: whatever size it has, with what iOS gets wrong in it.

A DTD is never read, so that nothing can be declared or expanded; control characters are taken out. An element that
cannot be read costs itself: reading goes on at the next one.
"""

import re
from collections.abc import Iterator, Sequence
from typing import IO, Any, Final, NamedTuple
from xml.parsers import expat

from healthsync_mqtt.imports.source import UnreadableError

_CHUNK: Final = 1 << 14
"""So little that its elements are gone before the collector looks at them twice: more is slower."""
_LONGEST: Final = 1 << 24
"""Bytes within which an element has to end."""
_MOST_PARTS: Final = 50_000
_DEEPEST: Final = 12
_MOST_FAULTS: Final = 10_000
_DTD_WITHIN: Final = 1 << 20
_CONTROLS: Final = bytes(each for each in range(32) if each not in {9, 10, 13}) + b"\x7f"
_NEXT: Final = re.compile(rb"<(?:Record|Correlation|Workout|ActivitySummary|ClinicalRecord|Audiogram)\b")
_BAD_REFERENCE: Final = re.compile(rb"&#(?:x0*(?:[0-8bcef]|1[0-9a-f])|0*(?:[0-8]|1[124-9]|2\d|3[01]));", re.IGNORECASE)
_REFERENCE: Final = b"&#"
_REFERENCE_BYTES: Final = 12
"""A reference is not longer; one that is divided between two pieces is read with the second."""

Attributes = dict[str, str]
_NONE: Final[Any] = ()


class Element(NamedTuple):
    """An element right below the root: its name, its attributes, and what is in it with its depth (1: right in it)."""

    name: str
    attributes: Attributes
    parts: "Sequence[tuple[int, str, Attributes]]"


class BrokenElement(NamedTuple):
    """Something that is no element: where, and why."""

    place: str
    text: str


def elements(file: IO[bytes]) -> Iterator[Element | BrokenElement]:
    """All elements right below the root, in their order."""
    for some in runs(file):
        yield from some


def runs(file: IO[bytes]) -> Iterator[Sequence[Element | BrokenElement]]:
    """The same, some at a time: as many as are whole in a piece of the file."""
    reader = _MarkupReader()
    for chunk in _without_dtd(file):
        yield from reader.feed(chunk)
        if reader.ended:
            return
    yield reader.close()


def _without_dtd(file: IO[bytes]) -> Iterator[bytes]:
    """The bytes without a document type and without controls."""
    head = b""
    while len(head) < _DTD_WITHIN and (chunk := file.read(_CHUNK)):
        head += chunk
        begin = head.find(b"<!DOCTYPE")
        if begin < 0:
            if b"<HealthData" in head:
                break
            continue
        inner, plain = head.find(b"[", begin), head.find(b">", begin)
        end = head.find(b"]>", begin) if 0 <= inner < plain or plain < 0 else plain - 1
        if end >= 0:
            head = head[:begin] + head[end + 2 :]
            break
    kept = b""
    while chunk := head or file.read(_CHUNK):
        chunk, head = kept + chunk, b""
        cut = chunk.rfind(b"&", -_REFERENCE_BYTES)
        kept = b"" if cut < 0 or b";" in chunk[cut:] else chunk[cut:]
        yield _clean(chunk[: len(chunk) - len(kept)])
    yield _clean(kept)


def _clean(chunk: bytes) -> bytes:
    chunk = chunk.translate(None, _CONTROLS)
    return _BAD_REFERENCE.sub(b"", chunk) if _REFERENCE in chunk else chunk


class _MarkupReader:
    def __init__(self) -> None:
        self.ended = False
        self._faults = 0
        self._read = 0
        self._last = b""
        self._seen: list[Any] = []
        self._silent = 0
        self._start()

    def _start(self, *, within: bool = False) -> None:
        """A parser at the beginning of a document, or in one as if its root had just begun."""
        self._parser = parser = expat.ParserCreate()
        add = self._seen.append
        parser.buffer_text = True
        parser.StartElementHandler = lambda name, attributes: add((name, attributes))
        parser.EndElementHandler = add
        parser.StartDoctypeDeclHandler = _refuse
        self._depth = 0
        self._open: tuple[str, Attributes, Any] | None = None
        if within:
            parser.Parse(b"<HealthData>")
        self._fed = 12 if within else 0

    def feed(self, chunk: bytes) -> Iterator[Sequence[Element | BrokenElement]]:
        """Some bytes more."""
        while chunk:
            try:
                self._parser.Parse(chunk)
            except expat.ExpatError as error:
                yield self._take()
                found = self._after(chunk, error)
                why = f"{expat.ErrorString(error.code)}: this element cannot be read"
                yield [BrokenElement(f"byte {self._read}", why)]
                self._faults += 1
                self._read += len(chunk)
                if self._faults > _MOST_FAULTS:
                    self.ended = True
                    yield [BrokenElement(f"byte {self._read}", "too much of it cannot be read")]
                    return
                self._seen.clear()
                self._start(within=True)
                chunk = found
                continue
            before = len(self._seen)
            self._fed += len(chunk)
            self._read += len(chunk)
            self._silent = 0 if before else self._silent + len(chunk)
            yield self._take()
            if self._silent > _LONGEST:
                self.ended = True
                yield [BrokenElement(f"byte {self._read}", f"an element of more than {_LONGEST} bytes")]
            return

    def close(self) -> Sequence[Element | BrokenElement]:
        """No more bytes come."""
        try:
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            cut = BrokenElement(f"byte {self._read}", f"{expat.ErrorString(error.code)}: it is cut here")
            return [*self._take(), cut]
        return self._take()

    def _after(self, chunk: bytes, error: expat.ExpatError) -> bytes:
        """What comes after the element that cannot be read."""
        at = max(0, self._parser.ErrorByteIndex - self._fed)
        if error.code == expat.errors.codes[expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT]:
            return b""
        found = _NEXT.search(chunk, at + 1)
        return chunk[found.start() :] if found else b""

    def _take(self) -> list[Element | BrokenElement]:
        """The elements that are complete."""
        depth, open_ = self._depth, self._open
        found: list[Element | BrokenElement] = []
        new, add = tuple.__new__, found.append
        for each in self._seen:
            if type(each) is str:
                depth -= 1
                if depth == 1 and open_ is not None:
                    add(new(Element, open_))  # what Element(...) does, without a call in between
                    open_ = None
                continue
            if depth == 1:
                open_ = (each[0], each[1], _NONE)
            elif open_ is not None and depth > 1 and depth <= _DEEPEST:
                name, attributes, parts = open_
                if parts is _NONE:
                    open_ = (name, attributes, parts := [])
                if len(parts) < _MOST_PARTS:
                    parts.append((depth - 1, each[0], each[1]))
            depth += 1
        self._depth, self._open = depth, open_
        self._seen.clear()
        return found


def _refuse(*_: object) -> None:
    raise UnreadableError("its document type is not where it can be left out")
