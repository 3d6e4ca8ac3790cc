"""Oura's collections as events. Its records have ids and no time of change: the newest answer holds.

Of the two codings of a night's stages it is ``sleep_phase_5_min``: the totals beside them follow that one. A heart rate
of a night stands with its night; ``heartrate`` brings it again, and what lies in a night that is known is left out.
"""

from collections.abc import Callable, Iterator
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
from healthsync_mqtt.adapters.hooks.oura import NOTICES
from healthsync_mqtt.adapters.mapping.activities import activity
from healthsync_mqtt.adapters.mapping.answers import (
    AnswerKind,
    AnswerReading,
    ProviderMapping,
    Written,
    name_of,
    no_type,
    nothing,
    runs,
)
from healthsync_mqtt.adapters.mapping.rules import FieldRow, figures, number_at, word_of
from healthsync_mqtt.adapters.port import Adapter
from healthsync_mqtt.adapters.revocation_endpoints import by_query
from healthsync_mqtt.adapters.web import CloudAnswer
from healthsync_mqtt.formats.port import FormatEntry
from healthsync_mqtt.formats.reading.document import Record, inner, items, number, text_or_none
from healthsync_mqtt.formats.reading.moment import Day, Moment, day_around, moment_in
from healthsync_mqtt.model.reasons import Reason, RefusedError

_LISTS: Final = ("data",)
_STAGES: Final = {"1": "deep", "2": "light", "3": "rem", "4": "awake"}
_STAGE_S: Final = 300
_ACTIVITY_DAY_S: Final = 86_400
_NIGHTS: Final = "night "

_NIGHT: Final = (
    FieldRow("total_sleep_duration", "sleep", "s", "total_asleep_s"),
    FieldRow("time_in_bed", "sleep", "s", "in_bed_s"),
    FieldRow("awake_time", "sleep", "s", "awake_s"),
    FieldRow("light_sleep_duration", "sleep", "s", "light_s"),
    FieldRow("deep_sleep_duration", "sleep", "s", "deep_s"),
    FieldRow("rem_sleep_duration", "sleep", "s", "rem_s"),
    FieldRow("latency", "sleep", "s", "latency_s"),
    FieldRow("efficiency", "sleep", "%", "efficiency_percent"),
    FieldRow("average_heart_rate", "sleep", "/min", "heart_rate_mean_bpm", zero=False),
    FieldRow("lowest_heart_rate", "sleep", "/min", "heart_rate_low_bpm", zero=False, about="no resting heart rate"),
    FieldRow("average_hrv", "sleep", "ms", "hrv_rmssd_ms", zero=False),
    FieldRow("average_breath", "sleep", "/min", "respiratory_rate", zero=False),
)
_OF_A_NIGHT: Final = (
    FieldRow("average_breath", "respiratory_rate", "/min", zero=False, about="mean of the night"),
    FieldRow("average_hrv", "hrv_rmssd", "ms", zero=False, about="mean of the night"),
)
_NIGHT_RATE: Final = FieldRow("heart_rate", "heart_rate", "/min", zero=False, about="each five minutes")
_NIGHT_HRV: Final = FieldRow("hrv", "hrv_rmssd", "ms", zero=False, about="each five minutes")
_RATE: Final = FieldRow("bpm", "heart_rate", "/min", zero=False)
_SLEEP_SCORE: Final = (FieldRow("score", "sleep_score", zero=False),)
_READINESS: Final = (
    FieldRow("score", "readiness", zero=False),
    FieldRow("temperature_deviation", "skin_temperature_delta", "Cel"),
)
_ACTIVITY: Final = (
    FieldRow("steps", "daily_steps", "{steps}"),
    FieldRow("active_calories", "daily_energy_active", "kcal"),
    FieldRow("total_calories", "daily_energy_total", "kcal"),
    FieldRow("low_activity_time", "active_minutes_light", "s"),
    FieldRow("medium_activity_time", "active_minutes_moderate", "s"),
    FieldRow("high_activity_time", "active_minutes_vigorous", "s"),
    FieldRow("sedentary_time", "sedentary_time", "s"),
    FieldRow("score", "activity_score", zero=False),
)
_MET: Final = FieldRow("met", "met", "{MET}", about="each minute")
_SPO2: Final = (
    FieldRow("spo2_percentage.average", "daily_spo2", "%", zero=False),
    FieldRow("breathing_disturbance_index", "breathing_disturbances", "/h"),
)
_VESSELS: Final = (
    FieldRow("vascular_age", "vascular_age", "a", zero=False),
    FieldRow("pulse_wave_velocity", "pulse_wave_velocity", "m/s", zero=False),
)
_VO2: Final = (FieldRow("vo2_max", "vo2_max", zero=False),)
_WORKOUT: Final = (
    FieldRow("distance", "workout", "m", "distance_m", zero=False),
    FieldRow("calories", "workout", "kcal", "energy_kcal", zero=False),
)
_SESSIONS: Final = {
    "breathing": "breathing", "meditation": "meditation", "relaxation": "unguided", "body_status": "unguided",
}  # fmt: skip
_SESSION_RATE: Final = FieldRow("heart_rate", "heart_rate", "/min", zero=False, about="while it lasts")
_SESSION_HRV: Final = FieldRow("heart_rate_variability", "hrv_rmssd", "ms", zero=False, about="while it lasts")


def _sleep(reading: AnswerReading, record: Record) -> Iterator[Written]:
    """A night or a nap. One that the user deleted, or that was none, is taken back with all that came of it."""
    name = name_of(record, "id")
    of = f"sleep {name}"
    sort = text_or_none(record, "type")
    start, end = moment_in(record, "bedtime_start"), moment_in(record, "bedtime_end")
    yield reading.record_gone(of)
    if sort == "deleted":
        yield reading.gone("sleep", start, record=of)
        return
    if sort == "rest":
        return
    reading.memory.put(f"{_NIGHTS}{name}", start.us, end.us)
    value = figures(record, _NIGHT)
    if sort in {"sleep", "late_nap"}:
        value["nap"] = True
    if stages := runs(_words(record), start, _STAGE_S, end):
        value["stages"] = stages
    local = {"local_date": day} if (day := text_or_none(record, "day")) else {}
    about = {"record_id": name}
    yield reading.event("sleep", value, start, end, record=of, source=about | local)
    yield from reading.each(record, _OF_A_NIGHT, start, end, record=of, source=about)
    for rule in (_NIGHT_RATE, _NIGHT_HRV):
        yield from _sampled(reading, record, rule, of, about)


def _words(record: Record) -> list[str]:
    phases = record.get("sleep_phase_5_min")
    if phases is None:
        return []
    if not isinstance(phases, str):
        raise RefusedError(Reason.WRONG_TYPE, "sleep_phase_5_min", "sleep_phase_5_min must be text")
    return [_STAGES.get(each, "unknown") for each in phases[:600]]


def _sampled(
    reading: AnswerReading, record: Record, rule: FieldRow, of: str, about: dict[str, Any]
) -> Iterator[Written]:
    """Samples at an interval; one that is null keeps its place."""
    sampled = inner(record, rule.field)
    if not sampled:
        return
    start, step = moment_in(sampled, "timestamp"), number(sampled, "interval")
    samples = ((place * step, each) for place, each in enumerate(items(sampled, "items")))
    yield from reading.series(rule, samples, start, record=of, source=about)


def _of_a_day(*rules: FieldRow) -> Any:
    def make(reading: AnswerReading, record: Record) -> Iterator[Written]:
        name = name_of(record, "id")
        yield from reading.each(record, rules, _day(reading, record), record=name, source={"record_id": name})

    return make


def _day(reading: AnswerReading, record: Record) -> Day:
    """The day, by the clock that its time stamp tells; of a date alone where there is none."""
    if text_or_none(record, "timestamp") is None:
        return reading.civil(record.get("day"), "day")
    at = moment_in(record, "timestamp")
    if at.offset_s is None:
        return reading.civil(record.get("day"), "day")
    # The day of a clock change has 25 hours or 23, which an offset alone does not say.
    return day_around(at, reading.zone)._replace(date=text_or_none(record, "day") or day_around(at, None).date)


def _activity_day(reading: AnswerReading, record: Record) -> Iterator[Written]:
    """A day as Oura counts it: from four in the morning."""
    name = name_of(record, "id")
    start = moment_in(record, "timestamp")
    day = Day(text_or_none(record, "day") or start.text[:10], start, start.later(_ACTIVITY_DAY_S))
    about = {"record_id": name}
    yield from reading.each(record, _ACTIVITY, day, day.end, record=name, source=about)
    yield from _sampled(reading, record, _MET, name, about)


def _heart_rate(reading: AnswerReading, record: Record) -> Iterator[Written]:
    at = moment_in(record, "timestamp")
    context = text_or_none(record, "source")
    if context == "sleep" and _in_a_night(reading, at):
        return
    value = figures(record, (_RATE,))
    if value:
        yield reading.event("heart_rate", value, at, source={"context": context} if context else None)


def _in_a_night(reading: AnswerReading, at: Moment) -> bool:
    return any(start <= at.us < end for start, end in reading.memory.pairs(_NIGHTS))


def _vo2(reading: AnswerReading, record: Record) -> Iterator[Written]:
    name = name_of(record, "id")
    at = moment_in(record, "timestamp")
    yield from reading.each(record, _VO2, at, record=name, source={"record_id": name})


def _workout(reading: AnswerReading, record: Record) -> Iterator[Written]:
    name = name_of(record, "id")
    value: dict[str, Any] = activity(record.get("activity")) | figures(record, _WORKOUT)
    source = {"record_id": name}
    if record.get("source") == "manual":
        source["recording"] = "manual"
    start, end = moment_in(record, "start_datetime"), moment_in(record, "end_datetime")
    yield reading.event("workout", value, start, end, record=f"workout {name}", source=source)


def _session(reading: AnswerReading, record: Record) -> Iterator[Written]:
    """A session of breathing or meditation; its mood is asked for by name, and not taken here."""
    name = name_of(record, "id")
    start, end = moment_in(record, "start_datetime"), moment_in(record, "end_datetime")
    sort = text_or_none(record, "type")
    if sort in {"rest", "nap"}:
        raise RefusedError(Reason.UNKNOWN_TYPE, "type", f"there is no type here for a {sort}")
    of, about = f"session {name}", {"record_id": name}
    yield reading.record_gone(of)
    value = {"activity": word_of(sort, _SESSIONS, "unknown")}
    yield reading.event("mindfulness", value, start, end, record=of, source=about)
    for rule in (_SESSION_RATE, _SESSION_HRV):
        yield from _sampled(reading, record, rule, of, about)


def _stress(_reading: AnswerReading, record: Record) -> tuple[Written, ...]:
    if number_at(record, "stress_high") is None and number_at(record, "recovery_high") is None:
        return ()
    raise RefusedError(Reason.UNKNOWN_TYPE, "stress_high", "seconds of a day in a zone of stress have no type here")


MAPPING: Final = ProviderMapping(
    "oura",
    "Oura",
    (
        AnswerKind("sleep", _sleep, (*_NIGHT, *_OF_A_NIGHT, _NIGHT_RATE, _NIGHT_HRV), lists=_LISTS),
        AnswerKind("daily_sleep", _of_a_day(*_SLEEP_SCORE), _SLEEP_SCORE, lists=_LISTS),
        AnswerKind("daily_readiness", _of_a_day(*_READINESS), _READINESS, lists=_LISTS),
        AnswerKind("daily_activity", _activity_day, (*_ACTIVITY, _MET), lists=_LISTS),
        AnswerKind("heartrate", _heart_rate, (_RATE,), lists=_LISTS, aliases=("heart_rate",)),
        AnswerKind("daily_spo2", _of_a_day(*_SPO2), _SPO2, lists=_LISTS),
        AnswerKind("daily_stress", _stress, lists=_LISTS),
        AnswerKind("daily_cardiovascular_age", _of_a_day(*_VESSELS), _VESSELS, lists=_LISTS),
        AnswerKind("vo2_max", _vo2, _VO2, lists=_LISTS, aliases=("vO2_max",)),
        AnswerKind("workout", _workout, _WORKOUT, (FormatEntry("workout: activity", "workout"),), lists=_LISTS),
        AnswerKind(
            "session",
            _session,
            (_SESSION_RATE, _SESSION_HRV),
            (FormatEntry("session: type", "mindfulness"),),
            lists=_LISTS,
        ),
        AnswerKind("enhanced_tag", no_type("a tag"), lists=_LISTS),
        AnswerKind("daily_resilience", no_type("resilience"), lists=_LISTS),
        AnswerKind("personal_info", nothing),
        AnswerKind("ring_configuration", nothing, lists=_LISTS),
    ),
)


def _days(collection: str) -> Callable[[Asked], Question]:
    def question(asked: Asked) -> Question:
        query = {"start_date": utc_date(asked.start), "end_date": utc_date(asked.end)}
        return f"/v2/usercollection/{collection}", query | ({"next_token": asked.page} if asked.page else {}), None

    return question


def _rates(asked: Asked) -> Question:
    query = {"start_datetime": utc_time(asked.start), "end_datetime": utc_time(asked.end)}
    return "/v2/usercollection/heartrate", query | ({"next_token": asked.page} if asked.page else {}), None


def _judged(answer: CloudAnswer, document: Any) -> Failed | None:
    """403 is no missing scope here: the user's membership has ended."""
    failed = judged(answer, document)
    if failed is not None and failed.fault is CloudFault.not_granted:
        return Failed(CloudFault.user, 86_400.0, "the Oura membership has ended")
    return failed


CLOUD: Final = Cloud(
    base_url="https://api.ouraring.com",
    auth_url="https://cloud.ouraring.com/oauth/authorize",
    token_url="https://api.ouraring.com/oauth/token",  # noqa: S106  # an address
    endpoints=(
        *(
            CloudEndpoint(kind=kind, question=_days(collection), following=token_at("next_token"))
            for kind, collection in (
                ("sleep", "sleep"),
                ("daily_sleep", "daily_sleep"),
                ("daily_readiness", "daily_readiness"),
                ("daily_activity", "daily_activity"),
                ("daily_spo2", "daily_spo2"),
                ("daily_cardiovascular_age", "daily_cardiovascular_age"),
                ("vo2_max", "vO2_max"),
                ("workout", "workout"),
                ("session", "session"),
            )
        ),
        CloudEndpoint(kind="heartrate", question=_rates, following=token_at("next_token"), slice_s=7 * 86_400),
    ),
    # A refresh token that was used is refused as an invalid request.
    tokens=TokenManners(dead=frozenset({"invalid_grant", "invalid_request", "invalid_token"})),
    judge=_judged,
    account=("/v2/usercollection/personal_info", "id"),
    notices=NOTICES,
    leave=by_query("/oauth/revoke"),
)


def register() -> Adapter:
    """The adapter."""
    return Adapter(
        capability=Capability(
            name="oura",
            title="Oura",
            auth=AuthMethod.oauth2,
            delivery=frozenset({DeliveryWay.poll, DeliveryWay.notify}),
            budgets=(AskingBudget(5_000, 300),),
            history_days=365,
            again_days=3,
            scopes=("email", "personal", "daily", "heartrate", "workout", "session", "spo2", "heart_health"),
            about="an app may have 10 users until Oura approves it",
        ),
        mapping=MAPPING,
        cloud=CLOUD,
    )
