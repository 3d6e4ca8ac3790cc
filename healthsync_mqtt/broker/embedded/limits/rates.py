"""How many messages a device and a user may send: token buckets. Pure; who calls brings the time.

A message that was read is never dropped: it is taken, the bucket goes into debt, and the sender is not read before the
debt is paid off. A device has its bucket over all its connections, one after the other, and a user over all devices.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.model.principal import Principal, Role

_RECENT_S: Final = 60.0
_REMEMBER: Final = 50_000
_ANY: Final = 1e9


class Bucket:
    """``per_s`` messages a second, ``burst`` at once. Kept as one number: the time at which it is full again."""

    __slots__ = ("full_at", "interval", "limited_at", "slack")

    def __init__(self, per_s: float, burst: float) -> None:
        self.interval = 1.0 / per_s
        self.slack = burst / per_s
        self.full_at = 0.0
        #: when it was last overdrawn
        self.limited_at: float | None = None

    def wait(self, now: float) -> float:
        """How long until one more is within the limits; 0.0 or less: it is now."""
        return max(self.full_at - now, 0.0) + self.interval - self.slack  # in this order a full one is exactly full

    def take(self, now: float) -> None:
        """Count one."""
        self.full_at = max(self.full_at, now) + self.interval


class Gate:
    """What one connection is counted against."""

    __slots__ = ("_device", "_user")

    def __init__(self, device: Bucket, user: Bucket) -> None:
        self._device = device
        self._user = user

    def take(self, count: float, now: float) -> float:
        """Count messages read at ``now`` (monotonic seconds); how long to read no more, 0.0 within the limits."""
        device, user = self._device, self._user
        # Written out for both, without max(): this runs for every read, and a call costs as much as the arithmetic.
        full = device.full_at
        device.full_at = full = (full if full > now else now) + count * device.interval  # noqa: FURB136
        wait = full - now - device.slack
        full = user.full_at
        user.full_at = full = (full if full > now else now) + count * user.interval  # noqa: FURB136
        more = full - now - user.slack
        if wait <= 0.0 and more <= 0.0:
            return 0.0
        if wait > 0.0:
            device.limited_at = now
        if more > 0.0:
            user.limited_at = now
        return max(wait, more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """Who is slowed down: a client, a user with all devices, or an address; for how long still, as things stand.

    ``by``: ``messages``, too many of them for its rate; ``work``, more than its turns, so that others come first.
    """

    kind: str
    name: str
    wait_s: float
    by: str = "messages"


class Rates:
    """The buckets of everybody. A full bucket that nobody uses may be forgotten: a new one is full, too."""

    def __init__(self, limits: LimitSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._clients: dict[str, Bucket] = {}
        self._users: dict[str, Bucket] = {}
        self._most = _REMEMBER

    def gate(self, principal: Principal) -> Gate:
        """The gate for a connection of ``principal``; a client that is no device counts as a user of its own."""
        limits, client_id = self._limits, principal.client_id
        if principal.role is Role.gateway:  # it counts whose messages it brings, each by itself
            return Gate(Bucket(_ANY, _ANY), Bucket(_ANY, _ANY))
        if len(self._clients) + len(self._users) >= self._most:
            self._forget(self._clock())
        client = self._clients.setdefault(client_id, Bucket(limits.device_messages_per_s, limits.device_burst))
        if principal.role is not Role.device or principal.user is None:
            return Gate(client, Bucket(limits.user_messages_per_s, limits.user_burst))
        user = self._users.setdefault(principal.user, Bucket(limits.user_messages_per_s, limits.user_burst))
        return Gate(client, user)

    def limited(self) -> list[Limited]:
        """Who was over the limit within the last minute, worst first."""
        now = self._clock()
        found = [
            Limited(kind=kind, name=name, wait_s=round(max(0.0, bucket.full_at - now - bucket.slack), 3))
            for kind, buckets in (("client", self._clients), ("user", self._users))
            for name, bucket in buckets.items()
            if bucket.limited_at is not None and now - bucket.limited_at < _RECENT_S
        ]
        return sorted(found, key=lambda each: (-each.wait_s, each.kind, each.name))

    def _forget(self, now: float) -> None:
        for buckets in (self._clients, self._users):
            for name in [name for name, bucket in buckets.items() if bucket.full_at <= now]:
                del buckets[name]
        self._most = max(_REMEMBER, 2 * (len(self._clients) + len(self._users)))
