"""healthsync status"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from math import inf
from typing import Any, Final

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.advice import advice
from healthsync_mqtt.cli.listener_address import reached
from healthsync_mqtt.cli.options import DATA, FreshData, Json
from healthsync_mqtt.cli.spelling import spelled
from healthsync_mqtt.descriptions.service import OUTCOMES, service_status
from healthsync_mqtt.identity.certificates.server_tls import WARN_S
from healthsync_mqtt.model.working_process import ProcessState

_LATE_S = 10.0
"""A subscriber that is so many seconds behind is worth a line."""

_HEADINGS: Final = (
    "process", "name", "host", "state", "release", "started", "connections", "stored", "refused", "does",
)  # fmt: skip
_MINUTE_S: Final = 60
_DOES: Final = {"publish": "feeds subscribers", "sinks": "runs sinks", "insights": "days and insights"}


def status(data: FreshData = DATA, json: Json = False) -> None:
    """Say whether the service runs, where it listens and what it has done.

    Example: healthsync status --json
    """
    shown = service_status(data)
    if json:
        output.emit(shown)
        return
    totals = shown["totals"]
    if shown["running"]:
        output.facts(
            [
                ("service", f"running (process {shown['pid']}), {'healthy' if shown.get('healthy', True) else 'ILL'}"),
                *((name, spelled(said)) for name, said in _installation(shown)),
                *(
                    (name, reached(address, shown["bound"].get(name, ())))
                    for name in ("mqtt", "mqtts", "wss", "http")
                    if (address := shown["listeners"][name])
                ),
                ("CA file", shown["listeners"]["ca_file"]),
                ("connections", shown.get("connections", 0)),
                *((name.replace("_", " "), shown["counters"].get(name, 0)) for name in OUTCOMES),
                *((name, spelled(said)) for name, said in _noteworthy(shown)),
            ]
        )
    else:
        output.facts([("service", spelled("not running; start it: healthsync up"))])
    output.facts([(f"{name} in the log", value) for name, value in totals.items()])
    if "processes" in shown:
        output.table(_HEADINGS, [_line(each) for each in shown["processes"]])


def _line(found: dict[str, Any]) -> list[object]:
    """One of the processes that work on the log, as people read it."""
    state = "" if found["state"] == ProcessState.running else f"{found['state']}, "
    refused = found.get("rejected", found.get("logins_refused"))
    return [
        found["kind"],
        found["name"],
        found["host"],
        f"{state}seen {_since(found['age_s'])} ago",
        found["release"],
        found["started_at"],
        found.get("connections"),
        found.get("stored"),
        refused,
        ", ".join(_DOES[each] for each in found["does"]),
    ]


def _since(age_s: float) -> str:
    return f"{age_s:.0f} s" if age_s < 2 * _MINUTE_S else f"{age_s / _MINUTE_S:.0f} min"


def _installation(shown: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The bridges that share the log, which of them leads, and what log it is; nothing where it is one service's."""
    found = shown.get("installation")
    if found is None:
        return
    yield "bridges", ", ".join(found["bridges"]) or "none is known while the server of the log is away"
    leader = found["leader"] or "none now; what one does for all (subscribers, held events) waits for one"
    yield "leader", f"{leader}{' (this one)' if found['leads'] else ''}"
    shipper = found["shipper"] or "nobody now; sinks and retention wait for a bridge with their directory"
    here = " (this one)" if found["ships"] else "" if found["may_ship"] else "; their directory is not here"
    yield "sinks run at", f"{shipper}{here}"
    if "epoch" in shown:
        yield "shared log", f"epoch {shown['epoch']}, head {shown['head']}"


def _noteworthy(shown: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What does not do its work, who is slowed down or over the limit, certificates that end soon."""
    for name in shown.get("tasks_down", []):
        yield "task down", f"{name}; the log says why: bridge.task_lost"
    if shown.get("clock_ahead_s"):
        ahead = f"{shown['clock_ahead_s'] // 86_400} days ahead of what was known"
        yield "clock", f"{ahead}; nothing is purged by it before a device sends an event of its time"
    sessions = shown.get("sessions", {})
    if not sessions.get("written", True):
        yield "sessions", "sessions.db cannot be written; messages for others are not acknowledged until it can"
    if sessions.get("dropped_messages"):
        yield "sessions", f"{sessions['dropped_messages']} messages found no room in their session"
    if sessions.get("router_restarts"):
        yield "router", f"begun anew {sessions['router_restarts']} times since the start"
    if evicted := shown.get("storage", {}).get("quarantine_evicted"):
        yield "quarantine", f"full: {evicted} refused events went, the oldest first; see: healthsync rejected list"
    for each in shown.get("sinks", []):
        if each["state"] not in {"idle", "shipping"}:
            yield (
                f"sink {each['sink']}",
                f"{each['state']}: {each['reason']}; see: healthsync sink status {each['sink']}",
            )
    gateway = shown.get("gateway", {"state": "running"})
    if gateway["state"] != "running":
        yield (
            "gateway",
            f"{gateway['state']}, started again {gateway['restarts']} times; the log says why: gateway.process_ended",
        )
    for each in shown.get("erasures", []):
        left = ", ".join([*([] if each["step"] == "done" else [each["step"]]), *each["pending"]])
        why = f"; {each['message']}; {each['fix']}" if "message" in each else ""
        yield "erasure", f"{each['erasure']}, begun {each['requested_at']}: left {left}{why}"
    backup = shown.get("backup", {"failures": 0})
    if backup["failures"]:
        yield "backup", f"failed {backup['failures']} times: {backup.get('message', '')}; {backup.get('fix', '')}"
    for kind, number in shown.get("counters", {}).get("tls_failures", {}).items():
        yield "TLS failed", f"{number}: {advice(f'tls_{kind}').words}"
    for kind, number in shown.get("counters", {}).get("unsent", {}).items():
        yield "not sent", f"{number} ({kind}): the broker takes no message so large; the log says more: bridge.not_sent"
    if shown.get("subscriber_lag_s", 0) > _LATE_S:
        behind = f"the slowest is {shown['subscriber_lag']} events and {shown['subscriber_lag_s']:.0f} s behind"
        yield "subscribers", f"{behind}; see: healthsync subscriber lag"
    for each in shown.get("limited", []):
        reason = "others come first" if each.get("by") == "work" else f"for {each['wait_s']:.1f} s more"
        yield "slowed down", f"{each['kind']} {each['name']}, {reason}"
    for each in shown.get("over_daily_limit", []):
        yield "over the daily limit", f"{each['device_id']} of {each['user_id']}: {each['events']} events"
    ends = shown.get("certificates", {})
    for name in ("ca", "server"):
        if ends.get(name, inf) - time.time() < WARN_S:
            when = datetime.fromtimestamp(ends[name], UTC)
            yield "certificate", f"{name} ends on {when:%Y-%m-%d}; see: healthsync doctor"
    if ends.get("clients_ending"):
        yield "certificate", f"{ends['clients_ending']} of {ends['clients']} clients' end soon; see: healthsync doctor"
