"""What the issue's contract says of apps, end to end: the printed login, mosquitto_pub, and a day that grows."""

import json
import queue
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from healthsync_mqtt.storage.opening import open_reader
from tests.support.app_login import night
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.service import Service, run_cli

pytestmark = pytest.mark.real_server

HOURS = range(24)
SEEN = (4, 8, 12, 16, 20, 24)
WATCH = "Ann's Apple Watch"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data = tmp_path_factory.mktemp("day") / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    with Service(data) as started:
        yield started


@pytest.fixture(scope="module")
def app(service: Service) -> dict[str, Any]:
    words = ("--format", "health_auto_export", "--zone", "Europe/Berlin", "--bucket", "hour")
    (added,) = service.cli("app", "add", "alice", "phone", *words)
    return added


def publish(service: Service, app: dict[str, Any], file: Path) -> None:
    """With what was printed and nothing else; TLS, any client id, QoS 1."""
    host, port = service.mqtts
    assert port == app["mqtts_port"]
    words = ["mosquitto_pub", "-h", host, "-p", str(port), "--cafile", str(service.ca_file), "-i", "HealthAutoExport"]
    words += ["-u", app["username"], "-P", app["password"], "-t", app["topics"][0], "-f", str(file), "-q", "1"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def export(until: int) -> bytes:
    """A day as it is seen at an hour: past hours are whole, the last one is filling, the rest of the day is not yet."""

    def date(hour: int) -> str:
        return f"2026-05-03 {hour:02}:00:00 +0200"

    seen = [hour for hour in HOURS if hour < until]
    steps = [
        {"date": date(h), "qty": 100 * (h + 1) - (50 if h == until - 1 < 23 else 0), "source": WATCH} for h in seen
    ]
    rates = [{"date": date(h), "Min": 50 + h, "Avg": 60 + h + until / 64, "Max": 99, "source": WATCH} for h in seen]
    metrics = [
        {"name": "step_count", "units": "count", "data": steps},
        {"name": "heart_rate", "units": "count/min", "data": rates},
    ]
    return json.dumps({"data": {"metrics": metrics}}).encode()


def test_a_day_sent_six_times_with_growing_buckets_is_one_day_with_the_last_values(
    service: Service, app: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "export.json"
    for until in SEEN:
        file.write_bytes(export(until))
        publish(service, app, file)
        publish(service, app, file)  # the default period sends all of it again
    rows = service.cli("events", "list", "--user", "alice", "--limit", "1000")
    steps = {row["start_time"]: row["value"]["steps"] for row in rows if row["type"] == "steps"}
    rates = {row["start_time"]: row["value"]["bpm"] for row in rows if row["type"] == "heart_rate"}
    assert (len(steps), len(rates), len(rows)) == (24, 24, 48)
    assert sorted(steps.values()) == [100 * (hour + 1) for hour in HOURS]
    assert sorted(rates.values()) == [60.375 + hour for hour in HOURS]
    assert service.cli("rejected", "list") == []


def test_format_try_says_what_would_come_of_a_file_and_stores_nothing(
    service: Service, app: dict[str, Any], tmp_path: Path
) -> None:
    del app
    before = service.cli("events", "list", "--user", "alice", "--limit", "1000")
    file = tmp_path / "export.json"
    file.write_bytes(export(2).replace(b'"qty": 100', b'"qty": "many"'))
    words = ("--zone", "Europe/Berlin", "--bucket", "hour")
    lines = service.cli("format", "try", "health_auto_export", str(file), *words)
    assert [line.get("type", line.get("reason")) for line in lines].count("heart_rate") == 2
    (refused,) = (line for line in lines if "reason" in line)
    assert (refused["reason"], refused["field"]) == ("wrong_type", "data.metrics[0].data[0].qty")
    assert service.cli("events", "list", "--user", "alice", "--limit", "1000") == before


def told(service: Service, app: dict[str, Any], payload: bytes) -> dict[str, Any]:
    """The receipt of a message, on the connection that sent it: another one of the same login would end it."""
    heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    listens = threading.Event()
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="listener", protocol=paho.MQTTv311)
    client.username_pw_set(app["username"], app["password"])
    client.tls_set(str(service.ca_file))
    client.on_subscribe = lambda *_: listens.set()
    client.on_message = lambda _client, _data, message: heard.put(message.payload)
    client.connect(*service.mqtts)
    client.loop_start()
    try:
        client.subscribe("users/alice/devices/phone/receipts", 1)
        assert listens.wait(PATIENCE_S)
        client.publish(app["topics"][0], payload, 1)
        found: dict[str, Any] = json.loads(heard.get(timeout=PATIENCE_S))
        return found
    finally:
        client.disconnect()
        client.loop_stop()


def test_a_refusal_is_listed_and_its_receipt_names_place_and_field(
    service: Service, app: dict[str, Any], tmp_path: Path
) -> None:
    bad = export(2).replace(b'"qty": 100', b'"qty": "many"')
    receipt = told(service, app, bad)
    (refused,) = receipt["rejected"]
    assert (refused["index"], refused["code"], refused["field"]) == (0, "wrong_type", "data.metrics[0].data[0].qty")
    assert (receipt["batch"], receipt["stored"] + receipt["duplicate"]) == ("health_auto_export", 3)
    rows = [row for row in service.cli("rejected", "list") if row["field"] == "data.metrics[0].data[0].qty"]
    assert [row["reason"] for row in rows] == ["wrong_type"]
    (shown,) = service.cli("app", "show", "alice", "phone")
    assert shown["longest_message"] == 41_943_040
    assert "password" not in shown


def test_what_a_format_remembers_goes_when_consent_is_taken_back(service: Service, tmp_path: Path) -> None:
    service.cli("user", "add", "zoe", "--consent", "all")
    words = ("--format", "health_auto_export", "--zone", "Europe/Berlin", "--bucket", "hour")
    (hers,) = service.cli("app", "add", "zoe", "phone", *words)
    file = tmp_path / "night.json"
    file.write_bytes(night())
    publish(service, hers, file)
    with open_reader(service.data) as reader:
        whose = "zoe", "phone", "health_auto_export"
        assert reader.format_state(*whose) != b""
        service.cli("consent", "withdraw", "zoe", "--types", "sleep", "--yes")
        wait_until(lambda: reader.format_state(*whose) == b"", "nothing is remembered of nights")
