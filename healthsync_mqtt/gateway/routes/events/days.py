"""What a user's local days come to, as far as the caller may know and the user agrees."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from healthsync_mqtt.gateway.bodies.answers import Answers, Written
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.document.openapi import answers
from healthsync_mqtt.gateway.event_log.questions import Text
from healthsync_mqtt.gateway.event_log.shares import Shares
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import Reader
from healthsync_mqtt.gateway.stores.derived_pool import DerivedPool
from healthsync_mqtt.summaries.day import day_dict, day_number
from healthsync_mqtt.summaries.file import SummaryFile
from healthsync_mqtt.summaries.rules import DayFigures

MOST_DAYS: Final = 366
_encode: Final = msgspec.json.Encoder().encode


def routes(days: DerivedPool[SummaryFile], shares: Shares, written: Answers, reader: Reader) -> APIRouter:
    """The route of days."""
    router = APIRouter(tags=["events out"])

    @router.get(
        "/v1/users/{user}/summary",
        summary="What a user's days come to",
        responses=answers("Days", "The days, oldest first.", 304, 400, 401, 404, 503),
    )
    async def summary(
        *,
        request: Request,
        user: str,
        caller: Annotated[Caller, Depends(reader)],
        since: Text = None,
        until: Text = None,
    ) -> Response:
        """Totals and statistics of local days over all devices; the newest day without `since`.

        `since` and `until` are dates, both included, a year at most. What the user does not let be evaluated, or be
        shared with the caller, is left out.
        """
        first, last = day_of(since, "since"), day_of(until, "until")
        if first is not None and last is not None and not 0 <= last - first < MOST_DAYS:
            raise HttpError(400, "bad_time", f"those are not 1 to {MOST_DAYS} days", hint="?since=2026-11-01")

        def found(file: SummaryFile) -> list[dict[str, Any]]:
            end = file.newest_day(user) if last is None else last
            if end is None:
                return []
            begin = max(end if first is None else first, end - MOST_DAYS + 1)
            known = file.days(user, begin, end)
            told = ((day, _told(known[day], user)) for day in sorted(known))
            return [day_dict(day, figures, user=user) for day, figures in told if figures]

        def _told(figures: Mapping[str, DayFigures], whose: str) -> dict[str, DayFigures]:
            return {name: each for name, each in figures.items() if shares.evaluates(caller, whose, name)}

        body = _encode({"days": await days.ask(found) or []})
        return written.answer(request, Written.tagged(body, "application/json"), caller.principal.client_id)

    return router


def day_of(text: str | None, name: str) -> int | None:
    """A date as a day. HttpError 400."""
    if text is None:
        return None
    try:
        return day_number(text)
    except ValueError:
        raise HttpError(400, "bad_time", f"{name} is no date", hint=f"{name}=2026-11-23") from None
