"""Tables on a server that are in change when somebody starts: that is waited for, longer than for any other lock."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

import psycopg
import pytest

from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.identity.people.postgres import connection as registry
from healthsync_mqtt.identity.people.postgres.tables import PostgresTables
from healthsync_mqtt.postgres import schema
from healthsync_mqtt.postgres.connection import ServerPlace
from healthsync_mqtt.storage.postgres import connection as event_log
from healthsync_mqtt.storage.postgres.log import PostgresEventLog
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.postgres import NEEDED, Postgres, server_of_a_module

pytestmark = NEEDED
server = server_of_a_module

WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


class Opened(Protocol):
    def close(self) -> None: ...


class Kind(NamedTuple):
    name: str
    lock: int
    open: Callable[[ServerPlace], Opened]


KINDS = [
    Kind("the event log", event_log._SCHEMA_LOCK, PostgresEventLog.open),
    Kind("the registry", registry._SCHEMA_LOCK, PostgresTables.open),
]


@pytest.fixture(params=KINDS, ids=[each.name for each in KINDS])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kind:
    """Whose sessions wait for a millisecond, where they wait for no more than they always do."""
    monkeypatch.setattr(event_log, "_WRITER", (*event_log._WRITER[:-1], "SET lock_timeout = 1"))
    monkeypatch.setattr(registry, "_PATIENCE_MS", 1)
    found: Kind = request.param
    return found


@pytest.fixture
def changing(server: Postgres, kind: Kind) -> Iterator[psycopg.Connection]:
    """Somebody who changes the tables."""
    with psycopg.connect(server.url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (kind.lock,))
        yield other


def test_who_starts_while_tables_are_changed_waits_and_says_so(
    server: Postgres, kind: Kind, changing: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    place = server.place()
    with ThreadPoolExecutor(1) as pool:
        try:
            opening = pool.submit(kind.open, place)
            wait_until(lambda: opening.done() or changing.execute(WAITING).fetchall() == [(1,)], "it waits")
            assert not opening.done()
        finally:
            changing.close()
        opening.result(PATIENCE_S).close()
    assert [each.getMessage() for each in caplog.records] == ["postgres.tables_in_change"]


@pytest.mark.usefixtures("changing")
def test_who_has_waited_for_ten_minutes_ends_with_a_hint(
    server: Postgres, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert schema._CHANGE_S == 600
    monkeypatch.setattr(schema, "_CHANGE_S", 0.001)
    with pytest.raises(UnavailableError, match=f"the tables of {kind.name} are in change") as refused:
        kind.open(server.place())
    assert "pg_stat_activity" in (refused.value.hint or "")


def test_who_has_waited_waits_for_others_as_ever(server: Postgres, kind: Kind, changing: psycopg.Connection) -> None:
    with ThreadPoolExecutor(1) as pool:
        try:
            opening = pool.submit(kind.open, server.place())
            wait_until(lambda: opening.done() or changing.execute(WAITING).fetchall() == [(1,)], "it waits")
        finally:
            changing.close()
        opened = opening.result(PATIENCE_S)
    assert isinstance(opened, PostgresEventLog | PostgresTables)
    assert opened._connected().execute("SHOW lock_timeout").fetchall() in ([("10s",)], [("1ms",)])
    opened.close()
