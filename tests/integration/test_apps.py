"""Apps from outside: what `app add` prints is enough for mosquitto_pub, with any client id."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from healthsync_mqtt.formats.fit_sample import sample_activity
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.service import Service, run_cli

App = dict[str, Any]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data = tmp_path_factory.mktemp("apps") / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    with Service(data) as started:
        yield started


@pytest.fixture(scope="module")
def app(service: Service) -> App:
    words = ("--format", "fit", "--format", "json", "--zone", "Europe/Berlin", "--bucket", "hour", "--slot", "2")
    (added,) = service.cli("app", "add", "alice", "phone", *words)
    return added


def publish(
    service: Service,
    app: App,
    topic: str,
    payload: bytes,
    *more: str,
    client_id: str = "any-id-of-its-own",
    password: str = "",
) -> subprocess.CompletedProcess[str]:
    """mosquitto_pub over TLS with what was printed; at QoS 1 it ends when it is acknowledged."""
    file = service.data.with_name("payload")
    file.write_bytes(payload)
    host, port = service.mqtts
    assert port == app["mqtts_port"]
    words = ["mosquitto_pub", "-h", host, "-p", str(port), "--cafile", str(service.ca_file), "-i", client_id]
    words += ["-u", app["username"], "-P", password or app["password"], "-t", topic, "-f", str(file), *more]
    return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def weight(event_id: str, kg: float, **more: object) -> bytes:
    made = {"id": event_id, "type": "weight", "start_time": "2026-05-03T05:41:00Z", "value": {"kg": kg}}
    return json.dumps(made | more).encode()


def stored(service: Service) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in service.cli("events", "list", "--user", "alice", "--limit", "1000")}


def test_what_is_printed_is_what_the_app_needs_and_no_more(app: App) -> None:
    assert set(app) == {
        *("user_id", "device_id", "client_id", "username", "password", "topics", "host", "mqtts_port", "wss_port")
    }
    own = "users/alice/devices/phone/formats"
    assert app["topics"] == [f"{own}/fit", f"{own}/json"]


@pytest.mark.real_server
@pytest.mark.parametrize("client_id", ["any-id-of-its-own", "openScaleSync", "ein Telefon"])
def test_a_message_on_the_first_topic_is_stored_under_any_client_id(service: Service, app: App, client_id: str) -> None:
    done = publish(service, app, app["topics"][0], sample_activity(), "-q", "1", client_id=client_id)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [row for row in stored(service).values() if row["source"] == {"provider": "garmin_fit", "recording": "auto"}]
    assert len(rows) == 241
    assert {row["device_id"] for row in rows} == {"phone"}


@pytest.mark.real_server
@pytest.mark.parametrize("more", [("-q", "0"), ("-q", "1", "-r"), ("-q", "2"), ("-q", "1", "-V", "mqttv5")])
def test_every_quality_is_stored_and_retain_is_no_harm(service: Service, app: App, more: tuple[str, ...]) -> None:
    event_id = "-".join(("w", *more))
    assert publish(service, app, app["topics"][1], weight(event_id, 71.5), *more).returncode == 0
    wait_until(lambda: event_id in stored(service), "it is stored")


@pytest.mark.real_server
def test_a_correction_without_a_version_supersedes_and_a_repeat_does_not(service: Service, app: App) -> None:
    for kg in (80, 80.0, 81.25, 81.25):
        sent = weight("corrected", kg, version="latest", utc_offset=7200 if kg == 80 else None)
        assert publish(service, app, app["topics"][1], sent, "-q", "1").returncode == 0
    row = stored(service)["corrected"]
    assert (row["value"], row["version"]) == ({"kg": 81.25}, 1)


@pytest.mark.real_server
def test_a_refusal_is_listed_and_the_app_is_told_where(service: Service, app: App) -> None:
    heard: list[dict[str, Any]] = []
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="listener")
    client.username_pw_set(app["username"], app["password"])
    client.tls_set(str(service.ca_file))
    client.on_message = lambda _client, _userdata, message: heard.append(json.loads(message.payload))
    granted: list[object] = []
    client.on_subscribe = lambda *_: granted.append(1)
    client.connect(*service.mqtts)
    client.subscribe("users/alice/devices/phone/receipts", 1)
    client.loop_start()
    try:
        wait_until(lambda: bool(granted), "it listens")
        sent = b"[" + weight("good", 70) + b"," + weight("bad", 9000) + b"]"
        client.publish(app["topics"][1], sent, 1)
        wait_until(lambda: any(receipt["rejected"] for receipt in heard), "the receipt came")
        client.publish(app["topics"][0], b"no FIT file", 1)
        wait_until(
            lambda: any(each["code"] == "malformed" for receipt in heard for each in receipt["rejected"]), "so did it"
        )
    finally:
        client.disconnect()
        client.loop_stop()
    (told,) = (each for receipt in heard for each in receipt["rejected"] if each["code"] == "out_of_range")
    assert (told["index"], told["field"]) == (1, "value.kg")
    listed = {row["reason"]: row for row in service.cli("rejected", "list", "--user", "alice")}
    assert listed["out_of_range"]["field"] == "value.kg"
    assert listed["malformed"]["topic"] == app["topics"][0]
    (shown,) = service.cli("app", "show", "alice", "phone")
    assert shown["last_refusal"]["reason"] == "malformed"
    assert "password" not in shown


@pytest.mark.real_server
@pytest.mark.parametrize(
    "topic",
    [
        "users/alice/devices/phone/formats/openscale",
        "users/alice/devices/watch/formats/fit",
        "users/bob/devices/phone/formats/fit",
        "openScaleSync/1/measurements/insert",
        "fit",
    ],
)
def test_other_formats_devices_and_users_are_not_the_apps(service: Service, app: App, topic: str) -> None:
    before = stored(service)
    assert publish(service, app, topic, sample_activity(), "-q", "1").returncode == 0  # told by receipt in MQTT 3.1.1
    assert stored(service) == before
    (shown,) = service.cli("app", "show", "alice", "phone")
    assert (shown["last_refusal"]["topic"], shown["last_refusal"]["number"]) == (topic, None)


@pytest.mark.real_server
def test_a_message_on_the_root_that_an_app_insists_on_is_its_formats(service: Service) -> None:
    """openScale-sync publishes below a root of its own, retained, and takes back what was deleted in the app."""
    words = ("--format", "openscale", "--zone", "Europe/Berlin", "--slot", "1")
    (app,) = service.cli("app", "add", "alice", "openscale", *words)
    assert app["topics"][1] == "openScaleSync/#"
    weighed = {"id": 17, "userId": 1, "date": "2026-05-03T07:41+0200", "weight": 71.35, "body_fat": 22.4, "water": 0.0}
    said = json.dumps(weighed).encode()
    for _ in range(2):
        assert publish(service, app, "openScaleSync/1/measurements/insert", said, "-q", "1", "-r").returncode == 0
    rows = [row for row in stored(service).values() if row["device_id"] == "openscale"]
    assert {row["type"]: row["value"] for row in rows} == {
        "weight": {"kg": 71.35},
        "body_fat_percentage": {"percent": 22.4},
    }
    gone = json.dumps({"dateTime": "2026-05-03T07:41+0200"}).encode()
    assert publish(service, app, f"{app['topics'][0]}/1/measurements/delete", gone, "-q", "1").returncode == 0
    rows = [row for row in stored(service).values() if row["device_id"] == "openscale"]
    assert {row["op"] for row in rows} == {"delete"}


@pytest.mark.real_server
def test_a_day_of_a_phone_ends_with_its_last_values(service: Service) -> None:
    words = ("--format", "health_auto_export", "--zone", "Europe/Berlin", "--bucket", "hour")
    (app,) = service.cli("app", "add", "alice", "export", *words)
    for steps in (120.5, 512, 512.0, 901.25, 901.25):
        row = {"date": "2026-05-03 09:00:00 +0200", "qty": steps, "source": "Ann's Apple Watch"}
        sent = {"data": {"metrics": [{"name": "step_count", "units": "count", "data": [row]}]}}
        assert publish(service, app, app["topics"][0], json.dumps(sent).encode(), "-q", "1").returncode == 0
    (found,) = [row for row in stored(service).values() if row["device_id"] == "export"]
    assert (found["type"], found["value"], found["version"]) == ("steps", {"steps": 901.25}, 2)
    assert (found["start_time"], found["end_time"]) == ("2026-05-03T07:00:00.000000Z", "2026-05-03T08:00:00.000000Z")


@pytest.mark.real_server
def test_a_rotated_password_and_a_removed_app_are_out(service: Service) -> None:
    (app,) = service.cli("app", "add", "alice", "scale", "--format", "json")
    assert publish(service, app, app["topics"][0], weight("s1", 70), "-q", "1").returncode == 0
    (rotated,) = service.cli("app", "rotate", "alice", "scale")
    assert rotated["password"] != app["password"]
    assert {k: v for k, v in rotated.items() if k != "password"} == {k: v for k, v in app.items() if k != "password"}
    # What is sent before the service has read of it may be taken.
    wait_until(
        lambda: publish(service, app, app["topics"][0], weight("early", 70), "-q", "1").returncode != 0, "it is void"
    )
    assert publish(service, app, app["topics"][0], weight("s2", 70), "-q", "1").returncode != 0
    typed = rotated["password"].upper().replace("-", " ")
    assert publish(service, rotated, app["topics"][0], weight("s3", 70), "-q", "1", password=typed).returncode == 0
    (listed,) = (each for each in service.cli("app", "list") if each["device_id"] == "scale")
    assert listed["formats"] == ["json"]
    (told,) = service.cli("app", "why", "alice", "scale")
    assert {each["reason"] for each in told["refused"]} == {"the password does not fit"}
    service.cli("app", "remove", "alice", "scale", "--yes")
    wait_until(
        lambda: publish(service, rotated, app["topics"][0], weight("early", 70), "-q", "1").returncode != 0, "it is out"
    )
    assert publish(service, rotated, app["topics"][0], weight("s4", 70), "-q", "1").returncode != 0
    rows = stored(service)
    assert {"s1", "s3"} <= rows.keys()
    assert not {"s2", "s4"} & rows.keys()


def test_the_password_is_nowhere_in_the_data_directory(service: Service, app: App) -> None:
    assert app["password"]
    for file in service.data.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert app["password"].encode() not in content
            assert app["password"].replace("-", "").encode() not in content


def test_a_format_is_tried_without_storing_anything(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "walk.fit"
    file.write_bytes(sample_activity())
    before = stored(service)
    found = service.cli("format", "try", "fit", str(file))
    assert len(found) == 241
    assert found[0]["value"] == {"bpm": 96}
    bad = tmp_path / "bad.fit"
    bad.write_bytes(b"no FIT file")
    (refused,) = service.cli("format", "try", "fit", str(bad))
    assert refused["reason"] == "malformed"
    assert stored(service) == before
