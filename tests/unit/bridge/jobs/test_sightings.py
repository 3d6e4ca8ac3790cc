"""Who was here: noted on the loop, written in one transaction, forgotten with the client."""

from pathlib import Path
from typing import Any

import pytest

from bridge.jobs.sightings import Sightings, described
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.identity.registry import Registry

STARTED_US = 1_795_000_000_000_000


class Clock:
    def __init__(self) -> None:
        self.us = STARTED_US

    def __call__(self) -> int:
        self.us += 1_000_000
        return self.us


@pytest.fixture
def registry(tmp_path: Path) -> Any:
    with Registry.open(tmp_path / "registry.db") as registry:
        registry.add_user("alice", "all", STARTED_US)
        registry.add_device("alice", "watch", STARTED_US)
        registry.add_subscriber("app", "*", "*", STARTED_US)
        yield registry


def test_a_login_and_its_end_outlast_the_process(tmp_path: Path, registry: Registry) -> None:
    sightings = Sightings(registry, clock_us=Clock())
    sightings.entered("alice-watch", "192.0.2.7", 5)
    sightings.left("alice-watch")
    sightings.entered("app", "::1", 4)
    sightings.entered("nobody", "192.0.2.9", 4)
    sightings.flush()
    with Registry.open(tmp_path / "registry.db") as again:
        seen = again.sightings.all()
    assert set(seen) == {"alice-watch", "app"}
    watch = seen["alice-watch"]
    assert (watch.address, watch.protocol, watch.event_us) == ("192.0.2.7", "MQTT 5.0", None)
    assert (watch.connected_us, watch.seen_us) == (STARTED_US + 1_000_000, STARTED_US + 2_000_000)
    assert seen["app"].protocol == "MQTT 3.1.1"


def test_who_is_removed_is_forgotten_and_not_noted_again(registry: Registry) -> None:
    sightings = Sightings(registry, clock_us=Clock())
    for client_id in ("alice-watch", "app"):
        sightings.entered(client_id, "192.0.2.7", 4)
    sightings.flush()
    registry.remove_device("alice", "watch", STARTED_US)
    registry.remove_subscriber("app", STARTED_US)
    assert registry.sightings.all() == {}
    for client_id in ("alice-watch", "app"):
        sightings.entered(client_id, "192.0.2.7", 4)
        sightings.left(client_id)
    sightings.flush()
    assert registry.sightings.all() == {}


def test_nothing_to_note_writes_nothing(registry: Registry) -> None:
    before = registry.generation()
    sightings = Sightings(registry, clock_us=Clock())
    sightings.flush()
    sightings.entered("alice-watch", "192.0.2.7", 4)
    sightings.flush()
    assert registry.generation() == before  # no directory reads again for it


def test_what_could_not_be_written_is_kept(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    sightings = Sightings(registry, clock_us=Clock())
    sightings.entered("alice-watch", "192.0.2.7", 4)

    def full(*_: object) -> None:
        raise StoreError("no space")

    with monkeypatch.context() as patched:
        patched.setattr(registry.sightings, "note", full)
        with pytest.raises(StoreError):
            sightings.flush()
    sightings.flush()
    assert "alice-watch" in registry.sightings.all()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", None),
        (b'{"value":{"bpm":60}}', None),
        (b'{"value":{},"device":{"platform":"watchos","os_version":"11.2","model":"Watch7"}}', "Watch7, watchos 11.2"),
        (b'{"value":{},"device":{"app_version":"3.1","firmware":"9"}}', "app 3.1, firmware 9"),
        (b'{"value":{},"device":{"serial":"12"}}', None),
        (b'{"value":{},"device":{"model":"' + b"x" * 200 + b'"}}', "x" * 80),
    ],
)
def test_what_an_event_says_of_its_device(body: bytes, words: str | None) -> None:
    assert described(body) == words
