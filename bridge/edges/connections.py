"""The connections to an external broker, one after the other: from CONNECT to the end, and again."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from random import SystemRandom
from typing import Final

from bridge.edges.external import LinkOutlet, LinkSource, LongAllowance, Origins
from bridge.edges.gateway_calls import REQUEST
from bridge.edges.namesake import Namesake, NamesakeError
from bridge.edges.packet_limit import PacketLimit
from bridge.edges.sentinel import Sentinel
from bridge.pipeline import Pipeline
from bridge.ports import UNSENT_FIX
from bridge.supervisor import Supervisor
from healthsync_mqtt.broker.external.access import VERSIONS, external_target, subscriptions
from healthsync_mqtt.broker.external.canary import CrossingError
from healthsync_mqtt.client.backoff import Backoff
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.errors import DeniedError, HealthSyncError, UnavailableError
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.mqtt.links.client import LastWill
from healthsync_mqtt.mqtt.links.port import BrokerLink, ProtocolRefusedError
from healthsync_mqtt.mqtt.links.work import open_link
from healthsync_mqtt.telemetry.counters import Counters
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.outage import Outage
from healthsync_mqtt.topics.registry import TopicRegistry

log = get_logger("bridge")

_GOODBYE_S = 0.5
_RENEW: Final = "renew its access rules: healthsync broker provision mosquitto, or render them anew"
ASIDES: Final = {
    "homeassistant_status": "bridge.births_not_heard",
    "changes_request": "bridge.requests_not_heard",
    REQUEST: "bridge.gateway_not_heard",
}
"""Channels that the bridge listens to beside deliveries, and can be without; what is logged where one is refused.

Rules that were rendered by an earlier release refuse the newer of them.
"""


class Connections:
    """Keeps a connection to the broker, and says who works over it: ``users`` are told of each link and of its end."""

    def __init__(
        self,
        settings: Settings,
        topics: TopicRegistry,
        pipeline: Pipeline,
        counters: Counters,
        *,
        origins: Origins,
        long: LongAllowance,
        outlet: LinkOutlet,
        users: tuple[Callable[[BrokerLink | None], None], ...],
        status_topic: str,
        online: Callable[[], bytes],
        lost: Callable[[], bytes],
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._pipeline = pipeline
        self._counters = counters
        self._origins = origins
        self._long = long
        self._users = (outlet.connected, *users)
        self._status_topic = status_topic
        self._online = online
        self._lost = lost
        self._namesake = Namesake(settings.bridge.id, status_topic)
        self._store = CredentialStore(settings.paths.credentials)
        self._sentinel = Sentinel(settings, self._store, topics)
        self._filters = subscriptions(topics, settings.external, one_log=settings.storage.shared)
        #: what the bridge listens to beside deliveries, and can be without
        self._asides = {each.key: each.template.filter for each in topics if each.key in ASIDES}
        if settings.external.share and REQUEST in self._asides:
            # Of bridges that share all messages one takes it: else each would store it, and all but one as known.
            self._asides[REQUEST] = f"$share/{settings.external.share}/{self._asides[REQUEST]}"
        self._versions = VERSIONS[settings.external.protocol]
        self._loop = asyncio.get_running_loop()
        self._rng = SystemRandom()
        self._backoff = Backoff(first=0.5, longest=30.0)
        self._outage = Outage(log, "bridge.broker")
        self._status: bytes | None = None
        self._said = asyncio.Event()
        self._worked = False
        self._packets = PacketLimit()
        self.link: BrokerLink | None = None
        self.ready = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether a connection stands and works."""
        return self.link is not None and not self._outage.ongoing

    async def run(self) -> None:
        """Connect, and again after every end. Returns never; raises what connecting again cannot mend."""
        failures, tried = 0, False
        while True:
            self._worked = False
            try:
                await self._connection(self._versions[0], tried=tried)
            except ProtocolRefusedError as error:
                if len(self._versions) > 1:
                    self._versions = self._versions[1:]
                    tried = True  # a moment ago, in every version
                    continue
                self._away(error)
            except (CrossingError, NamesakeError):
                raise
            except (DeniedError, UnavailableError) as error:
                self._away(error)
            failures, tried = (1 if self._worked else failures + 1), False
            await asyncio.sleep(self._backoff.delay(failures, self._rng))

    def announce(self, status: bytes) -> None:
        """Retained on the bridge's status topic, on this connection and the next ones."""
        self._status = status
        self._said.clear()
        said = self._said
        if self.link is None or not self.link.send(self._status_topic, status, retain=True, done=lambda _: said.set()):
            said.set()

    def pause(self) -> None:
        """Read no more."""
        if self.link is not None:
            self.link.pause()

    async def close(self) -> None:
        """Say goodbye: wait a moment until the broker has what was announced last, then DISCONNECT."""
        link = self.link
        if link is None or not link.alive:
            return
        link.resume()
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await self._said.wait()
        except TimeoutError:
            log.debug("bridge.goodbye_not_heard")
        await link.close()

    async def _connection(self, version: int, *, tried: bool) -> None:
        """One connection, from CONNECT to its end, which is raised. ``tried``: the broker's rules were, just now."""
        will = LastWill(topic=self._status_topic, payload=self._lost())
        target = replace(external_target(self._settings, self._store, version, will), most=self._packets.most)
        if not tried:
            await self._sentinel.before_work()
        most = self._settings.limits.backlog_bytes
        source = LinkSource(self._pipeline, self._origins, self._long, self._namesake.hears, held_bytes=most)
        async with open_link(target, source.received, source) as link:
            codes = await link.subscribe(self._filters)
            refused = [name for name, code in zip(self._filters, codes, strict=True) if code >= 128]
            if refused:
                raise DeniedError(f"the broker refuses the bridge {', '.join(refused)}", hint=_RENEW)
            if self._asides:
                codes = await link.subscribe(list(self._asides.values()))
                for key in (key for key, code in zip(self._asides, codes, strict=True) if code >= 128):
                    log.warning(ASIDES[key], fix=_RENEW)
            await self._namesake.look(link, self._online())
            self.link = link
            try:
                await self._work(link, source)
            finally:
                self.link = None
                self._pipeline.leave(source)
                source.leave()
                if self._packets.ended(link.oldest_owed()):
                    log.warning("bridge.packet_limit_learnt", bytes=self._packets.most, fix=UNSENT_FIX)
                for told in self._users:
                    told(None)

    async def _work(self, link: BrokerLink, source: LinkSource) -> None:
        self._worked = True
        self._outage.worked(self._loop.time())
        self._counters.connections_opened += 1
        log.info("bridge.connected", mqtt=link.agreed.version, session_present=link.agreed.session_present)
        if self._status is not None:
            self.announce(self._status)
        for told in self._users:
            told(link)
        source.release(link)
        self.ready.set()
        try:
            async with Supervisor() as both:
                await both.first(self._sentinel.keep_watch(), link.ended(), source.overflowed())
        finally:
            self._counters.connections_closed += 1

    def _away(self, error: HealthSyncError) -> None:
        self._outage.failed(self._loop.time(), problem=str(error), hint=error.hint)
