"""Tell the senders, after the commit and never before: acknowledgements first, then receipts."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from healthsync_mqtt.model.delivery import Delivery, Source
from healthsync_mqtt.model.event import Decoded
from healthsync_mqtt.model.receipt import encode_receipt, rejected_entry


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
    for outcome in outcomes:
        origin = outcome.delivery.origin
        if origin.device is not None:
            grouped.setdefault(Addressee(origin.user, origin.device), []).append(outcome)
    return grouped


def acknowledge(outcomes: Iterable[Outcome]) -> None:
    """Acknowledge every delivery to its source, in arrival order, one call a source."""
    tokens: dict[Source, list[int]] = {}
    for (source, token, _, _), _, _ in outcomes:
        waiting = tokens.get(source)
        if waiting is None:
            tokens[source] = [token]
        else:
            waiting.append(token)
    for source, waiting in tokens.items():
        source.acknowledge(waiting)


class _Tally:
    """Outcomes of one commit for one device that are told in one receipt."""

    def __init__(self) -> None:
        self.stored: list[str] = []
        self.duplicate: list[str] = []
        self.rejected: list[dict[str, object]] = []

    def add(self, outcome: Outcome) -> None:
        for event, seq in zip(outcome.decoded.events, outcome.seqs, strict=True):
            (self.stored if seq else self.duplicate).append(event.id)
        self.rejected += map(rejected_entry, outcome.decoded.rejections)


def receipts(outcomes: Iterable[Outcome], epoch: str, seq: int) -> list[bytes]:
    """The receipts of one commit for one device: one for each named batch, one for everything else together.

    ``seq`` is the position of the device's user: nothing in a receipt depends on what other users sent.
    """
    plain: _Tally | None = None
    out: list[bytes] = []
    for outcome in outcomes:
        if outcome.decoded.batch is None:
            plain = plain or _Tally()
            plain.add(outcome)
            continue
        tally = _Tally()
        tally.add(outcome)
        stored, duplicate = len(tally.stored), len(tally.duplicate)
        out.append(encode_receipt(epoch, seq, outcome.decoded.batch, stored, duplicate, tally.rejected))
    if plain is not None:
        out.append(encode_receipt(epoch, seq, None, plain.stored, plain.duplicate, plain.rejected))
    return out
