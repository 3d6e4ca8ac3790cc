"""Sinks as they are told: what each is configured with, never its token, and what it is doing."""

import time
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
    from healthsync_mqtt.sinks.ledger import SinkLedger  # noqa: PLC0415  # commands that show no status start without it

    sink = sinks.get(name)
    shown: dict[str, Any] = {"sink": name, "where": sink.target, "state": "not started", "reason": ""}
    refused: list[Any] = []
    known = _of_service(data, name)
    if sinks.ledger(name).exists():
        ledger = SinkLedger.open(sinks.ledger(name))
        shown |= ledger.state()
        said_us = shown.pop("said_us", None)
        shown |= {} if known else _silent(sink.timeout_s, said_us)
        shown["refused_lines"] = ledger.refused_count()
        refused = [refusal._asdict() for refusal in ledger.refused(20)]
        ledger.close()
    shown |= known
    if has_log(data):
        with open_reader(data) as log:
            kept, head = log.cursor(sink.cursor) or 0, log.head()
            # What is sent and not settled yet is not behind; after a crash it is sent again, from the kept cursor.
            shown["lag"] = max(0, head - max(kept, shown.get("cursor", 0)))
            shown["cursor"] = kept
    if sink.paused:
        shown |= {"state": "paused", "reason": "paused_by_operator", "fix": f"healthsync sink resume {name}"}
    if (fault := _elsewhere(data)) is not None:
        shown |= {"state": "elsewhere", "reason": fault.reason, "message": str(fault), "fix": fault.hint}
    return shown | {"refused": refused, "at": iso(_now_us())}


def _elsewhere(data: Path) -> HealthSyncError | None:
    """Why no sink of this directory is run; None too while the server of the log cannot be asked."""
    from healthsync_mqtt.sinks.belonging import elsewhere  # noqa: PLC0415  # as above

    try:
        return elsewhere(data)
    except HealthSyncError:
        return None


def _of_service(data: Path, name: str) -> dict[str, Any]:
    """What the running service knows of a sink: also that its process says nothing; empty without a service."""
    try:
        known = call(data, "status").get("sinks", [])
    except HealthSyncError:
        return {}
    return next((dict(each) for each in known if each["sink"] == name), {})


def _silent(timeout_s: float, said_us: int | None) -> dict[str, Any]:
    """What holds when the process of a sink has said nothing for longer than it may."""
    if said_us is None or _now_us() - said_us < (timeout_s + _SILENCE_S) * 1_000_000:
        return {}
    fix = "does the service run? healthsync status"
    return {"state": "silent", "reason": "not_heard", "message": f"last heard at {iso(said_us)}", "fix": fix}


def _now_us() -> int:
    return time.time_ns() // 1000
