"""Decode beside the event loop what takes long, one delivery after another in a thread of its own.

Of each source the deliveries stay in their order: what a source sends after one that is decoded here follows behind it.
Other sources go on, and one that has much here takes turns with the others. What is decoded takes more memory than what
is not, so a source whose decoded deliveries wait for their commit waits here, too.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from healthsync_mqtt.formats.port import NOTHING_TOLD, Told
from healthsync_mqtt.model.delivery import Delivery, Source
from healthsync_mqtt.model.event import Decoded

STRETCH: Final = 131_072
"""Work (``Decoded.work``) that one look at a source's deliveries may take on the loop."""

_LOOKS: Final = 64
"""Sources that are asked for room each time that there may be some."""

_SLICE_S: Final = 0.0005
_LET_IN_S: Final = 0.00005


class _Job(NamedTuple):
    delivery: Delivery
    #: bytes that it counts for in the backlog until it is decoded
    held: int
    #: whether it takes long for sure
    dear: bool
    #: when it came
    at_us: int = 0


class _AbandonedError(BaseException):
    """The result is not wanted any more. The decoder catches every Exception."""


class Aside:
    """``decode`` runs in the thread and may call what it is given to let the loop in; everything else is on the loop.

    It also gets what ``prepare`` said of the delivery right before, with the time at which that came. ``quick`` decodes
    at once, or returns None for what takes long; ``room`` says whether that may happen now, and ``go_on`` is called
    when it may say something else. ``ready`` gets each delivery when it is decoded and what it was ``held`` for,
    ``failed`` the error that ended the thread.
    """

    def __init__(
        self,
        *,
        decode: Callable[[Delivery, Told, Callable[[], None]], Decoded],
        prepare: Callable[[Delivery, int], Told] = lambda _delivery, _at_us: NOTHING_TOLD,
        quick: Callable[[Delivery], Decoded | None],
        room: Callable[[Delivery], bool] = lambda _: True,
        ready: Callable[[Delivery, Decoded, int], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._decode = decode
        self._prepare = prepare
        self._quick = quick
        self._room = room
        self._ready = ready
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._requests: queue.SimpleQueue[tuple[_Job, Told] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._sliced_at = 0.0
        self._may_decode = threading.Event()
        self._may_decode.set()
        #: whether the thread has something to do
        self._busy = False
        #: sources whose first delivery waits for the thread or for room, the next one first
        self._line: OrderedDict[Source, None] = OrderedDict()
        #: deliveries by source; empty: nothing is here
        self.sources: dict[Source, deque[_Job]] = {}

    def put(self, delivery: Delivery, held: int, at_us: int = 0) -> None:
        """Decode this delivery after everything else of its source; never ``ready`` once closed."""
        if self._closed:
            return
        source = delivery.source
        waiting = self.sources.get(source)
        if waiting is not None:
            waiting.append(_Job(delivery, held, False, at_us))
            return
        self.sources[source] = deque([_Job(delivery, held, True, at_us)])
        self._line[source] = None
        self.go_on()

    def go_on(self) -> None:
        """Give the thread the next delivery for which there is room, when it has nothing to do."""
        waits: set[Source] = set()
        while self._line and not self._busy and len(waits) < _LOOKS:
            source = next(iter(self._line))
            if source in waits:
                return
            del self._line[source]
            job = self.sources[source][0]
            if not self._room(job.delivery):
                waits.add(source)
                self._line[source] = None
            elif job.dear:
                self._request(job)
            else:
                self._follow(source)

    def close(self) -> None:
        """Give up what is here, without waiting for it. Idempotent."""
        self._closed = True
        self.sources.clear()
        self._line.clear()
        self._requests.put(None)

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Nothing is decoded meanwhile: each statement of SQL that the loop runs would wait for the interpreter."""
        self._may_decode.clear()
        try:
            yield
        finally:
            self._may_decode.set()

    # -- on the loop

    def _request(self, job: _Job) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="decode", daemon=True)
            self._thread.start()
        try:
            told = self._prepare(job.delivery, job.at_us)
        except Exception as error:  # noqa: BLE001  # the same as in the thread
            self._failed(error)
            return
        self._busy = True
        self._requests.put((job, told))

    def _done(self, job: _Job, decoded: Decoded) -> None:
        self._busy = False
        if not self._closed:
            source = job.delivery.source
            self.sources[source].popleft()
            self._ready(job.delivery, decoded, job.held)
            self._further(source)

    def _further(self, source: Source) -> None:
        self._follow(source)
        self.go_on()

    def _follow(self, source: Source) -> None:
        """What came behind: at once as far as it is quick, a stretch at a time; the next long one to the thread."""
        if self._closed:
            return
        waiting, spent = self.sources[source], 0
        while waiting:
            if spent > STRETCH:
                self._loop.call_soon(self._further, source)
                return
            job = waiting[0]
            if not self._room(job.delivery):
                self._line[source] = None
                return
            decoded = self._quick(job.delivery)
            if decoded is None:
                waiting[0] = job._replace(dear=True)
                self._line[source] = None
                return
            spent += decoded.work
            waiting.popleft()
            self._ready(job.delivery, decoded, job.held)
        del self.sources[source]

    # -- in the thread

    def _run(self) -> None:
        try:
            while (request := self._requests.get()) is not None and not self._closed:
                self._sliced_at = time.monotonic()
                job, told = request
                self._tell(self._done, job, self._decode(job.delivery, told, self._let_in))
        except _AbandonedError:
            return
        except Exception as error:  # noqa: BLE001  # whatever it is, nobody may wait for this thread for ever
            self._tell(self._failed, error)

    def _tell(self, what: Callable[..., None], *values: object) -> None:
        if not self._closed:  # after that the loop may be gone
            self._loop.call_soon_threadsafe(what, *values)

    def _let_in(self) -> None:
        """Give the interpreter's lock to the loop for a moment."""
        if self._closed:
            raise _AbandonedError
        self._may_decode.wait()
        if time.monotonic() - self._sliced_at > _SLICE_S:
            time.sleep(_LET_IN_S)
            self._sliced_at = time.monotonic()
