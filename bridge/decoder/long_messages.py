"""Which messages are read in another process: those in a format of their own that are long."""

from collections.abc import Callable
from typing import Final

from bridge.decode.gzip_payload import MAGIC, says_it_unfolds_to
from bridge.decoder.frames import ReadRequest
from bridge.decoder.process import ReaderProcess
from healthsync_mqtt.formats.port import Told
from healthsync_mqtt.model.delivery import OWN_FORM, Delivery
from healthsync_mqtt.model.event import Decoded

LONG: Final = 65_536
"""Unfolded bytes from which on a process of its own is worth its while."""


class LongMessages:
    """See ``stages.decode_lines.Elsewhere``."""

    def __init__(
        self,
        process: ReaderProcess,
        question: Callable[[Delivery, Told], ReadRequest],
        resolved: Callable[[Delivery, Decoded, Callable[[], None]], Decoded],
    ) -> None:
        """``question`` says what a delivery is to be read with, ``resolved`` adds what is known here alone."""
        self._process = process
        self._question = question
        self._resolved = resolved

    def takes(self, delivery: Delivery) -> bool:
        """Whether it is in a format, and long: of one that is packed as far as it says."""
        payload = delivery.payload
        if delivery.form == OWN_FORM:
            return False
        return len(payload) > LONG or (payload[:2] == MAGIC and says_it_unfolds_to(payload) > LONG)

    def decode(self, delivery: Delivery, told: Told, pause: Callable[[], None]) -> Decoded:
        """In the process; what is gone is looked for here."""
        decoded = self._process.read(delivery.payload, self._question(delivery, told), pause)
        return self._resolved(delivery, decoded, pause)

    def rest(self) -> None:
        """End the process until there is something to read again."""
        self._process.rest()

    def close(self) -> None:
        """End it for good."""
        self._process.close()
