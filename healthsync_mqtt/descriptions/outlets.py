"""Sinks as they are told: what each is configured with, never its token, and what it is doing."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from healthsync_mqtt.control.channel import call
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.sinks.config import AnyConfig, Sinks
from healthsync_mqtt.storage.opening import has_log, open_reader

_SILENCE_S: Final = 20.0
"""A process saves what it is doing at least every 10 s, and a request may hold it up."""


def described_sink(sink: AnyConfig) -> dict[str, Any]:
    """A sink: where the token is, never the token."""
    shown = sink.model_dump(mode="json")
    place = {key: value for key, value in shown.pop("token", {}).items() if value is not None}
    return {"sink": shown.pop("name"), **shown, "target": sink.target, "token_from": place or None}


def sink_status(data: Path, sinks: Sinks, name: str) -> dict[str, Any]:
    """What a sink is doing, how far behind it is, and what to do. NotFoundError."""
    (shown,) = sink_statuses(data, sinks, [name])
    return shown


def sink_statuses(data: Path, sinks: Sinks, names: Sequence[str]) -> list[dict[str, Any]]:
    """The same of several, in their order. NotFoundError.

    The service and the server of the log are asked once for all of them: each may be waited for until its time is over.
    """
    configured = [sinks.get(name) for name in names]
    if not configured:
        return []
    known = _of_service(data)
    all_shown = [_by_itself(sinks, sink, known.get(sink.name, {})) for sink in configured]
    if has_log(data):
        with open_reader(data) as log:
            cursors, head = log.cursors(), log.head()
        for sink, shown in zip(configured, all_shown, strict=True):
            kept = cursors.get(sink.cursor, 0)
            # What is sent and not settled yet is not behind; after a crash it is sent again, from the kept cursor.
            shown["lag"] = max(0, head - max(kept, shown.get("cursor", 0)))
            shown["cursor"] = kept
    fault = _elsewhere(data)
    for sink, shown in zip(configured, all_shown, strict=True):
        refused = shown.pop("refused")
        if sink.paused:
            shown |= {"state": "paused", "reason": "paused_by_operator", "fix": f"healthsync sink resume {sink.name}"}
        if fault is not None:
            shown |= {"state": "elsewhere", "reason": fault.reason, "message": str(fault), "fix": fault.hint}
        shown |= {"refused": refused, "at": iso(_now_us())}
    return all_shown


def _by_itself(sinks: Sinks, sink: AnyConfig, known: dict[str, Any]) -> dict[str, Any]:
    """What its ledger and the service (``known``) say of a sink."""
    from healthsync_mqtt.sinks.ledger import SinkLedger  # noqa: PLC0415  # commands that show no status start without it

    shown: dict[str, Any] = {"sink": sink.name, "where": sink.target, "state": "not started", "reason": ""}
    refused: list[Any] = []
    if sinks.ledger(sink.name).exists():
        ledger = SinkLedger.open(sinks.ledger(sink.name))
        shown |= ledger.state()
        said_us = shown.pop("said_us", None)
        shown |= {} if known else _silent(sink.timeout_s, said_us)
        shown["refused_lines"] = ledger.refused_count()
        refused = [refusal._asdict() for refusal in ledger.refused(20)]
        ledger.close()
    return shown | known | {"refused": refused}


def _elsewhere(data: Path) -> HealthSyncError | None:
    """Why no sink of this directory is run; None too while the server of the log cannot be asked."""
    from healthsync_mqtt.sinks.belonging import elsewhere  # noqa: PLC0415  # as above

    try:
        return elsewhere(data)
    except HealthSyncError:
        return None


def _of_service(data: Path) -> dict[str, dict[str, Any]]:
    """What the running service knows of each sink: also that its process says nothing; empty without a service."""
    try:
        known = call(data, "status").get("sinks", [])
    except HealthSyncError:
        return {}
    return {each["sink"]: dict(each) for each in known}


def _silent(timeout_s: float, said_us: int | None) -> dict[str, Any]:
    """What holds when the process of a sink has said nothing for longer than it may."""
    if said_us is None or _now_us() - said_us < (timeout_s + _SILENCE_S) * 1_000_000:
        return {}
    fix = "does the service run? healthsync status"
    return {"state": "silent", "reason": "not_heard", "message": f"last heard at {iso(said_us)}", "fix": fix}


def _now_us() -> int:
    return time.time_ns() // 1000
