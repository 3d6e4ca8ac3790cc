"""MQTT packets of a block as they lie on the wire, whatever is in them."""

from collections.abc import Iterator


def packets_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Types and bytes of the packets in a block, the last one perhaps cut short."""
    at = 0
    while at < len(data):
        size = shift = 0
        start = at + 1
        while start < len(data):
            byte = data[start]
            size |= (byte & 0x7F) << shift
            shift += 7
            start += 1
            if byte < 0x80:
                break
        yield data[at] >> 4, data[at : start + size]
        at = start + size
