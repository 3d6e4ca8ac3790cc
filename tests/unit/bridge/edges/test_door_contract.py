"""The contract of what the door asks of the bridge, by the bridge and by what is in memory; and that it can fail."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bridge.edges.embedded import DoorSource, RefusedMessages
from bridge.edges.requests import TokenRequests
from bridge.follow.canonical import CanonicalFeed
from bridge.jobs.sightings import Sightings
from bridge.ports import Commit
from bridge.stages.journal import Journal
from healthsync_mqtt.broker.embedded.ports import Arrivals, Feeder, Ingest, Requests, Unfed, Wish
from healthsync_mqtt.broker.embedded.sessions.session import Session
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.identity.exchange import TokenExchange
from healthsync_mqtt.identity.keys.signing import Keyring
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.enrolment import handle_of, normal_code
from healthsync_mqtt.identity.login.proof import Login
from healthsync_mqtt.identity.login.tokens import TokenIssuer
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.delivery import Delivery, Source
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.mqtt.codec.packets import version_of
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.testing.door_contract import (
    ArrivalsContract,
    FeederContract,
    Feeding,
    IngestContract,
    Intake,
    Register,
    RequestDesk,
    RequestsContract,
)
from healthsync_mqtt.testing.log_items import item
from healthsync_mqtt.testing.memory_bridge import MemoryArrivals, MemoryFeeder, MemoryIngest, MemoryRequests
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.registry import Channel
from tests.support.consent import agreeing
from tests.unit.bridge.bench import REGISTRY, Bench
from tests.unit.bridge.follow.test_publish import AtOnce

NOW = 1_800_000_000.0
NOW_US = int(NOW * 1e6)
LIMITS = LimitSettings(receive_window=20)


# -- Ingest


class ThePipeline:
    def __init__(self) -> None:
        self._bench = Bench(backlog_limit=20_000)
        bench = self._bench
        self.ingest: Ingest = DoorSource(bench.pipeline, RefusedMessages(REGISTRY, bench.chores, bench.outbox))

    def stored(self) -> list[str]:
        return self._bench.ids()

    def hold(self) -> None:
        self._bench.log.gate.clear()

    async def settle(self) -> None:
        self._bench.log.gate.set()
        await self._bench.settle()

    def close(self) -> None:
        self._bench.close()


class IntakeInMemory:
    def __init__(self, kind: Callable[[], MemoryIngest] = MemoryIngest) -> None:
        self._memory = kind()
        self.ingest: Ingest = self._memory

    def stored(self) -> list[str]:
        return [
            payload.decode("utf-8", "replace").split('"')[3] for payload, _ in self._memory.stored if b'"' in payload
        ]

    def hold(self) -> None:
        """Nothing is committed before ``settle`` anyway."""

    async def settle(self) -> None:
        self._memory.commit()

    def close(self) -> None:
        pass


class TestIngest(IngestContract):
    @pytest.fixture(params=[ThePipeline, IntakeInMemory])
    async def intake(self, request: pytest.FixtureRequest) -> AsyncIterator[Intake]:
        made = request.param()
        yield made
        made.close()


class Hasty(MemoryIngest):
    """Acknowledges what it has not stored yet."""

    def submit(self, deliveries: list[Delivery]) -> bool:
        deliveries[0].source.acknowledge([each.token for each in deliveries])
        return super().submit(deliveries)


class Backwards(MemoryIngest):
    def commit(self) -> None:
        self._pending.reverse()
        super().commit()


class Picky(MemoryIngest):
    def submit(self, deliveries: list[Delivery]) -> bool:
        return super().submit([each for each in deliveries if each.payload.endswith(b"}}")] or deliveries[:1])


class Silent(MemoryIngest):
    def submit(self, deliveries: list[Delivery]) -> bool:
        return super().submit([each._replace(told=False) for each in deliveries])


class Stuck(MemoryIngest):
    def commit(self) -> None:
        self._held.clear()
        super().commit()


class Clinging(MemoryIngest):
    def leave(self, source: Source) -> None:
        pass


class Nobodys(MemoryIngest):
    def origin(self, channel: Channel, variables: dict[str, str], principal: Principal, topic: str) -> Origin:
        return super().origin(channel, variables, principal, topic)._replace(user="bob")


@pytest.mark.parametrize(
    ("broken", "clause"),
    [
        (Hasty, IngestContract.test_each_delivery_is_acknowledged_once_in_order_and_when_it_is_durable),
        (Backwards, IngestContract.test_each_delivery_is_acknowledged_once_in_order_and_when_it_is_durable),
        (Picky, IngestContract.test_what_is_no_event_is_acknowledged_too),
        (Silent, IngestContract.test_who_asks_for_it_is_told_what_became_of_each),
        (Stuck, IngestContract.test_who_is_told_to_wait_is_told_to_go_on),
        (Clinging, IngestContract.test_who_is_told_to_wait_is_told_to_go_on),
        (Nobodys, IngestContract.test_events_are_of_the_user_and_device_of_their_topic),
    ],
)
async def test_an_ingest_with_a_fault_does_not_pass(
    broken: Callable[[], MemoryIngest], clause: Callable[..., Any]
) -> None:
    with pytest.raises(AssertionError):
        await clause(IngestContract(), IntakeInMemory(broken))


# -- Feeder


class TheFeed:
    def __init__(self) -> None:
        self._log = MemoryEventLog()
        self._journal = Journal(self._log)
        self.sessions = Sessions(LIMITS, AccessRules(REGISTRY))
        self._feed = CanonicalFeed(
            reader=self._log.reader(),
            head=self._journal.head(),
            registry=REGISTRY,
            chores=AtOnce(self._journal, self._log),
            gate=agreeing("alice", "bob"),
            sessions=self.sessions,
        )
        self.feeder: Feeder = self._feed

    def store(self, *names: str) -> None:
        self._log.stage([item(name, "alice") for name in names], [], 1)
        self._feed.committed(Commit(self._log.commit(), (), 1))

    async def settle(self) -> None:
        for _ in range(20):
            while self._feed._step():
                pass
            await asyncio.sleep(0)

    def close(self) -> None:
        self._journal._requests.put(None)
        self._journal._thread.join()


class FeedInMemory:
    def __init__(self, kind: Callable[[Sessions], MemoryFeeder] = MemoryFeeder) -> None:
        self.sessions = Sessions(LIMITS, AccessRules(REGISTRY))
        self._memory = kind(self.sessions)
        self.feeder: Feeder = self._memory

    def store(self, *names: str) -> None:
        for name in names:
            self._memory.store("users/alice/canonical/heart_rate", b'{"id": "%s"}' % name.encode())

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    def close(self) -> None:
        pass


class TestFeeder(FeederContract):
    @pytest.fixture(params=[TheFeed, FeedInMemory])
    async def feeding(self, request: pytest.FixtureRequest) -> AsyncIterator[Feeding]:
        made = request.param()
        yield made
        made.close()


class FromTheBeginning(MemoryFeeder):
    def prepare(self, session: Session, wishes: Sequence[Wish], then: Callable[[], None]) -> None:
        session.position = 0
        then()


class Again(MemoryFeeder):
    def attach(self, session: Session) -> None:
        if session.position:
            session.position -= 1
        super().attach(session)


class Impatient(MemoryFeeder):
    """Goes on although there is no room."""

    def _feed(self, session: Session) -> None:
        super()._feed(session)
        session.position = len(self._log)


class Forgetful(MemoryFeeder):
    """A session that comes back begins anew."""

    def detach(self, session: Session) -> None:
        super().detach(session)
        session.position = None
        self._places.clear()


class Remembering(MemoryFeeder):
    def detach(self, session: Session) -> None:
        super().detach(session)
        self._places.setdefault(session.client_id, 0)

    def forget(self, client_id: str) -> None:
        pass


class Broadcast(MemoryFeeder):
    """Whatever the filters say."""

    def _feed(self, session: Session) -> None:
        self._sessions.index.add(session, "users/+/canonical/+", 1)
        super()._feed(session)


class Speechless(MemoryFeeder):
    def refusal(self, session: Session, wish: Wish) -> Unfed | None:
        return None


class TwicePrepared(MemoryFeeder):
    def prepare(self, session: Session, wishes: Sequence[Wish], then: Callable[[], None]) -> None:
        super().prepare(session, wishes, then)
        then()


class Deaf(MemoryFeeder):
    def wanted(self, session: Session) -> None:
        pass


@pytest.mark.parametrize(
    ("broken", "clause"),
    [
        (FromTheBeginning, FeederContract.test_who_subscribes_gets_what_is_stored_from_then_on_in_order),
        (FromTheBeginning, FeederContract.test_a_client_that_is_forgotten_begins_anew),
        (Broadcast, FeederContract.test_another_s_events_do_not_come),
        (Broadcast, FeederContract.test_who_is_gone_or_has_unsubscribed_gets_no_more),
        (TwicePrepared, FeederContract.test_who_subscribes_gets_what_is_stored_from_then_on_in_order),
        (Again, FeederContract.test_who_is_attached_twice_gets_nothing_twice),
        (Impatient, FeederContract.test_who_acknowledges_slowly_gets_everything_at_its_pace),
        (Deaf, FeederContract.test_who_acknowledges_slowly_gets_everything_at_its_pace),
        (Forgetful, FeederContract.test_a_persistent_session_goes_on_at_what_it_has_not_acknowledged),
        (Remembering, FeederContract.test_a_client_that_is_forgotten_begins_anew),
        (Speechless, FeederContract.test_a_filter_is_fed_or_it_is_said_why_not),
    ],
)
async def test_a_feeder_with_a_fault_does_not_pass(
    broken: Callable[[Sessions], MemoryFeeder], clause: Callable[..., Any]
) -> None:
    with pytest.raises(AssertionError):
        await clause(FeederContract(), FeedInMemory(broken))


# -- Arrivals


class TheRegister:
    def __init__(self, path: Path) -> None:
        self._registry = Registry.open(path / "registry.db")
        self._registry.add_user("alice", "all", NOW_US)
        self._registry.add_device("alice", "watch", NOW_US)
        self._registry.add_subscriber("app", "*", "*", NOW_US)
        self._sightings = Sightings(self._registry, clock_us=lambda: NOW_US)
        self.arrivals: Arrivals = self._sightings

    async def seen(self, client_id: str) -> tuple[str, int] | None:
        await self._sightings.write()
        found = self._registry.sightings.all().get(client_id)
        if found is None or found.address is None:
            return None
        return found.address, next(level for level in (3, 4, 5) if version_of(level) == found.protocol)

    def close(self) -> None:
        self._registry.close()


class RegisterInMemory:
    def __init__(self, arrivals: MemoryArrivals | None = None) -> None:
        self._memory = arrivals or MemoryArrivals()
        self.arrivals: Arrivals = self._memory

    async def seen(self, client_id: str) -> tuple[str, int] | None:
        found = self._memory.seen.get(client_id)
        return None if found is None else (found.peer, found.level)

    def close(self) -> None:
        pass


class TestArrivals(ArrivalsContract):
    @pytest.fixture(params=["registry", "memory"])
    async def register(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Register]:
        made = TheRegister(tmp_path) if request.param == "registry" else RegisterInMemory()
        yield made
        made.close()


class FirstSeen(MemoryArrivals):
    def entered(self, client_id: str, peer: str, level: int) -> None:
        if client_id not in self.seen:
            super().entered(client_id, peer, level)


class Inventive(MemoryArrivals):
    def left(self, client_id: str) -> None:
        if client_id not in self.seen:
            self.entered(client_id, "", 4)


@pytest.mark.parametrize(
    ("broken", "clause"),
    [
        (FirstSeen, ArrivalsContract.test_the_newest_arrival_counts),
        (FirstSeen, ArrivalsContract.test_it_is_quick_to_forget_that_it_was_told_before),
        (Inventive, ArrivalsContract.test_who_leaves_without_having_come_was_not_here),
    ],
)
async def test_a_register_with_a_fault_does_not_pass(
    broken: Callable[[], MemoryArrivals], clause: Callable[..., Any]
) -> None:
    with pytest.raises(AssertionError):
        await clause(ArrivalsContract(), RegisterInMemory(broken()))


# -- Requests

CHANNEL = REGISTRY.channels["enroll_request"]


class TheExchange:
    channel = CHANNEL

    def __init__(self, path: Path) -> None:
        self._registry = Registry.open(path / "registry.db")
        self._registry.add_user("alice", "all", NOW_US)
        audit = AuditLog.open(path / "audit.db", path / "keys" / "audit.key")
        exchange = TokenExchange(self._registry, TokenIssuer(Keyring.generate()), audit)
        self._requests = TokenRequests(exchange, Directory(self._registry), clock=lambda: NOW)
        self.requests: Requests = self._requests

    def login(self, number: int) -> Login:
        code = normal_code(self._registry.enrolments.create("alice", f"d{number}", NOW_US))
        assert code is not None
        principal = Principal(role=Role.enroll, client_id=f"enroll-{number}")
        return Login(principal=principal, expires_at=NOW + 60, jti=None, enrolment=handle_of(code))

    async def settle(self) -> None:
        await self._requests.drain()
        await asyncio.sleep(0)

    def close(self) -> None:
        self._registry.close()


class DeskInMemory:
    channel = CHANNEL

    def __init__(self, requests: MemoryRequests | None = None) -> None:
        self._memory = requests or MemoryRequests()
        self.requests: Requests = self._memory

    def login(self, number: int) -> Login:
        principal = Principal(role=Role.enroll, client_id=f"enroll-{number}")
        return Login(principal=principal, expires_at=NOW + 60, jti=None)

    async def settle(self) -> None:
        self._memory.answer()

    def close(self) -> None:
        pass


class TestRequests(RequestsContract):
    @pytest.fixture(params=["registry", "memory"])
    async def counter(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RequestDesk]:
        made = TheExchange(tmp_path) if request.param == "registry" else DeskInMemory()
        yield made
        made.close()


class AtOnceAnswered(MemoryRequests):
    def take(self, channel: Channel, login: Login, payload: bytes, answer: Callable[[bytes], None]) -> bool:
        answer(payload)
        return True


class Talkative(MemoryRequests):
    def take(self, channel: Channel, login: Login, payload: bytes, answer: Callable[[bytes], None]) -> bool:
        def twice(body: bytes) -> None:
            answer(body)
            answer(body)

        return super().take(channel, login, payload, twice)


class Deaf(MemoryRequests):
    def take(self, channel: Channel, login: Login, payload: bytes, answer: Callable[[bytes], None]) -> bool:
        super().take(channel, login, payload, answer)
        return True


class Newest(MemoryRequests):
    def take(self, channel: Channel, login: Login, payload: bytes, answer: Callable[[bytes], None]) -> bool:
        self._waiting.pop(login.principal.client_id, None)
        return super().take(channel, login, payload, answer)


@pytest.mark.parametrize(
    ("broken", "clause"),
    [
        (AtOnceAnswered, RequestsContract.test_each_request_is_answered_once_and_later),
        (Talkative, RequestsContract.test_each_request_is_answered_once_and_later),
        (Talkative, RequestsContract.test_noise_hurts_nobody),
        (Deaf, RequestsContract.test_a_client_has_one_request_at_a_time),
        (Newest, RequestsContract.test_a_client_has_one_request_at_a_time),
    ],
)
async def test_who_answers_with_a_fault_does_not_pass(
    broken: Callable[[], MemoryRequests], clause: Callable[..., Any]
) -> None:
    with pytest.raises(AssertionError):
        await clause(RequestsContract(), DeskInMemory(broken()))
