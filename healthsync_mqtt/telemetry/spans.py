"""Spans of OpenTelemetry: what one step of a request or of an event's way took, and what caused it. Pure.

A context crosses borders as W3C's ``traceparent``, version 00. Spans are written as OTLP's JSON: ids in hexadecimal,
integers of 64 bits as texts. What a span may say of itself is ``ATTRIBUTES`` and nothing else: never who, never what
was measured.
"""

import json
import random
import re
import secrets
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple

PROPERTY: Final = "traceparent"
"""The user property of MQTT 5, and the header of HTTP."""
LONGEST: Final = 256
"""Characters of one that is looked at."""
ATTRIBUTES: Final = frozenset({
    "http.request.method",
    "http.route",
    "http.response.status_code",
    "error.type",
    "messaging.system",
    "healthsync.events",
    "healthsync.events.stored",
    "healthsync.events.duplicate",
    "healthsync.events.rejected",
    "healthsync.sink.kind",
})  # fmt: skip

_TRACEPARENT: Final = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_SAMPLED: Final = 1
_FAILED: Final = 2
"""``STATUS_CODE_ERROR``."""


class SpanKind(IntEnum):
    """As OTLP numbers them."""

    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


class SpanContext(NamedTuple):
    """What the next step needs to know of this one. ``sampled``: it is told, and so is what it causes."""

    trace_id: str
    span_id: str
    sampled: bool

    @property
    def traceparent(self) -> str:
        """As it is sent on."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


CURRENT: Final[ContextVar[SpanContext | None]] = ContextVar("healthsync_span", default=None)
"""The span that this task works for, where spans are made at all."""


def parse_traceparent(text: str) -> SpanContext | None:
    """What a ``traceparent`` says; None: nothing that is one."""
    found = _TRACEPARENT.fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if (more and version == "00") or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return SpanContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def begun(parent: SpanContext | None, ratio: float) -> SpanContext:
    """The context of a new span: of its parent's trace, or of a new one that is told as often as ``ratio`` says."""
    if parent is not None:
        return parent._replace(span_id=secrets.token_hex(8))
    return SpanContext(secrets.token_hex(16), secrets.token_hex(8), chosen(ratio))


def chosen(ratio: float) -> bool:
    """Whether a trace that begins here is told."""
    return random.random() < ratio  # noqa: S311  # nothing secret


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanData:
    """One step, which is over. Times are microseconds since 1970."""

    context: SpanContext
    parent: SpanContext | None
    name: str
    kind: SpanKind
    start_us: int
    end_us: int
    attributes: Mapping[str, str | int]
    failed: bool = False

    def __post_init__(self) -> None:
        assert ATTRIBUTES.issuperset(self.attributes)


def encoded(spans: Sequence[SpanData], service: str, version: str) -> bytes:
    """A request of OTLP/HTTP with these spans (``ExportTraceServiceRequest`` as JSON)."""
    resource = {"attributes": _attributes({"service.name": service, "service.version": version})}
    scope = {"scope": {"name": "healthsync", "version": version}, "spans": [_span(each) for each in spans]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}).encode()


def _span(span: SpanData) -> dict[str, Any]:
    said: dict[str, Any] = {
        "traceId": span.context.trace_id,
        "spanId": span.context.span_id,
        "name": span.name,
        "kind": span.kind.value,
        "startTimeUnixNano": str(span.start_us * 1000),
        "endTimeUnixNano": str(max(span.start_us, span.end_us) * 1000),
        "attributes": _attributes(span.attributes),
    }
    if span.parent is not None:
        said["parentSpanId"] = span.parent.span_id
    if span.failed:
        said["status"] = {"code": _FAILED}
    return said


def _attributes(values: Mapping[str, str | int]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in values.items()
    ]
