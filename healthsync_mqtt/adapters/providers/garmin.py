# long: a push has twenty kinds of summaries, and each is a few lines
"""Garmin's summaries as events. A push is one object with lists of them, of many users: those of one account are taken.

Garmin says no time of change: the newest delivery holds, but a night that was final is not replaced by a tentative one.
Samples are at seconds after the summary's start, of the clock that the device showed. Codes below zero say that nothing
was measured.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Any, Final

from healthsync_mqtt.adapters.capability import AskingBudget, AuthMethod, Capability, DeliveryWay
from healthsync_mqtt.adapters.cloud import (
    Asked,
    Cloud,
    CloudEndpoint,
    Failed,
    Question,
    judged,
)
from healthsync_mqtt.adapters.hooks.garmin import FILES, NOTICES
from healthsync_mqtt.adapters.mapping.activities import activity
from healthsync_mqtt.adapters.mapping.answers import (
    AnswerKind,
    AnswerReading,
    ProviderMapping,
    Written,
    name_of,
    nothing,
)
from healthsync_mqtt.adapters.mapping.memory import LinkMemory
from healthsync_mqtt.adapters.mapping.rules import FieldRow, figures, number_at, word_of
from healthsync_mqtt.adapters.port import Adapter
from healthsync_mqtt.adapters.providers.garmin_files import file_items
from healthsync_mqtt.adapters.revocation_endpoints import by_bearer
from healthsync_mqtt.adapters.web import CloudAnswer
from healthsync_mqtt.formats.port import AppMessage, Fold, FormatEntry
from healthsync_mqtt.formats.reading.document import (
    Record,
    as_record,
    inner,
    inside,
    items,
    number,
    number_or_none,
    read_document,
    text_or_none,
)
from healthsync_mqtt.formats.reading.moment import Day, Moment, of_epoch
from healthsync_mqtt.formats.reading.scribe import Records, Scribe
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.text import printable

_DAY: Final = (
    FieldRow("steps", "daily_steps", "{steps}"),
    FieldRow("distanceInMeters", "daily_distance", "m"),
    FieldRow("activeKilocalories", "daily_energy_active", "kcal"),
    FieldRow("bmrKilocalories", "daily_energy_basal", "kcal"),
    FieldRow("floorsClimbed", "daily_floors", "{flights}"),
    FieldRow("moderateIntensityDurationInSeconds", "active_minutes_moderate", "s"),
    FieldRow("vigorousIntensityDurationInSeconds", "active_minutes_vigorous", "s"),
    FieldRow("restingHeartRateInBeatsPerMinute", "resting_heart_rate", "/min", zero=False),
    FieldRow("averageStressLevel", "daily_stress", low=0, about="mean"),
)
_DAY_RATE: Final = FieldRow("timeOffsetHeartRateSamples", "heart_rate", "/min", zero=False)
_EPOCH: Final = (
    FieldRow("steps", "steps", "{steps}"),
    FieldRow("distanceInMeters", "distance", "m"),
    FieldRow("activeKilocalories", "energy_active", "kcal"),
)
_EPOCH_MET: Final = FieldRow("met", "met", "{MET}", zero=False)
_NIGHT: Final = (
    FieldRow("durationInSeconds", "sleep", "s", "total_asleep_s", about="without the time awake"),
    FieldRow("lightSleepDurationInSeconds", "sleep", "s", "light_s"),
    FieldRow("deepSleepDurationInSeconds", "sleep", "s", "deep_s"),
    FieldRow("remSleepInSeconds", "sleep", "s", "rem_s"),
    FieldRow("awakeDurationInSeconds", "sleep", "s", "awake_s"),
)
_NIGHT_SERIES: Final = (
    FieldRow("timeOffsetSleepSpo2", "spo2", "%", zero=False),
    FieldRow("timeOffsetSleepRespiration", "respiratory_rate", "/min", zero=False, low=0),
)
_LEVELS: Final = {"deep": "deep", "light": "light", "rem": "rem", "awake": "awake", "unmeasurable": "unknown"}
_RANKS: Final = (("FINAL", 3), ("MANUAL", 3), ("OFF_WRIST", 2), ("DEVICE", 2), ("TENTATIVE", 1))
_BODY: Final = (
    FieldRow("weightInGrams", "weight", "g", zero=False),
    FieldRow("bodyFatInPercent", "body_fat_percentage", "%", zero=False),
    FieldRow("percentFat", "body_fat_percentage", "%", zero=False, about="an older name"),
    FieldRow("muscleMassInGrams", "muscle_mass", "g", zero=False),
    FieldRow("boneMassInGrams", "bone_mass", "g", zero=False),
    FieldRow("bodyWaterInPercent", "body_water_percentage", "%", zero=False),
    FieldRow("percentHydration", "body_water_percentage", "%", zero=False, about="an older name"),
    FieldRow("bodyMassIndex", "bmi", zero=False),
    FieldRow("bmi", "bmi", zero=False, about="an older name"),
)
_PRESSURE: Final = (
    FieldRow("systolic", "blood_pressure", "mm[Hg]", "systolic"),
    FieldRow("diastolic", "blood_pressure", "mm[Hg]", "diastolic"),
    FieldRow("pulse", "blood_pressure", "/min", "pulse", zero=False),
)
_HRV: Final = (FieldRow("lastNightAvg", "daily_hrv_rmssd", "ms", zero=False),)
_HRV_SERIES: Final = (FieldRow("hrvValues", "hrv_rmssd", "ms", zero=False),)
_STRESS_SERIES: Final = (
    FieldRow("timeOffsetStressLevelValues", "stress", low=0),
    FieldRow("timeOffsetBodyBatteryValues", "body_battery", low=0),
)
_BREATHS: Final = (
    FieldRow("timeOffsetEpochToBreaths", "respiratory_rate", "/min", zero=False, low=0),
    FieldRow("timeOffsetRespirationValues", "respiratory_rate", "/min", zero=False, low=0, about="an older name"),
)
_OXYGEN: Final = (FieldRow("timeOffsetSpo2Values", "spo2", "%", zero=False),)
_SKIN: Final = (FieldRow("avgDeviationCelsius", "skin_temperature_delta", "Cel"),)
#: By the word of a snapshot's summary.
_SNAPSHOT: Final = {
    "heart_rate": FieldRow("avgValue", "heart_rate", "/min", zero=False, about="heart_rate"),
    "rmssd_hrv": FieldRow("avgValue", "hrv_rmssd", "ms", zero=False, about="rmssd_hrv"),
    "sdrr_hrv": FieldRow("avgValue", "hrv_sdnn", "ms", zero=False, about="sdrr_hrv"),
    "stress": FieldRow("avgValue", "stress", low=0, about="stress"),
    "spo2": FieldRow("avgValue", "spo2", "%", zero=False, about="spo2"),
    "respiration": FieldRow("avgValue", "respiratory_rate", "/min", zero=False, about="respiration"),
}
_METRICS: Final = (
    FieldRow("vo2Max", "vo2_max", zero=False, about="running"),
    FieldRow("vo2MaxCycling", "vo2_max", zero=False, about="cycling"),
)
_ACTIVITY: Final = (
    FieldRow("distanceInMeters", "workout", "m", "distance_m", zero=False),
    # Of an activity they include what a body burns at rest; of a day they do not.
    FieldRow("activeKilocalories", "workout", "kcal", "energy_total_kcal", zero=False),
    FieldRow("steps", "workout", "{steps}", "steps", zero=False),
    FieldRow("averageHeartRateInBeatsPerMinute", "workout", "/min", "heart_rate_mean_bpm", zero=False),
    FieldRow("maxHeartRateInBeatsPerMinute", "workout", "/min", "heart_rate_high_bpm", zero=False),
    FieldRow("averageRunCadenceInStepsPerMinute", "workout", "/min", "cadence_steps_per_minute", zero=False),
    FieldRow("averageBikeCadenceInRoundsPerMinute", "workout", "/min", "cadence_revolutions_per_minute", zero=False),
    FieldRow("averageSpeedInMetersPerSecond", "workout", "m/s", "speed_mean_m_s", zero=False),
    FieldRow("maxSpeedInMetersPerSecond", "workout", "m/s", "speed_high_m_s", zero=False),
    FieldRow("totalElevationGainInMeters", "workout", "m", "elevation_gain_m", zero=False),
    FieldRow("totalElevationLossInMeters", "workout", "m", "elevation_loss_m", zero=False),
)
_HEART: Final = FieldRow("heartRate", "heart_rate", "/min", zero=False)
_SAMPLES: Final = (
    _HEART,
    FieldRow("speedMetersPerSecond", "speed", "m/s"),
    FieldRow("powerInWatts", "power", "W"),
    FieldRow("stepsPerMinute", "cadence_steps", "/min"),
    FieldRow("bikeCadenceInRPM", "cadence_revolutions", "/min"),
)


def _start(record: Record, field: str = "startTimeInSeconds", offset: str = "startTimeOffsetInSeconds") -> Moment:
    at = of_epoch(number(record, field), field)
    seconds = number_or_none(record, offset)
    return at if seconds is None else Moment(at.us, int(seconds))


def _said(name: str, record: Record, **more: Any) -> dict[str, Any]:
    local = text_or_none(record, "calendarDate")
    source = {"record_id": name} | ({"local_date": local} if local else {}) | more
    return {"record": name, "source": source}


def _offsets(
    reading: AnswerReading, record: Record, rules: Iterable[FieldRow], start: Moment, /, **said: Any
) -> Iterator[Written]:
    """Samples by the seconds after the start of a summary."""
    for rule in rules:
        with inside(rule.field):
            samples = []
            for key, found in inner(record, rule.field).items():
                if not (key.isdecimal() and len(key) < 8):  # 115 days
                    raise RefusedError(Reason.BAD_TIME, key[:20], f"{printable(key)} is no number of seconds")
                samples.append((int(key), found))
        yield from reading.series(rule, samples, start, **said)


def _daily(reading: AnswerReading, record: Record) -> Iterator[Written]:
    name, start = name_of(record, "summaryId"), _start(record)
    end = start.later(number(record, "durationInSeconds"))
    said = _said(name, record)
    yield from reading.each(record, _DAY, start, end, **said)
    yield from _offsets(reading, record, (_DAY_RATE,), start, **said)


def _epoch(reading: AnswerReading, record: Record) -> Iterator[Written]:
    """A quarter of an hour, one kind of activity each; one that still runs comes again, longer."""
    name, start = name_of(record, "summaryId"), _start(record)
    said = _said(name, record)
    yield from reading.each(record, _EPOCH, start, start.later(number(record, "durationInSeconds")), **said)
    yield from reading.each(record, (_EPOCH_MET,), start, **said)


def _rank(record: Record) -> int:
    word = str(record.get("validation", "")).upper()
    return next((rank for part, rank in _RANKS if part in word), 1)


def _sleep(reading: AnswerReading, record: Record) -> Iterator[Written]:
    name, start = name_of(record, "summaryId"), _start(record)
    rank = _rank(record)
    known = reading.memory.get(f"sleep {name}")
    if known is not None and known[0] > rank:
        raise RefusedError(Reason.NOT_ALLOWED, "validation", "the night is known by a better validation")
    reading.memory.put(f"sleep {name}", rank)
    value = figures(record, _NIGHT)
    stages = sorted(_stages(record), key=lambda each: (each["start_time"], each["end_time"]))
    if stages:
        value["stages"] = stages
    # Their duration leaves out the time awake.
    parts = ("durationInSeconds", "awakeDurationInSeconds", "unmeasurableSleepInSeconds")
    end = start.later(sum(number_or_none(record, each) or 0 for each in parts))
    last = max((each["end_time"] for each in stages), default="")
    if last > end.text:
        end = Moment(max(_ends(record)), start.offset_s)
    score = number_at(record, "overallSleepScore.value")
    if score:
        value["scores"] = [{"provider": "garmin", "name": "sleep_score", "points": score}]
    said = _said(name, record)
    validation = text_or_none(record, "validation")
    about = {**said, "source": said["source"] | ({"validation": validation[:64]} if validation else {})}
    if number_or_none(record, "durationInSeconds") or stages:
        yield reading.event("sleep", value, start, end, **about)
    yield from _offsets(reading, record, _NIGHT_SERIES, start, **said)
    for place, each in enumerate(items(record, "naps")):
        with inside(f"naps[{place}]"):
            yield _nap(reading, as_record(each), **said)


def _ends(record: Record) -> Iterator[int]:
    for spans in inner(record, "sleepLevelsMap").values():
        for each in spans if isinstance(spans, list) else ():
            yield of_epoch(number(as_record(each), "endTimeInSeconds")).us


def _stages(record: Record) -> Iterator[dict[str, Any]]:
    for level, spans in inner(record, "sleepLevelsMap").items():
        word = word_of(level, _LEVELS, "unknown")
        for place, each in enumerate(items({level: spans}, level)):
            with inside(f"sleepLevelsMap.{printable(level)}[{place}]"):
                span = as_record(each)
                begun = of_epoch(number(span, "startTimeInSeconds"), "startTimeInSeconds")
                ended = of_epoch(number(span, "endTimeInSeconds"), "endTimeInSeconds")
                if ended.us > begun.us:
                    yield {"stage": word, "start_time": begun.text, "end_time": ended.text}


def _nap(reading: AnswerReading, nap: Record, **said: Any) -> Written:
    begun = _start(nap, "napStartTimeInSeconds", "napOffsetInSeconds")
    seconds = number(nap, "napDurationInSeconds")
    value = {"nap": True, "total_asleep_s": seconds}
    return reading.event("sleep", value, begun, begun.later(seconds), **said, part=f"nap {begun.text}")


def _measured(record: Record) -> Moment:
    return _start(record, "measurementTimeInSeconds", "measurementTimeOffsetInSeconds")


def _body_comp(reading: AnswerReading, record: Record) -> Iterator[Written]:
    name = name_of(record, "summaryId")
    yield from reading.each(record, _BODY, _measured(record), **_said(name, record))


def _pressure(reading: AnswerReading, record: Record) -> Iterator[Written]:
    name, value = name_of(record, "summaryId"), figures(record, _PRESSURE)
    for half in ("systolic", "diastolic"):
        if half not in value:
            raise RefusedError(Reason.MISSING_FIELD, half, f"{half} is missing")
    manual = {"recording": "manual"} if record.get("sourceType") == "MANUAL" else {}
    yield reading.event("blood_pressure", value, _measured(record), **_said(name, record, **manual))


def _night_of(rules: tuple[FieldRow, ...], series: tuple[FieldRow, ...]) -> Any:
    """What is said of one night: a number, and samples in it."""

    def make(reading: AnswerReading, record: Record) -> Iterator[Written]:
        name, start = name_of(record, "summaryId"), _start(record)
        said = _said(name, record)
        if rules:
            end = start.later(number(record, "durationInSeconds"))
            yield from reading.each(record, rules, start, end, **said)
        yield from _offsets(reading, record, series, start, **said)

    return make


def _oxygen(reading: AnswerReading, record: Record) -> Iterator[Written]:
    name, start = name_of(record, "summaryId"), _start(record)
    asked = {"recording": "active"} if record.get("onDemand") is True else {}
    yield from _offsets(reading, record, _OXYGEN, start, **_said(name, record, **asked))


def _snapshot(reading: AnswerReading, record: Record) -> Iterator[Written]:
    name, start = name_of(record, "summaryId"), _start(record)
    end = start.later(number(record, "durationInSeconds"))
    for place, each in enumerate(items(record, "summaries")):
        with inside(f"summaries[{place}]"):
            summary = as_record(each)
            rule = _SNAPSHOT.get(str(summary.get("summaryType")))
            value = {} if rule is None else figures(summary, (rule,))
            if rule is not None and value:
                part = summary["summaryType"]
                yield reading.event(rule.type, value, start, end, **_said(name, record), part=part)


def _metrics(reading: AnswerReading, record: Record) -> Iterator[Written]:
    name = name_of(record, "summaryId")
    day = reading.civil(record.get("calendarDate"), "calendarDate")
    yield from reading.each(record, _METRICS, day, record=name, source={"record_id": name})


def _activity(reading: AnswerReading, record: Record) -> Iterator[Written]:
    yield _workout(reading, name_of(record, "activityId"), record, ())


def _workout(reading: AnswerReading, name: str, record: Record, laps: Iterable[Mapping[str, Any]]) -> Written:
    """A workout. Its duration leaves pauses out: where the details were seen, the clock says when it ended."""
    start = _start(record)
    timed = number(record, "durationInSeconds")
    known = reading.memory.get(f"activity {name}")
    end = start.later(max(timed, known[0] if known else 0))
    value: dict[str, Any] = activity(record.get("activityType")) | figures(record, _ACTIVITY)
    if end.us - start.us > timed * 1_000_000:
        value["active_s"] = timed
    if laps := [each for each in laps if start.text <= each["start_time"] <= each["end_time"] <= end.text]:
        value["laps"] = laps
    model = text_or_none(record, "deviceName") or ""
    source = {"record_id": name} | ({"recording": "manual"} if record.get("manual") is True else {})
    return reading.event(
        "workout",
        value,
        start,
        end,
        record=f"activity {name}",
        source=source,
        model="" if model.lower() == "unknown" else model,
    )


def _details(reading: AnswerReading, record: Record) -> Iterator[Written]:
    """A workout with its samples and laps; where they were is a location, and not taken."""
    name, summary = name_of(record, "activityId"), inner(record, "summary")
    with inside("summary"):
        start = _start(summary)
        timed = number(summary, "durationInSeconds")
    samples = []
    for place, each in enumerate(items(record, "samples")):
        with inside(f"samples[{place}]"):
            sample = as_record(each)
            at = number(sample, "startTimeInSeconds") - start.us / 1_000_000
            samples.append((at, sample))
    clock = max((number_at(sample, "clockDurationInSeconds") or 0 for _, sample in samples), default=0)
    reading.memory.put(f"activity {name}", int(max(clock, timed)))
    begun = [of_epoch(number(as_record(each), "startTimeInSeconds")).text for each in items(record, "laps")]
    end = start.later(max(clock, timed)).text
    laps = [{"start_time": at, "end_time": until} for at, until in pairwise([*begun, end]) if at < until]
    yield _workout(reading, name, summary, laps)
    said = {"record": f"activity {name}", "source": {"record_id": name}}
    for rule in _SAMPLES:
        with inside("samples"):
            found = [(at, number_at(sample, rule.field)) for at, sample in samples if at >= 0]
        yield from reading.series(rule, found, start, **said)


def _period(reading: AnswerReading, record: Record) -> Iterator[Written]:
    name = name_of(record, "summaryId")
    days = number_at(record, "periodLength")
    if not days or record.get("isPredictedCycle") is True:
        return
    begun = reading.civil(record.get("periodStartDate"), "periodStartDate")
    changed = number_at(record, "lastUpdatedTimeInSeconds")
    version: Any = "latest" if changed is None else int(changed)
    day = Day(begun.date, begun.start, begun.start.later(days * 86_400))
    said = {"record": name, "version": version, "source": {"record_id": name}}
    yield reading.event("menstruation", {"flow": "unspecified"}, day, day.end, **said)


_KINDS: Final = (
    AnswerKind("dailies", _daily, (*_DAY, _DAY_RATE)),
    AnswerKind("epochs", _epoch, (*_EPOCH, _EPOCH_MET)),
    AnswerKind("sleeps", _sleep, (*_NIGHT, *_NIGHT_SERIES), (FormatEntry("sleeps: naps", "sleep"),), (), ("sleep",)),
    AnswerKind("bodyComps", _body_comp, _BODY, aliases=("bodyComposition", "body_comps", "body_comp")),
    AnswerKind("bloodPressures", _pressure, _PRESSURE, aliases=("blood_pressures", "blood_pressure")),
    AnswerKind("hrv", _night_of(_HRV, _HRV_SERIES), (*_HRV, *_HRV_SERIES)),
    AnswerKind("stressDetails", _night_of((), _STRESS_SERIES), _STRESS_SERIES, aliases=("stress", "stress_details")),
    AnswerKind("allDayRespiration", _night_of((), _BREATHS), _BREATHS, aliases=("respiration", "all_day_respiration")),
    AnswerKind("pulseox", _oxygen, _OXYGEN, aliases=("pulse_ox",)),
    AnswerKind("skinTemp", _night_of(_SKIN, ()), _SKIN, aliases=("skin_temp",)),
    AnswerKind("healthSnapshot", _snapshot, tuple(_SNAPSHOT.values()), aliases=("health_snapshot",)),
    AnswerKind("userMetrics", _metrics, _METRICS, aliases=("user_metrics",)),
    AnswerKind(
        "activities", _activity, _ACTIVITY, (FormatEntry("activities: activityType", "workout"),),
        aliases=("manuallyUpdatedActivities", "activity"),
    ),
    AnswerKind("activityDetails", _details, _SAMPLES, aliases=("activity_details",)),
    AnswerKind("mct", _period, (), (FormatEntry("mct: periodStartDate", "menstruation"),), aliases=("menstrual",)),
    # What it finds by itself is in the day and its epochs already; the others say who may, and no health.
    AnswerKind("moveIQActivities", nothing, aliases=("move_iq",)),
    AnswerKind("deregistrations", nothing),
    AnswerKind("userPermissionsChange", nothing),
    AnswerKind(
        FILES, nothing, (),
        (FormatEntry("activityFiles: session", "workout"), FormatEntry("activityFiles: records", "heart_rate")),
    ),
)  # fmt: skip


class GarminMapping(ProviderMapping):
    """Garmin's pushes and the lists that a ping leads to (``formats.port.Format``).

    The slot that is declared is the user id at Garmin whose summaries are meant; without one it is the first of a push.
    """

    def __init__(self) -> None:
        super().__init__("garmin", "Garmin", _KINDS)

    def knows(self, kind: str) -> bool:
        """Also a push, whose keys say what its lists are."""
        return kind in {"push", "ping"} or super().knows(kind)

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """One push, or one list (``formats.port.Format``)."""
        said, _, name = message.topic.strip("/").partition("/")
        memory, records = LinkMemory(state), Records()
        reading = AnswerReading(Scribe(self.name, message, self.name), memory)
        if said == FILES and message.payload.lstrip()[:1] not in {b"[", b"{"}:
            yield from file_items(reading, name, _HEART)
            return memory.state
        document = read_document(message.payload)
        if isinstance(document, list):
            kind = self.kind(said)
            if kind is None:
                raise RefusedError(Reason.UNKNOWN_TYPE, None, "which summaries a list is of has to be said")
            document = {kind.name: document}
        if not isinstance(document, dict):
            raise RefusedError(Reason.MALFORMED, None, "neither a push nor a list of summaries")
        account = message.declared.slot or _first_user(document)
        for key, several in document.items():
            kind = self.kind(key)
            if kind is None or not isinstance(several, list):
                if several:
                    why = RefusedError(Reason.UNKNOWN_TYPE, None, f"{printable(key)} are no summaries that are known")
                    yield records.refuse(printable(key), None, why)
                continue
            for place, each in enumerate(several):
                make: Callable[[Record], Iterable[Written]] = partial(_of_account, kind.make, reading, account)
                yield from records.read(f"{key}[{place}]", each, make)
        return memory.state


def _first_user(document: Record) -> str | None:
    for several in document.values():
        for each in several if isinstance(several, list) else ():
            if isinstance(each, dict) and (user := text_or_none(each, "userId")):
                return user
    return None


def _of_account(make: Any, reading: AnswerReading, account: str | None, record: Record) -> Iterable[Written]:
    user = text_or_none(record, "userId")
    if user is not None and account is not None and user != account:
        raise RefusedError(Reason.IDENTITY_MISMATCH, "userId", "the summary is of another user")
    found: Iterable[Written] = make(reading, record)
    return found


MAPPING: Final = GarminMapping()


_PATHS: Final = {"pulseox": "pulseOx", "allDayRespiration": "respiration"}
"""Summaries that are called otherwise where their history is asked for."""


def _backfill(kind: str) -> Callable[[Asked], Question]:
    """What is asked for comes as pushes, minutes or hours later."""

    def question(asked: Asked) -> Question:
        window = {"summaryStartTimeInSeconds": str(asked.start), "summaryEndTimeInSeconds": str(asked.end)}
        return f"/wellness-api/rest/backfill/{kind}", window, None

    return question


def _judged(answer: CloudAnswer, document: Any) -> Failed | None:
    """202 says that it comes, 409 that it was asked for before: both are all that there is to know."""
    return None if answer.status in {202, 409} else judged(answer, document)


CLOUD: Final = Cloud(
    base_url="https://apis.garmin.com",
    auth_url="https://connect.garmin.com/oauth2Confirm",
    token_url="https://diauth.garmin.com/di-oauth2-service/oauth/token",  # noqa: S106  # an address
    endpoints=tuple(
        CloudEndpoint(kind=kind, question=_backfill(_PATHS.get(kind, kind)), requested=True)
        for kind in (
            "dailies", "epochs", "sleeps", "bodyComps", "stressDetails", "userMetrics", "pulseox", "allDayRespiration",
            "healthSnapshot", "hrv", "bloodPressures", "skinTemp", "mct", "activities", "activityDetails",
        )
    ),
    judge=_judged,
    account=("/wellness-api/rest/user/id", "userId"),
    notices=NOTICES,
    leave=by_bearer("DELETE", "/wellness-api/rest/user/registration"),
)  # fmt: skip


def register() -> Adapter:
    """The adapter."""
    return Adapter(
        capability=Capability(
            name="garmin",
            title="Garmin",
            auth=AuthMethod.oauth2_pkce,
            delivery=frozenset({DeliveryWay.push, DeliveryWay.notify}),
            budgets=(AskingBudget(100, 60),),
            history_days=30,
            again_days=0,
            scopes=(),
            about="Garmin sends what it has by itself: needs the approval of Garmin and an address that it reaches",
        ),
        mapping=MAPPING,
        cloud=CLOUD,
    )
