"""The fields that packets are made of (sections 1.5 of both standards), read within the bounds of their packet."""

from typing import Final

from healthsync_mqtt.mqtt.codec.faults import Fault, MalformedPacket, PacketTooLarge

#: Filters in one SUBSCRIBE or UNSUBSCRIBE: without a bound, 1 MiB of them grows thirtyfold in memory.
MAX_FILTERS: Final = 1024


def check_topic(topic: bytes) -> None:
    """A topic name: not empty, UTF-8, no NUL, no wildcard (3.1.1: sections 3.3.2.1 and 4.7; 5.0: the same)."""
    if not topic:
        raise MalformedPacket(Fault.EMPTY_TOPIC, "the topic name is empty")
    text(topic)
    if b"+" in topic or b"#" in topic:
        raise MalformedPacket(Fault.WILDCARD_TOPIC, "the topic name holds a wildcard")


def text(raw: bytes) -> str:
    """A UTF-8 string. A byte order mark is kept."""
    try:
        value = raw.decode()
    except UnicodeDecodeError:
        # The cause would carry the packet's bytes.
        raise MalformedPacket(Fault.BAD_UTF8, "a string is not valid UTF-8") from None
    if "\0" in value:
        raise MalformedPacket(Fault.NUL_CHARACTER, "a string holds U+0000")
    return value


def packet_id(data: bytes, pos: int, stop: int) -> tuple[int, int]:
    """A packet identifier, 1..65535."""
    value, pos = number(data, pos, stop)
    if not value:
        raise MalformedPacket(Fault.BAD_PACKET_ID, "packet identifier 0")
    return value, pos


def byte(data: bytes, pos: int, stop: int) -> tuple[int, int]:
    """One byte."""
    return data[pos : _within(pos + 1, stop)][0], pos + 1


def number(data: bytes, pos: int, stop: int, width: int = 2) -> tuple[int, int]:
    """An integer of ``width`` bytes, highest first."""
    return int.from_bytes(data[pos : _within(pos + width, stop)], "big"), pos + width


def field(data: bytes, pos: int, stop: int) -> tuple[bytes, int]:
    """Two bytes of length, then that many bytes: the form of every string, of password and payload of a will."""
    size, pos = number(data, pos, stop)
    end = _within(pos + size, stop)
    return data[pos:end], end


def topic_filter_field(data: bytes, pos: int, stop: int, already: int) -> tuple[str, int]:
    """A topic filter of a packet that has had ``already`` before it."""
    if already == MAX_FILTERS:
        raise PacketTooLarge(
            Fault.TOO_MANY_FILTERS, f"more than {MAX_FILTERS} filters in one packet", hint="use several packets"
        )
    raw, pos = field(data, pos, stop)
    if not raw:
        raise MalformedPacket(Fault.EMPTY_TOPIC, "a topic filter is empty")
    return text(raw), pos


def check_some(count: int) -> None:
    """Raise when a list that must not be empty is."""
    if not count:
        raise MalformedPacket(Fault.NO_FILTERS, "a packet that must list at least one filter or code lists none")


def ended(pos: int, stop: int) -> None:
    """Raise when bytes are left."""
    if pos != stop:
        raise MalformedPacket(Fault.TRAILING_BYTES, "bytes are left after the last field of a packet")


def check_connect_flags(flags: int, *, password_alone: bool = False) -> None:
    """The flags of CONNECT (section 3.1.2.3); 5.0 allows a password without a user name."""
    if flags & 1:
        raise MalformedPacket(Fault.BAD_CONNECT_FLAGS, "CONNECT with its reserved flag set")
    if not flags & WILL and flags & 0x38:
        raise MalformedPacket(Fault.BAD_CONNECT_FLAGS, "CONNECT with will QoS or will retain, but no will")
    if flags >> 3 & 3 == 3:
        raise MalformedPacket(Fault.BAD_QOS, "CONNECT with will QoS 3")
    if flags & PASSWORD and not flags & USERNAME and not password_alone:
        raise MalformedPacket(Fault.BAD_CONNECT_FLAGS, "CONNECT with a password, but no user name")


WILL, WILL_RETAIN, PASSWORD, USERNAME = 0x04, 0x20, 0x40, 0x80


def _within(end: int, stop: int) -> int:
    if end > stop:
        raise MalformedPacket(Fault.TRUNCATED, "a field reaches past the end of its packet")
    return end
