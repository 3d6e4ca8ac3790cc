"""The metrics of a service: its report as text in Prometheus' exposition format 0.0.4. Pure.

A label's value comes from a closed set or is a name that the operator chose (of a sink, of a webhook); never a user, a
device, an address or anything a client sent. What a report does not have, such as certificates on an external broker,
is left out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.telemetry.counters import COMMIT_BOUNDS_S

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

OUTCOMES: Final = ("stored", "duplicate", "rejected", "failed")
CONNECTION_LIMITS: Final = (
    "max_connections",
    "connections_per_address",
    "max_unauthenticated",
    "unauthenticated_per_address",
    "handshakes",
    "tls_handshake",
    "origin",
    "wrong_protocol",
    "proxy_header",
)
TLS_FAILURES: Final = (
    "plain_mqtt",
    "plain_http",
    "wrong_ca",
    "certificate_refused",
    "client_certificate",
    "old_tls",
    "timeout",
    "hung_up",
    "other",
)
UNSENT: Final = ("receipt", "rejected", "canonical")
PUBLISH_REFUSALS: Final = ("not_allowed", "packet_too_large")
CERTIFICATE_ROLES: Final = ("ca", "server")
SINK_STATES: Final = ("idle", "shipping", "waiting", "paused", "failed", "hung")

HTTP_BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the buckets that answers of HTTP are counted in by duration, seconds; one more bucket has none."""

Report = Mapping[str, Any]
"""What ``healthsync status --json`` shows of a running service."""


class MetricKind(StrEnum):
    """Types of metrics, in Prometheus' words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class MetricValue(NamedTuple):
    """One value; ``labels`` in the order of the metric's, ``suffix`` for the parts of a histogram."""

    value: float
    labels: tuple[str, ...] = ()
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: its name without the prefix, what it says, its labels and how it is read from a report."""

    name: str
    kind: MetricKind
    help: str
    read: Callable[[Report], Iterable[MetricValue]]
    labels: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """The name that Prometheus sees."""
        return f"healthsync_{self.name}"


def exposition(report: Report) -> str:
    """All metrics of ``report``, in the order of ``METRICS``."""
    return "".join(_family(metric, report) for metric in METRICS)


def _family(metric: Metric, report: Report) -> str:
    name = metric.full_name
    lines = [f"# HELP {name} {_escaped(metric.help)}", f"# TYPE {name} {metric.kind.value}"]
    samples = [_line(name, metric, sample) for sample in metric.read(report)]
    return "\n".join([*lines, *samples, ""]) if samples else ""


def _line(name: str, metric: Metric, sample: MetricValue) -> str:
    names = (*metric.labels, "le") if sample.suffix == "_bucket" else metric.labels
    pairs = ",".join(f'{key}="{_quoted(text)}"' for key, text in zip(names, sample.labels, strict=True))
    return f"{name}{sample.suffix}{'{' + pairs + '}' if pairs else ''} {_number(sample.value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')


def _number(value: float) -> str:
    return repr(int(value)) if value == int(value) else repr(value)


# -- readers


def _at(*path: str, scale: float = 1) -> Callable[[Report], Iterator[MetricValue]]:
    """The figure at ``path``, if the report has it."""

    def read(report: Report) -> Iterator[MetricValue]:
        found: Any = report
        for part in path:
            if part not in found:
                return
            found = found[part]
        yield MetricValue(found * scale if scale != 1 else found)

    return read


def _some(*path: str, scale: float = 1) -> Callable[[Report], Iterator[MetricValue]]:
    """The same; not while it is 0, which means that there is none yet."""
    return lambda report: (sample for sample in _at(*path, scale=scale)(report) if sample.value)


def _each(words: tuple[str, ...], prefix: str = "") -> Callable[[Report], Iterator[MetricValue]]:
    """The counter of each word."""
    return lambda report: (MetricValue(report["counters"][prefix + word], (word,)) for word in words)


def _by_reason(key: str, words: tuple[str, ...]) -> Callable[[Report], Iterator[MetricValue]]:
    """Each word's part of a counter; from the start, so that the first one is seen as a rise."""
    return lambda report: (MetricValue(report["counters"][key].get(word, 0), (word,)) for word in words)


def _length(key: str) -> Callable[[Report], Iterator[MetricValue]]:
    return lambda report: (MetricValue(len(report[each])) for each in (key,) if each in report)


def _sinks(key: str) -> Callable[[Report], Iterator[MetricValue]]:
    """A figure of each sink that has it."""
    return lambda report: (MetricValue(sink[key], (sink["sink"],)) for sink in report.get("sinks", ()) if key in sink)


def _sink_counts(key: str) -> Callable[[Report], Iterator[MetricValue]]:
    return lambda report: (
        MetricValue(sink["since_start"][key], (sink["sink"],))
        for sink in report.get("sinks", ())
        if "since_start" in sink
    )


def _sink_states(report: Report) -> Iterator[MetricValue]:
    for sink in report.get("sinks", ()):
        for state in SINK_STATES:
            yield MetricValue(sink["state"] == state, (sink["sink"], state))


def _certificates(report: Report) -> Iterator[MetricValue]:
    ends = report.get("certificates", {})
    for role in CERTIFICATE_ROLES:
        if ends.get(role):
            yield MetricValue(ends[role], (role,))


def _histogram(label: str, bounds: Iterable[float], buckets: Iterable[int], seconds: float) -> Iterator[MetricValue]:
    below = 0
    for bound, count in zip((*map(repr, bounds), "+Inf"), buckets, strict=True):
        below += count
        yield MetricValue(below, (label, bound), "_bucket")
    yield MetricValue(seconds, (label,), "_sum")
    yield MetricValue(below, (label,), "_count")


def _http(report: Report) -> Mapping[str, Any]:
    found: Mapping[str, Any] = report.get("gateway", {}).get("http", {})
    return found


def _http_requests(report: Report) -> Iterator[MetricValue]:
    for method, route, status, count in _http(report).get("answers", ()):
        yield MetricValue(count, (method, route, str(status)))


def _http_refusals(report: Report) -> Iterator[MetricValue]:
    for reason, count in _http(report).get("refusals", {}).items():
        yield MetricValue(count, (reason,))


def _http_times(report: Report) -> Iterator[MetricValue]:
    for route, seconds, buckets in _http(report).get("times", ()):
        yield from _histogram(route, HTTP_BOUNDS_S, buckets, seconds)


def _gateway_works(report: Report) -> Iterator[MetricValue]:
    if "gateway" in report:
        yield MetricValue(report["gateway"]["state"] == "running")


def _webhooks(key: str) -> Callable[[Report], Iterator[MetricValue]]:
    return lambda report: (
        MetricValue(each[key], (each["webhook"],)) for each in report.get("gateway", {}).get("webhooks", ())
    )


def _spans(report: Report) -> Iterator[MetricValue]:
    for process, told in (("service", report), ("gateway", report.get("gateway", {}))):
        for outcome, count in told.get("spans", {}).items():
            yield MetricValue(count, (process, outcome))


def _build(report: Report) -> Iterator[MetricValue]:
    yield MetricValue(1, (report["version"], report["broker"]["mode"]))


def _commits(report: Report) -> Iterator[MetricValue]:
    counters = report["counters"]
    yield from _histogram("commit", COMMIT_BOUNDS_S, counters["commit_buckets"], counters["commit_seconds"])


_C, _G, _H = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM

# fmt: off
METRICS: Final = (
    Metric("build_info", _G, "1; the version, and whether the broker is embedded or external.",
           _build, ("version", "broker_mode")),
    Metric("uptime_seconds", _G, "Since the start of the service.", _at("uptime_s")),
    Metric("broker_connected", _G, "1 while the bridge is connected with the broker; the embedded one always is.",
           _at("broker", "connected")),
    Metric("tasks_down", _G, "Background tasks that fail or hang; /readyz names them.", _length("tasks_down")),
    Metric("journal_working", _G, "1 while the last commit worked; else events wait and nothing is acknowledged.",
           _at("journal", "working")),
    Metric("commit_running_seconds", _G, "Age of the commit that is under way; 0 between commits.",
           _at("journal", "commit_running_s")),
    Metric("messages_received_total", _C, "Messages with events that came in.", _at("counters", "messages_received")),
    Metric("messages_processed_total", _C, "The same by outcome: stored if any of its events was new, else rejected "
           "if any was, else duplicate; failed: given up without a commit and not acknowledged.",
           _each(OUTCOMES, "messages_"), ("outcome",)),
    Metric("inflight_messages", _G, "Messages with events that have no outcome yet.",
           _at("counters", "messages_in_flight")),
    Metric("events_received_total", _C, "Events that came in.", _at("counters", "received")),
    Metric("events_processed_total", _C, "Events by outcome; failed: given up without a commit, not acknowledged.",
           _each(OUTCOMES), ("outcome",)),
    Metric("events_rejected_total", _C, "Rejected events by reason.",
           _by_reason("rejected_by_reason", tuple(Reason)), ("reason",)),
    Metric("inflight_events", _G, "Events that have no outcome yet.", _at("counters", "in_flight")),
    Metric("commits_total", _C, "Commits of the event log.", _at("counters", "commits")),
    Metric("stage_duration_seconds", _H, "How long a stage took; commit: from its request until it was durable.",
           _commits, ("stage",)),
    Metric("last_commit_timestamp_seconds", _G, "When the last commit was done; nothing before the first.",
           _some("counters", "last_commit_us", scale=1e-6)),
    Metric("log_head_events", _G, "Sequence number of the newest event in the log.", _at("head")),
    Metric("wal_bytes", _G, "Size of the log's write-ahead log, which checkpoints keep small.",
           _at("storage", "wal_bytes")),
    Metric("checkpoint_failures", _G, "Checkpoints of the log that failed one after the other; 0 when the last worked.",
           _at("storage", "checkpoint_failures")),
    Metric("checkpoint_pages_behind", _G, "Pages that the last checkpoint had to leave because a reader holds them.",
           _at("storage", "pages_behind")),
    Metric("anchor_failing", _G, "1 while the file that tells a restored log from this one cannot be written.",
           _at("storage", "anchor_failing")),
    Metric("quarantine_evicted_total", _C, "Refused events that went because the quarantine is full, the oldest first.",
           _at("storage", "quarantine_evicted")),
    Metric("connections", _G, "Sessions that are connected; on an external broker: the bridge's own.",
           _at("connections")),
    Metric("open_connections", _G, "Connections that are open, logged in or not.", _at("counters", "connections")),
    Metric("connections_opened_total", _C, "Connections that were opened.", _at("counters", "connections_opened")),
    Metric("connections_refused_total", _C, "Connections that were turned away, by the limit that was reached.",
           _by_reason("refused_by_reason", CONNECTION_LIMITS), ("limit",)),
    Metric("tls_failures_total", _C, "TLS handshakes that failed, by what the client did.",
           _by_reason("tls_failures", TLS_FAILURES), ("kind",)),
    Metric("logins_refused_total", _C, "Logins that were refused.", _at("counters", "logins_refused")),
    Metric("publishes_refused_total", _C, "Messages on topics that their sender may not publish on.",
           _at("counters", "publishes_refused")),
    Metric("messages_refused_total", _C, "Messages that were acknowledged and went nowhere, by reason.",
           _by_reason("refused_by_reason", PUBLISH_REFUSALS), ("reason",)),
    Metric("messages_unsent_total", _C, "Messages of the bridge that the external broker did not take, by kind.",
           _by_reason("unsent", UNSENT), ("kind",)),
    Metric("subscriptions_refused_total", _C, "Topic filters that were refused.",
           _at("counters", "subscriptions_refused")),
    Metric("devices_limited", _G, "Devices that are slowed down now because they send too fast.", _length("limited")),
    Metric("devices_over_daily_limit", _G, "Devices that sent more events today than is usual.",
           _length("over_daily_limit")),
    Metric("subscriber_lag_events", _G, "Events that the slowest connected subscriber has not been handed yet.",
           _at("subscriber_lag")),
    Metric("subscriber_lag_seconds", _G, "For how long the oldest event that it has not been handed has waited.",
           _at("subscriber_lag_s")),
    Metric("sink_lag_events", _G, "Events that the sink has not taken yet.", _sinks("lag"), ("sink",)),
    Metric("sink_state", _G, "1 for the state that the sink is in, 0 for the others.", _sink_states,
           ("sink", "state")),
    Metric("sink_points_total", _C, "Points that the sink accepted since its process started.",
           _sink_counts("points"), ("sink",)),
    Metric("sink_failures_total", _C, "Requests to the sink that failed since its process started.",
           _sink_counts("failures"), ("sink",)),
    Metric("sink_refused_lines", _G, "Lines that the sink refused for good and that are kept.",
           _sinks("refused_lines"), ("sink",)),
    Metric("gateway_working", _G, "1 while the process of the HTTP gateway serves; nothing where there is none.",
           _gateway_works),
    Metric("gateway_restarts_total", _C, "How often it was started again.", _at("gateway", "restarts")),
    Metric("http_connections", _G, "Open connections of HTTP.", _at("gateway", "connections")),
    Metric("http_connections_refused_total", _C, "Connections of HTTP that were turned away, since its process began.",
           _at("gateway", "connections_refused")),
    Metric("http_logins_refused_total", _C, "Credentials that were refused over HTTP, since its process began.",
           _at("gateway", "logins_refused")),
    Metric("http_requests_total", _C, "Answers by method, route and status, since its process began; a route is its "
           "template, `none` where there is none; 101 is an opened WebSocket.",
           _http_requests, ("method", "route", "status")),
    Metric("http_request_duration_seconds", _H, "How long an answer took to its first byte.", _http_times, ("route",)),
    Metric("http_refused_total", _C, "Answers that were problems, by their reason.", _http_refusals, ("reason",)),
    Metric("http_inflight_bodies", _G, "Bodies of events that wait for their commit.", _at("gateway", "in_flight")),
    Metric("http_streams", _G, "Open streams of live events, by Server-Sent Events and WebSocket.",
           _at("gateway", "streams")),
    Metric("webhook_lag_events", _G, "Events in the log behind the place of the webhook.", _webhooks("lag"),
           ("webhook",)),
    Metric("webhook_failures", _G, "Deliveries to the webhook that failed one after the other.", _webhooks("failures"),
           ("webhook",)),
    Metric("webhook_disabled", _G, "1 while nothing is posted to the webhook any more.", _webhooks("disabled"),
           ("webhook",)),
    Metric("spans_total", _C, "Spans by process and outcome; dropped: the collector was away, slow or refused them.",
           _spans, ("process", "outcome")),
    Metric("certificate_expiry_timestamp_seconds", _G, "When the CA's and the server's certificate end.",
           _certificates, ("role",)),
    Metric("backup_age_seconds", _G, "Age of the newest scheduled backup; before the first: since the service started.",
           _at("backup", "age_s")),
    Metric("backup_failures", _G, "Scheduled backups that failed one after the other; 0 when the last one worked.",
           _at("backup", "failures")),
    Metric("client_certificates", _G, "Certificates of clients that are valid.", _at("certificates", "clients")),
    Metric("client_certificates_ending", _G, "Those of them that end within 14 days.",
           _at("certificates", "clients_ending")),
)
# fmt: on
"""Every metric, in the order they are written and documented."""
