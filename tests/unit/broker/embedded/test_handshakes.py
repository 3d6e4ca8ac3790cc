"""TLS handshakes are bounded in number and begin in turns, whatever the loop is and however many come at once."""

import asyncio
import gc
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import uvloop

from healthsync_mqtt.broker.embedded import handshakes as handshakes_module
from healthsync_mqtt.broker.embedded.handshakes import AT_ONCE, Arrival, Handshakes
from healthsync_mqtt.broker.embedded.limits.addresses import Knock
from healthsync_mqtt.broker.embedded.listeners import Bound, Listeners
from healthsync_mqtt.broker.embedded.rests import Rests
from healthsync_mqtt.identity.certificates.files import ensure_ca_and_server
from tests.support.floods.kinds import half_hello
from tests.support.patience import PATIENCE_S


class Pairs:
    """Arrivals whose clients are sockets of ours, and whose handshakes last until they are told to end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, most: int) -> None:
        monkeypatch.setattr(handshakes_module, "MOST", most)
        self.rests = Rests()
        self.handshakes = Handshakes(self.rests, within_s=60.0)
        self.begun: list[str] = []
        self.gone: dict[str, Exception] = {}
        self.cut: list[str] = []
        self.over: dict[str, asyncio.Event] = {}
        self.clients: dict[str, socket.socket] = {}

    def arrive(self, name: str, address: str = "a") -> None:
        ours, self.clients[name] = socket.socketpair()
        ours.setblocking(False)
        over = self.over[name] = asyncio.Event()

        async def shake() -> None:
            self.begun.append(name)
            try:
                await over.wait()
            finally:
                ours.close()

        def cut() -> None:
            self.cut.append(name)
            over.set()

        def gone(error: Exception) -> None:
            self.gone[name] = error
            ours.close()

        self.handshakes.arrive(Arrival(ours, address, shake=shake, cut=cut, gone=gone))

    def speak(self, *names: str) -> None:
        for name in names:
            self.clients[name].send(b"\x16")

    async def close(self) -> None:
        await self.handshakes.close()
        for each in self.clients.values():
            each.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # what is waited for happens on this loop
            await asyncio.sleep(0)


@pytest.fixture
async def make(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[int], Pairs]]:
    made: list[Pairs] = []

    def pairs(most: int) -> Pairs:
        made.append(Pairs(monkeypatch, most=most))
        return made[-1]

    yield pairs
    for each in made:
        await each.close()


async def test_who_says_nothing_costs_no_handshake(make: Callable[[int], Pairs]) -> None:
    pairs = make(10)
    for name in ("silent", "left", "speaks"):
        pairs.arrive(name)
    pairs.clients["left"].close()
    pairs.speak("speaks")
    await until(lambda: bool(pairs.begun) and bool(pairs.gone))
    assert pairs.begun == ["speaks"]
    assert list(pairs.gone) == ["left"]
    await pairs.handshakes.close()
    assert sorted(pairs.gone) == ["left", "silent"]


async def test_a_storm_of_hellos_begins_a_few_at_a_time(make: Callable[[int], Pairs]) -> None:
    pairs = make(1_000)
    begun: list[int] = []
    after_next = pairs.rests.after_next

    def counted(work: Callable[[], None]) -> None:
        begun.append(len(pairs.begun))
        after_next(work)

    pairs.rests.after_next = counted  # type: ignore[method-assign]
    names = [f"n{number}" for number in range(5 * AT_ONCE)]
    for name in names:
        pairs.arrive(name)
    pairs.speak(*names)
    await until(lambda: len(pairs.begun) == len(names))
    assert len(begun) >= 4
    assert all(b - a <= 2 * AT_ONCE for a, b in pairwise(begun))


async def test_places_are_bounded_and_the_crowd_makes_room_for_who_has_fewer(make: Callable[[int], Pairs]) -> None:
    pairs = make(3)
    crowd = [f"c{number}" for number in range(6)]
    for name in crowd:
        pairs.arrive(name, "crowd")
    pairs.speak(*crowd)
    await until(lambda: len(pairs.begun) == 3)
    pairs.arrive("other", "other")
    pairs.speak("other")
    await until(lambda: "other" in pairs.begun)
    assert pairs.cut == ["c0"]
    assert pairs.handshakes.under_way == 3
    pairs.over["other"].set()
    await until(lambda: len(pairs.begun) == 5)
    assert pairs.begun == ["c0", "c1", "c2", "other", "c3"]


async def test_of_a_storm_of_many_addresses_nobody_is_cut_and_all_get_a_place(make: Callable[[int], Pairs]) -> None:
    pairs = make(3)
    names = [f"n{number}" for number in range(20)]
    for name in names:
        pairs.arrive(name, name)
    pairs.speak(*names)
    for _ in names:
        await until(lambda: any(not pairs.over[name].is_set() for name in pairs.begun))
        assert pairs.handshakes.under_way <= 3
        pairs.over[next(name for name in pairs.begun if not pairs.over[name].is_set())].set()
    assert sorted(pairs.begun) == sorted(names)
    assert (pairs.cut, pairs.gone) == ([], {})


class Threshold:
    """Lets everybody in."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.left = 0

    def knock(self, peer: str, leave: Callable[[], None]) -> Knock:
        return Knock(peer, leave)

    def failed(self, _peer: str, error: Exception) -> None:
        self.failures.append(error)

    def crowded(self, _peer: str) -> None:
        raise AssertionError("one address only")

    def gone(self, _knock: Knock) -> None:
        self.left += 1

    def exhausted(self, error: OSError) -> None:
        raise error


@asynccontextmanager
async def listening(tmp_path: Path, threshold: Any) -> AsyncIterator[tuple[Listeners, Bound]]:
    made = ensure_ca_and_server(tmp_path, [], datetime.now(UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.server_cert, made.server_key)
    listeners = Listeners(lambda _: None, threshold, Rests(), most=1000)
    (bound,) = await listeners.open(("127.0.0.1",), 0, tls=context)
    try:
        yield listeners, bound
    finally:
        listeners.close()
        await listeners.closed()


async def test_what_a_cut_handshake_took_is_given_back_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncio's handshakes that failed stayed in cycles, 300 KB each, until the collector came by."""
    monkeypatch.setattr(handshakes_module, "MOST", 10)
    threshold = Threshold()
    async with listening(tmp_path, threshold) as (listeners, bound):
        gc.collect()
        gc.disable()
        try:
            for number in range(1, 61):
                client = socket.create_connection(bound)
                client.sendall(half_hello())
                await until(lambda: listeners._acceptor.handshakes.under_way == 1)
                client.close()
                await until(lambda count=number: threshold.left == count)  # type: ignore[misc]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            left = [each for each in gc.get_objects() if isinstance(each, SSLProtocol)]
            assert len(left) <= 1
            del threshold.failures[:]
        finally:
            gc.enable()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_no_more_than_so_many_are_under_way_whatever_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    monkeypatch.setattr(handshakes_module, "MOST", 7)
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(most_of_forty(tmp_path))


async def most_of_forty(tmp_path: Path) -> None:
    threshold = Threshold()
    async with listening(tmp_path, threshold) as (listeners, bound):
        clients = []
        for _ in range(40):
            clients.append(socket.create_connection(bound))
            clients[-1].sendall(half_hello())
        most = 0

        def all_wait() -> bool:
            nonlocal most
            most = max(most, listeners._acceptor.handshakes.under_way)
            return sum(map(len, listeners._acceptor.handshakes._line.values())) == 33

        await until(all_wait)
        assert most == 7
        for each in clients:
            each.close()
        await until(lambda: threshold.left == 40)
        await until(lambda: listeners._acceptor.handshakes.under_way == 0)
