"""What goes over the pipes between the service and the process that reads for it. Pure.

An answer comes in pieces, so that the service never takes long over one: unpacking holds the interpreter, and with it
everybody's acknowledgements. For the same reason the collector looks at what each piece has made right away: in the
service its own turn comes when there is a hundred thousand new objects, and takes some 20 ms.
"""

import gc
import pickle
import struct
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final, NamedTuple, TypeVar

import msgspec

from healthsync_mqtt.formats.catalogue import SHIPPED
from healthsync_mqtt.formats.port import Format, Told
from healthsync_mqtt.model.event import Aftermath, Decoded, Event, Gone, Rejection
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.origin import Origin

QUESTION: Final = struct.Struct(">II")
"""Before a question: the bytes of what is asked, and of the payload, which follow."""
PIECE: Final = struct.Struct(">cI")
"""Before a piece of an answer: what it is of, and its bytes."""

_AT_ONCE: Final = 500
_BYTES_AT_ONCE: Final = 262_144
"""Of a piece: entries, and about the bytes of events."""


class Kind(Enum):
    """What a piece is of."""

    #: nothing yet: the process is at it
    BEAT = b"."
    EVENTS = b"e"
    REFUSALS = b"r"
    NAMED = b"n"
    GONE = b"g"
    #: all is said: what an answer has beside lists
    END = b"!"


class ReadRequest(NamedTuple):
    """What a payload is read with. A format of the program goes by its name; a mapping goes along."""

    origin: Origin
    now_us: int
    limits: Limits
    form: Format
    told: Told

    def packed(self) -> bytes:
        """As bytes."""
        named = SHIPPED.get(self.form.name) is self.form
        return pickle.dumps(self._replace(form=self.form.name) if named else self)  # type: ignore[arg-type]

    @classmethod
    def unpacked(cls, data: bytes) -> "ReadRequest":
        """The same from bytes of the service's own."""
        question: ReadRequest = pickle.loads(data)  # noqa: S301  # over a pipe of ours
        if isinstance(question.form, str):
            return question._replace(form=SHIPPED[question.form])
        return question


class _End(NamedTuple):
    batch: str | None
    total: int
    size: int
    cost: int
    aftermath: Aftermath | None


_pack = msgspec.msgpack.Encoder().encode
_events = msgspec.msgpack.Decoder(list[Event]).decode
_named = msgspec.msgpack.Decoder(list[tuple[str, str]]).decode
_T = TypeVar("_T")


def pieces(decoded: Decoded, payload: bytes) -> Iterator[tuple[Kind, bytes]]:
    """An answer, in the order in which it goes out."""
    piece: list[Event] = []
    held = 0
    for event in decoded.events:
        piece.append(event)
        held += len(event.body)
        if len(piece) == _AT_ONCE or held > _BYTES_AT_ONCE:
            yield Kind.EVENTS, _pack(piece)
            piece, held = [], 0
    if piece:
        yield Kind.EVENTS, _pack(piece)
    for part in _parts(decoded.rejections):
        whole = [each.raw is payload for each in part]
        bare = [each._replace(raw=b"") if is_it else each for each, is_it in zip(part, whole, strict=True)]
        yield Kind.REFUSALS, pickle.dumps((bare, whole))
    after = decoded.aftermath
    if after is not None:
        for names in _parts(after.named):
            yield Kind.NAMED, _pack(names)
        for gone in _parts(after.gone):
            yield Kind.GONE, pickle.dumps(gone)
        after = after._replace(named=(), gone=())
    yield Kind.END, pickle.dumps(_End(decoded.batch, decoded.total, decoded.size, decoded.cost, after))


class ReadOut:
    """An answer as it comes in."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._events: list[Event] = []
        self._rejections: list[Rejection] = []
        self._named: list[tuple[str, str]] = []
        self._gone: list[Gone] = []
        #: what it comes to; None before its end
        self.decoded: Decoded | None = None

    def take(self, kind: Kind, data: bytes) -> None:
        """The next piece."""
        self._take(kind, data)
        gc.collect(0)

    def _take(self, kind: Kind, data: bytes) -> None:
        match kind:
            case Kind.BEAT:
                pass
            case Kind.EVENTS:
                self._events += _events(data)
            case Kind.REFUSALS:
                part, whole = pickle.loads(data)  # noqa: S301  # over a pipe of ours
                self._rejections += [
                    each._replace(raw=self._payload) if is_it else each for each, is_it in zip(part, whole, strict=True)
                ]
            case Kind.NAMED:
                self._named += _named(data)
            case Kind.GONE:
                self._gone += pickle.loads(data)  # noqa: S301  # the same
            case Kind.END:
                end: _End = pickle.loads(data)  # noqa: S301  # the same
                after = end.aftermath
                if after is not None:
                    after = after._replace(named=tuple(self._named), gone=tuple(self._gone))
                self.decoded = Decoded(end.batch, self._events, self._rejections, end.total, end.size, end.cost, after)


def _parts(entries: Sequence[_T]) -> Iterator[list[_T]]:
    for start in range(0, len(entries), _AT_ONCE):
        yield list(entries[start : start + _AT_ONCE])
