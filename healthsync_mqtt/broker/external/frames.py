"""What an external broker sends, taken apart: messages for the bridge, every other packet as its bytes. Pure.

One pass over what a read returned. MQTT 3.1.1 and 5 differ for a PUBLISH only in its properties, which are skipped:
the bridge allows no topic aliases, and nothing else in them changes what a message means.
"""

from typing import NamedTuple

_PUBLISH = 0x30


class BrokerProtocolError(Exception):
    """The broker sent what MQTT does not allow, or more than was agreed. The connection has to be closed."""


class Message(NamedTuple):
    """One PUBLISH. ``packet_id`` is 0 at QoS 0; it is what an acknowledgement names."""

    topic: bytes
    payload: bytes
    packet_id: int
    retain: bool


class Frames:
    """The inbound stream of one connection."""

    def __init__(self, *, version: int, max_packet: int) -> None:
        self._version = version
        self._max_packet = max_packet
        self._rest = b""
        self._wanted = 2

    def feed(self, data: bytes) -> tuple[list[Message], list[bytes]]:
        """The messages and the other packets that are whole by now, each in order. Raises BrokerProtocolError."""
        if self._rest:
            data = self._rest + data
        end = len(data)
        messages: list[Message] = []
        others: list[bytes] = []
        at = 0
        if end < self._wanted:
            self._rest = data
            return messages, others
        self._wanted = 2
        v5 = self._version == 5
        while end - at >= 2:
            first = data[at]
            size = data[at + 1]
            body = at + 2
            if size > 127:
                size, body = _length(data, at + 1, end)
                if body == 0:
                    break
            stop = body + size
            if size > self._max_packet:
                raise BrokerProtocolError(f"a packet of {size} bytes; {self._max_packet} were agreed")
            if stop > end:
                self._wanted = stop - at
                break
            if first & 0xF0 == _PUBLISH:
                messages.append(_message(first, data, body, stop, v5))
            else:
                others.append(data[at:stop])
            at = stop
        self._rest = data[at:]
        return messages, others


def _length(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A variable byte integer and where it ends; (0, 0) when it is not whole yet."""
    value = shift = 0
    for position in range(at, min(at + 4, end)):
        byte = data[position]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position + 1
        shift += 7
    if end - at >= 4:
        raise BrokerProtocolError("a length of more than four bytes")
    return 0, 0


def _message(first: int, data: bytes, at: int, stop: int, v5: bool) -> Message:  # noqa: FBT001  # hot path
    if stop - at < 2:
        raise BrokerProtocolError("a PUBLISH without a topic")
    start = at + 2
    at = start + (data[at] << 8 | data[at + 1])
    topic = data[start:at]
    packet_id = 0
    qos = first & 6
    if qos:
        if qos != 2:
            raise BrokerProtocolError("a PUBLISH of QoS 2 or 3, where QoS 1 was subscribed")
        if at + 2 > stop:
            raise BrokerProtocolError("a PUBLISH without a packet id")
        packet_id = data[at] << 8 | data[at + 1]
        if not packet_id:
            raise BrokerProtocolError("a PUBLISH with the packet id 0")
        at += 2
    if v5:
        if at >= stop:
            raise BrokerProtocolError("a PUBLISH without properties")
        size, after = _length(data, at, stop)
        if after == 0:
            raise BrokerProtocolError("a PUBLISH with cut properties")
        at = after + size
    if at > stop or not topic:
        raise BrokerProtocolError("a PUBLISH that is cut off, or has no topic")
    return Message(topic, data[at:stop], packet_id, first & 1 == 1)
