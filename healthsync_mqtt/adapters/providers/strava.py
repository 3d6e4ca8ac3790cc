"""Strava's activities as workouts, and their streams as series.

Everything is metric; ``start_date_local`` is no UTC whatever it looks like, and is not read. A cadence on foot counts
one leg: it is doubled. Names and descriptions are the user's free text, and places are locations: neither is taken.
"""

from collections.abc import Iterator
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
    clock_of,
    judged,
)
from healthsync_mqtt.adapters.hooks.strava import NOTICES, activity_question, is_number
from healthsync_mqtt.adapters.mapping.activities import activity
from healthsync_mqtt.adapters.mapping.answers import AnswerKind, AnswerReading, ProviderMapping, Written, name_of
from healthsync_mqtt.adapters.mapping.rules import FieldRow, figures, number_at
from healthsync_mqtt.adapters.notices import RecordQuestion, account_in, mark_of
from healthsync_mqtt.adapters.port import Adapter
from healthsync_mqtt.adapters.revocation_endpoints import by_bearer
from healthsync_mqtt.adapters.web import CloudAnswer
from healthsync_mqtt.formats.port import FormatEntry
from healthsync_mqtt.formats.reading.document import Record, as_record, inner, inside, items, number, text_or_none
from healthsync_mqtt.formats.reading.moment import Moment, moment_in
from healthsync_mqtt.model.reasons import Reason, RefusedError

_LEGS: Final = 2
_ON_FOOT: Final = frozenset({
    "running", "trail_running", "indoor_running", "walking", "indoor_walking", "hiking", "snowshoeing",
})  # fmt: skip
_FIGURES: Final = (
    FieldRow("distance", "workout", "m", "distance_m", zero=False),
    FieldRow("moving_time", "workout", "s", "active_s", zero=False),
    FieldRow("calories", "workout", "kcal", "energy_total_kcal", zero=False),
    FieldRow("average_heartrate", "workout", "/min", "heart_rate_mean_bpm", zero=False),
    FieldRow("max_heartrate", "workout", "/min", "heart_rate_high_bpm", zero=False),
    FieldRow("average_speed", "workout", "m/s", "speed_mean_m_s", zero=False),
    FieldRow("max_speed", "workout", "m/s", "speed_high_m_s", zero=False),
    FieldRow("total_elevation_gain", "workout", "m", "elevation_gain_m", zero=False),
)
_POWER: Final = (
    FieldRow("average_watts", "workout", "W", "power_mean_w", zero=False, about="of a meter, not Strava's estimate"),
    FieldRow("max_watts", "workout", "W", "power_high_w", zero=False, about="of a meter"),
)
_STEPS: Final = FieldRow(
    "average_cadence", "workout", "/min", "cadence_steps_per_minute", zero=False, times=_LEGS, about="on foot"
)
_TURNS: Final = FieldRow(
    "average_cadence", "workout", "/min", "cadence_revolutions_per_minute", zero=False, about="on a bike"
)
_LAP: Final = tuple(rule for rule in _FIGURES if rule.ours != "energy_total_kcal")
_STREAMS: Final = (
    FieldRow("heartrate", "heart_rate", "/min", zero=False),
    FieldRow("velocity_smooth", "speed", "m/s"),
    FieldRow("watts", "power", "W"),
)
_STREAM_STEPS: Final = FieldRow("cadence", "cadence_steps", "/min", times=_LEGS, about="on foot")
_STREAM_TURNS: Final = FieldRow("cadence", "cadence_revolutions", "/min", about="on a bike")
_WEIGHT: Final = FieldRow("weight", "weight", "kg", zero=False, about="of the profile")
_DIGITS: Final = 20


def _cadence(sport: str, on_foot: FieldRow, on_wheels: FieldRow) -> FieldRow:
    return on_foot if sport in _ON_FOOT else on_wheels


def _activity(reading: AnswerReading, record: Record) -> Iterator[Written]:
    """A workout: it ends when the clock says, not when the moving does."""
    name = name_of(record, "id")
    offset = number_at(record, "utc_offset")
    start = Moment(moment_in(record, "start_date").us, None if offset is None else int(offset))
    end = start.later(number(record, "elapsed_time"))
    value: dict[str, Any] = activity(record.get("sport_type") or record.get("type"))
    sport = value["activity"]
    rules: tuple[FieldRow, ...] = (*_FIGURES, _cadence(sport, _STEPS, _TURNS))
    if record.get("device_watts") is True:
        rules = (*rules, *_POWER)
    value |= figures(record, rules)
    laps = [_lap(each, place) for place, each in enumerate(items(record, "laps"))]
    if laps:
        value["laps"] = [each for each in laps if each["end_time"] <= end.text]
    reading.memory.put(
        f"activity {name}", start.us, start.offset_s or 0, int(offset is not None), int(sport in _ON_FOOT)
    )
    source: dict[str, Any] = {"record_id": name}
    if record.get("manual") is True:
        source["recording"] = "manual"
    if external := text_or_none(record, "external_id"):
        source["external_id"] = external[:128]
    model = text_or_none(record, "device_name") or ""
    yield reading.event("workout", value, start, end, record=f"activity {name}", source=source, model=model)


def _lap(found: Any, place: int) -> dict[str, Any]:
    with inside(f"laps[{place}]"):
        lap = as_record(found)
        start = moment_in(lap, "start_date")
        times = {"start_time": start.text, "end_time": start.later(number(lap, "elapsed_time")).text}
        return times | figures(lap, _LAP)


def _streams(reading: AnswerReading, record: Record) -> Iterator[Written]:
    """The streams of one activity, which the answer does not name: the question does."""
    name = next((part for part in reading.subject.split("/") if part.isdecimal() and len(part) <= _DIGITS), "")
    known = reading.memory.get(f"activity {name}")
    if known is None or len(known) < 4:  # as it is put
        why = "the activity of these streams is not known: its own answer comes first"
        raise RefusedError(Reason.MISSING_FIELD, None, why)
    start = Moment(known[0], known[1] if known[2] else None)
    said = {"record": f"activity {name}", "source": {"record_id": name}}
    seconds = items(inner(record, "time"), "data")
    rules = (*_STREAMS, _STREAM_STEPS if known[3] else _STREAM_TURNS)
    for rule in rules:
        stream = inner(record, rule.field)
        samples = [
            (at, each)
            for at, each in zip(seconds, items(stream, "data"), strict=False)
            if type(at) in {int, float} and 0 <= at < 10**7  # four months
        ]
        yield from reading.series(rule, samples, start, **said)


def _athlete(reading: AnswerReading, record: Record) -> Iterator[Written]:
    """The weight of the profile, as it was when the profile was last changed."""
    value = figures(record, (_WEIGHT,))
    if value and text_or_none(record, "updated_at"):
        at = moment_in(record, "updated_at")
        yield reading.event("weight", value, at, record=f"profile {value['kg']}", source={"recording": "manual"})


MAPPING: Final = ProviderMapping(
    "strava",
    "Strava",
    (
        AnswerKind(
            "activities",
            _activity,
            (*_FIGURES, *_POWER, _STEPS, _TURNS),
            (FormatEntry("activities: sport_type", "workout", "laps are its laps; automatic splits are not"),),
            aliases=("activity", "athlete_activities"),
        ),
        AnswerKind("streams", _streams, (*_STREAMS, _STREAM_STEPS, _STREAM_TURNS)),
        AnswerKind("athlete", _athlete, (_WEIGHT,)),
    ),
)


def _listed(asked: Asked) -> Question:
    query = {"after": str(asked.start), "before": str(asked.end), "per_page": "200", "page": asked.page or "1"}
    return "/api/v3/athlete/activities", query, None


def _next_page(document: Any, asked: Asked) -> str:
    """A short page is not the last one: an empty one is."""
    return str(asked.number + 2) if isinstance(document, list) and document else ""


def _each(document: Any) -> Iterator[RecordQuestion]:
    """A list has neither laps nor calories nor streams: each activity is asked for by itself, again when it differs."""
    for found in document if isinstance(document, list) else ():
        name = account_in(found, "id")
        if is_number(name):
            yield activity_question(name)._replace(mark=mark_of(found))


_QUARTER_S: Final = 900
_DAY_S: Final = 86_400


def _judged(answer: CloudAnswer, document: Any) -> Failed | None:
    """A scope that is missing is 401 here, and says so; a limit ends with the quarter of an hour."""
    failed = judged(answer, document)
    if failed is not None and failed.fault is CloudFault.unauthorised and isinstance(document, dict):
        errors = document.get("errors")
        fields = (
            [str(each.get("field")) for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
        )
        if any("activity:read" in each or "permission" in each for each in fields):
            return Failed(CloudFault.not_granted)
    if failed is not None and failed.fault is CloudFault.rate_limited:
        return failed._replace(wait_s=_wait_s(answer))
    return failed


def _wait_s(answer: CloudAnswer) -> float:
    """The seconds until the limit that is used up begins anew: with the quarter of an hour, or with the day in UTC.

    Also who is refused is counted, so nobody asks before that.
    """
    window = _QUARTER_S
    for which in ("ratelimit", "readratelimit"):
        used, most = (answer.headers.get(f"x-{which}-{each}", "").split(",") for each in ("usage", "limit"))
        today, limit = used[-1].strip(), most[-1].strip()
        if len(used) == len(most) == 2 and today.isdecimal() and limit.isdecimal() and int(today) >= int(limit):
            window = _DAY_S
    now = clock_of(answer)
    return float(window if now is None else window - now % window)


CLOUD: Final = Cloud(
    base_url="https://www.strava.com",
    auth_url="https://www.strava.com/oauth/authorize",
    token_url="https://www.strava.com/oauth/token",  # noqa: S106  # an address
    endpoints=(CloudEndpoint(kind="activities", question=_listed, following=_next_page, each=_each),),
    tokens=TokenManners(account=("athlete", "id"), separator=",", extra={"approval_prompt": "auto"}),
    judge=_judged,
    notices=NOTICES,
    leave=by_bearer("POST", "/oauth/deauthorize"),
)


def register() -> Adapter:
    """The adapter."""
    return Adapter(
        capability=Capability(
            name="strava",
            title="Strava",
            auth=AuthMethod.oauth2,
            delivery=frozenset({DeliveryWay.poll, DeliveryWay.notify}),
            budgets=(AskingBudget(100, 900), AskingBudget(1_000, 86_400)),
            history_days=365,
            again_days=7,
            scopes=("read", "activity:read_all"),
            about="its data may be shown to its own athlete only",
        ),
        mapping=MAPPING,
        cloud=CLOUD,
    )
