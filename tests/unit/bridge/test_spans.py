"""Which stored event is of which trace, and for how long that is known."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge import spans
from bridge.ports import Commit
from bridge.spans import EventSpans
from healthsync_mqtt.telemetry.span_export import SpanExport
from healthsync_mqtt.telemetry.spans import SpanData, parse_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE}-{SPAN}-01"


def following(ratio: float = 0) -> tuple[EventSpans, list[SpanData]]:
    told: list[SpanData] = []
    return EventSpans(cast("SpanExport", SimpleNamespace(add=told.append)), ratio, clock_us=lambda: 9_000), told


def commit(seqs: Sequence[int], traceparent: str = SAMPLED) -> Commit:
    outcome: Any = SimpleNamespace(
        delivery=SimpleNamespace(traceparent=traceparent), decoded=SimpleNamespace(rejections=[1]), seqs=seqs
    )
    return Commit(max(seqs), [outcome], at_us=5_000, took_s=0.001)


def test_a_commit_takes_from_its_request_until_it_is_durable() -> None:
    following_, told = following()
    following_.committed(commit([7, 0, 8]))
    (span,) = told
    assert (span.start_us, span.end_us) == (4_000, 5_000)
    assert dict(span.attributes) == {
        "messaging.system": "mqtt",
        "healthsync.events.stored": 2,
        "healthsync.events.duplicate": 1,
        "healthsync.events.rejected": 1,
    }


@pytest.mark.parametrize(
    ("traceparent", "ratio", "count"), [("", 0, 0), ("", 1, 1), ("nonsense", 0, 0), ("nonsense", 1, 1)]
)
def test_without_a_trace_a_share_begins_one(traceparent: str, ratio: float, count: int) -> None:
    following_, told = following(ratio)
    following_.committed(commit([1], traceparent))
    assert len(told) == count
    assert all(each.parent is None and each.context.trace_id != TRACE for each in told)


def test_what_follows_is_of_the_same_trace_and_of_others_nothing_is_known() -> None:
    following_, told = following()
    following_.committed(commit([7, 8]))
    following_.committed(commit([9], f"00-{TRACE}-{SPAN}-00"))
    context = parse_traceparent(following_.published(8))
    assert context is not None
    assert context.trace_id == TRACE
    assert following_.published(9) == ""
    following_.shipped("file", 6, 9)
    following_.shipped("file", 9, 9)
    following_.shipped("file", 9, 12)
    assert [each.name for each in told] == ["commit events", "publish canonical event", "write to sink"]
    assert told[1].context == context
    assert [each.parent for each in told[1:]] == [told[0].context] * 2
    assert told[2].attributes["healthsync.events"] == 2


def test_only_the_last_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "_MOST_KNOWN", 3)
    following_, _ = following()
    following_.committed(commit([1, 2, 3, 4]))
    assert [bool(following_.published(seq)) for seq in (1, 2, 3, 4)] == [False, True, True, True]
