# long: what comes from a connection, and what goes out over it: deliveries, receipts, retained messages
"""On an external broker: deliveries from a connection to it, and the bridge's messages out through it.

Each connection has a source of its own. What a source has handed over is acknowledged on its connection or, when that
is gone, nowhere: the broker sends it again on the next one, and the journal finds it stored.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Final, NamedTuple, NoReturn

from bridge.edges.gateway_calls import REQUEST, CallMark, CallReader, CallSource
from bridge.pipeline import Pipeline
from bridge.stages.authorise import origin_of
from healthsync_mqtt.broker.external.canary_world import is_canary
from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.model.delivery import OWN_FORM, Delivery, DeliveryVerdict
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.shard import Shard
from healthsync_mqtt.mqtt.ack_order import AckOrder, answers
from healthsync_mqtt.mqtt.codec.packets import Publish, Skipped
from healthsync_mqtt.mqtt.links.port import BrokerLink, ConnectionLostError
from healthsync_mqtt.mqtt.message_room import MessageRoom, RoomPlace
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.notices import Notices
from healthsync_mqtt.topics.registry import TopicRegistry

log = get_logger("bridge")

_MOST_TOPICS = 200_000
_LINES: Final = 5
_REFUSED: Final = 0x80
STRETCH: Final = 500
"""Messages that were held back and are handed on in one step of the loop: then pings, timers and commits come."""
_BORN: Final = b"online"
_FOREIGN: Final = Origin("", None, None, "foreign")
"""Another bridge's user, a canary, or no events topic at all: acknowledged, and that is all."""

_CALL: Final = Origin("", None, None, "call")
"""What is there is a gateway's call, which says whose it is."""


class Called(NamedTuple):
    """What a gateway brought: for whom it waits, whose it is, and what its device sent."""

    caller: CallMark
    origin: Origin
    payload: bytes
    form: str
    traceparent: str


class Origins:
    """The origin of each topic, remembered across connections."""

    def __init__(
        self,
        registry: TopicRegistry,
        shard: Shard,
        status_topic: str = "",
        heard: Mapping[str, Callable[[Publish], None]] = MappingProxyType({}),
        asked: Mapping[str, Callable[[str, bytes], None]] = MappingProxyType({}),
    ) -> None:
        """``heard``: who is told of what comes on topics that are for the bridge and hold no events.

        ``asked``: by channel, who gets a client's requests on it: the client's id and the payload.
        """
        self._asked = asked
        self._status_topic = status_topic
        self._heard = {topic.encode(): tell for topic, tell in heard.items()}
        self.registry = registry
        self._calls = CallReader(registry)
        self._shard = shard
        self._known: dict[bytes, Origin] = {}
        self.find = self._known.get
        #: the formats of topics that are not of our own events
        self.forms: dict[bytes, str] = {}
        self._notices = Notices()

    def learn(self, topic: bytes) -> Origin:
        """Look a topic up for the first time."""
        if len(self._known) >= _MOST_TOPICS:
            self._known.clear()
            self.forms.clear()
        origin = self._known[topic] = self._decide(topic)
        return origin

    def called(self, message: Publish) -> "Called | None":
        """What a gateway brought in a call; None when it may not ask that, or not of a user of this bridge."""
        found = self._calls.read(message)
        if found is None:
            return None
        caller, call = found
        topic = call.topic.encode()
        origin = self.find(topic) or self.learn(topic)
        if not origin.user:
            return None
        return Called(caller, origin, call.payload, self.forms.get(topic, OWN_FORM), call.traceparent)

    def hear(self, message: Publish) -> None:
        """A message without a user."""
        if tell := self._heard.get(message.topic):
            tell(message)
        elif self._asked and (parsed := self.registry.parse(message.topic.decode("utf-8", "replace"))) is not None:
            channel, variables = parsed
            if message.retain or is_canary(variables.get("client", "")):
                return
            if answer := self._asked.get(channel.key):
                answer(variables["client"], message.payload)

    def _warn(self, event: str, topic: bytes) -> None:
        """There is no end of topics: a few lines in a while, then with the number left out."""
        left_out = self._notices.due(event, time.monotonic(), _LINES)
        if left_out is not None:
            log.warning(event, bytes=len(topic), left_out=left_out)

    def _decide(self, topic: bytes) -> Origin:
        if topic in self._heard:
            return _FOREIGN
        try:
            text = topic.decode()
        except UnicodeDecodeError:
            return _FOREIGN
        if text == self._status_topic:
            return _FOREIGN
        parsed = self.registry.parse(text)
        if parsed is not None and parsed[0].key == REQUEST:
            return _CALL
        if parsed is not None and parsed[0].key in self._asked:
            return _FOREIGN
        if parsed is None or not parsed[0].ingest:
            self._warn("bridge.unknown_topic", topic)
            return _FOREIGN
        channel, variables = parsed
        if is_canary(variables["user"]) or not self._shard.owns(variables["user"]):
            return _FOREIGN
        form = variables.get("format", OWN_FORM)
        if form not in FORMATS:
            self._warn("bridge.unknown_format", topic)
            return _FOREIGN
        if form != OWN_FORM:
            self.forms[topic] = form
        return origin_of(channel, variables, None, text)


class LongAllowance(NamedTuple):
    """Messages over the limit of a packet: what they take, how long a device's may be, and who is told of longer ones.

    ``longest`` gets user and device; ``refused`` the origin of a message that went by, its bytes and the limit.
    """

    room: MessageRoom
    longest: Callable[[str, str], int]
    refused: Callable[[Origin, int, int], None] = lambda _origin, _size, _limit: None


class LinkSource:
    """The deliveries of one connection (a ``Source``). It holds them back until ``release``, then hands them on.

    A broker may send thousands before its answer to SUBSCRIBE. Handed on in one step they would keep the loop from
    everything else, until the broker takes the silence for death and sends all of them again on the next connection.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        origins: Origins,
        long: LongAllowance,
        aside: Callable[[Publish], bool] = lambda _message: False,
        *,
        held_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        """``held_bytes``: payloads beyond it are not kept before ``release``; see ``overflowed``."""
        self._aside = aside
        self._pipeline = pipeline
        self._origins = origins
        self._long = long
        self._order = AckOrder()
        self._link: BrokerLink | None = None
        #: of the gateway's calls on this connection
        self._calls: CallSource | None = None
        self._held: deque[Publish | Skipped] = deque()
        #: tokens of deliveries in their order, and those of them that are durable before earlier ones are
        self._sent: deque[int] = deque()
        self._early: Counter[int] = Counter()
        #: of the long message that comes in
        self._place: RoomPlace | None = None
        self._room = held_bytes
        #: more came than is held back; what came behind it was let go, unacknowledged
        self._overflowed = False
        #: the pipeline takes no more before ``resume``
        self._full = False
        self._handing_on = False
        self._rest = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Deliveries that are not acknowledged yet."""
        return self._order.waiting + len(self._held)

    def received(self, messages: list[Publish]) -> None:
        """Take what one read brought."""
        if self._link is None:
            for message in messages:
                if not self._aside(message):
                    self._keep(message)
        elif self._overflowed:
            return
        elif self._held or self._full:
            self._held += messages
        else:
            self._submit(messages)

    def keeps(self, head: Skipped) -> bool:
        """See ``links.port.Long``: messages in a format of its own, as long as their login says."""
        origin = self._origins.find(head.topic) or self._origins.learn(head.topic)
        if self._overflowed or head.topic not in self._origins.forms or head.size > self._longest(origin, head.topic):
            return False
        self._leave_place()
        self._place = self._long.room.ask(origin.user, head.size, self._hand_on)
        if self._place.waits and self._link is not None:
            self._link.pause()
        return True

    def skipped(self, head: Skipped) -> None:
        """See ``links.port.Long``: it is acknowledged in its turn, and its device is told."""
        if self._link is None:
            self._keep(head)
        elif self._held or self._full:
            self._held.append(head)
        elif not self._overflowed:
            self._pass(head)

    def leave(self) -> None:
        """The connection is over."""
        self._leave_place()
        if self._calls is not None:
            self._pipeline.leave(self._calls)

    def release(self, link: BrokerLink) -> None:
        """From now on deliveries go to the pipeline, those held back first."""
        self._link = link
        if self._held:
            link.pause()  # what else comes waits at the broker
        self._hand_on()

    async def overflowed(self) -> NoReturn:
        """Wait until all that was held back is acknowledged, where that was not all that had come.

        ConnectionLostError then: the broker has the rest, and sends it on another connection.
        """
        await self._rest.wait()
        raise ConnectionLostError(
            "more came at once than is held back at the start; the rest comes on a new connection"
        )

    def acknowledge(self, tokens: Sequence[int], verdicts: Sequence[DeliveryVerdict] = ()) -> None:  # noqa: ARG002
        """Deliveries are durable: PUBACK for the oldest, unless the connection they came over is gone.

        A long message takes its time, and what others sent behind it is stored meanwhile: their PUBACKs wait for its
        [MQTT-4.6.0-2].
        """
        if self._link is None:
            return
        sent, early, due = self._sent, self._early, list[int]()
        for token in tokens:
            if sent[0] != token:
                early[token] += 1
                continue
            due.append(sent.popleft())
            while sent and early.get(sent[0]):
                due.append(sent.popleft())
                early.subtract((due[-1],))
        if due:
            self._link.acknowledge(answers(self._order.acknowledge(due)))
            self._notice_rest()

    def charge(self, cost: int) -> None:
        """Nothing: who sent what is the broker's to slow down, and all senders share this connection."""

    def resume(self) -> None:
        """Read again."""
        self._full = False
        self._hand_on()

    def _keep(self, message: Publish | Skipped) -> None:
        self._room -= len(message.payload) if isinstance(message, Publish) else 0
        self._overflowed = self._overflowed or (self._room < 0 and bool(self._held))
        if not self._overflowed:
            self._held.append(message)

    def _hand_on(self) -> None:
        """A stretch of what was held back; the rest in the next step of the loop. When it was the last one, read."""
        link, held = self._link, self._held
        if link is None or self._full or self._handing_on:
            return
        if not link.alive:
            held.clear()  # nothing of it can be acknowledged; the broker sends it again
            return
        if held:
            stretch = list(islice(held, STRETCH))
            for _ in stretch:
                held.popleft()
            self._submit_all(stretch)
        if not held and not self._full:
            if self._place is None or not self._place.waits:
                link.resume()
            self._notice_rest()
        elif held and not self._full:
            self._handing_on = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self._handing_on = False
        self._hand_on()

    def _submit_all(self, messages: Sequence[Publish | Skipped]) -> None:
        """The same with what has gone by among them."""
        between: list[Publish] = []
        for each in messages:
            if isinstance(each, Publish):
                between.append(each)
            else:
                self._submit(between)
                self._pass(each)
                between = []
        self._submit(between)

    def _pass(self, head: Skipped) -> None:
        assert self._link is not None
        if head.packet_id and self._order.answer(head.packet_id):
            self._link.acknowledge(answers((head.packet_id,)))
        origin = self._origins.find(head.topic) or self._origins.learn(head.topic)
        if origin.user:
            self._long.refused(origin, head.size, self._longest(origin, head.topic))

    def _longest(self, origin: Origin, topic: bytes) -> int:
        """What a message on this topic may have."""
        if topic not in self._origins.forms or origin.device is None:
            return self._long.room.least
        return self._long.longest(origin.user, origin.device)

    def _leave_place(self) -> None:
        place, self._place = self._place, None
        if place is not None:
            waited = place.waits
            place.leave()
            if waited:
                self._hand_on()

    def _submit(self, messages: list[Publish]) -> None:
        assert self._link is not None
        find, forms = self._origins.find, self._origins.forms
        deliveries: list[Delivery] = []
        long = of_calls = False
        for message in messages:
            topic, payload, _, retained, _, packet_id, _ = message
            origin = find(topic) or self._origins.learn(topic)
            if not origin.user:
                called = self._origins.called(message) if origin is _CALL and packet_id else None
                if called is not None:
                    if not of_calls:
                        self._hand_over(deliveries, long=long)
                        deliveries, long, of_calls = [], False, True
                    deliveries.append(self._call(packet_id, called))
                    continue
                self._origins.hear(message)
                if packet_id and self._order.answer(packet_id, len(deliveries)):
                    self._link.acknowledge(answers((packet_id,)))
                continue
            if of_calls:
                self._hand_over(deliveries, long=False)
                deliveries, of_calls = [], False
            delivery = Delivery(self, packet_id, origin, payload)
            if forms and topic in forms:
                delivery = delivery._replace(form=forms[topic], retained=retained)
                long = long or len(payload) > self._long.room.least
            deliveries.append(delivery)
        self._hand_over(deliveries, long=long)

    def _call(self, packet_id: int, called: Called) -> Delivery:
        """A gateway's call as a delivery: its source has the answer to it."""
        if self._calls is None:
            assert self._link is not None
            self._calls = CallSource(self, self._origins.registry, self._link.send)
        caller, origin, payload, form, traceparent = called
        self._calls.note(packet_id, caller)
        return Delivery(self._calls, packet_id, origin, payload, told=True, form=form, traceparent=traceparent)

    def _hand_over(self, deliveries: list[Delivery], *, long: bool) -> None:
        """Deliveries of one source, to the pipeline. ``long``: a long message is among them."""
        if not deliveries:
            return
        assert self._link is not None
        self._order.delivered(len(deliveries))
        self._sent += [delivery.token for delivery in deliveries]
        full = self._pipeline.submit(deliveries, shared=True)
        if long:
            self._leave_place()  # it came in whole, and is charged by who has it now
        if full:
            self._full = True
            self._link.pause()

    def _notice_rest(self) -> None:
        if self._overflowed and not self.waiting:
            self._rest.set()


class LinkOutlet:
    """The bridge's messages out through the connection that stands; without one they are not sent.

    That loses nothing: a device without a receipt sends again, and canonical events have a cursor.
    """

    def __init__(self) -> None:
        self._link: BrokerLink | None = None

    def connected(self, link: BrokerLink | None) -> None:
        """Use this connection from now on; None: there is none."""
        self._link = link

    def listening(self, topic: str) -> bool:  # noqa: ARG002  # who subscribes is the broker's knowledge
        """Whether the message can be sent at all."""
        return self._link is not None and self._link.alive

    def room(self, topic: str) -> int:
        """What the broker takes, as far as it says so."""
        return self._link.room(topic) if self._link is not None else 0

    def send(self, topic: str, payload: bytes) -> bool:
        """Publish, not retained; False when it is larger than the broker takes, or too much waits for the broker."""
        return self._link is not None and self._link.send(topic, payload)


class LinkShelf:
    """Retained messages of the bridge at an external broker, through the connection that stands.

    Not every broker gives what is retained to filters with wildcards, which Home Assistant's are.
    """

    remembers: Final = False

    def __init__(self) -> None:
        self._link: BrokerLink | None = None
        self.run = 0
        self.births = 0

    def hear(self, message: Publish) -> None:
        """A message on Home Assistant's status topic; one that was retained is of some other time."""
        if message.payload == _BORN and not message.retain:
            self.births += 1

    @property
    def ready(self) -> bool:
        """Whether there is a connection."""
        return self._link is not None and self._link.alive

    @property
    def lasting(self) -> bool:
        """Whether the broker knows the bridge's session: one that lost it may have lost what was retained, too."""
        return self._link is not None and self._link.agreed.session_present

    def connected(self, link: BrokerLink | None) -> None:
        """Use this connection from now on; None: there is none."""
        self._link = link
        if link is not None:
            self.run += 1

    def recall(self, topic: str) -> bytes:  # noqa: ARG002
        """Never asked: a broker is not read back."""
        return b""

    def retain(self, topic: str, payload: bytes, done: Callable[[bool], None]) -> bool:
        """Publish, retained; ``done`` with the broker's word. False: no connection, or too much waits there."""
        link = self._link
        if link is None:
            return False
        return link.send(topic, payload, retain=True, done=lambda answer: done(answer.reason < _REFUSED))
