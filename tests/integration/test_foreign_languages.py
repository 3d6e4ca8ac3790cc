"""Clients of MQTT 5 in other languages: each publishes an event, is told that it was stored, and is given it back."""

from pathlib import Path

import pytest

from tests.integration.test_foreign_clients import LISTENERS, TOOLS, TOPIC, Setup, event, fresh_id, setup
from tests.support import languages

__all__ = ["setup"]

CLIENTS = ("js", "go", "c", "HiveMqClient", "PahoClient")
"""MQTT.js, paho's clients in Go, C and Java, HiveMQ's client; paho's in Python is in ``test_foreign_clients``."""

pytestmark = pytest.mark.real_server


PAGE = Path(__file__).parents[2] / "docs" / "howto" / "mqtt5.md"
SAID = {
    "mosquitto_pub, mosquitto_sub (2.0)": TOOLS,
    "paho, Python": LISTENERS,
    "paho, C": LISTENERS,
    "paho, Java": LISTENERS,
    "paho, Go (autopaho)": LISTENERS,
    "aiomqtt": LISTENERS,
    "MQTT.js": LISTENERS,
    "HiveMQ's client": LISTENERS,
}
"""What the page says of each: the listeners that its tests go through."""


def test_the_page_names_the_clients_and_the_listeners_that_are_tried() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## Clients that are tried")[2].partition("\n##")[0]
    lines = section.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][2:]
    said = {
        name: tuple(each for each, cell in zip(LISTENERS, cells, strict=True) if cell == "yes") for name, *cells in rows
    }
    assert said == SAID


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("languages")


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("client", CLIENTS)
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
