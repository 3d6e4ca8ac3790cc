"""What ``healthsync doctor`` says about the databases: does SQLite find each whole? Read only, and not for long."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import apsw

from healthsync_mqtt.cli.doctor.finding import Finding, Grade
from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.sinks.config import Sinks

WITHIN_S: Final = 2.0
"""Of one database. The registry's writers wait for longer than that, so a running service is not disturbed."""
_BUSY_MS: Final = 500
_TAKEN: Final = "the service has it to itself, and found it good when it started"
_STEPS: Final = 10_000
_MOST_WORDS: Final = 160


def databases(data: Path, *, within_s: float = WITHIN_S) -> Iterator[Finding]:
    """One finding for each database that is there; none stops the others."""
    paths = DataPaths(root=data)
    restore = "stop the service and put it back from a backup: docs/operations.md"
    away = f"stop the service, then: mv {paths.sessions_db} {paths.sessions_db}.damaged; clients subscribe again"
    kept = [
        (paths.events_db, restore),
        (paths.registry_db, restore),
        (paths.audit_db, restore),
        (paths.sessions_db, away),
        (
            paths.homeassistant_db,
            f"stop the service, then: rm {paths.homeassistant_db}; it is made from the log",
        ),
        (
            paths.summaries_db,
            f"stop the service, then: rm {paths.summaries_db}; it is made from the log",
        ),
        (
            paths.insights_db,
            f"stop the service, then: rm {paths.insights_db}; it is made from the days",
        ),
    ]
    sinks = Sinks(data)
    for name in sinks.names():
        anew = f"begin anew with an empty bucket: healthsync sink remove {name} --yes, then add it again"
        kept.append((sinks.ledger(name), anew))
    for path, fix in kept:
        if path.is_file():
            yield _examined(path, fix, within_s)


def _examined(path: Path, fix: str, within_s: float) -> Finding:
    check = path.name
    try:
        fault, whole = _fault(path, within_s)
    except apsw.BusyError:
        return Finding(check=check, grade=Grade.NOTE, message=_TAKEN, fix="stop the service, then: healthsync doctor")
    except apsw.Error as error:
        return Finding(check=check, grade=Grade.BAD, message=f"damaged: {error}"[:_MOST_WORDS], fix=fix)
    if fault:
        return Finding(check=check, grade=Grade.BAD, message=f"damaged: {fault}"[:_MOST_WORDS], fix=fix)
    done = "whole" if whole else f"no fault within {within_s:g} s; it was not read to its end"
    return Finding(check=check, grade=Grade.GOOD, message=done)


def _fault(path: Path, within_s: float) -> tuple[str, bool]:
    """The first fault that SQLite finds, if any, and whether everything was looked at in time."""
    database = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        database.set_busy_timeout(_BUSY_MS)
        until = time.monotonic() + within_s
        database.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
        for (found,) in database.execute("PRAGMA quick_check(1)"):
            if found != "ok":
                return " ".join(str(found).split()), True
    except apsw.InterruptError:
        return "", False
    finally:
        database.close()
    return "", True
