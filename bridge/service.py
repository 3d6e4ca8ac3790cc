"""The service: broker and bridge in one process, from start to a clean stop."""

import asyncio
import gc
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bridge.decode.delivery import Limits
from bridge.edges.embedded import DoorOutlet, DoorSource
from bridge.edges.requests import TokenRequests
from bridge.endpoint import Endpoint
from bridge.follow.canonical import Publisher
from bridge.follow.retention import Retention
from bridge.follow.ship import Shipping
from bridge.jobs.daily_limit import DailyVolume
from bridge.jobs.presence import Presence, status_message
from bridge.jobs.refused_logins import RefusedLogins
from bridge.jobs.release import Release
from bridge.jobs.upkeep import Parts, Upkeep
from bridge.pipeline import Pipeline
from bridge.ports import Chores
from bridge.report import report
from bridge.stages.consent import ConsentGate
from bridge.stages.journal import Journal
from healthsync_mqtt import __version__
from healthsync_mqtt.broker.embedded.door import FrontDoor
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.config.sections import EventSettings
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.identity.certificates.server_tls import ServerTls
from healthsync_mqtt.identity.keys.store import KeyStore, LiveKeys
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.exchange import TokenExchange
from healthsync_mqtt.identity.login.logins import Logins
from healthsync_mqtt.identity.login.newcomers import Newcomers
from healthsync_mqtt.identity.login.proof import Demand
from healthsync_mqtt.identity.login.tokens import TokenIssuer, TokenVerifier
from healthsync_mqtt.identity.people.registry import Registry
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.storage.opening import open_log, open_reader
from healthsync_mqtt.telemetry.counters import Counters
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.registry import TopicRegistry

log = get_logger("bridge")

_DRAIN_S = 1.0
_KEEP_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Where the service listens ("address:port") and what belongs to it."""

    mqtt: str
    mqtts: str
    wss: str
    ca_file: str
    metrics: str = ""
    """Nothing when metrics are off."""
    pid: int
    service: "Service"


class Service:
    """Broker and bridge of one data directory. ``async with Service.open(settings) as service``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._started_us = time.time_ns() // 1000
        self._session = secrets.token_hex(8)
        self._failure: asyncio.Future[None] = self._loop.create_future()
        self.counters = Counters()
        paths = settings.paths
        registry = TopicRegistry.load(settings.topics_file, types=frozenset(CATALOGUE))
        self._status_topic = registry.build("bridge_status", bridge=settings.bridge.id)
        self._identities = Registry.open(paths.registry_db)
        self._keys = LiveKeys(KeyStore.of_environment(paths.keys), self._started_us)
        credentials = CredentialStore(paths.credentials)
        self._roster = Registry.open(paths.registry_db)  # of its own: a write that waits must not keep it waiting
        self._directory = Directory(self._roster)
        self._logins = Logins.of(self._directory, TokenVerifier(self._keys), credentials)
        self._newcomers = Newcomers(self._logins)
        broker = settings.broker
        self.tls = ServerTls(
            paths.certs, broker.certificate_hosts, self._identities.certificates, broker.tls_minimum, time.time()
        )
        self.journal = Journal(open_log(paths.root))
        self.reader = open_reader(paths.root)
        self._gate = ConsentGate(self._directory.permissions)
        self._directory.on_permissions = self._gate.replace
        rules, chores = AccessRules(registry), Chores()
        sessions = Sessions(settings.limits, rules)
        self.publisher = Publisher(
            reader=self.reader,
            journal=self.journal,
            registry=registry,
            chores=chores,
            gate=self._gate,
            sessions=sessions,
        )
        self.volume = DailyVolume(settings.limits.device_events_per_day)
        self.pipeline = Pipeline(
            journal=self.journal,
            registry=registry,
            counters=self.counters,
            bridge_id=settings.bridge.id,
            limits=event_limits(settings.events),
            backlog_limit=settings.limits.backlog_bytes,
            gate=self._gate,
            chores=chores,
            outlet=DoorOutlet(sessions),
            observers=(self.volume, self.publisher),
            failed=self._fail,
        )
        self.shipping = Shipping(paths.root, chores=chores, changed=lambda: self._announce(Presence.online))
        retention = Retention.of(settings, chores)
        audit = AuditLog.open(paths.audit_db, paths.audit_key)
        self._refused = RefusedLogins(audit, self._identities)
        self._requests = TokenRequests(
            TokenExchange(self._identities, TokenIssuer(self._keys), audit, lifetime_s=settings.token.access_s),
            self._directory,
        )
        self.door = FrontDoor(
            limits=settings.limits,
            rules=rules,
            logins=self._logins,
            ingest=DoorSource(self.pipeline),
            feeder=self.publisher,
            requests=self._requests,
            sessions=sessions,
            counters=self.counters,
            newcomers=self._newcomers,
            on_refused=self._refused.note,
            on_fatal=self._fail,
        )
        self.release = Release(self.pipeline, chores, self.reader, event_limits(settings.events))
        self._upkeep = Upkeep(
            Parts(
                identities=self._identities,
                directory=self._directory,
                newcomers=self._newcomers,
                keys=self._keys,
                tls=self.tls,
                door=self.door,
                gate=self._gate,
                publisher=self.publisher,
                shipping=self.shipping,
                retention=retention,
                refused=self._refused,
                counters=self.counters,
            ),
            self._fail,
        )
        self._endpoint = Endpoint(settings.metrics, self.status)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator["Service"]:
        """A running service that does not listen yet; stopped cleanly on the way out."""
        service = cls(settings)
        try:
            await service.door.start()
            service._announce(Presence.online)
            service._upkeep.start()
            yield service
        finally:
            await service._stop()

    async def listen(self) -> Ready:
        """Open the listeners; from now on devices may come."""
        broker = self._settings.broker
        listeners = self.door.listeners
        mqtt = await listeners.open(broker.host, broker.mqtt_port, tls=None)
        clients = Demand(broker.mqtts_clients)
        tls = self.tls.context(clients)
        mqtts = await listeners.open(broker.mqtts_host, broker.mqtts_port, tls=tls, clients=clients)
        clients, origins = Demand(broker.wss_clients), broker.allowed_origins
        tls = self.tls.context(clients)
        wss = await listeners.open(broker.wss_host, broker.wss_port, tls=tls, clients=clients, origins=origins)
        metrics = await self._endpoint.open()
        log.info("bridge.ready", mqtt=mqtt, mqtts=mqtts, wss=wss, metrics=metrics, version=__version__)
        return Ready(
            mqtt=f"127.0.0.1:{mqtt}",
            mqtts=f"127.0.0.1:{mqtts}",
            wss=f"127.0.0.1:{wss}",
            ca_file=str(self.tls.paths.ca_cert),
            metrics=metrics,
            pid=os.getpid(),
            service=self,
        )

    async def failed(self) -> None:
        """Wait for a failure that only a restart can mend, and raise it."""
        await asyncio.shield(self._failure)

    def status(self) -> dict[str, Any]:
        """What ``healthsync status --json`` shows of a running service."""
        return report(self, self._started_us)

    # -- inside

    async def _stop(self) -> None:
        await self._endpoint.close()
        await self.door.stop_listening()
        self.shipping.on_change = lambda: None  # it would announce "online" again
        self._announce(Presence.offline)
        await self.pipeline.close(_DRAIN_S)
        await self.door.stop()
        self.publisher.keep_positions()
        self.shipping.keep_positions()
        await self.pipeline.settle(_KEEP_S)
        await self._upkeep.stop()
        self.pipeline.stop()
        self._failure.cancel()
        await self._requests.drain()
        await self._refused.close()
        self.journal.close()
        self.reader.close()
        self._newcomers.close()
        self._roster.close()
        self._identities.close()
        log.info("bridge.stopped", **{k: v for k, v in self.counters.snapshot().items() if isinstance(v, int)})

    def _announce(self, presence: Presence) -> None:
        message = status_message(presence, self._started_us, session=self._session, sinks=self.shipping.summary())
        self.door.retain(self._status_topic, message)

    def _fail(self, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)


def event_limits(events: EventSettings) -> Limits:
    """The decoder's limits as configured."""
    values = events.model_dump()
    values["max_future_us"] = values.pop("max_future_s") * 1_000_000
    return Limits(**values)


def _tune_collector() -> None:
    """Deliveries are short-lived tuples without cycles; scanning them costs a quarter of the rate or more."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


async def run_service(settings: Settings, *, ready: Callable[[Ready], None], stop: asyncio.Event) -> None:
    """Run until ``stop`` is set. Raises what made going on impossible, and UnavailableError for a taken port."""
    _tune_collector()
    async with Service.open(settings) as service:
        try:
            ready(await service.listen())
        except OSError as error:
            raise UnavailableError(
                f"cannot listen: {error.strerror or error}", hint="choose other ports: healthsync up --mqtts-port 0"
            ) from error
        stopped = asyncio.create_task(stop.wait(), name="bridge.stop")
        failed = asyncio.create_task(service.failed(), name="bridge.failed")
        try:
            await asyncio.wait([stopped, failed], return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                failed.result()
        finally:
            stopped.cancel()
            failed.cancel()
            await asyncio.gather(stopped, failed, return_exceptions=True)
