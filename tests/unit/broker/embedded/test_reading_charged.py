"""Reading packets is work of their sender too: those with long lists are read a few at a time and charged by entry."""

from typing import Any

import pytest

from healthsync_mqtt.broker.embedded.connection import Connection
from healthsync_mqtt.broker.embedded.lifecycle import ConnectionState
from healthsync_mqtt.broker.embedded.turns import TURN, Turns
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.mqtt.codec import Decoder, encode, v5
from healthsync_mqtt.mqtt.codec.packets import (
    Auth,
    Connect,
    Packet,
    Property,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Subscribe,
    Unsubscribe,
    Will,
)

MANY = {Property.USER_PROPERTY: (("name", "value"),) * 64}
FILTERS = tuple((f"a/{number}", 0) for number in range(1_024))
PROPERTY = 3
"""Units of a property: 64 of them take 180 microseconds here."""


def reader(five: bool) -> Decoder:
    decoder = Decoder(1 << 20, 8192, versions=frozenset({3, 4, 5}))
    asked = Connect("a", protocol_level=5 if five else 4)
    decoder.feed(v5.encode(asked) if five else encode(asked))
    return decoder


CASES: dict[str, tuple[bytes, int, bool]] = {
    "publish": (v5.encode_publish(b"users/u/events", b"{}", 1, False, False, 1, MANY), 64 * PROPERTY, True),
    "puback": (v5.encode(Puback(7, 0x97, MANY)), 64 * PROPERTY, True),
    "pubrec": (v5.encode(Pubrec(7, 0x97, MANY)), 64 * PROPERTY, True),
    "pubrel": (v5.encode(Pubrel(7, 0x92, MANY)), 64 * PROPERTY, True),
    "pubcomp": (v5.encode(Pubcomp(7, 0x92, MANY)), 64 * PROPERTY, True),
    "auth": (v5.encode(Auth(0x18, MANY | {Property.AUTHENTICATION_METHOD: "m"})), 65 * PROPERTY, True),
    "subscribe": (v5.encode(Subscribe(1, FILTERS[:1], MANY)), 64 * PROPERTY + 1, True),
    "unsubscribe": (v5.encode(Unsubscribe(1, ("a",), MANY)), 64 * PROPERTY + 1, True),
    "long subscribe": (encode(Subscribe(1, FILTERS)), 1_024, False),
    "long unsubscribe": (encode(Unsubscribe(1, tuple(name for name, _ in FILTERS))), 1_024, False),
}


@pytest.mark.parametrize("name", CASES)
def test_so_many_packets_are_read_as_are_the_work_that_was_asked_for(name: str) -> None:
    block, each, five = CASES[name]
    decoder = reader(five)
    found: list[Packet] = []
    data = block * 100
    while len(found) < 100:
        came = decoder.feed(data, 128, TURN)
        assert decoder.dear == each * len(came)
        assert decoder.dear < TURN + each
        found += came
        data = b""
    assert not decoder.more
    assert len(set(map(repr, found))) == 1


def test_who_asks_for_no_bound_gets_all() -> None:
    block, each, five = CASES["pubrec"]
    decoder = reader(five)
    assert len(decoder.feed(block * 100)) == 100
    assert decoder.dear == 100 * each
    decoder.feed(b"")
    assert decoder.dear == 0


def test_messages_without_lists_cost_nothing_more() -> None:
    decoder = reader(five=True)
    plain = v5.encode_publish(b"users/u/events", b"{}", 1, False, False, 1) + v5.encode(Puback(1))
    assert len(decoder.feed(plain * 100, 300, TURN)) == 200
    assert decoder.dear == 0


def test_a_login_is_charged_for_what_its_will_says_too() -> None:
    decoder = Decoder(1 << 20, 8192, versions=frozenset({5}))
    will = Will("users/u/devices/d/status", b"", 0, False, MANY)
    decoder.feed(v5.encode(Connect("a", protocol_level=5, will=will, properties=MANY)))
    assert decoder.dear == 2 * 64 * PROPERTY


class Inbox:
    """A wire with bytes."""

    peer = "127.0.0.1"

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def waits(self) -> bool:
        return bool(self._data)

    def read(self, _: int) -> tuple[bytes, int]:
        data, self._data = self._data, b""
        return data, 1

    def pause(self) -> None: ...

    resume = pause


class Protocol:
    """Takes packets, and never has anything to do."""

    ready = False
    state = ConnectionState.OPEN

    def __init__(self) -> None:
        self.packets: list[Packet] = []

    def received(self, packets: list[Packet]) -> None:
        self.packets += packets


@pytest.mark.parametrize("name", CASES)
async def test_a_turn_reads_no_more_than_a_turn(name: str) -> None:
    block, each, five = CASES[name]
    door: Any = None
    connection = Connection(door, Inbox(block * 100), LimitSettings(), Turns(), visitors=door, wanted=lambda _: None)  # type: ignore[arg-type]
    protocol: Any = Protocol()
    connection._protocol, connection._decoder = protocol, reader(five)
    spent = connection.turn(TURN)
    connection._deadlines.cancel()
    assert spent >= each * len(protocol.packets)
    assert 0 < len(protocol.packets) <= TURN // each + 1


def test_a_publish_is_what_it_was() -> None:
    decoder = reader(five=True)
    sent = Publish(b"users/u/events", b"{}", 2, True, False, 9, {Property.MESSAGE_EXPIRY: 5})
    assert decoder.feed(v5.encode(sent)) == [sent]
    assert decoder.dear == PROPERTY
