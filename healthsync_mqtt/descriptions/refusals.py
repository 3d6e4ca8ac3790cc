"""Rejected events as they are told: why, of whom, and what was sent."""

from typing import Any

import msgspec

from healthsync_mqtt.descriptions.people import moment, told
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.storage.port import RejectedRow


class RejectedDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal; the same again counts up."""

    number: int
    reason: str
    field: str | None
    message: str
    user_id: str
    device_id: str | None
    topic: str
    event_id: str | None
    received_at: str
    count: int
    last_received_at: str
    held_until: str | None
    bytes: int
    truncated: bool
    sha256: str | None


def described_rejection(row: RejectedRow) -> RejectedDescription:
    """A refusal, without what was sent."""
    return RejectedDescription(
        number=row.no,
        reason=row.reason,
        field=row.field,
        message=row.message,
        user_id=row.user,
        device_id=row.device,
        topic=row.topic,
        event_id=row.event_id,
        received_at=iso(row.received_us),
        count=row.times,
        last_received_at=iso(row.last_us),
        held_until=moment(row.due_us),
        bytes=row.size,
        truncated=row.truncated,
        sha256=row.sha256,
    )


def shown_rejection(row: RejectedRow) -> dict[str, Any]:
    """A refusal with the bytes that were sent: ``raw``, as text or in hexadecimal."""
    try:
        raw, encoding = row.raw.decode(), "utf-8"
    except UnicodeDecodeError:
        raw, encoding = row.raw.hex(), "hex"
    return told(described_rejection(row)) | {"raw": raw, "raw_encoding": encoding}
