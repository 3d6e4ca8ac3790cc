"""Listeners on IPv4, IPv6, both, and several addresses: bound as asked, shown as bound, reached as shown."""

import asyncio
import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.cli.doctor.checks import _ports
from healthsync_mqtt.config.sections import BrokerSettings, addresses
from healthsync_mqtt.mqtt.codec.packets import ConnectCode
from tests.support.inprocess import House
from tests.support.peer import Peer
from tests.support.service import HEALTHSYNC, Service


def split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


async def reached(house: House, address: str, *, tls: bool) -> None:
    host, port = split(address)
    options: dict[str, Any] = {"ssl": house.tls, "server_hostname": "localhost"} if tls else {}
    peer = Peer(*await asyncio.open_connection(host, port, **options))
    house.peers.append(peer)
    assert (await peer.connect(house.device("alice", f"d{len(house.peers)}"))).code == ConnectCode.ACCEPTED


@pytest.mark.parametrize("changes", [{"broker.host": "::1", "broker.mqtts_host": "::1", "broker.wss_host": "::"}])
async def test_ipv6_alone(house: House) -> None:
    assert [house.ready.bound[name][0].rpartition(":")[0] for name in ("mqtt", "mqtts", "wss")] == [
        "[::1]", "[::1]", "[::]",
    ]  # fmt: skip
    assert house.ready.wss.startswith("[::1]:")
    await reached(house, house.ready.mqtt, tls=False)
    await reached(house, house.ready.mqtts, tls=True)
    _, port = split(house.ready.wss)
    with pytest.raises(OSError):  # noqa: PT011  # refused: IPv4 was not asked for
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.parametrize("changes", [{"broker.mqtts_host": "*", "broker.host": "127.0.0.1, ::1"}])
async def test_both_families_with_one_setting(house: House) -> None:
    for name in ("mqtt", "mqtts"):
        ports = {split(address)[1] for address in house.ready.bound[name]}
        assert len(ports) == 1
        assert len(house.ready.bound[name]) == 2
        for host in ("127.0.0.1", "[::1]"):
            await reached(house, f"{host}:{ports.copy().pop()}", tls=name == "mqtts")
    assert house.ready.mqtts.startswith("127.0.0.1:")


@pytest.mark.parametrize("changes", [{"broker.host": "127.0.0.2"}])
async def test_another_loopback_address_is_shown_and_used(house: House) -> None:
    assert house.ready.mqtt.startswith("127.0.0.2:")
    await reached(house, house.ready.mqtt, tls=False)


def test_the_setting_names_several_addresses() -> None:
    assert addresses("*") == ("0.0.0.0", "::")
    assert addresses(" ::1 , 127.0.0.1,::1") == ("::1", "127.0.0.1")
    for wrong in ({"host": "::"}, {"host": "127.0.0.1,10.0.0.1"}, {"host": "*"}, {"mqtts_host": " , "}):
        with pytest.raises(ValueError, match="listener"):
            BrokerSettings(**wrong)  # type: ignore[arg-type]


def test_doctor_looks_at_every_address(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as taken:
        taken.bind(("::1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (tmp_path / "healthsync.toml").write_text(
            f'[broker]\nhost = "127.0.0.1,::1"\nmqtt_port = {port}\nmqtts_port = 0\nwss_port = 0\n'
        )
        (tmp_path / "healthsync.toml").chmod(0o600)
        assert [finding.message for finding in _ports(tmp_path)] == ["free", "in use"]


def test_the_ready_line_and_status_tell_the_real_addresses(tmp_path: Path) -> None:
    env = {"HEALTHSYNC_BROKER__MQTTS_HOST": "*", "HEALTHSYNC_BROKER__HOST": "::1"}
    with Service(tmp_path / "data", env=env) as service:
        assert service.ready["mqtt"].startswith("[::1]:")
        assert [each.rpartition(":")[0] for each in service.ready["bound"]["mqtts"]] == ["0.0.0.0", "[::]"]
        (status,) = service.cli("status")
        assert status["listeners"]["mqtt"] == service.ready["mqtt"]
        assert status["bound"] == service.ready["bound"]
        told = subprocess.run(
            [*HEALTHSYNC, "status", "--data", service.data], check=True, capture_output=True, text=True
        )
        assert "(every IPv4 address, every IPv6 address)" in told.stdout
        assert json.loads((tmp_path / "data" / "service.json").read_text())["mqtt"] == service.ready["mqtt"]
