"""What one of the bridges that share a log does for all of them: it begins with its election, and ends with that.

Whatever is elected begins from its place in the log, and bears being done twice for a moment.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from bridge.ground import Ground
from bridge.supervisor import Supervisor
from healthsync_mqtt.storage.opening import stand_for_election
from healthsync_mqtt.telemetry.log import get_logger

if TYPE_CHECKING:
    from healthsync_mqtt.storage.postgres.election import Ballot

log = get_logger("bridge")

Job = Callable[[], Coroutine[Any, Any, None]]
"""A task that may be begun again; it runs for ever."""

_TASK: Final = "election"


class Leadership:
    """The elected jobs of a service, by name. A log of one bridge needs no election: its jobs begin at once."""

    def __init__(self, tasks: Supervisor, grew: Callable[[int], None]) -> None:
        """``grew`` is told of the head of a log that others write, while this bridge leads."""
        self._tasks = tasks
        self._grew = grew
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._ballot: Ballot | None = None
        self._jobs: Mapping[str, Job] = {}
        #: Whether the jobs run here now.
        self.leads = False

    def start(self, jobs: Mapping[str, Job], *, elected: bool) -> None:
        """Begin them now, or when ``told`` that this bridge leads."""
        self._jobs = jobs
        if elected:
            self._tasks.start(_TASK, self._run())
        else:
            self._begin()

    def told(self, ballot: "Ballot") -> None:
        """What the election says; from any thread."""
        self._loop.call_soon_threadsafe(self._hear, ballot)

    def report(self) -> dict[str, Any] | None:
        """The bridges of the installation, as the server sees them; None where the log is this bridge's own."""
        if self._ballot is None:
            return None
        return {"bridges": list(self._ballot.bridges), "leader": self._ballot.leader, "leads": self.leads}

    def _hear(self, ballot: "Ballot") -> None:
        self._ballot = ballot
        self._changed.set()

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._ballot is None:
                continue
            if self._ballot.leads and not self.leads:
                log.info("bridge.leads")
                self._begin()
            elif self.leads and not self._ballot.leads:
                log.info("bridge.leads_no_more")
                await self._give_up()
            if self.leads:
                self._grew(self._ballot.head)

    def _begin(self) -> None:
        self.leads = True
        for name, job in self._jobs.items():
            self._tasks.start(name, job())

    async def _give_up(self) -> None:
        self.leads = False
        for name in self._jobs:
            self._tasks.begin_ending(name)
        for name in self._jobs:
            await self._tasks.end(name)


@contextmanager
def standing_for_election(base: Ground, leadership: Leadership) -> Iterator[bool]:
    """Whether there is an election; this bridge stands for it until the end of the ``with``."""
    settings = base.settings
    election = stand_for_election(settings.paths.root, settings.bridge.id, leadership.told)
    try:
        yield election is not None
    finally:
        if election is not None:
            election.close()
