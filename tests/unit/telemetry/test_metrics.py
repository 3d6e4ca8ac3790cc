"""The exposition: its format, every counter in it, figures that balance, and nobody's name in a label."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.telemetry import metrics
from healthsync_mqtt.telemetry.counters import COMMIT_BOUNDS_S, Counters
from healthsync_mqtt.telemetry.metrics import METRICS, Metric, MetricKind, MetricValue, exposition

LINE = re.compile(r'^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)+)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\[\\"n])*)"')
UNEXPORTED = {
    "connections_refused": "the sum of connections_refused_total",
    "rejected_by_reason": "its parts are",
    "refused_by_reason": "its parts are",
    "tls_failures": "its parts are",
}
CANARY = "canary-of-alice"
SINK = {
    "sink": "home",
    "state": "shipping",
    "lag": 9,
    "refused_lines": 1,
    "since_start": {"points": 5, "failures": 2},
}


def report(counters: Counters | None = None, **more: Any) -> dict[str, Any]:
    return {
        "version": "0.1.0",
        "uptime_s": 12.5,
        "head": 7,
        "broker": {"mode": "embedded", "connected": True},
        "journal": {"working": True, "commit_running_s": 0.0},
        "storage": {
            "wal_bytes": 4096,
            "checkpoint_failures": 0,
            "pages_behind": 0,
            "anchor_failing": False,
            "quarantine_evicted": 4,
        },
        "counters": (counters or Counters()).snapshot(),
        "connections": 2,
        "subscriber_lag": 3,
        "limited": [{"user": CANARY, "device": CANARY}],
        "over_daily_limit": [{"user": CANARY}],
        "tasks_down": ["keys", "revocations"],
        "certificates": {"ca": 2_000_000_000.0, "server": 1_900_000_000.5, "clients": 4, "clients_ending": 1},
        "sinks": [
            SINK,
            {"sink": "broken", "state": "failed", "message": CANARY},
        ],
        **more,
    }


def read(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Samples by name and labels, by a parser of its own."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = LINE.match(line)
            assert match, line
            key = (match[1], tuple(LABEL.findall(match[2] or "")))
            assert key not in found
            found[key] = float(match[3])
    return found


def total(samples: dict[Any, float], name: str) -> float:
    return sum(value for (found, _), value in samples.items() if found == name)


def test_the_format() -> None:
    text = exposition(report())
    assert text.endswith("\n")
    assert text.startswith(
        "# HELP healthsync_build_info 1; the version, and whether the broker is embedded or external.\n"
        "# TYPE healthsync_build_info gauge\n"
        'healthsync_build_info{version="0.1.0",broker_mode="embedded"} 1\n'
    )
    samples = read(text)
    assert samples["healthsync_certificate_expiry_timestamp_seconds", (("role", "server"),)] == 1_900_000_000.5
    assert samples["healthsync_sink_lag_events", (("sink", "home"),)] == 9
    assert samples["healthsync_sink_state", (("sink", "broken"), ("state", "failed"))] == 1
    assert total(samples, "healthsync_sink_state") == 2
    assert "healthsync_last_commit_timestamp_seconds" not in text


@given(st.text())
def test_a_label_stays_one_label_whatever_is_in_it(name: str) -> None:
    line = metrics._line("x", Metric("x", MetricKind.GAUGE, "", lambda _: (), ("sink",)), MetricValue(1.5, (name,)))
    assert "\n" not in line
    key, quoted = LABEL.findall(line)[0]
    unescaped = re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), quoted)
    assert (key, unescaped) == ("sink", name)
    assert line == f'x{{sink="{quoted}"}} 1.5'


def test_help_is_one_line() -> None:
    assert metrics._escaped("a\\b\nc") == "a\\\\b\\nc"


def test_names_follow_the_rules() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert re.fullmatch(r"[a-z][a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is MetricKind.COUNTER), metric.name
        assert metric.help.endswith(".")
        assert "_ms" not in metric.name
        assert "\n" not in metric.help


def test_every_counter_appears() -> None:
    """Each slot raised alone changes the text, but for those that say why they do not."""
    counters = Counters()
    plain = exposition(report(counters))
    for name, value in vars_of(counters).items():
        raised = Counters()
        if isinstance(value, list):
            getattr(raised, name)[0] = 1
        elif isinstance(value, dict):
            continue
        else:
            setattr(raised, name, 1)
        assert (exposition(report(raised)) != plain) == (name not in UNEXPORTED), name


def vars_of(counters: Counters) -> dict[str, Any]:
    return {name: getattr(counters, name) for name in Counters.__slots__ if not name.startswith("_")}


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_there_from_the_start(reason: Reason) -> None:
    key = ("healthsync_events_rejected_total", (("reason", reason.value),))
    assert read(exposition(report()))[key] == 0
    counters = Counters()
    counters.reject(reason.value, 3)
    assert read(exposition(report(counters)))[key] == 3


EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.booleans()), max_size=30)


@given(EVENTS)
def test_both_balances_hold(messages: list[tuple[int, int, int, bool]]) -> None:
    counters = Counters()
    for stored, duplicate, rejected, decided in messages:
        counters.messages_received += 1
        counters.received += stored + duplicate + rejected
        if decided:
            counters.stored += stored
            counters.duplicate += duplicate
            counters.reject(Reason.BAD_ID.value, rejected)
            counters.message(stored=stored > 0, rejected=rejected > 0)
            counters.commit(0.004 * stored, 1)
    samples = read(exposition(report(counters)))
    for unit in ("messages", "events"):
        received = total(samples, f"healthsync_{unit}_received_total")
        processed = total(samples, f"healthsync_{unit}_processed_total")
        assert received == processed + total(samples, f"healthsync_inflight_{unit}")
    rejected = samples["healthsync_events_processed_total", (("outcome", "rejected"),)]
    assert rejected == total(samples, "healthsync_events_rejected_total")
    decided_messages = sum(decided for *_, decided in messages)
    assert total(samples, "healthsync_stage_duration_seconds_count") == decided_messages


def test_the_buckets_of_commits() -> None:
    counters = Counters()
    for seconds in (0.001, 0.002, 0.3, 60.0):
        counters.commit(seconds, 1_795_413_600_250_000)
    samples = read(exposition(report(counters)))
    name = "healthsync_stage_duration_seconds"
    bucket = {labels[1][1]: value for (found, labels), value in samples.items() if found == f"{name}_bucket"}
    assert list(bucket) == [*map(repr, COMMIT_BOUNDS_S), "+Inf"]
    assert list(bucket.values()) == sorted(bucket.values())
    assert (bucket["0.001"], bucket["0.0025"], bucket["0.5"], bucket["10.0"], bucket["+Inf"]) == (1, 2, 3, 3, 4)
    assert samples[f"{name}_sum", (("stage", "commit"),)] == pytest.approx(60.303)
    assert samples["healthsync_last_commit_timestamp_seconds", ()] == pytest.approx(1_795_413_600.25)


def test_what_an_external_bridge_does_not_have_is_left_out() -> None:
    shown = report(broker={"mode": "external", "connected": False})
    for key in ("certificates", "sinks", "limited", "over_daily_limit"):
        del shown[key]
    samples = read(exposition(shown))
    assert samples["healthsync_broker_connected", ()] == 0
    names = {name for name, _ in samples}
    assert not {name for name in names if "certificate" in name or "sink" in name or "devices" in name}


def test_nobody_is_named() -> None:
    """Of the whole report only versions, words of closed sets and names of sinks become text."""
    counters = Counters()
    counters.reject(CANARY)
    counters.refuse_connection(CANARY)
    text = exposition(report(counters))
    assert CANARY not in text
    words = {word for _, labels in read(text) for key, word in labels if key not in {"le", "version", "sink"}}
    closed = {
        *Reason,
        *metrics.OUTCOMES,
        *metrics.CONNECTION_LIMITS,
        *metrics.TLS_FAILURES,
        *metrics.PUBLISH_REFUSALS,
        *metrics.UNSENT,
        *metrics.CERTIFICATE_ROLES,
        *metrics.SINK_STATES,
    }
    assert words <= closed | {"embedded", "commit"}


def test_tasks_that_are_down_are_counted_and_not_named() -> None:
    assert read(exposition(report()))["healthsync_tasks_down", ()] == 2


def test_spans_are_counted_by_process_where_there_are_any() -> None:
    said = report(Counters())
    assert "spans_total{" not in exposition(said)
    found = exposition(
        said
        | {
            "spans": {"exported": 3, "dropped": 1},
            "gateway": {"spans": {"exported": 2, "dropped": 0}, "state": "running"},
        }
    )
    for process, outcome, count in (
        ("service", "exported", 3), ("service", "dropped", 1), ("gateway", "exported", 2), ("gateway", "dropped", 0),
    ):  # fmt: skip
        assert f'healthsync_spans_total{{process="{process}",outcome="{outcome}"}} {count}\n' in found
