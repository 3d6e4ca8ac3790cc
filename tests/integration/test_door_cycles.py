"""A connection that is over leaves nothing to the collector, whatever it was: one collection of many holds the loop."""

import asyncio
import contextlib
import gc
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from websockets.asyncio.client import connect

from healthsync_mqtt.mqtt.codec import encode, v5
from healthsync_mqtt.mqtt.codec.packets import Connack, Connect, Disconnect, Property, Publish, Subscribe, Will
from tests.support.floods.kinds import half_hello
from tests.support.inprocess import House, opened
from tests.support.peer import Identity, event

_TIMES = 5
_OURS = ("healthsync_mqtt.broker.", "healthsync_mqtt.identity.", "bridge.")
Way = Callable[[House, Identity], Awaitable[None]]


async def _says(house: House, data: bytes, *, tls: bool = False, hears: bool = True) -> None:
    peer = await house.knock(tls=tls)
    peer.send(data)
    if hears:
        await peer.reader.read()
    await peer.leave()


def _asked(who: Identity, level: int = 4, **changes: Any) -> bytes:
    asked = Connect(who.client_id, True, 60, who.client_id, who.token.encode())._replace(**changes)
    return v5.encode(asked._replace(protocol_level=5)) if level == 5 else encode(asked)


async def silent(house: House, _who: Identity) -> None:
    await (await house.knock()).leave()


async def silent_tls(house: House, _who: Identity) -> None:
    await (await house.knock(tls=True)).leave()


async def half_handshake(house: House, _who: Identity) -> None:
    host, _, port = house.ready.mqtts.rpartition(":")
    _reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(half_hello())
    await writer.drain()
    await house.until(lambda: house.door.listeners._acceptor.handshakes.under_way == 1, "the handshake begins")
    writer.transport.abort()


async def bad_version(house: House, who: Identity) -> None:
    await _says(house, _asked(who).replace(b"MQTT\x04", b"MQTT\x09"))


async def long_connect(house: House, _who: Identity) -> None:
    await _says(house, b"\x10\xff\xff\x7f" + bytes(1 << 16))


async def no_connect(house: House, _who: Identity) -> None:
    await _says(house, b"\xc0\x00")


async def bad_token(house: House, who: Identity) -> None:
    await _says(house, _asked(who, password=b"x"))


async def bad_token5(house: House, who: Identity) -> None:
    await _says(house, _asked(who, 5, password=b"x"))


async def left_while_refused(house: House, who: Identity) -> None:
    await _says(house, _asked(who, password=b"x"), hears=False)


async def goodbye(house: House, who: Identity) -> None:
    peer = await house.connect(who)
    await peer.subscribe((who.receipts, 1))
    await peer.publish(who.events, event("e1"))
    peer.send(Disconnect())
    await peer.closed()


async def goodbye_tls(house: House, who: Identity) -> None:
    peer = await house.connect(who, tls=True)
    peer.send(Disconnect())
    await peer.closed()


async def lost(house: House, who: Identity) -> None:
    peer = await house.connect(who, will=Will(who.status, b"{}", 0, retain=False))
    await peer.subscribe((who.receipts, 1))
    peer.send(Publish(who.events.encode(), event("e2"), 1, packet_id=7))
    peer.writer.transport.abort()


async def broke_the_protocol(house: House, who: Identity) -> None:
    await _says(house, _asked(who) + encode(Connack(False, 0)))


async def version5(house: House, who: Identity) -> None:
    about = {Property.TOPIC_ALIAS_MAXIMUM: 5, Property.AUTHENTICATION_METHOD: "healthsync-token"}
    asked = _asked(who, 5, properties=about)
    said = v5.encode(Subscribe(1, ((who.receipts, 1),))) + v5.encode(
        Publish(who.events.encode(), event("e3"), 1, packet_id=9)
    )
    await _says(house, asked + said + v5.encode(Disconnect(4)))


async def kicked(house: House, who: Identity) -> None:
    peer = await house.connect(who)
    assert house.door.kick(who.client_id)
    await peer.closed()


async def web_opened(house: House, _who: Identity) -> None:
    async with connect(
        f"wss://{house.ready.wss}/mqtt", ssl=house.tls, server_hostname="localhost", subprotocols=["mqtt"]
    ):  # type: ignore[list-item]
        pass


async def web_login(house: House, who: Identity) -> None:
    async with connect(
        f"wss://{house.ready.wss}/mqtt",
        ssl=house.tls,
        server_hostname="localhost",
        subprotocols=["mqtt"],  # type: ignore[list-item]
    ) as socket:
        await socket.send(_asked(who))
        await socket.recv()
        await socket.send(encode(Disconnect()))
        await socket.wait_closed()


WAYS: tuple[Way, ...] = (
    silent, silent_tls, half_handshake, bad_version, long_connect, no_connect, bad_token, bad_token5,
    left_while_refused, goodbye, goodbye_tls, lost, broke_the_protocol, version5, kicked, web_opened, web_login,
)  # fmt: skip


@contextlib.contextmanager
def left_to_the_collector() -> Iterator[Counter[str]]:
    """What of ours only a collection frees, by type: made known at the end."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    flags = gc.get_debug()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        for each in gc.garbage:
            name = f"{type(each).__module__}.{type(each).__qualname__}"
            if type(each).__module__.startswith(_OURS):
                found[name] += 1
    finally:
        gc.set_debug(flags)
        gc.garbage.clear()
        gc.enable()


async def _found(data: Path) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    async with opened(data, {"limits.failed_login_base_s": 0.001, "limits.failed_login_max_s": 0.001}) as house:
        for way in WAYS:
            who = house.device(way.__name__.replace("_", "-"))
            await way(house, who)  # what is made once
            await house.until(lambda: house.door.connections == 0, "it is gone")
            with left_to_the_collector() as left:
                for _ in range(_TIMES):
                    await way(house, who)
                    await house.until(lambda: house.door.connections == 0, "it is gone")
                    house.peers.clear()
                for _ in range(3):
                    await asyncio.sleep(0.01)
            if left:
                found[way.__name__] = dict(left)
    return found


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_connection_that_is_over_is_no_work_for_the_collector(
    tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """1,000 strangers a second were 90,000 objects in cycles, and a pause of 65 to 135 ms for everybody."""
    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(_found(tmp_path / "data")) == {}
