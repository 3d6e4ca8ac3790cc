"""The port of a payload format: somebody's bytes, as the JSON of events that a device of ours would have sent.

A format stands before ``bridge.decode`` and knows nothing behind it: limits, types and consent are decided there, for
every format alike, and by the one exact reader. What a new one promises is in ``testing.format_contract``.
"""

from typing import Protocol


class Format(Protocol):
    """One way of writing events. Pure: the same content of the same user is the same events with the same ids."""

    @property
    def name(self) -> str:
        """What a delivery in this format is marked with (``Delivery.form``)."""
        ...

    def read(self, content: bytes, user: str) -> bytes:
        """An event, an array or a batch in our own JSON. RefusedError for what is not in this format, or damaged.

        ``content`` is unpacked and no longer than a payload may be. Runs beside the event loop.
        """
        ...
