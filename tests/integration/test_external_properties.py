"""What a message says of itself in MQTT 5 crosses an external broker, and what a bridge makes of it there."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from healthsync_mqtt.mqtt.links.client import tls_context
from healthsync_mqtt.storage.opening import open_reader
from tests.support.external_bridge import BridgeProcess
from tests.support.mosquitto import Mosquitto
from tests.support.outsider import CONNACK, PUBACK, PUBLISH, PUBREC, Bag, Listener, Outsider
from tests.support.patience import until
from tests.support.peer import event

pytestmark = pytest.mark.real_server

STATUS, EVENTS = "users/alice/devices/watch/status", "users/alice/devices/watch/events"
SAID: Bag = {
    "payload_format_indicator": 1,
    "content_type": "text/plain",
    "response_topic": "users/alice/devices/watch/commands",
    "correlation_data": b"\x00\xff17",
    "user_property": [("trace", "1"), ("trace", "2"), ("", "ü")],
}
Enter = Callable[..., Awaitable[Outsider]]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    made, now = Mosquitto(tmp_path_factory.mktemp("properties")), time.time_ns() // 1000
    with made.registry() as registry:
        registry.add_user("alice", "all", now)
        registry.add_device("alice", "watch", now)
        registry.add_subscriber("phone", ["alice"], None, now)
    with made:
        asyncio.run(made.provision())
        with BridgeProcess(made.data):
            yield made


@pytest.fixture
async def enter(broker: Mosquitto) -> AsyncIterator[Enter]:
    opened: list[Outsider] = []

    async def one(name: str, **said: Any) -> Outsider:
        context = tls_context(broker.certificates.ca_cert)
        client = await Outsider.open(f"localhost:{broker.port}", Listener.TLS, context)
        opened.append(client)
        account = broker.account(name)
        answer = await client.connect(account.client_id, account.password, username=account.username, **said)
        assert (answer.kind, answer.reason) == (CONNACK, 0)
        return client

    yield one
    for client in opened:
        with contextlib.suppress(ConnectionError):
            await client.leave()


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_between_clients_all_of_it_goes_on_unaltered(enter: Enter, qos: int) -> None:
    phone, watch = await enter("phone"), await enter("alice-watch")
    assert (await phone.subscribe((STATUS, 1), subscription_identifier=[7])).codes == (1,)
    while came := [each for each in await phone.settled() if each.kind == PUBLISH]:  # the will of the test before
        for each in came:
            phone.acknowledge(each)
    if qos:
        assert (await watch.put(STATUS, b"on", qos, **SAID)).reason == 0
    else:
        watch.publish(STATUS, b"on", 0, **SAID)
    message = await phone.message()
    assert (message.payload, message.qos) == (b"on", min(qos, 1))
    assert message.about == SAID | {"subscription_identifier": [7]}


async def test_wills_and_retained_messages_keep_it_too(enter: Enter) -> None:
    watch = await enter("alice-watch", will=(STATUS, b"lost", 1, True, SAID))
    phone = await enter("phone")
    assert (await phone.subscribe((STATUS, 1 | 2 << 4))).codes == (1,)  # nothing of what was retained before
    await watch.cut()
    assert (await phone.message()).about == SAID
    late = await enter("phone")
    assert (await late.subscribe((STATUS, 1))).codes == (1,)
    message = await late.message()
    assert (message.payload, message.retain, message.about) == (b"lost", True, SAID)


async def test_an_event_is_the_same_whatever_is_said_of_it_and_codes_tell_what_is_not_allowed(
    broker: Mosquitto, enter: Enter
) -> None:
    phone, watch = await enter("phone"), await enter("alice-watch")
    assert (await phone.subscribe(("users/alice/canonical/+", 1))).codes == (1,)
    assert (await watch.subscribe(("users/alice/devices/watch/receipts", 1))).codes == (1,)
    for qos, kind in ((1, PUBACK), (2, PUBREC)):
        answer = await watch.put(EVENTS, event(f"e{qos}"), qos, **SAID)
        assert (answer.kind, answer.reason) == (kind, 0)
        told = await watch.message()
        assert json.loads(told.payload)["stored"] == [f"e{qos}"], "the receipt says what became of it"
        canonical = await phone.message()
        assert json.loads(canonical.payload)["id"] == f"e{qos}"
        assert "user_property" not in canonical.about, "the canonical event is the bridge's own message"

    def stored() -> list[str]:
        with open_reader(broker.data) as reader:
            return [record.id for record in reader.read(0, 100)]

    await until(lambda: stored() == ["e1", "e2"])
    for topic in ("users/bob/devices/watch/events", "users/alice/canonical/steps"):
        other = await enter("alice-watch")
        assert (await other.put(topic, event("no"), **SAID)).reason == 0x87
