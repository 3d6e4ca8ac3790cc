"""Which types a comparison of everything reads: those that the log has."""

from healthsync_mqtt.model.event import Op
from healthsync_mqtt.sinks.comparison import types_of
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.testing.log_items import item


def test_types_that_the_log_has_of_a_user_superseded_and_removed_ones_too() -> None:
    log = MemoryEventLog()
    log.stage([item(f"h{number}") for number in range(1200)], [], 1)
    log.stage([item("w", event_type="weight"), item("s", "bob", event_type="steps")], [], 1)
    log.stage([item("w", event_type="weight", version=1, op=Op.DELETE)], [], 1)
    log.commit()
    assert types_of(log.reader(), "alice") == ["heart_rate", "weight"]
    assert types_of(log.reader(), "bob") == ["steps"]
    assert types_of(log.reader(), "carol") == []
