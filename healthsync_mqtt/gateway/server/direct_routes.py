"""Routes that many requests a second come for are called without what stands between the framework and a route.

Matching all routes, a stack of exits and solving dependencies anew cost as much as what is done for a small request. A
route is called here with what it was declared with: its rules first, and its own function with what they answered. What
such a route may not have, a parameter of its path, query or body, is refused when the application is made.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from healthsync_mqtt.errors import HealthSyncError

DIRECT: Final = frozenset({"/v1/events", "/sync/events"})
"""Paths of routes that devices send to all day."""

Failure = Callable[[Request, Exception], Awaitable[Response | None]]


class Direct:
    """An application in front of another one: requests for these routes never get to that."""

    def __init__(self, app: ASGIApp, served: Iterable[APIRoute], refused: Failure, failed: Failure) -> None:
        """``refused`` answers our own errors, ``failed`` what is a defect."""
        self.app = app
        self._refused = refused
        self._failed = failed
        self._routes = {
            (method, each.path): _DirectRoute(each)
            for each in served
            if each.path in DIRECT
            for method in each.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            await self.app(scope, receive, send)
            return
        scope["route"] = route.declared
        request = Request(scope, receive)
        failure: Exception | None = None
        answer: Response | None
        try:
            answer = await route.called(request)
        except HealthSyncError as error:
            answer = await self._refused(request, error)
        except Exception as error:  # noqa: BLE001  # as the framework does: answered, and raised for the server's log
            failure, answer = error, await self._failed(request, error)
        assert answer is not None
        await answer(scope, receive, send)
        if failure is not None:
            raise failure


class _DirectRoute:
    """One route, taken apart once."""

    def __init__(self, declared: APIRoute) -> None:
        #: as it stands in the document
        self.declared = declared
        self._rules = [_rule(each) for each in declared.dependant.dependencies]
        own = declared.dependant
        assert own.call is not None
        self._call: Callable[..., Awaitable[Response]] = own.call
        self._request = own.request_param_name
        if _asks(own) or own.websocket_param_name or own.http_connection_param_name:
            raise TypeError(f"{declared.path} has parameters, so it cannot be called directly")

    async def called(self, request: Request) -> Response:
        """What the route answers. Its rules refuse before it is called."""
        known: dict[str, Any] = {} if self._request is None else {self._request: request}
        for name, rule in self._rules:
            found = await rule(request)
            if name is not None:
                known[name] = found
        return await self._call(**known)


def _rule(dependant: Dependant) -> tuple[str | None, Callable[[Request], Awaitable[Any]]]:
    if dependant.call is None or dependant.dependencies or _asks(dependant) or not _takes_connection(dependant):
        raise TypeError(f"{dependant.call} is no rule that takes a request alone, so it cannot be called directly")
    return dependant.name, dependant.call


def _takes_connection(dependant: Dependant) -> bool:
    return dependant.http_connection_param_name is not None or dependant.request_param_name is not None


def _asks(dependant: Dependant) -> bool:
    """Whether something of the request has to be read for it."""
    return bool(
        dependant.path_params
        or dependant.query_params
        or dependant.header_params
        or dependant.cookie_params
        or dependant.body_params
    )
