"""The events that benchmarks and soaks send: plausible, of fixed size, each with an id of its own."""

from collections.abc import Iterator

from healthsync_mqtt.mqtt.codec import encode_publish, v5
from healthsync_mqtt.mqtt.codec.packets import Publish

EVENT = (
    '{"id":"%s","type":"heart_rate","start_time":"2025-11-%02dT%02d:%02d:%02d.%03dZ","value":{"bpm":%d},'
    '"device":{"platform":"watchos","model":"Watch7"},"utc_offset":3600,"source":{"provider":"healthkit"}}'
)
ID_MODULUS = 0xFFFF


def event_id(run: str, number: int) -> str:
    """The id of event ``number`` of a run."""
    return f"{run}-{number:012x}"


def event(run: str, number: int) -> str:
    """Event ``number`` of a run: about 200 bytes, the same size for every number; ``run`` is up to 6 characters."""
    second = number // 5
    return EVENT % (
        event_id(run, number),
        1 + second // 86400 % 20,
        second // 3600 % 24,
        second // 60 % 60,
        second % 60,
        number % 5 * 200,
        60 + number % 40,
    )


def payloads(run: str, first: int, messages: int, events_per_message: int) -> Iterator[bytes]:
    """``messages`` payloads with consecutive events: single events, or arrays of ``events_per_message``."""
    if events_per_message == 1:
        for number in range(first, first + messages):
            yield event(run, number).encode()
        return
    for start in range(first, first + messages * events_per_message, events_per_message):
        numbers = range(start, start + events_per_message)
        yield f"[{','.join(event(run, number) for number in numbers)}]".encode()


def packet_id(index: int) -> int:
    """The packet identifier of a connection's message ``index``."""
    return index % ID_MODULUS + 1


def stream(
    topic: str, run: str, first: int, messages: int, events_per_message: int, *, version: int = 4
) -> tuple[bytes, int]:
    """A connection's whole stream of QoS 1 PUBLISH packets, and the size of each: all have the same."""
    name = topic.encode()

    def packet(index: int, payload: bytes) -> bytes:
        if version == 5:
            return v5.encode(Publish(name, payload, 1, False, False, packet_id(index)))
        return encode_publish(name, payload, 1, False, False, packet_id(index))

    packets = [
        packet(index, payload) for index, payload in enumerate(payloads(run, first, messages, events_per_message))
    ]
    size = len(packets[0])
    assert all(len(packet) == size for packet in packets)
    return b"".join(packets), size
