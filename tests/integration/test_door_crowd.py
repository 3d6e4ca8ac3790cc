"""Counting begins at accept: silent crowds, handshakes that lead nowhere, a NAT full of bad tokens, descriptors."""

import asyncio
import resource
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from healthsync_mqtt.broker.embedded.limits.descriptors import SPARE, connections_at_most, raise_soft_limit
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.mqtt.codec.packets import ConnectCode
from tests.support.inprocess import Bystander, House
from tests.support.peer import Peer
from tests.support.service import Service


def settings(**limits: Any) -> Any:
    return pytest.mark.parametrize("changes", [{f"limits.{name}": value for name, value in limits.items()}])


async def silent(address: str) -> Peer:
    """A connection to a TLS port that says nothing."""
    host, _, port = address.rpartition(":")
    return Peer(*await asyncio.open_connection(host, int(port)))


@settings(unauthenticated_per_address=5, connect_timeout_s=60)
@pytest.mark.parametrize("port", ["mqtts", "wss"])
async def test_connections_count_before_their_handshake(house: House, bob: Bystander, port: str) -> None:
    crowd = [await silent(getattr(house.ready, port)) for _ in range(20)]
    house.peers += crowd
    await house.until(lambda: house.counters.refused_by_reason["unauthenticated_per_address"] == 15, "all knocked")
    assert house.door.crowd()["not_logged_in"] == 5
    for peer in crowd[:15]:
        assert await peer.ended() == b""
    alice = house.device("alice")
    assert await (await house.connect(alice, tls=True)).settle() == []
    await house.still_serves(bob)


@settings(max_connections=10, unauthenticated_per_address=20, max_unauthenticated=20)
async def test_it_is_said_once_that_nine_tenths_of_all_connections_are_in_use(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1, 11):
        house.peers.append(await silent(house.ready.mqtt))
        await house.until(lambda number=number: house.door.crowd()["not_logged_in"] == number, "it is counted")
        said = [record for record in caplog.records if record.message == "door.nearly_full"]
        assert len(said) == (number >= 9)


async def test_a_handshake_that_fails_is_counted_and_said(
    house: House, bob: Bystander, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        peer = await silent(house.ready.mqtts)
        house.peers.append(peer)
        peer.writer.write(b"\x10\x20\x00\x04MQTT\x04\x02\x00\x3c" + bytes(40))  # MQTT without TLS
        await peer.ended()
    await house.until(lambda: house.counters.refused_by_reason["tls_handshake"] == 5, "all failed")
    assert sum(record.message == "door.tls_failed" for record in caplog.records) == 1  # rate-limited
    assert house.door.crowd()["not_logged_in"] == 0
    await house.still_serves(bob)


async def test_strangers_who_break_the_protocol_are_a_few_lines_of_log(
    house: House, bob: Bystander, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        peer = await silent(house.ready.mqtt)
        house.peers.append(peer)
        peer.writer.write(b"\xc0\x00")  # PINGREQ first
        await peer.ended()
    assert 1 <= sum(record.message == "door.protocol_violation" for record in caplog.records) <= 10
    await house.still_serves(bob)


async def test_a_client_that_does_not_trust_us_is_told_apart(house: House, caplog: pytest.LogCaptureFixture) -> None:
    host, _, port = house.ready.mqtts.rpartition(":")

    def distrust() -> None:
        with (
            socket.create_connection((host, int(port))) as plain,
            pytest.raises(ssl.SSLCertVerificationError),
            ssl.create_default_context().wrap_socket(plain, server_hostname="localhost"),
        ):
            pass

    await asyncio.to_thread(distrust)
    await house.until(lambda: house.counters.refused_by_reason["tls_handshake"] == 1, "it failed")
    (said,) = [record for record in caplog.records if record.message == "door.tls_failed"]
    assert "UNKNOWN_CA" in str(said.__dict__)


@settings(unauthenticated_per_address=60, connections_per_address=62, failed_login_base_s=4.0)
async def test_good_logins_of_an_address_full_of_bad_ones_get_in(house: House, bob: Bystander) -> None:
    """60 clients with bad tokens behind one address let 0 of 15 good logins of that address in."""
    good = [house.device("carl", f"d{n}") for n in range(15)]

    async def bad(n: int) -> ConnectCode:
        peer = await house.knock()
        return (await peer.connect(good[n % 15], password=b"bad")).code

    refused = [asyncio.create_task(bad(n)) for n in range(60)]
    await house.until(lambda: house.door.crowd()["refusals_held"] == 60, "they are held back")
    for identity in good:
        assert await (await house.connect(identity)).settle() == []
    assert {task.cancel() for task in refused} == {True}
    await asyncio.gather(*refused, return_exceptions=True)
    await house.still_serves(bob)


def test_the_soft_limit_is_raised_as_far_as_it_goes() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = min(512, soft)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (low, hard))
        assert connections_at_most() == low - SPARE
        raised = raise_soft_limit(300)
        assert raised == resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 300 + SPARE
        assert connections_at_most() == 300
        assert raise_soft_limit(10) == raised  # never lowered
        assert raise_soft_limit(1 << 40) == (hard if hard != resource.RLIM_INFINITY else (1 << 40) + SPARE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.skipif(sys.platform != "linux", reason="the limits of another process are told on Linux only")
def test_a_service_that_is_started_with_few_descriptors_takes_as_many_as_it_may(tmp_path: Path) -> None:
    """Shells give 1,024, which are fewer than the connections of the default settings."""
    few = ("bash", "-c", 'ulimit -Sn 512 && exec "$@"', "bash")
    with Service(tmp_path / "data", wrapper=few) as service:
        assert service.process is not None
        soft, hard = psutil.Process(service.process.pid).rlimit(psutil.RLIMIT_NOFILE)
    limits = LimitSettings()
    assert soft == min(hard, limits.max_connections + limits.max_unauthenticated + SPARE)
