"""Connections between devices and a service: bytes in order, late, in pieces, until the connection breaks.

As with TCP, what was sent before a break may or may not have arrived, and neither side learns which.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Protocol

_LONGEST_S = 3.0


class WireUser(Protocol):
    """Whoever sits at one end of a connection."""

    def received(self, data: bytes) -> None:
        """Bytes came in."""

    def lost(self) -> None:
        """The connection is gone; called once."""


class Pipe:
    """One direction of a connection."""

    def __init__(self, network: "Network", chance: Random, deliver: Callable[[bytes], None]) -> None:
        self._network = network
        self._chance = chance
        self._deliver = deliver
        self._due = 0.0
        self.open = True

    def write(self, data: bytes) -> None:
        """Send: it arrives later, in order, in one piece or in several."""
        if not self.open or not data:
            return
        loop, chance = asyncio.get_running_loop(), self._chance
        at = 0
        while at < len(data):
            size = len(data) - at if chance.random() < 0.8 else chance.randint(1, len(data) - at)
            # A little later than what was sent before, so that the order stays.
            self._due = max(self._due + 1e-6, loop.time() + self._network.latency(chance))
            loop.call_at(self._due, self._arrive, data[at : at + size])
            at += size

    def _arrive(self, data: bytes) -> None:
        if self.open:
            self._deliver(data)


class SimulatedWire:
    """One end of a connection, as the program at that end sees it."""

    def __init__(self, connection: "SimulatedConnection", out: Pipe) -> None:
        self._connection = connection
        self._out = out

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._out.write(data)

    def close(self) -> None:
        """End the connection; the other side learns it after what was sent before."""
        self._connection.finish()

    def abort(self) -> None:
        """End the connection at once; what is on its way is lost."""
        self._connection.cut()


class SimulatedConnection:
    """Both directions between a device (``near``) and a service (``far``)."""

    def __init__(self, network: "Network", name: str) -> None:
        self._network = network
        # Of its own: what happens on one connection must not depend on the order in which others send.
        self.chance = Random(name)  # noqa: S311
        self._near: WireUser | None = None
        self._far: WireUser | None = None
        self._to_near = Pipe(network, Random(f"{name}/near"), self._at_near)  # noqa: S311
        self._to_far = Pipe(network, Random(f"{name}/far"), self._at_far)  # noqa: S311
        self.near = SimulatedWire(self, self._to_far)
        self.far = SimulatedWire(self, self._to_near)

    def join(self, near: WireUser, far: WireUser) -> None:
        """Both ends are there; from now on bytes are delivered."""
        self._near, self._far = near, far

    def finish(self) -> None:
        """Close in order: both ends learn it when what was sent before has arrived."""
        asyncio.get_running_loop().call_later(self._network.latency(self.chance) * 4, self.cut)

    def _at_near(self, data: bytes) -> None:
        if self._near is not None:
            self._near.received(data)

    def _at_far(self, data: bytes) -> None:
        if self._far is not None:
            self._far.received(data)

    def cut(self) -> None:
        """The connection is gone now."""
        self._to_near.open = self._to_far.open = False
        ends = [self._near, self._far]
        self._near = self._far = None
        self._network.gone(self)
        for end in ends:
            if end is not None:
                end.lost()


class Network:
    """Makes connections; faults make it slow, break connections and let no new one through."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._chance = Random(seed)  # noqa: S311
        self._made = 0
        self.partitioned = False
        self.slow = 1.0
        #: in the order in which they were made: a set's order would differ from run to run
        self._connections: dict[SimulatedConnection, None] = {}

    def latency(self, chance: Random) -> float:
        """Seconds until the next bytes arrive: mostly milliseconds, now and then much more."""
        usual = chance.expovariate(200.0)
        return min(_LONGEST_S, self.slow * (usual if chance.random() < 0.98 else usual * 100))

    def connect(self) -> SimulatedConnection | None:
        """A new connection, None when none can be made now."""
        if self.partitioned:
            return None
        self._made += 1
        connection = SimulatedConnection(self, f"{self._seed}/{self._made}")
        self._connections[connection] = None
        return connection

    def gone(self, connection: SimulatedConnection) -> None:
        """A connection ended."""
        self._connections.pop(connection, None)

    def cut_some(self) -> None:
        """Break each connection with a chance of one half."""
        for connection in tuple(self._connections):
            if self._chance.random() < 0.5:
                connection.cut()

    def cut_all(self) -> None:
        """Break every connection, as when the service's machine dies."""
        for connection in tuple(self._connections):
            connection.cut()
