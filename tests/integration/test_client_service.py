"""The device client against the real service."""

import asyncio
import json
from pathlib import Path

import pytest

from healthsync_mqtt.client import Backoff, Credentials, DeviceClient, Duplicate, Rejected, SqliteOutbox, Stored
from healthsync_mqtt.errors import DeniedError, UnavailableError
from tests.support.patience import PATIENCE_S
from tests.support.ports import free_port
from tests.support.service import Service


def event(number: int, bpm: int = 60) -> dict:
    return {"id": f"e{number}", "type": "heart_rate", "start_time": "2026-01-01T00:00:00Z", "value": {"bpm": bpm}}


def login(service: Service, user: str, device: str) -> Credentials:
    service.cli("user", "add", user, "--consent", "all")
    (identity,) = service.cli("device", "add", user, device)
    return Credentials.from_mapping(identity)


def client(service: Service, credentials: Credentials, **options) -> DeviceClient:
    host, port = service.mqtts
    return DeviceClient(host, port, credentials=credentials, ca_file=service.ca_file, **options)


async def test_results_say_what_the_log_did(service: Service) -> None:
    credentials = login(service, "anna", "watch")
    async with client(service, credentials) as watch:
        assert list(await watch.publish(event(1))) == [Stored(id="e1")]
        assert list(await watch.publish(event(1))) == [Duplicate(id="e1")]
        (rejected,) = await watch.publish(event(2, bpm=900))
        assert isinstance(rejected, Rejected)
        assert rejected.reason == "out_of_range"
        results = await watch.publish([event(n) for n in range(100, 1100)])
        assert (results.stored, results.duplicate, results.rejected) == (1000, 0, 0)
    assert len(service.cli("events", "list", "--user", "anna")) == 1001


async def test_plain_listener_of_this_machine(service: Service) -> None:
    credentials = login(service, "paul", "watch")
    host, port = service.mqtt
    async with DeviceClient(host, port, credentials=credentials, tls=False) as watch:
        assert (await watch.publish(event(1))).stored == 1


async def test_many_calls_at_once(service: Service) -> None:
    credentials = login(service, "cleo", "watch")
    async with client(service, credentials, batch_size=10) as watch:
        results = await asyncio.gather(*(watch.publish(event(n)) for n in range(200)))
    assert sum(result.stored for result in results) == 200


async def test_refused_login_is_raised(service: Service) -> None:
    credentials = login(service, "dora", "watch")
    with pytest.raises(DeniedError):
        async with client(service, credentials, token="not a token"):
            pass


async def test_unknown_ca_is_refused_before_the_token_is_sent(service: Service) -> None:
    credentials = login(service, "emil", "watch")
    host, port = service.mqtts
    with pytest.raises(UnavailableError) as caught:
        async with DeviceClient(host, port, credentials=credentials):
            pass
    assert "CA file" in caught.value.hint


async def test_nothing_is_lost_when_the_service_is_killed_and_comes_back(tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = Service(data, "--mqtts-port", str(free_port())).start()
    try:
        credentials = login(first, "finn", "watch")
        host, port = first.mqtts
        options = {"ca_file": first.ca_file, "backoff": Backoff(first=0.05, longest=0.2)}
        async with DeviceClient(
            host, port, credentials=credentials, outbox=SqliteOutbox(tmp_path / "outbox.db"), batch_size=5, **options
        ) as watch:
            await watch.enqueue([event(n) for n in range(50)])
            first.kill()
            await watch.enqueue([event(n) for n in range(50, 100)])
            with Service(data, "--mqtts-port", str(port)) as second:
                async with asyncio.timeout(PATIENCE_S):
                    await watch.drain()
                await watch.close()
                stored = [found["id"] for found in second.cli("events", "list", "--user", "finn")]
        assert sorted(stored) == sorted(f"e{n}" for n in range(100))
    finally:
        first.kill()


async def test_presence_is_seen_by_a_subscriber(service: Service) -> None:
    import aiomqtt

    from healthsync_mqtt.mqtt.links.client import tls_context

    credentials = login(service, "gina", "watch")
    (app,) = service.cli("subscriber", "add", "gina-app", "--users", "gina", "--types", "*")
    host, port = service.mqtts
    login_of_app = {"identifier": app["client_id"], "username": app["username"], "password": app["token"]}
    async with aiomqtt.Client(host, port, tls_context=tls_context(service.ca_file), **login_of_app) as subscriber:
        await subscriber.subscribe("users/gina/devices/watch/status", qos=1)
        seen = []
        async with asyncio.timeout(PATIENCE_S):
            async with client(service, credentials):
                seen.append(await anext(aiter(subscriber.messages)))
            seen.append(await anext(aiter(subscriber.messages)))
    assert [json.loads(message.payload)["status"] for message in seen] == ["online", "offline"]
