# long: the four sides of the front door that others keep, each with its suite
"""What the front door asks of the bridge (``broker.embedded.ports``), as tests that any implementation runs through.

Subclass ``IngestContract``, ``FeederContract``, ``ArrivalsContract`` or ``RequestsContract`` in a test module and give
it the fixture that it names.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Protocol

from healthsync_mqtt.broker.embedded.ports import Arrivals, Feeder, Ingest, RefusedNotice, Requests, Wish
from healthsync_mqtt.broker.embedded.sessions.index import GrantedQos
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.identity.login.proof import Login
from healthsync_mqtt.model.delivery import Delivery, DeliveryVerdict
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.mqtt.codec import Decoder
from healthsync_mqtt.mqtt.codec.packets import Publish
from healthsync_mqtt.topics.registry import Channel, TopicRegistry

_MOST_BYTES = 1 << 28
_MANY = 2_000
_REGISTRY = TopicRegistry.load()
_WATCH = Principal(role=Role.device, client_id="alice-watch", user="alice", device="watch")
_APP = Principal(role=Role.subscriber, client_id="app", users=None, types=None)


# -- Ingest


class Intake(Protocol):
    """What takes deliveries; alice and bob agree to everything. Its backlog is full after less than 2,000 events."""

    @property
    def ingest(self) -> Ingest:
        """What is tried."""

    def stored(self) -> list[str]:
        """Ids of the events that are durable."""

    def hold(self) -> None:
        """No commit from now on."""

    async def settle(self) -> None:
        """Commits go on, and everything that was taken is durable and acknowledged."""


class NotedSource:
    """A source (``model.delivery.Source``) that remembers what it is told."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.tokens: list[int] = []
        self.verdicts: list[DeliveryVerdict] = []
        #: of each token, what was durable when it was acknowledged
        self.durable: dict[int, list[str]] = {}
        self.resumed = 0

    def acknowledge(self, tokens: Sequence[int], verdicts: Sequence[DeliveryVerdict] = ()) -> None:
        """Note them."""
        self.tokens += tokens
        self.verdicts += verdicts
        self.durable |= dict.fromkeys(tokens, self._intake.stored())

    def charge(self, cost: int) -> None:
        """Nothing."""

    def resume(self) -> None:
        """Count it."""
        self.resumed += 1


def _event(name: str) -> bytes:
    return json.dumps(
        {"id": name, "type": "heart_rate", "start_time": "2025-11-23T05:00:00Z", "value": {"bpm": 60}}
    ).encode()


def _delivery(
    source: NotedSource, token: int, payload: bytes = b"", *, user: str = "alice", told: bool = False
) -> Delivery:
    origin = Origin(user, "watch", None, f"users/{user}/devices/watch/events")
    return Delivery(source, token, origin, payload or _event(f"{user}-{token}"), told=told)


class IngestContract:
    """The tests of an ``Ingest``, with an ``intake`` fixture."""

    async def test_events_are_of_the_user_and_device_of_their_topic(self, intake: Intake) -> None:
        topic = "users/alice/devices/watch/events"
        parsed = _REGISTRY.parse(topic)
        assert parsed is not None
        origin = intake.ingest.origin(parsed[0], parsed[1], _WATCH, topic)
        assert (origin.user, origin.device, origin.topic) == ("alice", "watch", topic)

    async def test_each_delivery_is_acknowledged_once_in_order_and_when_it_is_durable(self, intake: Intake) -> None:
        first, second = NotedSource(intake), NotedSource(intake)
        intake.hold()
        for token in range(0, 30, 2):
            intake.ingest.submit([_delivery(first, token), _delivery(first, token + 1)])
            intake.ingest.submit([_delivery(second, token, user="bob")])
        for _ in range(20):
            await asyncio.sleep(0)
        assert (first.tokens, second.tokens) == ([], [])
        await intake.settle()
        intake.ingest.submit([_delivery(first, 30)])
        await intake.settle()
        assert (first.tokens, second.tokens) == (list(range(31)), list(range(0, 30, 2)))
        for user, source in (("alice", first), ("bob", second)):
            for token, durable in source.durable.items():
                assert f"{user}-{token}" in durable

    async def test_what_is_no_event_is_acknowledged_too(self, intake: Intake) -> None:
        """It would come again for ever."""
        source = NotedSource(intake)
        noise = (b"{", b"\xff", b"[]", b"null", b"\x1f\x8b", b'{"id": "x"}')
        intake.ingest.submit([_delivery(source, n, payload) for n, payload in enumerate(noise, 1)])
        await intake.settle()
        assert source.tokens == list(range(1, len(noise) + 1))

    async def test_who_asks_for_it_is_told_what_became_of_each(self, intake: Intake) -> None:
        source = NotedSource(intake)
        intake.ingest.submit([_delivery(source, n, told=True) for n in (1, 2, 3)])
        await intake.settle()
        assert len(source.verdicts) == 3
        assert source.verdicts[0].epoch
        assert [verdict.stored + verdict.duplicate for verdict in source.verdicts] == [1, 1, 1]

    async def test_who_is_told_to_wait_is_told_to_go_on(self, intake: Intake) -> None:
        """Unless it is gone. Who was not told to wait is not told to go on."""
        quick, full, gone, late = (NotedSource(intake) for _ in range(4))
        intake.hold()
        assert not intake.ingest.submit([_delivery(quick, 1, user="bob")])
        for source in (full, gone):
            assert any(intake.ingest.submit([_delivery(source, n)]) for n in range(_MANY))
        waits = intake.ingest.hold(late, None)
        intake.ingest.leave(gone)
        intake.ingest.leave(quick)
        await intake.settle()
        assert (quick.resumed, full.resumed, gone.resumed, late.resumed) == (0, 1, 0, int(waits))
        assert not intake.ingest.hold(NotedSource(intake), "alice")

    async def test_a_message_that_went_nowhere_may_be_anybodys(self, intake: Intake) -> None:
        for principal in (_WATCH, _APP):
            for notice in (RefusedNotice("not_allowed", "a/b", "no"), RefusedNotice("too_large", "", "no", 1_000)):
                intake.ingest.refuse(principal, notice)
        await intake.settle()


# -- Feeder


class Feeding(Protocol):
    """A feeder, and the log and sessions that it is for."""

    @property
    def feeder(self) -> Feeder:
        """What is tried."""

    @property
    def sessions(self) -> Sessions:
        """Which it fills."""

    def store(self, *names: str) -> None:
        """Events of alice's with these ids are in the log."""

    async def settle(self) -> None:
        """Everything that can be handed out now was handed out."""


class FedClient:
    """A connection with canonical events, as the door has it (``sessions.table.SessionLink``)."""

    def __init__(self, feeding: Feeding, name: str = "app", *, persistent: bool = False) -> None:
        """It connects; ``subscribe`` follows unless its session has its filter still."""
        self._feeding = feeding
        self._principal = Principal(role=Role.subscriber, client_id=name, users=None, types=None)
        self._decoder = Decoder(_MOST_BYTES, _MOST_BYTES, server=False)
        self._answered = 0
        self.packets: list[Publish] = []
        self.reads = True
        self.prepared = 0
        if not persistent:
            feeding.feeder.forget(name)
        self.session, self.present = feeding.sessions.open(self, self._principal, clean=not persistent)
        if self.present:
            feeding.feeder.attach(self.session)

    def subscribe(self, topic_filter: str = "users/alice/canonical/+") -> None:
        """As after a SUBSCRIBE that was granted."""
        wish = Wish(topic_filter, 1)
        assert self._feeding.feeder.refusal(self.session, wish) is None
        self._feeding.sessions.subscribe(self.session, topic_filter, GrantedQos(1))

        def prepared() -> None:
            self.prepared += 1
            self._feeding.feeder.attach(self.session)

        self._feeding.feeder.prepare(self.session, [wish], prepared)

    def unsubscribe(self, topic_filter: str = "users/alice/canonical/+") -> None:
        """As after an UNSUBSCRIBE."""
        self._feeding.sessions.unsubscribe(self.session, topic_filter)
        self._feeding.feeder.leave(self.session, topic_filter)

    def leave(self) -> None:
        """The connection ends."""
        self._feeding.feeder.detach(self.session)
        self._feeding.sessions.leave(self, self.session, self._feeding.sessions.now())

    def acknowledge(self, most: int = 1_000_000) -> None:
        """PUBACK of the oldest messages."""
        for packet in self.packets[self._answered :][:most]:
            self._answered += 1
            self.session.on_puback(packet.packet_id)
        self.flush()
        if self.session.position is not None and self.session.room:
            self._feeding.feeder.wanted(self.session)

    def ids(self) -> list[str]:
        """What has come, in order."""
        return [json.loads(packet.payload)["id"] for packet in self.packets]

    def flush(self) -> None:
        """Send what the session has."""
        while self.reads and (data := self.session.transmit()):
            self.packets += [packet for packet in self._decoder.feed(data) if isinstance(packet, Publish)]

    def close(self, reason: str, *, will: bool, to: str = "") -> None:  # noqa: ARG002
        """Taken over."""
        self.leave()


class FeederContract:
    """The tests of a ``Feeder``, with a ``feeding`` fixture."""

    async def test_who_subscribes_gets_what_is_stored_from_then_on_in_order(self, feeding: Feeding) -> None:
        feeding.store("before")
        client = FedClient(feeding)
        client.subscribe()
        await feeding.settle()
        feeding.store("a", "b")
        feeding.store("c")
        await feeding.settle()
        assert (client.prepared, client.ids()) == (1, ["a", "b", "c"])
        for packet in client.packets:
            assert (packet.topic, packet.qos, packet.retain) == (b"users/alice/canonical/heart_rate", 1, False)

    async def test_who_is_attached_twice_gets_nothing_twice(self, feeding: Feeding) -> None:
        client = FedClient(feeding)
        client.subscribe()
        await feeding.settle()
        feeding.feeder.attach(client.session)
        feeding.store("a")
        feeding.feeder.attach(client.session)
        await feeding.settle()
        assert client.ids() == ["a"]

    async def test_another_s_events_do_not_come(self, feeding: Feeding) -> None:
        client, other = FedClient(feeding), FedClient(feeding, "other")
        client.subscribe()
        other.subscribe("users/bob/canonical/+")
        await feeding.settle()
        feeding.store("a")
        await feeding.settle()
        assert (client.ids(), other.ids()) == (["a"], [])

    async def test_who_acknowledges_slowly_gets_everything_at_its_pace(self, feeding: Feeding) -> None:
        """And holds nobody up."""
        slow, quick = FedClient(feeding), FedClient(feeding, "quick")
        for client in (slow, quick):
            client.subscribe()
        await feeding.settle()
        names = [f"e{n}" for n in range(300)]
        for start in range(0, 300, 50):
            feeding.store(*names[start : start + 50])
            await feeding.settle()
            quick.acknowledge()
            await feeding.settle()
        while len(quick.packets) < len(names):
            before = len(quick.packets)
            quick.acknowledge()
            await feeding.settle()
            assert len(quick.packets) > before
        assert len(slow.packets) < len(names)
        while len(slow.packets) < len(names):
            before = len(slow.packets)
            slow.acknowledge(7)
            await feeding.settle()
            assert len(slow.packets) > before
        assert (quick.ids(), slow.ids()) == (names, names)

    async def test_a_persistent_session_goes_on_at_what_it_has_not_acknowledged(self, feeding: Feeding) -> None:
        client = FedClient(feeding, persistent=True)
        client.subscribe()
        await feeding.settle()
        feeding.store("a", "b", "c")
        await feeding.settle()
        client.acknowledge(1)
        client.leave()
        feeding.store("d", "e")
        await feeding.settle()
        again = FedClient(feeding, persistent=True)
        assert again.present
        await feeding.settle()
        again.acknowledge()
        await feeding.settle()
        feeding.store("f")
        await feeding.settle()
        assert (client.ids(), again.ids()) == (["a", "b", "c"], ["b", "c", "d", "e", "f"])

    async def test_a_client_that_is_forgotten_begins_anew(self, feeding: Feeding) -> None:
        client = FedClient(feeding, persistent=True)
        client.subscribe()
        await feeding.settle()
        client.leave()
        feeding.store("a")
        again = FedClient(feeding)
        assert not again.present
        again.subscribe()
        await feeding.settle()
        feeding.store("b")
        await feeding.settle()
        assert (client.ids(), again.ids()) == ([], ["b"])
        feeding.feeder.forget("nobody")

    async def test_who_is_gone_or_has_unsubscribed_gets_no_more(self, feeding: Feeding) -> None:
        gone, done = FedClient(feeding, "gone"), FedClient(feeding, "done")
        for client in (gone, done):
            client.subscribe()
        await feeding.settle()
        gone.leave()
        done.unsubscribe()
        feeding.store("a")
        await feeding.settle()
        feeding.feeder.wanted(gone.session)
        await feeding.settle()
        assert (gone.ids(), done.ids()) == ([], [])

    async def test_a_filter_is_fed_or_it_is_said_why_not(self, feeding: Feeding) -> None:
        client = FedClient(feeding)
        for wish in (Wish("users/alice/canonical/+", 1), Wish("$share/g/users/alice/canonical/+", 1)):
            unfed = feeding.feeder.refusal(client.session, wish)
            assert unfed is None or (unfed.reason and unfed.said)
        bad = feeding.feeder.refusal(client.session, Wish("users/alice/canonical/+", 1, 0, (("from", "yesterday?"),)))
        assert bad is not None
        assert bad.reason
        assert bad.said


# -- Arrivals


class Register(Protocol):
    """Where it is kept who was here; ``alice-watch`` and ``app`` are known."""

    @property
    def arrivals(self) -> Arrivals:
        """What is tried."""

    async def seen(self, client_id: str) -> tuple[str, int] | None:
        """The address and the protocol level that a client came with last."""


class ArrivalsContract:
    """The tests of ``Arrivals``, with a ``register`` fixture."""

    async def test_the_newest_arrival_counts(self, register: Register) -> None:
        arrivals = register.arrivals
        arrivals.entered("alice-watch", "192.0.2.7", 4)
        arrivals.entered("app", "::1", 4)
        arrivals.left("alice-watch")
        arrivals.entered("alice-watch", "192.0.2.8", 5)
        arrivals.left("alice-watch")
        assert await register.seen("alice-watch") == ("192.0.2.8", 5)
        assert await register.seen("app") == ("::1", 4)

    async def test_who_leaves_without_having_come_was_not_here(self, register: Register) -> None:
        register.arrivals.left("app")
        register.arrivals.left("nobody")
        assert await register.seen("app") is None

    async def test_it_is_quick_to_forget_that_it_was_told_before(self, register: Register) -> None:
        """As often as clients like: what is kept is one word of each."""
        for n in range(1_000):
            register.arrivals.entered("alice-watch", f"192.0.2.{n % 250}", 4)
            register.arrivals.left("alice-watch")
        assert await register.seen("alice-watch") == ("192.0.2.249", 4)
        assert await register.seen("app") is None


# -- Requests


class RequestDesk(Protocol):
    """Who answers requests, and clients that may ask."""

    @property
    def requests(self) -> Requests:
        """What is tried."""

    @property
    def channel(self) -> Channel:
        """What is asked on."""

    def login(self, number: int) -> Login:
        """A client of its own for each number."""

    async def settle(self) -> None:
        """What was asked is answered."""


def asked(transaction: str) -> bytes:
    """A request that is good for a client which has just logged in."""
    return json.dumps({"transaction": transaction}).encode()


class RequestsContract:
    """The tests of ``Requests``, with a ``counter`` fixture."""

    async def test_each_request_is_answered_once_and_later(self, counter: RequestDesk) -> None:
        answers: dict[int, list[bytes]] = {1: [], 2: []}
        for number, got in answers.items():
            assert counter.requests.take(counter.channel, counter.login(number), asked(f"t-{number}"), got.append)
        assert answers == {1: [], 2: []}
        await counter.settle()
        await counter.settle()
        for number, got in answers.items():
            assert [json.loads(answer)["transaction"] for answer in got] == [f"t-{number}"]

    async def test_a_client_has_one_request_at_a_time(self, counter: RequestDesk) -> None:
        got: list[bytes] = []
        login = counter.login(1)
        heard = [counter.requests.take(counter.channel, login, asked(f"t-{n}"), got.append) for n in range(50)]
        assert heard == [True] + [False] * 49
        await counter.settle()
        assert [json.loads(answer)["transaction"] for answer in got] == ["t-0"]
        assert counter.requests.take(counter.channel, login, asked("again"), got.append)
        await counter.settle()
        assert [json.loads(answer)["transaction"] for answer in got] == ["t-0", "again"]

    async def test_noise_hurts_nobody(self, counter: RequestDesk) -> None:
        for n, noise in enumerate((b"", b"{", b"\xff", b"[" * 100_000, b'{"a": 1}', b"null", b"x" * 100_000), 10):
            got: list[bytes] = []
            heard = counter.requests.take(counter.channel, counter.login(n), noise, got.append)
            await counter.settle()
            assert len(got) == heard
        answers: list[bytes] = []
        assert counter.requests.take(counter.channel, counter.login(1), asked("still"), answers.append)
        await counter.settle()
        assert len(answers) == 1
