"""Decode beside the event loop what takes long: in a thread of its own, and what takes very long in another process.

Of each line the deliveries stay in their order: what comes behind one that is decoded here follows behind it. A line is
a source; where a source is everybody's, a user's deliveries of it. Other lines go on, and one that has much here takes
turns with the others. What is decoded takes more memory than what is not, so a source whose decoded deliveries wait for
their commit waits here, too.
"""

import asyncio
import queue
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from bridge.courtesy import Courtesy
from healthsync_mqtt.formats.port import NOTHING_TOLD, Told
from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.model.event import Decoded

STRETCH: Final = 131_072
"""Work (``Decoded.work``) that one look at a line's deliveries may take on the loop."""

_LOOKS: Final = 64
"""Lines that are asked for room each time that there may be some."""

_REST_S: Final = 60.0
"""After so long without anything to do a process is ended; its memory is given back."""

H = TypeVar("H")
"""What the caller holds for a delivery until it is decoded."""


class Elsewhere(Protocol):
    """Decoding in another process. Used in a thread, except for ``takes`` and ``close``."""

    def takes(self, delivery: Delivery) -> bool:
        """Whether a delivery is decoded there. Asked on the loop."""

    def decode(self, delivery: Delivery, told: Told, pause: Callable[[], None]) -> Decoded:
        """Do it. AbandonedError once closed."""

    def rest(self) -> None:
        """There is nothing to do for a while."""

    def close(self) -> None:
        """Nothing is wanted any more. On the loop; does not block for long."""


class AbandonedError(BaseException):
    """The result is not wanted any more. The decoder catches every Exception."""


class _Job(NamedTuple):
    delivery: Delivery
    #: what the caller holds for it until it is decoded
    held: object
    #: whether it takes long for sure
    dear: bool
    #: when it came
    at_us: int
    line: object


class _Track:
    """A thread that decodes one delivery after the other, started with the first."""

    def __init__(self, name: str, run: Callable[["_Track"], None]) -> None:
        self._name = name
        self._run = run
        self._thread: threading.Thread | None = None
        self.requests: queue.SimpleQueue[tuple[_Job, Told] | None] = queue.SimpleQueue()
        #: whether it has something to do
        self.busy = False

    def take(self, job: _Job, told: Told) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(self,), name=self._name, daemon=True)
            self._thread.start()
        self.busy = True
        self.requests.put((job, told))


class Aside(Generic[H]):
    """``decode`` runs in the thread and may call what it is given to let the loop in; everything else is on the loop.

    It also gets what ``prepare`` said of the delivery right before, with the time at which that came. ``quick`` decodes
    at once, or returns None for what takes long; ``room`` says whether that may happen now, and ``go_on`` is called
    when it may say something else. ``ready`` gets each delivery when it is decoded and what it was ``held`` for,
    ``failed`` the error that ended a thread. What is for ``elsewhere`` neither waits for the thread nor the other way.
    """

    def __init__(
        self,
        *,
        decode: Callable[[Delivery, Told, Callable[[], None]], Decoded],
        prepare: Callable[[Delivery, int], Told] = lambda _delivery, _at_us: NOTHING_TOLD,
        quick: Callable[[Delivery], Decoded | None],
        room: Callable[[Delivery], bool] = lambda _: True,
        ready: Callable[[Delivery, Decoded, H], None],
        failed: Callable[[Exception], None],
        elsewhere: Elsewhere | None = None,
        courtesy: Courtesy | None = None,
    ) -> None:
        self._decode = decode
        self._prepare = prepare
        self._quick = quick
        self._room = room
        self._ready: Callable[[Delivery, Decoded, Any], None] = ready
        self._failed = failed
        self._elsewhere = elsewhere
        self._loop = asyncio.get_running_loop()
        self._courtesy = courtesy or Courtesy()
        self._here = _Track("decode", self._run_here)
        self._there = _Track("decode-long", self._run_there)
        self._closed = False
        #: lines whose first delivery waits for a thread or for room, the next one first
        self._line: OrderedDict[object, None] = OrderedDict()
        #: deliveries by line; empty: nothing is here
        self.lines: dict[object, deque[_Job]] = {}

    def put(self, delivery: Delivery, held: H, at_us: int = 0, line: object = None) -> None:
        """Decode this delivery after everything else of its line, or source; never ``ready`` once closed."""
        if self._closed:
            return
        if line is None:
            line = delivery.source
        waiting = self.lines.get(line)
        if waiting is not None:
            waiting.append(_Job(delivery, held, False, at_us, line))
            return
        self.lines[line] = deque([_Job(delivery, held, True, at_us, line)])
        self._line[line] = None
        self.go_on()

    def go_on(self) -> None:
        """Give each thread that has nothing to do the next delivery for which there is room."""
        waits: set[object] = set()
        while self._line and len(waits) < _LOOKS and not (self._here.busy and self._there.busy):
            line = next(iter(self._line))
            if line in waits:
                return
            del self._line[line]
            job = self.lines[line][0]
            track = self._track(job)
            if (job.dear and track.busy) or not self._room(job.delivery):
                waits.add(line)
                self._line[line] = None
            elif job.dear:
                self._request(track, job)
            else:
                self._follow(line)

    def give_up(self, line: object, unwanted: Callable[[Delivery], bool]) -> list[tuple[Delivery, H]]:
        """Decode no more of a line what is ``unwanted``, but for what is being decoded; not from within ``ready``."""
        waiting = self.lines.pop(line, None)
        if waiting is None:
            return []
        kept = deque() if line in self._line else deque((waiting.popleft(),))
        held: list[tuple[Delivery, Any]] = []
        for job in waiting:
            if unwanted(job.delivery):
                held.append((job.delivery, job.held))
            else:
                kept.append(job)
        if kept:
            self.lines[line] = kept
        else:
            self._line.pop(line, None)
        return held

    def close(self) -> None:
        """Give up what is here, without waiting for it. Idempotent."""
        self._closed = True
        self.lines.clear()
        self._line.clear()
        self._here.requests.put(None)
        self._there.requests.put(None)
        if self._elsewhere is not None:
            self._elsewhere.close()

    # -- on the loop

    def _track(self, job: _Job) -> _Track:
        there = self._elsewhere is not None and self._elsewhere.takes(job.delivery)
        return self._there if there else self._here

    def _request(self, track: _Track, job: _Job) -> None:
        try:
            told = self._prepare(job.delivery, job.at_us)
        except Exception as error:  # noqa: BLE001  # the same as in the thread
            self._failed(error)
            return
        track.take(job, told)

    def _done(self, track: _Track, job: _Job, decoded: Decoded) -> None:
        track.busy = False
        if not self._closed:
            self.lines[job.line].popleft()
            self._ready(job.delivery, decoded, job.held)
            self._further(job.line)

    def _further(self, line: object) -> None:
        self._follow(line)
        self.go_on()

    def _follow(self, line: object) -> None:
        """What came behind: at once as far as it is quick, a stretch at a time; the next long one to its thread."""
        if self._closed:
            return
        waiting, spent = self.lines[line], 0
        while waiting:
            if spent > STRETCH:
                self._loop.call_soon(self._further, line)
                return
            job = waiting[0]
            if not self._room(job.delivery):
                self._line[line] = None
                return
            decoded = self._quick(job.delivery)
            if decoded is None:
                waiting[0] = job._replace(dear=True)
                self._line[line] = None
                return
            spent += decoded.work
            waiting.popleft()
            self._ready(job.delivery, decoded, job.held)
        del self.lines[line]

    # -- in the threads

    def _run_here(self, track: _Track) -> None:
        self._run(track, track.requests.get, self._decode)

    def _run_there(self, track: _Track) -> None:
        elsewhere = self._elsewhere
        assert elsewhere is not None

        def following() -> tuple[_Job, Told] | None:
            try:
                return track.requests.get(timeout=_REST_S)
            except queue.Empty:
                elsewhere.rest()
                return track.requests.get()

        try:
            self._run(track, following, elsewhere.decode)
        finally:
            elsewhere.rest()

    def _run(
        self,
        track: _Track,
        following: Callable[[], tuple[_Job, Told] | None],
        decode: Callable[[Delivery, Told, Callable[[], None]], Decoded],
    ) -> None:
        try:
            while (request := following()) is not None and not self._closed:
                job, told = request
                self._tell(self._done, track, job, decode(job.delivery, told, self._let_in))
        except AbandonedError:
            return
        except Exception as error:  # noqa: BLE001  # whatever it is, nobody may wait for this thread for ever
            self._tell(self._failed, error)

    def _tell(self, what: Callable[..., None], *values: object) -> None:
        if not self._closed:  # after that the loop may be gone
            self._loop.call_soon_threadsafe(what, *values)

    def _let_in(self) -> None:
        """Let the loop have a round now and then."""
        if self._closed:
            raise AbandonedError
        self._courtesy.let_in()
