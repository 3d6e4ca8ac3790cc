"""The door behind a load balancer: HAProxy names clients by the PROXY protocol, and nobody else is believed."""

import asyncio
import http.client
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from healthsync_mqtt.broker.embedded.proxy_header import SIGNATURE
from healthsync_mqtt.gateway.login import beginnings
from tests.support import child
from tests.support.gateway import filled, gateway_here
from tests.support.inprocess import Bystander, House
from tests.support.mosquitto import wait_listening
from tests.support.pages import Typist, Walk, blocks
from tests.support.patience import PATIENCE_S
from tests.support.peer import Peer, event
from tests.support.ports import free_port
from tests.support.service import Service

PAGE = "docs/howto/load-balancer.md"
BALANCER = "127.0.0.9"
TRUSTING = {"broker.proxies": BALANCER, "limits.connections_per_address": 5}
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


def named(peer: str) -> bytes:
    """The header of a client at this address."""
    address = bytes(map(int, peer.split(".")))
    return SIGNATURE + b"\x21\x11\x00\x0c" + address + bytes([127, 0, 0, 1, 0xDC, 0x04, 0x22, 0xB3])


def configured(directory: Path, mqtts: int, wss: int) -> tuple[Path, dict[str, int]]:
    """The page's configuration for the ports of this test; the ports that HAProxy listens on."""
    (block,) = (block for block in blocks(PAGE) if block.language == "conf")
    ports = {"8893": free_port(), "443": free_port()}
    text = block.text.replace("127.0.0.1:8883", f"127.0.0.1:{mqtts}").replace("127.0.0.1:8084", f"127.0.0.1:{wss}")
    text = re.sub(r"bind :(\d+)", lambda found: f"bind 127.0.0.1:{ports[found[1]]}", text)
    path = directory / "haproxy.cfg"
    path.write_text(text)
    return path, {"mqtts": ports["8893"], "wss": ports["443"]}


def port(address: str) -> int:
    return int(address.rpartition(":")[2])


@pytest.fixture
async def balanced(house: House, tmp_path: Path) -> AsyncIterator[dict[str, int]]:
    """HAProxy before the house."""
    path, ports = configured(tmp_path, port(house.ready.mqtts), port(house.ready.wss))
    with child.started([haproxy(), "-q", "-db", "-f", str(path)]) as process:
        await asyncio.to_thread(wait_listening, ports["mqtts"], process)
        yield ports


def haproxy() -> str:
    """Debian's."""
    found = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.skip("haproxy is not installed: scripts/test installs it where it can")
    return found


async def arrive(house: House, name: str, at: int, source: str) -> Peer:
    peer = await Peer.open(f"127.0.0.1:{at}", tls=house.tls, local_addr=(source, 0))
    house.peers.append(peer)
    assert (await peer.connect(house.device("alice", name))).code == 0
    return peer


def addresses(house: House) -> dict[str, str]:
    return {each["client_id"]: each["address"] for each in house.door.clients()}


@pytest.mark.real_server
@pytest.mark.parametrize("changes", [TRUSTING])
async def test_haproxy_names_each_client_and_limits_go_by_that(house: House, balanced: dict[str, int]) -> None:
    """Five of one address fill its limit, and one of another comes in by the same balancer."""
    first, *_ = [await arrive(house, f"d{number}", balanced["mqtts"], "127.0.5.1") for number in range(5)]
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await arrive(house, "one-more", balanced["mqtts"], "127.0.5.1")
    other = await arrive(house, "other", balanced["mqtts"], "127.0.5.2")
    assert addresses(house) == {f"alice-d{n}": "127.0.5.1" for n in range(5)} | {"alice-other": "127.0.5.2"}
    found = {each.address: each.reason for each in house.door.visitors.strangers.newest()}
    assert found["127.0.5.1"] == "connections_per_address"
    assert "127.0.5.2" not in found
    for peer, name in ((first, "d0"), (other, "other")):
        await peer.publish(f"users/alice/devices/{name}/events", event(f"e-{name}"))
    assert house.stored("alice") == ["e-d0", "e-other"]


@pytest.mark.real_server
@pytest.mark.parametrize("changes", [TRUSTING])
async def test_a_websocket_comes_by_haproxy_too_and_its_looks_cause_no_line(
    house: House, balanced: dict[str, int]
) -> None:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", balanced["wss"], ssl=house.tls, server_hostname="localhost", local_addr=("127.0.5.7", 0)
    )
    writer.write(b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nOrigin: https://elsewhere.example\r\n\r\n")
    await reader.read()
    writer.close()
    assert house.counters.refused_by_reason["origin"] == 1
    found = {each.address: each.reason for each in house.door.visitors.strangers.newest()}
    assert found == {"127.0.5.7": "origin", "127.0.0.1": "tls_hung_up"}, "the latter is this test's own look"


@pytest.mark.parametrize("changes", [TRUSTING])
async def test_a_header_is_believed_of_a_proxy_alone(house: House, bob: Bystander) -> None:
    """The same bytes from another address are no TLS, and count as what that address did."""
    for source, peer in ((BALANCER, "203.0.113.7"), ("127.0.5.9", None)):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port(house.ready.mqtts), local_addr=(source, 0), limit=1 << 16
        )
        writer.write(named("203.0.113.7"))
        try:
            await writer.start_tls(house.tls, server_hostname="localhost")
        except (ssl.SSLError, ConnectionError):
            assert peer is None
            writer.close()
            continue
        client = Peer(reader, writer)
        house.peers.append(client)
        assert (await client.connect(house.device("alice"))).code == 0
        assert addresses(house)["alice-watch"] == peer
    found = {each.address: each.reason for each in house.door.visitors.strangers.newest()}
    assert found == {"127.0.5.9": "tls_plain_mqtt"}
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [TRUSTING])
@pytest.mark.parametrize("said", [b"\x16\x03\x01\x02\x00", named("1.2.3.4")[:-1], SIGNATURE + b"\x22\x11\x00\x0c", b""])
async def test_a_proxy_that_does_not_say_whose_it_is_is_refused(house: House, bob: Bystander, said: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port(house.ready.mqtts), local_addr=(BALANCER, 0))
    writer.write(said)
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    await house.until(lambda: house.counters.refused_by_reason["proxy_header"] == 1, "it is counted")
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [TRUSTING])
async def test_a_look_of_the_proxy_is_nobodys_failure(house: House, bob: Bystander) -> None:
    for _ in range(3):
        _, writer = await asyncio.open_connection("127.0.0.1", port(house.ready.mqtts), local_addr=(BALANCER, 0))
        before = house.door.connections
        writer.write(LOCAL)
        await house.until(lambda: house.door.connections == before + 1, "it is let in")  # noqa: B023
        writer.close()
        await house.until(lambda: house.door.connections == before, "it is gone")  # noqa: B023
    assert sum(house.counters.tls_failures.values()) == 0
    assert house.door.visitors.strangers.newest() == []
    await house.still_serves(bob)


@pytest.mark.parametrize("changes", [TRUSTING])
async def test_a_plain_listener_takes_no_header(house: House) -> None:
    peer = await Peer.open(house.ready.mqtt, local_addr=(BALANCER, 0))
    house.peers.append(peer)
    assert (await peer.connect(house.device("alice"))).code == 0
    assert addresses(house)["alice-watch"] == BALANCER


@pytest.mark.real_server
def test_the_page_is_typed(tmp_path: Path) -> None:
    """Its settings and its configuration, with the ports of this machine, as processes of their own."""
    program = haproxy()
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (settings,) = (block for block in blocks(PAGE) if block.language == "toml")
    (data / "healthsync.toml").write_text(settings.text)
    (data / "healthsync.toml").chmod(0o600)
    with Service(data) as service:
        path, ports = configured(tmp_path, service.mqtts[1], port(service.ready["wss"]))
        path_of_all = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin"
        typist = Typist(cwd=tmp_path, env=os.environ | {"HEALTHSYNC_DATA": str(data), "PATH": path_of_all})
        walk = Walk(PAGE, typist)
        walk.go(1)
        walk.done()
        typist.close()
        service.cli("user", "add", "alice", "--consent", "all")
        (login,) = service.cli("device", "add", "alice", "watch")
        with child.started([program, "-q", "-db", "-f", str(path)]) as process:
            wait_listening(ports["mqtts"], process)
            sent = subprocess.run(
                [
                    "mosquitto_pub", "-h", "localhost", "-p", str(ports["mqtts"]), "--cafile", service.ca_file,
                    "-A", "127.0.5.3", "-i", login["client_id"], "-u", login["client_id"], "-P", login["token"],
                    "-q", "1", "-t", "users/alice/devices/watch/events", "-m", event("e-1").decode(),
                ],
                check=False, capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            assert sent.returncode == 0, sent.stderr
        (device,) = service.cli("device", "show", "alice", "watch")
        assert device["address"] == "127.0.5.3"


HTTP_PROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend web
    bind 127.0.0.1:{port}
    option forwardfor
    default_backend gateway
backend gateway
    source {balancer}
    server one 127.0.0.1:{gateway}
"""


TCP_BALANCER = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend web
    bind 127.0.0.1:{port}
    default_backend gateway
backend gateway
    source {balancer}
    server one 127.0.0.1:{gateway} {says}
"""


@pytest.mark.real_server
@pytest.mark.parametrize("says", ["send-proxy", "send-proxy-v2"])
def test_the_gateway_knows_a_client_behind_a_balancer_of_tcp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    """HAProxy's own headers of both versions; what a client says in HTTP is not asked for."""
    monkeypatch.setattr(beginnings, "BURST", 1)
    monkeypatch.setattr(beginnings, "PER_S", 1e-6)
    settings = {"gateway.public_url": "https://health.example.org", "gateway.balancers": BALANCER}
    assert _behind(TCP_BALANCER.replace("{says}", says), settings, tmp_path) == [200, 429, 429, 200]


@pytest.mark.real_server
def test_the_gateway_knows_a_client_behind_haproxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client says of itself stands before what HAProxy says, and is not read."""
    monkeypatch.setattr(beginnings, "BURST", 1)
    monkeypatch.setattr(beginnings, "PER_S", 1e-6)
    settings = {"gateway.public_url": "https://health.example.org", "gateway.proxies": BALANCER}
    assert _behind(HTTP_PROXY, settings, tmp_path) == [200, 429, 429, 200]


def _behind(configuration: str, settings: dict[str, str], directory: Path) -> list[int]:
    """What one client, the same twice more (the last time with another's name), and another are answered."""
    data = directory / "data"
    filled(data, ["alice"], [])
    with gateway_here(data, **settings) as here:
        at, config = free_port(), directory / "http.cfg"
        config.write_text(configuration.format(port=at, balancer=BALANCER, gateway=port(here.web.url)))
        found = haproxy()
        with child.started([found, "-q", "-db", "-f", str(config)]) as process:
            wait_listening(at, process)
            answers = []
            forged = {"X-Forwarded-For": "127.0.5.2"}
            for source, said in (("127.0.5.1", {}), ("127.0.5.1", {}), ("127.0.5.1", forged), ("127.0.5.2", {})):
                asking = http.client.HTTPConnection("127.0.0.1", at, timeout=PATIENCE_S, source_address=(source, 0))
                asking.request("POST", "/v1/session/challenge", headers=said)
                answers.append(asking.getresponse().status)
                asking.close()
    return answers
