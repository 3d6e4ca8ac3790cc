"""A queue whose first message is not taken: libraries of MQTT 3.1.1 send it again and again, and the others wait."""

import json
import queue
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from healthsync_mqtt.config.sections import LimitSettings
from tests.integration.test_foreign_clients import LISTENERS, TOPIC, Setup, event, fresh_id, paho_client, setup
from tests.support import languages
from tests.support.patience import PATIENCE_S

__all__ = ["setup"]

RECEIPTS = "users/alice/devices/watch/receipts"
LONG = LimitSettings().max_packet
BEHIND = 12

FIRST: dict[str, tuple[dict[str, Any], str]] = {
    "retained": ({"topic": TOPIC, "retain": True}, "retain"),
    "a slash too many": ({"topic": f"{TOPIC}/"}, "not_allowed"),
    "another's topic": ({"topic": "users/bob/devices/watch/events"}, "not_allowed"),
    "too long": ({"topic": TOPIC, "length": LONG}, "too_large"),
}
"""What is first in the queue, and what its sender is told of it."""


def queued(first: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """The queue, and the ids of the events behind the first."""
    ids = [fresh_id() for _ in range(BEHIND)]
    head = {"payload": event(fresh_id())} if "length" not in first else {}
    return [head | first, *({"topic": TOPIC, "payload": event(name)} for name in ids)], ids


def judged(setup: Setup, receipts: list[dict[str, Any]], ids: list[str], told: str, first: dict[str, Any]) -> None:
    """All others are stored, once, and the receipts tell of the first."""
    stored = [name for receipt in receipts for name in receipt.get("stored", [])]
    rejected = [each for receipt in receipts for each in receipt.get("rejected", [])]
    assert sorted(set(stored) & set(ids)) == sorted(ids)
    assert [setup.stored(name) for name in ids] == [1] * len(ids)
    if told == "retain":
        assert rejected == []
        assert [receipt["ignored"] for receipt in receipts if receipt.get("ignored")] == [["retain"]]
        return
    assert [(each["code"], each["topic"]) for each in rejected] == [(told, first["topic"])]
    if told == "too_large":
        assert rejected[0]["limit"] == LONG
    else:
        assert TOPIC in rejected[0]["message"]


@pytest.mark.parametrize("name", FIRST)
@pytest.mark.parametrize("listener", LISTENERS)
def test_paho(setup: Setup, listener: str, name: str) -> None:
    first, told = FIRST[name]
    messages, ids = queued(first)
    client = paho_client(setup, listener, setup.device, paho.MQTTv311)
    client.reconnect_delay_set(0.05, 0.05)
    heard: queue.Queue[dict[str, Any]] = queue.Queue()
    logins: queue.Queue[bool] = queue.Queue()

    def connected(at: paho.Client, *_: object) -> None:
        logins.put(True)
        at.subscribe(RECEIPTS, 1)

    client.on_connect = connected
    client.on_message = lambda _client, _data, message: heard.put(json.loads(message.payload))
    acknowledged: queue.Queue[int] = queue.Queue()
    client.on_publish = lambda _client, _data, mid, _code, _about: acknowledged.put(mid)
    sent = {
        client.publish(each["topic"], each.get("payload") or b" " * each["length"], 1, each.get("retain", False)).mid
        for each in messages
    }
    client.connect(*getattr(setup.service, listener))
    client.loop_start()
    try:
        assert {acknowledged.get(timeout=PATIENCE_S) for _ in sent} == sent
        receipts: list[dict[str, Any]] = []
        while sum(len(each.get("stored", [])) + len(each.get("rejected", [])) for each in receipts) < len(messages):
            receipts.append(heard.get(timeout=PATIENCE_S))
    finally:
        client.disconnect()
        client.loop_stop()
    assert logins.qsize() == 1, "its connection was ended for it"
    judged(setup, receipts, ids, told, first)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("languages-queue")


@pytest.mark.real_server
@pytest.mark.parametrize("name", FIRST)
@pytest.mark.parametrize("listener", LISTENERS)
def test_mqtt_js(setup: Setup, built: Path, listener: str, name: str) -> None:
    first, told = FIRST[name]
    messages, ids = queued(first)
    host, port = getattr(setup.service, listener)
    asked = {
        "protocol": listener, "host": host, "port": port, "ca_file": str(setup.service.ca_file), "receipts": RECEIPTS,
        "device": setup.device, "queue": messages,
    }  # fmt: skip
    answer = languages.run("js-queue", asked, built)
    assert answer["ended"] == 0, "its connection was ended for it"
    judged(setup, answer["receipts"], ids, told, first)
