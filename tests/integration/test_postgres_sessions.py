"""A writer's sessions on a real PostgreSQL: what they make sure of, also of one that comes back after it was cut."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count

import pytest

from healthsync_mqtt.postgres.connection import Connection, ServerPlace
from healthsync_mqtt.storage.late_sealing import ENCRYPTION
from healthsync_mqtt.storage.move import MOVED, MovePart
from healthsync_mqtt.storage.postgres.connection import connect_writer
from healthsync_mqtt.storage.postgres.faults import AloneError, OtherLogError, ServerUnsafeError
from healthsync_mqtt.storage.postgres.log import PostgresEventLog
from healthsync_mqtt.storage.postgres.move import PostgresMovingLog
from healthsync_mqtt.storage.postgres.reader import PostgresLogReader
from healthsync_mqtt.storage.postgres.statements import migrations
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.postgres import NEEDED, Postgres, server_of_a_module

pytestmark = NEEDED
server = server_of_a_module


WRITERS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'healthsync-writer'"


def test_what_comes_back_to_a_log_that_was_moved_meanwhile_writes_nothing(server: Postgres) -> None:
    place = server.place()
    with PostgresEventLog.open(place, alone=True) as log:
        log.stage([item("a")], [], NOW_US)
        log.commit()
        server.cut()
        with PostgresMovingLog.open(place, alone=True, part=MovePart.SOURCE) as source:
            source.set_mark(MOVED, "to another place")
        wait_until(lambda: server.execute(WRITERS) == [(0,)], "its session has ended")
        with pytest.raises(OtherLogError, match="was moved to another place"):
            log.stage([item("late")], [], NOW_US)
    with PostgresLogReader.open(place) as reader:
        assert [row.id for row in reader.read(0, 9)] == ["a"]


@contextmanager
def newer_release() -> Iterator[None]:
    """Meanwhile this program knows one more step of the schema."""
    steps = (*migrations(), (migrations()[-1][0] + 1, "CREATE TABLE of_a_newer_release (x int)"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("healthsync_mqtt.storage.postgres.connection.migrations", lambda: steps)
        yield


@pytest.mark.parametrize("alone", [True, False])
def test_tables_are_changed_when_nobody_of_an_older_release_writes_them(server: Postgres, *, alone: bool) -> None:
    place = server.place()
    with PostgresEventLog.open(place, alone=alone) as old:
        old.stage([item("a")], [], NOW_US)
        old.commit()
        with newer_release(), pytest.raises(AloneError):
            PostgresEventLog.open(place, alone=alone)
        old.stage([item("b")], [], NOW_US)
        old.commit()
        server.cut()
        with newer_release(), PostgresEventLog.open(place, alone=alone) as new:
            assert new.stage([item("b"), item("c")], [], NOW_US) == [0, 3]
            new.commit()
        wait_until(lambda: server.execute(WRITERS) == [(0,)], "its session has ended")
        with pytest.raises(OtherLogError, match="has schema"):
            old.stage([item("d")], [], NOW_US)


def test_what_a_role_has_for_others_is_not_for_our_sessions(server: Postgres) -> None:
    """A VACUUM may take long; who waited for another group has to see it; warnings have to be heard."""
    theirs = {
        "statement_timeout": "'60s'",
        "default_transaction_isolation": "'repeatable read'",
        "client_min_messages": "error",
    }
    for name, value in theirs.items():
        server.execute(f"ALTER ROLE healthsync SET {name} = {value}")
    try:
        with PostgresEventLog.open(server.place()) as log:
            assert log._connection is not None
            ours = {name: log._connection.execute(f"SHOW {name}".encode()).fetchall()[0][0] for name in theirs}
    finally:
        for name in theirs:
            server.execute(f"ALTER ROLE healthsync RESET {name}")
    assert ours == {
        "statement_timeout": "0", "default_transaction_isolation": "read committed", "client_min_messages": "warning",
    }  # fmt: skip


def test_a_server_that_stops_to_sync_while_it_runs_is_refused_with_the_next_group() -> None:
    """It reads its settings again without a restart, and sessions go on."""
    with Postgres() as server, PostgresEventLog.open(server.place()) as log:
        numbers = count(1)

        def refused() -> bool:
            try:
                log.stage([item(f"e{next(numbers)}")], [], NOW_US)
            except ServerUnsafeError as error:
                return "fsync = off" in str(error) and not error.retryable
            log.commit()
            return False

        assert not refused()
        server.execute("ALTER SYSTEM SET fsync = off")
        server.execute("SELECT pg_reload_conf()")
        wait_until(refused)


def test_a_commit_waits_for_the_disk_although_the_server_stopped_to(server: Postgres) -> None:
    with PostgresEventLog.open(server.place()) as log:
        assert log._connection is not None
        server.execute("ALTER SYSTEM SET synchronous_commit = off")
        server.execute("SELECT pg_reload_conf()")
        show = b"SHOW synchronous_commit"
        try:
            wait_until(lambda: log._connection.execute(show).fetchall() == [("off",)])  # type: ignore[union-attr]
            log.stage([item("a")], [], NOW_US)
            assert log._connection.execute(show).fetchall() == [("on",)]
            log.commit()
            assert log._connection.execute(show).fetchall() == [("on",)]
        finally:
            server.execute("ALTER SYSTEM RESET synchronous_commit")
            server.execute("SELECT pg_reload_conf()")


def test_what_is_sealed_meanwhile_is_for_good_for_who_has_no_keys(server: Postgres) -> None:
    place = server.place()
    with PostgresEventLog.open(place) as log:
        log.stage([item("a")], [], NOW_US)
        log.commit()
        server.cut()
        server.execute(f"INSERT INTO {place.schema}.meta (name, value) VALUES ('{ENCRYPTION}', 'rows')")
        with pytest.raises(OtherLogError, match="sealed") as told:
            log.stage([item("b")], [], NOW_US)
        assert not told.value.retryable


class _Door:
    """A lock that counts who has come to it."""

    def __init__(self) -> None:
        self.asked = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self.asked += 1
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_a_group_that_the_loop_begins_waits_for_the_thread_that_connects(
    server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two connections would each want the lock, and one of them would be told that another service has it."""
    made, on = list[None](), threading.Event()

    def connect(place: ServerPlace) -> Connection:
        made.append(None)
        assert on.wait(PATIENCE_S)
        return connect_writer(place)

    with PostgresEventLog.open(server.place(), alone=True) as log, ThreadPoolExecutor(2) as pool:
        log._disconnect()
        door = log._looking = _Door()  # type: ignore[assignment]
        monkeypatch.setattr("healthsync_mqtt.storage.postgres.log.connect_writer", connect)
        kept = pool.submit(log.keep_lock)
        wait_until(lambda: len(made) == 1)
        staged = pool.submit(log.stage, [item("a")], [], NOW_US)
        wait_until(lambda: door.asked == 2 or len(made) == 2)
        on.set()
        kept.result(PATIENCE_S)
        assert staged.result(PATIENCE_S) == [1]
        assert len(made) == 1
        assert log.commit() == 1


def test_a_pooler_of_sessions_is_refused(server: Postgres) -> None:
    """Their locks are what tells who is alone."""
    place = server.place()
    PostgresEventLog.open(place).close()
    with _Pooler(server.port) as port:
        through = replace(place, url=server.url.replace(f":{server.port}/", f":{port}/"))
        with pytest.raises(ServerUnsafeError, match="connection pooler"):
            PostgresEventLog.open(through)


class _Pooler:
    """One connection to the server, whose process has another number here, as PgBouncer tells one of its own."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._door = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._door]
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> int:
        self._start(self._accept)
        return int(self._door.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _start(self, run: Callable[..., None], *of: socket.socket) -> None:
        self._threads.append(threading.Thread(target=run, args=of))
        self._threads[-1].start()

    def _accept(self) -> None:
        client, _ = self._door.accept()
        server = socket.create_connection(("127.0.0.1", self._to))
        self._sockets += [client, server]
        self._start(self._pump, client, server)
        self._start(self._pump, server, client)

    @staticmethod
    def _pump(source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                head, key, rest = data.partition(b"K\x00\x00\x00\x0c")
                to.sendall(head + key + (b"\x00\x00\x00\x07" + rest[4:] if key else rest))
            to.shutdown(socket.SHUT_WR)
