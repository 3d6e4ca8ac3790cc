"""Erasing a user from the log: rows become husks, names go, and what was there is overwritten in every file.

A husk keeps the row's place, its keyed identity and when it came: seq counts up without gaps, and the anchor knows its
witness. User 0 is nobody. What is deleted is overwritten in its page at once (``secure_delete``); the write-ahead log,
which holds older states of pages, is cut. In a log of before, free space may hold what was deleted long ago: that log
is written anew once.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import apsw

from healthsync_mqtt.storage.sqlite.connection import fetch, fetch_value
from healthsync_mqtt.storage.sqlite.counts import forget_counts, forget_versions, uncount
from healthsync_mqtt.storage.sqlite.sketches import Sketches
from healthsync_mqtt.storage.sqlite.statements import statements

SQL = statements("erasing")
_CUT_WAIT_MS = 50


class LogErasure(NamedTuple):
    """What the next commit leaves of a user: husks of these rows; with ``names``, nothing else and no name."""

    user: str
    seqs: Sequence[int]
    #: names that nobody else had as far as row ``through``; None: only the rows
    names: Sequence[str] | None = None
    through: int = 0


def erase(
    connection: apsw.Connection,
    erasure: LogErasure,
    names: dict[str, int],
    sketches: Sketches,
    forget_refusals: Callable[[str], None],
) -> list[str]:
    """Do it inside the transaction; the names that are no more. ``names`` is what the writer knows."""
    number = names.get(erasure.user)
    fetch(connection, SQL["overwrite"])
    try:
        if number is not None and erasure.seqs:
            sketches.forget_rows(erasure.seqs, number)
            _husks(connection, number, erasure.seqs)
        if erasure.names is None:
            return []
        forget_refusals(erasure.user)
        going = []
        if number is not None:
            for each in ("forget_states", "forget_records", "forget_sealed_records", "forget_place", "forget_known"):
                fetch(connection, SQL[each], (number,))
            forget_counts(connection, number)
            sketches.forget_user(number)
            going.append(erasure.user)
        for name in erasure.names:
            no = names.get(name)
            if no is not None and not fetch(connection, SQL["used_after"], {"after": erasure.through, "no": no}):
                going.append(name)
        # Readers know names by their numbers: a number of somebody else would be read as the one who is gone.
        fetch(connection, SQL["note_last_name"])
        for name in going:
            fetch(connection, SQL["forget_name"], (names[name],))
        return going
    finally:
        fetch(connection, SQL["overwrite_where_cheap"])


def _husks(connection: apsw.Connection, user: int, seqs: Sequence[int]) -> None:
    fetch(connection, SQL["nobody"])
    uncount(connection, seqs, user)
    forget_versions(connection, seqs, user)
    places = [(seq, user) for seq in seqs]
    husks = connection.executemany(SQL["husk"], places).fetchall()
    connection.executemany(SQL["take_out"], places).fetchall()
    connection.executemany(SQL["put_in"], husks).fetchall()
    connection.executemany(SQL["supersede_no_more"], [(seq,) for seq in seqs]).fetchall()


def scrub(connection: apsw.Connection, busy_ms: int) -> bool:
    """Let no file hold what was overwritten, outside of a transaction; False: a reader is in the way.

    A log of before is written anew once, which holds up commits for as long as that takes.
    """
    if not fetch_value(connection, SQL["overwritten"]):
        fetch(connection, "VACUUM")
        fetch(connection, SQL["set_overwritten"])
    connection.set_busy_timeout(_CUT_WAIT_MS)
    try:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except apsw.BusyError:
        return False
    finally:
        connection.set_busy_timeout(busy_ms)
    return True
