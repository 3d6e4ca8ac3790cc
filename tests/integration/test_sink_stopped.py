"""A service that is stopped (SIGSTOP) ships nothing meanwhile: another bridge may have taken its sinks over."""

import json
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from healthsync_mqtt.config.private_files import file_lock
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.sinks.config import Sinks
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.service import Service, run_cli

pytestmark = pytest.mark.real_server


def publish(service: Service, who: dict[str, str], first: int, count: int) -> None:
    """One batch at QoS 1, which is in the log when this returns."""
    events = [
        {
            "id": f"e{number}",
            "type": "heart_rate",
            "start_time": f"2026-09-21T00:{number // 60:02d}:{number % 60:02d}Z",
            "value": {"bpm": 60},
        }
        for number in range(first, first + count)
    ]
    host, port = service.mqtt
    command = ["mosquitto_pub", "-h", host, "-p", str(port), "-q", "1", "-t", "users/alice/devices/watch/events"]
    login = ["-i", who["client_id"], "-u", who["username"], "-P", who["token"]]
    subprocess.run([*command, *login, "-m", json.dumps(events)], check=True, timeout=PATIENCE_S)


def written(folder: Path) -> Counter[str]:
    files = sorted(folder.glob("events-*.ndjson"))
    return Counter(json.loads(line)["id"] for file in files for line in file.read_bytes().splitlines())


def free(sinks: Sinks) -> bool:
    """Whether no process ships to the sink."""
    try:
        with file_lock(sinks.ledger("file"), within_s=0):
            return True
    except UnavailableError:
        return False


def holder(sinks: Sinks) -> int:
    return int(sinks.ledger("file").with_suffix(".lock").read_text())


def test_its_process_ends_and_another_one_goes_on_when_the_service_does(tmp_path: Path) -> None:
    data, folder = tmp_path / "data", tmp_path / "out"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    who = run_cli(data, "device", "add", "alice", "watch")[0]
    run_cli(data, "sink", "add", "file", str(folder))
    sinks = Sinks(data)
    with Service(data) as service:
        publish(service, who, 0, 50)
        wait_until(lambda: len(written(folder)) == 50, "the first events")
        first = holder(sinks)
        assert not free(sinks)
        service.send(signal.SIGSTOP)
        wait_until(lambda: free(sinks), "the end of its process")
        service.send(signal.SIGCONT)
        publish(service, who, 50, 50)
        wait_until(lambda: len(written(folder)) == 100, "the rest")
        assert holder(sinks) != first
    assert set(written(folder).values()) == {1}
