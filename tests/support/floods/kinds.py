"""What attackers send, by name: a block of bytes that is written again and again."""

import gzip
import json
import os
from collections.abc import Callable
from dataclasses import dataclass

from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.mqtt.codec import encode, encode_publish, v5
from healthsync_mqtt.mqtt.codec.packets import (
    Auth,
    Connack,
    Connect,
    ConnectCode,
    Disconnect,
    Pingreq,
    Pingresp,
    Properties,
    Property,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from tests.support.wire import Login

_BLOCK = 32_768


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of flood. ``block`` makes its bytes for a login; ``web``: frames on the WebSocket listener.

    ``tls``: MQTT over TLS. ``raw``: to the port of TLS, and none is spoken. ``churn``: the block is written once a
    connection, which then leaves and comes back.
    ``version`` is the protocol level that its CONNECT names.
    """

    name: str
    block: Callable[[Login], bytes]
    login: bool = True
    web: bool = False
    tls: bool = False
    raw: bool = False
    churn: bool = False
    version: int = 4


def _filled(packet: bytes) -> bytes:
    return packet * max(1, _BLOCK // len(packet))


def _web(opcode: int, payload: bytes = b"") -> bytes:
    return bytes((0x80 | opcode, 0x80 | len(payload))) + b"\0\0\0\0" + payload


def _status(login: Login) -> bytes:
    return f"users/{login.user}/devices/{login.device}/status".encode()


def _request(login: Login) -> bytes:
    return f"users/{login.user}/devices/{login.device}/token/request".encode()


def _bad_events(name: str = "b") -> bytes:
    events = [{"id": f"{name}{number}", "type": "heart_rate", "value": {"bpm": -1}} for number in range(500)]
    return json.dumps(events).encode()


def _deep_events() -> bytes:
    """One that is refused after each of its levels was looked at."""
    return b"[" * 8_000 + b"]" * 8_000


def _bad_events_new(login: Login) -> bytes:
    """More different refusals than are kept of one device, so that each is a row, and an older one goes for it."""
    topic = login.topic.encode()
    return b"".join(
        encode_publish(topic, gzip.compress(_bad_events(f"b{number}-")), 1, False, False, 1) for number in range(40)
    )


def _events(login: Login) -> bytes:
    event = '{"id":"%s","type":"heart_rate","start_time":"2026-01-01T00:00:00Z","value":{"bpm":60}}'
    run = os.urandom(4).hex()
    return b"".join(
        encode_publish(login.topic.encode(), (event % f"{run}-{number}").encode(), 1, False, False, number)
        for number in range(1, 200)
    )


def _batches(login: Login) -> bytes:
    """Good events, five hundred a message, whose ids are new with each connection."""
    run = os.urandom(4).hex()
    made = {"type": "heart_rate", "start_time": "2026-01-01T00:00:00Z", "value": {"bpm": 60}}
    batches = ([made | {"id": f"{run}-{batch}-{number}"} for number in range(500)] for batch in range(40))
    topic = login.topic.encode()
    return b"".join(
        encode_publish(topic, gzip.compress(json.dumps(batch).encode()), 1, False, False, number)
        for number, batch in enumerate(batches, 1)
    )


def _released(login: Login) -> bytes:
    """Events of QoS 2, each released at once; their retain flag is to be ignored."""
    event = b'{"id":"released","type":"heart_rate","start_time":"2026-01-01T00:00:00Z","value":{"bpm":60}}'
    return _filled(encode_publish(login.topic.encode(), event, 2, True, False, 1) + encode(Pubrel(1)))


SERVERS = (
    encode(Connack(False, ConnectCode.ACCEPTED)),
    encode(Suback(1, (1,))),
    encode(Unsuback(1)),
    encode(Pingresp()),
)
"""What servers send; each ends the connection of a client that sends it."""


def _servers(login: Login) -> bytes:
    return _filled(SERVERS[sum(login.client_id.encode()) % len(SERVERS)])


def _packet(packet: bytes) -> Callable[[Login], bytes]:
    block = _filled(packet)
    return lambda _login: block


def _message(topic: Callable[[Login], bytes], payload: bytes, qos: int = 0) -> Callable[[Login], bytes]:
    return lambda login: _filled(encode_publish(topic(login), payload, qos, False, False, 1 if qos else 0))


def _own(login: Login) -> bytes:
    return login.topic.encode()


def _connect(client_id: str, password: bytes, *, level: int = 4) -> bytes:
    asked = encode(Connect(client_id, True, 600, client_id or "x", password, None))
    return asked.replace(b"MQTT\x04", b"MQTT" + bytes((level,)))


def _oversized(login: Login, qos: int) -> bytes:
    return encode_publish(login.topic.encode(), bytes(LimitSettings().max_packet), qos, False, False, 1 if qos else 0)


def half_hello() -> bytes:
    """The beginning of a TLS handshake whose rest never comes."""
    return bytes.fromhex("160301020001000200030300") + bytes(200)


def _tampered(login: Login) -> bytes:
    """A token whose signature is wrong: it costs a verification."""
    token = login.token or ""
    return _connect(login.client_id, (token[:-8] + ("A" * 8)).encode())


_MANY = {Property.USER_PROPERTY: (("name", "value"),) * 64}
_METHOD = {Property.AUTHENTICATION_METHOD: "healthsync-token"}


def _message5(topic: Callable[[Login], bytes], about: Properties, qos: int = 0) -> Callable[[Login], bytes]:
    return lambda login: _filled(v5.encode_publish(topic(login), b"{}", qos, False, False, 1 if qos else 0, about))


def _unreleased(login: Login) -> bytes:
    """QoS 2 messages whose release never comes."""
    topic = _status(login)
    return b"".join(encode_publish(topic, b"{}", 2, True, False, number) for number in range(1, 1_000))


def _large_status(login: Login) -> bytes:
    return encode_publish(_status(login), b"x" * 100_000, 0, True, False, 0)


def _replays(login: Login) -> bytes:
    """A large retained message of its own, asked for by each of 32 filters of each packet."""
    filters = ((_status(login).decode(), 1),) * 32
    return _large_status(login) + _filled(encode(Subscribe(1, filters)))


def _fragments(login: Login) -> bytes:
    """Whole packets, a byte a frame: a first fragment, continuations of it, and the last one."""
    packet = encode_publish(_status(login), b"x" * 2_000, 0, False, False, 0)
    opcodes = (0x02, *(0x00,) * (len(packet) - 2), 0x80)
    return b"".join(bytes((opcode, 0x81, 0, 0, 0, 0, byte)) for opcode, byte in zip(opcodes, packet, strict=True))


_EMPTY_FRAGMENTS = b"".join(bytes((opcode, 0x80, 0, 0, 0, 0)) for opcode in (0x02, *(0x00,) * 1_000, 0x80))
"""A message of nothing: a first fragment, continuations of it, and the last one."""


def _handover(login: Login) -> bytes:
    """Goes without a goodbye, so that its will is published, retained."""
    will = Will(_status(login).decode(), b"{}", 0, retain=True)
    asked = Connect(login.client_id, True, 600, login.client_id, (login.token or "").encode(), will)
    return encode(asked)


def _aliases(login: Login) -> bytes:
    topic = login.topic.encode()
    given = b"".join(
        v5.encode_publish(topic, b"{}", properties={Property.TOPIC_ALIAS: number}) for number in range(1, 17)
    )
    return _filled(given + v5.encode_publish(b"", b"{}", properties={Property.TOPIC_ALIAS: 16}))


def _renewals(login: Login) -> bytes:
    secret = {Property.AUTHENTICATION_DATA: (login.token or "").encode()}
    return _filled(v5.encode(Auth(0x19, _METHOD | secret)))


def _long_filters(before: str = "") -> Subscribe:
    """As many filters of the longest that there can be as fit into a packet; no declared topic is so long."""
    most, longest = LimitSettings().max_packet, f"{before}{'a/' * 32_700}"[:65_530]
    return Subscribe(1, ((longest, 1),) * (most // (len(longest) + 3)))


FILTERS = tuple((f"users/u{number}/devices/d/receipts", 1) for number in range(64))

KINDS: tuple[Kind, ...] = (
    Kind(name="pingreq", block=_packet(encode(Pingreq()))),
    Kind(name="puback", block=_packet(encode(Puback(7)))),
    Kind(name="pubrec", block=_packet(encode(Pubrec(7)))),
    Kind(name="pubrel", block=_packet(encode(Pubrel(7)))),
    Kind(name="pubcomp", block=_packet(encode(Pubcomp(7)))),
    Kind(name="subscribe", block=_packet(encode(Subscribe(1, FILTERS)))),
    Kind(name="subscribe-long", block=lambda _: encode(_long_filters())),
    Kind(name="unsubscribe", block=_packet(encode(Unsubscribe(1, tuple(name for name, _ in FILTERS))))),
    Kind(name="events", block=_events),
    Kind(name="events-batches-gzip", block=_batches),
    Kind(name="events-qos-2-retained", block=_released),
    Kind(name="bad-events", block=_message(_own, _bad_events(), 1)),
    Kind(name="bad-events-gzip", block=_message(_own, gzip.compress(_bad_events()), 1)),
    Kind(name="bad-events-new", block=_bad_events_new),
    Kind(name="deep-events", block=_message(_own, _deep_events(), 1)),
    Kind(name="status", block=_message(_status, b"x" * 100)),
    Kind(name="status-large", block=_large_status),
    Kind(name="status-replays", block=_replays),
    Kind(name="unreleased", block=_unreleased),
    Kind(name="wills", block=_handover, login=False, churn=True),
    Kind(name="second-connect", block=_handover, churn=True),
    Kind(name="goodbyes", block=_packet(encode(Disconnect())), churn=True),
    Kind(name="server-packets", block=_servers, churn=True),
    Kind(name="requests", block=_message(_request, b"{}")),
    Kind(name="web-empty-frames", block=_packet(_web(2)), web=True),
    Kind(name="web-pings", block=_packet(_web(9, b"x")), web=True),
    Kind(name="web-pongs", block=_packet(_web(10, b"x")), web=True),
    Kind(name="web-text-frames", block=_packet(_web(1, b"x" * 100)), web=True, churn=True),
    Kind(name="web-fragments", block=_fragments, web=True),
    Kind(name="web-closes", block=_packet(_web(8)), web=True, churn=True),
    Kind(name="stranger-web-empty-frames", block=_packet(_web(2)), login=False, web=True),
    Kind(name="stranger-web-pings", block=_packet(_web(9, b"x")), login=False, web=True),
    Kind(name="stranger-web-fragments", block=_packet(_EMPTY_FRAGMENTS), login=False, web=True),
    Kind(name="stranger-web-pongs", block=_packet(_web(10, b"x" * 100)), login=False, web=True),
    Kind(name="stranger-bytes", block=_packet(b"\x10"), login=False),
    Kind(name="v5-properties", block=_message5(_own, _MANY, 1), version=5),
    Kind(name="v5-status-properties", block=_message5(_status, _MANY), version=5),
    Kind(name="v5-aliases", block=_aliases, version=5),
    Kind(name="v5-auth", block=_renewals, version=5),
    Kind(name="v5-pubrec-refusals", block=_packet(v5.encode(Pubrec(7, 0x97, _MANY))), version=5),
    Kind(name="v5-subscribe", block=_packet(v5.encode(Subscribe(1, FILTERS, _MANY))), version=5),
    Kind(name="v5-subscribe-long", block=lambda _: v5.encode(_long_filters("$share/g/")), version=5),
    Kind(name="v5-not-allowed", block=_message5(lambda _: b"users/other/events", _MANY, 1), version=5),
    Kind(name="stranger-pingreq", block=_packet(encode(Pingreq())), login=False),
    Kind(name="oversized-events", block=lambda login: _oversized(login, 1)),
    Kind(name="oversized-qos-0", block=lambda login: _oversized(login, 0)),
    Kind(name="not-allowed", block=_message(lambda _: b"users/u0/devices/d0/events", b"{}", 1)),
    Kind(name="reconnects", block=lambda _: b"", churn=True),
    Kind(name="reconnects-web", block=lambda _: b"", churn=True, web=True),
    Kind(name="stranger-bad-tokens", block=_tampered, login=False, churn=True),
    Kind(name="stranger-bad-tokens-waiting", block=_tampered, login=False),
    Kind(name="stranger-no-tokens", block=lambda _: _connect("nobody", b"x"), login=False, churn=True),
    Kind(name="stranger-bad-version", block=lambda _: _connect("nobody", b"x", level=9), login=False, churn=True),
    Kind(
        name="stranger-oversized-connect", block=lambda _: b"\x10\xff\xff\x7f" + bytes(1 << 16), login=False, churn=True
    ),
    Kind(name="stranger-handshakes", block=lambda _: b"", login=False, tls=True, churn=True),
    Kind(name="stranger-upgrades", block=lambda _: b"", login=False, web=True, churn=True),
    Kind(name="stranger-half-handshakes", block=lambda _: half_hello(), login=False, raw=True, churn=True),
    Kind(name="stranger-connections", block=lambda _: b"", login=False, churn=True),
)
