"""The cases of the Eclipse Paho interoperability suite for MQTT 5, as our own tests with our topics.

Here, with paho's own client, so that a foreign implementation reads what we send: basic, session expiry, retained
messages, payload format and user properties, will and will delay, offline message queueing, overlapping
subscriptions, redelivery on reconnect, publication expiry, subscribe options, subscription identifiers,
request and response, maximum packet size, server keep-alive, assigned client id, unsubscribe, subscribe failure.
On the raw wire, where paho's client would not break the rules or does not show it: topic aliases both ways and flow
control both ways (``test_version5_flow.py``), keep-alive and shutdown (the same), dollar topics
(``test_door_version5.py``: refused like all that is not the client's).

Does not apply as it is written there:
- zero length client id: the server assigns the one that the token is for, not an invented one; without a user name
  there is none, and the code is 0x85
- user properties, content types and the like of events: the canonical event is the bridge's own message. They go on
  with messages between clients (status, commands), which are what is tried here
- request and response between any two clients: a response topic is used by the bridge (token exchange, enrolment);
  between clients it goes on unaltered, within the access rules
- shared subscriptions: of canonical topics only, fed from the log; they have tests of their own
"""

import queue
from collections.abc import Callable
from typing import Any

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTMessage, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.support.inprocess import House
from tests.support.paho import Waking, play
from tests.support.patience import PATIENCE_S
from tests.support.peer import Identity

Made = Callable[..., "Paho5"]


def about(kind: int, **values: Any) -> Properties:
    """paho's properties of a packet."""
    made = Properties(kind)
    for name, value in values.items():
        setattr(made, name, value)
    return made


class Paho5(Waking):
    """paho in MQTT 5 with its answers in queues."""

    def __init__(self, house: House, identity: Identity, *, client_id: str | None = None) -> None:
        name = identity.client_id if client_id is None else client_id
        self.client = Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTv5)
        self.client.username_pw_set(identity.client_id, identity.token)
        self.messages: queue.Queue[MQTTMessage] = queue.Queue()
        self.answers: queue.Queue[list[int]] = queue.Queue()
        self.connected: queue.Queue[tuple[bool, int, Any]] = queue.Queue()
        self.ended: queue.Queue[int] = queue.Queue()
        self.published: queue.Queue[tuple[int, Any]] = queue.Queue()
        self.client.on_connect = lambda _c, _u, flags, code, said: self.connected.put(
            (flags.session_present, code.value, said)
        )
        self.client.on_disconnect = lambda _c, _u, _flags, code, _said: self.ended.put(code.value)
        self.client.on_message = lambda _c, _u, message: self.messages.put(message)
        self.client.on_subscribe = lambda _c, _u, _mid, codes, _said: self.answers.put([code.value for code in codes])
        self.client.on_unsubscribe = lambda _c, _u, _mid, codes, _said: self.answers.put([c.value for c in codes])
        self.client.on_publish = lambda _c, _u, _mid, code, said: self.published.put((code.value, said))
        host, _, port = house.ready.mqtt.rpartition(":")
        self._address = (host, int(port))

    def connect(self, *, clean: bool = True, keep_alive: int = 60, **said: Any) -> tuple[bool, int, Any]:
        properties = about(PacketTypes.CONNECT, **said)
        self.client.connect(*self._address, keep_alive, clean_start=clean, properties=properties)
        self.release()
        self.client.loop_start()
        return self.connected.get(timeout=PATIENCE_S)

    def subscribe(self, topic_filter: str, qos: int = 2, identifier: int = 0, **options: Any) -> list[int]:
        said = about(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=identifier) if identifier else None
        self.client.subscribe(topic_filter, options=SubscribeOptions(qos=qos, **options), properties=said)
        return self.answers.get(timeout=PATIENCE_S)

    def unsubscribe(self, topic_filter: str) -> list[int]:
        self.client.unsubscribe(topic_filter)
        return self.answers.get(timeout=PATIENCE_S)

    def publish(self, topic: str, payload: bytes, qos: int = 1, *, retain: bool = False, **said: Any) -> int:
        self.client.publish(topic, payload, qos, retain, about(PacketTypes.PUBLISH, **said)).wait_for_publish(
            PATIENCE_S
        )
        return self.published.get(timeout=PATIENCE_S)[0]

    def message(self) -> MQTTMessage:
        return self.messages.get(timeout=PATIENCE_S)

    def payloads(self, end: bytes) -> list[bytes]:
        """Of what comes until this one."""
        came = []
        while (payload := self.message().payload) != end:
            came.append(payload)
        return came

    def disconnect(self, **said: Any) -> None:
        self.client.disconnect(properties=about(PacketTypes.DISCONNECT, **said) if said else None)
        self.client.loop_stop()


async def test_basic_and_user_properties(house: House) -> None:
    def scene(watch: Identity, app: Identity, paho: Made) -> None:
        device, reader = paho(watch), paho(app)
        assert device.connect()[:2] == (False, 0)
        assert reader.connect()[:2] == (False, 0)
        assert reader.subscribe(watch.status) == [2]
        said = {"UserProperty": [("a", "1"), ("a", "2")], "ContentType": "text/plain", "PayloadFormatIndicator": 1}
        for qos in (0, 1, 2):
            device.publish(watch.status, b"qos %d" % qos, qos, **said)
            message = reader.message()
            assert (message.payload, message.qos) == (b"qos %d" % qos, qos)
            found = message.properties
            assert {name: getattr(found, name) for name in said} == said
        device.client._send_connect(60)
        assert device.ended.get(timeout=PATIENCE_S) == 0x82

    await play(house, Paho5, scene)


async def test_sessions(house: House) -> None:
    def scene(watch: Identity, app: Identity, paho: Made) -> None:
        device, reader = paho(watch), paho(app)
        device.connect()
        assert reader.connect(SessionExpiryInterval=0)[:2] == (False, 0)
        reader.disconnect()
        assert reader.connect(clean=False, SessionExpiryInterval=99_999)[0] is False
        reader.subscribe("users/alice/devices/+/status")
        reader.disconnect()
        for qos in (0, 1, 2):
            device.publish(watch.status, b"qos %d" % qos, qos)
        device.publish(watch.status, b"end")
        assert reader.connect(clean=False, SessionExpiryInterval=99_999)[0] is True
        assert set(reader.payloads(b"end")) <= {b"qos 1", b"qos 2"}
        reader.disconnect(SessionExpiryInterval=0)
        assert reader.connect(clean=False)[0] is False

    await play(house, Paho5, scene)


async def test_retained_messages_and_publication_expiry(house: House) -> None:
    def scene(watch: Identity, app: Identity, paho: Made) -> None:
        device, reader = paho(watch), paho(app)
        device.connect()
        reader.connect()
        device.publish(watch.status, b"kept", 1, retain=True, MessageExpiryInterval=1_000, UserProperty=[("a", "1")])
        reader.subscribe(watch.status)
        message = reader.message()
        assert (message.payload, message.retain) == (b"kept", True)
        assert 0 < message.properties.MessageExpiryInterval <= 1_000
        assert message.properties.UserProperty == [("a", "1")]
        device.publish(watch.status, b"", 1, retain=True)
        assert reader.message().payload == b""
        assert reader.unsubscribe(watch.status) == [0]
        reader.subscribe(watch.status)
        device.publish(watch.status, b"end")
        assert reader.payloads(b"end") == []

    await play(house, Paho5, scene)


async def test_will_message(house: House) -> None:
    def scene(watch: Identity, app: Identity, paho: Made) -> None:
        device, reader = paho(watch), paho(app)
        said = about(PacketTypes.WILLMESSAGE, WillDelayInterval=0, ContentType="text/plain")
        device.client.will_set(watch.status, b"will", 2, retain=True, properties=said)
        device.connect()
        reader.connect()
        reader.subscribe(watch.status)
        device.vanish()
        message = reader.message()
        assert (message.payload, message.properties.ContentType) == (b"will", "text/plain")

    await play(house, Paho5, scene)


async def test_overlapping_subscriptions_and_identifiers(house: House) -> None:
    def scene(watch: Identity, app: Identity, paho: Made) -> None:
        device, reader = paho(watch), paho(app)
        device.connect()
        reader.connect()
        assert reader.subscribe("users/alice/devices/+/status", 2, identifier=456_789) == [2]
        assert reader.subscribe(watch.status, 1, identifier=123) == [1]
        device.publish(watch.status, b"one", 2)
        message = reader.message()
        assert (message.qos, sorted(message.properties.SubscriptionIdentifier)) == (2, [123, 456_789])
        device.publish(watch.status, b"end")
        assert reader.payloads(b"end") == []

    await play(house, Paho5, scene)


async def test_redelivery_on_reconnect(house: House) -> None:
    def scene(watch: Identity, app: Identity, paho: Made) -> None:
        device, reader = paho(watch), paho(app)
        device.connect()
        reader.connect(SessionExpiryInterval=1_000)
        reader.subscribe(watch.status)
        reader.client.loop_stop()  # connected, and answering nothing
        for qos in (1, 2):
            device.publish(watch.status, b"qos %d" % qos, qos)
        reader.client._sock_close()
        assert reader.connect(clean=False, SessionExpiryInterval=1_000)[0] is True
        assert {(m.payload, m.qos) for m in (reader.message(), reader.message())} == {(b"qos 1", 1), (b"qos 2", 2)}

    await play(house, Paho5, scene)


async def test_subscribe_options(house: House) -> None:
    def scene(watch: Identity, app: Identity, paho: Made) -> None:
        device, reader = paho(watch), paho(app)
        device.connect()
        reader.connect()
        device.subscribe(watch.status, noLocal=True)
        reader.subscribe(watch.status, retainAsPublished=True)
        device.publish(watch.status, b"one", 1, retain=True)
        message = reader.message()
        assert (message.payload, message.retain) == (b"one", True)
        reader.subscribe(watch.status, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
        reader.subscribe(watch.status, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        device.publish(watch.status, b"end")
        assert reader.payloads(b"end") == []
        reader.subscribe(watch.status, retainHandling=SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE)
        assert reader.message().payload == b"one"
        assert device.messages.empty()

    await play(house, Paho5, scene)


async def test_request_response_between_clients(house: House) -> None:
    def scene(watch: Identity, app: Identity, paho: Made) -> None:
        device, backend = paho(watch), paho(app)
        device.connect()
        backend.connect()
        device.subscribe(watch.commands)
        backend.subscribe(watch.status)
        backend.publish(watch.commands, b"report", 1, ResponseTopic=watch.status, CorrelationData=b"334")
        asked = device.message().properties
        device.publish(asked.ResponseTopic, b"fine", 1, CorrelationData=asked.CorrelationData)
        answer = backend.message()
        assert (answer.payload, answer.properties.CorrelationData) == (b"fine", b"334")

    await play(house, Paho5, scene)


async def test_maximum_packet_size(house: House) -> None:
    def scene(watch: Identity, app: Identity, paho: Made) -> None:
        device, reader = paho(watch), paho(app)
        most = device.connect()[2].MaximumPacketSize
        assert most == house.settings.limits.max_packet
        reader.connect(MaximumPacketSize=64)
        reader.subscribe(watch.status)
        device.publish(watch.status, bytes(100), 1)
        device.publish(watch.status, b"end")
        assert reader.payloads(b"end") == []

    await play(house, Paho5, scene)


async def test_keepalive_of_the_server_and_assigned_client_id(house: House) -> None:
    def scene(watch: Identity, _app: Identity, paho: Made) -> None:
        device = paho(watch, client_id="")
        _, code, said = device.connect(keep_alive=0xFFFF)
        assert (code, said.ServerKeepAlive) == (0, house.settings.limits.max_keep_alive_s)
        assert said.AssignedClientIdentifier == watch.client_id

    await play(house, Paho5, scene)


async def test_subscribe_failure_and_unsubscribe(house: House) -> None:
    def scene(watch: Identity, _app: Identity, paho: Made) -> None:
        device = paho(watch)
        device.connect()
        assert device.subscribe("users/bob/devices/watch/status") == [0x87]
        assert device.subscribe("$SYS/#") == [0x87]
        assert device.subscribe(watch.status) == [2]
        assert device.unsubscribe(watch.status) == [0]
        assert device.unsubscribe(watch.status) == [0x11]
        assert device.publish("$watch/status", b"") == 0x87
        assert device.ended.empty()

    await play(house, Paho5, scene)


async def test_a_bad_token_is_told_as_one(house: House) -> None:
    def scene(watch: Identity, _app: Identity, paho: Made) -> None:
        stranger = paho(watch)
        stranger.client.username_pw_set(watch.client_id, "nonsense")
        assert stranger.connect()[1] == 0x86

    await play(house, Paho5, scene)
