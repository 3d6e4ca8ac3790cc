"""HTTP on the loopback address: ``/metrics``, ``/healthz`` (alive) and ``/readyz`` (taking events; else 503).

Requests are parsed by websockets, with its limits on lines and headers. One GET a connection; a connection that is
not done in time is cut, and so is one too many, so that this port cannot use up what devices need.
"""

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, cast

from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from healthsync_mqtt.config.sections import MetricsSettings
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.model.report import ServiceReport
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.metrics import CONTENT_TYPE, exposition

log = get_logger("bridge")

_MOST_CONNECTIONS = 16
_MOST_BYTES = 16_384
_STALLED_S = 10.0

Report = Callable[[], ServiceReport]


def problems(report: ServiceReport) -> list[str]:
    """Why the service is not as it should be: journal_failing, commit_stalled, broker_disconnected, task_down:NAME."""
    found = {
        "journal_failing": not report.journal.working,
        "commit_stalled": report.journal.commit_running_s > _STALLED_S,
        "broker_disconnected": not report.broker.connected,
    }
    return [name for name, so in found.items() if so] + [f"task_down:{name}" for name in report.tasks_down]


def answer(path: str, report: Report) -> Response:
    """The response to a GET of ``path``."""
    match path.partition("?")[0]:
        case "/metrics":
            return _response(HTTPStatus.OK, CONTENT_TYPE, exposition(report().as_json()))
        case "/healthz":
            return _json(HTTPStatus.OK, {"alive": True})
        case "/readyz":
            wrong = problems(report())
            status = HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK
            return _json(status, {"ready": not wrong, "problems": wrong})
        case _:
            return _json(HTTPStatus.NOT_FOUND, {"paths": ["/metrics", "/healthz", "/readyz"]})


def _json(status: HTTPStatus, body: dict[str, Any]) -> Response:
    return _response(status, "application/json", json.dumps(body) + "\n")


def _response(status: HTTPStatus, kind: str, text: str) -> Response:
    body = text.encode()
    headers = Headers(
        {
            "Connection": "close",
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
    )
    return Response(status.value, status.phrase, headers, body)


class Endpoint:
    """The listener, open between ``open`` and ``close`` (or in a ``with``); nothing at all without a port."""

    def __init__(self, settings: MetricsSettings, report: Report, *, patience_s: float = 5.0) -> None:
        self._settings = settings
        self.report = report
        self.patience_s = patience_s
        self.connections: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> str:
        """Listen; returns "address:port", or nothing when there is to be no listener."""
        host, port = self._settings.host, self._settings.port
        if port is None:
            return ""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: _Exchange(self), host, port, backlog=_MOST_CONNECTIONS)
        except OSError as error:
            raise UnavailableError(
                f"cannot listen for metrics: {error.strerror or error}", hint="choose another metrics.port"
            ) from error
        name, found, *_ = self._server.sockets[0].getsockname()
        return f"[{name}]:{found}" if ":" in name else f"{name}:{found}"

    async def close(self) -> None:
        """Stop listening and cut what is open."""
        if self._server is None:
            return
        self._server.close()
        for transport in list(self.connections):
            transport.abort()
        await self._server.wait_closed()
        self._server = None

    async def __aenter__(self) -> Self:
        """Opened; the address is in the log."""
        if address := await self.open():
            log.info("bridge.metrics", address=address)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closed."""
        await self.close()


class _Exchange(asyncio.Protocol):
    """One connection: a request, its response, the end."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._http = ServerProtocol()
        self._received = 0
        self._done = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio's by behaviour and not by class.
        self._transport = cast("asyncio.Transport", transport)
        endpoint = self._endpoint
        if len(endpoint.connections) >= _MOST_CONNECTIONS:
            self._done = True
            self._transport.abort()
        endpoint.connections.add(self._transport)
        self._timer = asyncio.get_running_loop().call_later(endpoint.patience_s, self._transport.abort)

    def connection_lost(self, _: Exception | None) -> None:
        self._timer.cancel()
        self._endpoint.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        if self._done:
            return
        self._received += len(data)
        self._http.receive_data(data)
        requests = [each for each in self._http.events_received() if isinstance(each, Request)]
        if requests:
            self._finish(answer(requests[0].path, self._endpoint.report))
        elif self._http.handshake_exc is not None or self._received > _MOST_BYTES:
            self._finish(_json(HTTPStatus.BAD_REQUEST, {"expected": "GET over HTTP/1.1 without a body"}))

    def _finish(self, response: Response) -> None:
        self._done = True
        self._transport.write(response.serialize())
        self._transport.close()
