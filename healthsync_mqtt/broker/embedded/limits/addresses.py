"""Who may knock how often: connections per address and in total, and the price of a failed login. Pure."""

from collections import OrderedDict

from healthsync_mqtt.config.sections import LimitSettings


class AddressGuard:
    """Counts open connections and failed logins by address. Remembers a bounded number of addresses."""

    _REMEMBER = 10_000
    _FORGIVE_S = 300.0

    def __init__(self, limits: LimitSettings) -> None:
        self._limits = limits
        self._open: dict[str, int] = {}
        self._waiting: dict[str, int] = {}
        self._total_waiting = 0
        self._total = 0
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    @property
    def total(self) -> int:
        """Open connections."""
        return self._total

    def admit(self, address: str) -> str | None:
        """Count a new connection, or say which limit refuses it."""
        limits = self._limits
        if self._total >= limits.max_connections:
            return "max_connections"
        if self._open.get(address, 0) >= limits.connections_per_address:
            return "connections_per_address"
        if self._total_waiting >= limits.max_unauthenticated:
            return "max_unauthenticated"
        if self._waiting.get(address, 0) >= limits.unauthenticated_per_address:
            return "unauthenticated_per_address"
        self._total += 1
        self._total_waiting += 1
        self._open[address] = self._open.get(address, 0) + 1
        self._waiting[address] = self._waiting.get(address, 0) + 1
        return None

    def logged_in(self, address: str) -> None:
        """The connection is authenticated: it no longer counts among those that wait."""
        self._total_waiting -= 1
        _decrement(self._waiting, address)

    def closed(self, address: str, *, authenticated: bool) -> None:
        """The connection is gone."""
        if not authenticated:
            self.logged_in(address)
        self._total -= 1
        _decrement(self._open, address)

    def failed(self, address: str, now: float) -> float:
        """Count a failed login; returns the seconds that its answer is held back: base, doubled with each failure."""
        count, last = self._failures.pop(address, (0, now))
        if now - last > self._FORGIVE_S:
            count = 0
        self._failures[address] = (count + 1, now)
        while len(self._failures) > self._REMEMBER:
            self._failures.popitem(last=False)
        wait = self._limits.failed_login_base_s * 2.0 ** min(count, 16)
        return min(self._limits.failed_login_max_s, wait)

    def succeeded(self, address: str) -> None:
        """A login worked: earlier failures of the address are forgiven."""
        self._failures.pop(address, None)


def _decrement(counts: dict[str, int], address: str) -> None:
    left = counts.get(address, 0) - 1
    if left > 0:
        counts[address] = left
    else:
        counts.pop(address, None)
