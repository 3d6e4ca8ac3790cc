"""``healthsync trace``: what one client sends and what became of it, while it happens."""

import json
import subprocess
import uuid
from pathlib import Path

import pytest

from tests.support import child
from tests.support.patience import PATIENCE_S
from tests.support.service import HEALTHSYNC, Service, run_cli


@pytest.mark.real_server
def test_messages_and_refusals_are_shown_without_values(tmp_path: Path) -> None:
    data = tmp_path / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    (login,) = run_cli(data, "device", "add", "alice", "watch")
    topic = "users/alice/devices/watch/events"
    with Service(data) as service:
        host, port = service.mqtt
        words = ["mosquitto_pub", "-h", host, "-p", str(port), "-q", "1", "-i", "alice-watch", "-u", "alice-watch"]

        def publish(where: str, payload: str, token: str) -> None:
            subprocess.run([*words, "-P", token, "-t", where, "-m", payload], check=False, timeout=PATIENCE_S)

        tracing = child.start(
            [*HEALTHSYNC, "trace", "alice-watch", "--for", "10m", "--count", "4", "--data", str(data), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert tracing.stderr
            assert tracing.stderr.readline().startswith("tracing alice-watch")
            good = {"id": uuid.uuid4().hex, "type": "weight", "start_time": "2025-11-23T06:00:00Z"}
            publish(topic, json.dumps(good | {"value": {"kg": 71.25}}), login["token"])
            publish("users/bob/devices/watch/events", "{}", login["token"])
            publish(topic, "{}", "no-token")
            out, _ = tracing.communicate(timeout=PATIENCE_S)
        finally:
            tracing.kill()
            tracing.communicate()
    assert "71.25" not in out
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[0]["what"] == "absent"
    stored = next(line for line in lines if line.get("outcome") == "committed")
    assert (stored["topic"], stored["qos"], stored["events"], stored["stored"]) == (topic, 1, 1, 1)
    assert {line["reason"] for line in lines if line.get("outcome") == "refused"} >= {"not_allowed"}
