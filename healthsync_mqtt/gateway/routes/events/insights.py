"""What was found of a user's days, as far as the caller may know what all of it rests on, page by page."""

from typing import Annotated, Final, NamedTuple

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from healthsync_mqtt.gateway.bodies.answers import Answers, Written
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.document.openapi import answers
from healthsync_mqtt.gateway.event_log.pages import MOST_BYTES, Order
from healthsync_mqtt.gateway.event_log.questions import Limit, LogQuestions, Text
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import Reader
from healthsync_mqtt.gateway.routes.events.days import day_of
from healthsync_mqtt.gateway.stores.derived_pool import DerivedPool
from healthsync_mqtt.insights.file import InsightFile, StoredFinding

_FIRST: Final = -(2**31)
_LAST: Final = 2**31 - 1
_PASSED_BITS: Final = 24


class _DayPlace(NamedTuple):
    """Where a page begins: a day, and how many of its findings come before."""

    day: int
    passed: int

    @property
    def number(self) -> int:
        return (self.day - _FIRST) << _PASSED_BITS | self.passed

    @classmethod
    def of(cls, number: int) -> "_DayPlace":
        return cls((number >> _PASSED_BITS) + _FIRST, number & (1 << _PASSED_BITS) - 1)


def routes(reading: LogQuestions, insights: DerivedPool[InsightFile], written: Answers, reader: Reader) -> APIRouter:
    """The route of insights."""
    router = APIRouter(tags=["events out"])

    @router.get(
        "/v1/users/{user}/insights",
        summary="What was found of a user's days",
        responses=answers("InsightPage", "A page.", 304, 400, 401, 404, 503),
    )
    async def found(
        *,
        request: Request,
        user: str,
        caller: Annotated[Caller, Depends(reader)],
        kind: Text = None,
        since: Text = None,
        until: Text = None,
        order: Order = Order.ASC,
        cursor: Text = None,
        limit: Limit = 100,
    ) -> Response:
        """Findings in the order of their days, the newest first with `order=desc`; none is a diagnosis.

        `since` and `until` are dates, both included. A finding is left out where anything that it rests on may not be
        evaluated, or not be shared with the caller. A page may have less than `limit`; `next` is null at the end.
        """
        first, last = day_of(since, "since"), day_of(until, "until")
        first, last = _FIRST if first is None else first, _LAST if last is None else last
        if first > last:
            raise HttpError(400, "bad_time", "until is before since", hint="?since=2026-11-01&until=2026-11-23")
        about = f"insights/{user}/{order}/{kind}/{caller.principal.client_id}"
        newest = order is Order.DESC
        begins = None if cursor is None else _DayPlace.of(reading.place(cursor, about))
        if begins is not None:
            first, last = (first, begins.day) if newest else (begins.day, last)

        def read(file: InsightFile) -> tuple[list[bytes], _DayPlace | None]:
            before = 0 if begins is None else begins.passed
            rows = file.page(user, first, last, kind=kind, newest=newest, limit=before + limit + 1)
            # Of a day that was looked at again meanwhile there may be less: no other day's are passed over for it.
            before = sum(each.day == begins.day for each in rows[:before]) if begins is not None else 0
            rows = rows[before:]
            taken = _fitting(rows[:limit])
            told = [
                each.event
                for each in rows[:taken]
                if all(reading.shares.evaluates(caller, user, name) for name in each.types)
            ]
            if taken == len(rows):
                return told, None
            day = rows[taken].day
            of_the_day = sum(each.day == day for each in rows[:taken])
            return told, _DayPlace(day, of_the_day + (before if begins is not None and begins.day == day else 0))

        told, after = await insights.ask(read) or ([], None)
        token = b"null" if after is None else b'"%b"' % reading.places.seal(after.number, about).encode()
        body = b'{"insights":[%b],"next":%b}' % (b",".join(told), token)
        return written.answer(request, Written.tagged(body, "application/json"), caller.principal.client_id)

    return router


def _fitting(rows: list[StoredFinding]) -> int:
    """How many of them are a page by their bytes; at least one."""
    room = MOST_BYTES
    for number, each in enumerate(rows):
        room -= len(each.event)
        if room < 0:
            return max(number, 1)
    return len(rows)
