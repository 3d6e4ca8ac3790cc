"""What ``healthsync doctor`` says of the server that the event log is on: what an acknowledgement is worth there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from healthsync_mqtt.cli.doctor.finding import Finding, Grade
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.storage.opening import compare_with_anchor, server_promise

_OLD_S: Final = 3600
"""A copy by pg_dump may take that long; what is forgotten takes longer."""


def server(data: Path) -> Iterator[Finding]:
    """One finding about the server and one about the log on it; none where the log is in the data directory."""
    try:
        promise = server_promise(data)
        if promise is None:
            return
        if promise.unsafe is not None:
            yield Finding(check="postgresql", grade=Grade.BAD, message=str(promise.unsafe), fix=promise.unsafe.hint)
        elif promise.asynchronous:
            fix = (
                "on the server: synchronous_commit = on, and synchronous_standby_names = the names of standbys "
                "(not '*', which takes pg_basebackup for one); what a failover may lose now: docs/howto/postgresql.md"
            )
            yield Finding(check="postgresql", grade=Grade.NOTE, message=promise.words, fix=fix)
        elif promise.waiting:
            fix = (
                "start the standby, or take it out of synchronous_standby_names: what it does not have may be lost then"
            )
            yield Finding(check="postgresql", grade=Grade.BAD, message=promise.words, fix=fix)
        else:
            yield Finding(check="postgresql", grade=Grade.GOOD, message=promise.words)
        if (oldest := promise.oldest) is not None and oldest.seconds >= _OLD_S:
            yield Finding(
                check="postgresql transactions",
                grade=Grade.NOTE,
                message=f"a transaction is open for {oldest.seconds // 60} minutes (process {oldest.pid}, "
                f"{oldest.name or 'no name'}): until it ends, what is changed or erased stays on the server's disk, "
                "and commits get slower",
                fix=f"on the server: SELECT pg_terminate_backend({oldest.pid}); a large log is copied by pg_basebackup",
            )
        seen = compare_with_anchor(data)
        seen.refuse()
    except HealthSyncError as error:
        yield Finding(check="event log", grade=Grade.BAD, message=str(error), fix=error.hint)
        return
    yield Finding(check="event log", grade=Grade.GOOD, message=f"{seen.head} rows, epoch {seen.epoch or '-'}")
