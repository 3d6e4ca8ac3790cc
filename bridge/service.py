# long: what a running service is made of, and how it starts, reports and ends, in one place
"""The service: one composition of log, pipeline, followers and jobs, whatever broker it works for.

What differs between brokers is an ``Edge``: a source of deliveries, an outlet for the bridge's messages, and how
canonical events reach subscribers. ``embedded`` and ``external`` make one each.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from bridge.decode.delivery import Limits
from bridge.decoder.process import ReaderProcess
from bridge.endpoint import Endpoint
from bridge.folds import Folds
from bridge.follow.homeassistant import LOOK_S, HomeAssistant, homeassistant
from bridge.follow.insights import LOOK_S as INSIGHTS_S
from bridge.follow.insights import Insights, insights
from bridge.follow.retention import Retention
from bridge.follow.ship import Shipping
from bridge.follow.summaries import LOOK_S as SUMMARIES_S
from bridge.follow.summaries import Summaries, summaries
from bridge.ground import Ground, ground
from bridge.jobs.backups import Backups
from bridge.jobs.daily_limit import DailyLimit
from bridge.jobs.erasures import Erasures, erasures
from bridge.jobs.evictions import LOOK_S as EVICTED_S
from bridge.jobs.evictions import Evictions
from bridge.jobs.format_memories import FORGET_S, FormatMemories
from bridge.jobs.old_refusals import LOOK_S as OLD_REFUSALS_S
from bridge.jobs.old_refusals import OldRefusals
from bridge.jobs.presence import Announcer, Presence
from bridge.jobs.release import Release
from bridge.leadership import SHOWN, Job, Leadership, standing_for_election
from bridge.pipeline import Pipeline
from bridge.ports import Commit, CommitObserver, Outlet, Shelf
from bridge.reload import changes
from healthsync_mqtt import __version__
from healthsync_mqtt.config.sections import EventSettings, LimitSettings
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.model.declaration import Declared
from healthsync_mqtt.model.report import BrokerReport, EdgeReport, JournalReport, ServiceReport
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("bridge")

_COMMIT_S = 1.0
_KEEP_S = 0.3
"""Seconds that a clean stop gives what is in, and then the cursors."""
_TICK_S = 1.0
_HELD_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where devices come in ("address:port"; nothing where there is no such listener), and the CA to trust there."""

    mqtt: str = ""
    mqtts: str = ""
    wss: str = ""
    http: str = ""
    bound: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ca_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Where the service can be reached on this machine ("address:port") and what belongs to it."""

    mqtt: str
    mqtts: str
    wss: str
    http: str = ""
    """The gateway, as a URL; nothing when there is none."""
    bound: Mapping[str, tuple[str, ...]]
    """By listener: every address that it is bound to; 0.0.0.0 and [::] are all of the machine's."""
    ca_file: str
    metrics: str = ""
    """Nothing when metrics are off."""
    pid: int
    service: "Service"


class CanonicalFollower(CommitObserver, Protocol):
    """What carries canonical events from the log to subscribers."""

    @property
    def lag(self) -> int:
        """Events that the slowest subscriber has not been handed yet."""

    @property
    def lag_s(self) -> float:
        """For how many seconds the oldest of them has waited."""

    async def run(self) -> None:
        """Follow for ever."""

    def keep(self) -> None:
        """Write down how far subscribers are, where that changed."""

    def purged(self) -> None:
        """Bodies in the log were purged: nothing that was read before is handed out."""


class Serving(Protocol):
    """An edge at work."""

    @property
    def shelf(self) -> Shelf:
        """Where messages are retained for whoever comes."""

    async def listen(self) -> Addresses:
        """Return when devices may come. HealthSyncError when they never will."""

    def announce(self, status: bytes) -> None:
        """Say on ``bridge/{bridge}/status`` how the bridge is, retained."""

    async def quiet(self) -> None:
        """Take no more deliveries; what was taken can still be acknowledged."""

    async def leave(self) -> None:
        """Send what is on its way, as far as that is quick, and end every connection."""

    async def erase(self, user: str, clients: tuple[str, ...]) -> None:
        """Close the person's connections, keep nothing of the person here; "" leaves no trace of what went before."""

    async def heed(self) -> None:
        """Go by what the registry says now. StoreError: what was last read holds."""

    async def reload(self, settings: Settings) -> None:
        """Go by these settings as far as they can change, and by the certificates and keys that are on disk now.

        HealthSyncError: what was in use stays in use.
        """

    def report(self) -> EdgeReport:
        """What is known here only."""


class Edge(Protocol):
    """One side of the bridge, before it works. It is closed after the pipeline has ended."""

    @property
    def mode(self) -> Literal["embedded", "external"]:
        """Whose broker it is."""

    @property
    def outlet(self) -> Outlet:
        """Where the bridge's messages go."""

    @property
    def follower(self) -> CanonicalFollower:
        """How canonical events go out."""

    @property
    def registry_db(self) -> Path:
        """Whose registry says what users agreed to and asked for."""

    @property
    def withheld(self) -> frozenset[str]:
        """Types that are retained for nobody there."""

    @property
    def owns(self) -> Callable[[str], bool]:
        """Whether a user is served here."""

    @property
    def observers(self) -> Sequence[CommitObserver]:
        """Who else is told of every commit."""

    def declared(self, user: str, device: str) -> Declared:
        """What the login of a device says of its messages."""

    def serve(self, pipeline: Pipeline, status: Callable[[Presence], bytes]) -> AbstractAsyncContextManager[Serving]:
        """Deliver to this pipeline; ``status`` makes what is said of the bridge's presence."""


MakeEdge = Callable[[Ground], AbstractAsyncContextManager[Edge]]


class Service:
    """A running bridge of one data directory. ``async with Service.open(settings, edge) as service``."""

    def __init__(
        self,
        base: Ground,
        edge: Edge,
        serving: Serving,
        *,
        pipeline: Pipeline,
        shipping: Shipping,
        daily_limit: DailyLimit,
        announcer: Announcer,
        dashboards: HomeAssistant | None,
        summaries: Summaries | None,
        insights: Insights | None,
        erasing: Erasures | None,
    ) -> None:
        """Use ``open``."""
        self.ground = base
        self.edge = edge
        self.serving = serving
        self.pipeline = pipeline
        self.shipping = shipping
        self.counters = base.counters
        self.journal = base.journal
        self.reader = base.reader
        self.tasks = base.tasks
        self.release = Release(pipeline, base.chores, base.reader)
        self.old_refusals = OldRefusals.of(base.settings, base.chores, base.calendar.now_us)
        self._evictions = Evictions(base.journal.health)
        self._format_memories = FormatMemories(base.gate, pipeline.folds, base.reader, base.chores)
        self._dashboards = dashboards
        self._summaries = summaries
        self._insights = insights
        self.erasures = erasing
        self._backups = Backups.of(base.settings)
        self._retention = Retention.of(base.settings, base.chores, base.calendar.now_us, self._purged)
        self._settings = base.settings
        self.endpoint = Endpoint(base.settings.metrics, self.report)
        #: What one bridge does for all that share a log
        self.leadership = Leadership(base.tasks, self._grew)
        self._daily_limit = daily_limit
        self._announcer = announcer
        self._stopped = False

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, make_edge: MakeEdge) -> AsyncIterator["Service"]:
        """A service that does not listen yet; stopped cleanly on the way out."""
        with ground(settings) as base:
            async with make_edge(base) as edge:
                changed = asyncio.Event()
                shipping = Shipping.of(settings, base.chores, changed.set, base.spans)
                daily_limit = DailyLimit(settings.limits.device_events_per_day)
                pipeline = Pipeline(
                    journal=base.journal,
                    registry=base.topics,
                    counters=base.counters,
                    bridge_id=settings.bridge.id,
                    limits=event_limits(settings.events, settings.limits),
                    reader=ReaderProcess(),
                    room=base.message_room,
                    backlog_limit=settings.limits.backlog_bytes,
                    gate=base.gate,
                    chores=base.chores,
                    courtesy=base.courtesy,
                    outlet=edge.outlet,
                    observers=(
                        daily_limit,
                        base.calendar,
                        *(() if base.spans is None else (base.spans,)),  # before what is given is asked for its trace
                        edge.follower,
                        *edge.observers,
                    ),
                    failed=base.tasks.fail,
                    folds=Folds(base.reader, base.topics, base.gate, edge.declared, searching=base.searching),
                )
                announcer = Announcer(base.started_us, base.session, shipping.summary, changed)
                async with AsyncExitStack() as opened:
                    serving = await opened.enter_async_context(edge.serve(pipeline, announcer.message))
                    dashboards = opened.enter_context(
                        homeassistant(
                            base,
                            serving.shelf,
                            registry_db=edge.registry_db,
                            withheld=edge.withheld,
                            owns=edge.owns,
                        )
                    )
                    days = await opened.enter_async_context(
                        summaries(
                            base,
                            serving.shelf,
                            registry_db=edge.registry_db,
                            withheld=edge.withheld,
                            owns=edge.owns,
                        )
                    )
                    found = await opened.enter_async_context(
                        insights(
                            base,
                            serving.shelf,
                            heard=lambda: days is None or days.heard,
                            withheld=edge.withheld,
                            owns=edge.owns,
                        )
                    )
                    erasing = opened.enter_context(
                        erasures(
                            base,
                            edge.registry_db,
                            serving.erase,
                            tuple(each for each in (dashboards, days, found) if each is not None),
                        )
                    )
                    service = cls(
                        base,
                        edge,
                        serving,
                        pipeline=pipeline,
                        shipping=shipping,
                        daily_limit=daily_limit,
                        announcer=announcer,
                        dashboards=dashboards,
                        summaries=days,
                        insights=found,
                        erasing=erasing,
                    )
                    elected = opened.enter_context(standing_for_election(base, service.leadership))
                    service._start(elected=elected)
                    try:
                        yield service
                    finally:
                        await service.stop()

    async def listen(self) -> Ready:
        """From now on devices may come. Who is to be erased is, first."""
        if self.erasures is not None:
            await self.erasures.settle()
            self.tasks.every("erasure", _TICK_S, self.erasures.look)
        found = await self.serving.listen()
        metrics = await self.endpoint.open()
        log.info(
            "bridge.ready",
            **found.bound,
            metrics=metrics,
            version=__version__,
        )
        return Ready(
            mqtt=found.mqtt,
            mqtts=found.mqtts,
            wss=found.wss,
            http=found.http,
            bound=found.bound,
            ca_file=found.ca_file,
            metrics=metrics,
            pid=os.getpid(),
            service=self,
        )

    def report(self) -> ServiceReport:
        """What ``healthsync status --json`` shows of a running service."""
        base, edge, pipeline = self.ground, self.serving.report(), self.pipeline
        return ServiceReport(
            pid=os.getpid(),
            version=__version__,
            healthy=pipeline.healthy and edge.connected,
            broker=BrokerReport(mode=self.edge.mode, connected=edge.connected),
            journal=JournalReport(working=pipeline.healthy, commit_running_s=pipeline.commit_running_s),
            uptime_s=round(time.time() - base.started_us / 1e6, 3),
            epoch=base.journal.epoch,
            head=base.journal.head(),
            counters=base.counters.snapshot(),
            connections=edge.connections,
            subscriber_lag=self.edge.follower.lag,
            subscriber_lag_s=round(self.edge.follower.lag_s, 3),
            sinks=self.shipping.status(),
            storage=asdict(base.journal.health()),
            tasks_down=self.tasks.down,
            clock_ahead_s=round(base.calendar.ahead_s),
            crowd=edge.crowd,
            sessions=edge.sessions,
            limited=edge.limited,
            over_daily_limit=self._daily_limit.over(),
            certificates=edge.certificates,
            gateway=edge.gateway,
            backup=None if self._backups is None else self._backups.report(),
            erasures=None if self.erasures is None else self.erasures.report(),
            installation=self.leadership.report(),
            spans=None if base.spans is None else base.spans.export.told(),
        )

    async def reload(self, settings: Settings) -> None:
        """Go by these settings, as far as they can change while running, and by what is on disk now. Ends nothing."""
        found = changes(self._settings, settings)
        self.pipeline.limits = event_limits(settings.events, settings.limits)
        self._daily_limit.use(settings.limits.device_events_per_day)
        if settings.retention != self._settings.retention:
            self._retention.use(settings.retention.days)
        self._settings = settings
        log.info("bridge.reloaded", changed=list(found.now))
        if found.at_next_start:
            log.warning("bridge.needs_restart", changed=list(found.at_next_start))
        try:
            await self.serving.reload(settings)
        except HealthSyncError as error:
            log.error("bridge.reload_failed", error=error)  # noqa: TRY400  # no traceback

    async def stop(self) -> None:
        """Take nothing more, commit and acknowledge what is in, say goodbye, end. Idempotent."""
        if self._stopped:
            return
        self._stopped = True
        await self.endpoint.close()
        await self.serving.quiet()
        for each in ("ship", *(("insights.process",) if self._insights is not None else ())):
            self.tasks.begin_ending(each)  # a process that hangs ends while the rest does
        self._announcer.farewell(self.serving.announce)
        await self.pipeline.close(_COMMIT_S)
        await self.serving.leave()
        if self.leadership.leads:
            self.edge.follower.keep()
        if self.leadership.ships:
            self.shipping.keep_positions()
        self.ground.calendar.keep()
        await self.pipeline.settle(_KEEP_S)
        await self.tasks.stop()
        if self.ground.spans is not None:
            await self.ground.spans.export.close()
        if self._dashboards is not None:
            await self._dashboards.close()
        if self._summaries is not None:
            await self._summaries.close()
        if self._insights is not None:
            await self._insights.close()
        self.pipeline.stop()
        log.info("bridge.stopped", **{k: v for k, v in self.counters.snapshot().items() if isinstance(v, int)})

    def _start(self, *, elected: bool) -> None:
        tasks = self.tasks
        leading: dict[str, Job] = {
            "publish": self.edge.follower.run,
            "held": lambda: tasks.again("held", _HELD_S, self.release.take_due),
        }
        # What is purged has been shipped: by the sinks of whoever runs them.
        shipping: dict[str, Job] = {"ship": self.shipping.run, "retain": self._retention.run}
        self.leadership.start(leading, shipping, elected=elected)
        tasks.start("presence", self._announcer.run(self.serving.announce))
        if self.ground.spans is not None:
            tasks.start("spans", self.ground.spans.export.run())
        if self._backups is not None:
            tasks.start("backup", self._backups.run())
        if self._dashboards is not None:
            tasks.every("homeassistant", LOOK_S, self._dashboards.look)
        if self._summaries is not None:
            tasks.every("summaries", SUMMARIES_S, self._summaries.look)
        if self._insights is not None:
            tasks.every("insights", INSIGHTS_S, self._insights.look)
            tasks.start("insights.process", self._insights.run())
        tasks.every("positions", _TICK_S, self._positions)
        tasks.every("quarantine", OLD_REFUSALS_S, self.old_refusals.look)
        tasks.every("evictions", EVICTED_S, self._evictions.look)
        tasks.every("forgetting", FORGET_S, self._format_memories.look)

    def _grew(self, head: int) -> None:
        """Another bridge may have written."""
        self.edge.follower.committed(Commit(head, (), time.time_ns() // 1000))

    def _purged(self) -> None:
        self.edge.follower.purged()
        if self._dashboards is not None:
            self._dashboards.purged()
        if self._summaries is not None:
            self._summaries.purged()

    async def _positions(self) -> None:
        self.counters.tick(time.monotonic())
        if self.ground.settings.storage.shared:
            figures = {name: getattr(self.counters, name) for name in SHOWN}
            self.leadership.figures = figures | {"connections": self.serving.report().connections}
        if self.leadership.leads:  # else these are places where this bridge once was
            self.edge.follower.keep()
        self.ground.calendar.look()


def event_limits(events: EventSettings, limits: LimitSettings | None = None) -> Limits:
    """The decoder's limits as configured."""
    values = events.model_dump() | {"max_message": (limits or LimitSettings()).app_message}
    values["max_future_us"] = values.pop("max_future_s") * 1_000_000
    return Limits(**values)
