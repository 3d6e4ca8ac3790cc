"""Who may use a route: each route has one rule, which is a dependency of the route itself and never of its path's text.

A rule answers with the caller it lets in. What is somebody else's is answered like what does not exist.
"""

from dataclasses import dataclass
from typing import Any

from starlette.requests import HTTPConnection

from healthsync_mqtt.gateway.callers import Caller, Callers
from healthsync_mqtt.gateway.problem import HttpError, not_found
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.topics.access import bound


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
            peer = request.client.host if request.client else ""
            known = request.state.caller = await self.callers.caller(request.headers, peer)
        return known


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


def may_read_of(caller: Caller, user: str) -> bool:
    """Whether anything of this user may be for the caller; which types, each event is asked for."""
    principal = caller.principal
    if caller.is_app or principal.role not in {Role.device, Role.subscriber, Role.admin}:
        return False
    users = bound(principal, "user")
    return users is None or user in users
