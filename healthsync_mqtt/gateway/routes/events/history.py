"""Events out: what is stored of a user, page by page, and what has changed, for whom it is.

Pages are read and written out beside the loop; what is long comes in pieces, as the client takes them.
"""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Final
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response, StreamingResponse

from healthsync_mqtt.gateway.bodies.answers import Answers, Written
from healthsync_mqtt.gateway.bodies.deprecation import Outdated
from healthsync_mqtt.gateway.bodies.event_forms import EventForm, as_first_api, as_json, form_of, written_as
from healthsync_mqtt.gateway.bodies.problem import not_found
from healthsync_mqtt.gateway.document.openapi import answers
from healthsync_mqtt.gateway.event_log.pages import AT_ONCE_BYTES, EventQuery, Order, newest_place, page, story
from healthsync_mqtt.gateway.event_log.questions import Limit, LogQuestions, Text, moment, one_user, type_of
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.login.rules import Anybody, Reader
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.facts import described
from healthsync_mqtt.model.record import canonical_json
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.storage.port import LogReader

_OLD_MOST: Final = 10_000
"""Rows that the first API's list goes back: the newest."""
_OLD_AT_ONCE: Final = 500
_encode: Final = msgspec.json.Encoder().encode


def routes(reading: LogQuestions, written: Answers, reader: Reader, anybody: Anybody) -> APIRouter:
    """The routes by which events go out."""
    router = APIRouter(tags=["events out"])
    catalogued = Written.tagged(
        _encode({"types": [described(each) for each in CATALOGUE.values()]}),
        EventForm.JSON,
        {"Cache-Control": "public, max-age=3600"},
    )

    @router.get(
        "/v1/users/{user}/events",
        summary="Events of a user",
        responses=answers("EventPage", "A page.", 304, 400, 401, 404, 406, 503, media=tuple(EventForm)),
    )
    async def events(
        *,
        request: Request,
        user: str,
        caller: Annotated[Caller, Depends(reader)],
        type: Text = None,  # noqa: A002
        since: Text = None,
        until: Text = None,
        device: Text = None,
        order: Order = Order.ASC,
        cursor: Text = None,
        limit: Limit = 100,
    ) -> Response:
        """The newest version of each event, in the order in which they were stored; deleted ones are left out.

        `order=desc` begins with what was stored last. `next` is the cursor of the next page, null at the end; a page
        may have less than `limit`, by its bytes. Accept asks for JSON, a line each, CSV, or a FHIR Bundle.
        """
        form = form_of(",".join(request.headers.getlist("accept")))
        wanted = EventQuery(
            user=user,
            type=type_of(type),
            device=device,
            since_us=moment(since, "since"),
            until_us=moment(until, "until"),
            order=order,
        )
        about = f"events/{user}/{order}/{caller.principal.client_id}"
        after = reading.place(cursor, about)
        shown = partial(reading.shares.shows, caller)
        asked = {"type": type, "since": since, "until": until, "device": device, "order": order, "limit": limit}

        def read(log: LogReader) -> Written:
            found = page(log, wanted, after, limit, shown)
            token = None if found.after is None else reading.places.seal(found.after, about)
            if form is EventForm.JSON:
                return Written.tagged(as_json(found.events, token), form)
            rest = urlencode({name: value for name, value in (asked | {"cursor": token}).items() if value is not None})
            link = {} if token is None else {"Link": f'<{request.scope["path"]}?{rest}>; rel="next"'}
            return Written.tagged(written_as(form, found.events), form, link)

        return written.answer(request, await reading.log.ask(read), caller.principal.client_id)

    @router.get(
        "/v1/users/{user}/events/{event_id:path}",
        summary="One event",
        responses=answers("EventStory", "The event.", 304, 400, 401, 404, 503),
    )
    async def event(request: Request, user: str, event_id: str, caller: Annotated[Caller, Depends(reader)]) -> Response:
        """The newest version of an event, and the older ones, newest first; of very many the newest 100."""

        def read(log: LogReader) -> Written | None:
            found = story(log, user, event_id)
            if found is None or not reading.shares.shows(caller, found.event):
                return None
            older = (canonical_json(each) for each in found.history if reading.shares.shows(caller, each))
            body = b'{"event":%b,"history":[%b]}' % (canonical_json(found.event), b",".join(older))
            return Written.tagged(body, EventForm.JSON)

        told = await reading.log.ask(read)
        if told is None:
            raise not_found()
        return written.answer(request, told, caller.principal.client_id)

    @router.get(
        "/v1/users/{user}/types",
        summary="Of which types there are events",
        responses=answers("TypeList", "The types, by name.", 304, 401, 404, 503),
    )
    async def types(request: Request, user: str, caller: Annotated[Caller, Depends(reader)]) -> Response:
        """Each type that there is an event of, with the times of the one that was stored last."""
        shown = partial(reading.shares.shows, caller)

        def read(log: LogReader) -> Written:
            found = []
            for name in log.types(user):
                if not reading.shares.shares(caller, user, name):
                    continue
                newest = page(log, EventQuery(user=user, type=name, order=Order.DESC), 0, 1, shown).events
                found += [
                    {"type": name, "last_start_time": iso(each.start_us), "last_received_at": iso(each.received_us)}
                    for each in newest
                ]
            return Written.tagged(_encode({"types": found}), EventForm.JSON)

        return written.answer(request, await reading.log.ask(read), caller.principal.client_id)

    @router.get(
        "/v1/changes",
        summary="What has changed",
        responses=answers("ChangePage", "What was stored.", 400, 401, 404, 410, 503),
    )
    async def changed(
        *,
        request: Request,
        caller: Annotated[Caller, Depends(reader)],
        since: Text = None,
        user: Text = None,
        limit: Limit = 100,
    ) -> Response:
        """Everything that was stored after `since`, deletions too: newer versions come later, by the same id.

        Without `since` from the beginning. `more`: ask again at once. 410: what the token stands for is not there
        any more, as the log was restored or the rights are others; begin again without it.
        """
        found = await reading.changes(caller, one_user(caller, user), since, limit)
        body = b'{"events":[%b],"since":"%b","more":%b}' % (
            b",".join(found.events),
            found.token.encode(),
            b"true" if found.more else b"false",
        )
        return written.answer(request, Written(body, EventForm.JSON), caller.principal.client_id)

    @router.get("/v1/catalogue", summary="The types of events", responses=answers("Catalogue", "All types.", 304, 503))
    async def catalogue(request: Request, _: Annotated[None, Depends(anybody)]) -> Response:
        """Every type: its fields with units and ranges, its aliases, its sensitivity."""
        return written.answer(request, catalogued, "")

    @router.get(
        "/events/{user}",
        summary="Events as the first API listed them",
        responses=answers("Anything", "An array of events.", 401, 404, 503),
        deprecated=True,
        dependencies=[Depends(Outdated("/v1/users/{user}/events"))],
    )
    async def old_events(user: str, caller: Annotated[Caller, Depends(reader)]) -> Response:
        """All events of a user, oldest first; of very many those among the newest 10,000 rows."""
        begin = await reading.log.ask(lambda log: newest_place(log, user, _OLD_MOST))
        return StreamingResponse(_old_list(reading, caller, user, begin), media_type=EventForm.JSON)

    return router


async def _old_list(reading: LogQuestions, caller: Caller, user: str, begin: int) -> AsyncIterator[bytes]:
    """One array, a piece at a time: the next is read when the client has taken the last."""
    shown, wanted = partial(reading.shares.shows, caller), EventQuery(user=user)

    def read(log: LogReader, after: int) -> tuple[bytes, int | None]:
        found = page(log, wanted, after, _OLD_AT_ONCE, shown, most_bytes=AT_ONCE_BYTES)
        return b",".join(_encode(as_first_api(each)) for each in found.events), found.after

    after: int | None = begin
    separator = b"["
    while after is not None:
        part, after = await reading.log.ask(partial(read, after=after))
        if part:
            yield separator + part
            separator = b","
    yield b"[]" if separator == b"[" else b"]"
