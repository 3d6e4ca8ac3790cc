"""Where rejected events go: kept with their bytes and reason, and announced to admins without the payload."""

import hashlib
import json

from healthsync_mqtt.model.event import Rejection
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.storage.port import Quarantined


def quarantined(origin: Origin, rejections: list[Rejection], received_us: int) -> list[Quarantined]:
    """The rows for the quarantine."""
    return [Quarantined(origin, received_us, rejection) for rejection in rejections]


def announcement(row: Quarantined) -> bytes:
    """The message for ``bridge/{bridge}/rejected``: reason, place and a digest, never the payload or the message."""
    origin, received_us, rejection = row
    return json.dumps(
        {
            "reason": rejection.reason.value,
            "field": rejection.field,
            "user_id": origin.user,
            "device_id": origin.device,
            "topic": origin.topic,
            "sha256": hashlib.sha256(rejection.raw).hexdigest(),
            "bytes": len(rejection.raw),
            "received_at": iso(received_us),
        }
    ).encode()
