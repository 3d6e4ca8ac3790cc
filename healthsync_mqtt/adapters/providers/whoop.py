"""WHOOP's records as events: each has an id and a time of change, and a score only when WHOOP has made it.

A recovery has neither a time nor an offset: it is told at the end of its sleep, or, where that is not known, when it
was made. Energy is in kilojoules, and of everything (the basal part is in it).
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from healthsync_mqtt.adapters.capability import AskingBudget, AuthMethod, Capability, DeliveryWay
from healthsync_mqtt.adapters.cloud import Asked, Cloud, CloudEndpoint, Question, TokenManners, token_at, utc_time
from healthsync_mqtt.adapters.hooks.whoop import NOTICES
from healthsync_mqtt.adapters.mapping.activities import activity
from healthsync_mqtt.adapters.mapping.answers import (
    AnswerKind,
    AnswerReading,
    ProviderMapping,
    Written,
    name_of,
    nothing,
)
from healthsync_mqtt.adapters.mapping.rules import FieldRow, figures, number_at
from healthsync_mqtt.adapters.port import Adapter
from healthsync_mqtt.adapters.revocation_endpoints import by_bearer
from healthsync_mqtt.formats.port import FormatEntry
from healthsync_mqtt.formats.reading.document import Record, inner, text_or_none
from healthsync_mqtt.formats.reading.moment import Moment, moment_in
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.times import iso

_LISTS: Final = ("records",)
_OFFSET: Final = re.compile(r"([+-])(\d\d):?(\d\d)")
_SCORED: Final = "SCORED"
_HALF_A_DAY_US: Final = 43_200_000_000

_SLEEP: Final = (
    FieldRow("score.stage_summary.total_in_bed_time_milli", "sleep", "ms", "in_bed_s"),
    FieldRow("score.stage_summary.total_awake_time_milli", "sleep", "ms", "awake_s"),
    FieldRow("score.stage_summary.total_light_sleep_time_milli", "sleep", "ms", "light_s"),
    FieldRow("score.stage_summary.total_slow_wave_sleep_time_milli", "sleep", "ms", "deep_s"),
    FieldRow("score.stage_summary.total_rem_sleep_time_milli", "sleep", "ms", "rem_s"),
    FieldRow("score.stage_summary.disturbance_count", "sleep", "1", "awakenings", about="disturbances"),
    FieldRow("score.sleep_efficiency_percentage", "sleep", "%", "efficiency_percent", zero=False),
    FieldRow("score.respiratory_rate", "sleep", "/min", "respiratory_rate", zero=False),
)
_OF_A_SLEEP: Final = (
    FieldRow("score.respiratory_rate", "respiratory_rate", "/min", zero=False, about="mean of a sleep"),
)
_ASLEEP: Final = ("light_s", "deep_s", "rem_s")
_RECOVERY: Final = (
    FieldRow("score.resting_heart_rate", "resting_heart_rate", "/min", zero=False),
    FieldRow("score.hrv_rmssd_milli", "daily_hrv_rmssd", "ms", zero=False),
    FieldRow("score.spo2_percentage", "daily_spo2", "%", zero=False),
    FieldRow("score.skin_temp_celsius", "skin_temperature", "Cel", zero=False),
)
_RECOVERY_SCORE: Final = FieldRow("score.recovery_score", "recovery", about="not while WHOOP still calibrates")
_CYCLE: Final = (
    FieldRow("score.kilojoule", "energy_total", "kJ"),
    FieldRow("score.strain", "strain"),
)
_WORKOUT: Final = (
    FieldRow("score.distance_meter", "workout", "m", "distance_m", zero=False),
    FieldRow("score.kilojoule", "workout", "kJ", "energy_total_kcal", zero=False),
    FieldRow("score.average_heart_rate", "workout", "/min", "heart_rate_mean_bpm", zero=False),
    FieldRow("score.max_heart_rate", "workout", "/min", "heart_rate_high_bpm", zero=False),
    FieldRow("score.altitude_gain_meter", "workout", "m", "elevation_gain_m", zero=False),
)
_ZONES: Final = ("zero", "one", "two", "three", "four", "five")


def _offset(record: Record) -> int | None:
    said = text_or_none(record, "timezone_offset")
    if said is None:
        return None
    if said in {"Z", "z"}:
        return 0
    found = _OFFSET.fullmatch(said)
    if found is None:
        raise RefusedError(Reason.BAD_TIME, "timezone_offset", "timezone_offset is no offset")
    seconds = int(found[2]) * 3_600 + int(found[3]) * 60
    return -seconds if found[1] == "-" else seconds


def _at(record: Record, field: str) -> Moment:
    return Moment(moment_in(record, field).us, _offset(record))


def _changed(record: Record) -> Any:
    return moment_in(record, "updated_at").us if text_or_none(record, "updated_at") else "latest"


def _scored(record: Record) -> None:
    """Raises RefusedError for a record without a score: it comes again, or never."""
    state = record.get("score_state")
    if state != _SCORED or not inner(record, "score"):
        why = "cannot be scored" if state == "UNSCORABLE" else "has no score yet"
        raise RefusedError(Reason.MISSING_FIELD, "score", f"the record {why}")


def _sleep(reading: AnswerReading, record: Record) -> Iterator[Written]:
    name = name_of(record, "id")
    start, end = _at(record, "start"), _at(record, "end")
    _scored(record)
    known = reading.memory.get(f"sleep {name}")
    if known is None or known[0] != end.us:
        reading.memory.put(f"sleep {name}", end.us, end.offset_s or 0, int(end.offset_s is not None))
    value = figures(record, _SLEEP)
    asleep = [value[each] for each in _ASLEEP if each in value]
    if asleep:
        value["total_asleep_s"] = sum(asleep)
    if record.get("nap") is True:
        value["nap"] = True
    performed = number_at(record, "score.sleep_performance_percentage")
    if performed is not None:
        value["scores"] = [{"provider": "whoop", "name": "sleep_performance", "points": performed}]
    said = {"record": f"sleep {name}", "version": _changed(record), "source": {"record_id": name}}
    yield reading.event("sleep", value, start, end, **said)
    yield from reading.each(record, _OF_A_SLEEP, start, end, **said)


def _recovery(reading: AnswerReading, record: Record) -> Iterator[Written]:
    name = name_of(record, "sleep_id")
    _scored(record)
    known = reading.memory.get(f"sleep {name}")
    at = moment_in(record, "created_at") if known is None else Moment(known[0], known[1] if known[2] else None)
    local = {} if at.offset_s is None else {"local_date": iso(at.us + at.offset_s * 1_000_000)[:10]}
    rules: tuple[FieldRow, ...] = _RECOVERY
    if inner(record, "score").get("user_calibrating") is not True:
        rules = (*rules, _RECOVERY_SCORE)
    yield from reading.each(
        record,
        rules,
        at,
        record=f"recovery {name}",
        version=_changed(record),
        source={"record_id": name} | local,
    )


def _cycle(reading: AnswerReading, record: Record) -> Iterator[Written]:
    """From falling asleep to falling asleep; one that still runs is left out until it has ended."""
    name = name_of(record, "id")
    if record.get("end") is None:
        raise RefusedError(Reason.MISSING_FIELD, "end", "the cycle still runs")
    start, end = _at(record, "start"), _at(record, "end")
    _scored(record)
    # It is of the date of its waking: whoever falls asleep before midnight has slept by half a day later.
    local = iso(start.us + (start.offset_s or 0) * 1_000_000 + _HALF_A_DAY_US)[:10]
    yield from reading.each(
        record,
        _CYCLE,
        start,
        end,
        record=f"cycle {name}",
        version=_changed(record),
        source={"record_id": name, "local_date": local},
    )


def _workout(reading: AnswerReading, record: Record) -> Iterator[Written]:
    name = name_of(record, "id")
    start, end = _at(record, "start"), _at(record, "end")
    _scored(record)
    value: dict[str, Any] = activity(record.get("sport_name")) | figures(record, _WORKOUT)
    zones = [number_at(record, f"score.zone_durations.zone_{each}_milli") for each in _ZONES]
    if any(zones):
        value["zones"] = [{"of": "heart_rate", "seconds": (each or 0) / 1000} for each in zones]
    source: dict[str, Any] = {"record_id": name}
    strain = number_at(record, "score.strain")
    if strain is not None:
        source["strain"] = strain
    yield reading.event("workout", value, start, end, record=f"workout {name}", version=_changed(record), source=source)


MAPPING: Final = ProviderMapping(
    "whoop",
    "WHOOP",
    (
        AnswerKind("sleep", _sleep, (*_SLEEP, *_OF_A_SLEEP), lists=_LISTS, aliases=("activity_sleep",)),
        AnswerKind("recovery", _recovery, (*_RECOVERY, _RECOVERY_SCORE), lists=_LISTS),
        AnswerKind("cycle", _cycle, _CYCLE, lists=_LISTS),
        AnswerKind(
            "workout",
            _workout,
            _WORKOUT,
            (FormatEntry("workout: sport_name", "workout"),),
            lists=_LISTS,
            aliases=("activity_workout",),
        ),
        AnswerKind("profile", nothing),
        AnswerKind("body_measurement", nothing, aliases=("measurement_body",)),
    ),
)


def _asked(path: str) -> Callable[[Asked], Question]:
    def question(asked: Asked) -> Question:
        query = {"limit": "25", "start": utc_time(asked.start), "end": utc_time(asked.end)}
        return f"/developer/v2{path}", query | ({"nextToken": asked.page} if asked.page else {}), None

    return question


CLOUD: Final = Cloud(
    base_url="https://api.prod.whoop.com",
    auth_url="https://api.prod.whoop.com/oauth/oauth2/auth",
    token_url="https://api.prod.whoop.com/oauth/oauth2/token",  # noqa: S106  # an address
    endpoints=(
        # Sleeps first: a recovery is told at the end of its sleep.
        CloudEndpoint(kind="sleep", question=_asked("/activity/sleep"), following=token_at("next_token")),
        CloudEndpoint(kind="recovery", question=_asked("/recovery"), following=token_at("next_token")),
        CloudEndpoint(kind="cycle", question=_asked("/cycle"), following=token_at("next_token")),
        CloudEndpoint(kind="workout", question=_asked("/activity/workout"), following=token_at("next_token")),
    ),
    tokens=TokenManners(
        refresh_form={"scope": "offline"}, dead=frozenset({"invalid_grant", "invalid_request", "invalid_token"})
    ),
    account=("/developer/v2/user/profile/basic", "user_id"),
    notices=NOTICES,
    leave=by_bearer("DELETE", "/developer/v2/user/access"),
)


def register() -> Adapter:
    """The adapter."""
    return Adapter(
        capability=Capability(
            name="whoop",
            title="WHOOP",
            auth=AuthMethod.oauth2,
            delivery=frozenset({DeliveryWay.poll, DeliveryWay.notify}),
            budgets=(AskingBudget(100, 60), AskingBudget(10_000, 86_400)),
            history_days=365,
            again_days=7,
            scopes=(
                "offline",
                "read:recovery",
                "read:cycles",
                "read:sleep",
                "read:workout",
                "read:profile",
                "read:body_measurement",
            ),
            about="without the scope offline a link works for an hour",
        ),
        mapping=MAPPING,
        cloud=CLOUD,
    )
