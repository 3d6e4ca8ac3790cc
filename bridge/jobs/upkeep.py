"""What a running service looks at again and again: revocations, keys, certificates, cursors, sessions.

Whatever may wait for a file runs in a thread, so that another process that holds it does not hold up devices.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

from bridge.follow.canonical import Publisher
from bridge.follow.retention import Retention
from bridge.follow.ship import Shipping
from bridge.jobs.refused_logins import RefusedLogins
from bridge.jobs.revocations import Revocations
from bridge.stages.consent import ConsentGate
from healthsync_mqtt.broker.embedded.door import FrontDoor
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.identity.certificates.server_tls import ServerTls
from healthsync_mqtt.identity.keys.store import LiveKeys
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.newcomers import Newcomers
from healthsync_mqtt.identity.people.registry import Registry
from healthsync_mqtt.telemetry.counters import Counters
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("bridge")

_REVOCATION_S = 0.25
_KEYS_S = 0.5
_CERTIFICATES_S = 2.0
_POSITIONS_S = 1.0
_REFUSALS_S = 5.0
_SESSIONS_S = 60.0


class Parts(NamedTuple):
    """What the jobs work on."""

    identities: Registry
    directory: Directory
    newcomers: Newcomers
    keys: LiveKeys
    tls: ServerTls
    door: FrontDoor
    gate: ConsentGate
    publisher: Publisher
    shipping: Shipping
    retention: Retention
    refused: RefusedLogins
    counters: Counters


class Upkeep:
    """The jobs of a service. ``failed`` is told of an error that nobody expected: no job ends in silence."""

    def __init__(self, parts: Parts, failed: Callable[[BaseException], None]) -> None:
        self._parts = parts
        self._failed = failed
        self._tasks: list[asyncio.Task[None]] = []
        self._revocations = Revocations(parts.directory, parts.newcomers, parts.door, self._consents_read)

    def start(self) -> None:
        """Start every job."""
        self._start("publish", self._parts.publisher.run())
        self._start("ship", self._parts.shipping.run())
        self._start("retain", self._parts.retention.run())
        for seconds, work in (
            (_REVOCATION_S, self._revocations.look),
            (_REVOCATION_S, self._tries),
            (_KEYS_S, self._keys),
            (_CERTIFICATES_S, self._certificates),
            (_POSITIONS_S, self._positions),
            (_REFUSALS_S, self._parts.refused.write),
            (_SESSIONS_S, self._sessions),
        ):
            self._start(work.__name__.strip("_"), self._every(seconds, work))

    async def stop(self) -> None:
        """End every job."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, name: str, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(job, name=f"bridge.{name}")
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("bridge.job_failed", task=task.get_name(), error=error)
            self._failed(error)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except HealthSyncError as error:
                log.error("bridge.upkeep_failed", task=work.__name__, error=error)  # noqa: TRY400  # no traceback

    # -- the jobs

    async def _tries(self) -> None:
        lobby = self._parts.directory.lobby
        if tries := lobby.tries():
            await asyncio.to_thread(self._parts.identities.enrolments.note_tries, tries)
            lobby.told(tries)

    def _consents_read(self) -> None:
        self._parts.publisher.narrowed(self._parts.gate.changed())

    async def _keys(self) -> None:
        gone = await asyncio.to_thread(self._parts.keys.refresh, time.time_ns() // 1000)
        if gone:
            self._parts.door.void(lambda login: login.kid in gone)

    async def _certificates(self) -> None:
        if await asyncio.to_thread(self._parts.tls.upkeep, time.time()):
            self._parts.tls.reload()

    async def _positions(self) -> None:
        self._parts.counters.tick(time.monotonic())
        self._parts.publisher.keep_positions()

    async def _sessions(self) -> None:
        self._parts.door.expire_sessions()
