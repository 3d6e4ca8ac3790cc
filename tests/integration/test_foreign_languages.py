"""Clients of MQTT 5 in other languages: each publishes an event, is told that it was stored, and is given it back."""

from pathlib import Path

import pytest

from tests.integration.test_foreign_clients import TOPIC, Setup, event, fresh_id, setup
from tests.support import languages

__all__ = ["setup"]

LISTENERS = {
    "js": ("mqtt", "mqtts", "wss"),
    "go": ("mqtt", "mqtts"),
    "c": ("mqtt", "mqtts", "wss"),
    "HiveMqClient": ("mqtt", "mqtts", "wss"),
    "PahoClient": ("mqtt", "mqtts", "wss"),
}
"""Go's paho takes a connection that somebody else makes: over WebSocket it would be that library's test."""


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("languages")


@pytest.mark.parametrize(
    ("client", "listener"), [(client, listener) for client, names in LISTENERS.items() for listener in names]
)
def test_a_client_of_another_language(setup: Setup, built: Path, client: str, listener: str) -> None:
    host, port = getattr(setup.service, listener)
    event_id = fresh_id()
    asked = {
        "protocol": listener,
        "host": host,
        "port": port,
        "ca_file": str(setup.service.ca_file),
        "filter": "users/alice/canonical/weight",
        "topic": TOPIC,
        "event": event(event_id),
        "subscriber": setup.subscriber,
        "device": setup.device,
    }
    answer = languages.run(client, asked, built)
    assert answer == {"id": event_id, "content_type": "application/json", "reason": 0, "stored": "1"}
    assert setup.stored(event_id) == 1
