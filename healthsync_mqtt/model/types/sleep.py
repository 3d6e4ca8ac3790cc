"""Sleep: a night with its stages and the figures that a provider gives, and how it sounded."""

from datetime import datetime
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from healthsync_mqtt.model.entries import interval, of_a_day
from healthsync_mqtt.model.event_type import Daily, EventType, Form, Quantity, Span, TimeKind
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.points import US, Point, Spread, optional_floats, present
from healthsync_mqtt.model.shapes import fields, given, in_utc, struct
from healthsync_mqtt.model.times import micros

MAX_STAGES = 2880  # one a minute for 48 h
_HOUR_US = 3_600_000_000

Stages = Literal["awake", "awake_in_bed", "in_bed", "out_of_bed", "asleep", "light", "deep", "rem", "unknown"]

_FIGURES = (
    Quantity("total_asleep_s", "s", 0, 172_800, "93832-4", 26_100),
    Quantity("latency_s", "s", 0, 172_800, usual=480),
    Quantity("efficiency_percent", "%", 0, 100, usual=92),
    Quantity("awakenings", "1", 0, 1000, usual=3),
    Quantity("heart_rate_mean_bpm", "/min", 20, 300, usual=55),
    Quantity("heart_rate_low_bpm", "/min", 20, 300, usual=48),
    Quantity("hrv_rmssd_ms", "ms", 0, 500, usual=61),
    Quantity("respiratory_rate", "/min", 3, 80, usual=14.1),
    # How long each lasted, of a source that does not say when.
    Quantity("in_bed_s", "s", 0, 172_800, usual=28_500),
    Quantity("awake_s", "s", 0, 172_800, usual=1440),
    Quantity("light_s", "s", 0, 172_800, "93830-8", 14_760),
    Quantity("deep_s", "s", 0, 172_800, "93831-6", 3240),
    Quantity("rem_s", "s", 0, 172_800, "93829-0", 5760),
)


class SleepStage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One stage of a night; stages may overlap (in_bed spans the others)."""

    stage: Stages
    start_time: datetime
    end_time: datetime


class SleepScore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a provider says of a night in its own words and on its own scale."""

    provider: Annotated[str, Meta(min_length=1, max_length=64)]
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    points: Annotated[int, Meta(ge=-1000, le=10_000)] | Annotated[float, Meta(ge=-1000.0, le=10_000.0)]


def _sleep() -> Form:
    """``{"stages": [{"stage": "deep", "start_time": "…Z", "end_time": "…Z"}], "efficiency_percent": 92}``.

    Everything may be left out.
    """
    no_stages: Any = msgspec.field(default_factory=list)
    shape = struct(
        "Sleep",
        [
            ("stages", Annotated[list[SleepStage], Meta(max_length=MAX_STAGES)], no_stages),
            ("nap", bool | None, None),
            *fields(_FIGURES, optional=True),
            ("scores", Annotated[list[SleepScore], Meta(max_length=20)], no_stages),
        ],
    )
    return Form(shape, _refine_sleep)


def _refine_sleep(value: Any, span: Span, _limits: Limits) -> Any:
    stages = [in_utc(stage, f"stages[{place}]", span, what="stage") for place, stage in enumerate(value.stages)]
    return given(value, stages=stages)


#: Stages as numbers, for servers that chart no text. The higher, the deeper.
STAGE_LEVELS = {
    "unknown": 0.0, "out_of_bed": 1.0, "awake": 2.0, "awake_in_bed": 3.0, "in_bed": 4.0, "rem": 5.0, "light": 6.0,
    "asleep": 7.0, "deep": 8.0,
}  # fmt: skip


def _spread() -> Spread:
    """The night with its figures and the seconds of each stage, and each stage."""
    figures = tuple(each.field for each in _FIGURES)
    no_stages: Any = msgspec.field(default_factory=list)
    stored = msgspec.defstruct(
        "StoredSleep", [("stages", list[SleepStage], no_stages), *optional_floats(figures)], gc=False
    )

    def points(value: Any, start_us: int, end_us: int | None) -> list[Point]:
        totals: dict[str, int] = {}
        stages: list[Point] = []
        for stage in sorted(value.stages, key=lambda stage: (stage.start_time, stage.end_time, stage.stage)):
            at_us, span_us = micros(stage.start_time), micros(stage.end_time) - micros(stage.start_time)
            totals[stage.stage] = totals.get(stage.stage, 0) + span_us
            level = STAGE_LEVELS[stage.stage]
            described = (("stage", stage.stage), ("level", level), ("duration_s", span_us / US))
            stages.append(Point("sleep_stage", at_us, described))
        night: list[tuple[str, float]] = [("stages", len(stages))]
        if end_us is not None:
            night.append(("duration_s", (end_us - start_us) / US))
        said = dict(present(value, figures))
        placed = {f"{stage}_s": totals[stage] / US for stage in get_args(Stages) if stage in totals}
        return [Point("sleep", start_us, (*night, *(placed | said).items())), *stages]

    return Spread(stored=stored, points=points, parts=("sleep_stage",), texts=frozenset({"stage"}))


_NIGHT = (
    ("light", "2026-11-22T23:04:00Z", "2026-11-23T01:10:00Z"),
    ("deep", "2026-11-23T01:10:00Z", "2026-11-23T02:25:00Z"),
    ("rem", "2026-11-23T02:25:00Z", "2026-11-23T03:05:00Z"),
)

TYPES = (
    EventType(
        name="sleep",
        kind=TimeKind.SESSION,
        quantities=_FIGURES,
        shapes=lambda: {"stages": _sleep()},
        daily=Daily.LONGEST,
        aliases=("sleep_session",),
        loinc="93832-4",
        max_span_us=48 * _HOUR_US,
        own_spread=_spread,
        example_s=8 * 3600,
        example={
            "stages": [dict(zip(("stage", "start_time", "end_time"), stage, strict=True)) for stage in _NIGHT],
            "efficiency_percent": 92,
            "latency_s": 480,
            "scores": [{"provider": "oura", "name": "sleep_score", "points": 82}],
        },
    ),
    interval("snoring", Quantity("minutes", "min", 0, 1440, usual=18)),
    of_a_day("breathing_disturbances", Quantity("per_hour", "/h", 0, 200, usual=2.3), "apnea_hypopnea_index"),
)
