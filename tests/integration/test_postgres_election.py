"""Who stands for election on a real PostgreSQL: as the bridges see each other."""

from contextlib import ExitStack, closing
from functools import partial

from healthsync_mqtt.storage.postgres.election import Ballot, PostgresElection, session_name
from healthsync_mqtt.storage.postgres.log import PostgresEventLog
from tests.support.patience import wait_until
from tests.support.postgres import NEEDED, Postgres, server_of_a_module

pytestmark = NEEDED
server = server_of_a_module

LONG = "bridge-of-the-installation-in-the-region-europe-"
"""Longer than what the server keeps of a session's name behind ours."""


def ballots(server: Postgres, *ids: str) -> dict[str, Ballot]:
    """What each of these bridges has heard when all of them are there and one leads."""
    place, last = server.place(), dict[str, Ballot]()
    PostgresEventLog.open(place).close()
    with ExitStack() as standing:
        for each in ids:
            standing.enter_context(closing(PostgresElection(place, each, partial(last.__setitem__, each))))
        wait_until(
            lambda: len(last) == len(ids) and all(len(b.bridges) == len(ids) and b.leader for b in last.values())
        )
        return dict(last)


def test_bridges_are_known_by_their_ids(server: Postgres) -> None:
    heard = ballots(server, "main", "second", "x" * 45)
    assert {b.bridges for b in heard.values()} == {("main", "second", "x" * 45)}
    (leader,) = {b.leader for b in heard.values()}
    assert [name for name, b in heard.items() if b.leads] == [leader]


def test_long_ids_that_begin_alike_are_told_apart_and_the_leader_is_one_of_them(server: Postgres) -> None:
    one, other = f"{LONG}1", f"{LONG}2"
    heard = ballots(server, one, other)
    for name, ballot in heard.items():
        assert name in ballot.bridges, "its own it knows whole"
        (another,) = set(ballot.bridges) - {name}
        assert another.startswith(LONG[:30])
        assert ballot.leader == (name if ballot.leads else another)
    assert sorted(b.leads for b in heard.values()) == [False, True]


def test_what_a_session_is_called_fits() -> None:
    names = {session_name(each) for each in ("a", "x" * 45, "x" * 46, "x" * 64, "x" * 63 + "y")}
    assert len(names) == 5
    assert max(map(len, names)) == 63
