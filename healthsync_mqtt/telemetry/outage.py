"""An outage is logged once when it starts and once when it ends; what happens in between is for DEBUG."""

from typing import Any

from healthsync_mqtt.telemetry.log import EventLogger


class Outage:
    """The state of one thing that can be away. Events: ``{name}_lost``, ``{name}_still_lost``, ``{name}_restored``."""

    __slots__ = ("_failures", "_log", "_name", "_since")

    def __init__(self, log: EventLogger, name: str) -> None:
        self._log = log
        self._name = name
        self._since: float | None = None
        self._failures = 0

    @property
    def ongoing(self) -> bool:
        """Whether the last report was a failure."""
        return self._since is not None

    def failed(self, now: float, **keys: Any) -> None:
        """One failed try at ``now`` (seconds of a monotonic clock)."""
        self._failures += 1
        if self._since is None:
            self._since = now
            self._log.warning(f"{self._name}_lost", **keys)
        else:
            self._log.debug(f"{self._name}_still_lost", failures=self._failures, **keys)

    def worked(self, now: float, **keys: Any) -> None:
        """One try that worked; ends an outage if there is one."""
        if self._since is None:
            return
        seconds = round(now - self._since, 3)
        self._log.info(f"{self._name}_restored", seconds=seconds, failures=self._failures, **keys)
        self._since = None
        self._failures = 0
