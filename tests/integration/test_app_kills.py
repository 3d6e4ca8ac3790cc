"""The service is killed again and again between messages that formats remember: nothing is lost, nothing doubled."""

import json
import random
import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho

from tests.support.patience import PATIENCE_S
from tests.support.service import Service, run_cli

MESSAGES = 17
KILLED_AT = range(2, MESSAGES, 5)


class App:
    """An app that sends each message until it is acknowledged, over a connection of its own."""

    def __init__(self, service: Service, login: dict[str, Any]) -> None:
        self._service = service
        self._login = login

    def connected(self) -> paho.Client:
        client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="any")
        client.username_pw_set(self._login["username"], self._login["password"])
        client.connect(*self._service.mqtt)
        client.loop_start()
        return client

    def deliver(self, payload: bytes) -> None:
        client = self.connected()
        client.publish(self._login["topics"][0], payload, 1).wait_for_publish(PATIENCE_S)
        client.disconnect()
        client.loop_stop()

    def deliver_while_killed(self, payload: bytes, after_s: float) -> None:
        """The service is killed at about the time of the commit; the app, not having heard of it, sends again."""
        client = self.connected()
        client.publish(self._login["topics"][0], payload, 1)
        time.sleep(after_s)
        self._service.kill()
        client.loop_stop()
        self._service.start()
        self.deliver(payload)


def sent(tmp_path: Path, form: str, payloads: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is stored of these messages, with a kill at each fifth."""
    chance = random.Random(form)  # a test's
    data = tmp_path / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    (login,) = run_cli(data, "app", "add", "alice", "phone", "--format", form, "--zone", "Europe/Berlin")
    with Service(data) as service:
        app = App(service, login)
        for number, words in enumerate(payloads):
            payload = json.dumps(words).encode()
            if number in KILLED_AT:
                app.deliver_while_killed(payload, chance.choice([0.0, 0.002, 0.01, 0.05]))
            else:
                app.deliver(payload)
        assert service.cli("rejected", "list") == []
        return service.cli("events", "list", "--user", "alice", "--limit", "1000")


def test_parts_of_a_sum_are_counted_once_each(tmp_path: Path) -> None:
    """Life Dashboard sends what is new of a quarter of an hour, and the format adds it up."""
    times = {"bucket_start": "2026-05-03T12:00:00Z", "bucket_end": "2026-05-03T12:15:00Z"}
    said = {"timestamp": "2026-05-03T18:00:00Z", "source": "health_connect"}
    payloads = (
        said | {"sequence": number, "steps": [times | {"sample_count": 1, "total": 1 << number}]}
        for number in range(MESSAGES)
    )
    (row,) = sent(tmp_path, "life_dashboard", payloads)
    assert row["value"] == {"steps": (1 << MESSAGES) - 1}, "each bit is a message that came once"


def test_a_night_of_events_has_each_of_its_stages_once(tmp_path: Path) -> None:
    words = ["light_sleep", "deep_sleep", "rem"]
    stages = [words[number % 3] for number in range(MESSAGES - 2)]
    events = ["sleep_tracking_started", *stages, "sleep_tracking_stopped"]
    (row,) = sent(tmp_path, "sleep_as_android", ({"event": event} for event in events))
    found = row["value"]["stages"]
    assert [each["stage"] for each in found] == [
        {"light_sleep": "light", "deep_sleep": "deep"}.get(s, s) for s in stages
    ]
    for one, other in pairwise(found):
        assert one["end_time"] == other["start_time"]
