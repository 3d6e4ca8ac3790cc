"""The three listeners: plain, TLS, WebSocket over TLS; from start to stop."""

import asyncio
import gc
import os
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.mqtt.codec import Decoder, encode
from healthsync_mqtt.mqtt.codec.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Subscribe,
    Will,
)
from tests.support.inprocess import Bystander, House, opened
from tests.support.patience import PATIENCE_S
from tests.support.peer import Identity, Peer, chunks, event
from tests.support.service import HEALTHSYNC


class WebPeer:
    """A client over WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._decoder = Decoder(1 << 24, server=False)
        self._packets: list[Packet] = []

    async def send(self, *packets: Packet) -> None:
        await self.socket.send(b"".join(map(encode, packets)))

    async def next(self) -> Packet:
        while not self._packets:
            async with asyncio.timeout(PATIENCE_S):
                data = await self.socket.recv()
            assert isinstance(data, bytes)
            self._packets += self._decoder.feed(data)
        return self._packets.pop(0)


def web(house: House, **options: Any) -> connect:
    options = {"subprotocols": ["mqtt"], "compression": None, "max_size": None, "proxy": None, **options}
    return connect(f"wss://localhost:{house.ready.wss.rpartition(':')[2]}/mqtt", ssl=house.tls, **options)


def login(identity: Identity, **changes: Any) -> Connect:
    return Connect(identity.client_id, True, 60, identity.client_id, identity.token.encode())._replace(**changes)


async def test_an_event_makes_its_way_over_websocket(house: House, bob: Bystander) -> None:
    watch, app = house.device("alice"), house.subscriber("app", ["alice"])
    async with web(house) as one, web(house) as two:
        assert one.subprotocol == "mqtt"
        device, reader = WebPeer(one), WebPeer(two)
        await reader.send(login(app), Subscribe(1, (("users/alice/canonical/+", 1),)))
        assert isinstance(await reader.next(), Connack)
        assert (await reader.next()) == Suback(1, (1,))
        await device.send(login(watch))
        assert await device.next() == Connack(False, 0)
        await device.send(Publish(watch.events.encode(), event("a"), 1, False, False, 7))
        assert await device.next() == Puback(7)
        message = await reader.next()
        assert isinstance(message, Publish)
        assert b'"id":"a"' in message.payload
        await device.send(Disconnect())
        with pytest.raises(ConnectionClosed):
            await one.recv()
        assert one.close_code == 1000
    await bob.goes_on()


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(["mqttv3.1"], "mqttv3.1"), (["mqttv3.1", "mqtt"], "mqtt"), (["soap", "mqttv3.1"], "mqttv3.1")],
)
async def test_a_client_of_3_1_names_its_sub_protocol_as_it_always_did(
    house: House, offered: list[str], chosen: str
) -> None:
    watch = house.device("alice")
    async with web(house, subprotocols=offered) as socket:
        assert socket.subprotocol == chosen
        peer = WebPeer(socket)
        await peer.send(login(watch, protocol_level=3, protocol_name="MQIsdp"))
        assert await peer.next() == Connack(False, 0)
        await peer.send(Publish(watch.events.encode(), event("a"), 1, False, False, 7))
        assert await peer.next() == Puback(7)


async def test_packets_cut_across_frames_and_fragments(house: House) -> None:
    watch = house.device("alice")
    async with web(house) as socket:
        peer = WebPeer(socket)
        data = encode(login(watch)) + b"".join(
            encode(Publish(watch.events.encode(), event(f"e{n}"), 1, False, False, n)) for n in range(1, 4)
        )
        for piece in chunks(data[:-200], 7):
            await socket.send(piece)
        await socket.send([data[-200:-100], data[-100:-1], data[-1:]])
        assert await peer.next() == Connack(False, 0)
        assert [await peer.next() for _ in range(3)] == [Puback(1), Puback(2), Puback(3)]
        await (await socket.ping())
    assert house.stored() == ["e1", "e2", "e3"]


async def test_a_disconnect_just_before_the_close_frame_counts(house: House) -> None:
    """Browsers send both in one breath: the will must not be told."""
    watch = house.device("alice")
    app = await house.connect(house.subscriber("app", ["alice"]))
    assert await app.subscribe((watch.status, 1)) == (1,)
    async with web(house) as socket:
        peer = WebPeer(socket)
        await peer.send(login(watch, will=Will(watch.status, b"lost", 1)))
        assert await peer.next() == Connack(False, 0)
        protocol = socket.protocol
        protocol.send_binary(encode(Publish(watch.events.encode(), event("last"))) + encode(Disconnect()))
        protocol.send_close(1000)
        socket.transport.write(b"".join(protocol.data_to_send()))
        with pytest.raises(ConnectionClosed):
            await peer.next()
    device = await house.connect(watch)
    await device.publish(watch.status, b"here", 1)
    assert (await app.message()).payload == b"here"
    await house.until(lambda: house.stored() == ["last"], "the event is stored")


async def test_a_lost_websocket_tells_the_will(house: House) -> None:
    watch = house.device("alice")
    app = await house.connect(house.subscriber("app", ["alice"]))
    assert await app.subscribe((watch.status, 1)) == (1,)
    async with web(house) as socket:
        peer = WebPeer(socket)
        await peer.send(login(watch, will=Will(watch.status, b"lost", 1)))
        assert await peer.next() == Connack(False, 0)
    assert (await app.message()).payload == b"lost"


async def test_a_text_frame_is_refused(house: House, bob: Bystander) -> None:
    watch = house.device("alice")
    async with web(house) as socket:
        peer = WebPeer(socket)
        await peer.send(login(watch))
        assert await peer.next() == Connack(False, 0)
        await socket.send("no MQTT")
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1003
    await bob.goes_on()


@pytest.mark.parametrize("options", [{"subprotocols": None}, {"subprotocols": ["soap"]}])
async def test_the_sub_protocol_has_to_be_mqtt(house: House, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with web(house, **options):
            pass
    assert refused.value.response.status_code == 400


@pytest.mark.parametrize("changes", [{"broker.allowed_origins": ("https://app.example",)}])
async def test_origins_come_from_the_list(house: House, caplog: pytest.LogCaptureFixture) -> None:
    for origin in ("https://evil.example", "https://app.example.evil.example", "http://app.example", "null"):
        with pytest.raises(InvalidStatus) as refused:
            async with web(house, origin=origin):
                pass
        assert refused.value.response.status_code == 403
    assert house.counters.refused_by_reason["origin"] == 4
    (said,) = [record for record in caplog.records if record.message == "door.origin_refused"]
    assert "allowed_origins" in str(said.__dict__)
    for origin in ("https://app.example", None):
        async with web(house, origin=origin) as socket:
            assert socket.subprotocol == "mqtt"


@pytest.mark.parametrize("changes", [{"limits.max_packet": 4096}])
async def test_the_limit_of_a_packet_holds_over_websocket(house: House, bob: Bystander) -> None:
    watch = house.device("alice")
    head = 2 + len(watch.status) + 2
    for size, fits in ((4096, True), (4097, True), (16 * 4096, True), (16 * 4096 + 1, False)):
        async with web(house) as socket:
            peer = WebPeer(socket)
            await peer.send(login(watch))
            assert await peer.next() == Connack(False, 0)
            await peer.send(Publish(watch.status.encode(), b"x" * (size - head), 1, False, False, 1))
            if fits:
                assert await peer.next() == Puback(1)
            else:
                with pytest.raises(ConnectionClosed):
                    await peer.next()
    async with web(house) as socket:
        await socket.send([b"\x10\xff\x1f"] + [b"x" * 1000] * 20)
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    await bob.goes_on()


@pytest.mark.parametrize(
    "data",
    [
        b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /mqtt HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"x" * 20_000,
        b"GET /mqtt HTTP/1.1\r\n" + b"X: y\r\n" * 1000,
    ],
)
async def test_what_is_no_websocket_is_cut_off(house: House, bob: Bystander, data: bytes) -> None:
    peer = await Peer.open(house.ready.wss, tls=house.tls)
    peer.writer.write(data)
    await peer.ended()
    await bob.goes_on()


async def test_a_websocket_that_says_nothing_whole_is_cut_off(house: House, bob: Bystander) -> None:
    async with web(house) as socket:
        await house.hurry(1, 0.1)
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    for begun in (b"GET /mqtt HTTP/1.1\r\nHost:", b"\x00" * 1000):
        peer = await Peer.open(house.ready.wss, tls=house.tls)
        peer.writer.write(begun)
        await house.hurry(1, 0.1)
        assert await peer.closed() == []
    await bob.goes_on()


async def test_frames_from_a_client_without_a_mask_are_refused(house: House, bob: Bystander) -> None:
    async with web(house) as socket:
        socket.transport.write(Frame(Opcode.BINARY, encode(Pingreq())).serialize(mask=False))
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    await bob.goes_on()


async def test_tls_refuses_what_is_old_or_plain(house: House, bob: Bystander) -> None:
    peer = await Peer.open(house.ready.mqtts)
    peer.writer.write(encode(login(house.device("alice"))))
    await peer.ended()
    stranger = ssl.create_default_context()
    with pytest.raises(ssl.SSLCertVerificationError):
        await Peer.open(house.ready.mqtts, tls=stranger)
    await bob.goes_on()


async def test_ping_over_every_listener(house: House) -> None:
    for tls in (False, True):
        peer = await house.connect(house.device("alice", f"d{tls}"), tls=tls)
        peer.send(Pingreq())
        assert await peer.next() == Pingresp()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_a_plain_listener_elsewhere_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError, match="loopback"):
        load_settings(tmp_path, {"broker.host": host})


def test_a_plain_listener_elsewhere_ends_the_start_with_78(tmp_path: Path) -> None:
    done = subprocess.run(
        [*HEALTHSYNC, "up", "--data", str(tmp_path / "data"), "--json"],
        env=os.environ | {"HEALTHSYNC_BROKER__HOST": "0.0.0.0"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 78
    assert "loopback" in done.stderr


async def test_stop_ends_every_connection_and_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    async with opened(tmp_path / "data") as house:
        watch = house.device("alice")
        peers = [await house.connect(watch), await house.connect(house.device("alice", "tls"), tls=True)]
        clogged = await house.connect(house.device("alice", "clogged"))
        clogged.reader._transport.pause_reading()  # type: ignore[attr-defined]
        silent = await house.knock(tls=True)
        async with web(house) as socket:
            for n in range(1, 200):
                peers[0].send(Publish(watch.events.encode(), event(f"e{n}"), 1, False, False, n))
            assert await peers[0].expect(Puback) == Puback(1)
            stopping = asyncio.create_task(house.service.stop())
            acknowledged = {p.packet_id for p in await peers[0].closed() if isinstance(p, Puback)} | {1}
            await stopping
            assert await peers[1].closed() == []
            assert await silent.closed() == []
            with pytest.raises(ConnectionClosed):
                await socket.recv()
    async with opened(tmp_path / "data") as house:
        assert {f"e{n}" for n in acknowledged} <= set(house.stored())
    gc.collect()
