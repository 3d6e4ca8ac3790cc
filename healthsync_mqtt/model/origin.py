"""Where a delivery came from."""

from typing import NamedTuple


class Origin(NamedTuple):
    """The sender of a delivery, taken from the topic and the session and never from the payload.

    ``device`` is the sending device, on the short form of the topic too, where the session names it; None for adapters.
    ``provider`` is set for adapters only.
    """

    user: str
    device: str | None
    provider: str | None
    topic: str
