"""Changes of a registry whose COMMIT has no clear answer, on a real PostgreSQL, and what its sessions make sure of."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.identity.audit.log import GENESIS, AuditLog
from healthsync_mqtt.identity.audit.outbox import AuditHead
from healthsync_mqtt.identity.audit.server import AuditServer
from healthsync_mqtt.identity.people.postgres import connection, marks
from healthsync_mqtt.identity.people.postgres.move import move_in
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


@pytest.fixture
def audit(place: ServerPlace, tmp_path: Path) -> AuditLog:
    PostgresTables.open(place).close()
    log = AuditLog(tmp_path / "audit.db", b"key", AuditServer(place))
    log._write_head(AuditHead(0, GENESIS))
    return log


def _broken_off(server: Postgres, write: Callable[[], object], ends: int) -> object:
    """What comes of a change whose waits for a standby are broken off so often; then the standby is there."""
    with ThreadPoolExecutor(1) as pool:
        with server.no_standby():
            writing = pool.submit(write)
            ended = list[object]()

            def moved_on() -> bool:
                return writing.done() or server.waiting() not in ([], ended)

            for _ in range(ends):
                wait_until(moved_on, "a COMMIT waits")
                assert not writing.done()
                ended[:] = server.waiting()
                server.execute(f"SELECT pg_cancel_backend({server.waiting()[0][0]})")
            wait_until(moved_on, "it is done, or waits again")
            waited = not writing.done()
        error = writing.exception(PATIENCE_S)
        return waited if error is None else error


def _append(audit: AuditLog) -> int:
    return audit.append("user.added", actor="admin", now_us=NOW_US)


def test_a_row_of_the_audit_log_that_no_standby_waited_for_waits_for_one(server: Postgres, audit: AuditLog) -> None:
    assert _broken_off(server, lambda: _append(audit), 1) is True
    assert [each.action for each in audit.rows()] == ["user.added"]
    assert audit.verify().first_bad is None


def test_a_row_of_the_audit_log_that_no_standby_has_is_not_called_durable(server: Postgres, audit: AuditLog) -> None:
    error = _broken_off(server, lambda: _append(audit), 2)
    assert isinstance(error, StoreError)
    assert "did not wait for its standby" in str(error)
    assert _append(audit) == 2  # the first is there all the same, and the chain goes on
    assert audit.verify().first_bad is None


def test_a_note_that_is_a_row_already_waits_for_the_standby_as_a_new_one_does(
    server: Postgres, both: Both, audit: AuditLog
) -> None:
    both.one.add_user("alice", "all", NOW_US)
    with both.one.write():
        both.one.audit_outbox.note("user.added", actor="admin", now_us=NOW_US)
    notes = both.one.audit_outbox.pending()
    assert isinstance(_broken_off(server, lambda: audit.take(notes), 2), StoreError)
    assert _broken_off(server, lambda: audit.take(notes), 1) is True
    assert len(audit.rows()) == len(notes)


def test_a_mark_of_an_installation_waits_for_the_standby(server: Postgres, both: Both, place: ServerPlace) -> None:
    both.one.users()
    assert _broken_off(server, lambda: marks.change(place, "a thing", "its mark", NOW_US), 1) is True
    assert marks.known(place, "a thing") == "its mark"


def test_files_are_not_renamed_before_a_standby_has_the_registry_that_they_were(
    server: Postgres, both: Both, place: ServerPlace, tmp_path: Path
) -> None:
    """Renamed they would be taken for moved by a start after its failover."""
    both.one.users()
    file = tmp_path / "registry.db"
    with Registry.open(file) as registry:
        registry.add_user("alice", "all", NOW_US)
    for _ in range(2):  # the second time it is on the server, and waits again
        error = _broken_off(server, lambda: move_in(place, file, tmp_path / "audit.db"), 2)
        assert isinstance(error, StoreError)
        assert file.exists()
    move_in(place, file, tmp_path / "audit.db")
    assert not file.exists()
    assert [each.id for each in both.other.users()] == ["alice"]


@contextmanager
def _newer() -> Iterator[None]:
    """Whoever looks meanwhile is a newer release, whose registry has a table more."""
    steps = connection._steps()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "_steps", lambda: (*steps, (steps[-1][0] + 1, "CREATE TABLE newer (x int)")))
        yield


def test_who_is_older_than_the_tables_changes_nothing_and_reads_on(
    both: Both, place: ServerPlace, audit: AuditLog
) -> None:
    both.one.add_user("alice", "all", NOW_US)
    _append(audit)
    with _newer():
        PostgresTables.open(place).close()
    with pytest.raises(StoreError, match="it changes nothing there") as refused:
        both.one.add_user("bob", "all", NOW_US)
    assert "upgrade this one" in (refused.value.hint or "")
    with pytest.raises(StoreError, match="it changes nothing there"):
        _append(audit)
    assert [each.id for each in both.one.users()] == ["alice"]
    assert len(audit.rows()) == 1
    with _newer():
        both.other.add_user("carol", "all", NOW_US)
        assert _append(audit) == 2


def test_tables_are_changed_when_nobody_is_changing_what_is_in_them(
    server: Postgres, both: Both, place: ServerPlace
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with both.one.write():
            both.one.add_user("alice", "all", NOW_US)
            with _newer():
                opening = pool.submit(PostgresTables.open, place)
                wait_until(lambda: server.execute(WAITING) == [(1,)] or opening.done(), "the migration waits")
                assert not opening.done()
                both.one.add_user("bob", "all", NOW_US)
        opening.result(PATIENCE_S).close()
    assert [each.id for each in both.other.users()] == ["alice", "bob"]


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
