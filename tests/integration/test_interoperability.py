"""The cases of the Eclipse Paho interoperability suite for MQTT 3.1.1, as our own tests with our topics.

``CASES`` names every case of ``client_test.py`` (eclipse/paho.mqtt.testing at 9d7bb80) and its tests. The clients are
paho's own, so that a foreign implementation reads what we send; what paho's client does not do is on the raw wire.

Not as they are written there, and why:
- retained messages, wills: on a device's own status topic, the only one where it may retain and set a will
- zero length client id: the server assigns the one that the token or password is for, not an invented one
- overlapping subscriptions: the suite allows one message or two, we send one
- subscribe failure: with a filter that is not the client's
- dollar topics: nobody may subscribe to topics that begin with a dollar sign, or publish to them; that is tried

By hand the suite's own program was run as it stands, from outside, with devices' logins for its clients and a channel
of its own in topics.yaml (``users/{user}/free/#``, retained, with wills): its 10 cases passed.
"""

import queue
import re
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTMessage, MQTTv311

from healthsync_mqtt.model.receipt import parse_receipt
from tests.support.inprocess import House, opened
from tests.support.paho import Waking, play
from tests.support.patience import PATIENCE_S
from tests.support.peer import Identity

CASES = {
    "basic": ("test_basic", "test_outsider_version5::test_what_is_not_mqtt_by_its_name_is_not_let_in"),
    "retained_messages": ("test_retained_messages",),
    "will_message": ("test_will_message",),
    "zero_length_clientid": (
        "test_zero_length_client_id",
        "test_door_strangers::test_an_empty_client_id_is_its_user_names_and_has_no_session_that_lasts",
        "test_app_client_ids::test_an_app_of_version_3_1_1_need_not_say_either",
        "test_app_client_ids::test_without_a_client_id_there_is_no_session_that_lasts_in_version_3_1_1",
    ),
    "offline_message_queueing": ("test_offline_message_queueing",),
    "overlapping_subscriptions": ("test_overlapping_subscriptions",),
    "keepalive": ("test_keepalive",),
    "redelivery_on_reconnect": ("test_redelivery_on_reconnect",),
    "subscribe_failure": ("test_subscribe_failure",),
    "dollar_topics": ("test_dollar_topics",),
    "unsubscribe": ("test_unsubscribe",),
}
"""The suite's cases, without ``test``, and where they are tried."""


def test_each_case_of_the_suite_has_its_test() -> None:
    assert len(CASES) == 11, "client_test.py has so many"
    assert missing_tests(CASES, Path(__file__)) == []


def missing_tests(cases: Mapping[str, Sequence[str]], own: Path) -> list[tuple[str, str]]:
    """Tests that a table names (``test``, or ``file::test``) and that are not there, with their cases."""
    missing = []
    for case, names in cases.items():
        assert names, case
        for name in names:
            file, _, test = name.rpartition("::")
            text = own.with_name(f"{file or own.stem}.py").read_text(encoding="utf-8")
            if not re.search(rf"^async def {test}\(", text, re.MULTILINE):
                missing.append((case, name))
    return missing


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path / "data", {"limits.failed_login_base_s": 0.01}) as running:
        yield running


class Paho(Waking):
    """paho with its answers in queues."""

    def __init__(self, house: House, identity: Identity, *, clean: bool = True, client_id: str | None = None) -> None:
        name = identity.client_id if client_id is None else client_id
        self.client = Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=clean, protocol=MQTTv311)
        self.client.username_pw_set(identity.client_id, identity.token)
        self.messages: queue.Queue[MQTTMessage] = queue.Queue()
        self.answers: queue.Queue[Any] = queue.Queue()
        self.connected: queue.Queue[tuple[bool, int]] = queue.Queue()
        self.gone = threading.Event()
        self.client.on_connect = lambda _c, _u, flags, code, _p: self.connected.put((flags.session_present, code.value))
        self.client.on_disconnect = lambda *_: self.gone.set()
        self.client.on_message = lambda _c, _u, message: self.messages.put(message)
        self.client.on_subscribe = lambda _c, _u, _mid, codes, _p: self.answers.put([code.value for code in codes])
        self.client.on_unsubscribe = lambda *_: self.answers.put("unsubscribed")
        host, _, port = house.ready.mqtt.rpartition(":")
        self._address = (host, int(port))

    def connect(self, *, keep_alive: int = 60) -> tuple[bool, int]:
        self.client.connect(*self._address, keepalive=keep_alive)
        self.release()
        self.client.loop_start()
        return self.connected.get(timeout=PATIENCE_S)

    def subscribe(self, topic_filter: str | list[tuple[str, int]], qos: int = 0) -> list[int]:
        self.client.subscribe(topic_filter, qos)
        return self.answers.get(timeout=PATIENCE_S)

    def publish(self, topic: str, payload: bytes, qos: int = 0, *, retain: bool = False) -> None:
        self.client.publish(topic, payload, qos, retain).wait_for_publish(PATIENCE_S)

    def message(self) -> tuple[str, bytes, int, bool]:
        found = self.messages.get(timeout=PATIENCE_S)
        return found.topic, found.payload, found.qos, found.retain

    def quiet(self) -> bool:
        """Nothing more came: after a round trip that ends with a message to this very client."""
        return self.messages.empty()

    def disconnect(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


async def test_basic(house: House) -> None:
    def scene(watch: Identity, app: Identity, paho: Callable[..., Paho]) -> None:
        device, reader = paho(watch), paho(app)
        assert device.connect() == (False, 0)
        assert reader.connect() == (False, 0)
        assert reader.subscribe(watch.status, 2) == [2]
        for qos in (0, 1, 2):
            device.publish(watch.status, b"qos %d" % qos, qos)
        assert [reader.message() for _ in range(3)] == [
            (watch.status, b"qos %d" % qos, qos, False) for qos in (0, 1, 2)
        ]
        device.disconnect()
        assert device.connect() == (False, 0)
        device.client._send_connect(60)
        assert device.gone.wait(PATIENCE_S)
        assert reader.quiet()

    await play(house, Paho, scene)


async def test_retained_messages(house: House) -> None:
    def scene(watch: Identity, app: Identity, paho: Callable[..., Paho]) -> None:
        device, reader = paho(watch), paho(app)
        device.connect()
        reader.connect()
        for qos in (0, 1, 2):
            device.publish(watch.status, b"r%d" % qos, qos, retain=True)
            assert reader.subscribe([(watch.status, 2)]) == [2]
            topic, payload, got, _ = reader.message()
            while payload != b"r%d" % qos:
                topic, payload, got, _ = reader.message()
            assert (topic, got) == (watch.status, qos)
            reader.client.unsubscribe(watch.status)
            assert reader.answers.get(timeout=PATIENCE_S) == "unsubscribed"
        device.publish(watch.status, b"", 1, retain=True)
        device.publish(watch.status, b"marker", 1)
        assert reader.subscribe("users/alice/devices/+/status", 2) == [2]
        device.publish(watch.status, b"end", 1)
        while (message := reader.message())[1] != b"end":
            assert not message[3], message

    await play(house, Paho, scene)


async def test_zero_length_client_id(house: House) -> None:
    def scene(watch: Identity, _app: Identity, paho: Callable[..., Paho]) -> None:
        nameless = paho(watch, client_id="")
        nameless.client._client_id = b""
        assert nameless.connect() == (False, 0)
        assert nameless.subscribe(watch.status, 1) == [1], "it is the device that its token is for"
        nameless.publish(watch.status, b"mine", 1)
        assert nameless.message()[1] == b"mine"

    await play(house, Paho, scene)


async def test_offline_message_queueing(house: House) -> None:
    def scene(watch: Identity, app: Identity, paho: Callable[..., Paho]) -> None:
        device, reader = paho(watch), paho(app, clean=False)
        device.connect()
        assert reader.connect() == (False, 0)
        assert reader.subscribe("users/alice/devices/+/status", 2) == [2]
        reader.disconnect()
        for qos in (0, 1, 2):
            device.publish(watch.status, b"qos %d" % qos, qos)
        device.publish(watch.status, b"end", 1)
        assert reader.connect() == (True, 0)
        # As a set: paho hands on a message of QoS 2 when it is complete.
        assert {reader.message()[1:] for _ in range(3)} == {
            (b"qos 1", 1, False), (b"qos 2", 2, False), (b"end", 1, False),
        }  # fmt: skip
        assert reader.quiet()

    await play(house, Paho, scene)


async def test_will_message(house: House) -> None:
    def scene(watch: Identity, app: Identity, paho: Callable[..., Paho]) -> None:
        device, reader = paho(watch), paho(app)
        device.client.will_set(watch.status, b"will", 2, retain=True)
        device.connect()
        reader.connect()
        assert reader.subscribe(watch.status, 2) == [2]
        device.vanish()
        assert reader.message() == (watch.status, b"will", 2, False)
        late = paho(app)
        late.connect()
        assert reader.gone.wait(PATIENCE_S)  # one connection a client
        assert late.subscribe(watch.status, 2) == [2]
        assert late.message() == (watch.status, b"will", 2, True)

    await play(house, Paho, scene)


async def test_overlapping_subscriptions(house: House) -> None:
    def scene(watch: Identity, app: Identity, paho: Callable[..., Paho]) -> None:
        device, reader = paho(watch), paho(app)
        device.connect()
        reader.connect()
        assert reader.subscribe([("users/alice/devices/+/status", 2), (watch.status, 1)]) == [2, 1]
        device.publish(watch.status, b"overlapping", 2)
        device.publish(watch.status, b"end", 2)
        assert [reader.message() for _ in range(2)] == [
            (watch.status, b"overlapping", 2, False),
            (watch.status, b"end", 2, False),
        ]

    await play(house, Paho, scene)


async def test_keepalive(house: House) -> None:
    def scene(watch: Identity, app: Identity, paho: Callable[..., Paho]) -> None:
        device, reader = paho(watch), paho(app)
        device.client.will_set(watch.status, b"keepalive expiry", 1)
        reader.connect()
        assert reader.subscribe(watch.status, 2) == [2]
        device.connect(keep_alive=1)
        device.client.loop_stop()  # alive, connected, and silent
        assert reader.message()[1] == b"keepalive expiry"

    await play(house, Paho, scene)


async def test_redelivery_on_reconnect(house: House) -> None:
    def scene(watch: Identity, app: Identity, paho: Callable[..., Paho]) -> None:
        device, reader = paho(watch), paho(app, clean=False)
        device.connect()
        reader.connect()
        assert reader.subscribe(watch.status, 2) == [2]
        reader.client.loop_stop()  # connected, and answering nothing
        for qos in (1, 2):
            device.publish(watch.status, b"qos %d" % qos, qos)
        reader.client._sock_close()
        assert reader.connect() == (True, 0)
        assert {reader.message()[1:3] for _ in range(2)} == {(b"qos 1", 1), (b"qos 2", 2)}
        assert reader.quiet()

    await play(house, Paho, scene)


async def test_subscribe_failure(house: House) -> None:
    def scene(watch: Identity, _app: Identity, paho: Callable[..., Paho]) -> None:
        device = paho(watch)
        device.connect()
        assert device.subscribe([("users/bob/devices/watch/status", 2), (watch.status, 1)]) == [0x80, 1]

    await play(house, Paho, scene)


async def test_dollar_topics(house: House) -> None:
    def scene(watch: Identity, _app: Identity, paho: Callable[..., Paho]) -> None:
        device = paho(watch)
        device.connect()
        assert device.subscribe("$SYS/#", 2) == [0x80]
        assert device.subscribe(watch.receipts, 1) == [1]
        device.publish("$watch/status", b"", 1)
        topic, payload, _, _ = device.message()
        told = [(each.code, each.field) for each in parse_receipt(payload).rejected]
        assert (topic, told) == (watch.receipts, [("not_allowed", "topic")])
        assert not device.gone.is_set()

    await play(house, Paho, scene)
    assert house.counters.refused_by_reason["not_allowed"] == 1


async def test_unsubscribe(house: House) -> None:
    def scene(watch: Identity, app: Identity, paho: Callable[..., Paho]) -> None:
        device, reader = paho(watch), paho(app)
        device.connect()
        reader.connect()
        filters = [(watch.status, 2), ("users/alice/canonical/steps", 1), ("users/alice/devices/phone/status", 2)]
        assert reader.subscribe(filters) == [2, 1, 2]
        reader.client.unsubscribe(watch.status)
        assert reader.answers.get(timeout=PATIENCE_S) == "unsubscribed"
        device.publish(watch.status, b"unheard", 1)
        assert reader.subscribe("users/alice/devices/+/status", 1) == [1]
        device.publish(watch.status, b"heard", 1)
        while reader.message()[1] != b"heard":
            pass
        assert reader.quiet()

    await play(house, Paho, scene)
