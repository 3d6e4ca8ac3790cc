# long: a dozen kinds of answers, each with times of its own
"""Polar AccessLink's records as events.

Most of its times are a wall clock's without an offset: exercises say theirs in minutes, nights in their own times, and
what says none takes that of the account's zone, or of a night or exercise of the same date that was seen before. Where
there is none a sample is left out, and comes again while its day is fetched again. A night has no id: it is its date.
"""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Final, NamedTuple

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
    utc_date,
)
from healthsync_mqtt.adapters.hooks.polar import NOTICES
from healthsync_mqtt.adapters.mapping.activities import activity
from healthsync_mqtt.adapters.mapping.answers import (
    AnswerKind,
    AnswerReading,
    ProviderMapping,
    Written,
    name_of,
    no_type,
    nothing,
    seconds_of,
    until_next,
)
from healthsync_mqtt.adapters.mapping.rules import FieldRow, figures, number_at
from healthsync_mqtt.adapters.notices import json_request
from healthsync_mqtt.adapters.port import Adapter
from healthsync_mqtt.adapters.revocation_endpoints import by_bearer
from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest
from healthsync_mqtt.formats.port import FormatEntry
from healthsync_mqtt.formats.reading.document import (
    Record,
    as_record,
    inner,
    inside,
    items,
    number,
    number_of_text,
    text,
    text_or_none,
    whole,
)
from healthsync_mqtt.formats.reading.moment import Moment, moment, moment_in, of_epoch
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable

_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.ASCII)
_STAGES: Final = {0: "awake", 1: "rem", 2: "light", 3: "light", 4: "deep", 5: "unknown"}
_US: Final = 1_000_000
_HOUR_US: Final = 3_600_000_000
_DAY_US: Final = 86_400_000_000
_MOST_SAMPLES: Final = 100_000
_MEASURED: Final = frozenset({"SOURCE_MEASURED", "SOURCE_USER", "MEASURED", "USER"})

_NIGHT: Final = (
    FieldRow("light_sleep", "sleep", "s", "light_s"),
    FieldRow("deep_sleep", "sleep", "s", "deep_s"),
    FieldRow("rem_sleep", "sleep", "s", "rem_s"),
    FieldRow("total_interruption_duration", "sleep", "s", "awake_s"),
)
_NIGHT_RATE: Final = FieldRow("heart_rate_samples", "heart_rate", "/min", zero=False, about="while asleep")
_EXERCISE: Final = (
    FieldRow("distance", "workout", "m", "distance_m", zero=False),
    FieldRow("calories", "workout", "kcal", "energy_kcal", zero=False),
    FieldRow("heart_rate.average", "workout", "/min", "heart_rate_mean_bpm", zero=False),
    FieldRow("heart_rate.maximum", "workout", "/min", "heart_rate_high_bpm", zero=False),
)
#: By the number of a sample type.
_SAMPLES: Final = {
    "0": FieldRow("samples 0", "heart_rate", "/min", zero=False),
    "1": FieldRow("samples 1", "speed", "km/h"),
    "2": FieldRow("samples 2", "cadence_revolutions", "/min"),
    "4": FieldRow("samples 4", "power", "W"),
    # Polar counts one foot.
    "8": FieldRow("samples 8", "cadence_steps", "/min", times=2),
}
_RECHARGE: Final = (
    FieldRow("heart_rate_variability_avg", "daily_hrv_rmssd", "ms", zero=False, about="mean of four hours"),
    FieldRow("breathing_rate_avg", "daily_respiratory_rate", "/min", zero=False, about="mean of four hours"),
    FieldRow("ans_charge", "nightly_recharge", about="-10 to 10"),
)
_RECHARGE_HRV: Final = FieldRow("hrv_samples", "hrv_rmssd", "ms", zero=False, about="where the night is known")
_RECHARGE_BREATHS: Final = FieldRow("breathing_samples", "respiratory_rate", "/min", zero=False, about="the same")
_DAY: Final = (
    FieldRow("steps", "daily_steps", "{steps}"),
    FieldRow("distance_from_steps", "daily_distance", "m"),
    FieldRow("active_calories", "daily_energy_active", "kcal"),
    FieldRow("calories", "daily_energy_total", "kcal"),
)
_DAY_STEPS: Final = FieldRow(
    "samples.steps", "steps", "{steps}", zero=False, about="where an offset of the day is known"
)
_RATE: Final = FieldRow("heart_rate", "heart_rate", "/min", zero=False)
_BODY: Final = (
    FieldRow("height", "height", "cm", zero=False),
    FieldRow("resting_heart_rate", "resting_heart_rate", "/min", zero=False, about="as it was entered"),
    FieldRow("vo2_max", "vo2_max", zero=False),
)
_WEIGHT: Final = FieldRow("weight", "weight", "kg", zero=False, about="only one that was measured or entered")
_SPO2: Final = (
    FieldRow("blood_oxygen_percent", "spo2", "%", zero=False),
    FieldRow("average_heart_rate_bpm", "heart_rate", "/min", zero=False),
    FieldRow("heart_rate_variability_ms", "hrv_rmssd", "ms", zero=False),
)
_ECG_RATE: Final = FieldRow("average_heart_rate_bpm", "ecg", "/min", "bpm", zero=False)
_TEMPERATURES: Final = {
    "TM_CORE_TEMPERATURE": FieldRow("temperature_celsius", "body_temperature", "Cel"),
    "TM_SKIN_TEMPERATURE": FieldRow("temperature_celsius", "skin_temperature", "Cel"),
}
_SKIN: Final = (
    FieldRow("sleep_time_skin_temperature_celsius", "skin_temperature", "Cel"),
    FieldRow("deviation_from_baseline_celsius", "skin_temperature_delta", "Cel"),
)


# -- times


class _PolarNight(NamedTuple):
    """When a night began and ended, and which of its clock's hours that come twice are of the first passage."""

    start: Moment
    end: Moment
    #: before it a clock's reading is by the offset of the start, from it on by that of the end
    turn_us: int

    def at(self, clock: str) -> Moment:
        """The moment of a reading of the clock. Raises RefusedError."""
        wall_us = self._wall_us(clock)
        first, second = self._by(wall_us)
        return first if first.us < self.turn_us else second

    def _by(self, wall_us: int) -> tuple[Moment, Moment]:
        before, after = self.start.offset_s or 0, self.end.offset_s or 0
        return Moment(wall_us - before * _US, before), Moment(wall_us - after * _US, after)

    def _wall_us(self, clock: str) -> int:
        found = _CLOCK.fullmatch(clock)
        if found is None:
            raise RefusedError(Reason.BAD_TIME, clock[:20], f"{printable(clock)} is no reading of a clock")
        seconds = int(found[1]) * 3_600 + int(found[2]) * 60 + int(found[3] or 0)
        began_us = self.start.us + (self.start.offset_s or 0) * _US
        midnight_us = began_us // _DAY_US * _DAY_US
        wall_us = midnight_us + seconds * _US
        if wall_us < began_us:
            wall_us += _DAY_US
        # Some are of the minutes before it began: of two days the nearer one.
        ended_us = self.end.us + (self.end.offset_s or 0) * _US
        return wall_us - _DAY_US if wall_us - ended_us > began_us - (wall_us - _DAY_US) else wall_us

    def turned(self, clocks: list[str], off: Callable[[list[Moment]], float]) -> "tuple[_PolarNight, list[Moment]]":
        """The night with the turn at which the beginnings of stages fit best, and those beginnings.

        ``off`` says how far some beginnings are off. A clock is turned at a full hour.
        """
        pairs = [self._by(self._wall_us(each)) for each in clocks]
        if self.start.offset_s == self.end.offset_s:
            return self, [first for first, _ in pairs]
        best: tuple[float, int, list[Moment]] | None = None
        for turn in range(len(pairs) + 1):
            at = [pair[0 if place < turn else 1] for place, pair in enumerate(pairs)]
            if any(later.us <= earlier.us for earlier, later in pairwise(at)):
                continue
            known = off(at)
            if best is None or known < best[0]:
                after_us = at[turn - 1].us if turn else self.start.us
                before_us = at[turn].us if turn < len(at) else self.end.us
                hour_us = after_us // _HOUR_US * _HOUR_US + _HOUR_US
                best = (known, min(hour_us, before_us), at)
        if best is None:
            return self, [self.at(each) for each in clocks]
        return self._replace(turn_us=best[1]), best[2]


def _wall(reading: AnswerReading, on: str, clock: str, field: str) -> Moment:
    """A reading of the clock on a date, by what offset is known of it. Raises RefusedError where none is."""
    wall = f"{on}T{clock}"
    known = reading.memory.get(f"offset {on}")
    if known is not None and reading.zone is None:
        there = moment(wall, field, "UTC")
        return Moment(there.us - known[0] * _US, known[0])
    return moment(wall, field, reading.zone)


def _epoch(record: Record) -> Moment:
    """Seconds since 1970, and the offset beside them in minutes."""
    at = of_epoch(number(record, "test_time"), "test_time")
    minutes = number_at(record, "time_zone_offset")
    return at if minutes is None else Moment(at.us, round(minutes * 60))


def _utc(record: Record, field: str) -> Moment:
    """A time of which the document says that it is UTC, though it does not say so itself."""
    return Moment(moment(record.get(field), field, "UTC").us)


def _changed(record: Record, field: str) -> Any:
    return "latest" if text_or_none(record, field) is None else _utc(record, field).us


# -- nights


def _night(reading: AnswerReading, record: Record) -> Iterator[Written]:
    on = text(record, "date")
    start, end = moment_in(record, "sleep_start_time", reading.zone), moment_in(record, "sleep_end_time", reading.zone)
    hypnogram = inner(record, "hypnogram")
    value = figures(record, _NIGHT)
    asleep = [value[each] for each in ("light_s", "deep_s", "rem_s") if each in value]
    if asleep:
        value["total_asleep_s"] = sum(asleep)

    def words() -> list[str]:
        return [_STAGES.get(each, "unknown") if type(each) is int else "unknown" for each in hypnogram.values()]

    def off(at: list[Moment]) -> float:
        lasted: dict[str, float] = dict.fromkeys(("light", "deep", "rem"), 0.0)
        for word, (begun, until) in zip(words(), pairwise([*at, end]), strict=True):
            if word in lasted:
                lasted[word] += (until.us - begun.us) / _US
        return sum(abs(lasted[each] - float(value.get(f"{each}_s", 0))) for each in lasted)

    with inside("hypnogram"):
        night, beginnings = _PolarNight(start, end, end.us + 1).turned(list(hypnogram), off)
        begun = list(zip(beginnings, words(), strict=True))
    if begun:
        value["stages"] = until_next([each for each in begun if start.us <= each[0].us < end.us], end)
    score = number_at(record, "sleep_score")
    if score:
        value["scores"] = [{"provider": "polar", "name": "sleep_score", "points": score}]
    reading.memory.put(f"night {on}", start.us, start.offset_s or 0, end.us, end.offset_s or 0)
    reading.memory.put(f"turn {on}", night.turn_us)
    if end.offset_s is not None:
        reading.memory.put(f"offset {on}", end.offset_s)
    said: dict[str, Any] = {"record": f"night {on}", "source": {"local_date": on}}
    yield reading.event("sleep", value, start, end, **said)
    yield from _clocked(reading, night, record, _NIGHT_RATE, **said)


def _clocked(
    reading: AnswerReading, night: _PolarNight, record: Record, rule: FieldRow, /, **said: Any
) -> Iterator[Written]:
    """Samples by readings of the clock in one night, as a series from its beginning."""
    with inside(rule.field):
        samples = [
            ((night.at(clock).us - night.start.us) / _US, found)
            for clock, found in inner(record, rule.field).items()
            if found is not None
        ]
    first = min([0.0, *(seconds for seconds, _ in samples)])
    begun = night.start.later(first)
    yield from reading.series(rule, [(seconds - first, found) for seconds, found in samples], begun, **said)


def _recharge(reading: AnswerReading, record: Record) -> Iterator[Written]:
    on = text(record, "date")
    said = {"record": f"recharge {on}"}
    yield from reading.each(record, _RECHARGE, reading.civil(on, "date"), **said)
    known, turn = reading.memory.get(f"night {on}"), reading.memory.get(f"turn {on}")
    if known is None or turn is None:
        return  # a wall clock's readings without date or offset
    night = _PolarNight(Moment(known[0], known[1]), Moment(known[2], known[3]), turn[0])
    for rule in (_RECHARGE_HRV, _RECHARGE_BREATHS):
        yield from _clocked(reading, night, record, rule, **said)


# -- exercises


def _exercise(reading: AnswerReading, record: Record) -> Iterator[Written]:
    name = name_of(record, "id")
    wall = moment(record.get("start_time"), "start_time", "UTC")
    minutes = number_at(record, "start_time_utc_offset")
    if minutes is None:
        start = moment_in(record, "start_time", reading.zone)
    else:
        start = Moment(wall.us - round(minutes * 60) * _US, round(minutes * 60))
        reading.memory.put(f"offset {text(record, 'start_time')[:10]}", round(minutes * 60))
    lasted = seconds_of(record.get("duration"), "duration")
    value: dict[str, Any] = _sport(record) | figures(record, _EXERCISE)
    zones = [_zone(each, place) for place, each in enumerate(items(record, "heart_rate_zones"))]
    if zones:
        value["zones"] = zones
    source: dict[str, Any] = {"record_id": name}
    model = text_or_none(record, "device") or ""
    of = f"exercise {name}"
    yield reading.event("workout", value, start, start.later(lasted), record=of, source=source, model=model)
    for place, each in enumerate(items(record, "samples")):
        with inside(f"samples[{place}]"):
            samples = as_record(each)
            rule = _SAMPLES.get(str(samples.get("sample-type")))
            rate = number_at(samples, "recording-rate")
            if rule is None or not rate:
                continue
            found = ((count * rate, number) for count, number in enumerate(_numbers(samples)))
            yield from reading.series(rule, found, start, record=of, source=source)


def _sport(record: Record) -> dict[str, str]:
    detailed = activity(record.get("detailed_sport_info"))
    return detailed if detailed["activity"] != "other" else activity(record.get("sport")) | detailed


def _zone(found: Any, place: int) -> dict[str, Any]:
    with inside(f"heart_rate_zones[{place}]"):
        zone = as_record(found)
        bounds = {"low": number_at(zone, "lower-limit"), "high": number_at(zone, "upper-limit")}
        seconds = seconds_of(zone.get("in-zone"), "in-zone")
        return {"of": "heart_rate", "seconds": seconds} | {
            key: each for key, each in bounds.items() if each is not None
        }


def _numbers(samples: Record) -> list[float | None]:
    """Numbers in one text with commas; ``null`` where the sensor was away."""
    parts = text(samples, "data").split(",")
    if len(parts) > _MOST_SAMPLES:
        raise RefusedError(Reason.TOO_MANY, "data", f"more than {_MOST_SAMPLES} samples")
    return [None if part.strip() in {"null", ""} else number_of_text(part, "data") for part in parts]


# -- days


def _activity_day(reading: AnswerReading, record: Record) -> Iterator[Written]:
    """A day's totals; its steps minute by minute where an offset of that day is known."""
    on = (text_or_none(record, "start_time") or text_or_none(record, "date") or "")[:10]
    day = reading.civil(on, "start_time")
    yield from reading.each(record, _DAY, day, record=f"day {on}")
    steps = inner(inner(record, "samples"), "steps")
    if not steps or (reading.zone is None and reading.memory.get(f"offset {on}") is None):
        return
    lasts_s = (number_at(steps, "interval_ms") or 60_000) / 1000
    for place, each in enumerate(items(steps, "samples")):
        with inside(f"samples.steps.samples[{place}]"):
            sample = as_record(each)
            counted = number_at(sample, "steps")
            if counted:  # a minute of none is none: the day's total says so
                stamp = text(sample, "timestamp")
                at = _wall(reading, stamp[:10], stamp[11:], "timestamp")
                yield reading.event("steps", {"steps": whole(counted)}, at, at.later(lasts_s))


def _continuous(reading: AnswerReading, record: Record) -> Iterator[Written]:
    on = text(record, "date")
    for place, each in enumerate(items(record, "heart_rate_samples")):
        with inside(f"heart_rate_samples[{place}]"):
            sample = as_record(each)
            value = figures(sample, (_RATE,))
            if value:
                at = _wall(reading, on, text(sample, "sample_time"), "sample_time")
                yield reading.event("heart_rate", value, at, record=f"heart rate {on}", part=at.text)


def _cardio_load(_reading: AnswerReading, record: Record) -> tuple[Written, ...]:
    load = number_at(record, "cardio_load")
    if load is None or load < 0:
        return ()
    raise RefusedError(Reason.UNKNOWN_TYPE, "cardio_load", "there is no type here for a cardio load")


def _physical(reading: AnswerReading, record: Record) -> Iterator[Written]:
    """What the profile says, as it was when it was last changed. A weight that is estimated is no measurement."""
    at = _utc(record, "modified")
    rules: tuple[FieldRow, ...] = _BODY
    if record.get("weight_source") in _MEASURED:
        rules = (_WEIGHT, *rules)
    yield from reading.each(record, rules, at, version=at.us)


# -- what a watch is held still for


def _spo2(reading: AnswerReading, record: Record) -> Iterator[Written]:
    if not str(record.get("test_status", "")).endswith("PASSED"):
        raise RefusedError(Reason.MISSING_FIELD, "test_status", "the test came to nothing")
    at = _epoch(record)
    app = text_or_none(record, "source_device_id")
    yield from reading.each(record, _SPO2[:1], at, app=app, source={"recording": "active"})
    yield from reading.each(record, _SPO2[1:], at, app=app)


def _ecg(reading: AnswerReading, record: Record) -> Iterator[Written]:
    start = _epoch(record)
    times, volts = [], []
    for place, each in enumerate(items(record, "samples")):
        with inside(f"samples[{place}]"):
            sample = as_record(each)
            times.append(number(sample, "recording_time_delta_ms"))
            volts.append(whole(round(number(sample, "amplitude_mv") * 1000, 6)))
    steps = sorted(later - earlier for earlier, later in pairwise(times))
    value: dict[str, Any] = {"classification": "not_set"} | figures(record, (_ECG_RATE,))
    end = start
    if volts and steps and steps[len(steps) // 2] > 0:
        value |= {"hz": whole(1000 / steps[len(steps) // 2]), "microvolts": volts}
        end = start.later(times[-1] / 1000)
    yield reading.event("ecg", value, start, end, app=text_or_none(record, "source_device_id"))


def _temperature(reading: AnswerReading, record: Record) -> Iterator[Written]:
    rule = _TEMPERATURES.get(str(record.get("measurement_type")))
    if rule is None:
        raise RefusedError(Reason.UNKNOWN_TYPE, "measurement_type", "neither a temperature of the body nor of the skin")
    start, version = _utc(record, "start_time"), _changed(record, "modified_time")
    app = text_or_none(record, "source_device_id")
    for place, each in enumerate(items(record, "samples")):
        with inside(f"samples[{place}]"):
            sample = as_record(each)
            at = start.later(number(sample, "recording_time_delta_milliseconds") / 1000)
            yield from reading.each(sample, (rule,), at, app=app, version=version)


def _skin(reading: AnswerReading, record: Record) -> Iterator[Written]:
    on = text(record, "sleep_date")
    yield from reading.each(record, _SKIN, reading.civil(on, "sleep_date"), record=f"skin {on}")


MAPPING: Final = ProviderMapping(
    "polar",
    "Polar",
    (
        AnswerKind(
            "exercises",
            _exercise,
            (*_EXERCISE, *_SAMPLES.values()),
            (FormatEntry("exercises: detailed_sport_info", "workout"),),
            lists=("exercises",),
            aliases=("exercise",),
        ),
        AnswerKind("sleep", _night, (*_NIGHT, _NIGHT_RATE), lists=("nights",), aliases=("nights", "night")),
        AnswerKind(
            "nightly_recharge",
            _recharge,
            (*_RECHARGE, _RECHARGE_HRV, _RECHARGE_BREATHS),
            lists=("recharges",),
        ),
        AnswerKind("activities", _activity_day, (*_DAY, _DAY_STEPS), lists=("activities",), aliases=("activity",)),
        AnswerKind("continuous_heart_rate", _continuous, (_RATE,), lists=("days",), aliases=("heart_rate",)),
        AnswerKind("cardio_load", _cardio_load),
        AnswerKind("physical_info", _physical, (_WEIGHT, *_BODY), aliases=("physical_information",)),
        AnswerKind("biosensing_spo2", _spo2, _SPO2, aliases=("spo2",)),
        AnswerKind(
            "biosensing_ecg", _ecg, (_ECG_RATE,), (FormatEntry("biosensing_ecg: samples", "ecg"),),
            aliases=("ecg", "wrist_ecg"),
        ),
        AnswerKind(
            "biosensing_temperature", _temperature, tuple(_TEMPERATURES.values()),
            aliases=("body_temperature", "biosensing_bodytemperature", "bodytemperature"),
        ),
        AnswerKind(
            "biosensing_skin_temperature", _skin, _SKIN,
            aliases=("skin_temperature", "biosensing_skintemperature", "skintemperature", "sleep_skin_temperature"),
        ),
        AnswerKind("sleep_wise", no_type("alertness and circadian bedtimes")),
        AnswerKind("sleep_available", nothing, lists=("available",)),
        AnswerKind("user_info", nothing),
    ),
)  # fmt: skip


def _all(path: str, **query: str) -> Callable[[Asked], Question]:
    """What is there, of the last weeks: Polar takes no window."""
    return lambda _asked: (path, query, None)


def _days(path: str, **query: str) -> Callable[[Asked], Question]:
    """The days of a window, the last one included."""
    return lambda asked: (path, {"from": utc_date(asked.start), "to": utc_date(asked.end), **query}, None)


def _enrolled(base_url: str, access: str, account: str) -> CloudRequest:
    """Only of who is registered is there anything; Polar's own id of the user is the name that we give."""
    headers = {"Authorization": f"Bearer {access}"}
    return json_request("POST", f"{base_url}/v3/users", headers, {"member-id": f"healthsync-{account}"})


def _judged(answer: CloudAnswer, document: Any) -> Failed | None:
    """403 says that the user has to agree to something in Polar Flow: the token is good, and works afterwards."""
    failed = judged(answer, document)
    if failed is None:
        return None
    if answer.status == 403:
        return Failed(CloudFault.user, 86_400.0, "Polar wants consents: accept them in Polar Flow")
    if answer.status == 400:
        return Failed(CloudFault.gone)  # further back than there is anything
    if failed.fault is CloudFault.rate_limited:
        return failed._replace(wait_s=_reset_s(answer) or failed.wait_s)
    return failed


def _reset_s(answer: CloudAnswer) -> float:
    """The seconds until the window that is used up begins anew: of the quarter of an hour, or of the day."""
    used, most, resets = (
        [part.strip() for part in answer.headers.get(f"ratelimit-{name}", "").split(",")]
        for name in ("usage", "limit", "reset")
    )
    waits = [
        float(reset)
        for count, limit, reset in zip(used, most, resets, strict=False)
        if count.isdigit() and limit.isdigit() and reset.isdigit() and int(count) >= int(limit)
    ]
    return max(waits, default=0.0)


_SLICE_S: Final = 27 * 86_400
"""Polar gives 28 days at once, both ends included."""
CLOUD: Final = Cloud(
    base_url="https://www.polaraccesslink.com",
    auth_url="https://flow.polar.com/oauth2/authorization",
    token_url="https://polarremote.com/v2/oauth2/token",  # noqa: S106  # an address
    endpoints=(
        # Nights first: they say the turn of the clock of what is measured in them.
        CloudEndpoint(kind="sleep", question=_all("/v3/users/sleep"), by_change=True),
        CloudEndpoint(kind="nightly_recharge", question=_all("/v3/users/nightly-recharge"), by_change=True),
        CloudEndpoint(kind="exercises", question=_all("/v3/exercises", samples="true", zones="true"), by_change=True),
        CloudEndpoint(kind="physical_info", question=_all("/v3/users/physical-info"), by_change=True),
        CloudEndpoint(kind="activities", question=_days("/v3/users/activities", steps="true"), slice_s=_SLICE_S),
        CloudEndpoint(
            kind="continuous_heart_rate", question=_days("/v3/users/continuous-heart-rate"), slice_s=_SLICE_S
        ),
        *(
            CloudEndpoint(kind=f"biosensing_{kind}", question=_days(f"/v3/users/biosensing/{path}"), slice_s=_SLICE_S)
            for kind, path in (
                ("spo2", "spo2"),
                ("ecg", "ecg"),
                ("temperature", "bodytemperature"),
                ("skin_temperature", "skintemperature"),
            )
        ),
    ),
    tokens=TokenManners(basic=True, account=("x_user_id",)),
    judge=_judged,
    enrol=_enrolled,
    notices=NOTICES,
    leave=by_bearer("DELETE", "/v3/users/{account}"),
)


def register() -> Adapter:
    """The adapter."""
    return Adapter(
        capability=Capability(
            name="polar",
            title="Polar",
            auth=AuthMethod.oauth2,
            delivery=frozenset({DeliveryWay.poll, DeliveryWay.notify}),
            budgets=(AskingBudget(500, 900), AskingBudget(5_000, 86_400)),
            history_days=28,
            again_days=3,
            scopes=("accesslink.read_all",),
            about="only what is uploaded after the link is visible",
        ),
        mapping=MAPPING,
        cloud=CLOUD,
    )
