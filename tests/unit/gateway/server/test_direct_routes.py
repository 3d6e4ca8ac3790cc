"""Routes that are called directly answer as they do through the framework, and refuse what they cannot serve."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, cast

import pytest
from fastapi import APIRouter, Depends
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.gateway.app import Surroundings, application, routed
from healthsync_mqtt.gateway.bodies.deprecation import Outdated
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.login.callers import Callers
from healthsync_mqtt.gateway.login.rules import Anybody
from healthsync_mqtt.gateway.server import direct_routes
from healthsync_mqtt.gateway.server.traffic import Traffic

ANYBODY = Anybody(cast("Callers", None))


@dataclass(frozen=True)
class Named:
    """A rule that knows who is calling by a header."""

    async def __call__(self, request: HTTPConnection) -> str:
        name = request.headers.get("name", "")
        if not name:
            raise HttpError(401, "no_credentials", "there are no credentials")
        return name


def router(fails: Exception | None = None) -> APIRouter:
    made = APIRouter()

    @made.post("/v1/events", dependencies=[Depends(Outdated("/v2/events"))])
    async def events(request: Request, caller: Annotated[str, Depends(Named())]) -> Response:
        if fails is not None:
            raise fails
        return Response(f"{caller}: {len(await request.body())}", media_type="text/plain")

    return made


def asked(
    app: Any, path: str = "/v1/events", method: str = "POST", **headers: str
) -> list[tuple[int, dict[str, str], bytes]]:
    """What is answered, and the error that is raised after it."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"12345", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    said = [(name.encode(), value.encode()) for name, value in (headers | {"x-request-id": "the-id"}).items()]
    scope = {"type": "http", "method": method, "path": path, "headers": said, "query_string": b"", "scheme": "http"}
    try:
        asyncio.run(app(scope | {"root_path": "", "http_version": "1.1"}, receive, send))
    except ValueError as error:
        sent.append({"raised": str(error)})
    return sent


FAILURES: list[Exception | None] = [
    None,
    HttpError(429, "too_many", "too fast", retry_after_s=3.0),
    UnavailableError("away", hint="wait"),
    ValueError("a defect"),
]


@pytest.mark.parametrize("fails", FAILURES, ids=repr)
@pytest.mark.parametrize("name", ["", "alice"])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_the_same_as_through_the_framework(
    fails: Exception | None, name: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"name": name} if name else {}
    directly, through = Traffic(), Traffic()
    told = asked(application([router(fails)], ANYBODY, directly), method=method, **headers)
    assert told == asked(Surroundings(routed([router(fails)], ANYBODY), through), method=method, **headers)
    counts = directly.told()["answers"]
    assert counts == through.told()["answers"]
    assert len(told) >= 2


def test_a_route_is_really_called_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    was: Callable[..., Any] = direct_routes._DirectRoute.called

    def called_directly(route: Any, request: Request) -> Any:
        called.append(route.declared.path)
        return was(route, request)

    monkeypatch.setattr(direct_routes._DirectRoute, "called", called_directly)
    asked(application([router()], ANYBODY, Traffic()), name="alice")
    assert called == ["/v1/events"]


def test_a_route_with_parameters_is_refused_when_the_application_is_made() -> None:
    asks, rule = APIRouter(), APIRouter()

    @asks.post("/v1/events")
    async def events(limit: int) -> Response:
        return Response(str(limit))

    async def by_query(limit: int) -> int:
        return limit

    @rule.post("/v1/events")
    async def ruled(limit: Annotated[int, Depends(by_query)]) -> Response:
        return Response(str(limit))

    for each in (asks, rule):
        with pytest.raises(TypeError, match="cannot be called directly"):
            application([each], ANYBODY, Traffic())
