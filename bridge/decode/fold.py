"""A message in a format of its own: folded to events, and those read as if a device of ours had sent them. Pure.

The events go to the exact reader a piece at a time, so that neither the thread of the loop waits long for the
interpreter nor a day of values is held twice.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from bridge.decode.guarded_types import named_in
from healthsync_mqtt.formats.port import MOST_STATE, AppMessage, Divisible, Format, Made, RefusedRecord
from healthsync_mqtt.model.event import Aftermath, Decoded, Event, Gone, Rejection, omitted
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.reasons import Reason, RefusedError

PIECE: Final = 200
_PIECE_BYTES: Final = 65_536
"""Events that are read at once, and about the bytes of them."""
_RECORD: Final = 4_096
"""Bytes of a refused record that are kept."""

_encode = msgspec.json.Encoder().encode

Read = Callable[[bytes], Decoded]
"""Reads an array of our own events, as many as a piece may have."""


class FormatFold:
    """One message on its way through a format and the exact reader."""

    def __init__(self, form: Format, read: Read, limits: Limits, pause: Callable[[], None]) -> None:
        self._form = form
        self._read = read
        self._limits = limits
        self._pause = pause
        self._events: list[Event] = []
        self._rejections: list[Rejection] = []
        self._size = self._cost = self._made = 0
        self._named: list[tuple[str, str]] = []
        self._gone: dict[Gone, None] = {}
        self._piece: list[tuple[Made, bytes]] = []
        self._piece_bytes = 0

    def decoded(self, state: bytes, message: AppMessage) -> Decoded:
        """All of the message. Raises RefusedError when none of it is taken.

        The delivery counts as a batch that is named by its format: an app keeps no list of ids that it sent.
        """
        fold = self._form.fold(state, message)
        while True:
            try:
                outcome = next(fold)
            except StopIteration as end:
                left = _bounded(end.value)
                break
            self._pause()
            if isinstance(outcome, Made):
                self._add(outcome)
            elif isinstance(outcome, RefusedRecord):
                self._refuse(outcome)
            elif outcome not in self._gone:
                self._count()  # each is a search of the log
                self._gone[outcome] = None
        self._flush()
        total = len(self._events) + len(self._rejections)
        size, cost = len(message.payload) + self._size, len(message.payload) + self._cost
        kept = None if left == state else left
        rest, about = self._rest(left), self._about(left)
        aftermath = Aftermath(kept, tuple(self._named), tuple(self._gone), about, self._without, rest)
        return Decoded(self._form.name, self._events, self._rejections, total, size, cost, aftermath)

    def _rest(self, state: bytes) -> Callable[[frozenset[str]], bytes] | None:
        return partial(self._form.without, state) if isinstance(self._form, Divisible) else None

    def _about(self, state: bytes) -> frozenset[str]:
        """The types of which the state holds something; of this message where they are not said, refused ones too."""
        if isinstance(self._form, Divisible):
            return self._form.holds(state)
        types = {each.type for each in self._events} | {each.type for each in self._rejections if each.type is not None}
        return self._form.remembers or frozenset(types)

    @property
    def _without(self) -> bytes | None:
        return b"" if self._form.remembers else None

    def _count(self) -> None:
        self._made += 1
        if self._made > self._limits.max_made:
            raise RefusedError(
                Reason.TOO_MANY, None, f"more than {self._limits.max_made} events, refusals and deletions"
            )

    def _add(self, made: Made) -> None:
        self._count()
        text = _encode(made.event)
        self._piece.append((made, text))
        self._piece_bytes += len(text)
        if len(self._piece) == PIECE or self._piece_bytes > _PIECE_BYTES:
            self._flush()

    def _refuse(self, refused: RefusedRecord) -> None:
        self._count()
        self._flush()
        raw = b"" if refused.record is None else _encode(refused.record)
        omits = omitted(raw) if len(raw) > _RECORD else None
        guarded = None
        if refused.type is None and (omits or not raw):  # what is said of it counts in place of its bytes
            guarded = named_in(raw or f"{refused.place} {refused.text}".encode(), self._pause)
        self._rejections.append(
            Rejection(
                refused.index,
                None,
                refused.reason,
                refused.place or None,
                refused.text,
                b"" if omits else raw,
                refused.type,
                omitted=omits,
                guarded=guarded,
            )
        )

    def _flush(self) -> None:
        """Read the events that wait, and say of each where in the message it was."""
        piece, self._piece, self._piece_bytes = self._piece, [], 0
        if not piece:
            return
        decoded = self._read(b"[" + b",".join(text for _, text in piece) + b"]")
        self._cost += decoded.cost
        if decoded.total == len(piece):
            self._take(decoded, [made for made, _ in piece])
            return
        for made, text in piece:  # one of them kept the others from being told apart
            self._pause()
            decoded = self._read(b"[" + text + b"]")
            self._cost += decoded.cost
            self._take(decoded, [made])

    def _take(self, decoded: Decoded, made: list[Made]) -> None:
        self._size += decoded.size
        for event in decoded.events:
            from_ = made[event.index]
            self._events.append(event._replace(index=from_.index))
            if from_.name is not None:
                self._named.append((from_.name, event.id))
        for rejection in decoded.rejections:
            from_ = made[rejection.index]
            field = from_.place or rejection.field
            self._rejections.append(rejection._replace(index=from_.index, field=field))


def _bounded(state: bytes) -> bytes:
    if len(state) > MOST_STATE:
        raise RefusedError(Reason.TOO_LARGE, None, "the format would have to remember too much")
    return state
