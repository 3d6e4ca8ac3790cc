"""What many rows of one user hold, roughly: enough to say of something that it is not among them.

Who they come from and which apps made them is all there. Of the numbers of each field it is kept where they lie: whole
numbers up to a thousand exactly, others to about a thousandth, and more roughly where there are very many. So it may
say "perhaps" where there is none, but never "no" where there is one.
"""

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any, Final, Self, TypeVar

import msgspec

from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.choice import Contents, ValueRange

_FIRST: Final = {name: each.quantities[0].field for name, each in CATALOGUE.items() if each.quantities}
_FINEST: Final = 10
"""Bits of a number that are kept, at most."""
_COARSER: Final = 2
_MOST_PLACES: Final = 128
_MOST_NAMES: Final = 128
_MOST_BYTES: Final = 16_384
_MOST_GATHERED: Final = 8192
_MOST_SEEN: Final = 2048
_TRIED_WITH: Final = 128
"""Bodies of a type that are remembered at least, until it is seen whether they come again."""
LONG: Final = 1024
"""Bytes of a body that is not kept in memory to be read later, or to be known again."""
_NOTHING: Final = len(b"{}")
_TOGETHER: Final = 16
_AT_MOST: Final = 64
"""Rows that are read together: one by one each takes three times as much."""
_PADDED_TO: Final = 128
_LENGTH: Final = 4


User = TypeVar("User", int, str)

UNKNOWN: Final = b"?"
"""Stands for a sketch that is not to be trusted: it says perhaps to everything."""


class _MadeBy(msgspec.Struct, gc=False):
    provider: str | None = None
    app: str | None = None


class _Inside(msgspec.Struct, gc=False):
    value: Any = None
    source: _MadeBy | None = None


class _Sample(msgspec.Struct, array_like=True, gc=False):
    at: Any
    number: int | float


class _Series(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    samples: list[_Sample]


class _SeriesInside(msgspec.Struct, gc=False):
    """A body that is a series and nothing else: the collector looks at none of its twenty thousand samples."""

    value: _Series
    source: _MadeBy | None = None


_read_series: Final = msgspec.json.Decoder(_SeriesInside).decode
_number: Final = attrgetter("number")
_read: Final = msgspec.json.Decoder(_Inside).decode
_lines: Final = msgspec.json.Decoder(_Inside).decode_lines
_pack: Final = msgspec.msgpack.encode
_Places = dict[str, dict[str, list[float] | None]]
_unpack: Final = msgspec.msgpack.Decoder(tuple[list[str], list[str], _Places]).decode


class Gathering:
    """What the rows hold that are being stored; ``first`` is the oldest of them.

    Nothing is read of fewer than ``least``. They are read together with those of others, who have few, too: ``few``.
    """

    __slots__ = (
        "_few",
        "_least",
        "_seen",
        "_waiting",
        "_waits",
        "apps",
        "first",
        "numbers",
        "providers",
        "rows",
        "unread",
    )

    def __init__(self, first: int = 0, least: int = 1, few: "Gathering | None" = None) -> None:
        self.first = first
        self.rows = 0
        self._few = few
        self._least = least
        #: What is not read yet, by type; how many there are.
        self._waiting: defaultdict[str, list[bytes]] = defaultdict(list)
        self._waits = 0
        self.providers: set[str] = set()
        self.apps: set[str] = set()
        self.numbers: defaultdict[str, defaultdict[str, set[float]]] = defaultdict(_fields)
        #: What was read already, by type; None: each says something else.
        self._seen: defaultdict[str, set[bytes] | None] = defaultdict(set)
        #: Whether a row could not be taken apart: then nothing can be said.
        self.unread = False

    def add(self, type_name: str, provider: str | None, bodies: Sequence[bytes]) -> None:
        """Rows more, of one type and provider."""
        self.rows += len(bodies)
        if provider is not None:
            self.providers.add(provider)
        self._waiting[type_name] += bodies
        self._waits += len(bodies)
        if (self._waits >= _TOGETHER and self.rows >= self._least) or max(map(len, bodies)) > LONG:
            self.read_waiting()
        if self._few is not None and self.rows < self._least:
            self._few.add(type_name, provider, bodies)

    def read_waiting(self) -> None:
        """Read those that are only kept."""
        for type_name, bodies in self._waiting.items():
            self._read(type_name, bodies)
        self._waiting.clear()
        self._waits = 0

    def _read(self, type_name: str, bodies: Sequence[bytes]) -> None:
        """What was seen already is not read again."""
        seen = self._seen[type_name]
        if seen is None:
            self._take(type_name, bodies)
        elif not seen.issuperset(bodies):
            fresh = set(bodies).difference(seen)
            self._take(type_name, fresh)
            if len(seen) < _TRIED_WITH or len(fresh) * 4 < len(bodies) * 3:
                if len(seen) + len(fresh) <= _MOST_SEEN and max(map(len, fresh)) <= LONG:
                    seen |= fresh
            else:
                self._seen[type_name] = None

    def _take(self, type_name: str, bodies: Iterable[bytes]) -> None:
        whole = [body for body in bodies if len(body) > _NOTHING]  # not deletions, nor what is purged
        step = 1 if max(map(len, whole), default=0) > LONG else _AT_MOST
        for start in range(0, len(whole), step):
            self._take_some(type_name, whole[start : start + step])

    def _take_some(self, type_name: str, bodies: Sequence[bytes]) -> None:
        if len(bodies) == 1 and len(bodies[0]) > LONG and type_name in _FIRST and self._take_series(type_name, *bodies):
            return
        try:
            told = _told(bodies)
        except msgspec.DecodeError:
            self.unread = True
            return
        sources = [source for each in told if (source := each.source) is not None]
        self.providers.update([name for each in sources if (name := each.provider) is not None])
        self.apps.update([name for each in sources if (name := each.app) is not None])
        if type_name in _FIRST:
            fields = self.numbers[type_name]
            for each in told:
                if each.value.__class__ is dict:
                    for field, number in each.value.items():
                        if number.__class__ is int or number.__class__ is float:
                            fields[field].add(number)
                        elif field == "samples" and number.__class__ is list:
                            self._add_samples(fields[_FIRST[type_name]], number)

    def _take_series(self, type_name: str, body: bytes) -> bool:
        """Take a series without a step of ours for each sample; False: it is something else, too."""
        try:
            told = _read_series(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return False
        if told.source is not None:
            self.providers.update(name for name in (told.source.provider,) if name is not None)
            self.apps.update(name for name in (told.source.app,) if name is not None)
        numbers = self.numbers[type_name][_FIRST[type_name]]
        numbers.update(map(_number, told.value.samples))
        self._smooth(numbers)
        return True

    def join(self, other: "Gathering") -> None:
        """What that holds, too."""
        other.read_waiting()
        self.rows += other.rows
        self.providers |= other.providers
        self.apps |= other.apps
        self.unread |= other.unread
        for type_name, fields in other.numbers.items():
            for field, numbers in fields.items():
                self.numbers[type_name][field] |= numbers

    def encoded(self) -> bytes | None:
        """As it is kept; None where nothing can be said, or not in few words. Its length says little."""
        self.read_waiting()
        if self.unread or len(self.providers) > _MOST_NAMES or len(self.apps) > _MOST_NAMES:
            return None
        places: _Places = {
            type_name: {field: _places(numbers) for field, numbers in fields.items()}
            for type_name, fields in self.numbers.items()
            if fields
        }
        piece = _pack((sorted(self.providers), sorted(self.apps), places))
        if len(piece) > _MOST_BYTES:
            return None
        whole = len(piece).to_bytes(_LENGTH, "big") + piece
        return whole.ljust(-(-len(whole) // _PADDED_TO) * _PADDED_TO, b"\0")

    @staticmethod
    def _add_samples(numbers: set[float], samples: Iterable[Any]) -> None:
        numbers.update(
            sample[1]
            for sample in samples
            if isinstance(sample, list) and len(sample) > 1 and isinstance(sample[1], int | float)
        )
        Gathering._smooth(numbers)

    @staticmethod
    def _smooth(numbers: set[float]) -> None:
        """Keep where they lie, where they are very many."""
        if len(numbers) > _MOST_GATHERED:
            rough = {number if _is_strange(number) else _edge(number, _FINEST) for number in numbers}
            numbers.clear()
            numbers.update(rough)


def _told(bodies: Sequence[bytes]) -> list[_Inside]:
    """What bodies say; DecodeError when one of them cannot be read."""
    with suppress(msgspec.DecodeError):
        told = _lines(b"\n".join(bodies))
        if len(told) == len(bodies):
            return told
    return list(map(_read, bodies))  # one of them has lines of its own


def _fields() -> defaultdict[str, set[float]]:
    return defaultdict(set)


class UsersGathered(dict[User, Gathering]):
    """What rows hold, by user; ``few``: those of users with few of them, of all these users together."""

    def __init__(self) -> None:
        self.few = Gathering()

    def begun(self, user: User, first: int, least: int, *, sealed: bool) -> Gathering:
        """Where rows of the user are added. In a sealed log nothing is said of several users together."""
        begun = self[user] = Gathering(first, least, None if sealed else self.few)
        return begun

    def of_all(self, least: int) -> bytes | None:
        """A sketch of all rows; None where it would say nothing."""
        whole = Gathering()
        whole.join(self.few)
        for each in self.values():
            if each.rows >= least:
                whole.join(each)
        return whole.encoded()

    def kept(
        self, least: int, seal: Callable[[User, Gathering, bytes], bytes | None] | None
    ) -> tuple[list[tuple[User, bytes]], bytes | None]:
        """The sketches of users with so many rows, as they are stored, and what is stored of all rows; None: nothing.

        ``seal``, in a sealed log, seals a user's sketch: None where the key of those rows was destroyed. Of all rows
        nothing is said there, but with no bytes that every user has a sketch.
        """
        kept: list[tuple[User, bytes]] = []
        for user, of_user in sorted(self.items()):
            sketch = of_user.encoded() if of_user.rows >= least else None
            if sketch is not None and seal is not None:
                sketch = seal(user, of_user, sketch)
            if sketch is not None:
                kept.append((user, sketch))
        if seal is None:
            return kept, self.of_all(least)
        return kept, b"" if len(kept) == len(self) else None


class Sketch:
    """What ``Gathering.encoded`` has kept."""

    __slots__ = ("_apps", "_places", "_providers")

    def __init__(self, providers: list[str], apps: list[str], places: _Places) -> None:
        self._providers = providers
        self._apps = apps
        self._places = places

    @classmethod
    def of(cls, whole: bytes) -> Self:
        """From the bytes; msgspec.MsgspecError when they are none."""
        return cls(*_unpack(whole[_LENGTH : _LENGTH + int.from_bytes(whole[:_LENGTH], "big")]))

    def may_hold(self, contents: Contents, type_name: str | None = None) -> bool:
        """Whether a row (of this type) may be one of those; False: none is."""
        return (
            contents.is_from(*self._providers)
            and (contents.app is None or contents.app in self._apps)
            and (contents.value is None or self._may_have(contents.value, type_name))
        )

    def _may_have(self, value: ValueRange, type_name: str | None) -> bool:
        if type_name is not None:
            return _meet(self._places.get(type_name), value, type_name)
        return any(_meet(fields, value, name) for name, fields in self._places.items())


def may_hold(sketch: bytes | None, contents: Contents, type_name: str | None) -> bool:
    """Whether rows of which this is the sketch may be some of those; None: their key was destroyed."""
    if sketch is None:
        return False
    try:
        return sketch == UNKNOWN or Sketch.of(sketch).may_hold(contents, type_name)
    except msgspec.MsgspecError:
        return True


def _meet(fields: dict[str, list[float] | None] | None, value: ValueRange, type_name: str) -> bool:
    field = value.field or _FIRST.get(type_name)
    if not fields or field not in fields:
        return False
    places = fields[field]
    if places is None:
        return True
    # The first is how many bits there are. Of the places that begin early enough the last one ends last.
    at = bisect_right(places, value.high, 1)
    return at > 1 and _end(places[at - 1], int(places[0])) >= value.low


def _places(numbers: set[float]) -> list[float] | None:
    """The bits, and where the places begin that have some; None: it can be anything."""
    if any(map(_is_strange, numbers)):
        return None
    bits, edges = _FINEST, {_edge(number, _FINEST) for number in numbers}
    while len(edges) > _MOST_PLACES and bits > 0:
        bits -= _COARSER
        edges = {_edge(edge, bits) for edge in edges}
    if len(edges) > _MOST_PLACES:
        return None
    return [bits, *(int(edge) if edge.is_integer() and abs(edge) < 1 << 32 else edge for edge in sorted(edges))]


def _is_strange(number: float) -> bool:
    """Whether the steps of numbers are not what they are elsewhere, or it is an integer that is no number here."""
    return number != 0 and not 1e-290 < abs(number) < 1e290


def _edge(number: float, bits: int) -> float:
    """Where the place of a number begins; of such a place it is the place itself."""
    fraction, exponent = math.frexp(number)
    return math.ldexp(math.floor(math.ldexp(fraction, bits)), exponent - bits)


def _end(edge: float, bits: int) -> float:
    return edge + math.ldexp(1.0, math.frexp(edge)[1] - bits)
