"""The HTTP port: off by default, loopback only, and nothing that a stranger does there disturbs devices."""

import asyncio
import json
import socket
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from bridge import service
from bridge.endpoint import Endpoint
from bridge.jobs import evictions
from healthsync_mqtt.config.sections import MetricsSettings
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import ConfigError, StoreError, UnavailableError
from healthsync_mqtt.model.report import BrokerReport, JournalReport, ServiceReport
from healthsync_mqtt.storage.port import LogHealth
from tests.support.inprocess import Bystander, House, opened
from tests.support.patience import PATIENCE_S
from tests.support.peer import event

ON = pytest.mark.parametrize("changes", [{"metrics.port": 0}])


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def exchange(address: str, request: bytes) -> bytes:
    """What the port sends until it closes the connection."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    try:
        writer.write(request)
        async with asyncio.timeout(PATIENCE_S):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


async def get(address: str, path: str) -> Answer:
    raw = await exchange(address, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    top, _, body = raw.decode().partition("\r\n\r\n")
    first, *rest = top.split("\r\n")
    headers = dict(line.split(": ", 1) for line in rest)
    assert int(headers["Content-Length"]) == len(body.encode())
    return Answer(int(first.split()[1]), headers, body)


def value(text: str, name: str) -> float:
    return float(next(line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(name + " ")))


async def test_off_unless_asked_for(house: House) -> None:
    assert house.ready.metrics == ""
    assert house.service.endpoint._server is None


@ON
async def test_metrics_of_real_traffic_name_nobody(house: House, bob: Bystander) -> None:
    watch = house.device("canary-user", "canary-device")
    peer = await house.connect(watch)
    for number, bpm in enumerate((61, 61, 9999)):
        await peer.publish(watch.events, event(f"canary-{min(number, 1)}", bpm))
    await peer.publish(watch.events, event("canary-0", 61))
    answer = await get(house.ready.metrics, "/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    text, counters = answer.body, house.counters
    assert value(text, "healthsync_events_received_total") == counters.received > 3
    assert value(text, 'healthsync_events_processed_total{outcome="stored"}') == counters.stored
    assert value(text, 'healthsync_messages_processed_total{outcome="duplicate"}') == 1
    assert value(text, 'healthsync_events_rejected_total{reason="out_of_range"}') == 1
    assert value(text, "healthsync_inflight_events") == value(text, "healthsync_inflight_messages") == 0
    assert value(text, 'healthsync_stage_duration_seconds_count{stage="commit"}') == counters.commits
    assert value(text, 'healthsync_certificate_expiry_timestamp_seconds{role="server"}') > counters.last_commit_us / 1e6
    assert "canary" not in text
    assert bob.watch.client_id not in text
    await house.still_serves(bob)


@ON
async def test_health(house: House) -> None:
    assert (await get(house.ready.metrics, "/healthz")).json == {"alive": True}
    ready = await get(house.ready.metrics, "/readyz?verbose")
    assert (ready.status, ready.json) == (200, {"ready": True, "problems": []})


@ON
async def test_not_ready_while_the_journal_fails(house: House) -> None:
    watch = house.device("anna")
    peer = await house.connect(watch)
    with house.held_commits() as held:
        held.failures = [StoreError("full")] * 4
        held.gate.set()
        published = asyncio.create_task(peer.publish(watch.events, event("a")))
        await house.until(lambda: not house.service.pipeline.healthy, "the commit fails")
        answer = await get(house.ready.metrics, "/readyz")
        assert (answer.status, answer.json["problems"]) == (503, ["journal_failing"])
        assert value((await get(house.ready.metrics, "/metrics")).body, "healthsync_journal_working") == 0
        assert (await get(house.ready.metrics, "/healthz")).status == 200
        await published
    assert (await get(house.ready.metrics, "/readyz")).status == 200


@ON
async def test_not_ready_while_a_commit_hangs(house: House) -> None:
    watch = house.device("anna")
    peer = await house.connect(watch)
    pipeline = house.service.pipeline
    with house.held_commits():
        published = asyncio.create_task(peer.publish(watch.events, event("a")))
        await house.until(lambda: pipeline._commit_from is not None, "a commit runs")
        assert pipeline._commit_from is not None
        pipeline._commit_from -= 11
        answer = await get(house.ready.metrics, "/readyz")
        assert (answer.status, answer.json["problems"]) == (503, ["commit_stalled"])
    await published
    assert pipeline.commit_running_s == 0


@ON
async def test_other_paths_are_not_there(house: House) -> None:
    for path in ("/", "/metrics/", "/healthz/../metrics", "//metrics", "/status", "/%6detrics"):
        assert (await get(house.ready.metrics, path)).status == 404


@ON
@pytest.mark.parametrize(
    "request_",
    [
        b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        b"HEAD /metrics HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
        b"GET /" + b"a" * 20_000,
        b"GET /metrics HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % number for number in range(200)),
    ],
    ids=["post", "body", "head", "tls", "long", "headers"],
)
async def test_what_is_no_get_is_refused(house: House, request_: bytes) -> None:
    answer = await exchange(house.ready.metrics, request_)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")  # b"": reset with bytes unread
    assert b"healthsync_" not in answer
    assert (await get(house.ready.metrics, "/healthz")).status == 200


@ON
async def test_a_slow_client_is_cut(house: House, bob: Bystander) -> None:
    house.service.endpoint.patience_s = 0.05
    assert await exchange(house.ready.metrics, b"GET /metr") == b""
    assert await exchange(house.ready.metrics, b"") == b""
    house.service.endpoint.patience_s = 5
    assert (await get(house.ready.metrics, "/metrics")).status == 200
    await house.still_serves(bob)


@ON
async def test_a_crowd_is_turned_away_and_devices_do_not_notice(house: House, bob: Bystander) -> None:
    endpoint = house.service.endpoint
    host, _, port = house.ready.metrics.rpartition(":")
    held = [socket.create_connection((host, int(port))) for _ in range(16)]
    try:
        await house.until(lambda: len(endpoint.connections) == 16, "all are open")
        assert await exchange(house.ready.metrics, b"GET /healthz HTTP/1.1\r\n\r\n") == b""
        await house.still_serves(bob)
    finally:
        for each in held:
            each.close()
    await house.until(lambda: not endpoint.connections, "all are closed")
    assert (await get(house.ready.metrics, "/healthz")).status == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_loopback_only(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError, match=r"metrics\.host: a listener without TLS must be on a loopback address"):
        load_settings(tmp_path, {"metrics.host": host, "metrics.port": 0})


async def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = Endpoint(MetricsSettings(port=taken.getsockname()[1]), dict)
        with pytest.raises(UnavailableError, match="cannot listen for metrics") as caught:
            await endpoint.open()
        assert caught.value.hint == "choose another metrics.port"
        await endpoint.close()


async def test_what_a_full_quarantine_lets_go_is_in_the_metrics_and_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[tuple[str, int]] = []
    said = SimpleNamespace(warning=lambda event, evicted, **_: lines.append((event, evicted)))
    monkeypatch.setattr(evictions, "log", said)
    monkeypatch.setattr(service, "EVICTED_S", 0.02)
    changes = {"metrics.port": 0, "quarantine.device_bytes": 2048}
    async with opened(tmp_path / "data", changes) as house:
        watch = house.device("anna")
        peer = await house.connect(watch)
        name = "healthsync_quarantine_evicted_total"
        assert value((await get(house.ready.metrics, "/metrics")).body, name) == 0
        for number in range(8):
            await peer.publish(watch.events, event(f"e{number}", 9999))
        kept = len(house.service.reader.rejected())
        assert 0 < kept < 8
        assert value((await get(house.ready.metrics, "/metrics")).body, name) == 8 - kept
        await house.until(lambda: lines, "the log says it")
        assert lines[0][0] == "bridge.quarantine_full"
        assert 0 < lines[0][1] <= 8 - kept


async def test_the_port_is_closed_with_the_service(tmp_path: Path) -> None:
    async with opened(tmp_path / "data", {"metrics.port": 0}) as house:
        address = house.ready.metrics
        host, _, port = address.rpartition(":")
        lingering = socket.create_connection((host, int(port)))
        await house.until(lambda: house.service.endpoint.connections, "it is open")
    lingering.close()
    with pytest.raises(ConnectionRefusedError):
        await exchange(address, b"")


async def test_an_external_bridge_says_that_its_broker_is_away() -> None:
    status = ServiceReport(
        pid=1,
        version="1",
        healthy=False,
        broker=BrokerReport(mode="external", connected=False),
        journal=JournalReport(working=True, commit_running_s=0.0),
        uptime_s=1.0,
        epoch="e",
        head=0,
        counters={},
        connections=0,
        subscriber_lag=0,
        sinks=[],
        storage=asdict(LogHealth()),
        tasks_down=("consent",),
    )
    async with Endpoint(MetricsSettings(port=0), lambda: status) as endpoint:
        assert endpoint._server is not None
        host, port = endpoint._server.sockets[0].getsockname()
        answer = await get(f"{host}:{port}", "/readyz")
        assert (answer.status, answer.json) == (
            503,
            {"ready": False, "problems": ["broker_disconnected", "task_down:consent"]},
        )
