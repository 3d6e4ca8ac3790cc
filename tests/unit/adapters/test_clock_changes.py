"""The night in which clocks are set back, of every provider: two readings at 02:30, an hour apart, and their offsets.

Each provider says its times in a way of its own. That they stay an hour apart is in the contract (``test_contract``).
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from healthsync_mqtt.adapters.capability import Availability
from healthsync_mqtt.adapters.catalogue import SHIPPED, shipped
from healthsync_mqtt.model.times import micros
from healthsync_mqtt.testing.adapter_contract import mapped

FIRST = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
"""In Berlin it is 02:30 then, and an hour later it is 02:30 again."""
NIGHT = ((FIRST, 7200), (FIRST + timedelta(hours=1), 3600))
TWO = ("first", "second")


def local(at: datetime, offset: int) -> datetime:
    return at.astimezone(timezone(timedelta(seconds=offset)))


def zulu(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def oura(name: str, at: datetime, offset: int) -> dict[str, Any]:
    ends = local(at + timedelta(minutes=20), offset).isoformat()
    return {"id": name, "activity": "running", "start_datetime": local(at, offset).isoformat(), "end_datetime": ends}


def whoop(name: str, at: datetime, offset: int) -> dict[str, Any]:
    return {
        "id": name, "updated_at": zulu(at), "start": zulu(at), "end": zulu(at + timedelta(minutes=20)),
        "timezone_offset": local(at, offset).isoformat()[-6:], "sport_name": "running", "score_state": "SCORED",
        "score": {"kilojoule": 1535.5, "average_heart_rate": 151},
    }  # fmt: skip


def withings(name: str, at: datetime, offset: int) -> dict[str, Any]:
    del offset
    measured = [{"value": 75_480, "type": 1, "unit": -3}]
    said = int(at.timestamp())
    return {"grpid": len(name), "attrib": 0, "date": said, "modified": said, "category": 1, "measures": measured}


def dexcom(name: str, at: datetime, offset: int) -> dict[str, Any]:
    shown = local(at, offset).isoformat()
    return {
        "recordId": name,
        "systemTime": zulu(at),
        "displayTime": shown,
        "value": 142,
        "unit": "mg/dL",
        "status": "ok",
    }


def strava(name: str, at: datetime, offset: int) -> dict[str, Any]:
    return {
        "id": len(name), "sport_type": "Run", "start_date": zulu(at), "utc_offset": float(offset),
        "start_date_local": zulu(at + timedelta(seconds=offset)), "timezone": "(GMT+01:00) Europe/Berlin",
        "elapsed_time": 1200, "moving_time": 1200, "distance": 3012.4,
    }  # fmt: skip


def polar(name: str, at: datetime, offset: int) -> dict[str, Any]:
    return {
        "id": name, "start_time": local(at, offset).strftime("%Y-%m-%dT%H:%M:%S"), "duration": "PT20M",
        "start_time_utc_offset": offset // 60, "sport": "RUNNING",
    }  # fmt: skip


def garmin(name: str, at: datetime, offset: int) -> dict[str, Any]:
    return {
        "userId": "u", "summaryId": name, "startTimeInSeconds": int(at.timestamp()), "steps": 412,
        "startTimeOffsetInSeconds": offset, "durationInSeconds": 900,
    }  # fmt: skip


def google_health(name: str, at: datetime, offset: int) -> dict[str, Any]:
    del name
    interval = {
        "startTime": zulu(at), "startUtcOffset": f"{offset}s", "endTime": zulu(at + timedelta(minutes=15)),
        "endUtcOffset": f"{offset}s",
    }  # fmt: skip
    return {"dataSource": {"platform": "FITBIT"}, "steps": {"count": "412", "interval": interval}}


Record = Callable[[str, datetime, int], dict[str, Any]]
SAID: dict[str, tuple[str, Record, Callable[[list[Any]], Any]]] = {
    "oura": ("workout", oura, lambda records: {"data": records}),
    "whoop": ("workout", whoop, lambda records: {"records": records}),
    "withings": ("measure", withings, lambda records: {"status": 0, "body": {"measuregrps": records}}),
    "dexcom": ("egvs", dexcom, lambda records: {"records": records}),
    "strava": ("activities", strava, lambda records: records),
    "polar": ("exercises", polar, lambda records: records),
    "garmin": ("push", garmin, lambda records: {"epochs": records}),
    "google_health": ("steps", google_health, lambda records: {"dataPoints": records}),
}


def test_every_provider_that_is_asked_is_here() -> None:
    asked = {name for name in SHIPPED if shipped(name).cloud or name == "garmin"}
    assert {name for name in asked if shipped(name).capability.state is not Availability.ended} == set(SAID)


def answer_of_the_night(name: str) -> bytes:
    """Both readings, as a provider answers."""
    _, record, around = SAID[name]
    records = [record(word, at, offset) for word, (at, offset) in zip(TWO, NIGHT, strict=True)]
    return json.dumps(around(records)).encode()


@pytest.mark.parametrize("name", SAID)
def test_each_of_the_two_hours_has_its_offset(name: str) -> None:
    events = mapped(shipped(name), SAID[name][0], answer_of_the_night(name)).events
    said = {
        (micros(datetime.fromisoformat(each["start_time"])), each["utc_offset"])
        for each in events
        if "utc_offset" in each
    }
    assert said <= {(micros(at), offset) for at, offset in NIGHT}
