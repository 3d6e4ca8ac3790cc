"""Two servers of one installation: one takes writes, the other is its standby, and they change places when it dies."""

import random
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from tests.support.patience import wait_until
from tests.support.postgres import PASSWORD, Postgres

_FOLLOWS: Final = "SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'"
_NAMES: Final = ("db1", "db2")


class Pair:
    """``primary`` and ``standby``; commits wait for the standby, unless ``synchronous`` is False."""

    def __init__(self, primary: Postgres, standby: Postgres) -> None:
        """Use ``running``."""
        self.primary, self.standby = primary, standby
        self.synchronous = True

    @classmethod
    @contextmanager
    def running(cls) -> "Iterator[Pair]":
        """Both, on ports that stay theirs; the standby is there when somebody asks for it (``follow``)."""
        with ExitStack() as stack:
            servers = [Postgres(cluster_name=name, max_connections="100") for name in _NAMES]
            for each in servers:
                stack.push(each.__exit__)
            servers[0].start()
            servers[0].reload("wal_keep_size", "256MB")  # in its files: pg_rewind goes by these
            yield cls(*servers)

    @property
    def ports(self) -> tuple[int, int]:
        """Of both, in an order that stays."""
        one, other = sorted((self.primary.port, self.standby.port))
        return one, other

    @property
    def url(self) -> str:
        """Both, as an operator names them: whichever takes writes."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"postgresql://healthsync:{PASSWORD}@{hosts}/postgres?target_session_attrs=read-write"

    def follow(self, *, rewinding: bool = False) -> None:
        """The standby is one: it has what the primary has, and commits wait for it from now on if they are to.

        It is made of a copy, or by ``rewinding`` of what it has.
        """
        if rewinding:
            self.primary.execute("CHECKPOINT")  # before it nothing on its disk says that it took over
            self.standby.rewind(self.primary)
        else:
            shutil.rmtree(self.standby.data, ignore_errors=True)
            self.standby.follow(self.primary)
        self.wait_for()

    def wait_for(self) -> None:
        """Have commits wait for the standby, or not, as is said."""
        names = f"FIRST 1 ({', '.join(_NAMES)})" if self.synchronous else ""
        self.primary.reload("synchronous_standby_names", names)
        wanted = "sync" if self.synchronous else "async"
        wait_until(lambda: self.primary.execute(_FOLLOWS) == [(wanted,)], f"the standby follows ({wanted})")

    def leave_behind(self) -> None:
        """The standby has all that there is, and gets nothing more."""
        reached = self.primary.execute("SELECT pg_current_wal_flush_lsn()")[0][0]
        has_it = f"SELECT pg_last_wal_replay_lsn() >= '{reached}'"
        wait_until(lambda: self.standby.execute(has_it) == [(True,)], "the standby has it")
        self.standby.execute("ALTER SYSTEM SET primary_conninfo = ''")
        self.standby.execute("SELECT pg_reload_conf()")
        wait_until(lambda: self.primary.execute(_FOLLOWS) == [], "the standby is behind from now on")

    def fail_over(self, rng: random.Random) -> str:
        """The primary dies as in a power cut and stays away; the standby takes over. What was done, in a word."""
        self.primary.kill()
        self.primary, self.standby = self.standby, self.primary
        self.primary.promote()
        alone = rng.random() < 0.5
        if alone:  # the old one is known to be off; else nothing is acknowledged until there is a standby
            self.primary.reload("synchronous_standby_names", "")
        return "alone" if alone else "waiting"
