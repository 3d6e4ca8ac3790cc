"""What HTTP was asked and how it was answered, counted by route: for metrics, so a label never says who or what.

A route is its template, a method one of those that there are, a reason a word of ours. The time of an answer is that to
its first byte: streams last as long as somebody listens.
"""

from bisect import bisect_left
from collections import Counter
from typing import Any, Final

from healthsync_mqtt.telemetry.metrics import HTTP_BOUNDS_S

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER: Final = "other"
_NO_ROUTE: Final = "none"


class Traffic:
    """Counts of one process. Used from its event loop."""

    def __init__(self) -> None:
        self._answers: Counter[tuple[str, str, int]] = Counter()
        self._seconds: dict[str, float] = {}
        self._buckets: dict[str, list[int]] = {}
        self._refusals: Counter[str] = Counter()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered; ``route`` is empty where there is none."""
        route = route or _NO_ROUTE
        self._answers[method if method in _METHODS else _OTHER, route, status] += 1
        buckets = self._buckets.get(route)
        if buckets is None:
            buckets = self._buckets[route] = [0] * (len(HTTP_BOUNDS_S) + 1)
            self._seconds[route] = 0.0
        self._seconds[route] += seconds
        buckets[bisect_left(HTTP_BOUNDS_S, seconds)] += 1

    def refused(self, reason: str) -> None:
        """A request was answered with a problem."""
        self._refusals[reason] += 1

    def told(self) -> dict[str, Any]:
        """As values of JSON."""
        answers = [[*key, count] for key, count in sorted(self._answers.items())]
        times = [[route, self._seconds[route], buckets] for route, buckets in sorted(self._buckets.items())]
        return {"answers": answers, "times": times, "refusals": dict(sorted(self._refusals.items()))}
