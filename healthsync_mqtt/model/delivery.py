"""A delivery: one message of an events topic together with the way to acknowledge it."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from healthsync_mqtt.model.origin import Origin

OWN_FORM: Final = "json"
"""The format of what is in no other: JSON as docs/reference says."""


class DeliveryVerdict(NamedTuple):
    """What became of the events of one delivery: as in a receipt, for a sender whose acknowledgements say it.

    ``reason`` and ``field`` are those of the first rejection; ``ignored`` is what the sender asked for and did not get.
    ``rejections`` are entries of a receipt as JSON, as many as there is room for. ``held`` of the rejected are not
    refused for good: time alone may mend them.
    """

    epoch: str
    seq: int
    stored: int
    duplicate: int
    rejected: int = 0
    reason: str = ""
    field: str = ""
    ignored: str = ""
    rejections: tuple[str, ...] = ()
    held: int = 0


class Source(Protocol):
    """Where deliveries come from. Only the pipeline calls its methods, ``acknowledge`` only after the commit."""

    def acknowledge(self, tokens: Sequence[int], verdicts: Sequence[DeliveryVerdict] = ()) -> None:
        """The deliveries with these tokens are durable; tokens come in arrival order. Must not raise.

        ``verdicts`` has one for each token where the deliveries asked for it (``told``); a source asks for all or none.
        """

    def charge(self, cost: int) -> None:
        """Deciding a delivery took so many bytes of reading more than its length says. Must not raise."""

    def resume(self) -> None:
        """The backlog that this source was told to wait for is worked off: read again. Must not raise."""


class Delivery(NamedTuple):
    """``token`` is the source's own mark for the message; ``payload`` its bytes as they arrived.

    ``retained``: it came with RETAIN, which events topics do not have; the receipt says that it was ignored.
    ``told``: its acknowledgement says what became of its events. ``form`` names the format it is written in, one of
    ``formats.catalogue``. ``traceparent``: the trace it belongs to, as its sender says it; nobody has read it.
    ``kept``: it came before and was kept, so whether its sender may send was asked then.
    """

    source: Source
    token: int
    origin: Origin
    payload: bytes
    retained: bool = False
    told: bool = False
    form: str = OWN_FORM
    traceparent: str = ""
    kept: bool = False
