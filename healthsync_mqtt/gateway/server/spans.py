"""Requests as spans: whose trace a request belongs to, and what it was answered with. Routes, never paths."""

import time
from collections.abc import Callable
from typing import Any, Final

from healthsync_mqtt.telemetry.span_export import SpanExport
from healthsync_mqtt.telemetry.spans import PROPERTY, SpanContext, SpanData, SpanKind, begun, chosen, parse_traceparent

_HEADER: Final = PROPERTY.encode()
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CALLER: Final = "caller"
"""Where a rule leaves who is calling."""


class RequestSpan:
    """One request. ``context`` is what is sent on."""

    __slots__ = ("_chosen", "_parent", "_spans", "_start_us", "context")

    def __init__(self, spans: "RequestSpans", parent: SpanContext | None, ratio: float, start_us: int) -> None:
        self._spans = spans
        self._parent = parent
        self._chosen = chosen(ratio) if parent is not None else False
        self._start_us = start_us
        self.context = begun(parent, ratio)

    def answered(self, state: dict[str, Any], method: str, route: str, status: int, refusal: str) -> None:
        """The answer begins. Of a stranger it counts for nothing that its trace is to be told."""
        stranger = self._parent is not None and state.get(_CALLER) is None
        if not (self._chosen if stranger else self.context.sampled):
            return
        method, route = method if method in _METHODS else "_OTHER", route or "none"
        said: dict[str, str | int] = {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
        }
        if refusal:
            said["error.type"] = refusal
        self._spans.export.add(
            SpanData(
                context=self.context,
                parent=self._parent,
                name=f"{method} {route}",
                kind=SpanKind.SERVER,
                start_us=self._start_us,
                end_us=self._spans.clock_us(),
                attributes=said,
                failed=status >= 500,
            )
        )


class RequestSpans:
    """Makes a span of each request whose trace is told."""

    def __init__(
        self, export: SpanExport, ratio: float, *, clock_us: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> None:
        """``ratio`` is the share of requests without a trace that begin one."""
        self.export = export
        self.clock_us = clock_us
        self._ratio = ratio

    def begun(self, headers: "list[tuple[bytes, bytes]]") -> RequestSpan:
        """A request has come."""
        said = [value for name, value in headers if name == _HEADER]
        parent = parse_traceparent(said[0].decode("latin-1")) if len(said) == 1 else None
        return RequestSpan(self, parent, self._ratio, self.clock_us())
