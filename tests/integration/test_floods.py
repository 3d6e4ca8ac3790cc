"""T29 to T32 and T54: forged addresses, odd WebSockets, floods, storms, ids that are never completed, loose files."""

import asyncio
import os
import time
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.broker.embedded.backpressure import Hold
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import ConfigError, StoreError
from healthsync_mqtt.identity.certificates.files import ensure_ca_and_server
from healthsync_mqtt.mqtt.codec import encode, encode_publish
from healthsync_mqtt.mqtt.codec.packets import Connect, Puback, Publish, Pubrec
from tests.support.accounts import ONLY_ROOT
from tests.support.inprocess import Bystander, House, opened
from tests.support.peer import Identity, Peer, event

STRICT = {
    "limits.device_messages_per_s": 200, "limits.device_burst": 50,
    "limits.user_messages_per_s": 400, "limits.user_burst": 100,
}  # fmt: skip
CROWD = {"limits.unauthenticated_per_address": 1000, "limits.connections_per_address": 2000}
LOCKED = {"limits.unauthenticated_per_address": 1}


def flood(identity: Identity, count: int, *, first: int = 0, qos: int = 1) -> bytes:
    topic = identity.events.encode()
    name = identity.client_id
    return b"".join(
        encode_publish(topic, event(f"{name}-{n}"), qos, False, False, n + 1 if qos else 0)
        for n in range(first, first + count)
    )


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


async def acknowledged(peer: Peer, count: int) -> None:
    for _ in range(count):
        await peer.expect(Puback)


# -- T29


PROXY_V1 = b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 1883\r\n"
PROXY_V2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes([203, 0, 113, 7, 192, 0, 2, 1, 0xDC, 0x04, 0x07, 0x5B])


@pytest.mark.parametrize("header", [PROXY_V1, PROXY_V2], ids=["v1", "v2"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_t29_a_proxy_header_is_no_connect(house: House, bob: Bystander, header: bytes, tls: bool) -> None:
    alice = house.device("alice")
    peer = await house.knock(tls=tls)
    peer.send(header, Connect(alice.client_id, True, 60, alice.client_id, alice.token.encode(), None))
    assert await peer.ended() == b""
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [LOCKED])
async def test_t29_a_claimed_address_opens_no_limit(house: House) -> None:
    """One connection of this address may wait; those that claim another address are counted with it."""
    host, _, port = house.ready.wss.rpartition(":")
    for header in ("X-Forwarded-For: 203.0.113.7", "Forwarded: for=203.0.113.7", "X-Real-IP: 203.0.113.7"):
        first = await Peer.open(house.ready.wss, tls=house.tls)
        house.peers.append(first)
        await house.until(lambda: house.door.connections == 1, "the first connection is counted")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=house.tls, server_hostname="localhost")
        peer = Peer(reader, writer)
        house.peers.append(peer)
        writer.write(f"GET /mqtt HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n".encode())
        await peer.ended()
        assert await first.ended() == b""  # the oldest of the address made room
        await house.until(lambda: house.door.connections == 0, "both are gone")
    assert house.counters.refused_by_reason["unauthenticated_per_address"] == 3
    bob = await Bystander.arrive(house)
    await house.still_serves(bob)


# -- T30


async def test_t30_a_compressed_bomb_is_not_unfolded(house: House, bob: Bystander) -> None:
    bomb = zlib.compress(bytes(50_000_000), 9)
    peer = await Peer.open(house.ready.wss, tls=house.tls)
    house.peers.append(peer)
    peer.writer.write(
        b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )
    head = await peer.reader.readuntil(b"\r\n\r\n")
    assert b"101" in head.split(b"\r\n")[0]
    assert b"permessage-deflate" not in head
    before = resident()
    frame = b"\xc2\xff" + len(bomb).to_bytes(8, "big") + b"\0\0\0\0" + bomb  # FIN, RSV1, binary, masked with zeros
    peer.writer.write(frame)
    answer = await peer.ended()
    assert answer[:1] in {b"", b"\x88"}  # a close frame at most
    assert resident() - before < 10_000_000
    await house.still_serves(bob)


# -- T31


@pytest.mark.parametrize("changes", [STRICT])
async def test_t31_a_flood_is_slowed_down_and_loses_nothing(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    peer = await house.connect(alice)
    peer.send(flood(alice, 250))
    await house.until(house.door.rates.limited, "the flood is noticed")
    await bob.goes_on()
    (shown,) = [each for each in house.service.report().as_json()["limited"] if each["name"] == alice.client_id]
    assert (shown["kind"], shown["by"]) == ("client", "messages")
    await acknowledged(peer, 250)
    await peer.publish(alice.events, event("one-more"))
    assert len(house.stored("alice")) == 251
    await house.still_serves(bob)


async def test_t31_who_asks_for_much_work_is_named_and_what_it_is(house: House, bob: Bystander) -> None:
    """Acknowledgements are no messages, and frames of somebody who has not logged in are nobody's; both are work."""
    alice = house.device("alice")
    peer = await house.connect(alice)
    stranger = await Peer.open(house.ready.wss, tls=house.tls)
    house.peers.append(stranger)
    stranger.writer.write(
        b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
    )
    assert b"101" in (await stranger.reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]

    def shown() -> set[tuple[str, str, str]]:
        return {(each["kind"], each["name"], each["by"]) for each in house.service.report().as_json()["limited"]}

    assert shown() == set()
    peer.writer.write(encode(Puback(7)) * 12_000)
    stranger.writer.write(b"\x82\x80\0\0\0\0" * 4_000)
    named = {("client", alice.client_id, "work"), ("address", "127.0.0.1", "work")}
    await house.until(lambda: shown() == named, "both are named")
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [{"limits.device_messages_per_s": 0.01, "limits.device_burst": 50}])
async def test_t31_ten_thousand_messages_of_one_device_delay_nobody_else(house: House, bob: Bystander) -> None:
    """What is over the limit is read no further: some hundred messages that were on their way, and then none."""
    alice = house.device("alice")
    peer = await house.connect(alice)
    data = flood(alice, 10_000)
    peer.writer.write(data)
    await house.until(house.door.rates.limited, "the flood is noticed")
    for _ in range(5):
        await bob.goes_on()
    assert len(house.stored("alice")) <= 50 + 128  # most of it still waits in the socket, where it costs us nothing
    assert house.door.sessions.connected == 3
    assert house.door.kick(alice.client_id)  # it is not read for hours, so nobody hears it leave
    await peer.leave()
    await house.until(lambda: house.counters.in_flight == 0, "what was read is stored")
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [{"limits.device_messages_per_s": 0.01, "limits.device_burst": 50}])
async def test_t31_the_limit_outlives_the_connection(house: House, bob: Bystander) -> None:
    """What one connection has used up of the burst is not there for the next."""
    alice = house.device("alice")
    first = await house.connect(alice)
    first.send(flood(alice, 60))
    await acknowledged(first, 60)
    await house.connect(alice)
    (held,) = [each.reading for each in house.door._connections if each.name == alice.client_id]
    assert Hold.RATE in held.held
    (limited,) = house.door.rates.limited()
    assert limited.name == alice.client_id
    assert 0.9 * (60 - 50) / 0.01 < limited.wait_s <= (60 + 2 - 50) / 0.01  # with the CONNECTs
    assert house.door.kick(alice.client_id)
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [CROWD])
async def test_t31_a_storm_of_reconnects_is_taken_in(house: House, bob: Bystander) -> None:
    with house.registry.write():
        crowd = [house_device(house, f"w{number}") for number in range(300)]
    house.look()

    async def arrive(identity: Identity) -> None:
        peer = await house.connect(identity, clean=False)
        await peer.publish(identity.events, event(f"{identity.client_id}-1"))

    storm = asyncio.gather(*(arrive(identity) for identity in crowd))
    await bob.goes_on()
    await storm
    assert len(house.stored("carol")) == 300
    await house.still_serves(bob)


def house_device(house: House, name: str) -> Identity:
    now = time.time()
    if "carol" not in {known.id for known in house.registry.users()}:
        house.registry.add_user("carol", "all", int(now * 1e6))
    principal = house.registry.add_device("carol", name, int(now * 1e6)).principal
    token = house.token(principal, 600)
    return Identity(client_id=principal.client_id, token=token, user="carol", device=name)


# -- T32


@pytest.mark.parametrize("changes", [{"limits.max_unreleased": 1000}])
async def test_t32_ids_that_are_never_completed_are_capped(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    peer = await house.connect(alice)
    peer.send(*(Publish(alice.status.encode(), b"{}", 2, True, False, number) for number in range(1, 65_536)))
    came = await peer.closed()
    assert [packet for packet in came if type(packet) is not Pubrec] == []
    assert len(came) <= 1000
    await house.still_serves(bob)


async def test_t32_events_of_qos_2_that_are_never_released_keep_nothing(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    peer = await house.connect(alice)
    peer.send(flood(alice, 2000, qos=2))
    for _ in range(2000):
        await peer.expect(Pubrec)
    assert peer_session(house, alice).unreleased == set()
    assert len(house.stored("alice")) == 2000
    await house.still_serves(bob)


async def test_t32_events_of_qos_0_are_stored_and_never_acknowledged(house: House, bob: Bystander) -> None:
    alice = house.device("alice")
    peer = await house.connect(alice)
    peer.send(flood(alice, 100, qos=0))
    assert [packet for packet in await peer.settle() if type(packet) is not Publish] == []
    await house.until(lambda: len(house.stored("alice")) == 100, "the events are stored")
    await house.still_serves(bob)


def peer_session(house: House, identity: Identity) -> Any:
    return house.door.sessions._sessions[identity.client_id]


# -- T54


@pytest.mark.parametrize("name", ["registry.db", "events.db", "keys/keyring.json", "keys/*.pem", "certs/server.key"])
@pytest.mark.parametrize("how", ["loose", "linked"])
async def test_t54_loose_and_linked_files_stop_the_start(tmp_path: Path, name: str, how: str) -> None:
    data = tmp_path / "data"
    async with opened(data) as house:
        bob = await Bystander.arrive(house)
        await house.still_serves(bob)
    (path,) = data.glob(name)
    if how == "loose":
        path.chmod(0o644)
    else:
        moved = path.rename(tmp_path / "elsewhere")
        path.symlink_to(moved)
    with pytest.raises((ConfigError, StoreError)) as refused:
        async with opened(data):
            pass
    assert str(path) in str(refused.value)
    assert refused.value.hint
    if how == "loose":
        path.chmod(0o600)
        async with opened(data) as house:
            assert house.stored("bob") == ["bob-0"]


async def test_t54_a_file_that_turns_loose_changes_nothing_for_who_is_there(house: House, bob: Bystander) -> None:
    keyring = house.settings.paths.keys / "keyring.json"
    keyring.chmod(0o644)
    with pytest.raises(ConfigError):
        await house.serving.keys.look()
    await house.still_serves(bob)
    keyring.chmod(0o600)


def test_t54_settings_and_certificates_of_another_account_are_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip(f"files are given away: {ONLY_ROOT}")
    paths = load_settings(tmp_path / "data").paths
    made = ensure_ca_and_server(paths.certs, [], datetime.now(UTC))
    os.chown(made.server_key, 12345, 12345)
    with pytest.raises(ConfigError, match="another account"):
        ensure_ca_and_server(paths.certs, [], datetime.now(UTC))
