"""One client connection at the front door: what each packet does, in which state, and what closes it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from healthsync_mqtt.broker.embedded.ackorder import AckOrder, token_of
from healthsync_mqtt.broker.embedded.admission import Refusal
from healthsync_mqtt.broker.embedded.deadlines import Deadline, Deadlines
from healthsync_mqtt.broker.embedded.lifecycle import State, entered
from healthsync_mqtt.broker.embedded.reading import Hold, Reading
from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.mqtt.codec import Decoder, ProtocolError, encode
from healthsync_mqtt.mqtt.codec.packets import (
    Connack,
    Connect,
    ConnectCode,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from healthsync_mqtt.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from healthsync_mqtt.broker.embedded.door import FrontDoor
    from healthsync_mqtt.broker.embedded.sessions.session import Session
    from healthsync_mqtt.broker.embedded.wire import Wire
    from healthsync_mqtt.identity.login.directory import Login
    from healthsync_mqtt.model.origin import Origin
    from healthsync_mqtt.model.principal import Principal

log = get_logger("door")


class Connection:
    """Listener of a wire. Acknowledges event deliveries when the pipeline says so (it is their ``Source``)."""

    def __init__(self, door: FrontDoor, wire: Wire) -> None:
        limits = door.limits
        self._door = door
        self._wire = wire
        self._decoder = Decoder(limits.max_packet, limits.connect_bytes, server=True)
        self._state = State.AWAITING_CONNECT
        self.reading = Reading(wire)
        self._deadlines = Deadlines(self.reading, limits.connect_timeout_s, self._over)
        self._routes: dict[bytes, Origin] = {}
        self._will: Will | None = None
        self._order = AckOrder()
        self._refusal: asyncio.TimerHandle | None = None
        #: the client acknowledged something in this read
        self._progress = False
        self.principal: Principal | None = None
        self.login: Login | None = None
        self.session: Session | None = None

    @property
    def peer(self) -> str:
        """The client's address."""
        return self._wire.peer

    # -- the wire's side

    def received(self, data: bytes) -> None:
        """Bytes from the client: all whole packets are handled at once, event messages as one hand-over."""
        if self._state not in (State.AWAITING_CONNECT, State.OPEN):
            return
        self._deadlines.heard()
        try:
            packets = self._decoder.feed(data)
        except ProtocolError as error:
            self._handle(error.packets)
            self._violation(error.reason)
            return
        self._handle(packets)

    def stalled(self) -> None:
        """The client does not read what it is sent: it is not read either, so that its answers do not pile up."""
        self.reading.stop(Hold.OUTBOX)

    def writable(self) -> None:
        """The client reads again."""
        self._deadlines.heard()
        self.reading.release(Hold.OUTBOX)
        self.flush()

    def lost(self) -> None:
        """The wire is gone. Without a DISCONNECT before it the will is published [MQTT-3.1.2-8]."""
        self._closed()
        self._door.gone(self)

    # -- the pipeline's side

    def acknowledge(self, tokens: Sequence[int]) -> None:
        """The event deliveries with these tokens are durable: answer them in order, in one write."""
        answer = self._order.acknowledge(tokens)
        if self._state is State.OPEN:
            self._send(answer)
        if Hold.WINDOW in self.reading.held and self._order.waiting <= self._door.limits.receive_window // 2:
            self.reading.release(Hold.WINDOW)

    def resume(self) -> None:
        """The journal has caught up: read again, if reading was stopped for its sake."""
        self.reading.release(Hold.JOURNAL)

    # -- the session's side

    def flush(self) -> None:
        """Send what the session has, as far as the client reads."""
        session = self.session
        if session is None or self._state is not State.OPEN:
            return
        while not self._wire.congested:
            data = session.transmit()
            if not data:
                break
            self._send(data)
        if session.position is not None and session.room:
            self._door.feed_wanted()

    def close(self, reason: str, *, will: bool) -> None:
        """Close from our side: take-over, revocation, expiry, shutdown."""
        if self._state is State.CLOSED:
            return
        log.info("door.connection_closed", reason=reason, client_id=self._name(), peer=self.peer)
        if not will:
            self._will = None
        self._wire.close()
        self._closed()

    # -- packets

    def _handle(self, packets: Sequence[Packet]) -> None:
        deliveries: list[Delivery] = []
        routes = self._routes
        for packet in packets:
            if type(packet) is Publish and not packet.retain:
                origin = routes.get(packet.topic)
                if origin is not None:
                    deliveries.append(Delivery(self, token_of(packet.packet_id, packet.qos), origin, packet.payload))
                    continue
            self._dispatch(packet, deliveries)
            if self._state is not State.OPEN:
                break
        # Also when the client has gone in the meantime: what came before its end counts.
        if deliveries:
            self._order.delivered(len(deliveries))
            self.reading.passed(len(deliveries))
            if self._door.ingest.submit(deliveries):
                self.reading.stop(Hold.JOURNAL)
        if self._order.waiting > self._door.limits.receive_window:
            self.reading.stop(Hold.WINDOW)
        if self._progress:
            self._progress = False
            self.flush()

    def _dispatch(self, packet: Packet, deliveries: list[Delivery]) -> None:
        if self._state is State.AWAITING_CONNECT:
            if isinstance(packet, Connect):
                self._connect(packet)
            else:
                self._violation("not_connect")
            return
        session = self.session
        if session is None or self._state is not State.OPEN:
            return
        self.reading.passed(0 if isinstance(packet, Puback | Pubrec | Pubrel | Pubcomp) else 1)
        match packet:
            case Publish():
                self._publish(packet, session, deliveries)
            case Puback():
                session.on_puback(packet.packet_id)
                self._progress = True
            case Pubrec():
                self._send(session.on_pubrec(packet.packet_id))
            case Pubcomp():
                session.on_pubcomp(packet.packet_id)
                self._progress = True
            case Pubrel():
                session.unreleased.discard(packet.packet_id)
                self._send(encode(Pubcomp(packet.packet_id)))
            case Subscribe():
                codes = self._door.subscribing.add(session, packet.filters)
                self._send(encode(Suback(packet.packet_id, tuple(codes))))
                self._door.subscribing.follow(session, packet.filters, codes)
            case Unsubscribe():
                self._door.subscribing.remove(session, packet.filters)
                self._send(encode(Unsuback(packet.packet_id)))
            case Pingreq():
                self._send(encode(Pingresp()))
            case Disconnect():
                self._will = None
                self._wire.close()
                self._closed()
            case _:
                self._violation("unexpected_packet")

    def _publish(self, packet: Publish, session: Session, deliveries: list[Delivery]) -> None:
        assert self.principal is not None
        topic = packet.topic.decode()
        decision, origin = self._door.route(self.principal, topic, retain=packet.retain)
        if not decision.allowed:
            # MQTT 3.1.1 has no negative PUBACK: a refused message must end the connection to be noticed at all.
            self._violation("not_allowed", rule=decision.rule)
            return
        token = token_of(packet.packet_id, packet.qos)
        if origin is not None:
            self._routes[packet.topic] = origin
            deliveries.append(Delivery(self, token, origin, packet.payload))
            return
        if packet.qos < 2 or packet.packet_id not in session.unreleased:
            if packet.qos == 2:
                if len(session.unreleased) >= self._door.limits.max_unreleased:
                    self._violation("too_many_unreleased")
                    return
                session.unreleased.add(packet.packet_id)
            self._door.publish(self, decision.channel, packet)
        self._send(self._order.answer(token, len(deliveries)))
        if self._door.behind:
            self.reading.stop(Hold.ROUTER)

    # -- login

    def _connect(self, packet: Connect) -> None:
        self._deadlines.cancel()
        verdict = self._door.judge(packet, self._wire)
        if isinstance(verdict, Refusal):
            self._refuse(verdict)
            return
        principal = verdict.principal
        self.login, self.principal = verdict, principal
        self._will = packet.will
        self._door.admitted(self)
        self.reading.gate = self._door.rates.gate(principal)
        self._state = entered(self._state, State.OPEN)
        self._deadlines.opened(keep_alive_s=self._door.keep_alive(packet), token_s=self._door.remaining(verdict))
        clean = packet.clean_session or principal.role is Role.enroll  # what it gets is for this connection only
        session, present = self._door.sessions.open(self, principal, clean=clean)
        self.session = session
        self._send(encode(Connack(present, ConnectCode.ACCEPTED)) + session.resume())
        self._door.opened(session, clean=clean)
        if self._door.ingest.hold(self):
            self.reading.stop(Hold.JOURNAL)
        self.flush()
        log.info("door.connected", client_id=principal.client_id, role=principal.role.value, peer=self.peer)

    def _refuse(self, refusal: Refusal) -> None:
        self._state = entered(self._state, State.REFUSING)
        self.reading.stop(Hold.REFUSAL)
        wait = self._door.failed_login(self.peer, refusal.reason) if refusal.held else 0.0
        log.warning("door.connection_refused", reason=refusal.reason, peer=self.peer, code=int(refusal.code))
        self._refusal = asyncio.get_running_loop().call_later(wait, self._send_refusal, refusal.code)

    def _send_refusal(self, code: ConnectCode) -> None:
        if self._state is State.REFUSING:
            self._send(encode(Connack(session_present=False, code=code)))
            self._wire.close()
            self._closed()

    # -- ends

    def _over(self, deadline: Deadline) -> None:
        if deadline is Deadline.TOKEN:
            self.close(deadline.value, will=True)
        else:
            self._violation(deadline.value)

    def _violation(self, reason: str, *, rule: str = "") -> None:
        if self._state is State.CLOSED:
            return
        log.warning("door.protocol_violation", reason=reason, client_id=self._name(), peer=self.peer, rule=rule)
        self._wire.abort()
        self._closed()

    def _closed(self) -> None:
        if self._state is State.CLOSED:
            return
        self._state = entered(self._state, State.CLOSED)
        self._deadlines.cancel()
        if self._refusal is not None:
            self._refusal.cancel()
        self._door.closed(self)
        will, self._will = self._will, None
        if will is not None and self.principal is not None:
            self._door.publish_will(self.principal, will)

    def _send(self, data: bytes) -> None:
        if data:
            self._wire.write(data)

    def _name(self) -> str:
        return self.principal.client_id if self.principal is not None else "?"
