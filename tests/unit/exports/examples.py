"""Rows of a log, one of each type and more of some, as exports are given them."""

import json
from typing import Any

from bridge.decode.delivery import decode
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event_schema import example_event
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.record import Record

NOW_US = 1_795_420_800_000_000
ORIGIN = Origin("alice", "watch", None, "users/alice/devices/watch/events")


def records(*events: dict[str, Any]) -> list[Record]:
    """What the log makes of these."""
    decoded = decode(json.dumps(events).encode(), ORIGIN, NOW_US)
    assert not decoded.rejections, decoded.rejections
    return [
        Record(
            seq, "alice", "watch", None, each.id, each.type, each.start_us, each.end_us, NOW_US, each.version, each.op,
            each.body, seq,
        )
        for seq, each in enumerate(decoded.events, 1)
    ]  # fmt: skip


def of_every_type() -> list[Record]:
    """One of each, with where it was and what measured it."""
    about = {"utc_offset": 3600, "device": {"model": "Watch7"}, "source": {"app": "a.b", "recording": "auto"}}
    return records(*(example_event(of) | about for of in CATALOGUE.values()))


SERIES = {
    "id": "s", "type": "heart_rate", "start_time": "2026-11-22T22:00:00Z", "value": {"samples": [[0, 60], [1.5, 61]]},
}  # fmt: skip
GONE = {"id": "gone", "type": "heart_rate", "version": 1, "op": "delete"}
