"""Spans and their contexts, as W3C and OTLP have them; what a collector does not take is counted, never waited for."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.config.sections import TracingSettings
from healthsync_mqtt.telemetry import span_export
from healthsync_mqtt.telemetry.span_export import Collector, SpanExport
from healthsync_mqtt.telemetry.spans import SpanContext, SpanData, SpanKind, begun, encoded, parse_traceparent
from tests.support.otlp_double import OtlpDouble, collector
from tests.support.patience import until

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
"""Of the standard's own example."""


@pytest.mark.parametrize(
    ("text", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),  # of flags that are not known yet, the known one counts
        (f"cc-{TRACE}-{SPAN}-01", True),  # a version to come
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", True),
    ],
)
def test_what_is_a_traceparent(text: str, sampled: bool) -> None:
    assert parse_traceparent(text) == SpanContext(TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-\u0660\u0661",
        f"cc-{TRACE}-{SPAN}-01-{'x' * 300}",
    ],
)
def test_what_is_none(text: str) -> None:
    assert parse_traceparent(text) is None


@given(st.text())
def test_any_text_is_one_or_none(text: str) -> None:
    found = parse_traceparent(text)
    assert found is None or parse_traceparent(found.traceparent) == found


def test_a_child_stays_in_its_trace_and_is_told_as_its_parent_is() -> None:
    for sampled in (True, False):
        parent = SpanContext(TRACE, SPAN, sampled)
        child = begun(parent, ratio=1 - sampled)
        assert (child.trace_id, child.sampled) == (TRACE, sampled)
        assert child.span_id != SPAN
    assert begun(None, 1).sampled
    assert not begun(None, 0).sampled
    assert begun(None, 1).trace_id != begun(None, 1).trace_id


def span(number: int = 0, **attributes: str | int) -> SpanData:
    return SpanData(
        context=SpanContext(TRACE, f"{number + 1:016x}", True),
        parent=SpanContext(TRACE, SPAN, True),
        name="commit events",
        kind=SpanKind.CONSUMER,
        start_us=1_000_000 + number,
        end_us=1_000_500 + number,
        attributes=attributes or {"healthsync.events": 3},
    )


def test_a_span_says_nothing_that_is_not_listed() -> None:
    with pytest.raises(AssertionError):
        span(user="alice")


def test_the_wire_form() -> None:
    (said,) = json.loads(encoded([span()], "healthsync", "1.0"))["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert said == {
        "traceId": TRACE,
        "spanId": "0000000000000001",
        "parentSpanId": SPAN,
        "name": "commit events",
        "kind": 5,
        "startTimeUnixNano": "1000000000",
        "endTimeUnixNano": "1000500000",
        "attributes": [{"key": "healthsync.events", "value": {"intValue": "3"}}],
    }


def export(double: OtlpDouble, **bounds: float) -> SpanExport:
    return SpanExport(Collector(double.endpoint, "healthsync", "1.0"), every_s=0.01, **bounds)  # type: ignore[arg-type]


async def test_spans_come_to_the_collector_and_what_it_refuses_is_counted() -> None:
    with collector() as double:
        sending = export(double)
        double.script = [(200, b'{"partialSuccess": {"rejectedSpans": "1", "errorMessage": "no"}}'), (400, b"{}")]
        for turn in range(3):
            for number in range(2):
                sending.add(span(10 * turn + number))
            await sending.close()
        assert sending.told() == {"exported": 3, "dropped": 3}
        assert [each.attributes for each in double.spans] == [{"healthsync.events": 3}] * 4
        assert double.refused == []


async def test_a_collector_that_is_away_costs_what_there_is_no_room_for_and_gets_the_rest() -> None:
    with collector() as double:
        double.script = [(503, b""), (429, b"")]
        sending = export(double, most=5)
        for number in range(7):
            sending.add(span(number))
        assert sending.told() == {"exported": 0, "dropped": 2}
        running = asyncio.create_task(sending.run())
        await until(lambda: sending.exported == 5)
        running.cancel()
        assert [each.start for each in double.spans] == [(1_000_000 + number) * 1000 for number in range(5)]
        assert len(double.bodies) == 3


@pytest.mark.parametrize("answer", [b"", b"[]", b"nonsense", b'{"partialSuccess": {"rejectedSpans": -4}}'])
async def test_an_answer_that_says_nothing_of_spans_took_them_all(answer: bytes) -> None:
    with collector() as double:
        double.script = [(200, answer)]
        sending = export(double)
        sending.add(span())
        await sending.close()
        assert sending.told() == {"exported": 1, "dropped": 0}


async def test_the_end_does_not_wait_for_a_collector_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_export, "_LAST_S", 0.05)
    accepted = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accepted.wait()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        sending = SpanExport(Collector(f"http://127.0.0.1:{port}/v1/traces", "healthsync", "1.0"))
        sending.add(span())
        await sending.close()
        accepted.set()
    assert sending.told() == {"exported": 0, "dropped": 1}


async def test_nobody_at_the_endpoint_is_an_outage_and_nothing_else() -> None:
    sending = SpanExport(Collector("http://127.0.0.1:1/v1/traces", "healthsync", "1.0"))
    sending.add(span())
    await sending.close()
    assert sending.told() == {"exported": 0, "dropped": 1}


@pytest.mark.parametrize(
    "endpoint", ["collector:4318", "ftp://collector/v1/traces", "http://", "http://u:p@collector/", "https://c/?key=1"]
)
def test_an_endpoint_is_the_url_of_a_receiver(endpoint: str) -> None:
    with pytest.raises(ValueError, match="OTLP"):
        TracingSettings(endpoint=endpoint)
    assert TracingSettings(endpoint="https://collector.example:4318/v1/traces").sample_ratio == 0.01
