"""What is asked of the log by HTTP: parameters as they are meant, and places as clients carry them."""

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Annotated, Final

from fastapi import Query

from healthsync_mqtt.gateway.bodies.problem import HttpError, not_found
from healthsync_mqtt.gateway.event_log.pages import MOST
from healthsync_mqtt.gateway.event_log.place import SealedPlaces
from healthsync_mqtt.gateway.event_log.shares import Shares
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.stores.log_pool import LogPool
from healthsync_mqtt.identity.people.names import ALL, EVERY
from healthsync_mqtt.model.catalogue import resolve
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.model.sync_token import SyncTokenError
from healthsync_mqtt.model.times import micros
from healthsync_mqtt.storage.changes import ChangesAsked, ChangesPage, changes
from healthsync_mqtt.topics.access import bound, grant_of

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

    async def changes(self, caller: Caller, user: str | None, token: str | None, limit: int) -> ChangesPage:
        """What was stored behind a token. HttpError 400 for one that is not for this question, 410 for an old one."""
        principal = caller.principal
        users = ",".join(sorted(bound(principal, "user") or ("*",))) if user is None else ""
        of = users or ("own" if principal.role is Role.device else "")
        asked = ChangesAsked(
            user=user,
            grant=grant_of(principal, of=of + self.shares.granted(caller)),
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


def types_of(names: Iterable[str]) -> str | list[str]:
    """The types that are named: names or aliases, and ``all`` or ``*`` for the general ones. HttpError 400."""
    found = {EVERY if name in ALL else str(type_of(name)) for name in names}
    return EVERY if found == {EVERY} else sorted(found)


def one_user(caller: Caller, asked: str | None) -> str | None:
    """The one user that is asked for, or the only one that the caller may read; None: several. HttpError 404."""
    users = bound(caller.principal, "user")
    if asked is None:
        return next(iter(users)) if users is not None and len(users) == 1 else None
    if users is not None and asked not in users:
        raise not_found()
    return asked
