"""Who read consents before somebody was erased hears of the end, though no line of that person is left to say so."""

from pathlib import Path

from healthsync_mqtt.identity.consent.decisions import USUAL_PURPOSES, Purpose
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.erasure import ErasureStep

NOW_US = 1_795_000_000_000_000


def test_no_consent_outlives_an_erasure_between_two_readings(tmp_path: Path) -> None:
    with Registry.open(tmp_path / "registry.db") as registry:
        registry.add_user("alice", "all", NOW_US)
        registry.add_user("bob", "all", NOW_US)
        reader = Registry.open(tmp_path / "registry.db")
        roster = reader.roster()
        before = reader.consent.settled(reader.consent.fetch())
        assert before[Purpose.store].keys() == {"alice", "bob"}
        newest = reader.consent.amended(0).newest
        erasure = registry.erase("alice", NOW_US + 1)
        while erasure.step is not ErasureStep.registry:
            erasure = registry.erasures.advance(erasure, NOW_US + 2)
        registry.erasures.forget(erasure, NOW_US + 3)
        amended = reader.consent.amended(newest)
        assert amended.whole
        assert amended.permissions[Purpose.store].keys() == {"bob"}
        after = reader.consent.settled(reader.consent.fetch())
        assert all(after[purpose].keys() == {"bob"} for purpose in USUAL_PURPOSES)
        assert after[Purpose.store]["bob"] == before[Purpose.store]["bob"]
        assert reader.since(roster.change, newest) is None
        assert reader.consent.amended(amended.newest).permissions[Purpose.store] == {}
        reader.close()
