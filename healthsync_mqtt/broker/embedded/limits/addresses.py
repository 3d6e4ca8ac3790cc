"""Who may knock how often: connections per address and in all, and the price of a failed login. Pure.

Counting begins at accept, before a TLS handshake costs anything. Where a table is full, the oldest connection that has
not logged in makes room, of the address that has most of them: a newcomer who logs in is never the one who goes. An
address is a network that one customer gets: an IPv4 address, or the first 64 bits of an IPv6 one.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple

from healthsync_mqtt.config.sections import LimitSettings


class ConnectionStanding(Enum):
    """What a connection has come to."""

    #: it has shown nothing yet
    WAITING = auto()
    #: a refusal is being held back: it takes nobody's place
    REFUSED = auto()
    LOGGED_IN = auto()
    GONE = auto()


class Knock:
    """One connection as the guard counts it. ``leave`` ends it, when others need its place."""

    __slots__ = ("address", "leave", "standing")

    def __init__(self, address: str, leave: Callable[[], None]) -> None:
        self.address = address
        self.leave = leave
        self.standing = ConnectionStanding.WAITING


class AddressVerdict(NamedTuple):
    """A connection is let in (``knock``) or not, because of a limit; ``makes_room`` has to go for it."""

    knock: Knock | None
    limit: str = ""
    makes_room: Knock | None = None


class AddressGuard:
    """Counts open connections and failed logins by address. Remembers a bounded number of failures."""

    _REMEMBER = 10_000
    _FORGIVE_S = 300.0

    def __init__(self, limits: LimitSettings, *, most: int | None = None) -> None:
        """``most``: connections that this process can have open, when that is less than the setting."""
        self._limits = limits
        self.most = min(limits.max_connections, most or limits.max_connections)
        self._open: dict[str, int] = {}
        self._waiting: dict[str, dict[Knock, None]] = {}
        self._total_waiting = 0
        self._held: OrderedDict[Knock, None] = OrderedDict()
        self._total = 0
        self._failures: OrderedDict[int, tuple[int, float]] = OrderedDict()

    @property
    def total(self) -> int:
        """Open connections."""
        return self._total

    @property
    def waiting(self) -> int:
        """Open connections that have not logged in and are not refused yet."""
        return self._total_waiting

    @property
    def held(self) -> int:
        """Refusals that are held back."""
        return len(self._held)

    def admit(self, peer: str, leave: Callable[[], None]) -> AddressVerdict:
        """Count a new connection, or say which limit refuses it."""
        address = network(peer)
        limit, victim = self._room(address)
        if limit and victim is None:
            return AddressVerdict(None, limit)
        if victim is not None:
            self.closed(victim)
        knock = Knock(address, leave)
        self._total += 1
        self._total_waiting += 1
        self._open[address] = self._open.get(address, 0) + 1
        self._waiting.setdefault(address, {})[knock] = None
        return AddressVerdict(knock, limit, victim)

    def logged_in(self, knock: Knock) -> None:
        """The connection is authenticated: it no longer counts among those that wait."""
        if knock.standing is ConnectionStanding.WAITING:
            self._no_longer_waits(knock)
            knock.standing = ConnectionStanding.LOGGED_IN

    def refused(self, knock: Knock) -> Knock | None:
        """Its refusal is held back from now on; returns the one that must not be held back any longer for it."""
        if knock.standing is not ConnectionStanding.WAITING:
            return None
        self._no_longer_waits(knock)
        self._leaves(knock)
        knock.standing = ConnectionStanding.REFUSED
        self._held[knock] = None
        return next(iter(self._held)) if len(self._held) > self._limits.max_unauthenticated else None

    def closed(self, knock: Knock) -> None:
        """The connection is gone. Once more is no error."""
        standing, knock.standing = knock.standing, ConnectionStanding.GONE
        if standing is ConnectionStanding.GONE:
            return
        self._total -= 1
        if standing is ConnectionStanding.REFUSED:
            del self._held[knock]
            return
        if standing is ConnectionStanding.WAITING:
            self._no_longer_waits(knock)
        self._leaves(knock)

    def failed(self, peer: str, client_id: str, now: float) -> float:
        """Count a failed login under this name; returns the seconds that its answer is held back.

        The base, doubled with each failure of this address under this name: whoever has another name, or is right, does
        not wait for it. ``now`` is a monotonic time.
        """
        key = hash((network(peer), client_id))
        count, last = self._failures.pop(key, (0, now))
        if now - last > self._FORGIVE_S:
            count = 0
        self._failures[key] = (count + 1, now)
        while len(self._failures) > self._REMEMBER:
            self._failures.popitem(last=False)
        wait = self._limits.failed_login_base_s * 2.0 ** min(count, 16)
        return min(self._limits.failed_login_max_s, wait)

    def succeeded(self, peer: str, client_id: str) -> None:
        """A login worked: earlier failures of the address under this name are forgiven."""
        self._failures.pop(hash((network(peer), client_id)), None)

    def _room(self, address: str) -> tuple[str, Knock | None]:
        """The limit that one more connection of this address would break, and who could make room."""
        limits = self._limits
        of_address = self._waiting.get(address, {})
        if self._open.get(address, 0) >= limits.connections_per_address:
            return "connections_per_address", next(iter(of_address), None)
        if len(of_address) >= limits.unauthenticated_per_address:
            return "unauthenticated_per_address", next(iter(of_address))
        if self._total_waiting >= limits.max_unauthenticated:
            return "max_unauthenticated", self._oldest_of_most()
        if self._total >= self.most:  # a refusal that is held back has a descriptor, too
            return "max_connections", next(iter(self._held), None) or self._oldest_of_most()
        return "", None

    def _oldest_of_most(self) -> Knock | None:
        crowd = max(self._waiting.values(), key=len, default=None)
        return None if crowd is None else next(iter(crowd))

    def _no_longer_waits(self, knock: Knock) -> None:
        self._total_waiting -= 1
        crowd = self._waiting[knock.address]
        del crowd[knock]
        if not crowd:
            del self._waiting[knock.address]

    def _leaves(self, knock: Knock) -> None:
        left = self._open[knock.address] - 1
        if left:
            self._open[knock.address] = left
        else:
            del self._open[knock.address]


def network(peer: str) -> str:
    """What is counted as one address: IPv4 as it is (mapped into IPv6, too), IPv6 by its first 64 bits."""
    if ":" not in peer:
        return peer
    try:
        address = ipaddress.IPv6Address(peer)
    except ValueError:
        return peer
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
