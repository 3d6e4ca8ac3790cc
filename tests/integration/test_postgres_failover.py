"""A PostgreSQL that is lost, disk and all, while its log is written, and a standby that takes over."""

import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from healthsync_mqtt.cli.doctor.finding import Grade
from healthsync_mqtt.cli.doctor.server import server
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.postgres.connection import ServerPlace
from healthsync_mqtt.storage.anchor import AnchorFile, RestoredError
from healthsync_mqtt.storage.opening import server_promise
from healthsync_mqtt.storage.postgres.faults import OtherLogError, ServerGoneError
from healthsync_mqtt.storage.postgres.log import PostgresEventLog
from healthsync_mqtt.storage.postgres.reader import PostgresLogReader
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.support import child
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.postgres import NEEDED, PASSWORD, Postgres, account, program

pytestmark = NEEDED


@pytest.fixture
def servers() -> Iterator[Callable[[], Postgres]]:
    """Servers that are not started; all are gone at the end."""
    with ExitStack() as stack:

        def server() -> Postgres:
            made = Postgres()
            stack.push(made.__exit__)
            return made

        yield server


def either(one: Postgres, other: Postgres, schema: str = "healthsync") -> ServerPlace:
    """Both, as an operator names them: whichever takes writes."""
    hosts = f"127.0.0.1:{one.port},127.0.0.1:{other.port}"
    return ServerPlace(f"postgresql://healthsync:{PASSWORD}@{hosts}/postgres?target_session_attrs=read-write", schema)


class Writer:
    """Writes group after group, each until it is acknowledged."""

    def __init__(self, log: PostgresEventLog, first: int) -> None:
        self.acknowledged = first
        self._log = log
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ending.is_set():
            first = self.acknowledged
            group = [item(f"e{first + n}", f"user{(first + n) % 3}") for n in range(3)]
            try:
                self._log.stage(group, [], NOW_US)
                self._log.commit()
            except StoreError:
                self._ending.wait(0.05)
            else:
                self.acknowledged = first + len(group)

    def end(self) -> int:
        self._ending.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self.acknowledged


def test_a_synchronous_standby_has_all_that_was_acknowledged(servers: Callable[[], Postgres]) -> None:
    """HEALTHSYNC_TEST_FAILOVERS: how often."""
    rounds, rng = int(os.environ.get("HEALTHSYNC_TEST_FAILOVERS", "2")), random.Random(19)
    primary, written = servers().start(), 0
    PostgresEventLog.open(ServerPlace(primary.url)).close()
    primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
    for _ in range(rounds):
        standby = servers().follow(primary)
        primary.execute("SELECT pg_reload_conf()")
        wait_until(lambda here=primary: here.execute(SYNCHRONOUS) == [("sync",)], "the standby follows")
        place = either(primary, standby)
        with PostgresEventLog.open(place) as log:
            writer, goal = Writer(log, written), written + rng.randrange(3, 90)
            wait_until(lambda to=writer, most=goal: to.acknowledged >= most, "groups are acknowledged")
            primary.kill()
            standby.promote()
            standby.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
            standby.execute("SELECT pg_reload_conf()")
            taken_over = writer.acknowledged
            wait_until(lambda to=writer, most=taken_over: to.acknowledged > most, "it goes on at the standby")
            written = writer.end()
        with PostgresLogReader.open(place) as reader:
            rows = reader.read(0, 99_999, history=True)
        assert [row.id for row in rows[:written]] == [f"e{n}" for n in range(written)], "each, once, in order"
        for user in ("user0", "user1", "user2"):
            own = [row.position for row in rows if row.user == user]
            assert own == list(range(1, len(own) + 1))
        standby.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary = standby


SYNCHRONOUS = "SELECT sync_state FROM pg_stat_replication"
SAID = "SELECT bool_and(flush_lsn IS NOT NULL) FROM pg_stat_replication"


def test_what_an_asynchronous_standby_lost_is_noticed(servers: Callable[[], Postgres], tmp_path: Path) -> None:
    """It is named before, and the log is refused after, until somebody takes it as it is."""
    primary = servers().start()
    data = primary.directory(tmp_path / "data")
    promise = server_promise(data)
    assert promise is not None
    assert not promise.asynchronous
    standby = servers().follow(primary)
    wait_until(lambda: primary.execute(SYNCHRONOUS) == [("async",)], "the standby follows")
    wait_until(lambda: primary.execute(SAID) == [(True,)], "the standby has said how far it is")
    promise = server_promise(data)
    assert promise is not None
    assert "what it has not when it takes over is lost" in promise.words
    [follower] = promise.standbys
    assert (follower.name, follower.state) == ("walreceiver", "async")
    assert follower.behind is not None
    assert "standby walreceiver follows asynchronously" in promise.words
    [found, _] = server(data)
    assert (found.grade, found.message[-14:]) == (Grade.NOTE, promise.words[-14:])
    assert "synchronous_standby_names = the names of standbys" in found.fix
    place, anchor = either(primary, standby), AnchorFile(tmp_path / "postgres.anchor")
    with PostgresEventLog.open(place, anchor=anchor) as log:
        log.stage([item("a")], [], NOW_US)
        log.commit()
        reached = primary.execute("SELECT pg_current_wal_lsn()")[0][0]
        wait_until(lambda: standby.execute(f"SELECT pg_last_wal_replay_lsn() >= '{reached}'") == [(True,)], "it has it")
        standby.execute("ALTER SYSTEM SET primary_conninfo = ''")
        standby.execute("SELECT pg_reload_conf()")
        wait_until(lambda: primary.execute(SYNCHRONOUS) == [], "the standby is behind from now on")
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.execute("SELECT pg_reload_conf()")
        wait_until(lambda: next(server(data)).grade is Grade.BAD, "no commit would be answered now")
        primary.execute("ALTER SYSTEM RESET synchronous_standby_names")
        primary.execute("SELECT pg_reload_conf()")
        wait_until(lambda: next(server(data)).grade is Grade.GOOD, "it is alone again")
        log.stage([item("b"), item("c")], [], NOW_US)
        log.commit()
        log.anchor()
        primary.kill()
        standby.promote()
        with pytest.raises(OtherLogError, match="has lost rows"):
            log.stage([item("d")], [], NOW_US)
        before = log.epoch
    with pytest.raises(RestoredError, match="lost rows at its end"):
        PostgresEventLog.open(place, anchor=anchor)
    with PostgresEventLog.open(place, anchor=anchor, accept_restored=lambda *_: None) as log:
        assert log.epoch != before, "devices send again what they keep"
        assert log.stage([item("a"), item("b"), item("c")], [], NOW_US) == [0, 2, 3]
        log.commit()


def test_what_was_lost_of_a_bridge_that_is_gone_is_noticed_by_the_others(
    servers: Callable[[], Postgres], tmp_path: Path
) -> None:
    """By their next group, and by whoever read it; a standby that has not taken over is waited for."""
    primary = servers().start()
    PostgresEventLog.open(ServerPlace(primary.url)).close()
    standby = servers().follow(primary)
    wait_until(lambda: primary.execute(SYNCHRONOUS) == [("async",)], "the standby follows")
    place, anchor = either(primary, standby), AnchorFile(tmp_path / "postgres.anchor")
    anywhere = ServerPlace(place.url.partition("?")[0], place.schema)
    with PostgresEventLog.open(place, anchor=anchor) as log, PostgresLogReader.open(anywhere) as reader:
        with PostgresEventLog.open(place) as gone:
            log.stage([item("a")], [], NOW_US)
            log.commit()
            reached = primary.execute("SELECT pg_current_wal_lsn()")[0][0]
            has_it = f"SELECT pg_last_wal_replay_lsn() >= '{reached}'"
            wait_until(lambda: standby.execute(has_it) == [(True,)], "it has it")
            standby.execute("ALTER SYSTEM SET primary_conninfo = ''")
            standby.execute("SELECT pg_reload_conf()")
            wait_until(lambda: primary.execute(SYNCHRONOUS) == [], "the standby is behind from now on")
            gone.stage([item("lost")], [], NOW_US)
            gone.commit()
        log.set_cursor("ship", 1)
        log.commit()
        log.anchor()
        assert [row.id for row in reader.read(0, 9)] == ["a", "lost"]
        primary.kill()
        with pytest.raises(StoreError) as told:
            reader.head()
        assert told.value.retryable, "the row may be on its way"
        standby.promote()
        with pytest.raises(OtherLogError, match="has lost rows"):
            log.stage([item("next")], [], NOW_US)
        wait_until(lambda: isinstance(failed(reader), OtherLogError), "the reader is told so, too")
    with pytest.raises(RestoredError, match="lost rows at its end"):
        PostgresEventLog.open(place, anchor=anchor)


def test_a_writer_waits_for_a_standby_that_takes_no_writes_yet(servers: Callable[[], Postgres]) -> None:
    """What that lacks may be on its way: nothing says yet that it is lost."""
    primary = servers().start()
    PostgresEventLog.open(ServerPlace(primary.url)).close()
    standby = servers().follow(primary)
    wait_until(lambda: primary.execute(SYNCHRONOUS) == [("async",)], "the standby follows")
    place = either(primary, standby)
    with PostgresEventLog.open(ServerPlace(place.url.partition("?")[0], place.schema), alone=True) as log:
        standby.execute("ALTER SYSTEM SET primary_conninfo = ''")
        standby.execute("SELECT pg_reload_conf()")
        wait_until(lambda: primary.execute(SYNCHRONOUS) == [], "the standby is behind from now on")
        log.stage([item("a")], [], NOW_US)
        log.commit()
        primary.kill()
        with pytest.raises(ServerGoneError, match="takes no writes") as early:
            log.keep_lock()
        assert early.value.retryable
        with pytest.raises(ServerGoneError):
            log.stage([item("b")], [], NOW_US)
        standby.promote()
        with pytest.raises(OtherLogError, match="has lost rows"):
            log.keep_lock()


def test_who_copies_the_server_is_no_standby(servers: Callable[[], Postgres], tmp_path: Path) -> None:
    """Nobody promotes a backup, and its copy of the journal is not what an operator means by a standby."""
    primary = servers().start()
    data = primary.directory(tmp_path / "data")
    copy = primary.root / "copy"
    copy.mkdir()
    if who := account():
        shutil.chown(copy, who["user"], who["group"])
    command = [str(program("pg_receivewal")), "-d", primary.url, "-D", str(copy)]
    with child.started(command, cwd=primary.root, **account()):
        wait_until(lambda: primary.execute(SYNCHRONOUS) != [], "it copies")
        promise = server_promise(data)
        assert promise is not None
        assert promise.standbys == ()
        assert "on the disk of this server, and on no other" in promise.words


def test_a_transaction_that_is_open_for_long_is_named(
    servers: Callable[[], Postgres], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server keeps what it may see, erased or not."""
    here = servers().start()
    data = here.directory(tmp_path / "data")
    database = load_settings(data).storage.url.rpartition("/")[2]
    with psycopg.connect(here.url, dbname=database, application_name="forgotten") as session:
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        session.execute("SELECT count(*) FROM pg_class")
        assert [each.check for each in server(data)] == ["postgresql", "event log"], "not for long"
        monkeypatch.setattr("healthsync_mqtt.cli.doctor.server._OLD_S", 0)
        [_, found, _] = server(data)
        assert (found.check, found.grade) == ("postgresql transactions", Grade.NOTE)
        assert f"(process {session.info.backend_pid}, forgotten)" in found.message
        assert f"pg_terminate_backend({session.info.backend_pid})" in found.fix
    assert [each.check for each in server(data)] == ["postgresql", "event log"]


def failed(reader: PostgresLogReader) -> StoreError | None:
    try:
        reader.head()
    except StoreError as error:
        return error
    return None


def test_an_old_primary_that_comes_back_is_refused_by_who_knows_more_and_by_nobody_else(
    servers: Callable[[], Postgres], tmp_path: Path
) -> None:
    """So it has to be fenced: docs/howto/postgresql.md."""
    old = servers().start()
    PostgresEventLog.open(ServerPlace(old.url)).close()
    new, anchor = servers().follow(old), AnchorFile(tmp_path / "postgres.anchor")
    wait_until(lambda: old.execute(SYNCHRONOUS) == [("async",)], "the standby follows")
    with PostgresEventLog.open(either(old, new), anchor=anchor) as log:
        log.stage([item("a")], [], NOW_US)
        log.commit()
        reached = old.execute("SELECT pg_current_wal_lsn()")[0][0]
        wait_until(lambda: new.execute(f"SELECT pg_last_wal_replay_lsn() >= '{reached}'") == [(True,)], "it has it")
        old.kill()
        new.promote()
        wait_until(lambda: refused(log, "b") is None, "it goes on at the new one")
        log.anchor()
        old.start()  # it takes writes, too, and is the first one that is named
        new.cut()
        wait_until(lambda: isinstance(refused(log, "c"), OtherLogError), "it is known by what it lacks")
    with pytest.raises(RestoredError, match="lost rows at its end"):
        PostgresEventLog.open(either(old, new), anchor=anchor)
    with PostgresEventLog.open(either(old, new)) as newcomer:
        assert newcomer.stage([item("d")], [], NOW_US) == [2], "the number that another row has at the new one"


def refused(log: PostgresEventLog, name: str) -> StoreError | None:
    """Why a row is not written."""
    try:
        log.stage([item(name)], [], NOW_US)
        log.commit()
    except StoreError as error:
        return error
    return None
