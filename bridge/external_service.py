"""The bridge alone, on an external broker: from start to a clean stop."""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import SystemRandom
from typing import Any

from bridge.edges.external import LinkOutlet, LinkSource, Origins
from bridge.edges.sentinel import Sentinel
from bridge.endpoint import Endpoint
from bridge.follow.canonical_external import CanonicalPublisher
from bridge.follow.retention import Retention
from bridge.follow.ship import Shipping
from bridge.jobs.consent_watch import ConsentWatch
from bridge.jobs.presence import Presence, status_message
from bridge.pipeline import Pipeline
from bridge.ports import Chores
from bridge.service import event_limits
from bridge.stages.consent import ConsentGate
from bridge.stages.journal import Journal
from healthsync_mqtt import __version__
from healthsync_mqtt.broker.external.access import external_target, subscriptions
from healthsync_mqtt.broker.external.canary import CrossingError
from healthsync_mqtt.broker.external.shard import Shard
from healthsync_mqtt.client.backoff import Backoff
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.errors import ConfigError, DeniedError, HealthSyncError, UnavailableError
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.mqtt.links.client import LastWill
from healthsync_mqtt.mqtt.links.port import BrokerLink, ProtocolRefusedError
from healthsync_mqtt.mqtt.links.work import open_link
from healthsync_mqtt.storage.opening import open_log, open_reader
from healthsync_mqtt.telemetry.counters import Counters
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.outage import Outage
from healthsync_mqtt.topics.registry import TopicRegistry

log = get_logger("bridge")

_DRAIN_S = 1.0
_KEEP_S = 0.5
_POSITION_S = 0.5
_TICK_S = 1.0
"""Seconds between two notes of the counters."""


class ExternalBridge:
    """One data directory's bridge. ``async with ExternalBridge.open(settings) as bridge``, then ``run``."""

    def __init__(self, settings: Settings) -> None:
        external = settings.external
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._started_us = time.time_ns() // 1000
        self._session = secrets.token_hex(8)
        self._rng = SystemRandom()
        self._backoff = Backoff(first=0.5, longest=30.0)
        self._outage = Outage(log, "bridge.broker")
        self._failure: asyncio.Future[None] = self._loop.create_future()
        self.ready: asyncio.Future[BrokerLink] = self._loop.create_future()
        self.counters = Counters()
        self._registry = TopicRegistry.load(settings.topics_file)
        self._store = CredentialStore(settings.paths.credentials)
        self._status_topic = self._registry.build("bridge_status", bridge=settings.bridge.id)
        self._versions = {"5": (5,), "3.1.1": (4,), "auto": (5, 4)}[external.protocol]
        self._sentinel = Sentinel(settings, self._store, self._registry)
        self._link: BrokerLink | None = None
        self._worked = False
        self.journal = Journal(open_log(settings.paths.root))
        self.reader = open_reader(settings.paths.root)
        gate = ConsentGate()
        self._consent = ConsentWatch(external.registry_file or settings.paths.registry_db, gate)
        chores = Chores()
        self._origins = Origins(self._registry, Shard.parse(external.shard))
        self._outlet = LinkOutlet()
        self.publisher = CanonicalPublisher(
            bridge_id=settings.bridge.id,
            reader=self.reader,
            journal=self.journal,
            registry=self._registry,
            chores=chores,
            gate=gate,
        )
        self.pipeline = Pipeline(
            journal=self.journal,
            registry=self._registry,
            counters=self.counters,
            bridge_id=settings.bridge.id,
            limits=event_limits(settings.events),
            backlog_limit=settings.limits.backlog_bytes,
            gate=gate,
            chores=chores,
            outlet=self._outlet,
            observers=(self.publisher,),
            failed=self._fail,
        )
        self.shipping = Shipping(settings.data, chores=chores, changed=self._sinks_changed)
        self._retention = Retention.of(settings, chores)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator["ExternalBridge"]:
        """A bridge that is not connected yet; stopped cleanly on the way out."""
        bridge = cls(settings)
        try:
            yield bridge
        finally:
            await bridge._close()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set. Raises what a new connection cannot mend."""
        tasks: list[asyncio.Future[Any]] = [
            asyncio.create_task(stop.wait(), name="bridge.stop"),
            asyncio.create_task(self._connections(), name="bridge.connections"),
            asyncio.create_task(self._upkeep(), name="bridge.upkeep"),
            asyncio.create_task(self._consent.follow(), name="bridge.consent"),
            asyncio.create_task(self.shipping.run(), name="bridge.ship"),
            self._failure,
        ]
        if self._settings.external.canonical:
            tasks.append(asyncio.create_task(self.publisher.run(), name="bridge.publish"))
        if self._settings.retention.days:
            tasks.append(asyncio.create_task(self._retention.run(), name="bridge.retain"))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0] in done and self._link is not None:
                await self._say_goodbye(self._link)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def status(self) -> dict[str, Any]:
        """What ``healthsync status --json`` shows of a running bridge."""
        return {
            "running": True,
            "pid": os.getpid(),
            "version": __version__,
            "healthy": self.pipeline.healthy and not self._outage.ongoing,
            "broker": {"mode": "external", "connected": self._link is not None},
            "journal": {"working": self.pipeline.healthy, "commit_running_s": self.pipeline.commit_running_s},
            "uptime_s": round(time.time() - self._started_us / 1e6, 3),
            "epoch": self.journal.epoch,
            "head": self.journal.head(),
            "counters": self.counters.snapshot(),
            "connections": int(self._link is not None),
            "subscriber_lag": self.publisher.lag,
            "sinks": self.shipping.status(),
        }

    # -- connections

    async def _connections(self) -> None:
        """Connect, and again after every end. Returns never; raises what connecting again cannot mend."""
        failures = 0
        while True:
            self._worked = False
            try:
                await self._connection(self._versions[0])
            except ProtocolRefusedError as error:
                if len(self._versions) > 1:
                    self._versions = self._versions[1:]
                    continue
                self._lost(error)
            except CrossingError:
                raise
            except (DeniedError, UnavailableError) as error:
                self._lost(error)
            failures = 1 if self._worked else failures + 1
            await asyncio.sleep(self._backoff.delay(failures, self._rng))

    async def _connection(self, version: int) -> None:
        """One connection, from CONNECT to its end, which is raised."""
        will = LastWill(topic=self._status_topic, payload=self._presence(Presence.lost))
        target = external_target(self._settings, self._store, version, will)
        source = LinkSource(self.pipeline, self._origins, self._sentinel.saw)
        async with open_link(target, source.received) as link:
            filters = subscriptions(self._registry, self._settings.external, link.agreed)
            codes = await link.subscribe(filters)
            refused = [name for name, code in zip(filters, codes, strict=True) if code >= 128]
            if refused:
                raise DeniedError(f"the broker refuses the bridge {', '.join(refused)}", hint="renew its access rules")
            await self._sentinel.before_work(link)
            self._link = link
            try:
                await self._work(link, source)
            finally:
                self._link = None
                self._outlet.connected(None)
                self.publisher.connected(None)

    async def _work(self, link: BrokerLink, source: LinkSource) -> None:
        link.send(self._status_topic, self._presence(Presence.online), retain=True)
        self._worked = True
        self._outage.worked(self._loop.time())
        self.counters.connections_opened += 1
        log.info("bridge.connected", mqtt=link.agreed.version, session_present=link.agreed.session_present)
        self._outlet.connected(link)
        if self._settings.external.canonical:
            self.publisher.connected(link)
        source.release(link)
        if not self.ready.done():
            self.ready.set_result(link)
        canary = asyncio.create_task(self._sentinel.keep_watch(link), name="bridge.canary")
        ended = asyncio.create_task(link.ended(), name="bridge.link")
        try:
            done, _ = await asyncio.wait((canary, ended), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self.counters.connections_closed += 1
            canary.cancel()
            ended.cancel()
            await asyncio.gather(canary, ended, return_exceptions=True)

    def _lost(self, error: HealthSyncError) -> None:
        self._outage.failed(self._loop.time(), problem=str(error), hint=error.hint)

    def _presence(self, presence: Presence) -> bytes:
        return status_message(presence, self._started_us, session=self._session, sinks=self.shipping.summary())

    def _sinks_changed(self) -> None:
        if self._link is not None:
            self._link.send(self._status_topic, self._presence(Presence.online), retain=True)

    # -- upkeep and end

    async def _upkeep(self) -> None:
        while True:
            await asyncio.sleep(_POSITION_S)
            self.counters.tick(self._loop.time())
            self.publisher.keep_position()

    def _fail(self, error: Exception) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)

    async def _say_goodbye(self, link: BrokerLink) -> None:
        """Store and acknowledge what has arrived, and say that this is no crash."""
        self.shipping.on_change = lambda: None  # it would announce "online" again
        link.pause()
        await self.pipeline.close(_DRAIN_S)
        told = asyncio.Event()
        if link.send(self._status_topic, self._presence(Presence.offline), retain=True, done=told.set):
            link.resume()
            try:
                async with asyncio.timeout(2.0):
                    await told.wait()
            except TimeoutError:
                log.debug("bridge.goodbye_not_heard")
        await link.close()

    async def _close(self) -> None:
        self.publisher.keep_position()
        self.shipping.keep_positions()
        await self.pipeline.settle(_KEEP_S)
        self.pipeline.stop()
        self._failure.cancel()
        self.ready.cancel()
        self.journal.close()
        self.reader.close()
        self._consent.close()
        log.info("bridge.stopped", **{k: v for k, v in self.counters.snapshot().items() if isinstance(v, int)})


async def run_bridge(settings: Settings, *, ready: Callable[[ExternalBridge], None], stop: asyncio.Event) -> None:
    """Run until ``stop`` is set; ``ready`` is called when the bridge takes events for the first time."""
    if not settings.external.tls and settings.external.host not in {"127.0.0.1", "::1", "localhost"}:
        raise ConfigError("external.tls = false is for this machine only", hint="set external.tls = true")
    async with ExternalBridge.open(settings) as bridge, Endpoint(settings.metrics, bridge.status):
        bridge.ready.add_done_callback(lambda first: None if first.cancelled() else ready(bridge))
        await bridge.run(stop)
