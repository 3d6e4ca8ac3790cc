"""Sleep: a night with its stages."""

from datetime import datetime
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from healthsync_mqtt.model.event_type import Daily, EventType, Form, Span, TimeKind
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.points import US, Point, Spread
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.model.times import iso, micros

MAX_STAGES = 2880  # one a minute for 48 h
_HOUR_US = 3_600_000_000

Stages = Literal["awake", "awake_in_bed", "in_bed", "out_of_bed", "asleep", "light", "deep", "rem", "unknown"]


class SleepStage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One stage of a night; stages may overlap (in_bed spans the others)."""

    stage: Stages
    start_time: datetime
    end_time: datetime


class Sleep(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """``{"stages": [{"stage": "deep", "start_time": "…Z", "end_time": "…Z"}]}``; stages may be left out."""

    stages: Annotated[list[SleepStage], Meta(max_length=MAX_STAGES)] = []


def _refine_sleep(value: Sleep, span: Span, _limits: Limits) -> Any:
    stages = []
    for place, stage in enumerate(value.stages):
        path = f"stages[{place}]"
        for field, moment in (("start_time", stage.start_time), ("end_time", stage.end_time)):
            if moment.tzinfo is None:
                raise RefusedError(Reason.NAIVE_TIME, f"{path}.{field}", f"{field} has no offset")
        start_us, end_us = micros(stage.start_time), micros(stage.end_time)
        if end_us < start_us:
            raise RefusedError(Reason.BAD_INTERVAL, f"{path}.end_time", "the stage ends before it starts")
        if start_us < span.start_us or (span.end_us is not None and end_us > span.end_us):
            raise RefusedError(Reason.BAD_INTERVAL, path, "the stage lies outside the session")
        stages.append({"stage": stage.stage, "start_time": iso(start_us), "end_time": iso(end_us)})
    return {"stages": stages} if stages else {}


class StoredSleep(msgspec.Struct, gc=False):
    """A night as it is stored."""

    stages: list[SleepStage] = []


#: Stages as numbers, for servers that chart no text. The higher, the deeper.
STAGE_LEVELS = {
    "unknown": 0.0, "out_of_bed": 1.0, "awake": 2.0, "awake_in_bed": 3.0, "in_bed": 4.0, "rem": 5.0, "light": 6.0,
    "asleep": 7.0, "deep": 8.0,
}  # fmt: skip


def _points(value: StoredSleep, start_us: int, end_us: int | None) -> list[Point]:
    """The night with the seconds of each stage, and each stage."""
    totals: dict[str, int] = {}
    stages: list[Point] = []
    for stage in sorted(value.stages, key=lambda stage: (stage.start_time, stage.end_time, stage.stage)):
        at_us, span_us = micros(stage.start_time), micros(stage.end_time) - micros(stage.start_time)
        totals[stage.stage] = totals.get(stage.stage, 0) + span_us
        level = STAGE_LEVELS[stage.stage]
        fields = (("stage", stage.stage), ("level", level), ("duration_s", span_us / US))
        stages.append(Point("sleep_stage", at_us, fields))
    night: list[tuple[str, float]] = [("stages", len(stages))]
    if end_us is not None:
        night.append(("duration_s", (end_us - start_us) / US))
    night += [(f"{stage}_s", totals[stage] / US) for stage in get_args(Stages) if stage in totals]
    return [Point("sleep", start_us, tuple(night)), *stages]


_NIGHT = (
    ("light", "2026-11-22T23:04:00Z", "2026-11-23T01:10:00Z"),
    ("deep", "2026-11-23T01:10:00Z", "2026-11-23T02:25:00Z"),
    ("rem", "2026-11-23T02:25:00Z", "2026-11-23T03:05:00Z"),
)

TYPES = (
    EventType(
        name="sleep",
        kind=TimeKind.SESSION,
        quantities=(),
        shapes=lambda: {"stages": Form(Sleep, _refine_sleep)},
        daily=Daily.LONGEST,
        aliases=("sleep_session",),
        loinc="93832-4",
        max_span_us=48 * _HOUR_US,
        own_spread=lambda: Spread(
            stored=StoredSleep, points=_points, parts=("sleep_stage",), texts=frozenset({"stage"})
        ),
        example={"stages": [dict(zip(("stage", "start_time", "end_time"), stage, strict=True)) for stage in _NIGHT]},
    ),
)
