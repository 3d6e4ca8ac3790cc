# long: thirty data types of one API, a row or a few lines each
"""The Google Health API's data points as events.

What a point is its own key says, whichever list it is in. Numbers are often texts. Samples have neither an id nor a
time of change; nights, exercises and logs have both. Civil times repeat the others and are not read; a date alone is a
day of the account's zone. Points of ``reconcile`` have no source: theirs is ``reconciled``. Displayed units are not
those of the data. Minutes in a zone count double where it is high, and are no minutes; active minutes are of whole
days here.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from functools import partial
from typing import Any, Final

from healthsync_mqtt.adapters.capability import AskingBudget, AuthMethod, Capability, DeliveryWay
from healthsync_mqtt.adapters.cloud import (
    Asked,
    Cloud,
    CloudEndpoint,
    CloudFault,
    Failed,
    Question,
    TokenManners,
    judged,
    token_at,
    utc_date,
    utc_time,
)
from healthsync_mqtt.adapters.hooks.google_health import NOTICES
from healthsync_mqtt.adapters.mapping.activities import activity
from healthsync_mqtt.adapters.mapping.answers import AnswerKind, AnswerReading, ProviderMapping, Written, nothing
from healthsync_mqtt.adapters.mapping.memory import LinkMemory
from healthsync_mqtt.adapters.mapping.rules import FieldRow, figures, number_at, word_of
from healthsync_mqtt.adapters.port import Adapter
from healthsync_mqtt.adapters.revocation_endpoints import beside_tokens
from healthsync_mqtt.adapters.web import CloudAnswer
from healthsync_mqtt.formats.port import AppMessage, Fold, FormatEntry
from healthsync_mqtt.formats.reading.document import (
    Record,
    as_record,
    inner,
    inside,
    items,
    number_of_text,
    read_document,
    text,
    text_or_none,
    whole,
)
from healthsync_mqtt.formats.reading.moment import Day, Moment, moment_in
from healthsync_mqtt.formats.reading.scribe import Records, Scribe
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable

_DURATION: Final = re.compile(r"(-?\d{1,9}(?:\.\d{1,9})?)s", re.ASCII)
_RECORDINGS: Final = {"MANUAL": "manual", "ACTIVELY_MEASURED": "active"}
_MOST_SAMPLES: Final = 120_000

#: Samples at a moment, by the key of a point.
_SAMPLES: Final = {
    "heartRate": (FieldRow("beatsPerMinute", "heart_rate", "/min", zero=False),),
    "heartRateVariability": (
        FieldRow("rootMeanSquareOfSuccessiveDifferencesMilliseconds", "hrv_rmssd", "ms", zero=False),
        FieldRow("standardDeviationMilliseconds", "hrv_sdnn", "ms", zero=False),
    ),
    "oxygenSaturation": (FieldRow("percentage", "spo2", "%", zero=False),),
    "respiratoryRateSleepSummary": (
        FieldRow("fullSleepStats.breathsPerMinute", "respiratory_rate", "/min", zero=False, about="of a whole sleep"),
    ),
    "coreBodyTemperature": (FieldRow("temperatureCelsius", "body_temperature", "Cel"),),
    "weight": (FieldRow("weightGrams", "weight", "g", zero=False),),
    "bodyFat": (FieldRow("percentage", "body_fat_percentage", "%", zero=False),),
    "height": (FieldRow("heightMillimeters", "height", "mm", zero=False),),
    "bloodGlucose": (FieldRow("bloodGlucoseMilligramsPerDeciliter", "glucose", "mg/dL", zero=False),),
    "runVo2Max": (FieldRow("runVo2Max", "vo2_max", zero=False),),
    "vo2Max": (FieldRow("vo2Max", "vo2_max", zero=False),),
}
#: Amounts of an interval.
_INTERVALS: Final = {
    "steps": (FieldRow("count", "steps", "{steps}"),),
    "distance": (FieldRow("millimeters", "distance", "mm"),),
    "floors": (FieldRow("count", "floors", "{flights}"),),
    "altitude": (FieldRow("gainMillimeters", "elevation_gain", "mm"),),
    "activeEnergyBurned": (FieldRow("kcal", "energy_active", "kcal"),),
}
#: What is said of a day.
_DAYS: Final = {
    "dailyRestingHeartRate": (FieldRow("beatsPerMinute", "resting_heart_rate", "/min", zero=False),),
    "dailyHeartRateVariability": (
        FieldRow("averageHeartRateVariabilityMilliseconds", "daily_hrv_rmssd", "ms", zero=False, about="mean"),
    ),
    "dailyOxygenSaturation": (FieldRow("averagePercentage", "daily_spo2", "%", zero=False, about="mean"),),
    "dailyRespiratoryRate": (FieldRow("breathsPerMinute", "daily_respiratory_rate", "/min", zero=False),),
    "dailySleepTemperatureDerivations": (FieldRow("nightlyTemperatureCelsius", "skin_temperature", "Cel"),),
    "dailyVo2Max": (FieldRow("vo2Max", "vo2_max", zero=False),),
}
#: Roll-ups of an interval, and the same of a civil day.
_ROLLUPS: Final = {
    "steps": (FieldRow("countSum", "steps", "{steps}"), FieldRow("countSum", "daily_steps", "{steps}")),
    "distance": (FieldRow("millimetersSum", "distance", "mm"), FieldRow("millimetersSum", "daily_distance", "mm")),
    "floors": (FieldRow("countSum", "floors", "{flights}"), FieldRow("countSum", "daily_floors", "{flights}")),
    "activeEnergyBurned": (
        FieldRow("kcalSum", "energy_active", "kcal"),
        FieldRow("kcalSum", "daily_energy_active", "kcal"),
    ),
    "totalCalories": (FieldRow("kcalSum", "energy_total", "kcal"), FieldRow("kcalSum", "daily_energy_total", "kcal")),
}
_NIGHT: Final = (
    FieldRow("summary.minutesAsleep", "sleep", "min", "total_asleep_s"),
    FieldRow("summary.minutesAwake", "sleep", "min", "awake_s"),
    FieldRow("summary.minutesToFallAsleep", "sleep", "min", "latency_s"),
    FieldRow("summary.minutesInSleepPeriod", "sleep", "min", "in_bed_s"),
)
_STAGES: Final = {
    "awake": "awake", "light": "light", "deep": "deep", "rem": "rem", "asleep": "asleep", "restless": "awake_in_bed",
}  # fmt: skip
_SUMS: Final = {"LIGHT": "light_s", "DEEP": "deep_s", "REM": "rem_s"}
_EXERCISE: Final = (
    FieldRow("caloriesKcal", "workout", "kcal", "energy_total_kcal", zero=False),
    FieldRow("distanceMillimeters", "workout", "mm", "distance_m", zero=False),
    FieldRow("steps", "workout", "{steps}", "steps", zero=False),
    FieldRow("averageHeartRateBeatsPerMinute", "workout", "/min", "heart_rate_mean_bpm", zero=False),
    FieldRow("elevationGainMillimeters", "workout", "mm", "elevation_gain_m", zero=False),
    FieldRow("mobilityMetrics.avgCadenceStepsPerMinute", "workout", "/min", "cadence_steps_per_minute", zero=False),
)
_LAP: Final = tuple(rule for rule in _EXERCISE if rule.ours != "energy_total_kcal")
_ZONES: Final = ("lightTime", "moderateTime", "vigorousTime", "peakTime")
_FOOD: Final = (
    FieldRow("energy.kcal", "food", "kcal", "energy_kcal"),
    FieldRow("totalFat.grams", "food", "g", "fat_g"),
    FieldRow("totalCarbohydrate.grams", "food", "g", "carbohydrate_g"),
)
_NUTRIENTS: Final = {
    "PROTEIN": "protein_g", "DIETARY_FIBER": "fiber_g", "SUGAR": "sugar_g", "TOTAL_SUGARS": "sugar_g",
    "SATURATED_FAT": "saturated_fat_g", "TRANS_FAT": "trans_fat_g", "MONOUNSATURATED_FAT": "monounsaturated_fat_g",
    "POLYUNSATURATED_FAT": "polyunsaturated_fat_g", "CHOLESTEROL": "cholesterol_mg", "SODIUM": "sodium_mg",
    "POTASSIUM": "potassium_mg", "CALCIUM": "calcium_mg", "MAGNESIUM": "magnesium_mg", "IRON": "iron_mg",
    "ZINC": "zinc_mg", "VITAMIN_C": "vitamin_c_mg", "VITAMIN_D": "vitamin_d_ug", "CAFFEINE": "caffeine_mg",
}  # fmt: skip
_HYDRATION: Final = (FieldRow("amountConsumed.milliliters", "hydration", "mL"),)
_ECG_RATE: Final = (FieldRow("beatsPerMinuteAvg", "ecg", "/min", "bpm", zero=False),)
_RHYTHMS: Final = {
    "normal_sinus_rhythm": "sinus_rhythm", "atrial_fibrillation": "atrial_fibrillation",
    "inconclusive": "inconclusive", "inconclusive_high_heart_rate": "inconclusive_high_heart_rate",
    "inconclusive_low_heart_rate": "inconclusive_low_heart_rate",
}  # fmt: skip
_LEADS: Final = {1: "I", 2: "II", 3: "III"}
_MEALS: Final = {"breakfast": "breakfast", "lunch": "lunch", "dinner": "dinner", "snack": "snack"}
_TIMINGS: Final = {
    "before_meal": "before_meal", "after_meal": "after_meal", "fasting": "fasting", "general": "general",
}  # fmt: skip
_SPECIMENS: Final = {
    "capillary_blood": "capillary_blood", "interstitial_fluid": "interstitial_fluid", "plasma": "plasma",
    "serum": "serum", "tears": "tears", "whole_blood": "whole_blood",
}  # fmt: skip
_SITES: Final = {
    "ear": "ear", "armpit": "armpit", "finger": "finger", "forehead": "forehead", "mouth": "mouth", "rectum": "rectum",
    "temporal_artery": "temporal_artery", "toe": "toe", "wrist": "wrist", "vagina": "vagina",
}  # fmt: skip
_BESIDE: Final = frozenset({"dataSource", "name", "dataPointName"})


# -- times


def _seconds(found: Any, field: str) -> float | None:
    """A duration as protobuf writes it: ``7200s``."""
    if found is None:
        return None
    matched = _DURATION.fullmatch(found) if isinstance(found, str) else None
    if matched is None:
        raise RefusedError(Reason.BAD_TIME, field, f"{field} is no duration")
    return whole(float(matched[1]))


def _moment(record: Record, field: str, offset: str) -> Moment:
    seconds = _seconds(record.get(offset), offset)
    return Moment(moment_in(record, field).us, None if seconds is None else int(seconds))


def _sampled(point: Record) -> Moment:
    with inside("sampleTime"):
        return _moment(inner(point, "sampleTime"), "physicalTime", "utcOffset")


def _interval(point: Record) -> tuple[Moment, Moment]:
    with inside("interval"):
        return _span(inner(point, "interval"))


def _span(interval: Record) -> tuple[Moment, Moment]:
    return _moment(interval, "startTime", "startUtcOffset"), _moment(interval, "endTime", "endUtcOffset")


def _civil(reading: AnswerReading, found: Any, field: str) -> Day:
    """A date of year, month and day."""
    said = as_record(found) if isinstance(found, dict) else {}
    try:
        on = date(*(said[each] for each in ("year", "month", "day")))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise RefusedError(Reason.BAD_TIME, field, f"{field} must be a date") from None
    return reading.civil(on.isoformat(), field)


# -- sources


def _origin(record: Record, reconciled: bool) -> dict[str, Any]:  # noqa: FBT001  # of a fold
    """What a point says of its source, as ``AnswerReading.event`` is told."""
    source = inner(record, "dataSource")
    device = inner(source, "device")
    app = text_or_none(inner(source, "application"), "packageName") or text_or_none(source, "platform")
    model = text_or_none(device, "displayName") or text_or_none(device, "formFactor") or ""
    recording = _RECORDINGS.get(str(source.get("recordingMethod")))
    said: dict[str, Any] = {
        "app": app or ("reconciled" if reconciled or "dataSource" not in record else None),
        "model": model,
    }
    if recording:
        said["source"] = {"recording": recording}
    return said


def _named(record: Record, point: Record, said: dict[str, Any]) -> dict[str, Any]:
    """The same of a record that has a name and a time of change."""
    name = text_or_none(record, "name") or text_or_none(record, "dataPointName")
    if name is None:
        return said
    changed = moment_in(point, "updateTime").us if text_or_none(point, "updateTime") else "latest"
    source = {**said.get("source", {}), "record_id": name.rpartition("/")[2][:128]}
    return {**said, "record": name.rpartition("/")[2], "version": changed, "source": source}


# -- makers: (reading, the point, what is said of its source)

_Maker = Callable[[AnswerReading, Record, Record, dict[str, Any]], Iterable[Written]]


def _sample(rules: tuple[FieldRow, ...]) -> _Maker:
    def make(reading: AnswerReading, _record: Record, point: Record, said: dict[str, Any]) -> Iterator[Written]:
        yield from reading.each(point, rules, _sampled(point), **said)

    return make


def _amounts(rules: tuple[FieldRow, ...]) -> _Maker:
    def make(reading: AnswerReading, _record: Record, point: Record, said: dict[str, Any]) -> Iterator[Written]:
        yield from reading.each(point, rules, *_interval(point), **said)

    return make


def _of_a_day(rules: tuple[FieldRow, ...]) -> _Maker:
    def make(reading: AnswerReading, _record: Record, point: Record, said: dict[str, Any]) -> Iterator[Written]:
        yield from reading.each(point, rules, _civil(reading, point.get("date"), "date"), **said)

    return make


def _night_temperature(
    reading: AnswerReading, record: Record, point: Record, said: dict[str, Any]
) -> Iterator[Written]:
    rules = _DAYS["dailySleepTemperatureDerivations"]
    yield from _of_a_day(rules)(reading, record, point, said)
    nightly, baseline = (number_at(point, f"{each}TemperatureCelsius") for each in ("nightly", "baseline"))
    if nightly is not None and baseline is not None:
        day = _civil(reading, point.get("date"), "date")
        yield reading.event("skin_temperature_delta", {"celsius": round(nightly - baseline, 6)}, day, **said)


def _temperature(reading: AnswerReading, _record: Record, point: Record, said: dict[str, Any]) -> Iterator[Written]:
    value = figures(point, _SAMPLES["coreBodyTemperature"])
    if not value:
        return
    site = word_of(point.get("measurementLocation"), _SITES, "")
    if site:
        value["site"] = site
    name = text_or_none(point, "id")
    own = {**said, "record": name} if name else said
    yield reading.event("body_temperature", value, _sampled(point), **own)


def _glucose(reading: AnswerReading, _record: Record, point: Record, said: dict[str, Any]) -> Iterator[Written]:
    value = figures(point, _SAMPLES["bloodGlucose"])
    if not value:
        return
    for field, theirs, words in (("specimen", "specimen", _SPECIMENS), ("meal", "measurementTiming", _TIMINGS)):
        if word := word_of(point.get(theirs), words, ""):
            value[field] = word
    yield reading.event("glucose", value, _sampled(point), **said)


def _sleep(reading: AnswerReading, record: Record, point: Record, said: dict[str, Any]) -> Iterator[Written]:
    start, end = _interval(point)
    value = figures(point, _NIGHT)
    for each in items(inner(point, "summary"), "stagesSummary"):
        stage = as_record(each)
        field = _SUMS.get(str(stage.get("type")))
        minutes = number_at(stage, "minutes")
        if field and minutes is not None:
            value[field] = whole(minutes * 60)
    stages = [*_stages(point, "stages", ""), *_stages(point, "outOfBedSegments", "out_of_bed")]
    if stages:
        value["stages"] = stages
    if inner(point, "metadata").get("nap") is True:
        value["nap"] = True
    own = _named(record, point, said)
    yield reading.event("sleep", value, start, end, **{"record": f"night {start.text}"} | own)


def _stages(point: Record, field: str, word: str) -> Iterator[dict[str, Any]]:
    for place, each in enumerate(items(point, field)):
        with inside(f"{field}[{place}]"):
            stage = as_record(each)
            start, end = _span(stage)
            named = word or word_of(stage.get("type"), _STAGES, "unknown")
            yield {"stage": named, "start_time": start.text, "end_time": end.text}


def _exercise(reading: AnswerReading, record: Record, point: Record, said: dict[str, Any]) -> Iterator[Written]:
    start, end = _interval(point)
    summary = inner(point, "metricsSummary")
    value: dict[str, Any] = activity(point.get("exerciseType")) | figures(summary, _EXERCISE)
    speed = number_at(summary, "averageSpeedMillimetersPerSecond")
    if speed:
        value["speed_mean_m_s"] = speed / 1000
    active = _seconds(point.get("activeDuration"), "activeDuration")
    if active:
        value["active_s"] = active
    for field, theirs in (("laps", "splitSummaries"), ("splits", "splits")):
        parts = [_lap(each, f"{theirs}[{place}]") for place, each in enumerate(items(point, theirs))]
        if parts:
            value[field] = parts
    if pauses := list(_pauses(point)):
        value["pauses"] = pauses
    zones = inner(summary, "heartRateZoneDurations")
    lasted = [_seconds(zones.get(each), each) or 0 for each in _ZONES]
    if any(lasted):
        value["zones"] = [{"of": "heart_rate", "seconds": each} for each in lasted]
    own = _named(record, point, said)
    yield reading.event("workout", value, start, end, **{"record": f"exercise {start.text}"} | own)


def _lap(found: Any, place: str) -> dict[str, Any]:
    with inside(place):
        lap = as_record(found)
        start, end = _span(lap)
        return {"start_time": start.text, "end_time": end.text} | figures(inner(lap, "metricsSummary"), _LAP)


def _pauses(point: Record) -> Iterator[dict[str, str]]:
    begun = ""
    for place, each in enumerate(items(point, "exerciseEvents")):
        with inside(f"exerciseEvents[{place}]"):
            event = as_record(each)
            sort = event.get("exerciseEventType")
            if sort in {"PAUSE", "AUTO_PAUSE"}:
                begun = moment_in(event, "eventTime").text
            elif begun and sort in {"RESUME", "AUTO_RESUME", "STOP"}:
                yield {"start_time": begun, "end_time": moment_in(event, "eventTime").text}
                begun = ""


def _ecg(reading: AnswerReading, record: Record, point: Record, said: dict[str, Any]) -> Iterator[Written]:
    """Its end is its start: how long it was its samples say."""
    start, _ = _interval(point)
    value: dict[str, Any] = {"classification": word_of(point.get("resultClassification"), _RHYTHMS, "unknown")}
    value |= figures(point, _ECG_RATE)
    hertz, scale = number_at(point, "samplingFrequencyHertz"), number_at(point, "millivoltsScalingFactor")
    samples = items(point, "waveformSamples")
    end = start
    if hertz and scale and hertz > 0 and 0 < len(samples) <= _MOST_SAMPLES:
        volts = [_volts(each, scale) for each in samples]
        value |= {"hz": hertz, "microvolts": volts}
        end = start.later(len(volts) / hertz)
    lead = number_at(point, "leadNumber")
    if lead in _LEADS:
        value["lead"] = _LEADS[int(lead)]
    own = _named(record, point, said)
    yield reading.event("ecg", value, start, end, **{"record": f"ecg {start.text}"} | own)


def _volts(found: Any, scale: float) -> float:
    sample = number_of_text(found, "waveformSamples") if isinstance(found, str) else found
    if type(sample) not in {int, float}:
        raise RefusedError(Reason.WRONG_TYPE, "waveformSamples", "a sample is no number")
    return whole(round(sample / scale * 1000, 3))


def _rhythm(reading: AnswerReading, record: Record, point: Record, said: dict[str, Any]) -> Iterator[Written]:
    """What was noticed; the beats in it are rates of one interval each, and no heart rates."""
    start, end = _interval(point)
    own = _named(record, point, said)
    value = {"notification": "irregular_rhythm"}
    yield reading.event("heart_notification", value, start, end, **{"record": f"rhythm {start.text}"} | own)


def _nutrition(reading: AnswerReading, record: Record, point: Record, said: dict[str, Any]) -> Iterator[Written]:
    """What was eaten. The unit in which a user typed it is not that of the numbers."""
    start, _ = _interval(point)
    value = figures(point, _FOOD)
    for place, each in enumerate(items(point, "nutrients")):
        with inside(f"nutrients[{place}]"):
            nutrient = as_record(each)
            field = _NUTRIENTS.get(str(nutrient.get("nutrient")))
            if field:
                value |= figures(nutrient, (FieldRow("quantity.grams", "food", "g", field),))
    if meal := word_of(point.get("mealType"), _MEALS, ""):
        value["meal"] = meal
    name = text_or_none(point, "foodDisplayName")
    if name:
        eaten: dict[str, Any] = {"name": name[:256]}
        servings = number_at(point, "serving.amount")
        if (
            servings is not None
            and text_or_none(inner(point, "serving"), "foodMeasurementUnitDisplayName") == "serving"
        ):
            eaten["servings"] = servings
        value["items"] = [eaten]
    own = _named(record, point, said)
    yield reading.event("food", value, start, **{"record": f"food {start.text} {name}"} | own)


def _hydration(reading: AnswerReading, record: Record, point: Record, said: dict[str, Any]) -> Iterator[Written]:
    start, _ = _interval(point)
    own = _named(record, point, said)
    yield from reading.each(point, _HYDRATION, start, **own)


_MAKERS: Final[dict[str, _Maker]] = {
    **{key: _sample(rules) for key, rules in _SAMPLES.items()},
    **{key: _amounts(rules) for key, rules in _INTERVALS.items()},
    **{key: _of_a_day(rules) for key, rules in _DAYS.items()},
    "dailySleepTemperatureDerivations": _night_temperature,
    "coreBodyTemperature": _temperature,
    "bloodGlucose": _glucose,
    "sleep": _sleep,
    "exercise": _exercise,
    "electrocardiogram": _ecg,
    "irregularRhythmNotification": _rhythm,
    "nutritionLog": _nutrition,
    "hydrationLog": _hydration,
}


def _point(reconciled: bool, reading: AnswerReading, record: Record) -> Iterator[Written]:  # noqa: FBT001  # of a fold
    keys = [key for key in record if key not in _BESIDE]
    key = next((each for each in keys if each in _MAKERS), None)
    if key is None:
        what = printable(", ".join(keys[:3]))
        raise RefusedError(Reason.UNKNOWN_TYPE, None, f"there is no type here for {what or 'a point of nothing'}")
    if record[key] is None:
        raise RefusedError(Reason.MISSING_FIELD, key, f"{key} is null")
    with inside(key):
        yield from _MAKERS[key](reading, record, as_record(record[key]), _origin(record, reconciled))


def _rollup(reading: AnswerReading, record: Record) -> Iterator[Written]:
    """An amount of a window; one without a value says that there is none, and not 0."""
    for key, (of_interval, of_day) in _ROLLUPS.items():
        found = record.get(key)
        if found is None:
            continue
        with inside(key):
            value = figures(as_record(found), (of_day,))
        if not value:
            continue
        if "civilStartTime" in record:
            day = _civil(reading, inner(record, "civilStartTime").get("date"), "civilStartTime.date")
            yield reading.event(of_day.type, value, day, day.end, record=f"{key} of {day.date}")
        else:
            start, end = moment_in(record, "startTime"), moment_in(record, "endTime")
            yield reading.event(of_interval.type, {of_interval.ours: next(iter(value.values()))}, start, end)


_POINT_RULES: Final = {**_SAMPLES, **_INTERVALS, **_DAYS}
_KINDS: Final = (
    *(AnswerKind(key, nothing, rules) for key, rules in _POINT_RULES.items()),
    AnswerKind("sleep", nothing, _NIGHT),
    AnswerKind("exercise", nothing, _EXERCISE, (FormatEntry("exercise: exerciseType", "workout"),)),
    AnswerKind("electrocardiogram", nothing, _ECG_RATE, (FormatEntry("electrocardiogram: waveformSamples", "ecg"),)),
    AnswerKind(
        "irregularRhythmNotification", nothing, (),
        (FormatEntry("irregularRhythmNotification", "heart_notification"),),
    ),
    AnswerKind("nutritionLog", nothing, _FOOD),
    AnswerKind("hydrationLog", nothing, _HYDRATION),
    AnswerKind("rollUp", nothing, tuple(rule for pair in _ROLLUPS.values() for rule in pair)),
)  # fmt: skip


class GoogleHealthMapping(ProviderMapping):
    """Lists, reconciled lists and roll-ups (``formats.port.Format``): a point says itself what it is."""

    def __init__(self) -> None:
        super().__init__("google_health", "Google Health", _KINDS)

    def knows(self, kind: str) -> bool:
        """Any: which type a point is its own key says."""
        return bool(kind)

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """One page (``formats.port.Format``)."""
        document = read_document(message.payload)
        if not isinstance(document, dict):
            raise RefusedError(Reason.MALFORMED, None, "no answer of the Google Health API")
        memory, records = LinkMemory(state), Records()
        reading = AnswerReading(Scribe(self.name, message, self.name), memory)
        reconciled = "reconcile" in message.topic
        make = partial(_point, reconciled, reading)
        if text_or_none(document, "name") and not {"dataPoints", "rollupDataPoints"} & document.keys():
            if "/dataPoints/" in text(document, "name"):
                yield from records.read("", document, make)
            return memory.state
        for place, each in enumerate(items(document, "dataPoints")):
            yield from records.read(f"dataPoints[{place}]", each, make)
        for place, each in enumerate(items(document, "rollupDataPoints")):
            yield from records.read(f"rollupDataPoints[{place}]", each, partial(_rollup, reading))
        return memory.state


MAPPING: Final = GoogleHealthMapping()


#: The data types that are asked for, and the field that their filter is of.
_ASKED: Final = (
    ("sleep", "sleep.interval.end_time"),
    ("exercise", ""),
    *((kind, f"{kind.replace('-', '_')}.sample_time.physical_time") for kind in (
        "heart-rate", "heart-rate-variability", "oxygen-saturation", "respiratory-rate-sleep-summary", "weight",
        "body-fat", "height", "blood-glucose", "core-body-temperature",
    )),
    *((kind, f"{kind.replace('-', '_')}.interval.start_time") for kind in (
        "steps", "distance", "floors", "altitude", "active-energy-burned",
    )),
    *((kind, f"{kind.replace('-', '_')}.date") for kind in (
        "daily-resting-heart-rate", "daily-heart-rate-variability", "daily-oxygen-saturation",
        "daily-respiratory-rate", "daily-sleep-temperature-derivations", "daily-vo2-max",
    )),
)  # fmt: skip
_FEW: Final = frozenset({"sleep", "exercise"})


def _listed(kind: str, field: str) -> Callable[[Asked], Question]:
    def question(asked: Asked) -> Question:
        if kind == "exercise":
            bounds = f'exercise.interval.civil_start_time >= "{utc_date(asked.start)}"'
        elif field.endswith(".date"):
            bounds = f'{field} >= "{utc_date(asked.start)}"'
        else:
            bounds = f'{field} >= "{utc_time(asked.start)}" AND {field} < "{utc_time(asked.end)}"'
        query = {"pageSize": "25" if kind in _FEW else "1440", "filter": bounds}
        path = f"/v4/users/me/dataTypes/{kind}/dataPoints"
        return path, query | ({"pageToken": asked.page} if asked.page else {}), None

    return question


def _energy(asked: Asked) -> Question:
    """Whole hours, for there is no list of these: one that is not over would be another amount each time."""
    start = asked.start // _HOUR_S * _HOUR_S
    end = max(asked.end // _HOUR_S * _HOUR_S, start + _HOUR_S)
    document = {"range": {"startTime": utc_time(start), "endTime": utc_time(end)}, "windowSize": f"{_HOUR_S}s"}
    page = {"pageToken": asked.page} if asked.page else {}
    return "/v4/users/me/dataTypes/total-calories/dataPoints:rollUp", {}, document | page


_HOUR_S: Final = 3_600


def _judged(answer: CloudAnswer, document: Any) -> Failed | None:
    failed = judged(answer, document)
    if failed is None or not isinstance(document, dict):
        return failed
    said = document.get("error")
    details = said.get("details") if isinstance(said, dict) else None
    reasons = (
        {str(each.get("reason")) for each in details if isinstance(each, dict)} if isinstance(details, list) else set()
    )
    if "ACCOUNT_NOT_LINKED" in reasons:
        return Failed(CloudFault.user, 86_400.0, "this Google account has no Google Health data: link another one")
    if "SERVICE_DISABLED" in reasons:
        return Failed(CloudFault.ours, hint="the Google Health API is not enabled for the app's project")
    return failed


CLOUD: Final = Cloud(
    base_url="https://health.googleapis.com",
    auth_url="https://accounts.google.com/o/oauth2/v2/auth",
    token_url="https://oauth2.googleapis.com/token",  # noqa: S106  # an address
    endpoints=(
        *(
            CloudEndpoint(
                kind=kind, question=_listed(kind, field), following=token_at("nextPageToken"), slice_s=14 * 86_400
            )
            for kind, field in _ASKED
        ),
        CloudEndpoint(
            kind="total-calories",
            question=_energy,
            following=token_at("nextPageToken"),
            slice_s=13 * 86_400,
            as_document=True,
        ),
    ),
    tokens=TokenManners(extra={"access_type": "offline", "prompt": "consent"}),
    judge=_judged,
    account=("/v4/users/me/identity", "healthUserId"),
    zone=("/v4/users/me/settings", "timeZone"),
    notices=NOTICES,
    leave=beside_tokens("/revoke"),
)


def register() -> Adapter:
    """The adapter."""
    return Adapter(
        capability=Capability(
            name="google_health",
            title="Google Health",
            auth=AuthMethod.oauth2_pkce,
            delivery=frozenset({DeliveryWay.poll, DeliveryWay.notify}),
            budgets=(AskingBudget(300, 60, per_user=True), AskingBudget(120_000, 60)),
            history_days=90,
            again_days=3,
            scopes=(
                "https://www.googleapis.com/auth/googlehealth.activity_and_fitness.readonly",
                "https://www.googleapis.com/auth/googlehealth.health_metrics_and_measurements.readonly",
                "https://www.googleapis.com/auth/googlehealth.sleep.readonly",
                "https://www.googleapis.com/auth/googlehealth.settings.readonly",
            ),
            about="in place of the Fitbit Web API and Google Fit, which have ended",
        ),
        mapping=MAPPING,
        cloud=CLOUD,
    )
