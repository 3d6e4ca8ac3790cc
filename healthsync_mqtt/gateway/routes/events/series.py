"""One number of a type over any time, as many points as a picture has room for: exact where they are few enough.

A long time is told by what its days come to, which are worked out already; a shorter one is read, row by row, up to a
bound. What is beyond the bound is told by days as well, and where there are none, the newest of it is told.
"""

import time
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from healthsync_mqtt.gateway.bodies.answers import Answers, Written
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.document.openapi import answers
from healthsync_mqtt.gateway.event_log.questions import LogQuestions, Text, moment, type_of
from healthsync_mqtt.gateway.event_log.thinning import Thinned, thinned, width_for
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import Reader
from healthsync_mqtt.gateway.stores.derived_pool import DerivedPool
from healthsync_mqtt.identity.consent.decisions import ConsentSpan
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event_type import Daily, EventType
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.summaries.file import SummaryFile
from healthsync_mqtt.summaries.rules import DayFigures

MOST_POINTS: Final = 4_000
_USUAL_POINTS: Final = 800
_MOST_ROWS: Final = 60_000
"""Rows of the log that one answer reads."""
_AT_ONCE: Final = 2_000
"""Rows between which other questions have their turn."""
_BY_DAYS_US: Final = 45 * 86_400_000_000
"""What is longer is told by days, where days know the number."""
_DAY_US: Final = 86_400_000_000
_MOST_DAYS: Final = 36_600
_encode: Final = msgspec.json.Encoder().encode

Points = Annotated[int, Query(ge=10, le=MOST_POINTS, description="Points that there is room for.")]
Offset = Annotated[int, Query(ge=-64_800, le=64_800, description="Seconds that the viewer's clock is ahead of UTC.")]


def routes(reading: LogQuestions, days: DerivedPool[SummaryFile], written: Answers, reader: Reader) -> APIRouter:
    """The route of series."""
    router = APIRouter(tags=["events out"])

    @router.get(
        "/v1/users/{user}/series",
        summary="A number over time, for a picture",
        responses=answers("Series", "The points, in order of time.", 304, 400, 401, 404, 503),
    )
    async def series(
        *,
        request: Request,
        user: str,
        caller: Annotated[Caller, Depends(reader)],
        type: Text = None,  # noqa: A002
        field: Text = None,
        since: Text = None,
        until: Text = None,
        points: Points = _USUAL_POINTS,
        offset: Offset = 0,
    ) -> Response:
        """`type` and a number of it, the first without `field`, from `since` to `until`.

        No more than `points` are told as they are (`resolution` is `exact`). More are put into buckets of `width_s`
        seconds, each with mean (or sum), lowest and highest; long times come by days. `complete` is false where there
        was more than is read for one answer: the newest of it is told.
        """
        of = _one_type(type)
        number = _one_field(of, field)
        since_us, until_us = moment(since, "since"), moment(until, "until")
        if since_us is None or until_us is None or not 0 < until_us - since_us <= _MOST_DAYS * _DAY_US:
            raise HttpError(
                400,
                "bad_time",
                "since and until are no span",
                hint="?since=2026-11-01T00:00:00Z&until=…, 100 years at most",
            )
        asked = _Asked(user, of, number, since_us, until_us, points, offset)
        found: Thinned | None = None
        resolution, complete = "day", True
        long = until_us - since_us > _BY_DAYS_US
        if long and reading.shares.evaluates(caller, user, of.name):
            found = await days.ask(partial(_by_days, asked))
        if found is None:
            rows = _SpanReading(asked, reading.shares.span(caller, user, of.name))
            while not rows.done:
                await reading.log.ask(rows.read)
            complete = rows.complete
            if not complete and not long and reading.shares.evaluates(caller, user, of.name):
                found, complete = await days.ask(partial(_by_days, asked)), True
            if found is None:
                complete = rows.complete
                found = await reading.log.ask(lambda _: rows.thinned())
                resolution = "bucket" if found.width_s else "exact"
        body = _encode(_told(asked, found, resolution, complete=complete))
        return written.answer(request, Written.tagged(body, "application/json"), caller.principal.client_id)

    return router


class _Asked(msgspec.Struct, frozen=True):
    user: str
    of: EventType
    field: str
    since_us: int
    until_us: int
    most: int
    offset_s: int

    @property
    def adds_up(self) -> bool:
        return self.of.daily is Daily.SUM


def _one_type(name: str | None) -> EventType:
    found = type_of(name)
    if found is None:
        raise HttpError(400, "bad_input", "no type is named", hint="?type=heart_rate; see /v1/catalogue")
    return CATALOGUE[found]


def _one_field(of: EventType, name: str | None) -> str:
    names = [each.field for each in of.quantities]
    if name in names:
        return name
    if name is None and names:
        return names[0]
    said = f"it has {', '.join(names)}" if names else "it has no number"
    raise HttpError(400, "bad_input", f"{of.name} has no such number", hint=said)


class _SpanReading:
    """Rows of one question, the newest first, a part at a time, up to the bound; of a consent's span only."""

    def __init__(self, asked: _Asked, consent: ConsentSpan | None) -> None:
        self._asked = asked
        self._consent = consent
        self._before: int | None = None
        self._points: list[tuple[int, float]] = []
        self._looked = 0
        self.done = consent is None
        self.complete = True

    def read(self, log: LogReader) -> None:
        """The next part."""
        asked, consent = self._asked, self._consent
        rows = log.read(
            0,
            _AT_ONCE,
            user=asked.user,
            type=asked.of.name,
            since_us=asked.since_us - (asked.of.max_span_us or _DAY_US),
            until_us=asked.until_us,
            newest=True,
            before=self._before,
        )
        now_us = time.time_ns() // 1000
        self._take([row for row in rows if not row.op and consent and consent.covers(row.received_us, now_us)])
        self._looked += len(rows)
        self._before = rows[0].seq if rows else None
        over = self._looked >= _MOST_ROWS
        self.done = len(rows) < _AT_ONCE or over
        self.complete = not (over and len(rows) == _AT_ONCE)

    def _take(self, rows: Iterable[Record]) -> None:
        asked, found = self._asked, self._points
        since_us, until_us, field = asked.since_us, asked.until_us, asked.field
        decode, spread = _decoder(asked.of), asked.of.spread
        for row in rows:
            value = decode(row.body).value
            if spread.simple == field and value.amount is not None:  # most rows are one number at a moment
                if since_us <= row.start_us:
                    found.append((row.start_us, value.amount))
                continue
            for point in spread.points(value, row.start_us, row.end_us):
                if since_us <= point.at_us < until_us:
                    found += [(point.at_us, number) for name, number in point.fields if name == field]  # type: ignore[misc]

    def thinned(self) -> Thinned:
        """What was read, in order of time."""
        asked = self._asked
        return thinned(
            sorted(self._points),
            span_us=asked.until_us - asked.since_us,
            most=asked.most,
            adds_up=asked.adds_up,
            offset_s=asked.offset_s,
        )


@lru_cache(maxsize=256)
def _decoder(of: EventType) -> Any:
    return msgspec.json.Decoder(msgspec.defstruct("Body", [("value", of.spread.stored)], gc=False)).decode


def _by_days(asked: _Asked, file: SummaryFile) -> Thinned | None:
    """The days of the span, put together where they are too many; None where no day has the number."""
    offset_us = asked.offset_s * 1_000_000
    first, last = (asked.since_us + offset_us) // _DAY_US, (asked.until_us + offset_us - 1) // _DAY_US
    rows = []
    for day, types in sorted(file.days(asked.user, first, last).items()):
        figures = types.get(asked.of.name)
        told = None if figures is None else _figures(asked, figures)
        if told is not None:
            rows.append((day, *told))
    if not rows:
        return None
    span_us = asked.until_us - asked.since_us
    width_days = max(1, -(-width_for(span_us, asked.most) // 86_400)) if len(rows) > asked.most else 1
    found = Thinned(width_days * 86_400, [], [], [], [])
    together: dict[int, list[tuple[int, float, float, float]]] = {}
    for row in rows:
        together.setdefault(row[0] // width_days, []).append(row)
    for place, held in together.items():
        total = sum(each[1] for each in held)
        found.at.append((place * width_days * _DAY_US - offset_us) // 1_000)
        found.value.append(total if asked.adds_up else total / len(held))
        found.low.append(min(each[2] for each in held))
        found.high.append(max(each[3] for each in held))
    return found


def _figures(asked: _Asked, day: DayFigures) -> tuple[float, float, float] | None:
    """Mean (or sum), lowest and highest of a day."""
    own: Mapping[str, Any] = day.figures
    if isinstance(own.get(asked.field), Mapping):
        own = own[asked.field]
    if asked.field in own:
        number = own[asked.field]
        return (number, number, number) if isinstance(number, int | float) else None
    if "mean" in own and (len(asked.of.quantities) == 1 or own is not day.figures):
        return own["mean"], own["min"], own["max"]
    return None


def _told(asked: _Asked, found: Thinned, resolution: str, *, complete: bool) -> dict[str, Any]:
    unit = next(each.unit for each in asked.of.quantities if each.field == asked.field)
    return {
        "type": asked.of.name,
        "field": asked.field,
        "unit": unit,
        "since": iso(asked.since_us),
        "until": iso(asked.until_us),
        "resolution": resolution,
        "width_s": found.width_s,
        "adds_up": asked.adds_up,
        "complete": complete,
        "at": found.at,
        "value": [round(each, 4) for each in found.value],
        "low": found.low,
        "high": found.high,
    }
