"""The sides of the front door: what it needs from above, and the verbs that a connection knows of it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from healthsync_mqtt.broker.embedded.actions import Events, Refuse, Relay, Route
from healthsync_mqtt.broker.embedded.admission import Refusal
from healthsync_mqtt.broker.embedded.backpressure import Hold
from healthsync_mqtt.broker.embedded.dialect import Dialect
from healthsync_mqtt.broker.embedded.limits.addresses import Knock
from healthsync_mqtt.broker.embedded.limits.rates import Gate
from healthsync_mqtt.broker.embedded.sessions.index import GrantedQos
from healthsync_mqtt.broker.embedded.sessions.session import Session
from healthsync_mqtt.broker.embedded.sessions.table import SessionLink
from healthsync_mqtt.identity.certificates.demand import Demand
from healthsync_mqtt.identity.login.proof import Login
from healthsync_mqtt.model.delivery import Delivery, Source
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.mqtt.ack_order import OtherAnswer
from healthsync_mqtt.mqtt.codec.packets import (
    NO_PROPERTIES,
    Connect,
    Properties,
    Skipped,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from healthsync_mqtt.mqtt.message_room import MessageRoom
from healthsync_mqtt.mqtt.replies import DONE, Said
from healthsync_mqtt.topics.registry import Channel


class RefusedNotice(NamedTuple):
    """A message that went nowhere: ``reason`` is one of ``protocol.Refuse``, ``limit`` the longest packet, 0: any."""

    reason: str
    topic: str
    message: str
    limit: int = 0


class Ingest(Protocol):
    """The bridge's pipeline."""

    def origin(self, channel: Channel, variables: dict[str, str], principal: Principal, topic: str) -> Origin:
        """Who the events of this topic are from."""

    def submit(self, deliveries: list[Delivery]) -> bool:
        """Take the deliveries; True asks their connections to read no more until their ``resume`` is called."""

    def refuse(self, principal: Principal, refused: RefusedNotice) -> None:
        """Tell a device by receipt that a message of its went nowhere."""

    def hold(self, source: Source, user: str | None) -> bool:
        """Whether a new connection, of this user if of one, must read no events before its ``resume`` is called."""

    def leave(self, source: Source) -> None:
        """A connection is gone and waits for no ``resume``."""


class Wish(NamedTuple):
    """A filter that brings canonical events and was granted, as its SUBSCRIBE asked for it.

    ``identifier`` is MQTT 5's subscription identifier, 0: none; ``properties`` are the user properties of the packet,
    in their order and as the client wrote them.
    """

    topic_filter: str
    qos: int
    identifier: int = 0
    properties: tuple[tuple[str, str], ...] = ()


class Unfed(NamedTuple):
    """Why a filter that its client may have is not fed: a word for the log and counters, and a sentence."""

    reason: str
    said: str


class Feeder(Protocol):
    """The reader of the event log that fills sessions with canonical events."""

    def attach(self, session: Session) -> None:
        """The session is connected and has a filter on canonical topics, or has a new one."""

    def join(self, session: Session, topic_filter: str, granted: GrantedQos) -> None:
        """The same for the filter of a shared group: the session is a member from now on."""

    def leave(self, session: Session, topic_filter: str) -> None:
        """The client has unsubscribed."""

    def refusal(self, session: Session, wish: Wish) -> Unfed | None:
        """Why a filter cannot be fed as it is asked for, before anything of it is done; None when it can."""

    def prepare(self, session: Session, wishes: Sequence[Wish], then: Callable[[], None]) -> None:
        """The session will be fed from here on, by these new filters; ``then`` is called when that outlasts a crash."""

    def detach(self, session: Session) -> None:
        """The session's connection is gone; its position is kept if the session is persistent."""

    def forget(self, client_id: str) -> None:
        """The client asked for a clean session: no position of an earlier one is kept."""

    def wanted(self, session: Session) -> None:
        """The session has room."""


class Arrivals(Protocol):
    """Who keeps who was here."""

    def entered(self, client_id: str, peer: str, level: int) -> None:
        """A client logged in, from this address, with this protocol level of MQTT."""

    def left(self, client_id: str) -> None:
        """A client's connection has ended."""


class Requests(Protocol):
    """Who answers what clients ask the bridge."""

    def take(self, channel: Channel, login: Login, payload: bytes, answer: Callable[[bytes], None]) -> bool:
        """A request on ``channel``; whether it is heard: ``answer`` is called once then, later, on the event loop."""


class LongRight(NamedTuple):
    """That a client may send messages over the limit of a packet: up to ``most`` bytes, where ``may`` says so."""

    user: str
    most: int
    may: Callable[[Skipped], bool]
    room: MessageRoom


class Entry(NamedTuple):
    """A CONNECT was accepted: what the connection has from now on. Times in seconds."""

    login: Login
    session: Session
    present: bool
    route: Route
    gate: Gate
    keep_alive_s: int
    token_s: float
    #: whether the journal has so much of its user that it has to wait for its ``resume``
    behind: Callable[[Source], bool]
    #: properties of the CONNACK
    about: Properties = NO_PROPERTIES
    long: LongRight | None = None


class RenewedEntry(NamedTuple):
    """New credentials were accepted: what the connection has from now on."""

    login: Login
    route: Route
    token_s: float


class Later(NamedTuple):
    """A CONNECT, or new credentials, that is to be decided once ``ready`` is done: its client may be known by then.

    ``last``: it is the last time then that it may wait for a reading of the registry.
    """

    ready: asyncio.Future[None]
    last: bool = True


class Client(SessionLink, Source, Protocol):
    """A connection, as the door sees it."""

    @property
    def knock(self) -> Knock | None:
        """How it is counted."""

    @property
    def certificate(self) -> bytes | None:
        """The client's certificate (DER), verified; None when it sent none."""

    @property
    def clients(self) -> Demand:
        """What its listener asks of clients besides a token."""

    @property
    def peer(self) -> str:
        """The client's address."""

    @property
    def login(self) -> Login | None:
        """Who it is; None before its CONNECT is accepted."""

    @property
    def session(self) -> Session | None:
        """Its session; None before its CONNECT is accepted."""

    @property
    def dialect(self) -> Dialect:
        """How it is spoken to."""

    def relayed(self, held: OtherAnswer, said: Said = DONE) -> None:
        """What is owed of a message of its outlasts a crash, or, as is ``said``, nothing will come of it."""


class Door(Protocol):
    """The door, as a connection sees it, in four verbs: enter, take, listen, leave.

    ``renew`` is entering again on the connection that is there; ``left`` follows ``leave`` when the socket is closed.
    """

    def enter(self, client: Client, asked: Connect, *, last: bool = False) -> Entry | Refusal | Later:
        """Decide a CONNECT, and open its session; at the ``last`` time of asking not after another reading."""

    def renew(self, client: Client, secret: bytes, *, last: bool = False) -> RenewedEntry | Refusal | Later:
        """Decide new credentials of a client that is connected."""

    def take(self, client: Client, what: Events | Relay | Refuse) -> Hold:
        """Carry on what the client publishes; why it should be read no further for now."""

    def listen(
        self, session: Session, asked: Subscribe | Unsubscribe, answer: Callable[[Suback | Unsuback], None]
    ) -> None:
        """Add or take away filters; ``answer`` is called when that is durable, once at most."""

    def leave(self, client: Client, will: Will | None) -> None:
        """The connection has ended: its session may go on elsewhere. ``will`` is to be published."""

    def left(self, client: Client) -> None:
        """Its socket is closed."""
