"""What an installation that shares its log knows of its processes, on a real PostgreSQL: rows, locks and ages."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest

from healthsync_mqtt.model.working_process import (
    GONE_AFTER_S,
    KEPT_S,
    MOST_PROCESSES,
    ProcessKind,
    ProcessName,
    ProcessState,
    WorkingProcess,
)
from healthsync_mqtt.postgres.connection import ServerPlace
from healthsync_mqtt.storage.postgres.connection import connect_reader, connect_watcher
from healthsync_mqtt.storage.postgres.election import PostgresElection
from healthsync_mqtt.storage.postgres.log import PostgresEventLog
from healthsync_mqtt.storage.postgres.processes import PostgresPresence, ProcessRow, processes
from tests.support.patience import wait_until
from tests.support.postgres import NEEDED, Postgres, server_of_a_module

pytestmark = NEEDED
server = server_of_a_module

BRIDGE = ProcessName(
    kind=ProcessKind.bridge, name="main", host="one", data="/data", release="9.9", started_us=1_000_000, home=True
)
GATEWAY = replace(BRIDGE, kind=ProcessKind.gateway, name="healthsync-gateway", home=False)


@pytest.fixture
def place(server: Postgres) -> ServerPlace:
    place = server.place()
    PostgresEventLog.open(place).close()
    return place


def found(place: ServerPlace) -> dict[str, WorkingProcess]:
    with connect_reader(place) as connection:
        return {each.process.name: each for each in processes(connection, place)}


def standing(place: ServerPlace, who: ProcessName, figures: dict[str, int]) -> PostgresElection:
    row = ProcessRow(who, lambda: figures)
    return PostgresElection(place, who.name, lambda _ballot: None, row=row)


def once(place: ServerPlace, *who: ProcessName) -> None:
    """Each has written its row, and then said nothing more."""
    with connect_watcher(place, "x") as connection:
        for each in who:
            row = ProcessRow(each, dict)
            row.begin(connection)
            row.write(connection)


def aged(server: Postgres, place: ServerPlace, name: str, seconds: float) -> None:
    server.execute(f"UPDATE {place.schema}.process SET seen = seen - interval '{seconds} s' WHERE name = '{name}'")


def test_bridges_and_gateways_say_what_they_have_done_and_who_leads_is_whoever_has_the_lock(place: ServerPlace) -> None:
    second = replace(BRIDGE, name="second", host="two", home=False)
    with ExitStack() as opened:
        opened.enter_context(closing(standing(place, BRIDGE, {"stored": 7, "rejected": 1})))
        wait_until(lambda: any("publish" in each.does and each.figures for each in found(place).values()))
        opened.enter_context(closing(standing(place, second, {"stored": 3})))
        opened.enter_context(closing(PostgresPresence(place, GATEWAY, lambda: {"requests": 5})))
        wait_until(lambda: len(found(place)) == 3)
        main, other, gateway = (found(place)[name] for name in ("main", "second", "healthsync-gateway"))
        assert main.process == BRIDGE
        assert (main.state, main.does, main.figures) == (
            ProcessState.running, ["publish", "insights"], {"stored": 7, "rejected": 1},
        )  # fmt: skip
        assert (other.does, other.process.host) == ([], "two")
        assert (gateway.does, gateway.figures, gateway.process.kind) == ([], {"requests": 5}, ProcessKind.gateway)
        assert main.age_s < GONE_AFTER_S
    after = found(place)
    assert {each.state for each in after.values()} == {ProcessState.ended}
    assert [each.does for each in after.values()] == [[], [], []]


def test_one_that_says_nothing_is_gone_and_leaves_after_the_time_that_is_stated(
    server: Postgres, place: ServerPlace
) -> None:
    once(place, BRIDGE)
    assert found(place)["main"].state is ProcessState.running
    aged(server, place, "main", GONE_AFTER_S)
    gone = found(place)["main"]
    assert (gone.state, gone.does) == (ProcessState.gone, [])
    aged(server, place, "main", KEPT_S - 2 * GONE_AFTER_S)
    assert "main" in found(place)
    aged(server, place, "main", 2 * GONE_AFTER_S)
    assert found(place) == {}
    once(place, GATEWAY)
    assert server.execute(f"SELECT name FROM {place.schema}.process") == [("healthsync-gateway",)], "the row, too"


def test_a_later_run_has_the_row_of_the_one_before_and_one_elsewhere_takes_that_of_one_that_ended(
    place: ServerPlace,
) -> None:
    later = replace(BRIDGE, started_us=2_000_000, release="10.0")
    once(place, BRIDGE, later)
    assert [each.process for each in found(place).values()] == [later]
    moved = replace(later, host="two", started_us=3_000_000)
    once(place, moved)
    with connect_reader(place) as connection:
        assert [each.process.host for each in processes(connection, place)] == ["one", "two"], "one may be alive yet"
    with connect_watcher(place, "x") as connection:
        ProcessRow(later, dict).end(connection)
        ProcessRow(later, dict).end(connection)
    once(place, moved)
    assert [each.process for each in found(place).values()] == [moved]


def test_an_earlier_run_that_ends_late_does_not_end_the_later_one(place: ServerPlace) -> None:
    once(place, BRIDGE, replace(BRIDGE, started_us=2_000_000))
    with connect_watcher(place, "x") as connection:
        ProcessRow(BRIDGE, dict).end(connection)
    assert found(place)["main"].state is ProcessState.running


def test_there_are_so_many_at_most(server: Postgres, place: ServerPlace) -> None:
    server.execute(
        f"INSERT INTO {place.schema}.process SELECT 'bridge', 'b' || n, 'h', 'd', 'r', 0, now() - n * interval '1 s',"
        f" 0, false, false, '{{}}' FROM generate_series(1, {MOST_PROCESSES + 50}) AS n"
    )
    once(place, BRIDGE)
    kept = {name for (name,) in server.execute(f"SELECT name FROM {place.schema}.process")}
    assert len(kept) == MOST_PROCESSES
    assert {"main", "b1"} <= kept, "those that were seen last"
    assert f"b{MOST_PROCESSES + 50}" not in kept


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param(lambda schema: f"DROP TABLE {schema}.process", id="no table"),
        pytest.param(lambda schema: f"ALTER TABLE {schema}.process ADD CHECK (name = '')", id="a row is refused"),
    ],
)
def test_a_bridge_leads_although_its_row_cannot_be_written(
    server: Postgres, place: ServerPlace, break_it: Callable[[str], str]
) -> None:
    server.execute(break_it(place.schema))
    heard = []
    election = PostgresElection(place, "main", heard.append, row=ProcessRow(BRIDGE, dict))
    with closing(election):
        wait_until(lambda: any(each.leads and each.leader == "main" for each in heard))
        at = len(heard)
        server.execute(f"UPDATE {place.schema}.head SET seq = seq + 1")
        wait_until(lambda: len(heard) > at)
        assert heard[-1].leads, "and goes on leading"
