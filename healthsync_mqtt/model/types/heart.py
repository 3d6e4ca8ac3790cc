"""The heart: its rate, the variation of it, its rhythm, and what its vessels are like."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from healthsync_mqtt.model.entries import instant, of_a_day, parts
from healthsync_mqtt.model.event_type import Daily, EventType, Form, Quantity, Text, TimeKind, Words
from healthsync_mqtt.model.points import US, Point, Spread, present, present_words
from healthsync_mqtt.model.shapes import fields, number, struct

_HOUR_US = 3_600_000_000

#: A minute at the highest rate that is taken.
MAX_SAMPLES = 120_000

_RHYTHMS = Words(
    "classification",
    (
        "sinus_rhythm", "atrial_fibrillation", "inconclusive", "inconclusive_low_heart_rate",
        "inconclusive_high_heart_rate", "inconclusive_poor_recording", "inconclusive_other", "not_set", "unknown",
    ),
)  # fmt: skip
_LABEL = Text("label", 128)
_LEADS = Words("lead", ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6", "other"))
_HZ = Quantity("hz", "Hz", 50, 2000, usual=512)
_MICROVOLTS = Quantity("microvolts", "uV", -100_000, 100_000, usual=12)
_MEAN_RATE = Quantity("bpm", "/min", 20, 300, "8867-4", 68)


def _ecg() -> Form:
    """``{"classification": "sinus_rhythm", "hz": 512, "microvolts": [12, -3, …]}``"""
    volts: Any = Annotated[list[number(_MICROVOLTS.low, _MICROVOLTS.high)], Meta(max_length=MAX_SAMPLES)]  # type: ignore[misc]
    no_volts: Any = msgspec.field(default_factory=list)
    shape = struct(
        "Ecg",
        [
            *fields((_RHYTHMS,)),
            *fields((_LABEL, _HZ, _LEADS, _MEAN_RATE), optional=True),
            (_MICROVOLTS.field, volts, no_volts),
        ],
    )
    return Form(shape)


def _ecg_spread() -> Spread:
    """The recording with its classification; not its waveform, which no chart of a day needs."""
    words = {_RHYTHMS.field: _RHYTHMS.words, _LEADS.field: _LEADS.words}
    stored = msgspec.defstruct(
        "StoredEcg",
        [
            (_RHYTHMS.field, str | None, None),
            (_LEADS.field, str | None, None),
            (_HZ.field, float | None, None),
            (_MEAN_RATE.field, float | None, None),
        ],
        gc=False,
    )

    def points(value: Any, start_us: int, end_us: int | None) -> list[Point]:
        found = present_words(value, words) + present(value, (_HZ.field, _MEAN_RATE.field))
        if end_us is not None:
            found += (("duration_s", (end_us - start_us) / US),)
        return [Point("ecg", start_us, found)] if found else []

    return Spread(stored=stored, points=points, texts=frozenset(words))


TYPES = (
    # A mean, of a minute or an hour, may say between which it was.
    instant(
        "heart_rate",
        Quantity("bpm", "/min", 20, 300, "8867-4", 72),
        "hr",
        "heartrate",
        extras=(Quantity("low_bpm", "/min", 20, 300, usual=64), Quantity("high_bpm", "/min", 20, 300, usual=88)),
    ),
    of_a_day(
        "resting_heart_rate", Quantity("bpm", "/min", 20, 200, "40443-4", 54), "rhr", "resting_hr", series_too=True
    ),
    of_a_day(
        "walking_heart_rate",
        Quantity("bpm", "/min", 20, 250, usual=96),
        "walking_heart_rate_avg",
        "walking_heart_rate_average",
    ),
    parts(
        "daily_heart_rate",
        TimeKind.DAILY,
        (Quantity("mean_bpm", "/min", 20, 300, usual=71),),
        (Quantity("low_bpm", "/min", 20, 300, usual=49), Quantity("high_bpm", "/min", 20, 300, "8873-2", 148)),
        example={"mean_bpm": 71, "low_bpm": 49, "high_bpm": 148},
        daily=Daily.LAST,
    ),
    instant(
        "heart_rate_recovery",
        Quantity("bpm", "/min", 0, 150, usual=28),
        "hr_recovery_1min",
        "heart_rate_recovery_one_minute",
        daily=Daily.LAST,
    ),
    # No alias "hrv": HealthKit's is SDNN, others' RMSSD, and the two are never mixed.
    instant("hrv_rmssd", Quantity("ms", "ms", 0, 500, usual=42), "rmssd"),
    instant("hrv_sdnn", Quantity("ms", "ms", 0, 500, "80404-7", 51), "sdnn", "heart_rate_variability_sdnn"),
    of_a_day("daily_hrv_rmssd", Quantity("ms", "ms", 0, 500, usual=44)),
    of_a_day("daily_hrv_sdnn", Quantity("ms", "ms", 0, 500, usual=53)),
    parts(
        "heart_notification",
        TimeKind.INSTANT,
        (
            Words(
                "notification",
                ("irregular_rhythm", "high_heart_rate", "low_heart_rate", "low_cardio_fitness", "atrial_fibrillation"),
            ),
        ),
        (Quantity("bpm", "/min", 0, 300, usual=124), Quantity("threshold_bpm", "/min", 0, 300, usual=120)),
        example={"notification": "high_heart_rate", "bpm": 124, "threshold_bpm": 120},
        aliases=("irregular_heart_rhythm", "heart_rate_notification"),
    ),
    of_a_day("atrial_fibrillation_burden", Quantity("percent", "%", 0, 100, usual=2), "afib_burden"),
    EventType(
        name="ecg",
        kind=TimeKind.SESSION,
        quantities=(_HZ, _MICROVOLTS, _MEAN_RATE),
        shapes=lambda: {_RHYTHMS.field: _ecg()},
        daily=Daily.NONE,
        aliases=("electrocardiogram",),
        loinc="11524-6",
        checked=False,
        max_span_us=_HOUR_US,
        own_spread=_ecg_spread,
        example_s=30,
        example={"classification": "sinus_rhythm", "hz": 512, "lead": "I", "bpm": 68, "microvolts": [12, -3, 4.5]},
    ),
    instant("pulse_wave_velocity", Quantity("meters_per_second", "m/s", 3, 25, usual=7.4), daily=Daily.LAST),
    instant("vascular_age", Quantity("years", "a", 10, 120, usual=39), "cardiovascular_age", daily=Daily.LAST),
    instant(
        "vo2_max",
        Quantity("ml_per_kg_min", "mL/kg/min", 5, 100, "60842-2", 44.1, checked=False),
        "vo2max",
        daily=Daily.LAST,
    ),
)
