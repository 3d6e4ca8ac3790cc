"""Rejected events over HTTP, by admins: what was refused and why, tried again, and removed."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from healthsync_mqtt.descriptions.people import told
from healthsync_mqtt.descriptions.refusals import described_rejection, shown_rejection
from healthsync_mqtt.gateway.bodies.body import read_form
from healthsync_mqtt.gateway.bodies.lists import PageSize, Place, looked_through, written
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.document.openapi import answers, form
from healthsync_mqtt.gateway.document.request_bodies import PurgeWish
from healthsync_mqtt.gateway.event_log.pages import Order
from healthsync_mqtt.gateway.event_log.questions import moment
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import Administrator
from healthsync_mqtt.gateway.registry.deeds import Deeds
from healthsync_mqtt.gateway.registry.installation import Installation
from healthsync_mqtt.gateway.stores.log_pool import LogPool
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.storage.port import LogReader, RejectedRow

_AT_ONCE: Final = 500
_LOOK: Final = 10_000
"""Rows that are looked at for a page of one reason. One that ends there is short, and says where to go on."""


Number = Annotated[int, Path(ge=1, le=2**53, description="As `/v1/rejected` lists it.")]


def routes(deeds: Deeds, log: LogPool, installation: Installation, admin: Administrator) -> APIRouter:
    """The routes of what was refused."""
    router = APIRouter(tags=["administration"])

    @router.get(
        "/v1/rejected", summary="Rejected events", responses=answers("RejectedPage", "A page.", 400, 401, 404, 503)
    )
    async def rejected(  # a parameter each
        *,
        caller: Annotated[Caller, Depends(admin)],
        user: Annotated[str | None, Query(max_length=64)] = None,
        reason: Reason | None = None,
        order: Order = Order.ASC,
        cursor: Place = 0,
        limit: PageSize = 100,
    ) -> Response:
        """Oldest first, or newest first with `order=desc`, without what was sent. Looking is written down."""
        await deeds.do(caller, lambda deed: deed.note("rejected.listed", user=user, reason=reason, limit=limit))
        found, at = await log.ask(lambda reader: _page(reader, user, reason, cursor, limit, newest=order is Order.DESC))
        return written({"rejected": found, "next": at})

    @router.get(
        "/v1/rejected/{number:int}",  # so that it is not what /v1/rejected/purge looks like
        summary="A rejected event",
        responses=answers("Rejected", "It, with what was sent.", 400, 401, 404, 503),
    )
    async def one(number: Number, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """`raw` is what was sent, as far as it is kept. Looking is written down."""
        row = await _row(log, number)
        await deeds.do(caller, lambda deed: deed.note("rejected.shown", user=row.user, number=number))
        return written(shown_rejection(row))

    @router.post(
        "/v1/rejected/{number:int}/replay",
        summary="Try a rejected event again",
        responses=answers("Replayed", "What became of it.", 400, 401, 403, 404, 503),
    )
    async def replayed(number: Number, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """Through the running service, after what made it fail was mended."""
        row = await _row(log, number)
        await deeds.do(caller, lambda deed: deed.note("rejected.replayed", user=row.user, count=1))
        said = await installation.call("rejected_replay", number=number)
        return written({"number": number, "outcome": None, "reason": None} | said)

    @router.post(
        "/v1/rejected/purge",
        summary="Remove rejected events for good",
        responses=answers("Purged", "It is done.", 400, 401, 403, 404, 408, 413, 415, 503),
        openapi_extra=form("PurgeWish"),
    )
    async def purged(request: Request, caller: Annotated[Caller, Depends(admin)]) -> Response:
        """What was refused last before a time, of everybody or of one user."""
        asked = await read_form(request, PurgeWish, '{"before": "2026-11-01T00:00:00Z", "user_id": "alice"}')
        before_us = moment(asked.before, "before")
        await deeds.do(caller, lambda deed: deed.note("rejected.purged", user=asked.user_id, older_than=asked.before))
        while (await installation.call("rejected_purge", before_us=before_us, user=asked.user_id)).get("more"):
            pass
        return written({"before": asked.before, "user_id": asked.user_id})

    return router


async def _row(log: LogPool, number: int) -> RejectedRow:
    row = await log.ask(lambda reader: reader.rejected_get(number))
    if row is None:
        raise HttpError(404, "not_found", f"there is no rejected event {number}", hint="see /v1/rejected")
    return row


def _page(
    reader: LogReader, user: str | None, reason: Reason | None, cursor: int, limit: int, *, newest: bool
) -> tuple[list[dict[str, Any]], int | None]:
    def read(at: int) -> list[RejectedRow]:
        asked = {"before": at} if newest else {"after": at}
        return reader.rejected(limit=_AT_ONCE, user=user, **asked)

    def wanted(row: RejectedRow) -> bool:
        return reason in {None, row.reason}

    rows, at = looked_through(read, wanted, cursor, limit, at_once=_AT_ONCE, look=_LOOK, newest=newest)
    return [told(described_rejection(row)) for row in rows], at
