"""Changes of a registry whose COMMIT has no clear answer, on a real PostgreSQL, and what its sessions make sure of."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import psycopg
import pytest

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.identity.people.postgres.tables import PostgresTables
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.postgres.connection import ServerPlace
from healthsync_mqtt.testing.registry_contract import NOW_US, Both
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.postgres import NEEDED, PASSWORD, CutAtCommit, Postgres, server_of_a_module

pytestmark = NEEDED
server = server_of_a_module


_NUMBERS = count(1)
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.fixture
def place(server: Postgres) -> ServerPlace:
    return ServerPlace(server.url, schema=f"registry_{next(_NUMBERS)}")


@pytest.fixture
def both(place: ServerPlace) -> Iterator[Both]:
    with Registry(PostgresTables.open(place)) as one, Registry(PostgresTables.open(place)) as other:
        yield Both(one, other)


@pytest.mark.parametrize("end", ["terminate", "cancel"])
def test_a_change_that_no_standby_waited_for_is_told_when_one_has_it(server: Postgres, both: Both, end: str) -> None:
    """Its COMMIT is broken off while it waits: it is durable here alone. What comes after it waits, too."""
    both.one.users()
    with ThreadPoolExecutor(1) as pool:
        with server.no_standby():
            adding = pool.submit(both.one.add_user, "alice", "all", NOW_US)
            wait_until(server.waiting, "the change waits for the standby")
            [before] = server.waiting()
            server.execute(f"SELECT pg_{end}_backend({before[0]})")
            wait_until(lambda: adding.done() or server.waiting() not in ([], [before]), "another COMMIT waits")
            assert not adding.done()
        adding.result(PATIENCE_S)
    assert [each.id for each in both.other.users()] == ["alice"]


def test_what_another_machine_did_under_the_number_of_a_lost_change_is_no_answer(
    server: Postgres, place: ServerPlace
) -> None:
    """A crash takes the change before its COMMIT is read, and the next transaction gets its number."""
    numbers, there, given_again = count(1), list[str](), False
    tables = PostgresTables.open(place)
    with Registry(tables) as one, Registry(PostgresTables.open(place)) as other:

        def add() -> None:
            there.append(f"user{next(numbers)}")
            other.add_user(there[-1], "all", NOW_US)

        def crash(connection: psycopg.Connection) -> None:
            nonlocal given_again
            number = connection.execute("SELECT pg_current_xact_id()::text").fetchall()[0][0]
            given_again = server.crash_under(int(number), add)

        for _ in range(9):  # the server may have written some of the change: then its number is its own for ever
            one.users()
            tables._connection = CutAtCommit(tables._connection, crash)  # type: ignore[assignment]
            with pytest.raises(StoreError, match="could not be changed"):
                one.add_user(f"lost{next(numbers)}", "all", NOW_US)
            if given_again:
                break
        assert given_again
        assert sorted(each.id for each in one.users()) == sorted(there)


def _committed(connection: psycopg.Connection) -> None:
    connection.execute(b"COMMIT")


def test_a_change_whose_answer_is_lost_is_there(both: Both) -> None:
    tables = both.one._tables
    assert isinstance(tables, PostgresTables)
    both.one.users()
    tables._connection = CutAtCommit(tables._connection, _committed)  # type: ignore[assignment]
    both.one.add_user("alice", "all", NOW_US)
    assert [each.id for each in both.other.users()] == ["alice"]


def test_who_waited_for_a_change_sees_it_whatever_others_want_of_the_database(
    server: Postgres, place: ServerPlace
) -> None:
    server.execute("ALTER ROLE healthsync SET default_transaction_isolation = 'repeatable read'")
    try:
        with (
            Registry(PostgresTables.open(place)) as one,
            Registry(PostgresTables.open(place)) as other,
            ThreadPoolExecutor(1) as pool,
        ):
            with one.write():
                adding = pool.submit(other.add_user, "bob", "all", NOW_US)
                wait_until(lambda: server.execute(WAITING) == [(1,)], "the other one waits for its turn")
                one.add_user("alice", "all", NOW_US)
            adding.result(PATIENCE_S)
            assert sorted(each.id for each in one.users()) == ["alice", "bob"]
    finally:
        server.execute("ALTER ROLE healthsync RESET default_transaction_isolation")


def test_a_login_that_is_refused_is_not_called_an_outage(server: Postgres) -> None:
    for url in (server.url.replace(PASSWORD, "not-this-secret"), server.url.replace("/postgres", "/no-such-database")):
        with pytest.raises(StoreError, match="PostgreSQL refuses"):
            PostgresTables.open(ServerPlace(url))
