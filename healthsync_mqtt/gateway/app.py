"""The application: routes with their rules, what stands around every request, and how an error is told."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable
from time import monotonic, perf_counter
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI
from fastapi.exceptions import RequestValidationError, ValidationException, WebSocketRequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from healthsync_mqtt import __version__
from healthsync_mqtt.errors import HealthSyncError, UnavailableError
from healthsync_mqtt.gateway.bodies.deprecation import ANSWER_HEADERS
from healthsync_mqtt.gateway.bodies.own_headers import own_headers
from healthsync_mqtt.gateway.bodies.problem import HttpError, problem
from healthsync_mqtt.gateway.document.openapi import document
from healthsync_mqtt.gateway.document.page import POLICY, page
from healthsync_mqtt.gateway.login.rules import Anybody
from healthsync_mqtt.gateway.server.direct_routes import Direct
from healthsync_mqtt.gateway.server.forwarding import Forwarding
from healthsync_mqtt.gateway.server.head_requests import HeadRequests, answers_head
from healthsync_mqtt.gateway.server.spans import RequestSpan, RequestSpans
from healthsync_mqtt.gateway.server.traffic import Traffic
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.notices import Notices
from healthsync_mqtt.telemetry.spans import CURRENT

log = get_logger("gateway")

_BEGINNINGS: Final = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
_SWITCHED: Final = 101
"""The status by which a WebSocket is opened."""
_REFUSAL: Final = "refusal"
_ENDING: Final = HttpError(
    503, "unavailable", "the gateway ends", hint="send the same again after Retry-After", retry_after_s=1.0
)
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def application(
    routers: Iterable[APIRouter],
    anybody: Anybody,
    traffic: Traffic,
    spans: RequestSpans | None = None,
    forwarding: Forwarding | None = None,
) -> ASGIApp:
    """The ASGI application of these routes, and of the document of them. Nothing else is served."""
    app = routed(routers, anybody)
    served = Direct(HeadRequests(app, app.state.served), app.state.served, app.state.failures.told, _defect)
    return Surroundings(served, traffic, spans, forwarding)


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    for_anybody = {
        (route.path_format, method.lower())
        for route in app.state.served
        for method in route.methods
        if any(isinstance(each.call, Anybody) for each in route.dependant.dependencies)
    }
    return document(app.openapi(), for_anybody)


def routed(routers: Iterable[APIRouter], anybody: Anybody) -> FastAPI:
    """The same without what stands around it."""
    app = FastAPI(
        title="HealthSync",
        version=__version__,
        summary="Health data in and out over HTTP.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # its spans have paths, which hold names
    )
    served: list[APIRoute] = []
    for router in routers:
        app.include_router(router)
        served += [each for each in router.routes if isinstance(each, APIRoute)]
    app.state.served = served

    @app.get("/v1/openapi.json", include_in_schema=False)
    async def openapi(_: Annotated[None, Depends(anybody)]) -> JSONResponse:
        return JSONResponse(described(app), headers={"Cache-Control": "public, max-age=3600"})

    pages: list[bytes] = []

    @app.get("/docs", include_in_schema=False)
    async def docs(_: Annotated[None, Depends(anybody)]) -> Response:
        if not pages:
            pages.append(page(described(app)))
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "public, max-age=3600"}
        return Response(pages[0], media_type="text/html", headers=headers)

    served += [each for each in app.router.routes if isinstance(each, APIRoute)]
    app.state.failures = Failures()
    app.add_exception_handler(HealthSyncError, app.state.failures.told)
    app.add_exception_handler(HTTPException, _theirs)
    app.add_exception_handler(RequestValidationError, _unreadable)  # type: ignore[arg-type]  # of WebSockets below
    app.add_exception_handler(WebSocketRequestValidationError, _unreadable)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, _defect)
    app.router.default = _nowhere
    return app


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    """No path of ours, for WebSockets too: without this they are closed without a word."""
    del scope, receive, send
    raise HttpError(404, "not_found", "there is nothing here")


class Surroundings:
    """What every request gets: its client, an id, headers by which a browser trusts little, a place in the counts."""

    def __init__(
        self,
        app: ASGIApp,
        traffic: Traffic,
        spans: RequestSpans | None = None,
        forwarding: Forwarding | None = None,
    ) -> None:
        self.app = app
        self._forwarding = forwarding
        self._spans = spans
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        request_id = _id_of(scope)
        if self._forwarding is not None and scope.get("client"):
            peer, port = scope["client"]
            scope["client"] = (self._forwarding.client_of(peer, scope["headers"]), port)
        scope.setdefault("state", {})["request_id"] = request_id
        tls = scope.get("scheme") in {"https", "wss"}
        began = perf_counter()
        span = None
        if self._spans is not None:
            span = self._spans.begun(scope["headers"])
            CURRENT.set(span.context)
        own = own_headers(request_id, tls=tls)

        begun = False

        async def answered(message: Message) -> None:
            nonlocal begun
            also = scope["state"].get(ANSWER_HEADERS, [])
            if message["type"] in _BEGINNINGS:
                begun = True
                self._count(scope, message, perf_counter() - began, span)
            if message["type"] == "websocket.accept" and also:
                message = {**message, "headers": [*message.get("headers", ()), *also]}
            elif message["type"] in {"http.response.start", "websocket.http.response.start"}:
                said = [*message.get("headers", ()), *also]
                names = {name.lower() for name, _ in said}
                message = {**message, "headers": said + [each for each in own if each[0] not in names]}
            await send(message)

        try:
            await self.app(scope, receive, answered)
        except asyncio.CancelledError:
            if begun or scope["type"] != "http":
                raise
            # The server ends and waits no longer. What was sent may be stored or not: the next one is to be asked.
            scope["state"][_REFUSAL] = _ENDING.word
            await problem(_ENDING, request_id)(scope, receive, answered)

    def _count(self, scope: Scope, message: Message, seconds: float, span: RequestSpan | None) -> None:
        route = str(getattr(scope.get("route"), "path_format", ""))
        method, status = scope.get("method", "GET"), message.get("status", _SWITCHED)
        self._traffic.answered(method, route, status, seconds)
        refusal = scope["state"].get(_REFUSAL, "")
        if refusal:
            self._traffic.refused(refusal)
        if span is not None:
            span.answered(scope["state"], method, route, status, refusal)


def _id_of(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(text := value.decode("latin-1")):
            return str(text)
    return secrets.token_hex(8)


Handler = Callable[[Request, Exception], Awaitable[Response]]


def _request_id(request: HTTPConnection) -> str:
    return str(getattr(request.state, "request_id", ""))


def _problem(error: HttpError, request: HTTPConnection) -> Response:
    request.scope["state"][_REFUSAL] = error.word
    return problem(error, _request_id(request))


class Failures:
    """What could not be done is told to whoever asked each time, and in the log the first time and now and then."""

    def __init__(self) -> None:
        self._notices = Notices()

    async def told(self, request: HTTPConnection, error: Exception) -> Response | None:
        """The problem, of WebSockets, too."""
        assert isinstance(error, HealthSyncError)
        if not isinstance(error, HttpError):
            status = 503 if isinstance(error, UnavailableError) else 500
            left_out = self._notices.due((type(error), error.reason), monotonic())
            if left_out is not None:
                log.error("gateway.request_failed", error=error, request_id=_request_id(request), left_out=left_out)
            again_s = 5.0 if status == 503 else None
            error = HttpError(status, error.reason, "this could not be done here", retry_after_s=again_s)
        return await _answered(error, request)


async def _answered(error: HttpError, request: HTTPConnection) -> Response | None:
    """The problem; a WebSocket that was not opened is told it here."""
    answer = _problem(error, request)
    if isinstance(request, WebSocket):
        await request.send_denial_response(answer)
        return None
    return answer


async def _theirs(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words: dict[int, tuple[str, str]] = {
        404: ("not_found", "there is nothing here"),
        405: ("method", "this path does not take that method"),
    }
    word, said = words.get(error.status_code, ("refused", "the request was refused"))
    answer = _problem(HttpError(error.status_code, word, said), request)
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    if error.status_code == 405:
        answer.headers["Allow"] = ", ".join(_methods(request))
    return answer


def _methods(request: Request) -> list[str]:
    """What the path takes, by all of its routes: each of them knows its own methods only.

    A path that is written out is not one of those that it also looks like.
    """
    path = request.scope["path"]
    found: dict[str, set[str]] = {}
    for each in request.app.state.served:
        if each.path_regex.match(path):
            found.setdefault(each.path, set()).update(each.methods, {"HEAD"} if answers_head(each) else ())
    return sorted(found.get(path) or set().union(*found.values()))


async def _unreadable(request: HTTPConnection, error: Exception) -> Response | None:
    assert isinstance(error, ValidationException)
    found: list[Any] = [
        {"field": ".".join(str(part) for part in each["loc"][1:]), "message": each["msg"]} for each in error.errors()
    ]
    said = HttpError(400, "bad_input", "a parameter cannot be read", hint="see errors", extra={"errors": found})
    return await _answered(said, request)


async def _defect(request: Request, error: Exception) -> Response:
    log.error("gateway.defect", kind=type(error).__name__, request_id=_request_id(request))
    return _problem(HttpError(500, "failed", "this failed here"), request)
