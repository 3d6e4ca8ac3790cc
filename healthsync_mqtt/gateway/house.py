"""The gateway put together from a data directory: who may call, what is published, what is served."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final, Self

from fastapi import APIRouter
from starlette.types import ASGIApp

from healthsync_mqtt import __version__
from healthsync_mqtt.broker.embedded.limits.addresses import AddressGuard
from healthsync_mqtt.broker.embedded.limits.rates import Rates
from healthsync_mqtt.broker.external.access import VERSIONS, gateway_target
from healthsync_mqtt.config.file_turn import FileTurn
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.descriptions.sign_in import SignInWays
from healthsync_mqtt.errors import ConfigError, HealthSyncError
from healthsync_mqtt.formats.catalogue import declare
from healthsync_mqtt.gateway.app import application
from healthsync_mqtt.gateway.bodies.answers import Answers
from healthsync_mqtt.gateway.bodies.room import Room
from healthsync_mqtt.gateway.connections.calling_link import CallingLink
from healthsync_mqtt.gateway.connections.own_name import own_name
from healthsync_mqtt.gateway.connections.publisher import Publisher
from healthsync_mqtt.gateway.event_log.place import SealedPlaces
from healthsync_mqtt.gateway.event_log.questions import LogQuestions
from healthsync_mqtt.gateway.event_log.shares import Shares
from healthsync_mqtt.gateway.event_log.tail import Tail
from healthsync_mqtt.gateway.jobs.deliveries import Deliveries
from healthsync_mqtt.gateway.jobs.uploads import Uploads
from healthsync_mqtt.gateway.login.beginnings import Beginnings
from healthsync_mqtt.gateway.login.callers import Callers
from healthsync_mqtt.gateway.login.ceremonies import Ceremonies
from healthsync_mqtt.gateway.login.rules import Anybody
from healthsync_mqtt.gateway.login.sessions import PersonSessions
from healthsync_mqtt.gateway.registry.deeds import Deeds
from healthsync_mqtt.gateway.registry.installation import Installation
from healthsync_mqtt.gateway.registry.new_tokens import TokenDesk
from healthsync_mqtt.gateway.routes.clouds import cloud_links, provider_hooks, return_page
from healthsync_mqtt.gateway.routes.events import intake, stream
from healthsync_mqtt.gateway.routes.people import departures
from healthsync_mqtt.gateway.routes.sign_in import enrolment
from healthsync_mqtt.gateway.routes.sign_in.organisations import Organisation
from healthsync_mqtt.gateway.routes.sign_in.passkeys import Passkeys
from healthsync_mqtt.gateway.server.forwarding import Forwarding
from healthsync_mqtt.gateway.server.spans import RequestSpans
from healthsync_mqtt.gateway.server.traffic import Traffic
from healthsync_mqtt.gateway.site import Site
from healthsync_mqtt.gateway.stores.derived_pool import DerivedPool
from healthsync_mqtt.gateway.stores.link_pool import LinkPool
from healthsync_mqtt.gateway.stores.log_pool import LogPool
from healthsync_mqtt.gateway.surface import routers
from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.identity.certificates.server_tls import ServerTls
from healthsync_mqtt.identity.exchange import TokenExchange
from healthsync_mqtt.identity.keys.store import KeyStore, LiveKeys
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.gateway import GATEWAY
from healthsync_mqtt.identity.login.logins import Logins
from healthsync_mqtt.identity.login.newcomers import Newcomers
from healthsync_mqtt.identity.login.tokens import TokenIssuer, TokenVerifier
from healthsync_mqtt.identity.people.opening import turn_at_webhooks
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.insights.file import InsightFile
from healthsync_mqtt.mqtt.gateway_calls import CALL_BYTES
from healthsync_mqtt.mqtt.links.kept_link import KeptLink
from healthsync_mqtt.mqtt.links.port import Address
from healthsync_mqtt.sinks.bridge_part import BridgePart
from healthsync_mqtt.summaries.file import SummaryFile
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.span_export import Collector, SpanExport
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.registry import TopicRegistry

log = get_logger("gateway")

_OWN: Final = (GATEWAY.client_id, "start it with: healthsync up, or: healthsync gateway run")
"""Its credential, and what to do when there is none."""
_REVOCATION_S: Final = 0.25
_KEYS_S: Final = 0.5
_CERTIFICATES_S: Final = 2.0
_MOST_ANSWERS: Final = 67_108_864
"""Bytes of answers that clients have not taken yet."""


class House:
    """Everything of one gateway. ``async with House.open(settings, broker) as house``."""

    def __init__(
        self, settings: Settings, registry: Registry, identities: Registry, broker: Address | None, name: str
    ) -> None:
        """Use ``open``. ``identities`` is the registry to write in: a write that waits keeps no reading waiting.

        ``name`` is the client id at the broker.
        """
        paths, limits = settings.paths, settings.limits
        self.settings = settings
        self.name = name
        #: a part that is to work as long as the gateway does has ended, and is never coming back in this process
        self.failed = asyncio.Event()
        declare(paths.root / "formats")
        self.store = CredentialStore(paths.credentials)
        self.keys = LiveKeys(KeyStore.of_environment(paths.keys), time.time_ns() // 1000)
        self.rules = AccessRules(TopicRegistry.load(settings.topics_file))
        audit = AuditLog.open(paths.audit_db, paths.audit_key)
        self.sessions = PersonSessions(identities, audit, lambda: self.store.need(*_OWN))
        ceremonies = Ceremonies(settings.gateway.public_url, lambda: self.store.need(*_OWN))
        self.passkeys = Passkeys(self.sessions, ceremonies)
        self.organisation = Organisation(settings.gateway, self.sessions, lambda: self.store.need(*_OWN))
        self.ways = SignInWays(passkeys=ceremonies.origin(), organisation=self.organisation.title)
        self.beginnings = Beginnings()
        self.shares = Shares(self.rules, carer=self.sessions.carer)
        self.directory = Directory(registry, agreements=self.shares)
        self.logins = Logins.of(self.directory, TokenVerifier(self.keys), self.store)
        self.newcomers = Newcomers(self.logins)
        self.callers = Callers(
            self.directory,
            self.logins,
            self.newcomers,
            AddressGuard(limits),
            self.keys,
            sessions=self.sessions,
            secret=lambda: self.store.need(*_OWN),
        )
        self.publisher = Publisher(
            _beside(settings, self.store, self.rules.registry, name)
            if broker is None
            else _own_broker(settings, self.store, broker, name),
            most=settings.gateway.in_flight,
            answer_s=settings.gateway.answer_s,
        )
        self.intake = intake.EventIntake(
            rules=self.rules,
            publisher=self.publisher,
            rates=Rates(limits),
            room=Room(settings.gateway.in_flight_bytes, "bodies"),
            most=limits.max_packet - (CALL_BYTES if broker is None else 0),
            still=self.callers.still,
        )
        self.log = LogPool(settings.data)
        self.tail = Tail(self.log)
        self.deliveries = Deliveries(
            book=identities.webhooks,
            directory=self.directory,
            log_pool=self.log,
            shares=self.shares,
            secret=lambda: self.store.need(*_OWN),
            turn=turn_at_webhooks(paths.registry_db) or FileTurn(paths.root / "webhooks.lock"),
            named=settings.gateway.webhook_hosts,
        )
        self.site = Site()
        self.traffic = Traffic()
        self.spans = _spans(settings)
        home = BridgePart.of(settings).home
        self.days = DerivedPool(paths.summaries_db, SummaryFile.read, here=home)
        self.insights = DerivedPool(paths.insights_db, InsightFile.read, here=home)
        self.answers = Answers(Room(_MOST_ANSWERS, "answers"))
        self.reading = LogQuestions(self.log, self.shares, SealedPlaces(self.store.need(*_OWN)))
        self.streams = stream.Streams(self.reading, self.tail, self.callers)
        issuer = TokenIssuer(self.keys)
        self.installation = Installation(settings.data, paths.registry_db, paths.summaries_db, audit, home)
        self.archives = departures.Archives(self.installation)
        self.uploads = Uploads(settings.data, settings.gateway.upload_bytes)
        self.deeds = Deeds(self.sessions, self.callers, settings.data)
        self.desk = TokenDesk(issuer, settings.token.lifetime_s)
        exchange = TokenExchange(identities, issuer, audit, lifetime_s=settings.token.access_s)
        login = _broker_login(settings, self.store, identities) if broker is None else None
        self.enrolment_desk = enrolment.EnrolmentDesk(self.callers, exchange, broker=login)
        self.adapters = LinkPool(settings.data)
        self.provider_hooks = provider_hooks.ProviderHooks(self.adapters, self.callers, self.intake.room)
        self.clouds = cloud_links.Clouds(self.adapters)
        self.link_returns = return_page.LinkReturns(self.adapters, self.sessions, self.callers)
        self.tls = (
            ServerTls(
                paths.certs,
                settings.broker.certificate_hosts,
                registry.certificates,
                settings.broker.tls_minimum,
                time.time(),
            )
            if settings.gateway.tls
            else None
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, broker: Address | None) -> AsyncIterator[Self]:
        """A gateway at work: its registry is followed, its connection to the broker kept.

        ``broker`` is the service's own; None: it is the external one of the settings.
        """
        async with AsyncExitStack() as opened:
            registry = Registry.open(settings.paths.registry_db)
            opened.callback(registry.close)
            identities = Registry.open(settings.paths.registry_db)
            opened.callback(identities.close)
            name = opened.enter_context(own_name(settings, external=broker is None))
            house = cls(settings, registry, identities, broker, name)
            opened.callback(house.newcomers.close)
            opened.callback(house.log.close)
            opened.callback(house.days.close)
            opened.callback(house.insights.close)
            opened.callback(house.adapters.close)
            tasks = [
                asyncio.create_task(work, name=f"gateway.{name}")
                for name, work in (
                    ("publisher", house.publisher.run()),
                    ("tail", house.tail.run()),
                    ("deliveries", house.deliveries.run()),
                    ("uploads", house.uploads.run()),
                    ("registry", _again(_REVOCATION_S, "registry", house.newcomers.read)),
                    ("sessions", _again(_REVOCATION_S, "sessions", house.sessions.follow)),
                    ("tries", _again(_REVOCATION_S, "tries", partial(house.note_tries, identities))),
                    ("erased", _again(_REVOCATION_S, "erased", partial(house.uploads.forget_erased, identities))),
                    ("keys", _again(_KEYS_S, "keys", house.look_at_keys)),
                    ("certificates", _again(_CERTIFICATES_S, "certificates", house.look_at_certificates)),
                )
            ]
            opened.push_async_callback(_ended, tasks)
            if house.spans is not None:
                tasks.append(asyncio.create_task(house.spans.export.run(), name="gateway.spans"))
                opened.push_async_callback(house.spans.export.close)
            for each in tasks:
                each.add_done_callback(house.part_ended)
            yield house

    def application(self) -> ASGIApp:
        """What is served."""
        forwarding = Forwarding(self.settings.gateway) if self.settings.gateway.proxies else None
        return application(self.routers(), Anybody(self.callers), self.traffic, self.spans, forwarding)

    def part_ended(self, part: "asyncio.Task[None]") -> None:
        """One of its tasks is done. Without it others would serve on: with revocations that nobody hears of, say."""
        if not part.cancelled():
            log.error("gateway.part_ended", part=part.get_name(), error=part.exception())
            self.failed.set()

    def routers(self) -> list[APIRouter]:
        """All routes, each with its rule."""
        return routers(self)

    async def note_tries(self, identities: Registry) -> None:
        """Write down how often wrong codes were tried."""
        lobby = self.directory.lobby
        if tries := lobby.tries():
            await asyncio.to_thread(identities.enrolments.note_tries, tries)
            lobby.told(tries)

    async def look_at_keys(self) -> None:
        """Read the signing keys again."""
        await asyncio.to_thread(self.keys.refresh, time.time_ns() // 1000)

    async def look_at_certificates(self) -> None:
        """Use the server's certificate that is on disk now."""
        if self.tls is not None and await asyncio.to_thread(self.tls.upkeep, time.time()):
            self.tls.reload()


def _own_broker(settings: Settings, store: CredentialStore, broker: Address, name: str) -> KeptLink:
    return KeptLink(
        broker,
        client_id=name,
        password=lambda: store.need(name, _OWN[1]),
        in_flight=settings.gateway.in_flight,
        logger="gateway",
    )


def _beside(settings: Settings, store: CredentialStore, topics: TopicRegistry, name: str) -> CallingLink:
    """The connection to the external broker. ConfigError for a topics file that has no channels for it."""
    if not {"gateway_request", "gateway_answer"} <= topics.channels.keys():
        raise ConfigError(
            "the topics file has no channels gateway_request and gateway_answer, over which a gateway works here",
            hint="add both as in the file that ships with the program: healthsync topic list",
        )
    return CallingLink(
        partial(gateway_target, settings, store, name),
        versions=VERSIONS[settings.external.protocol],
        requests=topics.build("gateway_request", client=name),
        answers=topics.build("gateway_answer", client=name),
    )


def _broker_login(settings: Settings, store: CredentialStore, registry: Registry) -> enrolment.BrokerLogin:
    """How a device logs in to the external broker."""
    external = settings.external
    return enrolment.BrokerLogin(
        host=external.host,
        port=external.port,
        tls=external.tls,
        password=(lambda client_id, epoch: store.ensure(client_id, epoch)[0]) if external.provisioned else None,
        epoch=lambda user, device: registry.device(user, device).token_epoch,
    )


def _spans(settings: Settings) -> RequestSpans | None:
    """What makes spans of requests, where there is a collector."""
    if not settings.tracing.endpoint:
        return None
    export = SpanExport(Collector(settings.tracing.endpoint, "healthsync-gateway", __version__))
    return RequestSpans(export, settings.tracing.sample_ratio)


async def _again(seconds: float, what: str, work: Callable[[], Awaitable[None]]) -> None:
    failing = False
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
            failing = False
        except (HealthSyncError, OSError) as error:
            if not failing:
                log.warning("gateway.upkeep_failed", what=what, error=error)
            failing = True


async def _ended(tasks: "list[asyncio.Task[None]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
