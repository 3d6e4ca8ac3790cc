"""What strangers send of MQTT: every packet in place of CONNECT, CONNECTs that cost, and what follows a bad one."""

from collections.abc import Callable

from healthsync_mqtt.mqtt.codec import encode, encode_publish, v5
from healthsync_mqtt.mqtt.codec.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Properties,
    Property,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from healthsync_mqtt.mqtt.codec.v3.encode import framed, length
from tests.support.wire import Login

MANY: Properties = {Property.USER_PROPERTY: (("name", "value"),) * 64}
"""As many as a packet may have."""
METHOD: Properties = {Property.AUTHENTICATION_METHOD: "healthsync-token"}
_LONG: Properties = {Property.USER_PROPERTY: (("n" * 3_000, "v" * 4_000),)}
_FILTERS = (("users/u0/devices/d0/receipts", 1),) * 32
_PACKETS: tuple[Packet, ...] = (
    Connack(False, 0), Publish(b"users/u0/devices/d0/events", b"{}", 1, packet_id=1), Puback(1), Pubrec(1), Pubrel(1),
    Pubcomp(1), Subscribe(1, _FILTERS), Suback(1, (1,)), Unsubscribe(1, ("users/u0/devices/d0/receipts",)),
    Pingreq(), Pingresp(), Disconnect(),
)  # fmt: skip
RESERVED3 = (b"\x00\x00", b"\xf0\x00")
"""Types 0 and 15, which MQTT 3.1.1 does not have."""
RESERVED5 = (b"\x00\x00",)


def _spoilt(packet: bytes) -> tuple[bytes, ...]:
    """The same packet with wrong flags, cut short by its own length, and with a length that has no end."""
    flags = bytes((packet[0] ^ 0x0F,)) + packet[1:]
    short = packet[:1] + bytes((max(0, packet[1] - 1) & 0x7F,)) + packet[2:]
    endless = packet[:1] + b"\xff\xff\xff\xff\x7f" + packet[2:]
    return flags, short, endless


def first_packets(_login: Login) -> tuple[bytes, ...]:
    """Every packet of MQTT 3.1.1 but CONNECT, as the first of a connection: as it should be, and spoilt."""
    whole = [encode(packet) for packet in (*_PACKETS, Unsuback(1))] + list(RESERVED3)
    return tuple(each for packet in whole for each in (packet, *_spoilt(packet)))


def first_packets5(_login: Login) -> tuple[bytes, ...]:
    """The same of MQTT 5: with as many properties as there may be, where there may be any."""
    about: list[Packet] = [
        each._replace(properties=MANY) if isinstance(each, tuple) else each for each in (*_PACKETS, Unsuback(1, (0,)))
    ]
    about += [Disconnect(0x04, MANY), Auth(0x18, METHOD | MANY)]
    whole = [v5.encode(packet) for packet in about] + list(RESERVED5)
    return tuple(each for packet in whole for each in (packet, *_spoilt(packet)))


def _too_many(connect: bytes) -> bytes:
    """A CONNECT without properties, with a thousand empty ones put in."""
    about = b"\x26\0\0\0\0" * 1_000
    return framed(connect[0], connect[2:12], length(len(about)), about, connect[13:])


def connects5(login: Login) -> tuple[bytes, ...]:
    """CONNECTs of MQTT 5 that are read before they are refused: many properties, long ones, a will's, and spoilt."""
    will = Will(f"users/{login.user}/devices/{login.device}/status", b"{}", 0, retain=True, properties=MANY)
    plain = Connect(login.client_id, True, 600, login.client_id, b"x", None, protocol_level=5)
    step = METHOD | {Property.AUTHENTICATION_DATA: b"x" * 4_000}
    whole = [
        v5.encode(plain._replace(properties=MANY)),
        v5.encode(plain._replace(properties=_LONG)),
        v5.encode(plain._replace(properties=step)),
        v5.encode(plain._replace(properties={Property.AUTHENTICATION_METHOD: "none of ours"} | MANY)),
        v5.encode(plain._replace(will=will)),
        _too_many(v5.encode(plain)),
    ]
    return tuple(each for packet in whole for each in (packet, *_spoilt(packet)))


def behind_bad_connect(login: Login) -> bytes:
    """Events without end behind a CONNECT whose refusal is held back."""
    asked = encode(Connect(login.client_id, True, 600, login.client_id, b"x", None))
    return asked + encode_publish(login.topic.encode(), b"{}" * 500, 1, False, False, 1) * 200


def steps_behind_bad_connect(login: Login) -> bytes:
    """AUTH packets without end behind a CONNECT whose refusal is held back."""
    asked = Connect(login.client_id, True, 600, login.client_id, b"x", None, protocol_level=5, properties=METHOD)
    step = Auth(0x18, METHOD | MANY | {Property.AUTHENTICATION_DATA: b"x" * 100})
    return v5.encode(asked) + v5.encode(step) * 200


def long_connect(client_id: str, size: int) -> Callable[[Login], bytes]:
    """A CONNECT as long as one may be, to be written little by little."""
    return lambda _login: encode(Connect(client_id, True, 600, client_id, b"x" * size, None))
