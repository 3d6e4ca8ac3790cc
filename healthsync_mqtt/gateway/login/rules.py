"""Who may use a route: each route has one rule, which is a dependency of the route itself and never of its path's text.

A rule answers with the caller it lets in. What is somebody else's is answered like what does not exist.
"""

import hmac
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from healthsync_mqtt.gateway.bodies.problem import HttpError, not_found
from healthsync_mqtt.gateway.login.callers import Caller, Callers
from healthsync_mqtt.gateway.login.sessions import ACCESS_COOKIE
from healthsync_mqtt.gateway.server.peer import peer_of
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.topics.access import bound
from healthsync_mqtt.topics.grammar import is_id

CSRF_HEADER: Final = "x-csrf-token"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Rule:
    """The root of the rules. Called with the request, it returns who is calling, or refuses."""

    callers: Callers

    async def __call__(self, request: HTTPConnection) -> Any:
        """Who is calling, whoever it is."""
        return await self._caller(request)

    async def _caller(self, request: HTTPConnection) -> Caller:
        known: Caller | None = getattr(request.state, "caller", None)
        if known is None:
            peer = peer_of(request)
            cookie = "" if "authorization" in request.headers else request.cookies.get(ACCESS_COOKIE, "")
            known = await self.callers.caller(request.headers, peer, cookie)
            if known.person is not None:
                expect_own_page(request, self.callers.csrf(known.person))
            request.state.caller = known
        return known


def expect_own_page(request: HTTPConnection, csrf: str) -> None:
    """A request by cookie comes from a page of ours, which browsers alone cannot tell. HttpError 403.

    What changes something repeats the word of the session in a header; a WebSocket, which can set none, names its page.
    """
    if request.scope["type"] == "websocket":
        origin = urlsplit(request.headers.get("origin", ""))
        good = bool(origin.netloc) and origin.netloc == request.headers.get("host", "")
    else:
        said = request.headers.get(CSRF_HEADER, "")
        good = request.scope["method"] in _SAFE or hmac.compare_digest(said.encode(), csrf.encode())
    if not good:
        raise HttpError(
            403, "csrf", "the request does not come from a page of this session", hint=f"repeat {CSRF_HEADER}"
        )


@dataclass(frozen=True)
class Anybody(Rule):
    """Who sends no credentials too: nothing of anybody is told."""

    async def __call__(self, request: HTTPConnection) -> None:
        """Nobody is asked."""


@dataclass(frozen=True)
class Sender(Rule):
    """A device, or an app: for what it sends itself."""

    async def __call__(self, request: HTTPConnection) -> Caller:
        """The device that is calling."""
        caller = await self._caller(request)
        principal = caller.principal
        if principal.role is not Role.device or principal.user is None or principal.device is None:
            raise HttpError(
                403, "not_allowed", "only devices send events", hint="use a device's: healthsync device add USER DEVICE"
            )
        return caller


@dataclass(frozen=True)
class Reader(Rule):
    """Who may read of the user that the route names: the user's own devices, subscribers of the user, admins."""

    async def __call__(self, request: HTTPConnection) -> Caller:
        """Who is calling; 404 for another user's."""
        caller = await self._caller(request)
        user = request.path_params.get("user")
        if user is not None and not may_read_of(caller, str(user)):
            raise not_found()
        return caller


@dataclass(frozen=True)
class Visitor(Rule):
    """A person with a session."""

    async def __call__(self, request: HTTPConnection) -> Caller:
        """The person who is calling."""
        caller = await self._caller(request)
        if caller.person is None:
            raise HttpError(403, "not_allowed", "only people with a session", hint="healthsync user invite USER")
        return caller


@dataclass(frozen=True)
class Owner(Rule):
    """The user that the route names, in a session."""

    async def __call__(self, request: HTTPConnection) -> Caller:
        """The user who is calling; 404 for another one's."""
        caller = await self._caller(request)
        _expect_ids(request)
        if caller.person is None or caller.person.user != request.path_params["user"]:
            raise not_found()
        return caller


@dataclass(frozen=True)
class Keeper(Rule):
    """Who keeps what is a user's: the user that the route names, in a session, and admins."""

    async def __call__(self, request: HTTPConnection) -> Caller:
        """Who is calling; 404 for everybody else."""
        caller = await self._caller(request)
        _expect_ids(request)
        own = caller.person is not None and caller.person.user == request.path_params["user"]
        if not own and caller.principal.role is not Role.admin:
            raise not_found()
        return caller


@dataclass(frozen=True)
class Administrator(Rule):
    """An admin, with a token or in a session."""

    async def __call__(self, request: HTTPConnection) -> Caller:
        """The admin who is calling; 404 for everybody else."""
        caller = await self._caller(request)
        _expect_ids(request)
        if caller.principal.role is not Role.admin:
            raise not_found()
        return caller


@dataclass(frozen=True)
class WebhookKeeper(Rule):
    """Who keeps webhooks: admins all of them, and a subscriber with its token its own."""

    async def __call__(self, request: HTTPConnection) -> Caller:
        """Who is calling; 404 for everybody else."""
        caller = await self._caller(request)
        _expect_ids(request)
        if caller.principal.role is not Role.admin and subscriber_of(caller) is None:
            raise not_found()
        return caller


def subscriber_of(caller: Caller) -> str | None:
    """The name of a subscriber that calls; None: it is somebody else. A person's session is none."""
    principal = caller.principal
    return principal.client_id if principal.role is Role.subscriber and caller.person is None else None


_IDS: Final = ("user", "device", "app", "carer", "name")
"""Parameters of paths that are ids."""


def _expect_ids(request: HTTPConnection) -> None:
    """Nothing has a name that is no id, so there is nothing: 404, as of every name that nobody has."""
    if not all(is_id(str(request.path_params.get(name, "x"))) for name in _IDS):
        raise not_found()


def may_read_of(caller: Caller, user: str) -> bool:
    """Whether anything of this user may be for the caller; which types, each event is asked for."""
    principal = caller.principal
    if caller.is_app or principal.role not in {Role.device, Role.subscriber, Role.admin}:
        return False
    users = bound(principal, "user")
    return users is None or user in users
