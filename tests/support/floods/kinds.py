"""What attackers send, by name: a block of bytes that is written again and again."""

import gzip
import json
import os
from collections.abc import Callable

from healthsync_mqtt.config.sections import EventSettings, LimitSettings
from healthsync_mqtt.mqtt.codec import encode, encode_publish, v5
from healthsync_mqtt.mqtt.codec.packets import (
    Auth,
    Connack,
    Connect,
    ConnectCode,
    Disconnect,
    Packet,
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
from tests.support.floods.frames import (
    EMPTY_FRAGMENTS,
    a_byte_a_frame,
    a_packet_a_frame,
    fragments,
    frame,
    reserved,
)
from tests.support.floods.kind import Kind, Over, again_and_again, filled
from tests.support.floods.strangers import (
    MANY,
    METHOD,
    RESERVED3,
    RESERVED5,
    behind_bad_connect,
    connects5,
    first_packets,
    first_packets5,
    long_connect,
    steps_behind_bad_connect,
)
from tests.support.wire import Login


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


def _bad_events_new(login: Login, packed: Callable[[bytes], bytes] = bytes) -> bytes:
    """More different refusals than are kept of one device, so that each is a row, and an older one goes for it."""
    topic = login.topic.encode()
    return b"".join(
        encode_publish(topic, packed(_bad_events(f"b{number}-")), 1, False, False, 1) for number in range(40)
    )


def _events(login: Login) -> bytes:
    event = '{"id":"%s","type":"heart_rate","start_time":"2026-01-01T00:00:00Z","value":{"bpm":60}}'
    run = os.urandom(4).hex()
    return b"".join(
        encode_publish(login.topic.encode(), (event % f"{run}-{number}").encode(), 1, False, False, number)
        for number in range(1, 200)
    )


def _batches(login: Login, packed: Callable[[bytes], bytes] = bytes) -> bytes:
    """Good events, five hundred a message, whose ids are new with each connection."""
    run = os.urandom(4).hex()
    made = {"type": "heart_rate", "start_time": "2026-01-01T00:00:00Z", "value": {"bpm": 60}}
    batches = ([made | {"id": f"{run}-{batch}-{number}"} for number in range(500)] for batch in range(40))
    topic = login.topic.encode()
    return b"".join(
        encode_publish(topic, packed(json.dumps(batch).encode()), 1, False, False, number)
        for number, batch in enumerate(batches, 1)
    )


def _series(samples: int, last: int = 72) -> bytes:
    """An event with so many samples, the last of them perhaps out of range; its id is a new one."""
    seconds = [number * 3_600 // samples for number in range(samples)]
    row = ",".join([f"[{second},{60 + second % 60}]" for second in seconds[:-1]] + [f"[{seconds[-1]},{last}]"])
    times = '"start_time":"2026-01-01T00:00:00Z","end_time":"2026-01-01T01:00:00Z"'
    return f'{{"id":"{os.urandom(4).hex()}","type":"heart_rate",{times},"value":{{"samples":[{row}]}}}}'.encode()


def _all_series(login: Login, packed: Callable[[bytes], bytes] = bytes) -> bytes:
    """Good events, each with as many samples as it may have."""
    made = (packed(_series(EventSettings().max_samples)) for _ in range(16))
    return b"".join(encode_publish(login.topic.encode(), each, 1, False, False, 1) for each in made)


def _bombs(login: Login) -> bytes:
    """Few bytes that unfold to many: to more than may be, to as many as may be, and to more than they say."""
    most, ratio = EventSettings().max_payload, EventSettings().max_ratio
    beyond = gzip.compress(bytes(64 * most))
    told = os.urandom(most // ratio).hex().encode()
    within = gzip.compress(b"[" + told + b" " * (most - len(told) - 2) + b"]")
    lying = beyond[:-4] + (100).to_bytes(4, "little")
    return b"".join(
        encode_publish(login.topic.encode(), each, 1, False, False, 1) for each in (beyond, within, lying) * 8
    )


def _released(login: Login) -> bytes:
    """Events of QoS 2, each released at once; their retain flag is to be ignored."""
    event = b'{"id":"released","type":"heart_rate","start_time":"2026-01-01T00:00:00Z","value":{"bpm":60}}'
    return filled(encode_publish(login.topic.encode(), event, 2, True, False, 1) + encode(Pubrel(1)))


_SERVERS: tuple[Packet, ...] = (Connack(False, ConnectCode.ACCEPTED), Suback(1, (1,)), Unsuback(1), Pingresp())
"""What servers send; each ends the connection of a client that sends it."""


def _servers(_login: Login) -> tuple[bytes, ...]:
    return tuple(filled(packet) for packet in (*map(encode, _SERVERS), *RESERVED3))


def _servers5(_login: Login) -> tuple[bytes, ...]:
    about = (Connack(False, 0, MANY), Suback(1, (1,), MANY), Unsuback(1, (0,), MANY), Pingresp())
    return tuple(filled(packet) for packet in (*map(v5.encode, about), *RESERVED5))


def _message(topic: Callable[[Login], bytes], payload: bytes, qos: int = 0) -> Callable[[Login], bytes]:
    return lambda login: filled(encode_publish(topic(login), payload, qos, False, False, 1 if qos else 0))


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


def _message5(topic: Callable[[Login], bytes], about: Properties, qos: int = 0) -> Callable[[Login], bytes]:
    return lambda login: filled(v5.encode_publish(topic(login), b"{}", qos, False, False, 1 if qos else 0, about))


def _unreleased(login: Login) -> bytes:
    """QoS 2 messages whose release never comes."""
    topic = _status(login)
    return b"".join(encode_publish(topic, b"{}", 2, True, False, number) for number in range(1, 1_000))


def _large_status(login: Login) -> bytes:
    return encode_publish(_status(login), b"x" * 100_000, 0, True, False, 0)


def _replays(login: Login) -> bytes:
    """A large retained message of its own, asked for by each of 32 filters of each packet."""
    filters = ((_status(login).decode(), 1),) * 32
    return _large_status(login) + filled(encode(Subscribe(1, filters)))


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
    return filled(given + v5.encode_publish(b"", b"{}", properties={Property.TOPIC_ALIAS: 16}))


def _renewals(login: Login) -> bytes:
    secret = {Property.AUTHENTICATION_DATA: (login.token or "").encode()}
    return filled(v5.encode(Auth(0x19, METHOD | secret)))


def _long_filters(before: str = "") -> Subscribe:
    """As many filters of the longest that there can be as fit into a packet; no declared topic is so long."""
    most, longest = LimitSettings().max_packet, f"{before}{'a/' * 32_700}"[:65_530]
    return Subscribe(1, ((longest, 1),) * (most // (len(longest) + 3)))


def _events5(login: Login) -> bytes:
    """Good events with all that a client may say about a message."""
    event = b'{"id":"v5","type":"heart_rate","start_time":"2026-01-01T00:00:00Z","value":{"bpm":60}}'
    about = {
        Property.PAYLOAD_FORMAT: 1,
        Property.MESSAGE_EXPIRY: 60,
        Property.CONTENT_TYPE: "application/json",
        Property.RESPONSE_TOPIC: login.receipts,
        Property.CORRELATION_DATA: b"x" * 64,
    }
    topic = login.topic.encode()
    return filled(v5.encode_publish(topic, event, 1, False, False, 1, about | MANY) + v5.encode(Pingreq()))


def _acknowledgements5(_login: Login) -> bytes:
    about = MANY | {Property.REASON_STRING: "a reason"}
    return filled(b"".join(v5.encode(of(7, 0x80 if of is Puback else 0x92, about)) for of in (Puback, Pubrel, Pubcomp)))


def _goodbyes5(_login: Login) -> tuple[bytes, ...]:
    """In turns: a will that is to be published, a session that is to be kept, and one that CONNECT did not ask for."""
    words = MANY | {Property.REASON_STRING: "x" * 1_000}
    return tuple(
        v5.encode(Disconnect(reason, words | {Property.SESSION_EXPIRY: expiry}))
        for reason, expiry in ((0x04, 0), (0, 60), (0x81, 0))
    )


def _handover5(login: Login) -> bytes:
    """The will of MQTT 5 has properties of its own, and waits."""
    about = {Property.WILL_DELAY: 1, Property.CONTENT_TYPE: "application/json"} | MANY
    will = Will(_status(login).decode(), b"{}", 0, retain=True, properties=about)
    asked = Connect(login.client_id, True, 600, login.client_id, (login.token or "").encode(), will, 5)
    return v5.encode(asked._replace(properties={Property.SESSION_EXPIRY: 60} | METHOD | MANY))


FILTERS = tuple((f"users/u{number}/devices/d/receipts", 1) for number in range(64))

KINDS: tuple[Kind, ...] = (
    Kind(name="pingreq", block=again_and_again(encode(Pingreq()))),
    Kind(name="puback", block=again_and_again(encode(Puback(7)))),
    Kind(name="pubrec", block=again_and_again(encode(Pubrec(7)))),
    Kind(name="pubrel", block=again_and_again(encode(Pubrel(7)))),
    Kind(name="pubcomp", block=again_and_again(encode(Pubcomp(7)))),
    Kind(name="subscribe", block=again_and_again(encode(Subscribe(1, FILTERS)))),
    Kind(name="subscribe-long", block=lambda _: encode(_long_filters())),
    Kind(name="unsubscribe", block=again_and_again(encode(Unsubscribe(1, tuple(name for name, _ in FILTERS))))),
    Kind(name="events", block=_events),
    Kind(name="events-batches-gzip", block=lambda login: _batches(login, gzip.compress)),
    Kind(name="events-batches", block=_batches),
    Kind(name="events-series", block=_all_series),
    Kind(name="events-series-gzip", block=lambda login: _all_series(login, gzip.compress)),
    Kind(name="events-qos-2-retained", block=_released),
    Kind(name="bad-events", block=_message(_own, _bad_events(), 1)),
    Kind(name="bad-events-gzip", block=_message(_own, gzip.compress(_bad_events()), 1)),
    Kind(name="bad-events-new", block=_bad_events_new),
    Kind(name="bad-events-new-gzip", block=lambda login: _bad_events_new(login, gzip.compress)),
    Kind(name="bad-series", block=_message(_own, _series(EventSettings().max_samples, 900), 1)),
    Kind(name="bad-series-gzip", block=_message(_own, gzip.compress(_series(EventSettings().max_samples, 900)), 1)),
    Kind(name="gzip-bombs", block=_bombs),
    Kind(name="deep-events-gzip", block=_message(_own, gzip.compress(_deep_events()), 1)),
    Kind(name="deep-events", block=_message(_own, _deep_events(), 1)),
    Kind(name="status", block=_message(_status, b"x" * 100)),
    Kind(name="status-large", block=_large_status),
    Kind(name="status-replays", block=_replays),
    Kind(name="unreleased", block=_unreleased),
    Kind(name="wills", block=_handover, login=False, churn=True),
    Kind(name="second-connect", block=_handover, churn=True),
    Kind(name="goodbyes", block=again_and_again(encode(Disconnect())), churn=True),
    Kind(name="server-packets", block=_servers, churn=True),
    Kind(name="small-writes", block=_events, piece=1),
    Kind(name="tls-pingreq", block=again_and_again(encode(Pingreq())), over=Over.TLS),
    Kind(name="tls-subscribe", block=again_and_again(encode(Subscribe(1, FILTERS))), over=Over.TLS),
    Kind(name="tls-events", block=_events, over=Over.TLS),
    Kind(name="tls-bad-events-gzip", block=_message(_own, gzip.compress(_bad_events()), 1), over=Over.TLS),
    Kind(name="tls-byte-records", block=again_and_again(encode(Puback(7))), over=Over.TLS, piece=1),
    Kind(name="tls-oversized-events", block=lambda login: _oversized(login, 1), over=Over.TLS),
    Kind(name="tls-reconnects", block=lambda _: b"", over=Over.TLS, churn=True),
    Kind(name="requests", block=_message(_request, b"{}")),
    Kind(name="web-packets", block=a_packet_a_frame(again_and_again(encode(Pingreq()))), over=Over.WEB),
    Kind(name="web-events", block=a_packet_a_frame(_events), over=Over.WEB),
    Kind(
        name="web-bad-events-gzip",
        block=a_packet_a_frame(_message(_own, gzip.compress(_bad_events()), 1)),
        over=Over.WEB,
    ),
    Kind(name="web-subscribe", block=a_packet_a_frame(again_and_again(encode(Subscribe(1, FILTERS)))), over=Over.WEB),
    Kind(name="web-byte-frames", block=a_byte_a_frame(_events), over=Over.WEB),
    Kind(name="web-byte-records", block=a_packet_a_frame(_events), over=Over.WEB, piece=1),
    Kind(name="web-empty-fragments", block=again_and_again(EMPTY_FRAGMENTS), over=Over.WEB),
    Kind(name="web-long-pings", block=again_and_again(frame(9, b"x" * 125)), over=Over.WEB),
    Kind(name="web-reserved", block=reserved, over=Over.WEB, churn=True),
    Kind(name="web-v5-properties", block=a_packet_a_frame(_message5(_own, MANY, 1)), over=Over.WEB, version=5),
    Kind(name="web-empty-frames", block=again_and_again(frame(2)), over=Over.WEB),
    Kind(name="web-pings", block=again_and_again(frame(9, b"x")), over=Over.WEB),
    Kind(name="web-pongs", block=again_and_again(frame(10, b"x")), over=Over.WEB),
    Kind(name="web-text-frames", block=again_and_again(frame(1, b"x" * 100)), over=Over.WEB, churn=True),
    Kind(name="web-fragments", block=fragments, over=Over.WEB),
    Kind(name="web-closes", block=again_and_again(frame(8)), over=Over.WEB, churn=True),
    Kind(name="stranger-web-empty-frames", block=again_and_again(frame(2)), login=False, over=Over.WEB),
    Kind(name="stranger-web-pings", block=again_and_again(frame(9, b"x")), login=False, over=Over.WEB),
    Kind(name="stranger-web-fragments", block=again_and_again(EMPTY_FRAGMENTS), login=False, over=Over.WEB),
    Kind(name="stranger-web-pongs", block=again_and_again(frame(10, b"x" * 100)), login=False, over=Over.WEB),
    Kind(
        name="stranger-web-text-frames",
        block=again_and_again(frame(1, b"x" * 100)),
        login=False,
        over=Over.WEB,
        churn=True,
    ),
    Kind(name="stranger-web-closes", block=again_and_again(frame(8)), login=False, over=Over.WEB, churn=True),
    Kind(name="stranger-web-reserved", block=reserved, login=False, over=Over.WEB, churn=True),
    Kind(name="stranger-web-byte-records", block=again_and_again(frame(2)), login=False, over=Over.WEB, piece=1),
    Kind(
        name="stranger-http-lines",
        block=again_and_again(b"GET /mqtt HTTP/1.1\r\n" + b"A: b\r\n" * 100),
        login=False,
        over=Over.HTTP,
    ),
    Kind(name="stranger-tls-byte-records", block=long_connect("nobody", 8_000), login=False, over=Over.TLS, piece=1),
    Kind(name="stranger-small-writes", block=long_connect("nobody", 8_000), login=False, piece=1),
    Kind(name="stranger-first-packets", block=first_packets, login=False, churn=True),
    Kind(name="stranger-v5-first-packets", block=first_packets5, login=False, churn=True, version=5),
    Kind(name="stranger-v5-connects", block=connects5, login=False, churn=True, version=5),
    Kind(name="stranger-events-behind-connect", block=behind_bad_connect, login=False),
    Kind(name="stranger-v5-auth-behind-connect", block=steps_behind_bad_connect, login=False, version=5),
    Kind(name="stranger-bytes", block=again_and_again(b"\x10"), login=False),
    Kind(name="v5-properties", block=_message5(_own, MANY, 1), version=5),
    Kind(name="v5-status-properties", block=_message5(_status, MANY), version=5),
    Kind(name="v5-aliases", block=_aliases, version=5),
    Kind(name="v5-auth", block=_renewals, version=5),
    Kind(name="v5-events", block=_events5, version=5),
    Kind(name="v5-acknowledgements", block=_acknowledgements5, version=5),
    Kind(name="v5-goodbyes", block=_goodbyes5, churn=True, version=5),
    Kind(name="v5-server-packets", block=_servers5, churn=True, version=5),
    Kind(name="v5-wills", block=_handover5, login=False, churn=True, version=5),
    Kind(name="v5-second-connect", block=_handover5, churn=True, version=5),
    Kind(
        name="v5-unsubscribe",
        block=again_and_again(v5.encode(Unsubscribe(1, tuple(name for name, _ in FILTERS), MANY))),
        version=5,
    ),
    Kind(
        name="v5-subscribe-ids",
        block=again_and_again(v5.encode(Subscribe(1, FILTERS, {Property.SUBSCRIPTION_ID: (1,)} | MANY))),
        version=5,
    ),
    Kind(name="v5-pubrec-refusals", block=again_and_again(v5.encode(Pubrec(7, 0x97, MANY))), version=5),
    Kind(name="v5-subscribe", block=again_and_again(v5.encode(Subscribe(1, FILTERS, MANY))), version=5),
    Kind(name="v5-subscribe-long", block=lambda _: v5.encode(_long_filters("$share/g/")), version=5),
    Kind(name="v5-not-allowed", block=_message5(lambda _: b"users/other/events", MANY, 1), version=5),
    Kind(name="stranger-pingreq", block=again_and_again(encode(Pingreq())), login=False),
    Kind(name="oversized-events", block=lambda login: _oversized(login, 1)),
    Kind(name="oversized-qos-0", block=lambda login: _oversized(login, 0)),
    Kind(name="not-allowed", block=_message(lambda _: b"users/u0/devices/d0/events", b"{}", 1)),
    Kind(name="reconnects", block=lambda _: b"", churn=True),
    Kind(name="reconnects-web", block=lambda _: b"", churn=True, over=Over.WEB),
    Kind(name="stranger-bad-tokens", block=_tampered, login=False, churn=True),
    Kind(name="stranger-bad-tokens-waiting", block=_tampered, login=False),
    Kind(name="stranger-no-tokens", block=lambda _: _connect("nobody", b"x"), login=False, churn=True),
    Kind(name="stranger-bad-version", block=lambda _: _connect("nobody", b"x", level=9), login=False, churn=True),
    Kind(
        name="stranger-oversized-connect", block=lambda _: b"\x10\xff\xff\x7f" + bytes(1 << 16), login=False, churn=True
    ),
    Kind(name="stranger-handshakes", block=lambda _: b"", login=False, over=Over.TLS, churn=True),
    Kind(name="stranger-upgrades", block=lambda _: b"", login=False, over=Over.WEB, churn=True),
    Kind(name="stranger-half-handshakes", block=lambda _: half_hello(), login=False, over=Over.HALF_TLS, churn=True),
    Kind(name="stranger-connections", block=lambda _: b"", login=False, churn=True),
)
