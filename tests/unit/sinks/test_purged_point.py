"""The point of an event whose body was purged is looked for where it was put, not where it would have been."""

from pathlib import Path

import pytest

from healthsync_mqtt.model.event import Op
from tests.support.sink import NOW_US, Rig, event
from tests.unit.sinks.test_sink_contract import Server


def test_a_purged_event_that_had_made_way_takes_its_own_point_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("healthsync_mqtt.sinks.influx.mapping.slot", lambda _event_id: 7)
    server = Server()
    rig = Rig(tmp_path, server=server)
    rig.store(event("first", {"bpm": 61}), event("second", {"bpm": 62}))
    rig.ship()
    assert rig.ledger.shift("alice", "second") == 1
    rig.log.purge("heart_rate", NOW_US + 1, [2])
    rig.log.commit()
    rig.store(event("second", op=Op.DELETE))
    rig.ship()
    assert [fields["bpm"] for fields in server.points.values()] == [61.0]
    rig.close()
