"""A collector of OpenTelemetry as OTLP/HTTP documents it: ``POST /v1/traces`` with JSON, and 400 for all else.

What a request may have is opentelemetry-proto's ``ExportTraceServiceRequest`` in the JSON mapping of OTLP: ids in lower
hexadecimal, kinds and codes as numbers, integers of 64 bits as texts. ``script`` holds what is answered next.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.loopback import served

_FIELDS = {
    "traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano", "attributes", "status",
}  # fmt: skip


@dataclass(frozen=True)
class SeenSpan:
    """One span as the collector has read it."""

    trace: str
    id: str
    parent: str
    name: str
    kind: int
    start: int
    end: int
    attributes: dict[str, Any]
    failed: bool
    service: str


@dataclass
class OtlpDouble:
    """What came, and what is answered."""

    spans: list[SeenSpan] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    script: list[tuple[int, bytes]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    endpoint: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def named(self, name: str) -> list[SeenSpan]:
        return [each for each in list(self.spans) if each.name == name]


@contextmanager
def collector() -> Iterator[OtlpDouble]:
    double = OtlpDouble()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with double.lock:
                double.bodies.append(body)
                status, answer = double.script.pop(0) if double.script else (200, b"{}")
                if status == 200:
                    try:
                        assert self.path == "/v1/traces", self.path
                        assert self.headers["Content-Type"] == "application/json"
                        double.spans += _spans(json.loads(body))
                    except (AssertionError, ValueError, KeyError, TypeError) as error:
                        double.refused.append(f"{type(error).__name__}: {error}")
                        status, answer = 400, b'{"code": 3}'
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with served(Handler) as url:
        double.endpoint = f"{url}/v1/traces"
        yield double


def _spans(request: dict[str, Any]) -> Iterator[SeenSpan]:
    assert set(request) == {"resourceSpans"}
    for of_resource in request["resourceSpans"]:
        assert set(of_resource) == {"resource", "scopeSpans"}
        service = _attributes(of_resource["resource"]["attributes"])["service.name"]
        for of_scope in of_resource["scopeSpans"]:
            assert set(of_scope) == {"scope", "spans"}
            assert isinstance(of_scope["scope"]["name"], str)
            for each in of_scope["spans"]:
                yield _span(each, service)


def _span(said: dict[str, Any], service: str) -> SeenSpan:
    assert set(said) <= _FIELDS, set(said) - _FIELDS
    start, end = _nanos(said["startTimeUnixNano"]), _nanos(said["endTimeUnixNano"])
    assert start <= end
    assert said["kind"] in range(1, 6)
    assert isinstance(said["name"], str)
    assert said["name"]
    return SeenSpan(
        trace=_hex(said["traceId"], 32),
        id=_hex(said["spanId"], 16),
        parent=_hex(said["parentSpanId"], 16) if "parentSpanId" in said else "",
        name=said["name"],
        kind=said["kind"],
        start=start,
        end=end,
        attributes=_attributes(said["attributes"]),
        failed=said.get("status", {}).get("code") == 2,
        service=service,
    )


def _hex(text: Any, digits: int) -> str:
    assert re.fullmatch(rf"[0-9a-f]{{{digits}}}", text), text
    assert text.strip("0")
    return str(text)


def _nanos(text: Any) -> int:
    assert isinstance(text, str)
    assert text.isdecimal()
    return int(text)


def _attributes(said: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in said:
        assert set(each) == {"key", "value"}
        ((kind, value),) = each["value"].items()
        assert kind in {"stringValue", "intValue"}
        assert isinstance(value, str)
        assert each["key"] not in found
        found[each["key"]] = int(value) if kind == "intValue" else value
    return found
