"""A delivery: one message of an events topic together with the way to acknowledge it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from healthsync_mqtt.model.origin import Origin


class Source(Protocol):
    """Where deliveries come from. Only the pipeline calls its methods, ``acknowledge`` only after the commit."""

    def acknowledge(self, tokens: Sequence[int]) -> None:
        """The deliveries with these tokens are durable; tokens come in arrival order. Must not raise."""

    def charge(self, cost: int) -> None:
        """Deciding a delivery took so many bytes of reading more than its length says. Must not raise."""

    def resume(self) -> None:
        """The backlog that this source was told to wait for is worked off: read again. Must not raise."""


class Delivery(NamedTuple):
    """``token`` is the source's own mark for the message; ``payload`` its bytes as they arrived.

    ``retained``: it came with RETAIN, which events topics do not have; the receipt says that it was ignored.
    """

    source: Source
    token: int
    origin: Origin
    payload: bytes
    retained: bool = False
