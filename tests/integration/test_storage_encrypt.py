"""storage encrypt beside a running service that is killed in the middle: nothing is lost, doubled or left unsealed."""

import json
import subprocess
from pathlib import Path

import pytest

from healthsync_mqtt.control.channel import call
from healthsync_mqtt.storage.opening import Encryption, encryption, open_reader
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.service import Service, run_cli

EVENTS = 60


def publish(service: Service, who: dict[str, str], first: int, count: int) -> None:
    events = [
        {"id": f"marker-{n:04}-x", "type": "weight", "start_time": "2026-11-23T06:00:00Z", "value": {"kg": 60 + n / 8}}
        for n in range(first, first + count)
    ]
    host, port = service.mqtt
    command = ["mosquitto_pub", "-h", host, "-p", str(port), "-q", "1", "-t", "users/alice/devices/watch/events"]
    login = ["-i", who["client_id"], "-u", who["username"], "-P", who["token"]]
    subprocess.run([*command, *login, "-m", json.dumps(events)], check=True, timeout=PATIENCE_S)


@pytest.mark.real_server
def test_a_service_that_is_killed_while_its_log_is_sealed_goes_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    who: dict[str, str] = run_cli(data, "device", "add", "alice", "watch")[0]
    plain = {"HEALTHSYNC_STORAGE__ENCRYPTION": "none"}
    sent = EVENTS
    with Service(data, env=plain) as service:
        publish(service, who, 0, EVENTS)
        wait_until(lambda: run_cli(data, "status")[0]["head"] == EVENTS)
        for steps in (1, 3):
            for _ in range(steps):
                assert call(data, "seal", within_s=PATIENCE_S, rows=9)["left"]
            publish(service, who, sent, 5)
            sent += 5
            service.kill()
            service.start()
            assert encryption(data).mode == "rows"
            assert 0 < encryption(data).plain_rows < EVENTS
            publish(service, who, 0, sent)  # repeats: all are known
        answer = run_cli(data, "storage", "encrypt")
        assert answer == [{"encryption": "rows", "plain_rows": 0, "compacted": False}]
        with open_reader(data) as reader:
            wait_until(lambda: reader.head() == sent)
            rows = reader.read(0, 999)
            assert [row.id for row in rows] == [f"marker-{n:04}-x" for n in range(sent)]
            assert [json.loads(row.body)["value"]["kg"] for row in rows] == [60 + n / 8 for n in range(sent)]
    assert run_cli(data, "storage", "encrypt") == [{"encryption": "rows", "plain_rows": 0, "compacted": True}]
    assert encryption(data) == Encryption("rows", "file", 1, 0)
    files = [path for path in data.glob("events*") if path.is_file()]
    assert [path.name for path in files if b"marker-" in path.read_bytes()] == []
