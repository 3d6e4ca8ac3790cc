"""What the bounds come to in all, as ``docs/howto/limits.md`` states it: memory of the service, and its directory."""

import re
from functools import cache
from typing import Final

import apsw

from tests.support.floods.profile import PAGE

_ROW: Final = re.compile(r"^\| `((?:memory|disk)\.[a-z]+)` \| ([\d,]+) \| (.+) \|$", re.MULTILINE)
_PART: Final = re.compile(r"(?:(\d+) times )?`([a-z_.]+)`")


@cache
def stated() -> dict[str, int]:
    """The sums of the page, in bytes."""
    return {name: int(value.replace(",", "")) for name, value, _ in _ROW.findall(PAGE.read_text(encoding="utf-8"))}


@cache
def parts() -> dict[str, list[tuple[int, str]]]:
    """Which bounds a sum is made of, and how often each."""
    rows = _ROW.findall(PAGE.read_text(encoding="utf-8"))
    return {name: [(int(times or 1), bound) for times, bound in _PART.findall(of)] for name, _, of in rows}


def memory_mb(connections: int) -> float:
    """What the service may take with so many connections."""
    sums = stated()
    return (sums["memory.program"] + sums["memory.messages"] + connections * sums["memory.connection"]) / 1e6


def disk_mb() -> float:
    """What a directory may hold beside what is stored."""
    return stated()["disk.kept"] / 1e6


def stored_mb(events_db: str) -> float:
    """The part of the log that is stored events and what finds them; what was refused is in a table of its own."""
    log = apsw.Connection(events_db, flags=apsw.SQLITE_OPEN_READONLY)
    try:
        log.set_busy_timeout(5_000)
        pages = log.execute("SELECT sum(pgsize) FROM dbstat WHERE aggregate = TRUE AND name NOT LIKE 'quarantine%'")
        return int(pages.fetchone()[0] or 0) / 1e6
    finally:
        log.close()
