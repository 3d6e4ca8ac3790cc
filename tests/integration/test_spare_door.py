"""Two machines behind HAProxy with one PostgreSQL: one door at a time, and the spare one takes over when it dies."""

import asyncio
import contextlib
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from healthsync_mqtt.client import Credentials, DeviceClient
from healthsync_mqtt.client.backoff import Backoff
from tests.integration.test_load_balancer import BALANCER, PAGE, haproxy
from tests.support import child
from tests.support.mosquitto import wait_listening
from tests.support.pages import blocks
from tests.support.patience import PATIENCE_S
from tests.support.ports import free_port
from tests.support.postgres import NEEDED, Postgres
from tests.support.service import NotReadyError, Service

pytestmark = NEEDED


def machine(server: Postgres, path: Path, *, like: Path | None = None) -> Path:
    """A data directory with log and registry on the server; ``like``: with the keys and certificates of that one."""
    data = server.directory(path, like=like)
    text = (data / "healthsync.toml").read_text()
    registry = text[text.index("[storage]") :].replace("[storage]", "[registry]")
    (data / "healthsync.toml").write_text(f'{text}\n{registry}\n[broker]\nproxies = "{BALANCER}"\n')
    if like is not None:
        for each in ("keys", "certs"):
            shutil.copytree(like / each, data / each)
    return data


def before_both(directory: Path, first: int, spare: int) -> tuple[Path, int]:
    """The page's configuration with its line for the spare door; the port that devices call."""
    (block,) = (each for each in blocks(PAGE) if each.language == "conf")
    (line,) = (each for each in Path(PAGE).read_text().splitlines() if each.strip().startswith("`server spare"))
    called = free_port()
    text = block.text.replace("check inter 2s", "check inter 200ms").replace("inter 2s", "inter 200ms")
    added = line.strip().strip("`").replace("10.0.0.2:8883", f"127.0.0.1:{spare}").replace("inter 2s", "inter 200ms")
    text = text.replace("127.0.0.1:8883", f"127.0.0.1:{first}").replace("bind :8893", f"bind 127.0.0.1:{called}")
    text = text.replace("\nbackend wss", f"\n    {added}\nbackend wss").replace(
        "bind :443", f"bind 127.0.0.1:{free_port()}"
    )
    path = directory / "haproxy.cfg"
    path.write_text(text)
    return path, called


async def start_again_and_again(service: Service) -> None:
    """As systemd does (``Restart=on-failure``)."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(NotReadyError):
                await asyncio.to_thread(service.start)
                return


async def test_the_spare_door_takes_over_and_the_device_notices_a_moment_without_a_receipt(tmp_path: Path) -> None:
    with Postgres() as server:
        data = machine(server, tmp_path / "one")
        with Service(data, "--mqtts-port", str(free_port())) as one:
            one.cli("user", "add", "alice", "--consent", "all")
            [made] = one.cli("device", "add", "alice", "watch")
            spare = Service(machine(server, tmp_path / "two", like=data), "--mqtts-port", str(free_port()))
            with pytest.raises(NotReadyError, match="another"):
                spare.start()
            port = int(spare._command[-1])
            path, called = before_both(tmp_path, one.mqtts[1], port)
            with child.started([haproxy(), "-q", "-db", "-f", str(path)]) as process:
                await asyncio.to_thread(wait_listening, called, process)
                login = Credentials(
                    user_id="alice", device_id="watch", client_id=made["client_id"], username=made["username"],
                    token=made["token"],
                )  # fmt: skip
                client = DeviceClient(
                    "localhost", called, credentials=login, ca_file=data / "certs" / "ca.crt",
                    backoff=Backoff(first=0.1, longest=0.5), receipt_timeout=3, keep_alive=5, wait_connected=False,
                )  # fmt: skip
                async with client:
                    assert (await client.publish([event("a")])).stored == 1
                    assert addresses(one) == {"alice-watch": "127.0.0.1"}, "HAProxy's own is another"
                    await asyncio.to_thread(one.kill)
                    waiting = asyncio.create_task(client.publish([event("b")]))
                    await start_again_and_again(spare)
                    try:
                        async with asyncio.timeout(PATIENCE_S):
                            assert (await waiting).stored == 1
                        assert addresses(spare) == {"alice-watch": "127.0.0.1"}
                        with pytest.raises(NotReadyError, match="another"):
                            await asyncio.to_thread(one.start)
                        assert [each["id"] for each in spare.cli("events", "list")] == ["a", "b"]
                    finally:
                        await asyncio.to_thread(spare.kill)


@pytest.mark.parametrize(
    ("registry", "why"),
    [(False, "another service has had this event log for 30 s"), (True, "took over the files about persons")],
)
def test_a_door_that_the_spare_one_took_over_from_ends_when_it_goes_on(
    tmp_path: Path, *, registry: bool, why: str
) -> None:
    """So that the balancer sees it: it was stopped, as a machine that sleeps is, and its connections were cut."""
    with Postgres() as server:
        made: Callable[..., Path] = partial(machine, server) if registry else server.directory
        data = made(tmp_path / "one")
        one = Service(data).start()
        other = made(tmp_path / "two", like=data)
        one.send(signal.SIGSTOP)
        try:
            server.cut()
            with Service(other) as spare:
                one.send(signal.SIGCONT)
                assert one._end(PATIENCE_S) != 0
                assert why in one.log_tail()
                with pytest.raises(NotReadyError, match="another service writes this event log"):
                    one.start()
                assert spare.cli("status")[0]["running"]
        finally:
            one.kill()


def event(name: str) -> dict[str, object]:
    return {"id": name, "type": "heart_rate", "start_time": "2025-11-23T06:00:00Z", "value": {"bpm": 60}}


def addresses(service: Service) -> dict[str, str]:
    return {each["client_id"]: each["address"] for each in service.cli("client", "list")}
