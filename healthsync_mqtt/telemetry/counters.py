"""Counters of one service: plain integers that the event loop raises, and figures derived from them.

The balance ``received = stored + duplicate + rejected + failed + in_flight`` always holds, for events and for the
messages they came in, because ``in_flight`` is what is left: received, and no outcome yet.
"""

from bisect import bisect_left
from collections import Counter, deque
from typing import Any, Final

COMMIT_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the buckets that commits are counted in by duration, seconds; one more bucket has none."""
_TICKS: Final = 256
"""Looks at the counters from which rates are worked out."""


class Counters:
    """Counts since the start. Used from one thread; each attribute is raised where the thing happens."""

    __slots__ = (
        "_ticks",
        "commit_buckets",
        "commit_seconds",
        "commits",
        "connections_closed",
        "connections_opened",
        "connections_refused",
        "duplicate",
        "failed",
        "last_commit_us",
        "logins_refused",
        "messages_duplicate",
        "messages_failed",
        "messages_received",
        "messages_rejected",
        "messages_stored",
        "publishes_refused",
        "received",
        "refused_by_reason",
        "rejected",
        "rejected_by_reason",
        "stored",
        "subscriptions_refused",
        "tls_failures",
        "unsent",
    )

    def __init__(self) -> None:
        self.received = 0
        self.stored = 0
        self.duplicate = 0
        self.rejected = 0
        self.failed = 0
        self.rejected_by_reason: Counter[str] = Counter()
        self.messages_received = 0
        self.messages_stored = 0
        self.messages_duplicate = 0
        self.messages_rejected = 0
        self.messages_failed = 0
        self.publishes_refused = 0
        self.subscriptions_refused = 0
        self.connections_opened = 0
        self.connections_closed = 0
        self.connections_refused = 0
        self.refused_by_reason: Counter[str] = Counter()
        #: TLS handshakes that failed, by what the client did
        self.tls_failures: Counter[str] = Counter()
        self.logins_refused = 0
        #: messages of the bridge that the broker did not take, by kind: receipt, rejected, canonical
        self.unsent: Counter[str] = Counter()
        self.commits = 0
        self.commit_seconds = 0.0
        self.commit_buckets = [0] * (len(COMMIT_BOUNDS_S) + 1)
        self.last_commit_us = 0
        self._ticks: deque[tuple[float, int, int]] = deque(maxlen=_TICKS)

    @property
    def in_flight(self) -> int:
        """Events received that have no outcome yet."""
        return self.received - self.stored - self.duplicate - self.rejected - self.failed

    @property
    def messages_in_flight(self) -> int:
        """Messages with events that have no outcome yet."""
        decided = self.messages_stored + self.messages_duplicate + self.messages_rejected + self.messages_failed
        return self.messages_received - decided

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return self.connections_opened - self.connections_closed

    def reject(self, reason: str, events: int = 1) -> None:
        """Count events that were refused for ``reason`` (a word of the closed enum)."""
        self.rejected += events
        self.rejected_by_reason[reason] += events

    def message(self, *, stored: bool, rejected: bool) -> None:
        """Count the outcome of a committed message: stored if any of its events was new, else rejected if any was."""
        if stored:
            self.messages_stored += 1
        elif rejected:
            self.messages_rejected += 1
        else:
            self.messages_duplicate += 1

    def commit(self, seconds: float, now_us: int) -> None:
        """Count a commit that took ``seconds`` and was known at ``now_us``."""
        self.commits += 1
        self.commit_seconds += seconds
        self.commit_buckets[bisect_left(COMMIT_BOUNDS_S, seconds)] += 1
        self.last_commit_us = now_us

    def refuse_connection(self, reason: str) -> None:
        """Count a connection that was turned away at the door for ``reason`` (a word of a closed set)."""
        self.connections_refused += 1
        self.refused_by_reason[reason] += 1

    def fail_tls(self, kind: str) -> None:
        """Count a TLS handshake that failed, by its ``kind`` (``TlsFailure``); it is a connection refused, too."""
        self.refuse_connection("tls_handshake")
        self.tls_failures[kind] += 1

    def refuse_publish(self, reason: str) -> None:
        """Count a message that was acknowledged and went nowhere, for ``reason`` (not_allowed, packet_too_large)."""
        self.publishes_refused += 1
        self.refused_by_reason[reason] += 1

    def tick(self, now: float) -> None:
        """Remember the figures at ``now`` (seconds of a monotonic clock), for ``rates``; about once a second."""
        self._ticks.append((now, self.received, self.stored))

    def rates(self, now: float, window_s: float = 5.0) -> dict[str, float]:
        """Events a second, received and stored, over the last ``window_s`` seconds as far as ticks reach back."""
        start = next((tick for tick in self._ticks if tick[0] >= now - window_s), None)
        if start is None or now <= start[0]:
            return {"received": 0.0, "stored": 0.0}
        seconds = now - start[0]
        return {"received": (self.received - start[1]) / seconds, "stored": (self.stored - start[2]) / seconds}

    def snapshot(self) -> dict[str, Any]:
        """All figures by name; the events among them balance."""
        return {
            "received": self.received,
            "stored": self.stored,
            "duplicate": self.duplicate,
            "rejected": self.rejected,
            "failed": self.failed,
            "in_flight": self.in_flight,
            "rejected_by_reason": dict(sorted(self.rejected_by_reason.items())),
            "messages_received": self.messages_received,
            "messages_stored": self.messages_stored,
            "messages_duplicate": self.messages_duplicate,
            "messages_rejected": self.messages_rejected,
            "messages_failed": self.messages_failed,
            "messages_in_flight": self.messages_in_flight,
            "publishes_refused": self.publishes_refused,
            "subscriptions_refused": self.subscriptions_refused,
            "connections": self.connections,
            "connections_opened": self.connections_opened,
            "connections_refused": self.connections_refused,
            "refused_by_reason": dict(sorted(self.refused_by_reason.items())),
            "tls_failures": dict(sorted(self.tls_failures.items())),
            "logins_refused": self.logins_refused,
            "unsent": dict(sorted(self.unsent.items())),
            "commits": self.commits,
            "commit_seconds": self.commit_seconds,
            "commit_buckets": list(self.commit_buckets),
            "last_commit_us": self.last_commit_us,
        }
