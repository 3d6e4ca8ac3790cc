"""Whether the external broker can be trusted: tried before the first event is taken, and again and again after that."""

import asyncio
from random import SystemRandom

from healthsync_mqtt.broker.external.access import external_address
from healthsync_mqtt.broker.external.canary import Canary
from healthsync_mqtt.broker.external.canary_world import COMMON, CanaryWorld, world_of
from healthsync_mqtt.broker.external.promises import examine
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.errors import ConfigError, UnavailableError
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.topics.registry import TopicRegistry

log = get_logger("bridge")

_HINT = "make them: healthsync broker provision mosquitto, or: healthsync broker credentials"
_OWN = (
    "make this bridge's own: healthsync broker provision mosquitto, or: healthsync broker credentials (and start auth "
    "serve anew), each with --bridges and the ids of all; a bridge with a data directory of its own gets copies of "
    "credentials/healthsync-canary-*"
)


class Sentinel:
    """Flies the canary, and finds out once a run what the broker can promise. Does nothing with ``canary = false``."""

    def __init__(self, settings: Settings, store: CredentialStore, topics: TopicRegistry) -> None:
        self._settings = settings
        self._store = store
        self._topics = topics
        self._rng = SystemRandom()
        self._examined = False
        self._warned = False

    async def before_work(self) -> None:
        """Return when a connection may be made. CrossingError, ConfigError; UnavailableError when it cannot be told."""
        if self._settings.external.canary:
            await self._fly()
            await self._examine()

    async def keep_watch(self) -> None:
        """Fly the canary for ever; CrossingError ends it. A broker that does not answer is no crossing."""
        interval = self._settings.external.canary_interval_s
        while True:
            await asyncio.sleep(interval * self._rng.uniform(0.8, 1.0))
            if not self._settings.external.canary:
                continue
            try:
                await self._fly()
            except UnavailableError as error:
                log.warning("bridge.canary_not_flown", problem=str(error), fix=error.hint)

    async def _fly(self) -> None:
        address = external_address(self._settings)
        await Canary(address, lambda name: self._store.need(name, _HINT), self._topics, self._world()).fly()
        log.info("bridge.canary_passed")

    def _world(self) -> CanaryWorld:
        """Its own, so that no flight meets another bridge's.

        Without credentials for it (an earlier release made none) the common one: there other bridges' flights may end
        this one's, which is then tried again.
        """
        own = world_of(self._settings.bridge.id)
        if all(self._store.find(each.client_id) is not None for each in own.everybody):
            return own
        if not self._warned:
            self._warned = True
            log.warning("bridge.canary_shared", bridge=self._settings.bridge.id, fix=_OWN)
        return COMMON

    async def _examine(self) -> None:
        """Say what this broker can promise. ConfigError when events would be lost on it."""
        if self._examined:
            return
        address = external_address(self._settings)
        try:
            findings = await examine(address, self._store, self._topics, self._settings.bridge.id, self._world())
        except UnavailableError as error:
            log.warning("bridge.broker_not_examined", problem=str(error))
            return
        self._examined = True
        for each in findings:
            say = log.info if each.good else log.warning
            say("bridge.broker_promise", check=each.name, good=each.good, found=each.message, fix=each.fix)
        lacking = [each.message for each in findings if each.vital and each.good is False]
        if lacking:
            raise ConfigError(f"the broker {'; '.join(lacking)}", hint="see: healthsync broker check")
