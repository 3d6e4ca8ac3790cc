"""The contract of MQTT 5 at the front door, sentence by sentence, on the bare socket: bytes in, bytes out.

Nothing of the project is in the client: packets are written out, and what comes is taken apart by hand.
"""

import json
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

import pytest

from healthsync_mqtt.identity.keys.store import KeyStore
from healthsync_mqtt.identity.login.tokens import TokenIssuer
from healthsync_mqtt.identity.registry import Registry
from tests.support.patience import PATIENCE_S
from tests.support.service import Service, run_cli


class Got(NamedTuple):
    """A packet of the server: its first byte, and what is behind its length."""

    first: int
    body: bytes

    @property
    def reason(self) -> int:
        """Of a PUBACK."""
        assert self.first == 0x40, self
        return self.body[2] if len(self.body) > 2 else 0

    @property
    def told(self) -> dict[str, str]:
        """The user properties of a PUBACK, the first of each name."""
        assert self.first == 0x40, self
        return user_properties(self.body[3:])

    @property
    def event(self) -> str:
        """The id of the event in a PUBLISH of QoS 1."""
        assert self.first & 0xF6 == 0x32, self
        at = 2 + int.from_bytes(self.body[:2], "big") + 2
        length = self.body[at]
        assert length < 0x80
        found: str = json.loads(self.body[at + 1 + length :])["id"]
        return found

    @property
    def packet_id(self) -> bytes:
        """Of a PUBLISH of QoS 1."""
        at = 2 + int.from_bytes(self.body[:2], "big")
        return self.body[at : at + 2]


def variable(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes((value & 127 | 128,)), value >> 7
    return out + bytes((value,))


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(raw)) + raw


def user_properties(about: bytes) -> dict[str, str]:
    """User properties (0x26) among those of a PUBACK, which may also have a reason string (0x1F)."""
    size = shift = at = 0
    while True:
        byte = about[at]
        size |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            break
    assert len(about) == at + size
    found: dict[str, str] = {}

    def taken() -> str:
        nonlocal at
        length = int.from_bytes(about[at : at + 2], "big")
        at += 2 + length
        return about[at - length : at].decode()

    while at < len(about):
        kind, at = about[at], at + 1
        name = taken()
        if kind == 0x26:
            found.setdefault(name, taken())
        else:
            assert kind == 0x1F
    return found


class Raw:
    """A socket that speaks MQTT 5."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=PATIENCE_S)
        self._next = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, first: int, body: bytes) -> None:
        self._socket.sendall(bytes((first,)) + variable(len(body)) + body)

    def receive(self) -> Got:
        (first,) = self._take(1)
        size = shift = 0
        while True:
            (byte,) = self._take(1)
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return Got(first, self._take(size))

    def _take(self, size: int) -> bytes:
        out = b""
        while len(out) < size:
            part = self._socket.recv(size - len(out))
            assert part, "the server has closed the connection"
            out += part
        return out

    def connect(self, who: dict[str, str]) -> None:
        assert self.tries(who)

    def tries(self, who: dict[str, str], *, method: bool = False) -> bool:
        """Whether the login is accepted."""
        about = b"\x15" + text("healthsync-token") if method else b""
        head = text("MQTT") + b"\x05\xc2" + struct.pack(">H", 60) + variable(len(about)) + about
        self.send(0x10, head + text(who["client_id"]) + text(who["username"]) + text(who["token"]))
        answer = self.receive()
        assert answer.first == 0x20, answer
        return answer.body[:2] == b"\0\0"

    def publish(self, topic: str, payload: str) -> Got:
        """At QoS 1; its PUBACK."""
        self._next += 1
        number = struct.pack(">H", self._next)
        self.send(0x32, text(topic) + number + b"\0" + payload.encode())
        answer = self.receive()
        assert answer.body[:2] == number
        return answer

    def subscribe(self, topic_filter: str, about: bytes = b"") -> None:
        """At QoS 1; the SUBACK grants it."""
        self.send(0x82, b"\0\x01" + variable(len(about)) + about + text(topic_filter) + b"\x01")
        answer = self.receive()
        assert (answer.first, answer.body[-1]) == (0x90, 1), answer

    def take(self) -> str:
        """The event of the next message, which is acknowledged."""
        message = self.receive()
        self.send(0x40, message.packet_id)
        return message.event

    def alone(self) -> list[str]:
        """The events that had been sent by the time the server answers a PINGREQ."""
        self.send(0xC0, b"")
        found = []
        while (message := self.receive()).first != 0xD0:
            self.send(0x40, message.packet_id)
            found.append(message.event)
        return found


EVENTS = "users/alice/devices/watch/events"


def event(event_id: str, bpm: int = 60) -> str:
    start = "2026-01-01T00:00:00Z"
    return json.dumps({"id": event_id, "type": "heart_rate", "start_time": start, "value": {"bpm": bpm}})


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    data = tmp_path / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    with Service(data) as started:
        yield started


def device(service: Service) -> dict[str, str]:
    made: dict[str, str] = run_cli(service.data, "device", "add", "alice", "watch")[0]
    return made


def subscriber(service: Service, name: str) -> dict[str, str]:
    made: dict[str, str] = run_cli(service.data, "subscriber", "add", name, "--users", "alice", "--types", "*")[0]
    return made


def token(service: Service, life_s: int) -> str:
    """A token of alice's watch that ends in so many seconds."""
    now = time.time()
    issuer = TokenIssuer(KeyStore(service.data / "keys").keyring(int(now * 1e6)))
    with Registry.open(service.data / "registry.db") as registry:
        watch = registry.device("alice", "watch").principal
        epoch = registry.token_epoch(watch.client_id)
    return issuer.issue(watch, lifetime_s=life_s, now=now, epoch=epoch).token


def test_acknowledgements_tell_what_became_of_events(service: Service) -> None:
    who = device(service)
    with Raw(service.mqtt) as watch:
        watch.connect(who)
        some = watch.publish(EVENTS, f"[{event('a')},{event('b', 9_000)},{event('c')}]")
        assert some.reason == 0
        assert {name: some.told[name] for name in ("stored", "duplicate", "rejected", "seq")} == {
            "stored": "2", "duplicate": "0", "rejected": "1", "seq": "2",
        }  # fmt: skip
        none = watch.publish(EVENTS, event("d", -1))
        assert (none.reason, none.told["reason"], none.told["field"]) == (0x99, "out_of_range", "value.bpm")
        foreign = watch.publish("users/bob/devices/watch/events", event("e"))
        assert foreign.reason == 0x87
        assert watch.publish(EVENTS, event("f")).reason == 0, "the connection stays"
    assert [row["id"] for row in service.cli("events", "list", "--user", "alice")] == ["a", "c", "f"]


def test_a_fresh_token_extends_the_session_past_the_end_of_the_first(service: Service) -> None:
    who = device(service)
    about = b"\x15" + text("healthsync-token") + b"\x16" + text(token(service, 3_600))
    for life_s in (4, 16, 64):  # a machine that stands still for longer is given a token that lasts longer
        with Raw(service.mqtt) as watch:
            until = time.time() + life_s + 1
            if not watch.tries(who | {"token": token(service, life_s)}, method=True):
                continue
            watch.send(0xF0, b"\x19" + variable(len(about)) + about)
            answer = watch.receive()
            if answer.first == 0xE0:  # it was too late
                continue
            assert (answer.first, answer.body[:1]) == (0xF0, b"\0"), answer
            while time.time() < until:
                assert watch.alone() == []
                time.sleep(0.2)
            assert watch.publish(EVENTS, event("later")).told["stored"] == "1"
            return
    pytest.fail("no login before its token had ended")


def test_two_members_get_each_event_once_between_them(service: Service) -> None:
    ids = {f"e{number}" for number in range(40)}
    who, *apps = device(service), subscriber(service, "one"), subscriber(service, "two")
    with Raw(service.mqtt) as watch, Raw(service.mqtt) as one, Raw(service.mqtt) as two:
        watch.connect(who)
        for member, app in zip((one, two), apps, strict=True):
            member.connect(app)
            member.subscribe("$share/g/users/alice/canonical/+")
        for event_id in sorted(ids):
            assert watch.publish(EVENTS, event(event_id)).told["stored"] == "1"
        got: list[str] = []
        end = time.monotonic() + PATIENCE_S
        while len(got) < len(ids) and time.monotonic() < end:
            got += one.alone() + two.alone()
        assert sorted(got) == sorted(ids)
        assert one.alone() + two.alone() == []


def test_from_earliest_brings_all_that_is_stored_and_then_what_comes(service: Service) -> None:
    who, reading = device(service), subscriber(service, "app")
    with Raw(service.mqtt) as watch, Raw(service.mqtt) as app:
        watch.connect(who)
        for number in range(5):
            watch.publish(EVENTS, event(f"e{number}"))
        app.connect(reading)
        app.subscribe("users/alice/canonical/+", b"\x26" + text("from") + text("earliest"))
        assert [app.take() for _ in range(5)] == [f"e{number}" for number in range(5)]
        watch.publish(EVENTS, event("live"))
        assert app.take() == "live"
