"""Clients that others wrote, against every listener: mosquitto's tools, paho, aiomqtt."""

import contextlib
import json
import queue
import ssl
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
import paho.mqtt.client as paho
import pytest

from tests.support import child
from tests.support.patience import PATIENCE_S
from tests.support.service import Service, run_cli

LISTENERS = ("mqtt", "mqtts", "wss")
TOOLS = ("mqtt", "mqtts")
"""Mosquitto's tools have no WebSocket before their version 2.1."""
TOPIC = "users/alice/devices/watch/events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A running service, the login of a device and of a subscriber."""

    service: Service
    device: dict[str, str]
    subscriber: dict[str, str]

    def stored(self, event_id: str) -> int:
        """How often the log holds the event."""
        rows = self.service.cli("events", "list", "--user", "alice", "--limit", "1000")
        return sum(1 for row in rows if row["id"] == event_id)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    data = tmp_path_factory.mktemp("foreign") / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    device = run_cli(data, "device", "add", "alice", "watch")[0]
    subscriber = run_cli(data, "subscriber", "add", "app", "--users", "alice", "--types", "*")[0]
    with Service(data) as service:
        yield Setup(service=service, device=device, subscriber=subscriber)


def event(event_id: str) -> str:
    return json.dumps({"id": event_id, "type": "weight", "start_time": "2025-11-23T06:00:00Z", "value": {"kg": 70.5}})


def fresh_id() -> str:
    return f"e-{uuid.uuid4().hex}"


def mosquitto(setup: Setup, tool: str, listener: str, login: dict[str, str], *more: str) -> list[str]:
    host, port = getattr(setup.service, listener)
    tls = ["--cafile", str(setup.service.ca_file)] if listener == "mqtts" else []
    who = ["-i", login["client_id"], "-u", login["username"], "-P", login["token"]]
    return [tool, "-h", host, "-p", str(port), *tls, *who, *more]


@pytest.mark.real_server
@pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("listener", TOOLS)
def test_mosquitto_pub_and_sub(setup: Setup, listener: str, qos: int, version: str) -> None:
    reading = ("-V", version, "-q", "1", "-C", "1", "-t", "users/alice/canonical/weight")
    subscribe = mosquitto(setup, "mosquitto_sub", listener, setup.subscriber, *reading)
    waiting = child.start(subscribe, stdout=subprocess.PIPE, text=True)
    published = []
    try:
        end = time.monotonic() + PATIENCE_S
        while waiting.poll() is None and time.monotonic() < end:
            published.append(fresh_id())
            saying = ("-V", version, "-q", str(qos), "-t", TOPIC, "-m", event(published[-1]))
            publish = mosquitto(setup, "mosquitto_pub", listener, setup.device, *saying)
            subprocess.run(publish, check=True, timeout=PATIENCE_S)
            with contextlib.suppress(subprocess.TimeoutExpired):
                waiting.wait(0.5)
        assert waiting.poll() == 0
        assert waiting.stdout
        assert json.loads(waiting.stdout.read())["id"] in published
    finally:
        waiting.kill()
        waiting.communicate()
    if qos:
        assert [setup.stored(event_id) for event_id in published] == [1] * len(published)


@pytest.mark.real_server
def test_mosquitto_sub_of_version_5_gets_the_past_and_shares(setup: Setup) -> None:
    event_id = fresh_id()
    publish = mosquitto(setup, "mosquitto_pub", "mqtts", setup.device, "-q", "1", "-t", TOPIC, "-m", event(event_id))
    subprocess.run(publish, check=True, timeout=PATIENCE_S)
    weights = len(setup.service.cli("events", "list", "--user", "alice", "--type", "weight", "--limit", "1000"))
    past = ("-V", "mqttv5", "-D", "SUBSCRIBE", "user-property", "from", "earliest", "-q", "1", "-C", str(weights))
    for name in ("users/alice/canonical/weight", f"$share/{fresh_id()}/users/alice/canonical/weight"):
        subscribe = mosquitto(setup, "mosquitto_sub", "mqtts", setup.subscriber, *past, "-t", name)
        done = subprocess.run(subscribe, check=True, timeout=PATIENCE_S, capture_output=True, text=True)
        assert json.loads(done.stdout.splitlines()[-1])["id"] == event_id


@pytest.mark.real_server
def test_mosquitto_pub_of_version_5_is_told_that_nothing_was_stored(setup: Setup) -> None:
    wrong = json.dumps({"id": fresh_id(), "type": "weight", "start_time": "2025-11-23T06:00:00Z", "value": {"kg": -1}})
    what = ("-V", "mqttv5", "-d", "-q", "1", "-t", TOPIC, "-m", wrong)
    publish = mosquitto(setup, "mosquitto_pub", "mqtts", setup.device, *what)
    done = subprocess.run(publish, check=False, timeout=PATIENCE_S, capture_output=True, text=True)
    assert "RC:153" in done.stdout  # 0x99


@pytest.mark.real_server
def test_mosquitto_pub_is_refused_with_another_devices_name(setup: Setup) -> None:
    stranger = {**setup.device, "client_id": "alice-phone", "username": "alice-phone"}
    publish = mosquitto(setup, "mosquitto_pub", "mqtts", stranger, "-q", "1", "-t", TOPIC, "-m", event("e-stranger"))
    done = subprocess.run(publish, check=False, timeout=PATIENCE_S, capture_output=True)
    assert done.returncode != 0
    assert setup.stored("e-stranger") == 0


def paho_client(
    setup: Setup, listener: str, login: dict[str, str], version: paho.MQTTProtocolVersion = paho.MQTTv311
) -> paho.Client:
    client = paho.Client(
        paho.CallbackAPIVersion.VERSION2,
        client_id=login["client_id"],
        protocol=version,
        transport="websockets" if listener == "wss" else "tcp",
    )
    client.username_pw_set(login["username"], login["token"])
    if listener != "mqtt":
        client.tls_set(ca_certs=str(setup.service.ca_file))
    return client


@contextlib.contextmanager
def connected(setup: Setup, client: paho.Client, listener: str) -> Iterator[None]:
    host, port = getattr(setup.service, listener)
    ready: queue.Queue[object] = queue.Queue()
    client.on_connect = lambda _client, _data, _flags, reason, _properties: ready.put(reason)
    client.connect(host, port)
    client.loop_start()
    try:
        assert not ready.get(timeout=PATIENCE_S).is_failure
        yield
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.mark.parametrize("versions", [(paho.MQTTv311,) * 2, (paho.MQTTv5,) * 2, (paho.MQTTv311, paho.MQTTv5)], ids=str)
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("listener", LISTENERS)
def test_paho(setup: Setup, listener: str, qos: int, versions: tuple[paho.MQTTProtocolVersion, ...]) -> None:
    received: queue.Queue[bytes] = queue.Queue()
    subscribed: queue.Queue[object] = queue.Queue()
    reader = paho_client(setup, listener, setup.subscriber, versions[0])
    reader.on_message = lambda _client, _data, message: received.put(message.payload)
    reader.on_subscribe = lambda _client, _data, _mid, codes, _properties: subscribed.put(codes)
    writer = paho_client(setup, listener, setup.device, versions[1])
    told: queue.Queue[dict[str, str]] = queue.Queue()
    writer.on_publish = lambda _client, _data, _mid, _code, about: told.put(dict(getattr(about, "UserProperty", ())))
    event_id = fresh_id()
    with connected(setup, reader, listener), connected(setup, writer, listener):
        reader.subscribe("users/alice/canonical/weight", 1)
        assert not subscribed.get(timeout=PATIENCE_S)[0].is_failure
        writer.publish(TOPIC, event(event_id), qos).wait_for_publish(PATIENCE_S)
        assert json.loads(received.get(timeout=PATIENCE_S))["id"] == event_id
    assert setup.stored(event_id) == 1
    if versions[1] == paho.MQTTv5 and qos == 1:
        assert told.get(timeout=PATIENCE_S)["stored"] == "1"


@pytest.mark.parametrize("version", [aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5])
@pytest.mark.parametrize("listener", LISTENERS)
async def test_aiomqtt(setup: Setup, listener: str, version: aiomqtt.ProtocolVersion) -> None:
    host, port = getattr(setup.service, listener)

    def client(login: dict[str, str]) -> aiomqtt.Client:
        return aiomqtt.Client(
            host,
            port,
            protocol=version,
            identifier=login["client_id"],
            username=login["username"],
            password=login["token"],
            transport="websockets" if listener == "wss" else "tcp",
            tls_context=None if listener == "mqtt" else tls(setup.service.ca_file),
        )

    event_id = fresh_id()
    async with client(setup.subscriber) as reader, client(setup.device) as writer:
        await reader.subscribe("users/alice/canonical/weight", qos=1)
        await writer.publish(TOPIC, event(event_id), qos=1)
        message = await anext(aiter(reader.messages))
        assert json.loads(message.payload)["id"] == event_id


def tls(ca_file: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca_file))
