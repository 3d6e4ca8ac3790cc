"""Deliveries for the tests of the decoder."""

import json
from typing import Any

from bridge.decode.delivery import DEFAULT, Limits, decode
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event import Decoded, Event, Rejection
from healthsync_mqtt.model.origin import Origin

ORIGIN = Origin("alice", "watch-1", None, "users/alice/devices/watch-1/events")
NOW_US = 1_795_420_800_000_000  # 2026-11-23T08:00:00Z
START = "2026-11-23T06:00:00.250Z"
START_US = 1_795_413_600_250_000
END = "2026-11-23T06:10:00Z"

EXAMPLE_VALUES: dict[str, Any] = {of.name: dict(of.example) for of in CATALOGUE.values()} | {
    "steps": {"steps": 412},
    "distance": {"meters": 1203.5},
    "energy_active": {"kcal": 88},
    "floors": {"floors": 3},
    "heart_rate": {"bpm": 72},
    "resting_heart_rate": {"bpm": 51},
    "hrv_rmssd": {"ms": 42.5},
    "spo2": {"percent": 97},
    "respiratory_rate": {"breaths_per_minute": 14.2},
    "body_temperature": {"celsius": 36.6},
    "weight": {"kg": 87.15},
    "glucose": {"mg_dl": 98},
    "blood_pressure": {"systolic": 121, "diastolic": 79, "pulse": 64},
    "sleep": {
        "stages": [
            {"stage": "light", "start_time": "2026-11-23T06:00:01.000000Z", "end_time": "2026-11-23T06:05:00.000000Z"},
            {"stage": "rem", "start_time": "2026-11-23T06:05:00.000000Z", "end_time": "2026-11-23T06:10:00.000000Z"},
        ]
    },
    "workout": {
        "activity": "running",
        "distance_m": 1840,
        "laps": [
            {"start_time": "2026-11-23T06:01:00.000000Z", "end_time": "2026-11-23T06:06:00.000000Z", "distance_m": 920}
        ],
        "zones": [{"of": "heart_rate", "seconds": 240, "low": 140, "high": 160}],
    },
    "food": {"meal": "breakfast", "items": [{"name": "Oats", "grams": 60, "energy_kcal": 225}], "energy_kcal": 225},
}


def event(**changes: Any) -> dict[str, Any]:
    """A heart rate with these fields changed; a field set to ... is left out."""
    fields = {"id": "e-1", "type": "heart_rate", "start_time": START, "value": {"bpm": 72}, **changes}
    return {key: value for key, value in fields.items() if value is not ...}


def payload(*events: Any, **wrapper: Any) -> bytes:
    """One event alone, several as an array, any number with ``batch=`` as a wrapper."""
    value: Any = {**wrapper, "events": list(events)} if wrapper else events[0] if len(events) == 1 else list(events)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def read(data: bytes | dict[str, Any], origin: Origin = ORIGIN, limits: Limits = DEFAULT) -> Decoded:
    decoded = decode(payload(data) if isinstance(data, dict) else data, origin, NOW_US, limits)
    assert decoded.total == len(decoded.events) + len(decoded.rejections)
    return decoded


def accepted(data: bytes | dict[str, Any], origin: Origin = ORIGIN, limits: Limits = DEFAULT) -> Event:
    decoded = read(data, origin, limits)
    assert decoded.rejections == []
    (only,) = decoded.events
    return only


def rejected(data: bytes | dict[str, Any], origin: Origin = ORIGIN, limits: Limits = DEFAULT) -> Rejection:
    decoded = read(data, origin, limits)
    assert decoded.events == []
    (only,) = decoded.rejections
    return only
