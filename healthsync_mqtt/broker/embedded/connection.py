# long: one object is the listener of its wire, the link of its session and the source of its deliveries
"""One client connection at the front door: performs on its wire and at the door what its protocol says."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from healthsync_mqtt.broker.embedded.actions import (
    Acknowledge,
    Action,
    EndConnection,
    Events,
    Flush,
    Judge,
    Listen,
    Refuse,
    Relay,
    Renew,
    Send,
)
from healthsync_mqtt.broker.embedded.admission import Refusal
from healthsync_mqtt.broker.embedded.backpressure import Hold, Reading
from healthsync_mqtt.broker.embedded.deadlines import Deadline, Deadlines
from healthsync_mqtt.broker.embedded.dialect import THREE, Dialect, dialect_of
from healthsync_mqtt.broker.embedded.farewells import CODES
from healthsync_mqtt.broker.embedded.incoming_messages import IncomingMessages
from healthsync_mqtt.broker.embedded.lifecycle import ConnectionState
from healthsync_mqtt.broker.embedded.limits.addresses import Knock
from healthsync_mqtt.broker.embedded.ports import Door, Later, LongRight
from healthsync_mqtt.broker.embedded.protocol import DEAF, Protocol
from healthsync_mqtt.broker.embedded.sessions.session import Session
from healthsync_mqtt.broker.embedded.turns import TurnAccount, Turns
from healthsync_mqtt.broker.embedded.visitors import Visitors
from healthsync_mqtt.broker.embedded.welcome import receive_maximum
from healthsync_mqtt.broker.embedded.wire import Wire, tongue
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.identity.certificates.demand import Demand
from healthsync_mqtt.model.delivery import DeliveryVerdict, Source
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.mqtt.ack_order import OtherAnswer
from healthsync_mqtt.mqtt.codec import Decoder, ProtocolError, v5
from healthsync_mqtt.mqtt.codec.packets import Connack, Connect, Suback, Subscribe, Unsuback, Unsubscribe
from healthsync_mqtt.mqtt.replies import DONE, Said
from healthsync_mqtt.topics.grammar import is_id

if TYPE_CHECKING:
    from healthsync_mqtt.identity.login.proof import Login

SKIP = 16
"""A message of up to so many times the limit goes by unread and is told; a longer one ends the connection."""

_DEAR = 5
"""Reading beyond a payload's length costs a turn its bytes >> this, as the payload itself does."""
_DEAR_MESSAGE = 256
"""So many bytes of such reading count as a message of the device and its user."""

_LEFT_BEHIND = 1 << 18
"""So much of it is done for a client that is gone, some 260 refused events; then what else it brought is dropped."""

MOST_ASKED = 100
"""SUBSCRIBE and UNSUBSCRIBE of a client that wait for their answer, and so for a disk that may be slow, or full."""

_PACKETS = 128
"""Packets that are made of bytes at once: they take more memory than the bytes."""


_SOON = frozenset({"revoked", "rights_changed", "token_expired", "shutdown"})
"""Why a connection is not waited for when its client does not read."""


class Connection:
    """Listener of a wire. Acknowledges event deliveries when the pipeline says so (it is their ``Source``)."""

    def __init__(
        self,
        door: Door,
        wire: Wire,
        limits: LimitSettings,
        turns: Turns,
        *,
        visitors: Visitors,
        wanted: Callable[[Session], None],
    ) -> None:
        """``wanted`` is called with the session when it has room for canonical events."""
        self._door = door
        self._visitors = visitors
        self._wire = wire
        self._wanted = wanted
        self._window = limits.receive_window
        skip = limits.max_packet * SKIP
        self._decoder = Decoder(
            limits.max_packet, limits.connect_bytes, server=True, versions=frozenset({3, 4, 5}), skip=skip
        )
        self._protocol = Protocol(
            self,
            max_unreleased=limits.max_unreleased,
            max_refused=limits.refused_publishes,
            receive_maximum=receive_maximum(limits),
        )
        self.dialect: Dialect = THREE
        self._turns = turns
        self.account = TurnAccount()
        self.reading = Reading(wire, partial(turns.later, self))
        self._deadlines = Deadlines(self.reading, limits.connect_timeout_s, self._over)
        self._behind: Callable[[Source], bool] | None = None
        self._refusal: asyncio.TimerHandle | None = None
        self._incoming_messages: IncomingMessages | None = None
        self._out: list[bytes] = []
        self._fault: str | None = None
        self._dear = self._left_behind = self._asked = 0
        self._ended = self._lost = self._gone = False
        self.login: Login | None = None
        self.opened_us = time.time_ns() // 1000

    # -- who it is

    @property
    def peer(self) -> str:
        """The client's address."""
        return self._wire.peer

    @property
    def knock(self) -> Knock | None:
        """How it is counted."""
        return self._wire.knock

    @property
    def certificate(self) -> bytes | None:
        """The client's certificate (DER), verified; None when it sent none."""
        return self._wire.certificate

    @property
    def clients(self) -> Demand:
        """What the listener asks of clients besides a token."""
        return self._wire.clients

    @property
    def principal(self) -> Principal | None:
        """Who logged in; None before."""
        return None if self.login is None else self.login.principal

    @property
    def name(self) -> str:
        """The client id it logged in with; ``?`` before."""
        return self.login.principal.client_id if self.login is not None else "?"

    @property
    def level(self) -> int:
        """The protocol level of its CONNECT; 0 before."""
        return self._protocol.level

    @property
    def session(self) -> Session | None:
        """The client's session; None before its CONNECT is accepted."""
        return self._protocol.session

    # -- the wire's side

    def arrived(self) -> None:
        """Bytes came in: they are handled when there is a turn for it, mostly at once."""
        self._deadlines.heard()
        self._turns.arrived(self)
        self._pace()

    def stalled(self) -> None:
        """The client does not read what it is sent: it is not read either, so that its answers do not pile up."""
        self.reading.stop(Hold.OUTBOX)

    def writable(self) -> None:
        """The client reads again."""
        self._deadlines.heard()
        self.reading.release(Hold.OUTBOX)
        self.flush()

    def lost(self) -> None:
        """The wire is gone. What it brought before still counts, a DISCONNECT too."""
        self._lost = True
        self.reading.finish()
        self._turns.later(self)
        self._pace()

    # -- turns

    @property
    def stranger(self) -> bool:
        """Whether it has not logged in."""
        return self._protocol.session is None

    @property
    def waits(self) -> bool:
        """Whether there is something that a turn would bring further."""
        return self._unread and not self.reading.blocked

    @property
    def _unread(self) -> bool:
        if self._protocol.state in DEAF or self._left_behind > _LEFT_BEHIND:
            return False
        return self._protocol.ready or self._fault is not None or self._decoder.more or self._wire.waits

    def put_off(self) -> bool:
        """Stop reading where the journal has much of its user, so that what it brought waits, too; whether it did."""
        if self._behind is None or not self._behind(self):
            return False
        self.reading.stop(Hold.JOURNAL)
        return True

    def turn(self, work: int) -> int:
        """Handle about so much of what came in; what it cost."""
        spent = 0
        while spent < work and self.waits:
            spent += self._step(work - spent)
        self._pace()
        return spent

    def _step(self, work: int) -> int:
        """The next thing: packets, or the next packets from the bytes, or the next bytes from the wire."""
        protocol = self._protocol
        if protocol.ready:
            self._dear = 0
            self._perform(protocol.run(work))
            self.reading.passed(protocol.counted)
            if protocol.waiting > self._window:
                self.reading.stop(Hold.WINDOW)
            return protocol.spent + (self._dear >> _DEAR)
        if self._fault is not None:
            self._perform(protocol.violated(self._fault))
            return 1
        data, cost = (b"", 1) if self._decoder.more else self._wire.read(work)
        try:
            packets = self._decoder.feed(data, _PACKETS, work)
            cost += len(packets) + self._decoder.dear
            protocol.received(packets)
        except ProtocolError as error:
            protocol.received(error.packets)
            self._fault = (tongue(data) if protocol.state is ConnectionState.AWAITING_CONNECT else None) or error.reason
        return cost

    def _pace(self) -> None:
        """Read as long as nothing waits for a turn. Without a DISCONNECT the will is published [MQTT-3.1.2-8]."""
        if self._incoming_messages is not None and not self._protocol.ready:
            self._incoming_messages.handed_on(keeping=self._decoder.keeping)
        if self._unread:
            self.reading.stop(Hold.TURN)
            return
        self.reading.release(Hold.TURN)
        if self._lost and not self._gone:
            self._gone = True
            self._closed(will=True)
            self._door.left(self)

    # -- the pipeline's side

    def acknowledge(self, tokens: Sequence[int], verdicts: Sequence[DeliveryVerdict] = ()) -> None:
        """The event deliveries with these tokens are durable: answer them in order, in one write."""
        self._answered(self._protocol.acknowledged(tokens, verdicts))

    def relayed(self, held: OtherAnswer, said: Said = DONE) -> None:
        """What is owed of a message for others outlasts a crash: answer it when its turn comes."""
        self._answered(self._protocol.relayed(held, said))

    def _answered(self, actions: Sequence[Action]) -> None:
        self._perform(actions)
        if Hold.WINDOW in self.reading.held and self._protocol.waiting <= self._window // 2:
            self.reading.release(Hold.WINDOW)

    def charge(self, cost: int) -> None:
        """Deliveries took so much more to decide than their length says: within a turn they cost of the turn, too."""
        self._dear += cost
        self.reading.passed(cost / _DEAR_MESSAGE)
        if self._lost and not self._gone:
            self._left_behind += cost
            if self._left_behind > _LEFT_BEHIND:  # no turn comes for it any more
                asyncio.get_running_loop().call_soon(self._pace)

    def resume(self) -> None:
        """The journal has caught up: read again, if reading was stopped for its sake."""
        self.reading.release(Hold.JOURNAL)

    # -- the session's side

    def flush(self) -> None:
        """Send what the session has, as far as the client reads."""
        session = self.session
        if session is None or self._protocol.state is not ConnectionState.OPEN:
            return
        self._write()
        while not self._wire.congested:
            data = session.transmit()
            if not data:
                break
            self._wire.write(data)
        if session.fed and session.room:
            self._wanted(session)

    def close(self, reason: str, *, will: bool, to: str = "") -> None:
        """Close from our side: take-over, revocation, expiry, shutdown, or to send the client elsewhere."""
        if self._ended:
            return
        self._visitors.told("door.connection_closed", self, self.name, reason=reason)
        if self._protocol.state is ConnectionState.OPEN:
            self._out.append(self.dialect.farewell(reason, "", to))
            self._write()
        self._wire.close(soon=reason in _SOON)
        self._closed(will=will)

    # -- packets

    def _perform(self, actions: Sequence[Action]) -> None:
        out = self._out
        for action in actions:
            match action:
                case Events():
                    self._carry(action)
                case Acknowledge():
                    out.append(self.dialect.answers(action.tokens))
                case Send():
                    out.append(self.dialect.packet(action.packet))
                case Relay() | Refuse():
                    self._carry(action)
                case Listen():
                    self._listen(action.asked)
                case Flush():
                    self.flush()
                case Judge():
                    self.dialect = dialect_of(action.asked)
                    self._judge(action.asked)
                case Renew():
                    self._renew(action.secret)
                case EndConnection():
                    self._end(action)
        self._write()

    def _carry(self, what: Events | Relay | Refuse) -> None:
        hold = self._door.take(self, what)
        if hold:
            self.reading.stop(hold)

    def _listen(self, asked: Subscribe | Unsubscribe) -> None:
        assert self.session is not None
        self._asked += 1
        self._door.listen(self.session, asked, self._answer)
        if self._asked >= MOST_ASKED:
            self.reading.stop(Hold.FILTERS)

    def _answer(self, packet: Suback | Unsuback) -> None:
        """What the client asked for is durable; it may be gone by now."""
        self._asked -= 1
        if Hold.FILTERS in self.reading.held and self._asked <= MOST_ASKED // 2:
            self.reading.release(Hold.FILTERS)
        if self._protocol.state is ConnectionState.OPEN:
            self._out.append(self.dialect.packet(packet))
            self._write()

    def _write(self) -> None:
        """Everything that is to be sent, as one write."""
        if self._out:
            data = b"".join(self._out)
            self._out.clear()
            if data:
                self._wire.write(data)

    # -- login

    def _judge(self, asked: Connect, *, last: bool = False) -> None:
        self._deadlines.cancel()
        verdict = self._door.enter(self, asked, last=last)
        if isinstance(verdict, Later):
            self.reading.stop(Hold.LOGIN)
            verdict.ready.add_done_callback(lambda _: self._again(lambda: self._judge(asked, last=verdict.last)))
            return
        if isinstance(verdict, Refusal):
            self._refuse(verdict, asked.client_id)
            return
        self.login = verdict.login
        self.reading.gate = verdict.gate
        self._deadlines.opened(keep_alive_s=verdict.keep_alive_s, token_s=verdict.token_s)
        self._perform(
            self._protocol.admitted(verdict.session, present=verdict.present, route=verdict.route, about=verdict.about)
        )
        principal = verdict.login.principal
        if verdict.behind(self):
            self.reading.stop(Hold.JOURNAL)
        if principal.user is not None:  # what a subscriber brings is acknowledgements of what it gets
            self._behind = verdict.behind
        if verdict.long is not None:
            self._take_long(verdict.long)
        self.flush()
        if principal.role is Role.device and principal.user is not None:
            self._turns.of_user(self.account, principal.user)
        self._visitors.told("door.connected", self, principal.client_id, role=principal.role.value)

    def _take_long(self, right: LongRight) -> None:
        """What an app sends in its formats may be longer than a packet; what is longer still goes by, and is told."""
        self._incoming_messages = IncomingMessages(
            right.room,
            right.user,
            right.may,
            hold=lambda: self.reading.stop(Hold.ROOM),
            go_on=self._there_is_room,
            too_slow=lambda: self._perform(self._protocol.violated("message_too_slow")),
        )
        self._decoder.keeps = self._incoming_messages.keeps
        self._decoder.skip = max(self._decoder.skip, right.most * SKIP)
        self._wire.allow(self._decoder.skip)

    def _there_is_room(self) -> None:
        self.reading.release(Hold.ROOM)
        self._turns.later(self)
        self._pace()

    def _renew(self, secret: bytes, *, last: bool = False) -> None:
        verdict = self._door.renew(self, secret, last=last)
        if isinstance(verdict, Later):
            self.reading.stop(Hold.LOGIN)
            verdict.ready.add_done_callback(lambda _: self._again(lambda: self._renew(secret, last=verdict.last)))
        elif isinstance(verdict, Refusal):
            self._perform(self._protocol.violated("re_authentication_refused"))
        else:
            self.login = verdict.login
            self._deadlines.renewed(verdict.token_s)
            self._perform(self._protocol.renewed(verdict.route))

    def _again(self, judge: Callable[[], None]) -> None:
        """The registry was read."""
        if not self._ended:
            self.reading.release(Hold.LOGIN)  # first: it may have to wait once more
            judge()
            self._turns.later(self)
            self._pace()

    def _refuse(self, refusal: Refusal, claimed: str) -> None:
        self._protocol.refused()
        self.reading.stop(Hold.REFUSAL)
        name = claimed if is_id(claimed) else None
        about = {"code": int(refusal.code), "claimed_client_id": name}
        self._visitors.refused("door.connection_refused", self, refusal.reason, **about)
        self._refusal = asyncio.get_running_loop().call_later(refusal.wait_s, self._tell, refusal)

    def _tell(self, refusal: Refusal) -> None:
        self._refusal = None
        self._perform(self._protocol.told(refusal))

    # -- ends

    def _over(self, deadline: Deadline) -> None:
        if deadline is Deadline.TOKEN:
            self.close(deadline.value, will=True)
        else:
            self._perform(self._protocol.violated(deadline.value))

    def _end(self, end: EndConnection) -> None:
        self._write()
        if end.violation:
            self._visitors.refused("door.protocol_violation", self, end.reason, client_id=self.name, rule=end.rule)
            words = self._last_words(end)
            if words:
                self._wire.write(words)
                self._wire.close()
            else:
                self._wire.abort()
        else:
            self._wire.close()
        self._closed(will=True)

    def _last_words(self, end: EndConnection) -> bytes:
        """What a client that is cut off is told; a CONNECT that cannot be read is answered if it is MQTT 5."""
        if self.session is not None:
            return self.dialect.farewell(end.reason, end.rule)
        code = CODES.get(end.reason) if self._decoder.five else None
        return b"" if code is None else v5.encode(Connack(session_present=False, code=code))

    def _closed(self, *, will: bool) -> None:
        if self._ended:
            return
        self._ended = True
        # Nothing may hold what holds it: cycles wait for the collector, which then holds up everybody.
        self._deadlines.close()
        self.reading.over()
        if self._refusal is not None:
            self._refusal.cancel()
        if self._incoming_messages is not None:
            self._incoming_messages.close()
        self._door.leave(self, self._protocol.closed(will=will))
        if self._lost:  # what it brought waited for a turn: none comes for nothing
            self._pace()
