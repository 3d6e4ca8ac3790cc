"""Whatever shape a payload has: of a type without consent, nothing of it is in any file of the service."""

import gzip
import time

import pytest

from healthsync_mqtt.mqtt.codec.packets import Publish
from tests.support.inprocess import Bystander, House

CANARY = "61.625"
HEART = f'{{"id":"%s","type":"heart_rate","start_time":"2026-01-01T00:00:00Z","value":{{"bpm":{CANARY}}}}}'
STEPS = '"start_time":"2026-01-01T00:00:00Z","end_time":"2026-01-01T00:01:00Z","value":{"steps":5}'
TIME = '"start_time":"2026-01-01T00:00:00Z"'
SHAPES = {
    "the event itself": HEART % "a",
    "by its alias": HEART.replace("heart_rate", "hr") % "a",
    "type twice": f'{{"id":"a","type":"steps","type":"heart_rate",{TIME},"value":{{"bpm":{CANARY}}}}}',
    "type twice, the other way": f'{{"id":"a","type":"heart_rate","type":"steps",{TIME},"value":{{"bpm":{CANARY}}}}}',
    "type twice, once escaped": f'{{"id":"a","type":"steps","\\u0074ype":"hr",{TIME},"value":{{"bpm":{CANARY}}}}}',
    "a value that is escaped": f'{{"id":"a","type":"st\\u0065ps",{TIME},"value":{{"steps":{CANARY}}},"x":1}}',
    "type in a batch": f'{{"batch":"b","type":"steps","events":[{HEART % "a"}]}}',
    "a batch that is an event, too": f'{{"batch":"b","id":"a","type":"steps",{STEPS},"events":[{HEART % "a"}]}}',
    "events beside a value": f'{{"type":"steps","events":[{{"type":"steps"}}],"value":{CANARY}}}',
    "in an unknown field": f'{{"id":"a","type":"steps",{STEPS},"x":{HEART % "n"}}}',
    "in a field of the device": f'{{"id":"a","type":"steps",{STEPS},"device":{{"x":{HEART % "n"}}}}}',
    "in the value": f'{{"id":"a","type":"steps",{TIME},"value":{{"steps":5,"heart_rate":{CANARY}}}}}',
    "beside a bad neighbour": f'[{HEART % "a"},{{"id":"b","type":"steps","value":NaN,"z":{HEART % "q"}}}]',
    "types in a list": f'{{"id":"a","type":["steps","heart_rate"],"value":{CANARY}}}',
    "no JSON": f"steps heart_rate {CANARY}",
    "cut short": (HEART % "a")[:-3],
    "too deep": "[" * 40 + HEART % "a" + "]" * 40,
}


@pytest.mark.parametrize("changes", [{"log.level": "debug"}], ids=[""])
async def test_nothing_of_a_type_without_consent_is_kept_in_any_shape(
    house: House, bob: Bystander, caplog: pytest.LogCaptureFixture
) -> None:
    house.registry.add_user("alice", ["steps"], int(time.time() * 1e6))
    device = house.device("alice")
    peer = await house.connect(device)
    for number, shape in enumerate(SHAPES.values()):
        for place, payload in enumerate((shape.encode(), gzip.compress(shape.encode(), mtime=0))):
            peer.send(Publish(device.events.encode(), payload, 1, False, False, 2 * number + place + 1))
    await house.until(lambda: house.counters.in_flight == 0 and house.counters.messages_received >= 34, "all are in")
    await peer.settle()
    kept = {row.raw for row in house.service.reader.rejected(0, 999, user="alice") if row.raw}
    assert kept == set(), "no shape is a whole event of the type that was agreed to"
    assert house.stored("alice") == []
    files = [path for path in house.settings.paths.events_db.parent.rglob("*") if path.is_file()]
    assert len(files) > 5
    found = [path.name for path in files if CANARY.encode() in path.read_bytes()]
    assert found == []
    assert CANARY not in caplog.text
    await house.still_serves(bob)
