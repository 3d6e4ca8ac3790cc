"""Refused events that go because the quarantine is full: said in the log, with how many and nobody's name."""

import time
from collections.abc import Callable
from typing import Final

from healthsync_mqtt.storage.port import LogHealth
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("bridge")

LOOK_S: Final = 5.0
_QUIET_S: Final = 60.0
_FIX: Final = "see who sends what is refused: healthsync rejected list; the bounds are [quarantine] in the settings"


class Evictions:
    """A line with the first that went, and then at most one a minute with what went since. ``health``: the log's."""

    def __init__(self, health: Callable[[], LogHealth], monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._health = health
        self._monotonic_s = monotonic_s
        self._told = 0
        self._quiet_until_s = float("-inf")

    async def look(self) -> None:
        """To be called again and again."""
        now_s = self._monotonic_s()
        if now_s < self._quiet_until_s:
            return
        evicted = self._health().quarantine_evicted
        if evicted > self._told:
            log.warning("bridge.quarantine_full", evicted=evicted - self._told, since_start=evicted, fix=_FIX)
            self._told, self._quiet_until_s = evicted, now_s + _QUIET_S
