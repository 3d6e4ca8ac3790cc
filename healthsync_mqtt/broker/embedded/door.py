# long: one class that wires the rooms of the door and has each verb in a few lines; the work is in the modules it calls
"""The front door: every listener, every login, every access decision; amqtt is behind it and meets nobody."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial

from healthsync_mqtt.broker.embedded.actions import Events, Refuse, Relay
from healthsync_mqtt.broker.embedded.admission import Refusal, admission, named
from healthsync_mqtt.broker.embedded.backpressure import Hold
from healthsync_mqtt.broker.embedded.connection import SKIP, Connection
from healthsync_mqtt.broker.embedded.dialect import JSON, forwarded
from healthsync_mqtt.broker.embedded.limits.addresses import AddressGuard, Knock, network
from healthsync_mqtt.broker.embedded.limits.descriptors import connections_at_most
from healthsync_mqtt.broker.embedded.limits.rates import Limited, Rates
from healthsync_mqtt.broker.embedded.listeners import Listeners
from healthsync_mqtt.broker.embedded.ports import (
    Arrivals,
    Client,
    Entry,
    Feeder,
    Ingest,
    Later,
    LongRight,
    RefusedNotice,
    RenewedEntry,
    Requests,
)
from healthsync_mqtt.broker.embedded.refusals import Refusals
from healthsync_mqtt.broker.embedded.rests import Rests
from healthsync_mqtt.broker.embedded.router import EmbeddedBroker
from healthsync_mqtt.broker.embedded.sessions.port import KeptWill
from healthsync_mqtt.broker.embedded.sessions.session import Message, Session
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.broker.embedded.sessions.takeovers import Takeovers
from healthsync_mqtt.broker.embedded.subscription_requests import SubscriptionRequests
from healthsync_mqtt.broker.embedded.tls_failures import tls_failure
from healthsync_mqtt.broker.embedded.turns import Turns
from healthsync_mqtt.broker.embedded.visitors import Visitors
from healthsync_mqtt.broker.embedded.welcome import expiry_of, welcome
from healthsync_mqtt.broker.embedded.wills import DelayedWills
from healthsync_mqtt.broker.embedded.wire import Tongue, Wire
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.errors import HealthSyncError, TokenError, UnavailableError
from healthsync_mqtt.formats.catalogue import ROOTS
from healthsync_mqtt.identity.login.logins import Logins
from healthsync_mqtt.identity.login.newcomers import Newcomers
from healthsync_mqtt.identity.login.proof import CrowdedError, Login, PerhapsNewError, Proof, UnprovedError
from healthsync_mqtt.model.delivery import OWN_FORM
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.model.receipt import TOPIC_SHOWN
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.mqtt.codec.packets import (
    Connect,
    ConnectCode,
    Properties,
    Property,
    Publish,
    Skipped,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
    version_of,
)
from healthsync_mqtt.mqtt.codec.v5 import ReasonCode
from healthsync_mqtt.mqtt.message_room import MessageRoom
from healthsync_mqtt.mqtt.replies import DONE, TOO_MANY_REQUESTS, Said, without_ear
from healthsync_mqtt.telemetry.counters import Counters
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.topics.access import AccessDecision, AccessGround, AccessRules
from healthsync_mqtt.topics.registry import Channel

log = get_logger("door")

#: Bytes before the length that ``max_packet`` bounds: so a packet of that size fits into one WebSocket message.
_FIXED_HEADER = 5
#: The part of all connections that there can be at which that is said.
_NEARLY = 0.9


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
        newcomers: Newcomers,
        arrivals: Arrivals,
        room: MessageRoom,
        on_refused: Callable[[str, str, str], None],
        on_fatal: Callable[[HealthSyncError], None],
        moved_to: str = "",
        hurried: Callable[[], bool] = lambda: False,
        rests: Rests | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``on_refused`` gets reason and address of each refused login, and whose it was to be.

        ``room`` is what messages over the limit of a packet take, of clients that may send some.

        ``moved_to`` is where clients are sent instead of being let in; "": they are let in.

        ``hurried`` says whether a commit takes several rounds of the loop to prepare: clients get less of each then.

        ``rests`` are the loop's, where it is not asyncio's own.

        ``on_fatal`` is called when routing ended on its own: only a restart can mend that.
        """
        self.limits = limits
        self.rules = rules
        self.ingest = ingest
        self.requests = requests
        self._arrivals = arrivals
        self._room = room
        self.on_refused = on_refused
        self.on_fatal = on_fatal
        self.sessions = sessions
        self.rates = Rates(limits)
        self._registry = rules.registry
        self._logins = logins
        self._newcomers = newcomers
        self._feeder = feeder
        self._counters = counters
        self._clock = clock
        self.refusals = Refusals()
        self.visitors = Visitors(counters, clock)
        rests = rests or Rests()
        self._turns = Turns(after_rest=rests.after_next, hurried=hurried)
        self._guard = AddressGuard(limits, most=connections_at_most())
        self._wills = DelayedWills(sessions.keep, self._publish_will)
        self._takeovers = Takeovers(limits.takeovers_per_minute)
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self.listeners = Listeners(self._accept, self, rests, most=limits.max_packet * SKIP + _FIXED_HEADER)
        self._stopping = False
        self._moved_to = moved_to
        self._embedded = EmbeddedBroker(self.sessions.routed, caught_up=self._caught_up, ended=self._router_ended)
        self.subscription_requests = SubscriptionRequests(
            rules=rules,
            limits=limits,
            sessions=self.sessions,
            embedded=self._embedded,
            feeder=feeder,
            counters=counters,
        )

    async def start(self) -> None:
        """Start amqtt and take from it every channel that clients publish to, or that is retained."""
        await self._embedded.start([channel.template.filter for channel in self._registry if _through_amqtt(channel)])
        self._wills.resume(self.sessions.left_wills())

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
        self._wills.stop()
        if self._connections:
            await self._empty.wait()
        await self.listeners.closed()
        await self._embedded.stop()

    # -- for the bridge

    @property
    def connections(self) -> int:
        """Open connections, authenticated or not."""
        return self._guard.total

    def limited(self) -> list[Limited]:
        """Who was slowed down within about the last minute: by the rate of messages, or by the work they ask for."""
        busy: dict[tuple[str, str], Limited] = {}
        for client in self._turns.busy(self._connections):
            kind, name = ("address", client.peer) if client.login is None else ("client", client.name)
            busy[kind, name] = Limited(kind=kind, name=name, wait_s=0.0, by="work")
        return self.rates.limited() + [busy[key] for key in sorted(busy)]

    def retain(self, topic: str, payload: bytes, qos: int = 1, *, then: Callable[[], None] | None = None) -> None:
        """A retained message of the bridge; ``then`` is called when it has been handed to who listens."""
        self._embedded.publish(topic, payload, qos, retain=True, then=then)

    def revoke(self, client_ids: Sequence[str]) -> None:
        """These identities lost their right: they are gone at once, and so is what a device said of its presence."""
        for client_id in client_ids:
            principal = self.sessions.revoke(client_id)
            self._wills.cancel(client_id)
            self._feeder.forget(client_id)
            if principal is not None and principal.user is not None and principal.device is not None:
                self.retain(self._registry.build("status", user=principal.user, device=principal.device), b"")

    def amend(self, principal: Principal) -> None:
        """An identity may do something else than before: it has to come again, to the session that it has."""
        self.sessions.amend(principal)

    def clients(self) -> list[dict[str, str]]:
        """Who is connected, longest first: client id, role, address, version of MQTT, since when."""
        found = [(each, each.login.principal) for each in self._connections if each.login is not None]
        return [
            {
                "client_id": who.client_id,
                "role": who.role.value,
                "address": connection.peer,
                "protocol": version_of(connection.level),
                "connected_at": iso(connection.opened_us),
            }
            for connection, who in sorted(found, key=lambda each: each[0].opened_us)
        ]

    def kick(self, client_id: str) -> bool:
        """Close the connection of a client, which may come back; whether there was one."""
        found = [
            each for each in self._connections if each.login is not None and each.login.principal.client_id == client_id
        ]
        for connection in found:
            connection.close("kicked", will=True)
        return bool(found)

    def move(self, where: str) -> None:
        """From now on clients are sent there, those that are connected too; "": who comes is let in."""
        self._moved_to = where
        if where:
            for connection in list(self._connections):
                if connection.login is not None:
                    connection.close("moved", will=True, to=where)

    def void(self, lost: Callable[[Login], bool]) -> None:
        """Close the connections whose login is one of the ``lost``; their sessions stay, for a login that is good."""
        for connection in list(self._connections):
            if connection.login is not None and lost(connection.login):
                connection.close("revoked", will=False)

    def expire_sessions(self) -> None:
        """End the sessions whose clients stayed away too long."""
        for client_id in self.sessions.expire(self.sessions.now()):
            self._feeder.forget(client_id)
            self._wills.release(client_id)

    # -- the verbs of connections (``ports.Door``)

    def enter(self, client: Client, asked: Connect, *, last: bool = False) -> Entry | Refusal | Later:
        """Decide a CONNECT, before anything of its client id is touched; then open its session."""
        said, asked = asked, named(asked)
        verdict = self._judge(client, asked)
        if isinstance(verdict, Refusal):
            if verdict.perhaps_new and not last:
                return Later(self._newcomers.reading())
            if verdict.unproved:
                return Later(self._newcomers.proving(), last=last)
            if verdict.busy:
                return verdict
            self.on_refused(verdict.reason, client.peer, self._logins.meant(asked.client_id, asked.username))
            if not verdict.held:
                return verdict
            self._counters.logins_refused += 1
            if client.knock is not None and (too_many := self._guard.refused(client.knock)) is not None:
                too_many.leave()
            return verdict._replace(wait_s=self._guard.failed(client.peer, asked.client_id, time.monotonic()))
        if client.knock is not None:
            self._guard.logged_in(client.knock)
        self._guard.succeeded(client.peer, asked.client_id)
        self._arrivals.entered(asked.client_id, client.peer, asked.protocol_level)
        principal = verdict.principal
        once = principal.role is Role.enroll  # what it gets is for this connection only
        clean, expiry_s = asked.clean_session or once, 0.0 if once else expiry_of(asked)
        if self.sessions.lapsed(asked.client_id) or clean:
            self._feeder.forget(asked.client_id)
        session, present = self.sessions.open(client, principal, clean=clean, expiry_s=expiry_s, dialect=client.dialect)
        if present:
            self._wills.cancel(session.client_id)
            self.subscription_requests.resume(session)
        else:
            self._wills.release(session.client_id)
        longest = self.limits.max_keep_alive_s
        keep_alive_s = min(asked.keep_alive or longest, longest)  # also for a client that asks for none
        return Entry(
            login=verdict,
            session=session,
            present=present,
            route=partial(self._route, principal),
            gate=self.rates.gate(principal),
            keep_alive_s=keep_alive_s,
            token_s=max(0.0, verdict.expires_at - self._clock()),
            behind=partial(self.ingest.hold, user=principal.user),
            about=welcome(
                said,
                principal=principal,
                limits=self.limits,
                registry=self._registry,
                keep_alive_s=keep_alive_s,
                expiry_s=session.expiry_s,
                longest=self._longest(principal),
            ),
            long=self._long(principal),
        )

    def renew(self, client: Client, secret: bytes, *, last: bool = False) -> RenewedEntry | Refusal | Later:
        """Decide new credentials of a client that is connected: they have to be its own, and as good as at a login."""
        assert client.login is not None
        assert client.session is not None
        before, now = client.login.principal, self._clock()
        proof = Proof(before.client_id, before.client_id, secret, client.certificate, network(client.peer))
        try:
            login = self._logins.authenticate(proof, client.clients, now)
        except TokenError as error:
            if isinstance(error, PerhapsNewError) and not last:
                return Later(self._newcomers.reading())
            if isinstance(error, UnprovedError):
                return Later(self._newcomers.proving(), last=last)
            if isinstance(error, CrowdedError):
                return Refusal(ConnectCode.SERVER_UNAVAILABLE, error.detail)
            return self._not_renewed(client, error.detail)
        if login.principal.role is not before.role:
            return self._not_renewed(client, "the new token is for another role")
        self.sessions.renewed(client.session, login.principal)
        route = partial(self._route, login.principal)
        return RenewedEntry(login=login, route=route, token_s=max(0.0, login.expires_at - now))

    def _not_renewed(self, client: Client, reason: str) -> Refusal:
        assert client.login is not None
        client_id = client.login.principal.client_id
        self._counters.logins_refused += 1
        self.on_refused(reason, client.peer, client_id)
        self._guard.failed(client.peer, client_id, time.monotonic())
        return Refusal(ConnectCode.NOT_AUTHORIZED, reason, held=True)

    def take(self, client: Client, what: Events | Relay | Refuse) -> Hold:
        """Carry on what a client publishes; why it should be read no further for now."""
        match what:
            case Events():
                return Hold.JOURNAL if self.ingest.submit(what.deliveries) else Hold.NONE
            case Relay():
                self._relay(client, what)
                return Hold.ROUTER if self._embedded.behind else Hold.NONE
            case Refuse():
                self._refuse(client, what)
                return Hold.NONE

    def listen(
        self, session: Session, asked: Subscribe | Unsubscribe, answer: Callable[[Suback | Unsuback], None]
    ) -> None:
        """Add or take away filters."""
        self.subscription_requests.listen(session, asked, answer)

    def leave(self, client: Client, will: Will | None) -> None:
        """A connection has ended: its session may go on elsewhere."""
        session = client.session
        if session is not None:
            self._feeder.detach(session)
            self.sessions.leave(client, session, self.sessions.now())
            if session.persistent and not self.sessions.has(session.client_id):
                self._feeder.forget(session.client_id)  # its client has ended it: the next one begins anew
        if client.login is not None:
            self._arrivals.left(client.login.principal.client_id)
        if will is not None and client.login is not None:
            delay_s = 0.0 if session is None else min(will.properties.get(Property.WILL_DELAY, 0), session.expiry_s)
            about, lives_s = forwarded(will.properties), will.properties.get(Property.MESSAGE_EXPIRY)
            principal, due = client.login.principal, self.sessions.now() + delay_s
            self._wills.hold(KeptWill(principal, due, will.topic, will.payload, will.qos, will.retain, about, lives_s))

    def left(self, client: Client) -> None:
        """A connection's socket is closed."""
        self._connections.discard(client)
        self.ingest.leave(client)
        self._counters.connections_closed += 1
        if self._stopping and not self._connections:
            self._empty.set()

    # -- the threshold of the listeners (``listeners.Threshold``)

    def knock(self, peer: str, leave: Callable[[], None]) -> Knock | None:
        """Count a new connection, before any handshake; where a table is full, who has shown nothing makes room."""
        if self._stopping:
            return None
        guard = self._guard
        verdict = guard.admit(peer, leave)
        if verdict.limit:
            self._counters.refuse_connection(verdict.limit)
            self.visitors.turned_away(verdict.limit, peer)
            who = "newcomer" if verdict.knock is None else "oldest"
            self.visitors.warn("door.connection_limit", verdict.limit, limit=verdict.limit, peer=peer, closed=who)
        if verdict.makes_room is not None:
            verdict.makes_room.leave()
        if guard.total >= _NEARLY * guard.most:
            self.visitors.warn("door.nearly_full", "", connections=guard.total, most=guard.most)
        return verdict.knock

    def failed(self, peer: str, error: Exception) -> None:
        """A TLS handshake failed: what the client did, as far as its bytes say so."""
        kind = tls_failure(error)
        self._counters.fail_tls(kind)
        self.visitors.turned_away(f"tls_{kind}", peer)
        reason = str(getattr(error, "reason", "") or type(error).__name__)
        self.visitors.warn("door.tls_failed", f"{network(peer)} {kind}", peer=peer, kind=kind.value, reason=reason)

    def crowded(self, peer: str) -> None:
        """A TLS handshake made room for another."""
        self._counters.refuse_connection("handshakes")
        self.visitors.turned_away("handshakes", peer)
        self.visitors.warn("door.connection_limit", "handshakes", limit="handshakes", peer=peer, closed="oldest")

    def foreign(self, peer: str) -> None:
        """A browser's page was refused for its origin."""
        self._counters.refuse_connection("origin")
        self.visitors.turned_away("origin", peer)
        hint = "name the page's origin in broker.allowed_origins"
        self.visitors.warn("door.origin_refused", network(peer), peer=peer, hint=hint)

    def stray(self, peer: str) -> None:
        """MQTT came to the WebSocket port."""
        self.visitors.turned_away(Tongue.mqtt_on_websocket_port, peer)
        self.visitors.warn("door.wrong_port", network(peer), peer=peer, reason=Tongue.mqtt_on_websocket_port.value)

    def nameless(self, peer: str) -> None:
        """A trusted proxy did not say whose its connection is."""
        self._counters.refuse_connection("proxy_header")
        self.visitors.turned_away("proxy_header", peer)
        self.visitors.warn("door.proxy_header", peer, peer=peer, hint="let it send the PROXY protocol")

    def gone(self, knock: Knock) -> None:
        """A connection is closed: from now on it counts no more."""
        self._guard.closed(knock)

    def exhausted(self, error: OSError) -> None:
        """The system has no descriptor for a connection."""
        self._counters.refuse_connection("max_connections")
        self.visitors.warn("door.descriptors_exhausted", "", error=error.strerror, hint="raise the limit of open files")

    def router_restarts(self) -> int:
        """How often routing had to begin anew."""
        return self._embedded.restarts

    def crowd(self) -> dict[str, int]:
        """How full the tables of connections are."""
        guard = self._guard
        return {"open": guard.total, "most": guard.most, "not_logged_in": guard.waiting, "refusals_held": guard.held}

    # -- inside

    def _judge(self, client: Client, asked: Connect) -> Login | Refusal:
        address, now = network(client.peer), self._clock()
        proof = Proof(asked.client_id, asked.username, asked.password, client.certificate, address)
        verdict = admission(asked, lambda _: self._logins.authenticate(proof, client.clients, now), self.rules)
        taken = isinstance(verdict, Login) and self.sessions.is_connected(asked.client_id)
        if taken and not self._takeovers.allow(asked.client_id, now):
            self.visitors.warn("door.token_cloned", asked.client_id, client_id=asked.client_id, peer=client.peer)
            advice = "this client id takes its own connection over too often: its token is in two places"
            return Refusal(
                ConnectCode.SERVER_UNAVAILABLE, "token_cloned", held=True, five=ReasonCode.QUOTA_EXCEEDED, advice=advice
            )
        if self._moved_to and isinstance(verdict, Login):
            five, advice = ReasonCode.SERVER_MOVED, "this installation is served elsewhere now"
            return Refusal(ConnectCode.SERVER_UNAVAILABLE, "moved", five=five, advice=advice, to=self._moved_to)
        return verdict

    def _route(self, principal: Principal, topic: str, retain: bool) -> tuple[AccessDecision, Origin | None, str]:  # noqa: FBT001
        """Decide a PUBLISH; where it is for the journal, with its origin and its format. RETAIN means nothing there."""
        decision = self.rules.may_publish(principal, topic, retain=retain)
        if not decision.allowed and principal.formats and (declared := self._declared(principal, topic)) is not None:
            topic, decision = declared, self.rules.may_publish(principal, declared, retain=retain)
        channel = decision.channel
        if decision.reason is AccessGround.retain and channel is not None and channel.ingest:
            decision = self.rules.may_publish(principal, topic)
        if decision.allowed and channel is not None and channel.ingest:
            parsed = self._registry.parse(topic)
            assert parsed is not None
            form = parsed[1].get("format", OWN_FORM)
            return decision, self.ingest.origin(channel, parsed[1], principal, topic), form
        return decision, None, OWN_FORM

    def _declared(self, principal: Principal, topic: str) -> str | None:
        """The declared topic of a message on one that an app insists on, root and all; None: of none of its formats."""
        form = ROOTS.get(topic.partition("/")[0])
        known = form in principal.formats and "format_messages" in self._registry.channels
        if form is None or not known or principal.user is None or principal.device is None:
            return None
        own = self._registry.build("format_messages", user=principal.user, device=principal.device, format=form)
        return f"{own}/{topic}"

    def _longest(self, principal: Principal) -> int:
        """Bytes of the longest message of a client: an app's in one of its formats, else a packet's."""
        if not principal.formats or principal.user is None:
            return self.limits.max_packet
        return self._room.longest(principal.declared.longest or self.limits.app_message)

    def _long(self, principal: Principal) -> LongRight | None:
        most = self._longest(principal)
        if most == self.limits.max_packet or principal.user is None:
            return None

        def may(head: Skipped) -> bool:
            return head.size <= most and self._is_format(principal, head.topic.decode())

        return LongRight(principal.user, most, may, self._room)

    def _is_format(self, principal: Principal, topic: str) -> bool:
        """Whether the client may send messages in a format of their own there."""
        decision, origin, form = self._route(principal, topic, retain=False)
        return decision.allowed and origin is not None and form != OWN_FORM

    def _refuse(self, client: Client, refused: Refuse) -> None:
        """Count it, remember it, say it in the log, and tell the device what it should have done."""
        assert client.login is not None
        principal, topic = client.login.principal, refused.topic.decode()
        self._counters.refuse_publish(refused.reason)
        self.refusals.note(principal.client_id, self._clock(), refused.reason, topic)
        what = {"client_id": principal.client_id, "topic": topic[:TOPIC_SHOWN], "rule": refused.rule}
        self.visitors.refused("door.publish_refused", client, refused.reason, **what)
        if principal.user is None or principal.device is None:
            return
        if refused.reason == "not_allowed":
            own = self._registry.build("device_events", user=principal.user, device=principal.device)
            advice, limit = f"publish events to {own}", 0
        else:
            limit = self._longest(principal) if self._is_format(principal, topic) else self.limits.max_packet
            advice = f"send at most {limit} bytes in a packet"
        topic = topic[:TOPIC_SHOWN]
        self.ingest.refuse(principal, RefusedNotice(refused.reason, topic, f"{topic}: {refused.rule}; {advice}", limit))

    def _relay(self, client: Client, what: Relay) -> None:
        """A client's allowed message on a topic that is not an events topic: a request, or for other clients."""
        channel, message, held = what
        topic, relayed = message.topic.decode(), None if held is None else partial(client.relayed, held)
        if channel is not None and channel.answer:
            said = self._ask(client, channel, topic, message)
            if relayed is not None:
                relayed(said)
        else:
            then = None if relayed is None else partial(self.sessions.outlasting, relayed)
            self._embedded.publish(
                topic,
                message.payload,
                message.qos,
                retain=message.retain,
                then=then,
                about=forwarded(message.properties),
                expires=self._expiry(message.properties),
                sender="" if client.login is None else client.login.principal.client_id,
            )

    def _expiry(self, properties: Properties) -> float:
        """The running time at which a message with these properties expires; 0: never."""
        seconds = properties.get(Property.MESSAGE_EXPIRY)
        return 0.0 if seconds is None else self.sessions.now() + seconds

    def _ask(self, client: Client, channel: Channel, topic: str, message: Publish) -> Said:
        """Hand over a request; the answer goes to the connection that asked, and to nobody else.

        In MQTT 5 the request may name another topic for it, one that its client has subscribed to; correlation data
        comes back as it was sent, and what will have no answer is not acknowledged as taken.
        """
        parsed, session, login = self._registry.parse(topic), client.session, client.login
        assert parsed is not None
        assert session is not None
        assert login is not None
        asked = message.properties
        name = asked.get(Property.RESPONSE_TOPIC) or self._registry.build(channel.answer, **parsed[1])
        correlation = asked.get(Property.CORRELATION_DATA)
        about = JSON if correlation is None else JSON + forwarded({Property.CORRELATION_DATA: correlation})
        granted = self.sessions.index.match(name).get(session)

        def answer(body: bytes) -> None:
            if client.session is session and session.connected and granted is not None:
                identifiers = granted.identifiers
                self.sessions.give(session, Message(name.encode(), body, 1, about=about, identifiers=identifiers))

        if granted is None:
            self.visitors.refused(
                "door.request_without_ear", client, channel.key, client_id=session.client_id, channel=channel.key
            )
            return without_ear(name[:TOPIC_SHOWN])
        return DONE if self.requests.take(channel, login, message.payload, answer) else TOO_MANY_REQUESTS

    def _publish_will(self, will: KeptWill, then: Callable[[], None]) -> None:
        """Publish a will, if its principal may still set it; ``then``, when it was handed out, or never will be."""
        if not self.rules.may_will(will.principal, will.topic, retain=will.retain).allowed:
            then()
            return
        expires = 0.0 if will.lives_s is None else self.sessions.now() + will.lives_s
        self._embedded.publish(
            will.topic, will.payload, will.qos, retain=will.retain, then=then, about=will.about, expires=expires
        )

    def _caught_up(self) -> None:
        for connection in list(self._connections):
            connection.reading.release(Hold.ROUTER)

    def _router_ended(self, cause: BaseException | None) -> None:
        log.error("door.router_ended", error=cause)
        self.on_fatal(UnavailableError("the embedded router ended", hint="restart the service"))

    def _accept(self, wire: Wire) -> Connection | None:
        if self._stopping:  # a TLS handshake that was under way
            return None
        self._counters.connections_opened += 1
        connection = Connection(
            self, wire, self.limits, self._turns, visitors=self.visitors, wanted=self._feeder.wanted
        )
        self._connections.add(connection)
        return connection


def _through_amqtt(channel: Channel) -> bool:
    """What clients publish to each other, and all that is retained; not the bridge's own streams."""
    return not channel.ingest and (channel.retain or channel.direction.value == "peer")
