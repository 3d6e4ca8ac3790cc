"""How many events each device sent today (UTC). Over the limit it is reported and nothing else: all is stored."""

from typing import Any, Final

from bridge.ports import Commit
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("bridge")

_DAY_US: Final = 86_400_000_000


class DailyLimit:
    """Counts by user and device; begins anew at midnight. ``most`` events a day are nothing to report, 0 = any.

    It observes commits.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._day = -1
        self._events: dict[tuple[str, str], int] = {}
        self._over: set[tuple[str, str]] = set()

    def use(self, most: int) -> None:
        """Another limit from now on; what was counted today stays counted."""
        self._most = most
        self._over = {who for who, events in self._events.items() if most and events > most}

    def committed(self, commit: Commit) -> None:
        """Count what devices sent."""
        if not self._most:
            return
        last: Origin | None = None  # deliveries of one device come in a row mostly: they are added up first
        events = 0
        for (_, _, origin, _, _, _, _, _, _), decoded, _ in commit.outcomes:
            if origin is not last:
                self._sent(last, events, commit.at_us)
                last, events = origin, 0
            events += decoded.total
        self._sent(last, events, commit.at_us)

    def _sent(self, origin: Origin | None, events: int, now_us: int) -> None:
        if origin is not None and origin.device is not None:
            self.add(origin.user, origin.device, events, now_us)

    def add(self, user: str, device: str, events: int, now_us: int) -> None:
        """So many events of a device were dealt with."""
        if not self._most:
            return
        day = now_us // _DAY_US
        if day != self._day:
            self._day = day
            self._events.clear()
            self._over.clear()
        who = (user, device)
        self._events[who] = total = self._events.get(who, 0) + events
        if total > self._most and who not in self._over:
            self._over.add(who)
            log.warning("bridge.daily_limit", user=user, device=device, events=total, limit=self._most)

    def over(self) -> list[dict[str, Any]]:
        """Devices over the limit today, the most events first."""
        worst = sorted(self._over, key=lambda who: (-self._events[who], who))
        return [{"user_id": user, "device_id": device, "events": self._events[user, device]} for user, device in worst]
