"""Which of the bridges that share a log follows it: whoever has a lock of its session, and for as long as it has it.

There are two: who leads feeds subscribers, who ships runs the sinks and purges. Any bridge may lead. Sinks are files,
so only bridges on the directory that the log names may ship.

The lock ends with the connection, so it moves when a process dies, its machine, or the way between it and the server.
A bridge that hears of its end late may do what the next one does already: what is elected must bear being done twice.
"""

import threading
from collections.abc import Callable
from hashlib import blake2b
from typing import Final, NamedTuple

import psycopg
from psycopg import sql

from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.postgres.connection import Connection, ServerPlace, abandon
from healthsync_mqtt.storage.postgres.connection import connect_watcher, fetch, told_on
from healthsync_mqtt.storage.postgres.processes import LEAD_LOCK, ProcessRow
from healthsync_mqtt.storage.postgres.sinks_claim import SHIP_LOCK, claimed, leave_shipping, take_shipping
from healthsync_mqtt.storage.postgres.statements import statements

_SQL = statements("election")

_PREFIX: Final = "healthsync-bridge "
_LONGEST: Final = 63
"""Bytes of a session's name that the server keeps."""
_DIGEST: Final = 6
_LOOK_S: Final = 0.5
"""Between two tries to lead, and two looks at who else is there."""


class Ballot(NamedTuple):
    """Whether this bridge leads, how far the log is, which bridges there are, and which of them leads ("": none).

    ``ships`` and ``shipper`` say the same of the sinks; ``may_ship``: this bridge has the directory of the log's sinks.
    """

    leads: bool
    head: int = 0
    bridges: tuple[str, ...] = ()
    leader: str = ""
    ships: bool = False
    shipper: str = ""
    may_ship: bool = False


def session_name(bridge: str) -> str:
    """What the session of this bridge is called; two are never called alike, however long their ids are."""
    name = f"{_PREFIX}{bridge}"
    if len(name) <= _LONGEST:
        return name
    digest = blake2b(bridge.encode(), digest_size=_DIGEST).hexdigest()
    return f"{name[: _LONGEST - len(digest) - 1]}~{digest}"  # no id has this sign


class PostgresElection:
    """One bridge's part in it, in a thread of its own. ``told`` is called from there whenever something has changed.

    ``sinks`` is asked there, too, for the mark of the directory that this bridge's sinks are in; "": it has none.
    ``row`` is what the installation sees of this bridge, on the same connection.
    """

    def __init__(
        self,
        place: ServerPlace,
        bridge: str,
        told: Callable[[Ballot], None],
        sinks: Callable[[], str] = lambda: "",
        row: ProcessRow | None = None,
    ) -> None:
        self._place = place
        self._sinks = sinks
        self._row = row
        self._bridge, self._name = bridge, session_name(bridge)
        self._told = told
        self._ending = threading.Event()
        self._last: Ballot | None = None
        self._thread = threading.Thread(target=self._run, name="election", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stand no more; blocking. The next one leads within a second."""
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.is_set():
            connection: Connection | None = None
            try:
                connection = connect_watcher(self._place, self._name)
                self._watch(connection)
            except (psycopg.Error, HealthSyncError):
                self._tell(Ballot(leads=False))  # the writer says what is wrong with the server
                self._ending.wait(_LOOK_S)
            finally:
                abandon(connection)

    def _watch(self, connection: Connection) -> None:
        channel = told_on(self._place)
        connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        leads = ships = False
        if self._row is not None:
            self._row.begin(connection)
        while not self._ending.is_set():
            leads = leads or fetch(connection, _SQL["lead"], (LEAD_LOCK, self._place.schema))[0][0]
            mark = self._sinks()
            may_ship = bool(mark) and mark == claimed(connection)
            shipped, ships = ships, may_ship and (ships or take_shipping(connection, self._place))
            self._tell(self._ballot(connection, leads=leads, ships=ships, may_ship=may_ship))
            if shipped and not ships:
                leave_shipping(connection, self._place)
            if self._row is not None:
                self._row.write(connection)
            for _ in connection.notifies(timeout=_LOOK_S, stop_after=1):
                pass
        if self._row is not None:
            self._row.end(connection)

    def _ballot(self, connection: Connection, *, leads: bool, ships: bool, may_ship: bool) -> Ballot:
        asked = {"lead": LEAD_LOCK, "ship": SHIP_LOCK, "schema": self._place.schema, "prefix": _PREFIX}
        head, names, leader, shipper = fetch(connection, _SQL["ballot"], asked)[0]
        bridges = tuple(map(self._called, names))
        return Ballot(leads, head, bridges, self._called(leader or ""), ships, self._called(shipper or ""), may_ship)

    def _called(self, name: str) -> str:
        """The bridge of a session: of another one with a long id its beginning and a digest."""
        return self._bridge if name == self._name else name.removeprefix(_PREFIX)

    def _tell(self, ballot: Ballot) -> None:
        if ballot != self._last and not self._ending.is_set():
            self._last = ballot
            self._told(ballot)
