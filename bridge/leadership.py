"""What one of the bridges that share a log does for all of them: it begins with its election, and ends with that.

Whatever is elected begins from its place in the log, and bears being done twice for a moment. Who leads and who ships
are elected apart: sinks are files, and not every bridge has those of the log.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from bridge.ground import Ground
from bridge.supervisor import Supervisor
from healthsync_mqtt import __version__
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.model.working_process import ProcessKind, ProcessName
from healthsync_mqtt.sinks import belonging
from healthsync_mqtt.storage.opening import stand_for_election
from healthsync_mqtt.telemetry.log import get_logger

if TYPE_CHECKING:
    from healthsync_mqtt.storage.postgres.election import Ballot

log = get_logger("bridge")

Job = Callable[[], Coroutine[Any, Any, None]]
"""A task that may be begun again; it runs for ever."""

SHOWN: Final = ("received", "stored", "duplicate", "rejected", "failed")
"""What an installation that shares its log sees of each bridge, beside its connections."""
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
        self._leading: Mapping[str, Job] = {}
        self._shipping: Mapping[str, Job] = {}
        #: What the installation is to see of this bridge; replaced, never changed.
        self.figures: Mapping[str, int] = dict.fromkeys((*SHOWN, "connections"), 0)
        #: Whether the jobs of who leads run here now.
        self.leads = False
        #: Whether those of who ships do.
        self.ships = False

    def start(self, leading: Mapping[str, Job], shipping: Mapping[str, Job], *, elected: bool) -> None:
        """Begin them now, or when ``told`` that this bridge leads, and that it ships."""
        self._leading, self._shipping = leading, shipping
        if elected:
            self._tasks.start(_TASK, self._run())
        else:
            self.leads = self.ships = True
            self._begin(leading)
            self._begin(shipping)

    def told(self, ballot: "Ballot") -> None:
        """What the election says; from any thread."""
        self._loop.call_soon_threadsafe(self._hear, ballot)

    def report(self) -> dict[str, Any] | None:
        """The bridges of the installation, as the server sees them; None where the log is this bridge's own."""
        if self._ballot is None:
            return None
        return {
            "bridges": list(self._ballot.bridges),
            "leader": self._ballot.leader,
            "leads": self.leads,
            "shipper": self._ballot.shipper,
            "ships": self.ships,
            "may_ship": self._ballot.may_ship,
        }

    def _hear(self, ballot: "Ballot") -> None:
        self._ballot = ballot
        self._changed.set()

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._ballot is None:
                continue
            ballot = self._ballot
            if ballot.leads != self.leads:
                self.leads = ballot.leads
                log.info("bridge.leads" if self.leads else "bridge.leads_no_more")
                await self._change(self._leading, begin=self.leads)
            if ballot.ships != self.ships:
                self.ships = ballot.ships
                log.info("bridge.ships" if self.ships else "bridge.ships_no_more")
                await self._change(self._shipping, begin=self.ships)
            if self.leads:
                self._grew(ballot.head)

    async def _change(self, jobs: Mapping[str, Job], *, begin: bool) -> None:
        if begin:
            self._begin(jobs)
            return
        for name in jobs:
            self._tasks.begin_ending(name)
        for name in jobs:
            await self._tasks.end(name)

    def _begin(self, jobs: Mapping[str, Job]) -> None:
        for name, job in jobs.items():
            self._tasks.start(name, job())


@contextmanager
def standing_for_election(base: Ground, leadership: Leadership) -> Iterator[bool]:
    """Whether there is an election; this bridge stands for it until the end of the ``with``."""
    settings = base.settings
    data = settings.paths.root
    if settings.storage.shared:
        _claim_sinks(base)
    process = ProcessName(
        kind=ProcessKind.bridge,
        name=settings.bridge.id,
        host=socket.gethostname(),
        data=str(data.absolute()),
        release=__version__,
        started_us=base.started_us,
        home=base.keeps_files,
    )
    election = stand_for_election(
        data, process, leadership.told, partial(belonging.mark_here, data), lambda: leadership.figures
    )
    try:
        yield election is not None
    finally:
        if election is not None:
            election.close()


def _claim_sinks(base: Ground) -> None:
    """At home the log is told of the directory of its sinks; where they are in another one it is said."""
    data = base.settings.paths.root
    try:
        if base.keeps_files:
            belonging.claim(data, base.reader.cursors())
        if (fault := belonging.worth_a_word(data)) is not None:
            log.warning("bridge.sinks_elsewhere", error=str(fault), fix=fault.hint)
    except (HealthSyncError, OSError) as error:
        log.error("bridge.sinks_unusable", error=error)  # noqa: TRY400  # no traceback
