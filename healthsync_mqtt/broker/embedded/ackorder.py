"""The order of a connection's acknowledgements [MQTT-4.6.0-2]. Pure.

Event messages are acknowledged after their commit, other messages at once; both must be answered in the order in which
the messages came. A token is a packet id (QoS 1), a packet id with the bit ``QOS2`` (QoS 2), or 0 (QoS 0, no answer).
"""

from collections import deque
from collections.abc import Sequence

from healthsync_mqtt.mqtt.codec import encode, encode_puback, encode_pubacks
from healthsync_mqtt.mqtt.codec.packets import Pubrec

QOS2 = 1 << 16


def token_of(packet_id: int, qos: int) -> int:
    """The token of a message."""
    return packet_id if qos < 2 else packet_id | QOS2


class AckOrder:
    """Counts event deliveries of one connection and holds back the answers that must come after theirs."""

    def __init__(self) -> None:
        self._delivered = 0
        self._acknowledged = 0
        self._later: deque[tuple[int, int]] = deque()

    @property
    def waiting(self) -> int:
        """Messages that are not answered yet: event deliveries, and what has to wait behind them."""
        return self._delivered - self._acknowledged + len(self._later)

    def delivered(self, count: int) -> None:
        """So many event messages were handed to the journal."""
        self._delivered += count

    def acknowledge(self, tokens: Sequence[int]) -> Sequence[int]:
        """The oldest event deliveries are durable: the tokens to answer now, with those that waited behind them."""
        if not self._later:
            self._acknowledged += len(tokens)
            return tokens
        out: list[int] = []
        for token in tokens:
            out.append(token)
            self._acknowledged += 1
            while self._later and self._later[0][0] <= self._acknowledged:
                out.append(self._later.popleft()[1])
        return out

    def answer(self, token: int, gathered: int = 0) -> bool:
        """Whether another message is answered now; not when events are ahead of it: then it waits behind them.

        ``gathered`` events of the same turn have not been handed over yet.
        """
        before = self._delivered + gathered
        if token and before > self._acknowledged:
            self._later.append((before, token))
            return False
        return True


def answers(tokens: Sequence[int]) -> bytes:
    """The acknowledgements of these tokens in MQTT 3.1.1, as one block."""
    if min(tokens) > 0 and max(tokens) < QOS2:
        return encode_pubacks(tokens)
    return b"".join(map(_answer, tokens))


def _answer(token: int) -> bytes:
    if token == 0:
        return b""
    return encode(Pubrec(token & 0xFFFF)) if token & QOS2 else encode_puback(token)
