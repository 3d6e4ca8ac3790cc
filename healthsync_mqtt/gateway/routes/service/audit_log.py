"""The audit log over HTTP, by admins: who did what to whom, and whether all of it is as it was written."""

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from healthsync_mqtt.descriptions.audit_rows import described_row, described_verdict, subjects
from healthsync_mqtt.gateway.bodies.lists import PageSize, Place, looked_through, written
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.document.openapi import answers
from healthsync_mqtt.gateway.event_log.pages import Order
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import Administrator
from healthsync_mqtt.gateway.registry.deeds import Deeds
from healthsync_mqtt.gateway.registry.installation import Installation
from healthsync_mqtt.identity.audit.log import AuditLog, AuditRow

_AT_ONCE: Final = 1_000
_LOOK: Final = 20_000
"""Rows that are looked at for a page. One that ends there is short, and says where to go on."""


def routes(deeds: Deeds, installation: Installation, admin: Administrator) -> APIRouter:
    """The routes of the audit log."""
    router = APIRouter(tags=["administration"])
    checking = asyncio.Semaphore(1)

    @router.get("/v1/audit", summary="What was done", responses=answers("AuditPage", "A page.", 400, 401, 404, 503))
    async def audit(  # a parameter each
        *,
        _: Annotated[Caller, Depends(admin)],
        user: Annotated[str | None, Query(max_length=64)] = None,
        device: Annotated[str | None, Query(max_length=64, description="With `user`: one device.")] = None,
        action: Annotated[str, Query(max_length=64, description="Actions that begin with this.")] = "",
        order: Order = Order.ASC,
        cursor: Place = 0,
        limit: PageSize = 100,
    ) -> Response:
        """Oldest first, or newest first with `order=desc`. Persons and devices are pseudonyms.

        Who asks for a user gets the rows about the user.
        """
        if device is not None and user is None:
            raise HttpError(400, "bad_input", "whose device?", hint="?user=alice&device=watch")
        log, about = installation.audit, None
        if user is not None:
            about = await deeds.ask(lambda registry: subjects(registry, log, user, device))
        found, at = await installation.ask(lambda: _page(log, about, action, cursor, limit, newest=order is Order.DESC))
        return written({"audit": found, "next": at})

    @router.get(
        "/v1/audit/verification",
        summary="Whether the audit log is whole",
        responses=answers("AuditFinding", "What was found.", 400, 401, 404, 503),
    )
    async def verification(_: Annotated[Caller, Depends(admin)]) -> Response:
        """The chain is recomputed: a row that was changed, moved or taken out is named."""
        log = installation.audit
        async with checking:
            anchor = await deeds.ask(lambda registry: registry.audit_outbox.anchor())
            return written(described_verdict(await installation.ask(lambda: log.verify(anchor))))

    return router


def _page(
    log: AuditLog, about: set[str | None] | None, action: str, cursor: int, limit: int, *, newest: bool
) -> tuple[list[Any], int | None]:
    def read(at: int) -> list[AuditRow]:
        return log.rows(before=at, limit=_AT_ONCE, newest=True)[::-1] if newest else log.rows(after=at, limit=_AT_ONCE)

    def wanted(row: AuditRow) -> bool:
        return row.action.startswith(action) and (about is None or row.subject in about)

    rows, at = looked_through(read, wanted, cursor, limit, at_once=_AT_ONCE, look=_LOOK, newest=newest)
    return list(map(described_row, rows)), at
