"""``healthsync storage migrate`` on a real PostgreSQL: what the chart's job does before bridges are upgraded."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from healthsync_mqtt import sql_files
from healthsync_mqtt.errors import ConfigError, UnavailableError
from healthsync_mqtt.identity.people.opening import migrate_registry, outdated_registry
from healthsync_mqtt.identity.people.postgres import connection as of_registry
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.storage.opening import migrate_log, open_log, open_reader
from healthsync_mqtt.storage.postgres.statements import migrations
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.support.postgres import NEEDED, Postgres, server_of_a_module
from tests.support.service import run_cli

pytestmark = NEEDED
server = server_of_a_module

STEP = "CREATE TABLE of_a_newer_release (x int)"


@pytest.fixture
def data(server: Postgres, tmp_path: Path) -> Path:
    """A data directory of a bridge that shares log and registry on the server."""
    return shared(server.directory(tmp_path / "data"))


def shared(data: Path) -> Path:
    storage = (data / "healthsync.toml").read_text()
    registry = storage.replace("[storage]", "[registry]")
    (data / "healthsync.toml").write_text(f"{storage}shared = true\n{registry}")
    return data


def newer(steps: sql_files.Steps) -> sql_files.Steps:
    return (*steps, (steps[-1][0] + 1, STEP))


@contextmanager
def newer_release(*, log: bool = False, registry: bool = False) -> Iterator[None]:
    """Meanwhile this program knows one more step of these tables."""
    with pytest.MonkeyPatch.context() as patch:
        if log:
            steps = newer(migrations())
            patch.setattr("healthsync_mqtt.storage.postgres.connection.migrations", lambda: steps)
        if registry:
            more = newer(of_registry._steps())
            patch.setattr(of_registry, "_steps", lambda: more)
        yield


def migrate(data: Path) -> tuple[bool, bool]:
    """As the command does it: what was changed of the log and of the registry."""
    older = outdated_registry(data)
    return migrate_log(data, partial(migrate_registry, data) if older else None), older


def made(server: Postgres, data: Path) -> set[str]:
    """In which of the two that table is."""
    found = server.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'of_a_newer_release'", of=data)
    return {name for (name,) in found}


def test_tables_are_made_and_nothing_else(data: Path) -> None:
    """No key, no anchor: what the job makes is gone with it. A service finds the tables as if it had made them."""
    before = sorted(data.iterdir())
    for changed in (["log", "registry"], []):
        assert run_cli(data, "storage", "migrate") == [{"changed": changed}]
    assert sorted(data.iterdir()) == before
    with open_log(data) as log, Registry.open(data / "registry.db") as registry:
        registry.add_user("alice", "all", NOW_US)
        log.stage([item("a")], [], NOW_US)
        log.commit()
    assert migrate(data) == (False, False)
    with open_reader(data) as reader:
        assert [row.id for row in reader.read(0, 9)] == ["a"]


@pytest.mark.parametrize(
    ("log", "registry"), [(True, False), (False, True), (True, True)], ids=["log", "registry", "both"]
)
def test_nothing_is_changed_while_a_bridge_writes(data: Path, server: Postgres, *, log: bool, registry: bool) -> None:
    with open_log(data) as older, Registry.open(data / "registry.db"):
        with newer_release(log=log, registry=registry), pytest.raises(UnavailableError, match="another service writes"):
            migrate(data)
        assert made(server, data) == set()
        older.stage([item("b")], [], NOW_US)
        older.commit()
        assert migrate(data) == (False, False), "nothing is to be done, so nobody has to be stopped"
    with newer_release(log=log, registry=registry):
        assert migrate(data) == (log, registry)
        assert migrate(data) == (False, False)
    names = {"healthsync": log, "healthsync_registry": registry}
    assert made(server, data) == {name for name, changed in names.items() if changed}


def test_an_older_program_changes_nothing_of_a_newer_one(data: Path) -> None:
    with newer_release(registry=True):
        migrate(data)
    with pytest.raises(ConfigError, match="the registry has schema"):
        migrate(data)
    with newer_release(log=True, registry=True):
        migrate(data)
    with newer_release(registry=True), pytest.raises(UnavailableError, match="the event log has schema"):
        migrate(data)


def test_files_are_brought_up_to_date_by_the_service(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="name no server"):
        migrate(tmp_path)
