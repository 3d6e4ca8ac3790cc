"""Tell the senders, after the commit and never before: acknowledgements first, then receipts."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from healthsync_mqtt.model.delivery import Delivery, DeliveryVerdict, Source
from healthsync_mqtt.model.event import Decoded, Rejection
from healthsync_mqtt.model.receipt import encode_entry, encode_receipt, rejected_entry

if TYPE_CHECKING:
    from healthsync_mqtt.model.origin import Origin


class Outcome(NamedTuple):
    """What became of one delivery: a seq per event of ``decoded.events``, 0 for a duplicate."""

    delivery: Delivery
    decoded: Decoded
    seqs: Sequence[int]


class Addressee(NamedTuple):
    """A sending device."""

    user: str
    device: str


def by_device(outcomes: Iterable[Outcome]) -> dict[Addressee, list[Outcome]]:
    """The outcomes by sending device; adapters get no receipts."""
    grouped: dict[Addressee, list[Outcome]] = {}
    last: Origin | None = None
    told: list[Outcome] | None = None
    for outcome in outcomes:
        origin = outcome.delivery.origin
        if origin is not last:  # a device's messages come many in a row
            last = origin
            told = None
            if origin.device is not None:
                told = grouped.setdefault(Addressee(origin.user, origin.device), [])
        if told is not None:
            told.append(outcome)
    return grouped


def acknowledge(outcomes: Iterable[Outcome], epoch: str, position: Callable[[str], int]) -> None:
    """Acknowledge every delivery to its source, in arrival order, one call a source.

    ``position`` is how far a user's own events are; it is told to who asked for it, with what became of the events.
    """
    tokens: dict[Source, list[int]] = {}
    verdicts: dict[Source, list[DeliveryVerdict]] = {}
    same: dict[tuple[str, int, int], DeliveryVerdict] = {}
    last: Source | None = None
    waiting: list[int] = []
    said: list[DeliveryVerdict] = []
    verdict: DeliveryVerdict | None = None
    of: Origin | None = None  # whose last message was new in every event of it, and how many it had
    size = 0
    for outcome in outcomes:
        (source, token, origin, _, retained, told, _, _, _), (_, _, rejections, _, _, _, _), seqs = outcome
        if source is not last:
            last = source
            waiting = tokens.setdefault(source, [])
            if told:
                said = verdicts.setdefault(source, [])
        waiting.append(token)
        if told:
            new = not rejections and not retained and 0 not in seqs
            if verdict is None or not new or origin is not of or len(seqs) != size:
                verdict = _verdict(outcome, epoch, position, same)
                of, size = (origin, len(seqs)) if new else (None, 0)
            said.append(verdict)
    for source, waiting in tokens.items():
        found = verdicts.get(source)
        if found is None:
            source.acknowledge(waiting)
        else:
            source.acknowledge(waiting, found)


def _verdict(
    outcome: Outcome, epoch: str, position: Callable[[str], int], same: dict[tuple[str, int, int], DeliveryVerdict]
) -> DeliveryVerdict:
    """What became of a delivery; one object for all of a user in which nothing was refused and as much was stored."""
    delivery, decoded, seqs = outcome
    user, duplicate, rejections = delivery.origin.user, seqs.count(0), decoded.rejections
    stored = len(seqs) - duplicate
    key = (user, stored, duplicate)
    found = None if rejections or delivery.retained else same.get(key)
    if found is not None:
        return found
    made = DeliveryVerdict(epoch, position(user), stored, duplicate)
    if not rejections and not delivery.retained:
        same[key] = made
        return made
    if rejections:
        first = rejections[0]
        made = made._replace(
            rejected=len(rejections),
            reason=first.reason.value,
            field=first.field or "",
            rejections=_listed(rejections),
            held=sum(each.retry or each.due_us is not None for each in rejections),
        )
    return made._replace(ignored="retain") if delivery.retained else made


MOST_LISTED: Final = 32
_LISTED_BYTES: Final = 16_384
"""Rejections of one delivery that its acknowledgement lists, and their bytes."""


def _listed(rejections: Sequence[Rejection]) -> tuple[str, ...]:
    """The first rejections as in a receipt, as far as there is room."""
    listed: list[str] = []
    size = 0
    for rejection in rejections[:MOST_LISTED]:
        text = encode_entry(rejection)
        size += len(text)
        if size > _LISTED_BYTES:
            break
        listed.append(text)
    return tuple(listed)


MOST_BYTES: Final = 65_000
"""Bytes of one receipt: what the smallest of clients takes, with room for topic and header within 64 KiB."""
_FRAME_BYTES: Final = 300  # keys, epoch, seq, batch id
_LEAST_ENTRY: Final = 39
"""What an entry of a rejection takes at least, with nothing in it but a place and a code."""


class _Tally:
    """Outcomes of one commit for one device that are told in one receipt."""

    def __init__(self) -> None:
        self.stored: list[str] = []
        self.duplicate: list[str] = []
        self.rejected: list[dict[str, object]] = []
        #: at least the bytes that this takes
        self.size = _FRAME_BYTES
        self.retained = False

    def refuse(self, rejections: Iterable[Rejection]) -> None:
        """Everything that was refused of one batch, as far as a receipt could ever list it."""
        self.rejected += map(rejected_entry, rejections)
        self.size += sum(map(_entry_bytes, self.rejected))

    @property
    def ignored(self) -> tuple[str, ...]:
        """What the sender asked for and does not get."""
        return ("retain",) if self.retained else ()

    def lighten(self, most: int) -> None:
        """Leave out of what was rejected the words, then fields, then ids, as far as the receipt is too long with them.

        What does not even fit then is not listed.
        """
        for word in ("message", "field", "id"):
            for entry in self.rejected:
                if self.size <= most:
                    return
                self.size -= _entry_bytes(entry)
                entry.pop(word, None)
                entry.setdefault("id", None)
                self.size += _entry_bytes(entry)
        while self.rejected and self.size > most:
            self.size -= _entry_bytes(self.rejected.pop())


def receipts(outcomes: Iterable[Outcome], epoch: str, seq: int, room: int = MOST_BYTES) -> list[bytes]:
    """The receipts of one commit for one device: one for each named batch, and for everything else as few as it takes.

    None is longer than any client takes. The receipt of a batch stays one message, so what is said of its rejected
    events is shortened; where codes and places alone are too long, it says how many are not listed. ``room`` is what
    the way to the device takes, where that is less.

    ``seq`` is the position of the device's user: nothing in a receipt depends on what other users sent.
    """
    most = min(MOST_BYTES, room)
    plain: list[_Tally] = []
    out: list[bytes] = []
    for outcome in outcomes:
        if outcome.decoded.batch is None:
            _tell(plain, outcome, most)
            continue
        tally, decoded = _Tally(), outcome.decoded
        tally.retained = outcome.delivery.retained
        tally.refuse(decoded.rejections[: most // _LEAST_ENTRY])
        tally.lighten(most)
        duplicate = outcome.seqs.count(0)
        stored, ignored = len(outcome.seqs) - duplicate, tally.ignored
        # Of the total, not of the refusals that are there: some may have been dropped when the connection went.
        unlisted = decoded.total - len(decoded.events) - len(tally.rejected)
        out.append(encode_receipt(epoch, seq, decoded.batch, stored, duplicate, tally.rejected, ignored, unlisted))
    out += [encode_receipt(epoch, seq, None, one.stored, one.duplicate, one.rejected, one.ignored) for one in plain]
    return out


def _tell(tallies: list[_Tally], outcome: Outcome, most: int) -> None:
    """Add a delivery to the last tally, and to further ones where that is full."""

    def room(size: int) -> _Tally:
        if not tallies or tallies[-1].size + size > most:
            tallies.append(_Tally())
        tallies[-1].size += size
        return tallies[-1]

    for event, seq in zip(outcome.decoded.events, outcome.seqs, strict=True):
        tally = room(_json_bytes(event.id) + 1)
        (tally.stored if seq else tally.duplicate).append(event.id)
    for entry in map(rejected_entry, outcome.decoded.rejections):
        room(_entry_bytes(entry)).rejected.append(entry)
    if not tallies:
        tallies.append(_Tally())
    tallies[-1].retained = tallies[-1].retained or outcome.delivery.retained


def _entry_bytes(entry: dict[str, object]) -> int:
    return 3 + sum(len(key) + 4 + _value_bytes(value) for key, value in entry.items())


def _value_bytes(value: object) -> int:
    return _json_bytes(value) if isinstance(value, str) else len(str(value))


def _json_bytes(text: str) -> int:
    """At least the bytes of ``text`` as a JSON string: a quote or a backslash takes two."""
    return len(text.encode()) + text.count('"') + text.count("\\") + 2
