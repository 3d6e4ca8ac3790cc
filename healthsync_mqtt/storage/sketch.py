"""What many rows of one user hold, roughly: enough to say of something that it is not among them.

Who they come from and which apps made them is all there. Of the numbers of each field it is kept where they lie: whole
numbers up to a thousand exactly, others to about a thousandth, and more roughly where there are very many. So it may
say "perhaps" where there is none, but never "no" where there is one.
"""

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable
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
_SOURCE: Final = b',"source":{'
_RECORD_ID: Final = b'"record_id":"'
_BACKSLASH: Final = ord("\\")
_CLOSED: Final = 2
"""Braces that end the source of an event, which is the last of it, and the event."""
_NOTHING: Final = len(b"{}")
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


_read: Final = msgspec.json.Decoder(_Inside).decode
_read_source: Final = msgspec.json.Decoder(_MadeBy).decode
_pack: Final = msgspec.msgpack.encode
_Places = dict[str, dict[str, list[float] | None]]
_unpack: Final = msgspec.msgpack.Decoder(tuple[list[str], list[str], _Places]).decode


class Gathering:
    """What the rows hold that are being stored; ``first`` is the oldest of them.

    Fewer than ``least`` are only kept, and read together with those of others, who have few, too: ``few``.
    """

    __slots__ = (
        "_few",
        "_least",
        "_seen",
        "_seen_sources",
        "_waiting",
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
        self._waiting: list[tuple[str, str | None, bytes]] = []
        self.providers: set[str] = set()
        self.apps: set[str] = set()
        self.numbers: defaultdict[tuple[str, str], set[float]] = defaultdict(set)
        #: What was read already: sources, and by type what stands before them.
        self._seen_sources: set[bytes] = set()
        self._seen: defaultdict[str, set[bytes]] = defaultdict(set)
        #: Whether a row could not be taken apart: then nothing can be said.
        self.unread = False

    def add(self, type_name: str, provider: str | None, body: bytes) -> None:
        """One row more. It is done for each that is stored: nothing is read of fewer than ``least``."""
        self.rows += 1
        if self.rows < self._least:
            self._waiting.append((type_name, provider, body))
            if self._few is not None:
                self._few.add(type_name, provider, body)
            return
        if self._waiting:
            self.read_waiting()
        self._add(type_name, provider, body)

    def read_waiting(self) -> None:
        """Read those that are only kept."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            self._add(*each)

    def _add(self, type_name: str, provider: str | None, body: bytes) -> None:
        """What was seen already is not read again."""
        if provider is not None and provider not in self.providers:
            self.providers.add(provider)
        at = body.rfind(_SOURCE)
        if at > 0:
            said, inside = body[at:], body[:at]
            named = said.find(_RECORD_ID)
            if named > 0:  # of records each has its own
                named += len(_RECORD_ID)
                end = said.find(b'"', named)
                if said[end - 1] != _BACKSLASH:
                    said = said[:named] + said[end:]
            if said not in self._seen_sources:
                if said.count(b"{") != 1 or said.count(b"}") != _CLOSED:  # not the event's own, perhaps
                    self._read(type_name, body)
                    return
                if len(self._seen_sources) < _MOST_SEEN:
                    self._seen_sources.add(said)
                try:
                    self._name(_read_source(said[len(_SOURCE) - 1 : -1]))
                except msgspec.DecodeError:
                    self.unread = True
        else:
            inside = body
        seen = self._seen[type_name]
        if inside not in seen:
            if len(seen) < _MOST_SEEN:
                seen.add(inside)
            self._read(type_name, body)

    def _read(self, type_name: str, body: bytes) -> None:
        if len(body) <= _NOTHING:  # a deletion, or purged
            return
        try:
            told = _read(body)
        except msgspec.DecodeError:
            self.unread = True
            return
        if told.source is not None:
            self._name(told.source)
        value, numbers = told.value, self.numbers
        if value.__class__ is dict and type_name in _FIRST:
            for field, number in value.items():
                if number.__class__ is int or number.__class__ is float:
                    numbers[type_name, field].add(number)
                elif field == "samples" and number.__class__ is list:
                    self._add_samples(type_name, number)

    def _name(self, source: "_MadeBy") -> None:
        if source.provider is not None:
            self.providers.add(source.provider)
        if source.app is not None:
            self.apps.add(source.app)

    def join(self, other: "Gathering") -> None:
        """What that holds, too."""
        other.read_waiting()
        self.rows += other.rows
        self.providers |= other.providers
        self.apps |= other.apps
        self.unread |= other.unread
        for of, numbers in other.numbers.items():
            self.numbers[of].update(numbers)

    def encoded(self) -> bytes | None:
        """As it is kept; None where nothing can be said, or not in few words. Its length says little."""
        if self.unread or len(self.providers) > _MOST_NAMES or len(self.apps) > _MOST_NAMES:
            return None
        places: _Places = {}
        for (type_name, field), numbers in self.numbers.items():
            places.setdefault(type_name, {})[field] = _places(numbers)
        piece = _pack((sorted(self.providers), sorted(self.apps), places))
        if len(piece) > _MOST_BYTES:
            return None
        whole = len(piece).to_bytes(_LENGTH, "big") + piece
        return whole.ljust(-(-len(whole) // _PADDED_TO) * _PADDED_TO, b"\0")

    def _add_samples(self, type_name: str, samples: Iterable[Any]) -> None:
        numbers = self.numbers[type_name, _FIRST[type_name]]
        numbers.update(
            sample[1]
            for sample in samples
            if isinstance(sample, list) and len(sample) > 1 and isinstance(sample[1], int | float)
        )
        if len(numbers) > _MOST_GATHERED:
            rough = {number if _is_strange(number) else _edge(number, _FINEST) for number in numbers}
            numbers.clear()
            numbers.update(rough)


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
