"""Make events durable. One group at a time; the fsync runs in the journal's own thread.

Rows are written into the open transaction on the event-loop thread, which holds the interpreter anyway; only the
commit, which waits for the disk, runs in the thread. (A thread that also writes the rows fights the loop for the
interpreter lock: measured 78 ms instead of 0.8 ms a commit.)

A log on another machine is written in the thread altogether: there, writing is waiting, too.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from healthsync_mqtt.errors import HealthSyncError, StoreError
from healthsync_mqtt.storage.port import EventLog, FormatMemory, Item, LogHealth, Quarantined

#: While commits go on the anchor of the log is as old as this and one commit, and up to date when they pause.
_ANCHOR_S = 1.0

#: So often a log on another machine is looked after while nothing comes: a spare service waits for its lock.
_LOOK_S = 0.25

Done = Callable[[int, StoreError | None], None]
"""Called on the event loop: the head seq, or the error of a commit that stored nothing."""

Portion = tuple[Sequence[Item], Sequence[Quarantined]]
Stored = Callable[[list[int], int, StoreError | None], None]
"""Called on the event loop: the seq of each item, the head seq, or the error of a group that was not stored."""

_Request = Callable[[], Callable[[], None]]
"""What the thread does; what it returns is called on the event loop."""


class UnexpectedError(StoreError):
    """A commit ended in a way that nobody foresaw; what the store holds in memory is not to be trusted."""

    retryable = False


class Journal:
    """The one user of the event log's writer side."""

    #: Whether groups are to be written with ``store`` alone, because writing waits for another machine.
    apart = False

    def __init__(
        self, log: EventLog, *, apart: bool = False, failed: Callable[[Exception], None] | None = None
    ) -> None:
        """``failed`` is called on the event loop when a log that is apart is another service's for good."""
        self._log = log
        self.apart = apart
        self._failed = failed
        self._looks_after = apart
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._anchored_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @property
    def epoch(self) -> str:
        """The log's name."""
        return self._log.epoch

    def head(self) -> int:
        """The last durable seq."""
        return self._log.head()

    def position(self, user: str) -> int:
        """How far the user's own events are: the ``seq`` that the user's devices see. Not while a commit runs."""
        return self._log.position(user)

    def health(self) -> LogHealth:
        """How the store is doing, beside what commits say."""
        return self._log.health()

    def write(self, items: Sequence[Item], rejected: Sequence[Quarantined], received_us: int) -> list[int]:
        """Write a group into the open transaction: its seq per item, 0 for a duplicate. Not while a commit runs."""
        return self._log.stage(items, rejected, received_us)

    def put_off(self) -> None:
        """The next commit leaves to another what need not be in it. Not while a commit runs."""
        self._log.put_off()

    @property
    def owes(self) -> bool:
        """Whether something is left to a commit of nothing. Not while one runs."""
        return self._log.owes

    def keep_cursors(self, cursors: Mapping[str, int | None]) -> None:
        """Remember readers' places with the next commit; None forgets one. Not while a commit runs."""
        for name, seq in cursors.items():
            if seq is None:
                self._log.drop_cursor(name)
            else:
                self._log.set_cursor(name, seq)

    def discard_rejected(self, no: int) -> None:
        """Take a row out of the quarantine with the next commit. Not while a commit runs."""
        self._log.discard_rejected(no)

    def hold_rejected(self, no: int, due_us: int | None, at_us: int) -> None:
        """Say until when a row of the quarantine is held, with the next commit. Not while a commit runs."""
        self._log.hold_rejected(no, due_us, at_us)

    def purge_rejected(self, numbers: Sequence[int], before_us: int, *, spare_due_us: int | None = None) -> None:
        """Take old refusals out of the quarantine with the next commit. Not while a commit runs."""
        self._log.purge_rejected(numbers, before_us, spare_due_us=spare_due_us)

    def purge(self, type_name: str, before_us: int, seqs: Sequence[int]) -> None:
        """Empty old rows with the next commit. Not while a commit runs."""
        self._log.purge(type_name, before_us, seqs)

    def erase(self, user: str, seqs: Sequence[int]) -> None:
        """Leave nothing but husks of a user's rows with the next commit. Not while a commit runs."""
        self._log.erase(user, seqs)

    def forget_user(self, user: str, names: Sequence[str], through: int) -> None:
        """Forget what else there is of a user, and the name, with the next commit. Not while a commit runs."""
        self._log.forget_user(user, names, through)

    def scrub(self) -> None:
        """Let no file hold what was erased, from the next commit on. Not while a commit runs."""
        self._log.scrub()

    def remember(self, memory: FormatMemory) -> None:
        """Keep what a format remembers of a device with the next commit. Not while a commit runs."""
        self._log.remember(memory)

    def seal_older(self, rows: int) -> int:
        """Seal older rows with the next commit; how many are left. Not while a commit runs."""
        return self._log.seal_older(rows)

    def commit(self, done: Done) -> None:
        """Commit in the thread; ``done`` is called on the loop. Nothing is durable before."""
        self._requests.put(partial(self._committed, done))

    def store(self, portions: Iterable[Portion], received_us: int, done: Stored) -> None:
        """``write`` each portion, asked for in the thread, then commit; ``done`` is called on the loop."""
        self._requests.put(partial(self._stored, portions, received_us, done))

    def close(self) -> None:
        """Finish the commit that runs, then release the log."""
        self._requests.put(None)
        self._thread.join()
        self._log.close()

    def _run(self) -> None:
        while (request := self._next()) is not None:
            self._loop.call_soon_threadsafe(request())
            if time.monotonic() - self._anchored_at >= _ANCHOR_S:
                self._anchor()

    def _committed(self, done: Done) -> Callable[[], None]:
        _, head, error = self._tried((), 0)
        return partial(done, head, error)

    def _stored(self, portions: Iterable[Portion], received_us: int, done: Stored) -> Callable[[], None]:
        return partial(done, *self._tried(portions, received_us))

    def _tried(self, portions: Iterable[Portion], received_us: int) -> tuple[list[int], int, StoreError | None]:
        try:
            seqs = [seq for items, rejected in portions for seq in self._log.stage(items, rejected, received_us)]
            return seqs, self._log.commit(), None
        except StoreError as failure:
            return [], 0, failure
        except Exception as surprise:  # noqa: BLE001  # the thread must answer, whatever happened
            return [], 0, UnexpectedError(f"the commit ended with {type(surprise).__name__}")

    def _next(self) -> _Request | None:
        """The next request; meanwhile the anchor is brought up to date when nothing comes, until that has worked.

        The lock of a log that is apart is looked after for as long as nothing comes.
        """
        while True:
            try:
                return self._requests.get(timeout=_LOOK_S if self._looks_after else _ANCHOR_S)
            except queue.Empty:
                if not self._looks_after or time.monotonic() - self._anchored_at >= _ANCHOR_S:
                    self._anchor()
            if self._looks_after:
                self._look_after()
            elif not self._log.health().anchor_failing:
                return self._requests.get()

    def _look_after(self) -> None:
        """What may pass is the next group's to tell, if there is one; what is for good ends the service."""
        try:
            self._log.keep_lock()
        except StoreError as error:
            if error.retryable:
                return
            failure: Exception = error
        except HealthSyncError as error:
            failure = error
        except Exception as surprise:  # noqa: BLE001  # the thread must go on, whatever happened
            failure = UnexpectedError(f"looking after the log ended with {type(surprise).__name__}")
        else:
            return
        self._looks_after = False
        if self._failed is not None:
            self._loop.call_soon_threadsafe(self._failed, failure)

    def _anchor(self) -> None:
        # The commit of this thread is over, and the next one starts here: none runs.
        self._log.anchor()
        self._anchored_at = time.monotonic()
