"""The edge of the embedded broker: the front door, who may come in, and the jobs that keep that up to date."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from typing import Any, Final

from bridge.edges.changes import ChangeRequests
from bridge.edges.desks import Desks
from bridge.edges.embedded import DoorOutlet, DoorShelf, DoorSource, RefusedMessages
from bridge.edges.requests import TokenRequests
from bridge.follow.canonical import CanonicalFeed
from bridge.ground import Ground
from bridge.jobs.adapters import AdapterProcess
from bridge.jobs.credentials import CertificateWatch, KeyWatch
from bridge.jobs.gateway import GatewayProcess
from bridge.jobs.presence import Presence
from bridge.jobs.refused_logins import RefusedLogins
from bridge.jobs.revocations import Revocations
from bridge.jobs.sightings import Sightings
from bridge.jobs.trace import Traced, Traces
from bridge.pipeline import Pipeline
from bridge.service import Addresses
from healthsync_mqtt.broker.embedded.door import FrontDoor
from healthsync_mqtt.broker.embedded.introductions import Proxies
from healthsync_mqtt.broker.embedded.listeners import cannot_listen
from healthsync_mqtt.broker.embedded.sessions.store import SessionStore
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.config.sections import addresses
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.identity.certificates.demand import Demand
from healthsync_mqtt.identity.certificates.server_tls import ServerTls
from healthsync_mqtt.identity.exchange import TokenExchange
from healthsync_mqtt.identity.keys.store import KeyStore, LiveKeys
from healthsync_mqtt.identity.login.adapters import ADAPTERS
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.gateway import GATEWAY, GATEWAY_IDS, gateway_principal
from healthsync_mqtt.identity.login.logins import Logins
from healthsync_mqtt.identity.login.newcomers import Newcomers
from healthsync_mqtt.identity.login.tokens import TokenIssuer, TokenVerifier
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.report import EdgeReport
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.topics.access import AccessRules

log = get_logger("bridge")

_REVOCATION_S = 0.25
_KEYS_S = 0.5
_CERTIFICATES_S = 2.0
_REFUSALS_S = 5.0
_SIGHTINGS_S = 10.0
_SESSIONS_S = 60.0
_LEAVE_S = 0.5
"""Seconds that a clean stop gives clients to take what was sent to them."""


class EmbeddedEdge:
    """Identities, keys and certificates of a data directory, and the sessions that the door will fill."""

    mode: Final = "embedded"
    withheld: Final = frozenset[str]()

    def __init__(self, base: Ground, identities: Registry, roster: Registry, audit: AuditLog) -> None:
        """Use ``open``."""
        settings, paths = base.settings, base.settings.paths
        self.registry_db = paths.registry_db
        self.owns: Callable[[str], bool] = lambda _user: True
        self.ground = base
        self.identities = identities
        self.keys = LiveKeys(KeyStore.of_environment(paths.keys), base.started_us)
        residents = (GATEWAY, *map(gateway_principal, GATEWAY_IDS), ADAPTERS)
        self.directory = Directory(roster, agreements=base.gate, residents=residents)
        self.declared = self.directory.declared
        self.logins = Logins.of(self.directory, TokenVerifier(self.keys), CredentialStore(paths.credentials))
        self.newcomers = Newcomers(self.logins)
        self.tls = ServerTls(
            paths.certs,
            settings.broker.certificate_hosts,
            identities.certificates,
            settings.broker.tls_minimum,
            time.time(),
        )
        self.rules = AccessRules(base.topics, screens=True)
        self.store = SessionStore.open(paths.sessions_db)
        self.sessions = Sessions(settings.limits, self.rules, self.store)
        over = self.sessions.restore(self.directory.principal, self.directory.has_device)
        self.outlet = DoorOutlet(self.sessions)
        self.follower = CanonicalFeed(
            reader=base.reader,
            head=base.journal.head(),
            registry=base.topics,
            chores=base.chores,
            gate=base.gate,
            sessions=self.sessions,
            over=over,
            traced=None if base.spans is None else base.spans.published,
        )
        self.refused = RefusedLogins(audit, identities)
        self.traces = Traces()
        self.sightings = Sightings(identities)
        self.observers = (self.traces, self.sightings)
        self.requests = TokenRequests(
            TokenExchange(identities, TokenIssuer(self.keys), audit, lifetime_s=settings.token.access_s), self.directory
        )
        self.changes = ChangeRequests(
            open_reader=lambda: open_reader(paths.root), gate=base.gate, principal=self.directory.principal
        )
        self.desks = Desks({
            "token_request": self.requests, "enroll_request": self.requests, "changes_request": self.changes,
        })  # fmt: skip

    @classmethod
    @asynccontextmanager
    async def open(cls, base: Ground) -> AsyncIterator["EmbeddedEdge"]:
        """What the edge needs from the data directory; written and closed on the way out."""
        paths = base.settings.paths
        if base.settings.storage.shared:
            raise ConfigError(
                "storage.shared is for bridges of an external broker: here sessions and registry are one process's",
                hint="set storage.shared = false, or [external] host and run healthsync-bridge on each machine",
            )
        async with AsyncExitStack() as opened:
            identities = Registry.open(paths.registry_db)
            opened.callback(identities.close)
            roster = Registry.open(paths.registry_db)  # of its own: a write that waits must not keep it waiting
            opened.callback(roster.close)
            edge = cls(base, identities, roster, AuditLog.open(paths.audit_db, paths.audit_key))
            opened.callback(edge.store.close)
            opened.callback(edge.newcomers.close)
            opened.push_async_callback(edge.refused.close)
            opened.push_async_callback(edge.sightings.write)
            opened.push_async_callback(edge.requests.drain)
            opened.push_async_callback(edge.changes.close)
            yield edge

    @asynccontextmanager
    async def serve(self, pipeline: Pipeline, status: Callable[[Presence], bytes]) -> AsyncIterator["DoorServing"]:
        """The front door, started, without listeners; its jobs run."""
        del status  # nobody has to say "lost" for a broker that is lost with the bridge
        base = self.ground
        door = FrontDoor(
            limits=base.settings.limits,
            rules=self.rules,
            logins=self.logins,
            ingest=DoorSource(
                pipeline, RefusedMessages(base.topics, base.chores, self.outlet), self.traces.refused_message
            ),
            feeder=self.follower,
            requests=self.desks,
            sessions=self.sessions,
            counters=base.counters,
            newcomers=self.newcomers,
            arrivals=self.sightings,
            room=base.message_room,
            on_refused=self._login_refused,
            on_fatal=base.tasks.fail,
            moved_to=base.settings.broker.moved_to,
            hurried=lambda: pipeline.hurried,
        )
        serving = DoorServing(self, door)
        await door.start()
        try:
            serving.start()
            yield serving
        finally:
            await serving.leave()

    def _login_refused(self, reason: str, peer: str, claimed: str) -> None:
        self.refused.note(reason, peer, claimed)
        self.traces.refused_login(reason, peer, claimed)


class DoorServing:
    """The front door at work."""

    def __init__(self, edge: EmbeddedEdge, door: FrontDoor) -> None:
        self._edge = edge
        self.door = door
        self.shelf = DoorShelf(edge.sessions, lambda topic, payload, then: door.retain(topic, payload, then=then))
        self.keys = KeyWatch(edge.keys, door.void)
        self.certificates = CertificateWatch(edge.tls)
        self.revocations = Revocations(edge.directory, edge.newcomers, door, self._consents_read)
        settings = edge.ground.settings
        self.gateway = None
        if settings.gateway.port is not None:
            CredentialStore(settings.paths.credentials).ensure(GATEWAY.client_id)
            self.gateway = GatewayProcess(settings.data, settings.gateway)
        credentials = CredentialStore(settings.paths.credentials)
        self.adapters = AdapterProcess(
            settings.data, settings.paths.adapters_db, prepare=lambda: credentials.ensure(ADAPTERS.client_id)
        )
        self._left = False

    def start(self) -> None:
        """Start the jobs."""
        tasks, edge = self._edge.ground.tasks, self._edge
        tasks.every("revocations", _REVOCATION_S, self.revocations.look)
        tasks.every("tries", _REVOCATION_S, self._tries)
        tasks.every("keys", _KEYS_S, self.keys.look)
        tasks.every("certificates", _CERTIFICATES_S, self.certificates.look)
        tasks.every("refusals", _REFUSALS_S, edge.refused.write)
        tasks.every("sightings", _SIGHTINGS_S, edge.sightings.write)
        tasks.every("sessions", _SESSIONS_S, self._sessions)

    async def listen(self) -> Addresses:
        """Open the listeners. UnavailableError when a port is taken."""
        broker, tls, listeners = self._edge.ground.settings.broker, self._edge.tls, self.door.listeners
        proxies = Proxies(broker.proxies)
        try:
            mqtt = await listeners.open(addresses(broker.host), broker.mqtt_port, tls=None)
            clients = Demand(broker.mqtts_clients)
            mqtts = await listeners.open(
                addresses(broker.mqtts_host),
                broker.mqtts_port,
                tls=tls.context(clients),
                clients=clients,
                proxies=proxies,
            )
            clients, origins = Demand(broker.wss_clients), broker.allowed_origins
            wss = await listeners.open(
                addresses(broker.wss_host),
                broker.wss_port,
                tls=tls.context(clients),
                clients=clients,
                origins=origins,
                proxies=proxies,
            )
            http = [] if self.gateway is None else await self.gateway.open()
        except OSError as error:
            free = "--mqtt-port 0 --mqtts-port 0 --wss-port 0" + ("" if self.gateway is None else " --http-port 0")
            hint = f"stop what listens there, or take free ports: the same command with {free}"
            raise cannot_listen(error, hint) from error
        listeners_of = {"mqtt": mqtt, "mqtts": mqtts, "wss": wss} | ({"http": http} if http else {})
        if self.gateway is not None:
            self._edge.ground.tasks.start("gateway", self.gateway.run(str(mqtt[0].here)))
            await self.gateway.served()
        self._edge.ground.tasks.start("adapters", self.adapters.run(str(mqtt[0].here)))
        return Addresses(
            mqtt=str(mqtt[0].here),
            mqtts=str(mqtts[0].here),
            wss=str(wss[0].here),
            http="" if self.gateway is None else self.gateway.url(http[0].here),
            bound={name: tuple(map(str, found)) for name, found in listeners_of.items()},
            ca_file=str(tls.paths.ca_cert),
        )

    def announce(self, status: bytes) -> None:
        """Retained on the bridge's status topic."""
        self.door.retain(self._edge.ground.status_topic, status)

    async def quiet(self) -> None:
        """Accept and read no more; the gateway and the adapters end first, with what they wait for."""
        await self._edge.ground.tasks.end("adapters")
        if self.gateway is not None:
            await self._edge.ground.tasks.end("gateway")
            self.gateway.close()
        await self.door.stop_listening()

    async def leave(self) -> None:
        """End every connection; a client that does not take what was sent to it is not waited for."""
        if self._left:
            return
        self._left = True
        try:
            async with asyncio.timeout(_LEAVE_S):
                await self.door.stop()
        except TimeoutError:
            log.warning("bridge.clients_not_gone", connections=self.door.connections)

    async def heed(self) -> None:
        """What is looked at four times a second is looked at now."""
        await self.revocations.look()

    async def reload(self, settings: Settings) -> None:
        """What is looked at every few seconds is looked at now; and clients hear where else they are to go."""
        self.door.move(settings.broker.moved_to)
        await self.certificates.look()
        await self.keys.look()

    async def erase(self, user: str, clients: tuple[str, ...]) -> None:
        """Nothing of a person waits, is retained or is in the file of sessions when this returns; "": only the last."""
        gone = asyncio.Event()
        await self.heed()  # whoever asks for consent from now on hears that there is none
        self.door.revoke(clients)
        owner = f"users/{user}"
        about = (lambda topic: self._edge.rules.owner(topic) == owner) if user else (lambda _topic: False)
        self._edge.sessions.erase(user, about, gone.set)
        await gone.wait()

    def report(self) -> EdgeReport:
        """The door's figures."""
        return EdgeReport(
            connected=True,
            connections=self._edge.sessions.connected,
            crowd=self.door.crowd(),
            sessions={
                "written": self._edge.store.healthy,
                "dropped_messages": self._edge.sessions.dropped,
                "router_restarts": self.door.router_restarts(),
            },
            limited=[asdict(each) for each in self.door.limited()],
            certificates=asdict(self._edge.tls.expiry),
            gateway=None if self.gateway is None else self.gateway.report(),
        )

    def clients(self) -> list[dict[str, str]]:
        """Who is connected: client id, role, address, version of MQTT, since when."""
        return self.door.clients()

    def messages_refused(self) -> dict[str, list[dict[str, object]]]:
        """The newest messages that went nowhere, by who sent them: when, why, and on which topic."""
        return self.door.refusals.report()

    def places(self) -> list[dict[str, Any]]:
        """How far subscribers and shared groups are, as JSON values."""
        return [each._asdict() for each in self._edge.follower.places()]

    async def rewind(self, client_id: str, seq: int | None) -> int:
        """See ``CanonicalFeed.rewind``."""
        return await self._edge.follower.rewind(client_id, seq)

    def is_fed(self, client_id: str) -> bool:
        """Whether a client is connected and has a filter of its own that brings it events."""
        session = self._edge.sessions.session(client_id)
        return session is not None and self.is_connected(client_id) and self.door.subscription_requests.feeds(session)

    def is_connected(self, client_id: str) -> bool:
        """Whether a client has an open connection."""
        return self._edge.sessions.is_connected(client_id)

    async def noted(self) -> None:
        """Write down now who was here."""
        await self._edge.sightings.write()

    async def turned_away(self) -> list[dict[str, Any]]:
        """Who came to the door lately and never said who they are; what is known of refused logins is written down."""
        await self._edge.refused.write()
        return [asdict(each) for each in self.door.visitors.strangers.newest()]

    def trace(self, who: Traced, after: int | None) -> dict[str, Any]:
        """See ``Traces.look``."""
        connection = next((each for each in self.clients() if each["client_id"] == who.client_id), None)
        return self._edge.traces.look(who, after, connection)

    def kick(self, client_id: str) -> bool:
        """Close the connection of a client; whether there was one."""
        return self.door.kick(client_id)

    def _consents_read(self) -> None:
        self._edge.follower.narrowed(self._edge.ground.gate.changed())

    async def _tries(self) -> None:
        lobby = self._edge.directory.lobby
        if tries := lobby.tries():
            await asyncio.to_thread(self._edge.identities.enrolments.note_tries, tries)
            lobby.told(tries)

    async def _sessions(self) -> None:
        self.door.expire_sessions()
        edge = self._edge
        session_s = edge.ground.settings.limits.session_expiry_s
        edge.follower.drop_abandoned(
            lambda client_id: edge.directory.principal(client_id) is not None,
            edge.ground.calendar.now_us() - int(session_s * 1e6),
        )
