"""The front door: every listener, every login, every access decision; amqtt is behind it and meets nobody."""

import asyncio
import time
from collections.abc import Callable, Sequence

from healthsync_mqtt.broker.embedded.admission import Refusal, admission
from healthsync_mqtt.broker.embedded.connection import Connection
from healthsync_mqtt.broker.embedded.limits.addresses import AddressGuard
from healthsync_mqtt.broker.embedded.limits.rates import Rates
from healthsync_mqtt.broker.embedded.listeners import Listeners
from healthsync_mqtt.broker.embedded.ports import Feeder, Ingest, Requests
from healthsync_mqtt.broker.embedded.reading import Hold
from healthsync_mqtt.broker.embedded.router import EmbeddedBroker
from healthsync_mqtt.broker.embedded.sessions.session import Message, Session
from healthsync_mqtt.broker.embedded.sessions.subscribing import Subscribing
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.broker.embedded.sessions.takeovers import Takeovers
from healthsync_mqtt.broker.embedded.wire import Wire
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.errors import HealthSyncError, UnavailableError
from healthsync_mqtt.identity.login.directory import Login
from healthsync_mqtt.identity.login.logins import Logins, Proof
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.mqtt.codec.packets import Connect, ConnectCode, Publish, Will
from healthsync_mqtt.telemetry.counters import Counters
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.topics.access import AccessRules, Decision
from healthsync_mqtt.topics.registry import Channel

log = get_logger("door")

#: Bytes before the length that ``max_packet`` bounds: so a packet of that size fits into one WebSocket message.
_FIXED_HEADER = 5


class FrontDoor:
    """Owns connections and sessions. ``ingest`` takes events, ``feeder`` gives canonical events."""

    def __init__(
        self,
        *,
        limits: LimitSettings,
        rules: AccessRules,
        logins: Logins,
        ingest: Ingest,
        feeder: Feeder,
        requests: Requests,
        sessions: Sessions,
        counters: Counters,
        on_refused: Callable[[str, str], None],
        on_fatal: Callable[[HealthSyncError], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``on_refused`` gets the reason and the address of each refused login.

        ``on_fatal`` is called when routing ended on its own: only a restart can mend that.
        """
        self.limits = limits
        self.rules = rules
        self.ingest = ingest
        self.requests = requests
        self.on_refused = on_refused
        self.on_fatal = on_fatal
        self.sessions = sessions
        self.rates = Rates(limits)
        self._registry = rules.registry
        self._logins = logins
        self._feeder = feeder
        self._counters = counters
        self._clock = clock
        self._guard = AddressGuard(limits)
        self._takeovers = Takeovers(limits.takeovers_per_minute)
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self.listeners = Listeners(self._accept, most=limits.max_packet + _FIXED_HEADER)
        self._stopping = False
        self._refused = ""
        self._embedded = EmbeddedBroker(self.sessions.fan_out, caught_up=self._caught_up, ended=self._router_ended)
        self.subscribing = Subscribing(
            rules=rules,
            limits=limits,
            sessions=self.sessions,
            embedded=self._embedded,
            feeder=feeder,
            counters=counters,
        )

    async def start(self) -> None:
        """Start amqtt and take from it every channel that clients publish to, or that is retained."""
        await self._embedded.start()
        for channel in self._registry:
            if _through_amqtt(channel):
                self._embedded.listen(channel.template.filter)

    async def stop_listening(self) -> None:
        """Accept no more connections and read no more from those that are open."""
        self._stopping = True
        self.listeners.close()
        for connection in self._connections:
            connection.reading.stop(Hold.SHUTDOWN)

    async def stop(self) -> None:
        """Close every connection, then amqtt."""
        for connection in list(self._connections):
            connection.close("shutdown", will=True)
        if self._connections:
            await self._empty.wait()
        await self.listeners.closed()
        await self._embedded.stop()

    # -- for the bridge

    @property
    def connections(self) -> int:
        """Open connections, authenticated or not."""
        return self._guard.total

    def retain(self, topic: str, payload: bytes, qos: int = 1) -> None:
        """A retained message of the bridge."""
        self._embedded.publish(topic, payload, qos, retain=True)

    def revoke(self, client_ids: Sequence[str]) -> None:
        """These identities lost their right: they are gone at once, and so is what a device said of its presence."""
        for client_id in client_ids:
            principal = self.sessions.revoke(client_id)
            if principal is not None and principal.user is not None and principal.device is not None:
                self.retain(self._registry.build("status", user=principal.user, device=principal.device), b"")

    def void(self, lost: Callable[[Login], bool]) -> None:
        """Close the connections whose login is one of the ``lost``; their sessions stay, for a login that is good."""
        for connection in list(self._connections):
            if connection.login is not None and lost(connection.login):
                connection.close("revoked", will=False)

    def expire_sessions(self) -> None:
        """End the sessions whose clients stayed away too long."""
        for client_id in self.sessions.expire(self._clock()):
            self._feeder.forget(client_id)

    # -- for connections

    def judge(self, packet: Connect, wire: Wire) -> Login | Refusal:
        """Decide a CONNECT, before anything of its client id is touched."""
        proof, now = Proof(packet.client_id, packet.username, packet.password, wire.certificate), self._clock()
        verdict = admission(packet, lambda _: self._logins.authenticate(proof, wire.clients, now), self.rules)
        taken = isinstance(verdict, Login) and self.sessions.is_connected(packet.client_id)
        if taken and not self._takeovers.allow(packet.client_id, now):
            log.warning("door.token_cloned", client_id=packet.client_id, peer=wire.peer)
            return Refusal(ConnectCode.SERVER_UNAVAILABLE, "token_cloned", held=True)
        return verdict

    def keep_alive(self, packet: Connect) -> int:
        """Seconds between two signs of life that the client is held to; also one that asks for none."""
        longest = self.limits.max_keep_alive_s
        return min(packet.keep_alive or longest, longest)

    def remaining(self, login: Login) -> float:
        """Seconds until the login's token ends."""
        return max(0.0, login.expires_at - self._clock())

    def failed_login(self, peer: str, reason: str) -> float:
        """Count it; returns how long the answer is held back, in seconds."""
        self._counters.logins_refused += 1
        self.on_refused(reason, peer)
        return self._guard.failed(peer, self._clock())

    def admitted(self, connection: Connection) -> None:
        """A connection is authenticated."""
        self._guard.logged_in(connection.peer)
        self._guard.succeeded(connection.peer)

    def opened(self, session: Session, *, clean: bool) -> None:
        """A session is connected: canonical events go on where it stands."""
        if clean:
            self._feeder.forget(session.client_id)
        if session.position is not None:
            self._feeder.attach(session)

    def gone(self, connection: Connection) -> None:
        """A connection's socket is closed: from now on it counts no more."""
        self._connections.discard(connection)
        self.ingest.leave(connection)
        self._counters.connections_closed += 1
        self._guard.closed(connection.peer, authenticated=connection.login is not None)
        if self._stopping and not self._connections:
            self._empty.set()

    def closed(self, connection: Connection) -> None:
        """A connection has ended: its session may go on elsewhere."""
        session = connection.session
        if session is not None:
            self._feeder.detach(session)
            self.sessions.leave(connection, session, self._clock())

    def route(self, principal: Principal, topic: str, *, retain: bool) -> tuple[Decision, Origin | None]:
        """Decide a PUBLISH; with the origin when the topic is an events topic."""
        decision = self.rules.may_publish(principal, topic, retain=retain)
        if not decision.allowed:
            self._counters.publishes_refused += 1
        channel = decision.channel
        if decision.allowed and channel is not None and channel.ingest:
            parsed = self._registry.parse(topic)
            assert parsed is not None
            return decision, self.ingest.origin(channel, parsed[1], principal, topic)
        return decision, None

    @property
    def behind(self) -> bool:
        """Whether publishers on other topics than events topics should wait for amqtt."""
        return self._embedded.behind

    def publish(self, connection: Connection, channel: Channel | None, packet: Publish) -> None:
        """A client's allowed message on a topic that is not an events topic: a request, or for other clients."""
        topic = packet.topic.decode()
        if channel is not None and channel.answer:
            self._ask(connection, channel, topic, packet.payload)
        else:
            self._embedded.publish(topic, packet.payload, packet.qos, retain=packet.retain)

    def _ask(self, connection: Connection, channel: Channel, topic: str, payload: bytes) -> None:
        """Hand over a request; the answer goes to the connection that asked, and to nobody else."""
        parsed, session, login = self._registry.parse(topic), connection.session, connection.login
        assert parsed is not None
        assert session is not None
        assert login is not None
        name = self._registry.build(channel.answer, **parsed[1])

        def answer(body: bytes) -> None:
            if connection.session is session and session.connected:
                self.sessions.give(session, Message(name.encode(), body, 1))

        if session in self.sessions.index.match(name):
            self.requests.take(channel, login, payload, answer)
        else:
            log.warning("door.request_without_ear", client_id=session.client_id, channel=channel.key)

    def publish_will(self, principal: Principal, will: Will) -> None:
        """Publish a will, if its principal may still set it."""
        if self.rules.may_will(principal, will.topic, retain=will.retain).allowed:
            self._embedded.publish(will.topic, will.payload, will.qos, retain=will.retain)

    def feed_wanted(self) -> None:
        """A session has room for canonical events."""
        self._feeder.wanted()

    def _caught_up(self) -> None:
        for connection in list(self._connections):
            connection.reading.release(Hold.ROUTER)

    def _router_ended(self, cause: BaseException | None) -> None:
        log.error("door.router_ended", error=cause)
        self.on_fatal(UnavailableError("the embedded router ended", hint="restart the service"))

    def _accept(self, wire: Wire) -> Connection | None:
        if self._stopping:  # a TLS handshake that was under way
            return None
        refusal = self._guard.admit(wire.peer)
        if refusal is not None:
            self._counters.refuse_connection(refusal)
            if refusal != self._refused:
                self._refused = refusal
                log.warning("door.connection_limit", limit=refusal, peer=wire.peer)
            return None
        self._refused = ""
        self._counters.connections_opened += 1
        connection = Connection(self, wire)
        self._connections.add(connection)
        return connection


def _through_amqtt(channel: Channel) -> bool:
    """What clients publish to each other, and all that is retained; not the bridge's own streams."""
    return not channel.ingest and (channel.retain or channel.direction.value == "peer")
