"""The heart in Health Auto Export: electrocardiograms, and what the watch warned of."""

from collections.abc import Iterator
from typing import Any, Final

from healthsync_mqtt.formats.health_auto_export.metrics import source_of
from healthsync_mqtt.formats.port import Event
from healthsync_mqtt.formats.reading.amount import in_field
from healthsync_mqtt.formats.reading.document import (
    Record,
    as_record,
    inner,
    inside,
    is_number,
    items,
    number,
    number_or_none,
    text_or_none,
    whole,
)
from healthsync_mqtt.formats.reading.moment import Moment
from healthsync_mqtt.formats.reading.scribe import Scribe
from healthsync_mqtt.model.reasons import Reason, RefusedError

_RHYTHMS: Final = {
    "sinus rhythm": "sinus_rhythm",
    "atrial fibrillation": "atrial_fibrillation",
    "inconclusive": "inconclusive",
    "inconclusive low heart rate": "inconclusive_low_heart_rate",
    "low heart rate": "inconclusive_low_heart_rate",
    "inconclusive high heart rate": "inconclusive_high_heart_rate",
    "high heart rate": "inconclusive_high_heart_rate",
    "inconclusive poor reading": "inconclusive_poor_recording",
    "poor recording": "inconclusive_poor_recording",
    "inconclusive other": "inconclusive_other",
    "not set": "not_set",
}
_EPOCHS_S: Final = (0, 978_307_200)
"""Seconds are since 1970 or since 2001; which, nothing says."""
_SLACK_US: Final = 1_000_000

_NOTICES: Final = {
    "low_heart_rate_notification": "low_heart_rate",
    "high_heart_rate_notification": "high_heart_rate",
    "irregular_rhythm_notification": "irregular_rhythm",
}
_MOST_VOLTAGES: Final = 120_000


def read_ecg(scribe: Scribe, record: Record) -> Iterator[Event]:
    """A recording with its waveform. Raises RefusedError."""
    start, end = scribe.moment_in(record, "start"), scribe.moment_in(record, "end")
    word = text_or_none(record, "classification")
    folded = (word or "").casefold().replace("(", "").replace(")", "").replace("_", " ")
    value: dict[str, Any] = {"classification": _RHYTHMS.get(folded, "unknown" if word else "not_set")}
    if word and value["classification"] == "unknown":
        value["label"] = word[:128]
    hertz = number_or_none(record, "samplingFrequency")
    if hertz:
        value["hz"] = whole(hertz)
    rate = number_or_none(record, "averageHeartRate")
    if rate:  # 0 says that there is none
        value["bpm"] = whole(rate)
    volts = _voltages(scribe, record, start, end)
    if volts:
        value["microvolts"] = volts
    yield scribe.event(
        "ecg", value, start, end, app=source_of(record), key=("ecg", start.text, source_of(record) or "")
    )


def _voltages(scribe: Scribe, record: Record, start: Moment, end: Moment) -> list[float]:
    rows = items(record, "voltageMeasurements")
    if len(rows) > _MOST_VOLTAGES:
        raise RefusedError(Reason.TOO_LARGE, "voltageMeasurements", f"more than {_MOST_VOLTAGES} voltages")
    volts: list[float] = []
    for place, row in enumerate(rows):
        with inside(f"voltageMeasurements[{place}]"):
            each = as_record(row)
            if place in {0, len(rows) - 1}:
                seconds_within(scribe, each, "date", start, end)
            unit = text_or_none(each, "units")
            volts.append(in_field("ecg", "microvolts", number(each, "voltage"), unit))
    said = number_or_none(record, "numberOfVoltageMeasurements")
    if volts and said and said != len(volts):
        message = f"{len(volts)} voltages of {said:.15g} are here"
        raise RefusedError(Reason.BAD_INTERVAL, "numberOfVoltageMeasurements", message)
    return volts


def seconds_within(scribe: Scribe, record: Record, field: str, start: Moment, end: Moment) -> Moment:
    """A time in seconds of one of two epochs, or as a text: the one that lies within a record. Raises RefusedError."""
    if isinstance(record.get(field), str):
        return scribe.moment_in(record, field)
    seconds = number(record, field)
    for epoch in _EPOCHS_S:
        at_us = round((seconds + epoch) * 1_000_000) if abs(seconds) < _EPOCHS_S[1] * 10 else -1
        if start.us - _SLACK_US <= at_us <= end.us + _SLACK_US:
            return Moment(at_us, start.offset_s)
    raise RefusedError(Reason.BAD_TIME, field, "the time is within the record by neither of the two epochs")


def read_notice(scribe: Scribe, record: Record) -> Iterator[Event]:
    """A warning, and the rates it was for. Raises RefusedError."""
    start, end = scribe.moment_in(record, "start"), scribe.moment_in(record, "end")
    threshold = number_or_none(record, "threshold")
    points = _points(scribe, record, start, end)
    notice = _notice(record, threshold, points)
    value: dict[str, Any] = {"notification": notice}
    rates = [rate for _, rate in points]
    if rates and notice != "irregular_rhythm":
        value["bpm"] = max(rates) if notice == "high_heart_rate" else min(rates)
    if threshold:
        value["threshold_bpm"] = whole(threshold)
    app = source_of(record)
    yield scribe.event("heart_notification", value, start, end, app=app, key=(notice, start.text, app or ""))
    if points:
        first = points[0][0]
        samples = [[whole((at.us - first.us) / 1_000_000), rate] for at, rate in points]
        said = {"context": "notification"}
        key = ("notification", start.text, app or "")
        yield scribe.event("heart_rate", {"samples": samples}, first, app=app, key=key, source=said)


def _points(scribe: Scribe, record: Record, start: Moment, end: Moment) -> list[tuple[Moment, float]]:
    """Of both shapes: as the documents say, and as it is sent."""
    points: list[tuple[Moment, float]] = []
    for field in ("heartRateData", "heartRate"):
        for place, row in enumerate(items(record, field)):
            with inside(f"{field}[{place}]"):
                each = as_record(row)
                rate = number(each, "hr") if "hr" in each else number(each, "qty")
                span = inner(each, "timestamp")
                at = scribe.moment_in(span, "start") if span else seconds_within(scribe, each, "date", start, end)
                unit = text_or_none(each, "units") or "count/min"
                points.append((at, in_field("heart_rate", "bpm", rate, unit, ("count",))))
    return sorted(points)


def _notice(record: Record, threshold: float | None, points: list[tuple[Moment, float]]) -> str:
    """What was warned of: by its word, or by the side of the threshold on which the rates were."""
    word = text_or_none(record, "heartNotification")
    if word is not None:
        if word.casefold() not in _NOTICES:
            raise RefusedError(Reason.UNKNOWN_TYPE, "heartNotification", "no notification of the heart that is known")
        return _NOTICES[word.casefold()]
    rates = [rate for _, rate in points]
    if is_number(threshold) and threshold is not None and rates:
        if min(rates) > threshold:
            return "high_heart_rate"
        if max(rates) < threshold:
            return "low_heart_rate"
    raise RefusedError(Reason.MISSING_FIELD, "heartNotification", "nothing says what was warned of")
