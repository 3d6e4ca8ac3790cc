"""Events out: what is stored of a user, page by page, and what has changed, for whom it is."""

from datetime import datetime
from functools import partial
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from healthsync_mqtt.gateway.callers import Caller
from healthsync_mqtt.gateway.forms import EventForm, as_csv, as_first_api, as_json, as_lines, form_of, tag
from healthsync_mqtt.gateway.log_pool import LogPool
from healthsync_mqtt.gateway.openapi import answers
from healthsync_mqtt.gateway.pages import MOST, EventPage, EventQuery, page, story
from healthsync_mqtt.gateway.place import SealedPlaces
from healthsync_mqtt.gateway.problem import HttpError, not_found
from healthsync_mqtt.gateway.rules import Anybody, Reader
from healthsync_mqtt.gateway.shares import Shares
from healthsync_mqtt.model.catalogue import CATALOGUE, resolve
from healthsync_mqtt.model.facts import described
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.model.record import Record, canonical_json
from healthsync_mqtt.model.sync_token import SyncTokenError
from healthsync_mqtt.model.times import micros
from healthsync_mqtt.storage.changes import ChangesAsked, ChangesPage, changes
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.topics.access import bound, grant_of

_OLD_MOST: Final = 10_000
"""Events that the first API's list has at most: the newest."""
_BYTES: Final = 1_000_000
"""Of a page of changes that has more than one event."""

Limit = Annotated[int, Query(ge=1, le=MOST, description="Events of one page.")]
Text = Annotated[str | None, Query(max_length=128)]


class LogQuestions:
    """Answers questions about the log, as far as the caller may know."""

    def __init__(self, log: LogPool, shares: Shares, places: SealedPlaces) -> None:
        self.log = log
        self.shares = shares
        self.places = places

    def place(self, text: str | None, about: str) -> int:
        """The place that a client carries; the beginning without one. HttpError 400."""
        if text is None:
            return 0
        found = self.places.open(text, about)
        if found is None:
            raise HttpError(400, "bad_cursor", "that is no place of this list", hint="begin again without a cursor")
        return found

    async def events(
        self, caller: Caller, wanted: EventQuery, cursor: str | None, limit: int
    ) -> tuple[EventPage, str | None]:
        """A page of a user's events, and the cursor of the next one."""
        about = f"events/{wanted.user}"
        shown = partial(self.shares.shows, caller)
        after = self.place(cursor, about)
        found = await self.log.ask(lambda reader: page(reader, wanted, after, limit, shown))
        return found, None if found.after is None else self.places.seal(found.after, about)

    async def changes(self, caller: Caller, user: str | None, token: str | None, limit: int) -> ChangesPage:
        """What was stored behind a token. HttpError 400 for one that is not for this question, 410 for an old one."""
        principal = caller.principal
        users = ",".join(sorted(bound(principal, "user") or ("*",))) if user is None else ""
        asked = ChangesAsked(
            user=user,
            grant=grant_of(principal, of=users or ("own" if principal.role is Role.device else "")),
            token=token,
            limit=limit,
            most_bytes=_BYTES,
            seal=self.places,
        )
        try:
            return await self.log.ask(lambda log: changes(log, asked, partial(self.shares.shows, caller)))
        except SyncTokenError as error:
            status = 410 if error.reason == "token_expired" else 400
            raise HttpError(status, error.reason, str(error), hint=error.hint) from None


def moment(text: str | None, name: str) -> int | None:
    """A time with an offset as microseconds. HttpError 400."""
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
        if when.tzinfo is not None:
            return micros(when)
    except (ValueError, OverflowError):
        pass
    raise HttpError(
        400, "bad_time", f"{name} is no time with an offset", hint=f"{name}=2026-11-23T06:00:00Z; a + is written %2B"
    )


def type_of(text: str | None) -> str | None:
    """The type that a name or an alias means. HttpError 400."""
    if text is None:
        return None
    found = resolve(text)
    if found is None:
        raise HttpError(400, "unknown_type", "there is no such type", hint="see /v1/catalogue")
    return found.name


def tagged(request: Request, body: bytes, media_type: str, headers: dict[str, str] | None = None) -> Response:
    """An answer that is not sent again to who has it."""
    etag = tag(body)
    named = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Accept, Authorization"} | (headers or {})
    if etag in (each.strip() for each in request.headers.get("if-none-match", "").split(",")):
        return Response(None, 304, named)
    return Response(body, 200, named, media_type)


def routes(reading: LogQuestions, reader: Reader, anybody: Anybody) -> APIRouter:
    """The routes by which events go out."""
    router = APIRouter(tags=["events out"])

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
        cursor: Text = None,
        limit: Limit = 100,
    ) -> Response:
        """The newest version of each event, in the order in which they were stored; deleted ones are left out.

        `next` is the cursor of the next page, null at the end. Accept asks for JSON, a line each, or CSV.
        """
        form = form_of(request.headers.get("accept", ""))
        wanted = EventQuery(
            user=user,
            type=type_of(type),
            device=device,
            since_us=moment(since, "since"),
            until_us=moment(until, "until"),
        )
        found, after = await reading.events(caller, wanted, cursor, limit)
        if form is EventForm.JSON:
            return tagged(request, as_json(found.events, after), form)
        asked = {"type": type, "since": since, "until": until, "device": device, "limit": limit, "cursor": after}
        rest = urlencode({name: value for name, value in asked.items() if value is not None})
        link = {} if after is None else {"Link": f'<{request.scope["path"]}?{rest}>; rel="next"'}
        body = as_csv(found.events) if form is EventForm.CSV else as_lines(found.events)
        return tagged(request, body, form, link)

    @router.get(
        "/v1/users/{user}/events/{event_id:path}",
        summary="One event",
        responses=answers("EventStory", "The event.", 304, 400, 401, 404, 503),
    )
    async def event(request: Request, user: str, event_id: str, caller: Annotated[Caller, Depends(reader)]) -> Response:
        """The newest version of an event, and the older ones, newest first."""
        found = await reading.log.ask(lambda log: story(log, user, event_id))
        if found is None or not reading.shares.shows(caller, found.event):
            raise not_found()
        older = [each for each in found.history if reading.shares.shows(caller, each)]
        body = b'{"event":%b,"history":[%b]}' % (canonical_json(found.event), b",".join(map(canonical_json, older)))
        return tagged(request, body, EventForm.JSON)

    @router.get(
        "/v1/changes",
        summary="What has changed",
        responses=answers("ChangePage", "What was stored.", 400, 401, 404, 410, 503),
    )
    async def changed(
        caller: Annotated[Caller, Depends(reader)], since: Text = None, user: Text = None, limit: Limit = 100
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
        return Response(body, media_type=EventForm.JSON)

    @router.get("/v1/catalogue", summary="The types of events", responses=answers("Catalogue", "All types.", 304, 503))
    async def catalogue(request: Request, _: Annotated[None, Depends(anybody)]) -> Response:
        """Every type: its fields with units and ranges, its aliases, its sensitivity."""
        body = JSONResponse({"types": [described(each) for each in CATALOGUE.values()]}).body
        return tagged(request, bytes(body), EventForm.JSON, {"Cache-Control": "public, max-age=3600"})

    @router.get(
        "/events/{user}",
        summary="Events as the first API listed them",
        responses=answers("Anything", "An array of events.", 401, 404, 503),
    )
    async def old_events(user: str, caller: Annotated[Caller, Depends(reader)]) -> Response:
        """All events of a user, oldest first; of very many the newest 10,000."""

        def newest(log: LogReader) -> list[Record]:
            rows = log.read(0, _OLD_MOST, user=user, newest=True)
            return [row for row in rows if not row.op and reading.shares.shows(caller, row)]

        return JSONResponse([as_first_api(each) for each in await reading.log.ask(newest)])

    return router


def one_user(caller: Caller, asked: str | None) -> str | None:
    """The one user that is asked for, or the only one that the caller may read; None: several. HttpError 404."""
    users = bound(caller.principal, "user")
    if asked is None:
        return next(iter(users)) if users is not None and len(users) == 1 else None
    if users is not None and asked not in users:
        raise not_found()
    return asked
