"""Requests as spans: whose trace they are of, who decides that it is told, and what is said of an answer."""

from typing import cast

import pytest

from healthsync_mqtt.gateway.server.spans import RequestSpans
from healthsync_mqtt.telemetry.span_export import SpanExport
from healthsync_mqtt.telemetry.spans import SpanData

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Kept:
    """An export that keeps what it is given."""

    def __init__(self) -> None:
        self.spans: list[SpanData] = []

    def add(self, span: SpanData) -> None:
        self.spans.append(span)


def told(
    ratio: float, *said: str, caller: object = "somebody", method: str = "POST", status: int = 200
) -> list[SpanData]:
    kept = Kept()
    spans = RequestSpans(cast("SpanExport", kept), ratio, clock_us=lambda: 7)
    span = spans.begun([(b"host", b"x"), *((b"traceparent", each.encode()) for each in said)])
    span.answered(
        {"caller": caller}, method, "/v1/events" if status != 404 else "", status, "" if status < 400 else "why"
    )
    return kept.spans


def test_a_senders_trace_goes_on_and_the_sender_decides() -> None:
    (span,) = told(0, f"00-{TRACE}-{SPAN}-01")
    assert span.parent is not None
    assert (span.context.trace_id, span.parent.span_id) == (TRACE, SPAN)
    assert told(1, f"00-{TRACE}-{SPAN}-00") == []


def test_a_strangers_wish_counts_for_nothing() -> None:
    assert told(0, f"00-{TRACE}-{SPAN}-01", caller=None) == []
    assert len(told(1, f"00-{TRACE}-{SPAN}-01", caller=None)) == 1
    assert len(told(1, caller=None)) == 1


@pytest.mark.parametrize("said", [(), ("nonsense",), (f"00-{TRACE}-{SPAN}-01",) * 2])
def test_without_one_that_can_be_read_a_trace_begins_here(said: tuple[str, ...]) -> None:
    (span,) = told(1, *said)
    assert span.parent is None
    assert span.context.trace_id != TRACE
    assert told(0, *said) == []


def test_what_is_said_of_an_answer() -> None:
    (span,) = told(1, method="BREW", status=404)
    assert span.name == "_OTHER none"
    assert dict(span.attributes) == {
        "http.request.method": "_OTHER", "http.route": "none", "http.response.status_code": 404, "error.type": "why",
    }  # fmt: skip
    assert not span.failed
    assert told(1, status=503)[0].failed
