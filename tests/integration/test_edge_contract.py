"""The contract of the bridge's edges: the front door over sockets, a Mosquitto, and the one in memory."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bridge.external import ExternalEdge
from bridge.service import Service
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.mqtt.codec.packets import Pingreq, Pingresp
from healthsync_mqtt.testing.edge_contract import ClosedEdgeContract, EdgeContract, EdgeSite, RunningEdge
from healthsync_mqtt.testing.memory_edge import MemoryEdge, MemoryFollower, MemoryServing
from tests.support.consent import agreed
from tests.support.inprocess import House, opened
from tests.support.mosquitto import Mosquitto
from tests.support.patience import PATIENCE_S
from tests.support.peer import Identity, Peer

RECEIPTS = "users/alice/devices/watch/receipts"
EVENTS = "users/alice/devices/watch/events"


class OnSockets:
    """A service with a device, a subscriber and an admin on connections of their own."""

    def __init__(self, service: Service, device: Peer, app: Peer, admin: Peer) -> None:
        self.service = service
        self._device = device
        self._app = app
        self._admin = admin

    async def publish(self, payload: bytes) -> None:
        await self._device.publish(EVENTS, payload)

    async def receipt(self) -> dict[str, Any]:
        return json.loads((await self._device.message()).payload)

    async def canonical(self) -> dict[str, Any]:
        message = await self._app.message()
        self._app.send(Pingreq())
        await self._app.expect(Pingresp)  # the other side has read the acknowledgement
        return json.loads(message.payload)

    async def status(self) -> dict[str, Any]:
        await self._admin.subscribe(("bridge/main/status", 1))
        return json.loads((await self._admin.message()).payload)


class AtTheDoor:
    def __init__(self, data: Path) -> None:
        self._data = data
        self._known: dict[str, Identity] = {}

    @asynccontextmanager
    async def run(self) -> AsyncIterator[RunningEdge]:
        async with opened(self._data) as house:
            if not self._known:
                self._known = {
                    "device": house.device("alice"),
                    "app": house.subscriber("app", ["alice"]),
                    "admin": house.admin(),
                }
            device, app, admin = [await self._peer(house, name) for name in ("device", "app", "admin")]
            await device.subscribe((RECEIPTS, 1))
            await app.subscribe(("users/alice/canonical/+", 1))
            yield OnSockets(house.service, device, app, admin)

    async def _peer(self, house: House, name: str) -> Peer:
        return await house.connect(self._known[name], clean=name != "app")


class OnMosquitto:
    def __init__(self, broker: Mosquitto) -> None:
        self._broker = broker

    @asynccontextmanager
    async def run(self) -> AsyncIterator[RunningEdge]:
        broker = self._broker
        async with AsyncExitStack() as stack:
            service = await stack.enter_async_context(Service.open(load_settings(broker.data), ExternalEdge.open))
            async with asyncio.timeout(PATIENCE_S):
                await service.listen()
            peers = [await self._peer(stack, name) for name in ("alice-watch", "app", "root")]
            device, app, admin = peers
            await device.subscribe((RECEIPTS, 1))
            await app.subscribe(("users/alice/canonical/+", 1))
            yield OnSockets(service, device, app, admin)

    async def _peer(self, stack: AsyncExitStack, name: str) -> Peer:
        address, account = self._broker.address, self._broker.account(name)
        peer = await Peer.open(f"{address.host}:{address.port}", tls=address.tls)
        stack.push_async_callback(peer.leave)
        answer = await peer.connect(Identity(client_id=name, token=account.password), clean=name != "app")
        assert answer.code == 0
        return peer


class InMemory:
    def __init__(self, data: Path, edge: type[MemoryEdge] = MemoryEdge) -> None:
        data.mkdir(mode=0o700)
        self._settings = load_settings(data)
        self._edge = edge

    @asynccontextmanager
    async def run(self) -> AsyncIterator[RunningEdge]:
        make = partial(self._edge.open, permissions=agreed("alice"))
        async with Service.open(self._settings, make) as service:
            await service.listen()
            yield InProcess(service)


class InProcess:
    def __init__(self, service: Service) -> None:
        assert isinstance(service.edge, MemoryEdge)
        assert isinstance(service.serving, MemoryServing)
        self.service = service
        self._edge, self._serving = service.edge, service.serving
        self._receipts = 0

    async def publish(self, payload: bytes) -> None:
        await self._serving.publish("alice", "watch", payload)

    async def receipt(self) -> dict[str, Any]:
        self._receipts += 1
        return [json.loads(payload) for topic, payload in self._edge.outlet.messages if topic == RECEIPTS][
            self._receipts - 1
        ]

    async def canonical(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            return json.loads((await self._edge.follower.messages.get())[1])

    async def status(self) -> dict[str, Any]:
        while not self._edge.statuses:  # noqa: ASYNC110  # said on this loop
            await asyncio.sleep(0)
        return json.loads(self._edge.statuses[-1])


class TestAtTheDoor(ClosedEdgeContract):
    @pytest.fixture
    def site(self, tmp_path: Path) -> EdgeSite:
        return AtTheDoor(tmp_path / "data")


class TestInMemory(ClosedEdgeContract):
    @pytest.fixture
    def site(self, tmp_path: Path) -> EdgeSite:
        return InMemory(tmp_path / "data")


@pytest.mark.real_server
class TestOnMosquitto(EdgeContract):
    @pytest.fixture
    def site(self, tmp_path: Path) -> Iterator[EdgeSite]:
        broker = Mosquitto(tmp_path)
        now = time.time_ns() // 1000
        with broker.registry() as registry:
            registry.add_user("alice", "all", now)
            registry.add_device("alice", "watch", now)
            registry.add_subscriber("app", ["alice"], None, now)
            registry.add_admin("root", now)
        with broker:
            asyncio.run(broker.provision())
            yield OnMosquitto(broker)


class HastyServing(MemoryServing):
    """Acknowledges what it has only handed over."""

    async def publish(self, user: str, device: str, payload: bytes) -> None:
        sending = asyncio.create_task(super().publish(user, device, payload))
        await asyncio.sleep(0)
        sending.add_done_callback(lambda done: done.exception())


class OpenServing(MemoryServing):
    """Acknowledges what comes after the stop, and drops it."""

    async def publish(self, user: str, device: str, payload: bytes) -> None:
        if self._open:
            await super().publish(user, device, payload)


class ForgetfulFollower(MemoryFollower):
    def keep(self) -> None:
        self._cursors.move("memory:subscriber", 0)
        self._cursors.keep()


def edge(serving: type[MemoryServing] = MemoryServing, follower: Callable[..., MemoryFollower] = MemoryFollower) -> Any:
    class Broken(MemoryEdge):
        def __init__(self, base: Any, permissions: Any) -> None:
            super().__init__(base, permissions)
            self.follower = follower(base)

        @asynccontextmanager
        async def serve(self, pipeline: Any, status: Any) -> AsyncIterator[MemoryServing]:
            yield serving(self, pipeline)

    return Broken


@pytest.mark.parametrize(
    ("broken", "clause"),
    [
        (edge(HastyServing), ClosedEdgeContract.test_what_is_acknowledged_is_stored),
        (edge(OpenServing), ClosedEdgeContract.test_what_comes_after_the_stop_is_not_acknowledged),
        (
            edge(follower=ForgetfulFollower),
            ClosedEdgeContract.test_what_a_subscriber_has_acknowledged_does_not_come_in_the_next_run,
        ),
    ],
)
async def test_an_edge_with_a_fault_does_not_pass(
    broken: type[MemoryEdge], clause: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await clause(ClosedEdgeContract(), InMemory(tmp_path / "data", broken))
