"""What the pipeline needs around it: where its messages go, who observes a commit, and what else is to be written."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol

from bridge.stages.acknowledge import Outcome
from bridge.stages.journal import Journal
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.model.event import Event

UNSENT_FIX: Final = "let the broker take packets of limits.max_packet and 1,024 bytes more"
"""What to do when the broker refuses a message for its size."""


class Outlet(Protocol):
    """Where the bridge's own messages go."""

    def listening(self, topic: str) -> bool:
        """Whether anybody would get a message on this topic."""

    def room(self, topic: str) -> int:
        """Bytes of the largest payload that can be sent on this topic."""

    def send(self, topic: str, payload: bytes) -> bool:
        """Publish, not retained; False when it was not taken."""


class Shelf(Protocol):
    """Where the bridge retains messages that are not for one client."""

    @property
    def ready(self) -> bool:
        """Whether something can be retained now."""

    @property
    def run(self) -> int:
        """Another number when what is retained has to be looked at again."""

    @property
    def births(self) -> int:
        """How many times a Home Assistant has said that it is there now, where the broker may not give it the rest."""

    @property
    def remembers(self) -> bool:
        """Whether ``recall`` tells what is retained, also after a restart."""

    @property
    def lasting(self) -> bool:
        """Whether the broker still has what it has acknowledged."""

    def recall(self, topic: str) -> bytes:
        """What is retained on a topic; empty: nothing."""

    def retain(self, topic: str, payload: bytes, done: Callable[[bool], None]) -> bool:
        """Retain this in place of what there is, nothing if it is empty; ``done`` says whether it was taken.

        False: not now.
        """


class Commit(NamedTuple):
    """A commit that is durable and acknowledged: how far the log is, and what became of each delivery."""

    head: int
    outcomes: Sequence[Outcome]
    at_us: int
    took_s: float = 0.0
    """From its request until it was durable."""


class CommitObserver(Protocol):
    """Who is told of every commit, on the event loop; must be quick."""

    def committed(self, commit: Commit) -> None:
        """The log has grown, or something else was made durable."""


class Chore(NamedTuple):
    """Something that the next commit makes durable. ``write`` is called once, ``done`` after that commit.

    Of a delivery that is stored in parts ``portion`` is called in its place, once for each part: with the events of the
    part, and whether it is the last one. Without it everything goes with the last part.
    """

    write: Callable[[Journal], None]
    done: Callable[[], None]
    portion: Callable[[Journal, Sequence[Event], bool], None] | None = None

    def of(self, events: Sequence[Event], *, last: bool) -> "Chore | None":
        """What the commit of these events of the delivery does of it."""
        if self.portion is None:
            return self if last else None
        return Chore(partial(_write_portion, self.portion, events, last), self.done if last else _nothing)

    def and_then(self, other: "Chore") -> "Chore":
        """Both, as one."""

        def write(journal: Journal) -> None:
            self.write(journal)
            other.write(journal)

        def portion(journal: Journal, events: Sequence[Event], last: bool) -> None:  # noqa: FBT001  # as the field says
            for each in (self, other):
                if (chore := each.of(events, last=last)) is not None:
                    chore.write(journal)

        def done() -> None:
            self.done()
            other.done()

        return Chore(write, done, portion)


class Chores:
    """What waits for the next commit beside events. Made before the pipeline, which takes from it."""

    def __init__(self) -> None:
        self._waiting: list[Chore] = []
        self._promised: set[asyncio.Future[None]] = set()
        self._wake: Callable[[], None] | None = None
        self._closed = False

    def add(self, write: Callable[[Journal], None], done: Callable[[], None] = lambda: None) -> None:
        """Write with the next commit, between two groups; ``done`` is called when that is durable, else never."""
        self._waiting.append(Chore(write, done))
        if self._wake is not None:
            self._wake()

    async def durable(self, write: Callable[[Journal], None]) -> None:
        """Write with the next commit and return after it. UnavailableError when the pipeline stops before."""
        promise = self.promise()

        def kept() -> None:
            if not promise.done():
                promise.set_result(None)

        self.add(write, kept)
        await promise

    def promise(self) -> asyncio.Future[None]:
        """Something to wait for that a commit will bring about. UnavailableError when the pipeline stops before."""
        if self._closed:
            raise _stopping()
        promise: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._promised.add(promise)
        promise.add_done_callback(self._promised.discard)
        return promise

    def take(self) -> list[Chore]:
        """Everything that waits."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def taken_by(self, wake: Callable[[], None]) -> None:
        """``wake`` is called when there is something to take; the pipeline says this at its birth."""
        self._wake = wake

    def close(self) -> None:
        """Nothing is taken any more."""
        self._closed = True
        for promise in self._promised:
            if not promise.done():
                promise.set_exception(_stopping())

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)


def _write_portion(
    portion: Callable[[Journal, Sequence[Event], bool], None],
    events: Sequence[Event],
    last: bool,  # noqa: FBT001  # the same
    journal: Journal,
) -> None:
    portion(journal, events, last)


def _nothing() -> None:
    """What is done after a part that is not the last."""


def _stopping() -> UnavailableError:
    return UnavailableError("the service is stopping", hint="start it and try again: healthsync up")
