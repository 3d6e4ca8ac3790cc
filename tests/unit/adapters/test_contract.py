"""The contract of adapters, on every one of the program."""

import json

import pytest

from healthsync_mqtt.adapters.catalogue import SHIPPED, shipped
from healthsync_mqtt.adapters.port import Adapter
from healthsync_mqtt.model.times import iso, micros
from healthsync_mqtt.testing.adapter_contract import AdapterContract, Nights, Samples
from tests.unit.adapters.test_clock_changes import NIGHT, SAID, answer_of_the_night

SAMPLES = {
    "oura": {"workout": ({"data": [{
        "id": "w", "activity": "running", "calories": 331.5, "distance": 5012.4, "source": "confirmed",
        "start_datetime": "2026-11-07T10:10:00.000+01:00", "end_datetime": "2026-11-07T10:43:00.000+01:00",
    }]}, 1)},
    "whoop": {"workout": ({"records": [{
        "id": "w", "updated_at": "2026-11-07T14:45:00.774Z", "start": "2026-11-07T14:10:00.774Z",
        "end": "2026-11-07T14:43:00.774Z", "timezone_offset": "-05:00", "sport_name": "running",
        "score_state": "SCORED", "score": {"kilojoule": 1535.528, "average_heart_rate": 151},
    }]}, 1)},
    "withings": {"measure": ({"status": 0, "body": {"measuregrps": [{
        "grpid": 1, "attrib": 0, "date": 1_793_944_931, "modified": 1_793_944_971, "category": 1,
        "measures": [{"value": 75_480, "type": 1, "unit": -3}, {"value": 1870, "type": 6, "unit": -2}],
    }]}}, 2)},
    "dexcom": {"egvs": ({"records": [{
        "recordId": "r", "systemTime": "2026-11-22T15:10:02Z", "displayTime": "2026-11-22T10:10:02-05:00", "value": 142,
        "unit": "mg/dL", "status": "ok",
    }]}, 1)},
    "strava": {"activities": ([{
        "id": 7, "sport_type": "Run", "start_date": "2026-11-07T14:10:00Z", "utc_offset": -18000.0,
        "elapsed_time": 2100, "moving_time": 1980, "distance": 5012.4, "average_cadence": 84.1,
    }], 1)},
    "polar": {"exercises": ([{
        "id": "2AC312F", "start_time": "2026-11-22T10:10:00", "start_time_utc_offset": 60, "duration": "PT33M0.5S",
        "calories": 331, "sport": "RUNNING",
    }], 1)},
    "garmin": {"push": ({"epochs": [{
        "userId": "u", "summaryId": "e", "startTimeInSeconds": 1_793_613_600, "startTimeOffsetInSeconds": 3600,
        "durationInSeconds": 900, "steps": 412, "met": 3.3,
    }]}, 2)},
    "google_health": {"steps": ({"dataPoints": [{
        "dataSource": {"platform": "FITBIT"},
        "steps": {"count": "412", "interval": {"startTime": "2026-11-03T08:00:00Z", "endTime": "2026-11-03T08:15:00Z"}},
    }]}, 1)},
}  # fmt: skip


@pytest.mark.parametrize("name", SHIPPED)
class TestContract(AdapterContract):
    @pytest.fixture
    def adapter(self, name: str) -> Adapter:
        return shipped(name)

    @pytest.fixture
    def samples(self, name: str) -> Samples:
        found = SAMPLES.get(name, {})
        return {(kind, json.dumps(answer).encode()): number for kind, (answer, number) in found.items()}

    @pytest.fixture
    def nights(self, name: str) -> Nights:
        starts = [iso(micros(at)) for at, _ in NIGHT]
        return {(SAID[name][0], answer_of_the_night(name)): starts} if name in SAID else {}
