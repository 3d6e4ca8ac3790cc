"""Frames of a WebSocket client (RFC 6455, section 5): its own, and those that carry MQTT."""

from collections.abc import Callable, Iterator

from healthsync_mqtt.mqtt.codec import encode_publish
from tests.support.floods.packets_of import packets_of
from tests.support.wire import Login

RESERVED = (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
"""Opcodes that mean nothing yet."""


def frame(opcode: int, payload: bytes = b"", *, final: bool = True) -> bytes:
    """A masked frame, whose mask changes nothing."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | size,))
    elif size < 1 << 16:
        head = b"\xfe" + size.to_bytes(2, "big")
    else:
        head = b"\xff" + size.to_bytes(8, "big")
    return bytes((0x80 * final | opcode,)) + head + b"\0\0\0\0" + payload


def frames_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Opcodes and payloads of the frames in a block."""
    at = 0
    while at < len(data):
        wide = {0xFE: 2, 0xFF: 8}.get(data[at + 1], 0)
        size = int.from_bytes(data[at + 2 : at + 2 + wide], "big") if wide else data[at + 1] & 0x7F
        start = at + 2 + wide + 4
        yield data[at] & 0x0F, data[start : start + size]
        at = start + size


def reserved(_login: Login) -> tuple[bytes, ...]:
    """A frame of each opcode that means nothing yet; each ends its connection."""
    return tuple(frame(opcode, b"x") for opcode in RESERVED)


def a_packet_a_frame(block: Callable[[Login], bytes]) -> Callable[[Login], bytes]:
    """MQTT as most clients send it."""
    return lambda login: b"".join(frame(2, packet) for _type, packet in packets_of(block(login)))


def a_byte_a_frame(block: Callable[[Login], bytes], most: int = 4_000) -> Callable[[Login], bytes]:
    """Whole frames with a byte each; ``block`` is cut at its last packet that ends within ``most``."""

    def made(login: Login) -> bytes:
        whole = b""
        for _type, packet in packets_of(block(login)):
            if len(whole) + len(packet) > most:
                break
            whole += packet
        return b"".join(frame(2, bytes((byte,))) for byte in whole)

    return made


def fragments(login: Login) -> bytes:
    """Whole packets, a byte a frame: a first fragment, continuations of it, and the last one."""
    topic = f"users/{login.user}/devices/{login.device}/status".encode()
    packet = encode_publish(topic, b"x" * 2_000, 0, False, False, 0)
    first, last = len(packet), 1
    opcodes = (2, *(0,) * (first - last))
    return b"".join(
        frame(opcode, bytes((byte,)), final=number == first)
        for number, (opcode, byte) in enumerate(zip(opcodes, packet, strict=True), 1)
    )


EMPTY_FRAGMENTS = b"".join((frame(2, final=False), *(frame(0, final=False),) * 1_000, frame(0)))
"""A message of nothing: a first fragment, continuations of it, and the last one."""
