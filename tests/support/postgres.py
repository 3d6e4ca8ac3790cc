"""A real PostgreSQL on a free port of the loopback address, as a user who is not root: it does not run as root."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Final, Self

import psutil
import psycopg
import pytest

from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.postgres.connection import ServerPlace
from tests.support import child
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.ports import free_port

PASSWORD = "a-secret-of-the-tests"
_FOLDERS = [
    *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)),
    "/opt/homebrew/opt/postgresql@15/bin",
]


def program(name: str) -> str | None:
    """Debian keeps the server's programs beside the PATH."""
    return shutil.which(name, path=os.pathsep.join([*_FOLDERS, os.environ.get("PATH", "")]))


def installed() -> bool:
    """Whether Debian's package is there."""
    return program("initdb") is not None


NEEDED: Final = [
    pytest.mark.real_server,
    pytest.mark.skipif(not installed(), reason="postgresql is not installed: scripts/test installs it where it can"),
]
"""The marks of tests that have such a server."""


class Postgres:
    """A server on a directory of its own. ``kill`` is SIGKILL of all of it, ``start`` starts it there again."""

    def __init__(self, **settings: str) -> None:
        # In memory where that can be: what a killed server has written is there afterwards just so, and no other test
        # of the machine waits for its disk.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.root = Path(tempfile.mkdtemp(prefix="healthsync-postgres-", dir=memory))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._as = account()
        self._schemas = count(1)
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "shared_buffers": "32MB",
            "max_connections": "50",
            "max_wal_size": "64MB",
            "log_min_messages": "warning",
        } | settings
        if self._as:
            shutil.chown(self.root, self._as["user"], self._as["group"])

    @property
    def url(self) -> str:
        """With the password, as a settings file may have it."""
        return f"postgresql://healthsync:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    @property
    def data(self) -> Path:
        return self.root / "data"

    def place(self) -> ServerPlace:
        """An empty log."""
        return ServerPlace(self.url, f"log_{next(self._schemas)}")

    def directory(self, path: Path, *, like: Path | None = None, disk: Path | None = None) -> Path:
        """A data directory whose log is here: an empty one in a database of its own, or that of another directory.

        ``disk``: the tables are on this file system.
        """
        path.mkdir(mode=0o700)
        secret = path / "secret"
        secret.touch(mode=0o600)
        secret.write_text(f"{PASSWORD}\n")
        if like is None:
            name = f"installation_{next(self._schemas)}"
            self.execute(f"CREATE DATABASE {name}")
            if disk is not None:
                if self._as:
                    shutil.chown(disk, self._as["user"], self._as["group"])
                (disk / "tables").mkdir(mode=0o700)
                if self._as:
                    shutil.chown(disk / "tables", self._as["user"], self._as["group"])
                self.execute(f"CREATE TABLESPACE {name} LOCATION '{disk / 'tables'}'")
                self.execute(f"ALTER DATABASE {name} SET default_tablespace = {name}")
            url = f"postgresql://healthsync@127.0.0.1:{self.port}/{name}"
        else:
            url = load_settings(like).storage.url
        (path / "healthsync.toml").write_text(f'[storage]\nurl = "{url}"\npassword_file = "{secret}"\n')
        return path

    def start(self) -> Self:
        if not self.data.exists():
            self._make()
        command = [str(program("postgres")), "-D", str(self.data), "-p", str(self.port)]
        for name, value in self._settings.items():
            command += ["-c", f"{name}={value}"]
        with (self.root / "server.log").open("ab") as log:
            self.process = child.lasting(
                child.start(command, stdout=log, stderr=log, cwd=self.root, start_new_session=True, **self._as)
            )
        self.wait_ready()
        return self

    def follow(self, primary: "Postgres") -> Self:
        """Begin as its standby, from a copy of what it has now."""
        self._program(
            "pg_basebackup", "-d", primary.url, "-D", str(self.data), "-R", "-X", "stream", "--checkpoint=fast",
            "--no-sync",
        )  # fmt: skip
        return self.start()

    def rewind(self, primary: "Postgres") -> Self:
        """Begin as the standby of who took over from it, on what it has itself; it must not run."""
        self._program("pg_rewind", "-D", str(self.data), f"--source-server={primary.url}", "-R", "--no-sync")
        return self.start()

    def reload(self, name: str, value: str) -> None:
        """Have another setting from now on; the server has read it when this returns."""
        self.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        self.execute("SELECT pg_reload_conf()")
        wait_until(lambda: self.execute(f"SHOW {name}") == [(value,)], f"the server has read {name}")

    def wait_ready(self) -> None:
        assert self.process is not None
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
            except psycopg.OperationalError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise AssertionError(self.log()) from None
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """As a power cut would: the postmaster and every process of it. All are gone when this returns."""
        if self.process is None or self.process.poll() is not None:
            child.end(self.process)
            return
        postmaster = psutil.Process(self.process.pid)
        postmaster.suspend()
        wait_until(lambda: postmaster.status() == psutil.STATUS_STOPPED, "it makes no more of them")
        others = postmaster.children()  # each is a group of its own
        self.process.kill()
        for each in others:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        child.end(self.process)
        wait_until(lambda: all(map(_gone, others)), "no process of the server has its memory any more")

    def promote(self) -> None:
        """Let a standby be the primary; it is one when this returns.

        Asked to wait for that itself, the statement has a snapshot all the while, and where the standby still has to
        remove what that snapshot might see, each waits for the other: half a minute, and the statement is cancelled.
        """
        self.execute("SELECT pg_promote(wait => false)")
        wait_until(lambda: self.execute("SELECT pg_is_in_recovery()") == [(False,)], "it is the primary")

    def cut(self) -> None:
        """As a failing network does: every connection but this one is ended, and that is over when this returns."""
        self.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )

    @contextmanager
    def no_standby(self) -> Iterator[None]:
        """Meanwhile each COMMIT waits for a standby that is not there; all that wait are answered at the end."""
        self.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        self.execute("SELECT pg_reload_conf()")
        try:
            wait_until(lambda: self.execute("SHOW synchronous_standby_names") == [("nobody",)], "the server knows")
            for _ in range(2):  # the process that tells committers to wait knows, too, when it has done these
                self.execute("CHECKPOINT")
            yield
        finally:
            self.execute("ALTER SYSTEM RESET synchronous_standby_names")
            self.execute("SELECT pg_reload_conf()")

    def waiting(self) -> list[Any]:
        """Who waits for a standby: process, statement, and since when."""
        return self.execute(
            "SELECT pid, query, query_start::text FROM pg_stat_activity WHERE wait_event = 'SyncRep' ORDER BY pid"
        )

    def crash_under(self, transaction: int, commit: Callable[[], object]) -> bool:
        """Be back without a transaction that had begun; ``commit`` until its number was given again, if it is."""
        self.kill()
        self.start()
        while int(self.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")[0][0]) <= transaction:
            commit()
        return bool(self.execute(f"SELECT pg_xact_status('{transaction}')") == [("committed",)])

    def lose(self, place: ServerPlace, last: int) -> None:
        """Be as a standby that takes over without the newest rows: the log ends with the row ``last``."""
        for table in ("log", "identity"):
            self.execute(f"DELETE FROM {place.schema}.{table} WHERE seq > {last}")
        self.execute(f"UPDATE {place.schema}.head SET seq = {last}, counted = least(counted, {last})")

    def execute(self, statement: str, *, of: Path | None = None) -> list[Any]:
        """As the superuser, outside of a transaction; in the database of a data directory."""
        database = {} if of is None else {"dbname": database_of(of)}
        with psycopg.connect(self.url, autocommit=True, **database) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def log(self) -> str:
        return (self.root / "server.log").read_text(errors="replace")[-4000:]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.root, ignore_errors=True)

    def _make(self) -> None:
        secret = self.root / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._program(
            "initdb", "-D", str(self.data), "-U", "healthsync", "--auth=scram-sha-256", f"--pwfile={secret}",
            "--encoding=UTF8", "--locale=C", "--wal-segsize=4", "--no-sync", "--no-instructions",
            "--data-checksums",  # what pg_rewind needs, too
        )  # fmt: skip

    def _program(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(program(name)), *arguments], check=False, capture_output=True, text=True, cwd=self.root, **self._as
        )
        assert done.returncode == 0, f"{name}: {done.stderr}"


def _gone(process: psutil.Process) -> bool:
    """Also where nobody has asked for its code yet."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


class _PassedOn:
    """A connection but for what a class says otherwise."""

    def __init__(self, connection: Any) -> None:
        self._connection: psycopg.Connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class CutAtCommit(_PassedOn):
    """A connection that ends at COMMIT, and nobody hears an answer; ``instead`` is what becomes of it on the server."""

    def __init__(self, connection: Any, instead: Callable[[psycopg.Connection], object]) -> None:
        super().__init__(connection)
        self._instead = instead

    def execute(self, statement: bytes, *more: Any) -> Any:
        if statement != b"COMMIT":
            return self._connection.execute(statement, *more)
        self._instead(self._connection)
        self._connection.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")


class EndsAfterCommit(_PassedOn):
    """A connection whose COMMIT is answered; ``then`` is what happens before anything else does."""

    def __init__(self, connection: Any, then: Callable[[], object]) -> None:
        super().__init__(connection)
        self._then = then

    def execute(self, statement: bytes, *more: Any) -> Any:
        answer = self._connection.execute(statement, *more)
        if statement == b"COMMIT":
            self._then()
        return answer


def database_of(data: Path) -> str:
    """The name of the database that a data directory's log is in."""
    return load_settings(data).storage.url.partition("?")[0].rpartition("/")[2]


def account() -> dict[str, Any]:
    """Who the server runs as, for ``subprocess``: nobody in particular when we are root."""
    if os.geteuid():
        return {}
    names = {each.pw_name: each for each in pwd.getpwall()}
    who = names.get("postgres") or names["nobody"]
    return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}


@pytest.fixture(scope="module", name="server")
def server_of_a_module() -> Iterator[Postgres]:
    """One server for all tests of a module: ``server = server_of_a_module`` there."""
    with Postgres() as postgres:
        yield postgres
