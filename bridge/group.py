"""What one commit makes durable: deliveries that are decoded, and chores."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bridge.ports import Chore
from bridge.stages.acknowledge import Outcome
from healthsync_mqtt.model.delivery import Delivery
from healthsync_mqtt.model.event import Decoded
from healthsync_mqtt.storage.port import Quarantined

GROUP_EVENTS: Final = 5_000
GROUP_BYTES: Final = 8 * 1024 * 1024
"""Bounds of one commit: no further delivery is taken into a group that is so much work or has so many held bytes."""

_EVENT_BYTES: Final = 300
_REFUSED_BYTES: Final = 700
"""What an event takes in memory beside its own bytes, and a refused one more, roughly."""


class WaitingDelivery(NamedTuple):
    """A delivery that waits for its commit, the bytes that it holds until then, and what that commit does beside."""

    delivery: Delivery
    decoded: Decoded
    size: int
    chore: Chore | None = None


@dataclass(slots=True)
class Group:
    """What one commit makes durable. Each of its chores is written once; the log keeps it over a commit that fails."""

    waiting: list[WaitingDelivery]
    chores: list[Chore]
    written: int = 0
    refused: list[Quarantined] = field(default_factory=list)
    #: of all events in their order, 0 for a duplicate
    seqs: list[int] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)


def waiting_for(delivery: Delivery, decoded: Decoded, chore: Chore | None = None) -> WaitingDelivery:
    """A delivery that holds what came in, and what it was unfolded to in its events."""
    size = len(delivery.payload) + decoded.size + _EVENT_BYTES * decoded.total
    if decoded.rejections:
        size += _REFUSED_BYTES * len(decoded.rejections)
    # Half the price of WaitingDelivery(...), once for each message.
    return tuple.__new__(WaitingDelivery, (delivery, decoded, size, chore))
