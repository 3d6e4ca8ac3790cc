"""Messages in a format of their own, around their decoding: what the format is told, and what is kept of it.

What a format remembers of a device is read from the log and committed with the events that it made. So the next message
of the same device and format is decoded when the one before is durable, and never twice at a time.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from bridge.decode.recover import go_on
from bridge.ports import Chore
from bridge.stages.consent import ConsentGate
from bridge.stages.journal import Journal
from healthsync_mqtt.formats.port import NOTHING_TOLD, Told
from healthsync_mqtt.model.declaration import NOTHING_DECLARED, Declared
from healthsync_mqtt.model.delivery import OWN_FORM, Delivery
from healthsync_mqtt.model.event import LATEST, Aftermath, Decoded, Event, Gone, Op
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.port import FormatMemory, LogReader
from healthsync_mqtt.topics.registry import TopicRegistry

Declarations = Callable[[str, str], Declared]
"""What the login of a user's device says of its messages."""

_MOST_GONE: Final = 100_000
"""Records that one message takes back; the rest of them stays."""


class _Whose(NamedTuple):
    user: str
    device: str
    form: str


class Folds:
    """Who is being decoded, what is told and what is kept. On the event loop."""

    def __init__(
        self,
        reader: LogReader,
        registry: TopicRegistry,
        gate: ConsentGate,
        declared: Declarations = lambda _user, _device: NOTHING_DECLARED,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        *,
        searching: LogReader | None = None,
    ) -> None:
        """``gate`` is asked in each commit what of a message may be remembered then.

        ``searching`` reads the same log for ``resolved``, beside ``reader`` and in other threads.
        """
        self._reader = reader
        self._searching = searching or reader
        self._searches = threading.Lock()
        self._registry = registry
        self._gate = gate
        self._declared = declared
        self._clock_us = clock_us
        #: whose message is decoded and not durable yet
        self._busy: set[_Whose] = set()

    def waits(self, delivery: Delivery) -> bool:
        """Whether the message before this one is being decoded, or has yet to become durable."""
        return delivery.form != OWN_FORM and _whose(delivery.origin, delivery.form) in self._busy

    def is_busy(self, user: str, device: str, form: str) -> bool:
        """Whether a message of this device and format is being decoded, or has yet to become durable."""
        return _Whose(user, device, form) in self._busy

    def begin(self, delivery: Delivery) -> None:
        """It is decoded from now on: the next message of the same device and format waits until it is durable."""
        if delivery.form != OWN_FORM:
            self._busy.add(_whose(delivery.origin, delivery.form))

    def told(self, origin: Origin, form: str, at_us: int | None = None, *, retained: bool = False) -> Told:
        """What the format is told beside the payload. StoreError when the log cannot be read."""
        if form == OWN_FORM:
            return NOTHING_TOLD
        whose = _whose(origin, form)
        parsed = self._registry.parse(origin.topic)
        topic = self._registry.rest(parsed[0], origin.topic) if parsed is not None else ""
        state = self._reader.format_state(*whose)
        return Told(state, topic, retained, at_us, self._declared(whose.user, whose.device))

    def resolved(self, origin: Origin, form: str, decoded: Decoded, pause: Callable[[], None] = go_on) -> Decoded:
        """The delivery with what is found of what it takes back. For the threads that decode; ``pause`` lets in.

        Each record is a search of the log, and an emptied app takes back tens of thousands.
        """
        aftermath = decoded.aftermath
        if aftermath is None or not aftermath.gone:
            return decoded
        back: dict[str, tuple[str, Event]] = {}
        with self._searches:
            for each in aftermath.gone:
                if len(back) >= _MOST_GONE:
                    break
                self._search(_whose(origin, form), each, back, pause)
        return decoded._replace(aftermath=aftermath._replace(gone=(), back=tuple(back.values())))

    def settled(self, origin: Origin, form: str, decoded: Decoded) -> tuple[Decoded, Chore | None]:
        """A ``resolved`` delivery with its tombstones, and what its commit does beside; busy until that is done."""
        if form == OWN_FORM:
            return decoded, None
        whose = _whose(origin, form)
        self._busy.add(whose)
        aftermath = decoded.aftermath or Aftermath()
        assert not aftermath.gone
        if aftermath.back:
            tombstones = [event for _, event in aftermath.back]
            decoded = decoded._replace(
                events=[*tombstones, *decoded.events], total=decoded.total + len(tombstones), aftermath=None
            )
        back = {event.id: name for name, event in aftermath.back}
        named: dict[str, list[str]] = {}

        def portion(journal: Journal, events: Sequence[Event], last: bool) -> None:  # noqa: FBT001  # as ``Chore`` has it
            if not named:
                for name, event_id in aftermath.named:
                    named.setdefault(event_id, []).append(name)
            memory = self._memory(whose, aftermath if last else Aftermath(), _Names(events, named, back))
            if memory.state is not None or memory.named or memory.taken_back:
                journal.remember(memory)

        write = partial(_all_of, portion, decoded.events)
        return decoded, Chore(write, lambda: self._busy.discard(whose), portion)

    def _memory(self, whose: _Whose, left: Aftermath, names: "_Names") -> FormatMemory:
        """What may be remembered now: nothing of a type that may not be stored, or of who may not send."""
        if self._gate.barred(whose.user, whose.device) is not None:
            return FormatMemory(*whose, None, (), ())
        now_us, keeps = self._clock_us(), self._gate.keeps
        lacking = frozenset(each for each in left.about if not keeps(whose.user, each, now_us))
        state = left.state
        if lacking:
            state = left.without if left.rest is None else left.rest(lacking)
        named = tuple((name, event.id) for name, event in names.given() if keeps(whose.user, event.type, now_us))
        return FormatMemory(*whose, state, named, names.taken_back())

    def _search(self, whose: _Whose, gone: Gone, back: dict[str, tuple[str, Event]], pause: Callable[[], None]) -> None:
        reader = self._searching
        for name, event_id in reader.format_records(*whose, gone.prefix, _MOST_GONE - len(back)):
            pause()
            record = reader.find(whose.user, event_id)
            if record is not None and record.op != Op.DELETE and _within(record, gone):
                back[event_id] = name, Event(event_id, record.type, 0, None, LATEST, Op.DELETE, b"{}", 0)


class _Names(NamedTuple):
    """Events of a message with what their source calls them, and calls those that it takes back."""

    events: Sequence[Event]
    named: Mapping[str, Sequence[str]]
    back: Mapping[str, str]

    def given(self) -> Iterator[tuple[str, Event]]:
        """Names of events that there are from now on."""
        if self.named:
            for event in self.events:
                if not self._is_back(event):
                    yield from ((name, event) for name in self.named.get(event.id, ()))

    def taken_back(self) -> list[tuple[str, str]]:
        """Names of those that there are no more."""
        return [(self.back[event.id], event.id) for event in self.events if self._is_back(event)] if self.back else []

    def _is_back(self, event: Event) -> bool:
        return event.op == Op.DELETE and event.id in self.back


def _all_of(
    portion: Callable[[Journal, Sequence[Event], bool], None], events: Sequence[Event], journal: Journal
) -> None:
    portion(journal, events, True)


def _whose(origin: Origin, form: str) -> _Whose:
    return _Whose(origin.user, origin.device or "", form)


def _within(record: Record, gone: Gone) -> bool:
    if gone.from_us is not None and record.start_us < gone.from_us:
        return False
    return gone.until_us is None or record.start_us < gone.until_us
