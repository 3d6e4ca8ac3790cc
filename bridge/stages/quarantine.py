"""Where rejected events go: kept with their bytes and reason, and announced to admins without the payload."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from healthsync_mqtt.model.event import Rejection, omitted
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.storage.port import Quarantined


def quarantined(origin: Origin, rejections: list[Rejection], received_us: int) -> list[Quarantined]:
    """The rows for the quarantine."""
    return [Quarantined(origin, received_us, rejection) for rejection in rejections]


_encode = msgspec.json.Encoder().encode

PART_ROWS: Final = 128
PART_BYTES: Final = 262_144
"""What is written of refused events before others are let in: a row takes 15 to 30 µs, with one that goes for it."""


def in_parts(rows: Sequence[Quarantined]) -> Iterator[Sequence[Quarantined]]:
    """All of them, so many at a time; of no rows one part that is empty."""
    start = size = 0
    for place, row in enumerate(rows):
        if place - start >= PART_ROWS or size > PART_BYTES:
            yield rows[start:place]
            start, size = place, 0
        size += len(row.rejection.raw)
    yield rows[start:]


def announcement(row: Quarantined) -> bytes:
    """The message for ``bridge/{bridge}/rejected``: reason, place and a digest, never the payload or the message."""
    origin, received_us, rejection = row
    sent = rejection.omitted or omitted(rejection.raw)
    return _encode(
        {
            "reason": rejection.reason.value,
            "field": rejection.field,
            "user_id": origin.user,
            "device_id": origin.device,
            "topic": origin.topic,
            "sha256": sent.sha256,
            "bytes": sent.size,
            "received_at": iso(received_us),
        }
    )
