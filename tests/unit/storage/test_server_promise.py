"""What is said of a server, by its settings and by whoever follows it."""

import pytest

from healthsync_mqtt.storage.postgres.promise import ServerPromise, Standby

SYNC, ASYNC = Standby("db2", "sync", 0), Standby("db3", "async", 77)
POTENTIAL, UNKNOWN = Standby("db4", "potential", 5), Standby("", "", None)


def promise(commit: str, waits_for: str, *standbys: Standby) -> ServerPromise:
    return ServerPromise("15.9", commit, waits_for, standbys, 1, None)


HERE = "what is acknowledged is on the disk of this server"
NOTHING = "nothing is acknowledged until a standby of synchronous_standby_names is there"


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (promise("on", ""), f"{HERE}, and on no other"),
        (promise("local", "db2", SYNC), "standby db2 follows asynchronously, 0 bytes behind now; what it has not"),
        (promise("on", "", ASYNC, POTENTIAL), "standbys db3, db4 follow asynchronously, 77 bytes behind now; what"),
        (promise("on", "", UNKNOWN), "a standby follows asynchronously; what it has not"),
        (promise("on", "db2", SYNC), f"{HERE} and of the standby db2"),
        (promise("on", "db2", UNKNOWN), f"{HERE} and of a standby"),
        (
            promise("on", "db2", SYNC, ASYNC),
            "of the standby db2; standby db3 follows asynchronously, 77 bytes behind now",
        ),
        (promise("remote_write", "db2", SYNC), f"{HERE}, and in the memory of the standby db2"),
        (
            promise("on", "ANY 1 (a, b)", Standby("a", "quorum", 0), Standby("b", "quorum", 0)),
            f"{HERE} and of one of the standbys a, b at least",
        ),
        (promise("on", "db2", ASYNC), NOTHING),
        (promise("on", "db2"), NOTHING),
        (promise("on", "FIRST 2 (db2, db3)", SYNC, ASYNC), NOTHING),
    ],
)
def test_what_is_acknowledged_is_where_the_server_says(seen: ServerPromise, words: str) -> None:
    told = seen.words.removeprefix(f"PostgreSQL 15.9, synchronous_commit = {seen.synchronous_commit}: ")
    assert words in told
    assert seen.waiting == (words == NOTHING)


@pytest.mark.parametrize(
    ("waits_for", "enough"),
    [("db2", 1), ("*", 1), ("2 (db2, db3)", 2), ("any 2 (db2, db3, db4)", 2), ("FIRST 1 (db2)", 1)],
)
def test_as_many_are_waited_for_as_the_setting_says(waits_for: str, enough: int) -> None:
    found = [Standby(f"db{number}", "sync", 0) for number in range(enough)]
    assert not promise("on", waits_for, *found).waiting
    assert promise("on", waits_for, *found[1:], ASYNC).waiting
