"""The simulated watch: deterministic, plausible, acceptable."""

import json
from collections import Counter
from datetime import UTC, datetime
from itertools import islice

import pytest

from bridge.decode.delivery import decode
from healthsync_mqtt.client.simulation import simulated_day, simulated_events
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.origin import Origin

DAY = datetime(2026, 11, 22, tzinfo=UTC)
SIMULATED = {
    "steps", "distance", "energy_active", "floors", "heart_rate", "resting_heart_rate", "hrv_rmssd", "spo2",
    "respiratory_rate", "body_temperature", "weight", "glucose", "blood_pressure", "sleep", "food",
}  # fmt: skip


def test_same_seed_and_day_give_the_same_events() -> None:
    assert simulated_day(7, "w", DAY) == simulated_day(7, "w", DAY)
    ids = [
        {event["id"] for event in simulated_day(seed, device, DAY)} for seed, device in ((7, "w"), (8, "w"), (7, "v"))
    ]
    assert len(set.union(*ids)) == sum(map(len, ids))


@pytest.mark.parametrize("seed", range(20))
def test_every_event_of_a_day_is_accepted(seed: int) -> None:
    events = simulated_day(seed, "watch", DAY)
    origin = Origin("sim", "watch", None, "users/sim/devices/watch/events")
    for start in range(0, len(events), 100):
        assert decode(json.dumps(events[start : start + 100]).encode(), origin, 1_795_430_000_000_000).rejections == []


def test_a_day_has_every_type_and_a_heart_rate_a_minute() -> None:
    types = Counter(event["type"] for event in simulated_day(1, "watch", DAY))
    assert set(types) == SIMULATED <= set(CATALOGUE)
    assert types["heart_rate"] == 1440


def test_days_go_backwards_so_that_nothing_lies_in_the_future() -> None:
    events = list(islice(simulated_events(1, "watch", DAY), 4000))
    assert {event["start_time"][:10] for event in events} == {"2026-11-22", "2026-11-21", "2026-11-20"}
    assert len({event["id"] for event in events}) == 4000
