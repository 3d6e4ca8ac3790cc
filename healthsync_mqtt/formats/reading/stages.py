"""Stages of sleep that come one by one: which of them are one night."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from healthsync_mqtt.formats.reading.moment import Moment
from healthsync_mqtt.model.reasons import Reason, RefusedError

_HOUR_US: Final = 3_600_000_000
_LONGEST_US: Final = 48 * _HOUR_US
_MOST: Final = 2880


class Stage(NamedTuple):
    """One stage, and our word for it."""

    start: Moment
    end: Moment
    word: str


def checked(stage: Stage, field: str) -> Stage:
    """The stage. Raises RefusedError at ``field`` for one that ends before it starts, or that no night has."""
    if stage.end.us < stage.start.us:
        raise RefusedError(Reason.BAD_INTERVAL, field, "the stage ends before it starts")
    if stage.end.us - stage.start.us > _LONGEST_US:
        raise RefusedError(Reason.BAD_INTERVAL, field, "the stage is longer than 48 hours")
    return stage


def nights(stages: Iterable[Stage]) -> Iterator[list[Stage]]:
    """Stages in order, split where there is nothing for more than an hour; what is there twice is there once."""
    night: list[Stage] = []
    until_us = 0
    for each in sorted(set(stages), key=lambda each: (each.start.us, each.end.us, each.word)):
        if night and (each.start.us > until_us + _HOUR_US or each.end.us > night[0].start.us + _LONGEST_US):
            yield night
            night = []
        until_us = max(until_us, each.end.us) if night else each.end.us
        night.append(each)
    if night:
        yield night


def end_of(night: list[Stage]) -> Moment:
    """When a night ended."""
    return max((each.end for each in night), key=lambda end: end.us)


def as_written(night: list[Stage]) -> list[dict[str, Any]]:
    """The stages as events write them. Raises RefusedError for more than a night has."""
    if len(night) > _MOST:
        raise RefusedError(Reason.TOO_LARGE, None, f"a night of more than {_MOST} stages")
    return [{"stage": each.word, "start_time": each.start.text, "end_time": each.end.text} for each in night]
