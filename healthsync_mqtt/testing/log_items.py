"""Short ways to make items for the event log."""

from healthsync_mqtt.model.event import Event, Op, Rejection
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.storage.port import Item, Quarantined

NOW_US = 1_790_000_000_000_000


def item(
    event_id: str,
    user: str = "alice",
    *,
    version: int = 0,
    op: int = Op.UPSERT,
    event_type: str = "heart_rate",
    start_us: int = NOW_US,
) -> Item:
    """An item whose body is made of its id, version and op, so that a mixed-up row shows."""
    origin = Origin(user, f"{user}-watch", None, f"users/{user}/devices/{user}-watch/events")
    body = b'{"value":{"bpm":%d},"source":{"record_id":"%s"}}' % (60 + version, event_id.encode())
    return Item(origin, Event(event_id, event_type, start_us, None, version, op, body if op == Op.UPSERT else b"{}", 0))


def rejected(user: str = "alice", event_id: str | None = "bad", raw: bytes = b'{"id":"bad"}') -> Quarantined:
    """A quarantined event."""
    origin = Origin(user, f"{user}-watch", None, f"users/{user}/devices/{user}-watch/events")
    return Quarantined(
        origin, NOW_US, Rejection(3, event_id, Reason.OUT_OF_RANGE, "value.bpm", "bpm 900 is above 300", raw)
    )
