"""Wills that wait for their clients, in one run of the service and over several."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from healthsync_mqtt.broker.embedded.sessions.port import KeepNothing, KeptWill
from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained
from healthsync_mqtt.broker.embedded.sessions.store import SessionStore
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.broker.embedded.wills import MOST, DelayedWills
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.registry import TopicRegistry
from tests.support.patience import until

STATUS = "users/alice/devices/w/status"
RULES = AccessRules(TopicRegistry.load())


def device(name: str = "w") -> Principal:
    return Principal(role=Role.device, client_id=f"alice-{name}", user="alice", device=name)


def will(keep: KeepNothing | SessionStore, name: str = "w", wait_s: float = 1_000.0, payload: bytes = b"") -> KeptWill:
    return KeptWill(device(name), keep.running() + wait_s, STATUS, payload, 1, True, b"\x01\x01", 60)


class Router:
    """Hands out what is published when the test says so."""

    def __init__(self) -> None:
        self.given: list[KeptWill] = []
        self._waiting: list[tuple[KeptWill, Callable[[], None]]] = []

    def publish(self, will: KeptWill, then: Callable[[], None]) -> None:
        self._waiting.append((will, then))

    def route(self, store: SessionStore | None = None) -> None:
        for each, then in self._waiting:
            self.given.append(each)
            if store is not None:
                store.retain(each.topic, Retained(each.topic, each.payload, each.qos))
            then()
        self._waiting.clear()

    @property
    def names(self) -> list[str]:
        self.route()
        return [each.principal.device or "" for each in self.given]


async def test_wills_wait_are_cancelled_and_are_bounded() -> None:
    router, keep = Router(), KeepNothing()
    wills = DelayedWills(keep, router.publish)
    wills.hold(will(keep, "c0", 0.0))
    assert router.names == ["c0"]
    wills.hold(will(keep, "c1"))
    wills.cancel("alice-c1")
    wills.hold(will(keep, "c2"))
    wills.release("alice-c2")
    wills.release("alice-c2")
    assert router.names == ["c0", "c2"]
    for number in range(MOST + 1):
        wills.hold(will(keep, f"c{number}"))
    assert router.names == ["c0", "c2", "c0"]
    wills.stop()
    assert len(router.names) == 3, "they wait for the next run"


async def test_a_will_is_published_when_its_time_comes() -> None:
    router, keep = Router(), KeepNothing()
    wills = DelayedWills(keep, router.publish)
    wills.hold(will(keep, "late"))
    wills.hold(will(keep, "soon", 0.01))
    await until(lambda: router.names == ["soon"])


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Callable[[], SessionStore]]:
    """Begins a run of the service on the same file: the one before was killed with what it had made durable."""
    opened: list[SessionStore] = []

    def begin() -> SessionStore:
        for each in opened:
            if not each._closed:
                each._rows.clear()  # not written at a kill
                each.close()
        opened.append(SessionStore.open(tmp_path / "data" / "sessions.db"))
        return opened[-1]

    yield begin
    for each in opened:
        each.close()


async def durable(store: SessionStore) -> None:
    done = asyncio.Event()
    store.durable(done.set)
    await until(done.is_set)


def restored(store: SessionStore, *known: Principal) -> dict[int, KeptWill]:
    sessions = Sessions(LimitSettings(), RULES, store)
    sessions.restore({each.client_id: each for each in known}.get, lambda _user, _device: True)
    return sessions.left_wills()


async def test_a_will_that_waits_outlasts_a_kill(runs: Callable[[], SessionStore]) -> None:
    store, router = runs(), Router()
    wills = DelayedWills(store, router.publish)
    first, second = will(store, "a", payload=b"lost"), will(store, "b", 0.05)
    wills.hold(first)
    wills.hold(second)
    wills.hold(will(store, "back"))
    wills.cancel("alice-back")
    await durable(store)
    store, router = runs(), Router()
    left = restored(store, device("a"), device("b"), device("back"))
    assert [each.principal.device for each in left.values()] == ["a", "b"]
    assert left[1] == first._replace(due=pytest.approx(first.due, abs=1e-5))
    wills = DelayedWills(store, router.publish)
    wills.resume(left)
    await until(lambda: router.names == ["b"])
    wills.cancel("alice-a")
    wills.hold(will(store, "c"))  # numbered after those that were left
    await durable(store)
    store = runs()
    assert [each.principal.device for each in restored(store, device("a"), device("b"), device("c")).values()] == ["c"]


async def test_a_will_is_forgotten_when_its_message_is_kept_and_not_before(runs: Callable[[], SessionStore]) -> None:
    store, router = runs(), Router()
    wills = DelayedWills(store, router.publish)
    wills.hold(will(store, payload=b"lost"))
    wills.release("alice-w")  # on its way to the router
    await durable(store)
    store, router = runs(), Router()
    left = restored(store, device())
    assert [each.payload for each in left.values()] == [b"lost"], "killed before anybody had it"
    wills = DelayedWills(store, router.publish)
    wills.resume(left)
    wills.release("alice-w")
    router.route(store)
    assert {key[0] for key in store._rows} == {"retained", "will"}, "in one transaction"
    await durable(store)
    store = runs()
    assert [each.payload for each in store.retained()] == [b"lost"]
    assert restored(store, device()) == {}


async def test_a_client_that_came_back_and_went_again_has_its_newer_will(runs: Callable[[], SessionStore]) -> None:
    store, router = runs(), Router()
    wills = DelayedWills(store, router.publish)
    wills.hold(will(store, payload=b"first"))
    wills.release("alice-w")
    wills.hold(will(store, payload=b"second"))
    router.route()  # only now is the first one handed out
    await durable(store)
    store = runs()
    assert [each.payload for each in restored(store, device()).values()] == [b"second"]


async def test_who_lost_the_right_has_no_will_left(runs: Callable[[], SessionStore]) -> None:
    store = runs()
    wills = DelayedWills(store, Router().publish)
    wills.hold(will(store, "removed"))
    wills.hold(will(store, "other"))
    await durable(store)
    store = runs()
    other = Principal(role=Role.subscriber, client_id="alice-other")
    assert restored(store, other) == {}
    await durable(store)
    store = runs()
    assert store.wills() == {}
