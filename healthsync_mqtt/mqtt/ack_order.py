"""The order of a connection's acknowledgements [MQTT-4.6.0-2]. Pure.

Event messages are acknowledged after their commit, messages for other clients when what is owed of them outlasts a
crash, all else at once; all must be answered in the order in which the messages came. What is answered for a message is
its token (``replies.token_of``) in MQTT 3.1.1, and in MQTT 5 a reply that says more; 0 in both where nothing is.
"""

from collections import deque
from collections.abc import Sequence
from typing import cast

from healthsync_mqtt.mqtt.codec import encode, encode_puback, encode_pubacks
from healthsync_mqtt.mqtt.codec.packets import Pubrec
from healthsync_mqtt.mqtt.replies import QOS2, Reply

Answered = int | Reply
"""What is answered for a message; nothing to answer is 0."""


class OtherAnswer:
    """The answer to a message that is no event. It waits for its turn and until it is ``ready``."""

    __slots__ = ("after", "ready", "token")

    def __init__(self, after: int, token: Answered, *, ready: bool) -> None:
        #: event deliveries that are answered before it
        self.after = after
        self.token = token
        self.ready = ready


class AckOrder:
    """Counts event deliveries of one connection and holds back the answers that must come after others."""

    def __init__(self) -> None:
        self._delivered = 0
        self._answered = 0
        #: events that are durable and wait behind another message
        self._durable: deque[Answered] = deque()
        self._others: deque[OtherAnswer] = deque()

    @property
    def waiting(self) -> int:
        """Messages that are not answered yet: event deliveries, and what has to wait behind them or for itself."""
        return self._delivered - self._answered + len(self._others)

    def delivered(self, count: int) -> None:
        """So many event messages were handed to the journal."""
        self._delivered += count

    def acknowledge(self, tokens: Sequence[Answered]) -> Sequence[Answered]:
        """The oldest event deliveries are durable: the tokens to answer now, with those that waited behind them."""
        if not self._others:
            self._answered += len(tokens)
            return tokens
        self._durable.extend(tokens)
        return self._due()

    def answer(self, token: Answered, gathered: int = 0) -> bool:
        """Whether another message is answered now; not when something is ahead of it: then it waits behind that.

        ``gathered`` events of the same turn have not been handed over yet.
        """
        after = self._delivered + gathered
        if token and (after > self._answered or self._others):
            self._others.append(OtherAnswer(after, token, ready=True))
            return False
        return True

    def hold(self, token: Answered, gathered: int = 0) -> OtherAnswer:
        """Another message that is answered when it is its turn and ``release`` was called."""
        other = OtherAnswer(self._delivered + gathered, token, ready=False)
        self._others.append(other)
        return other

    def release(self, other: OtherAnswer) -> Sequence[Answered]:
        """``other`` may be answered: the tokens to answer now."""
        other.ready = True
        return self._due()

    def _due(self) -> list[Answered]:
        out: list[Answered] = []
        others, durable = self._others, self._durable
        while True:
            if others and others[0].after <= self._answered:
                if not others[0].ready:
                    return out
                out.append(others.popleft().token)
            elif durable:
                out.append(durable.popleft())
                self._answered += 1
            else:
                return out


def answers(answered: Sequence[Answered]) -> bytes:
    """The acknowledgements of these tokens in MQTT 3.1.1, as one block."""
    tokens = cast("Sequence[int]", answered)
    if min(tokens) > 0 and max(tokens) < QOS2:
        return encode_pubacks(tokens)
    return b"".join(map(_answer, tokens))


def _answer(token: int) -> bytes:
    if token == 0:
        return b""
    return encode(Pubrec(token & 0xFFFF)) if token & QOS2 else encode_puback(token)
