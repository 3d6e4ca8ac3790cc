"""What an acknowledgement is worth on a server, by what it says of itself and of its standbys."""

import re
from typing import Final, NamedTuple

from healthsync_mqtt.errors import HealthSyncError

_SYNCHRONOUS: Final = frozenset({"sync", "quorum"})
_HOW_MANY: Final = re.compile(r"\s*(?:(?:FIRST|ANY)\s+)?(\d+)\s*\(", re.IGNORECASE)


class Standby(NamedTuple):
    """One that follows, as the server lists it. A role that is not in ``pg_monitor`` is told that there is one."""

    name: str
    #: ``sync``, ``quorum``, ``potential`` or ``async``; "" where this role is not told.
    state: str
    #: Bytes that were committed here and are not on its disk; None where this role is not told.
    behind: int | None


class OldTransaction(NamedTuple):
    """The oldest transaction that others have open in the database: what it may see, the server keeps."""

    pid: int
    name: str
    seconds: int


class ServerPromise(NamedTuple):
    """What an acknowledgement is worth on this server. ``unsafe``: why it is worth nothing, and the fix."""

    version: str
    synchronous_commit: str
    #: ``synchronous_standby_names``; "" when no commit waits for another machine.
    waits_for: str
    #: Whoever follows to take over. Who copies only (``pg_basebackup``, ``pg_receivewal``) is none.
    standbys: tuple[Standby, ...]
    bytes: int
    unsafe: HealthSyncError | None
    #: None: nobody has one open, or this role is not told.
    oldest: OldTransaction | None = None

    @property
    def followed(self) -> tuple[Standby, ...]:
        """Those that may not have what was acknowledged, when they take over: no commit waits for them."""
        if not self._waits:
            return self.standbys
        return tuple(each for each in self.standbys if each.state in {"async", "potential"})

    @property
    def asynchronous(self) -> bool:
        """Whether no commit waits for any standby, and there is one."""
        return not self._waits and bool(self.standbys)

    @property
    def waiting(self) -> bool:
        """Whether nothing is acknowledged, because commits wait for more standbys than there are to be waited for.

        A role that is not told which ones those are takes each for one.
        """
        if not self._waits:
            return False
        found = _HOW_MANY.match(self.waits_for)
        there = [each for each in self.standbys if not each.state or each.state in _SYNCHRONOUS]
        return len(there) < (1 if found is None else int(found[1]))

    @property
    def words(self) -> str:
        """What is acknowledged, in a sentence."""
        kept = f"PostgreSQL {self.version}, synchronous_commit = {self.synchronous_commit}: "
        if self.asynchronous:
            return f"{kept}{_named(self.followed)}; what it has not when it takes over is lost"
        if self.waiting:
            return f"{kept}nothing is acknowledged until a standby of synchronous_standby_names is there"
        if not self._waits:
            return f"{kept}what is acknowledged is on the disk of this server, and on no other"
        names = [each.name for each in self.standbys if each.state in _SYNCHRONOUS]
        one = "a standby" if len(names) != 1 else f"the standby {names[0]}"
        if any(each.state == "quorum" for each in self.standbys) and len(names) > 1:
            one = f"one of the standbys {', '.join(names)} at least"
        where = f"on the disk of this server and of {one}"
        if self.synchronous_commit == "remote_write":
            where = f"on the disk of this server, and in the memory of {one}"
        others = f"; {_named(self.followed)}, and may lack some of it" if self.followed else ""
        return f"{kept}what is acknowledged is {where}{others}"

    @property
    def _waits(self) -> bool:
        return bool(self.waits_for) and self.synchronous_commit != "local"


def _named(standbys: tuple[Standby, ...]) -> str:
    """Who follows, and how far behind the last of them is, where this role is told."""
    names = ", ".join(each.name for each in standbys if each.name)
    behind = [each.behind for each in standbys if each.behind is not None]
    who = f"standby {names} follows" if len(standbys) == 1 else f"standbys {names} follow"
    return f"{who if names else 'a standby follows'} asynchronously" + (
        f", {max(behind)} bytes behind now" if behind else ""
    )
