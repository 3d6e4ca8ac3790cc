"""The edge of an external broker: one connection to it, consent from the registry, canonical events through it."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from bridge.edges.changes import refusal
from bridge.edges.connections import Connections
from bridge.edges.embedded import RefusedMessages
from bridge.edges.external import LinkOutlet, LinkShelf, LongAllowance, Origins
from bridge.follow.abandoned_cursors import living
from bridge.follow.canonical_external import CanonicalPublisher
from bridge.ground import Ground
from bridge.jobs.consent_watch import ConsentWatch
from bridge.jobs.gateway import GatewayProcess
from bridge.jobs.presence import Presence
from bridge.pipeline import Pipeline
from bridge.service import Addresses
from healthsync_mqtt.broker.embedded.listeners import cannot_listen
from healthsync_mqtt.broker.embedded.ports import RefusedNotice
from healthsync_mqtt.broker.external.access import NO_CREDENTIAL, expect_all_here, external_tls
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.login.gateway import GATEWAY
from healthsync_mqtt.model.catalogue import GUARDED
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.receipt import TOPIC_SHOWN
from healthsync_mqtt.model.report import EdgeReport
from healthsync_mqtt.model.shard import Shard
from healthsync_mqtt.mqtt.codec.packets import Publish
from healthsync_mqtt.sinks.bridge_part import BridgePart

_NO_CHANGES: Final = UnavailableError("behind an external broker this is not answered: follow the canonical topics")


class ExternalEdge:
    """What the bridge keeps across its connections."""

    mode: Final = "external"

    def __init__(self, base: Ground, consent: ConsentWatch) -> None:
        """Use ``open``."""
        self.ground = base
        self.consent = consent
        external = base.settings.external
        self.registry_db = external.registry_file or base.settings.paths.registry_db
        self.withheld = frozenset[str]() if external.guarded else GUARDED
        self.owns = BridgePart.of(base.settings).shard.owns
        self.declared = consent.declared
        self.outlet = LinkOutlet()
        self.observers = ()
        self.follower = CanonicalPublisher(
            bridge_id=base.settings.bridge.id,
            reader=base.reader,
            head=base.journal.head(),
            registry=base.topics,
            chores=base.chores,
            gate=base.gate,
            counters=base.counters,
            guarded=external.guarded,
            shared=base.settings.storage.shared,
            places=living(
                base.reader,
                consent.subscribers(),
                since_us=base.calendar.now_us() - int(base.settings.limits.session_expiry_s * 1e6),
            ),
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, base: Ground) -> AsyncIterator["ExternalEdge"]:
        """ConfigError when the broker would be spoken to in the clear over a network, or the gateway cannot serve."""
        external = base.settings.external
        external_tls(external)
        if base.settings.gateway.port is not None:
            expect_all_here(base.settings)
        consent = ConsentWatch(
            external.registry_file or base.settings.paths.registry_db,
            base.gate,
            only_registered=external.devices == "registered",
        )
        try:
            yield cls(base, consent)
        finally:
            consent.close()

    @asynccontextmanager
    async def serve(self, pipeline: Pipeline, status: Callable[[Presence], bytes]) -> AsyncIterator["LinkServing"]:
        """Connections, from now on."""
        base, external = self.ground, self.ground.settings.external
        shelf = LinkShelf()
        connections = Connections(
            base.settings,
            base.topics,
            pipeline,
            base.counters,
            origins=Origins(
                base.topics,
                Shard.parse(external.shard),
                base.status_topic,
                self._heard(shelf),
                {"changes_request": self._refuse_changes},
            ),
            long=self._long(),
            outlet=self.outlet,
            users=(shelf.connected, self.follower.connected) if external.canonical else (shelf.connected,),
            status_topic=base.status_topic,
            online=lambda: status(Presence.online),
            lost=lambda: status(Presence.lost),
        )
        base.tasks.start("connections", connections.run())
        base.tasks.every("consent", self.consent.pause_s, self.consent.look)
        yield LinkServing(self, connections, shelf)

    def _heard(self, shelf: LinkShelf) -> dict[str, Callable[[Publish], None]]:
        topics = self.ground.topics
        return {topics.build("homeassistant_status"): shelf.hear} if "homeassistant_status" in topics.channels else {}

    def _refuse_changes(self, client: str, payload: bytes) -> None:
        """What a client may read is known to the broker alone here."""
        self.outlet.send(self.ground.topics.build("changes_response", client=client), refusal(payload, _NO_CHANGES))

    def _long(self) -> LongAllowance:
        base = self.ground
        room, most = base.message_room, base.settings.limits.app_message
        told = RefusedMessages(base.topics, base.chores, self.outlet)

        def longest(user: str, device: str) -> int:
            return room.longest(self.declared(user, device).longest or most)

        def refused(origin: Origin, size: int, limit: int) -> None:
            base.counters.refuse_publish("packet_too_large")
            if origin.device is not None:
                topic = origin.topic[:TOPIC_SHOWN]
                said = f"{topic}: a packet of {size} bytes; send at most {limit} bytes in a packet"
                told.add(origin.user, origin.device, RefusedNotice("packet_too_large", topic, said, limit))

        return LongAllowance(room, longest, refused)


class LinkServing:
    """An external broker at work."""

    def __init__(self, edge: ExternalEdge, connections: Connections, shelf: LinkShelf) -> None:
        self._edge = edge
        self.shelf = shelf
        self.connections = connections
        settings = edge.ground.settings
        self.gateway = None if settings.gateway.port is None else GatewayProcess(settings.data, settings.gateway)

    async def listen(self) -> Addresses:
        """Return when the broker has been connected with, and may be trusted, for the first time.

        The gateway serves then. UnavailableError when its port is taken.
        """
        await self.connections.ready.wait()
        base, gateway = self._edge.ground, self.gateway
        external = base.settings.external
        mqtts, ca_file = f"{external.host}:{external.port}", os.fspath(external.ca_file or "")
        if gateway is None:
            return Addresses(mqtts=mqtts, ca_file=ca_file)
        CredentialStore(base.settings.paths.credentials).need(GATEWAY.client_id, NO_CREDENTIAL)
        try:
            http = await gateway.open()
        except OSError as error:
            raise cannot_listen(error, "set gateway.port to a free port") from error
        base.tasks.start("gateway", gateway.run(None))
        await gateway.served()
        bound = {"http": tuple(map(str, http))}
        return Addresses(mqtts=mqtts, http=gateway.url(http[0].here), bound=bound, ca_file=ca_file)

    def announce(self, status: bytes) -> None:
        """Retained on the bridge's status topic."""
        self.connections.announce(status)

    async def quiet(self) -> None:
        """Read no more; the gateway ends first, with what it waits for."""
        if self.gateway is not None:
            await self._edge.ground.tasks.end("gateway")
            self.gateway.close()
        self.connections.pause()

    async def leave(self) -> None:
        """Say goodbye."""
        await self.connections.close()

    async def heed(self) -> None:
        """What is looked at four times a second is looked at now."""
        await self._edge.consent.look()

    async def erase(self, user: str, clients: tuple[str, ...]) -> None:  # noqa: ARG002
        """The access hooks throw the person's clients out; what the broker keeps of them is its own."""
        await self.heed()

    async def reload(self, settings: Settings) -> None:
        """Credentials and the CA are read at each connection anyway."""

    def report(self) -> EdgeReport:
        """Whether the broker is there."""
        connections = self.connections
        return EdgeReport(
            connected=connections.connected,
            connections=int(connections.link is not None),
            gateway=None if self.gateway is None else self.gateway.report(),
        )
