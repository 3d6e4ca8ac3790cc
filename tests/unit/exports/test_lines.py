"""Our own JSON lines: what is written of an event is taken as the same event."""

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.decode.delivery import decode
from healthsync_mqtt.exports.lines import Lines
from healthsync_mqtt.model.catalogue import CATALOGUE, EventType
from healthsync_mqtt.model.event import Event
from healthsync_mqtt.model.event_schema import example_event
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.record import Record
from tests.support.type_values import event_of, values

NOW_US = 1_795_420_800_000_000
ORIGIN = Origin("alice", "watch", None, "users/alice/devices/watch/events")
ELSEWHERE = Origin("zoe", "phone", None, "users/zoe/devices/phone/events")
OURS = ("seq", "user_id", "device_id", "received_at")
"""What belongs to the instance and the topic, and not to the event; what is null was not said."""


def lines_of(events: list[Event]) -> list[dict]:
    file = io.BytesIO()
    into = Lines(file)
    for seq, event in enumerate(events, 1):
        into.take(
            Record(
                seq, "alice", "watch", None, event.id, event.type, event.start_us, event.end_us, NOW_US, event.version,
                event.op, event.body, seq,
            )
        )  # fmt: skip
    into.close()
    return [json.loads(line) for line in file.getvalue().splitlines()]


@pytest.mark.parametrize("of", CATALOGUE.values(), ids=lambda of: of.name)
@settings(max_examples=8)
@given(st.data())
def test_every_type_is_taken_again_as_it_was(of: EventType, data: st.DataObject) -> None:
    drawn = [data.draw(values(form)) for form in of.forms.values()]
    sent = [example_event(of) | {"utc_offset": 3600, "version": 1}]
    sent += [event_of(of, value, id=f"e{n}", version=n) for n, value in enumerate(drawn)]
    sent.append({"id": "gone", "type": of.name, "op": "delete", "version": 3})
    stored = decode(json.dumps(sent).encode(), ORIGIN, NOW_US)
    assert len(stored.events) >= 2, "the example and the tombstone are taken"
    told = lines_of(stored.events)
    assert (told[-1]["op"], told[-1]["value"]) == ("delete", None)
    taken = [{key: said for key, said in event.items() if key not in OURS and said is not None} for event in told]
    again = decode(json.dumps(taken).encode(), ELSEWHERE, NOW_US)
    assert not again.rejections
    assert [event._replace(index=0) for event in again.events] == [event._replace(index=0) for event in stored.events]
