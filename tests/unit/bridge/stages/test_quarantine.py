"""Notices of rejections carry a digest and no content."""

import hashlib
import json

from bridge.stages.quarantine import announcement, quarantined
from healthsync_mqtt.model.event import Rejection, omitted
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason

ORIGIN = Origin("alice", "watch", None, "users/alice/devices/watch/events")
RAW = b'{"id":"e1","value":{"bpm":987}}'


def test_a_notice_names_reason_place_and_digest() -> None:
    rejection = Rejection(4, "e1", Reason.OUT_OF_RANGE, "value.bpm", "bpm 987 is above 300", RAW)
    (row,) = quarantined(ORIGIN, [rejection], 1_795_413_600_000_000)
    notice = announcement(row)
    assert b"987" not in notice
    assert json.loads(notice) == {
        "reason": "out_of_range",
        "field": "value.bpm",
        "user_id": "alice",
        "device_id": "watch",
        "topic": "users/alice/devices/watch/events",
        "sha256": hashlib.sha256(RAW).hexdigest(),
        "bytes": len(RAW),
        "received_at": "2026-11-23T06:00:00.000000Z",
    }


def test_of_bytes_that_are_not_kept_the_number_and_digest_are_told() -> None:
    sent = Rejection(4, None, Reason.UNKNOWN_FIELD, "x", "refused, and not kept", b"", omitted=omitted(RAW))
    (row,) = quarantined(ORIGIN, [sent], 1_795_413_600_000_000)
    notice = json.loads(announcement(row))
    assert (notice["sha256"], notice["bytes"]) == (hashlib.sha256(RAW).hexdigest(), len(RAW))
