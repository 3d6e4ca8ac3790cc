"""What single clients send and what became of it, for whoever is looking now: metadata only, never a value."""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from bridge.ports import Commit
from bridge.stages.acknowledge import Outcome
from healthsync_mqtt.errors import UsageError
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.mqtt.replies import QOS2

MOST_CLIENTS: Final = 8
MOST_LINES: Final = 1_000
"""Clients that are traced at once, and lines of one that wait to be fetched; the oldest lines go first."""
FORGET_S: Final = 10.0
"""Seconds after the last look until a trace ends by itself."""


class Traced(NamedTuple):
    """A client; ``user`` and ``device`` for a device."""

    client_id: str
    user: str | None
    device: str | None


@dataclass(slots=True)
class _Trace:
    who: Traced
    until: float
    lines: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MOST_LINES))
    #: lines so far: the number of the newest
    count: int = 0
    #: since when it is connected, as far as is known; None: it is not
    connected_at: str | None = None


class Traces:
    """Costs nothing while nobody looks. Runs on the event loop."""

    def __init__(
        self,
        *,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock_us = clock_us
        self._now = now
        self._traces: dict[str, _Trace] = {}

    def look(self, who: Traced, after: int | None, connection: Mapping[str, str] | None) -> dict[str, Any]:
        """The lines after number ``after``. UsageError when too many are traced.

        Without ``after`` somebody begins to look: they are told whether the client is connected, and nothing of what
        others were told before. ``connection`` is the client's, if it has one: when that has changed since the last
        look, it is a line too. ``missed`` counts lines that were dropped because nobody fetched them in time.
        """
        self._forget()
        trace = self._traces.get(who.client_id)
        since = None if connection is None else connection["connected_at"]
        if trace is None:
            if len(self._traces) >= MOST_CLIENTS:
                raise UsageError(f"{MOST_CLIENTS} clients are traced already", hint="end another trace with Ctrl-C")
            trace = self._traces[who.client_id] = _Trace(who, 0.0, connected_at=since)
        trace.until = self._now() + FORGET_S
        if trace.connected_at != since:
            trace.connected_at = since
            self._add(trace, "gone" if connection is None else "connected", _address(connection))
        if after is None:
            now = self._line("absent" if connection is None else "connected", _address(connection))
            return {"lines": [now], "next": trace.count, "missed": 0}
        first = trace.count - len(trace.lines)
        fresh = [line for number, line in enumerate(trace.lines, first + 1) if number > after]
        return {"lines": fresh, "next": trace.count, "missed": max(0, first - after)}

    def committed(self, commit: Commit) -> None:
        """Deliveries are stored and acknowledged."""
        if not self._traces:
            return
        self._forget()
        wanted: dict[tuple[str | None, str | None], _Trace] = {
            (trace.who.user, trace.who.device): trace for trace in self._traces.values() if trace.who.device
        }
        for outcome in commit.outcomes:
            origin = outcome.delivery.origin
            if trace := wanted.get((origin.user, origin.device)):
                self._add(trace, "message", _told(outcome))

    def refused_message(self, principal: Principal, reason: str, message: str) -> None:
        """A message of a client went nowhere."""
        if trace := self._traces.get(principal.client_id):
            self._add(trace, "message", {"outcome": "refused", "reason": reason, "detail": message})

    def refused_login(self, reason: str, peer: str, claimed: str) -> None:
        """A login that claimed a client id was refused; whose it was is not known."""
        if trace := self._traces.get(claimed):
            self._add(trace, "login", {"outcome": "refused", "reason": reason, "address": peer})

    def _add(self, trace: _Trace, what: str, details: Mapping[str, Any]) -> None:
        trace.count += 1
        trace.lines.append(self._line(what, details))

    def _line(self, what: str, details: Mapping[str, Any]) -> dict[str, Any]:
        return {"at": iso(self._clock_us()), "what": what, **details}

    def _forget(self) -> None:
        now = self._now()
        for name in [name for name, trace in self._traces.items() if trace.until < now]:
            del self._traces[name]


def _address(connection: Mapping[str, str] | None) -> dict[str, str | None]:
    return {"address": None if connection is None else connection["address"]}


def _told(outcome: Outcome) -> dict[str, Any]:
    delivery, decoded = outcome.delivery, outcome.decoded
    stored = sum(seq != 0 for seq in outcome.seqs)
    reasons = Counter(str(each.reason) for each in decoded.rejections)
    return {
        "outcome": "committed",
        "topic": delivery.origin.topic,
        "qos": _qos(delivery.token),
        "bytes": len(delivery.payload),
        "batch": decoded.batch,
        "events": decoded.total,
        "stored": stored,
        "duplicate": len(outcome.seqs) - stored,
        "rejected": dict(sorted(reasons.items())),
        "retain_ignored": delivery.retained,
    }


def _qos(token: int) -> int:
    return 0 if not token else 2 if token & QOS2 else 1
