"""Sleep: a night with its stages."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from healthsync_mqtt.model.event_type import EventType, Form, Kind, Span
from healthsync_mqtt.model.limits import Limits
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


TYPES = (
    EventType(
        name="sleep",
        kind=Kind.SESSION,
        quantities=(),
        forms={"stages": Form(Sleep, _refine_sleep)},
        aliases=("sleep_session",),
        loinc="93832-4",
        max_span_us=48 * _HOUR_US,
    ),
)
