"""The tasks of a running service: each has a name, none ends in silence, and one that fails for good ends the whole."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self

from healthsync_mqtt.errors import HealthSyncError, UnavailableError
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.outage import Outage

log = get_logger("bridge")

_STALLED_S: Final = 15.0
"""A repeated job that is busy for longer than this is down, whatever it waits for."""


class TaskEndedError(UnavailableError):
    """A task that has to run for ever has ended on its own."""

    reason = "task_ended"


class Supervisor:
    """Starts tasks and watches them; at the end of the ``async with`` all of them are cancelled and awaited.

    The first failure counts: ``first`` raises it, whatever it waits for.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._failure: asyncio.Future[None] = self._loop.create_future()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failing: set[str] = set()
        self._busy_since: dict[str, float] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Every task that was started."""
        return tuple(self._tasks)

    @property
    def down(self) -> tuple[str, ...]:
        """The tasks that do not do their work now: ended, failing, or busy with one thing for too long."""
        now = self._loop.time()
        stalled = {name for name, since in self._busy_since.items() if now - since > _STALLED_S}
        ended = {name for name, task in self._tasks.items() if task.done()}
        return tuple(sorted(self._failing | stalled | ended))

    def start(self, name: str, job: Coroutine[Any, Any, None]) -> None:
        """Run ``job``, which never returns, under this name."""
        task = self._tasks[name] = asyncio.create_task(job, name=f"bridge.{name}")
        task.add_done_callback(lambda _: self._ended(name, task))

    def every(self, name: str, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Do ``work`` again and again. A HealthSyncError, or what the system refuses, is an outage of this task.

        Anything else ends the whole.
        """
        self.start(name, self.again(name, seconds, work))

    async def again(self, name: str, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """The task of ``every``, for those who start it themselves."""
        outage = Outage(log, "bridge.task")
        while True:
            await asyncio.sleep(seconds)
            self._busy_since[name] = self._loop.time()
            try:
                await work()
            except (HealthSyncError, OSError) as error:
                self._failing.add(name)
                hint = error.hint if isinstance(error, HealthSyncError) else "has the disk room, has the process files?"
                outage.failed(self._loop.time(), task=name, error=str(error), hint=hint)
            else:
                self._failing.discard(name)
                outage.worked(self._loop.time(), task=name)
            finally:
                del self._busy_since[name]

    def fail(self, error: BaseException) -> None:
        """Something failed in a way that only a restart can mend. The first one counts."""
        if not self._failure.done():
            self._failure.set_exception(error)
            self._failure.exception()  # looked at: it may come when nobody waits any more

    async def first(self, *ends: Coroutine[Any, Any, object]) -> None:
        """Return when one of ``ends`` has returned, and give the others up. Raises its error, or the failure."""
        waiting = [asyncio.create_task(end, name=f"bridge.end.{number}") for number, end in enumerate(ends)]
        watched: list[asyncio.Future[Any]] = [self._failure, *waiting]
        try:
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            for each in watched:
                if each.done():
                    each.result()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    def begin_ending(self, name: str) -> None:
        """Cancel one task, which may take a while to end; ``stop`` waits for it."""
        if (task := self._tasks.get(name)) is not None:
            task.cancel()

    async def end(self, name: str) -> None:
        """Cancel one task, if it was started, and wait for its end. It may be started again."""
        task = self._tasks.get(name)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if task.cancelled():  # on purpose: it is not down
                del self._tasks[name]
                self._failing.discard(name)

    async def stop(self) -> None:
        """End every task."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        if not self._failure.done():
            self._failure.cancel()

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception() or TaskEndedError(f"the task {name} ended", hint="restart the service")
        log.error("bridge.task_ended", task=name, error=error)
        self.fail(error)
