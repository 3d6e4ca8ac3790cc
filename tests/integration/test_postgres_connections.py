"""How many sessions a bridge has on its server: what docs/howto/postgresql.md says is counted."""

import asyncio
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.gateway.stores.log_pool import READERS
from healthsync_mqtt.identity.people.postgres.connection import connect_registry
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.postgres.connection import Connection, ServerPlace
from healthsync_mqtt.storage.opening import open_log, open_reader
from healthsync_mqtt.storage.postgres.connection import connect_reader, connect_watcher, connect_writer
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.support import child
from tests.support.external_bridge import BridgeProcess
from tests.support.external_gateway import GatewayRun
from tests.support.mosquitto import Mosquitto
from tests.support.patience import wait_until
from tests.support.postgres import NEEDED, Postgres
from tests.support.service import HEALTHSYNC, run_cli

pytestmark = NEEDED

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "postgresql.md"
HELD_S = 2.0
"""So long they have to be as many: what comes later than that is looked for in vain."""

WRITER, READER, REGISTRY = "healthsync-writer", "healthsync-reader", "healthsync-registry"
BRIDGE = Counter({WRITER: 1, READER: 2, REGISTRY: 1, "healthsync-bridge": 1})
AT_HOME = Counter({READER: 1, REGISTRY: 4})
"""More, for what is there alone: the place itself, erasures, Home Assistant, and days, which read the log, too."""
SINK = Counter({READER: 1, REGISTRY: 1})
PROVISION = Counter({REGISTRY: 1})
GATEWAY = Counter({REGISTRY: 3, READER: READERS, "healthsync-gateway": 1})
"""Its readers come as they are needed."""


@pytest.fixture
def server() -> Iterator[Postgres]:
    with Postgres() as postgres:
        yield postgres


def sessions(server: Postgres) -> Counter[str]:
    """By what they call themselves, of a bridge without its id."""
    rows = server.execute(
        "SELECT split_part(application_name, ' ', 1), count(*) FROM pg_stat_activity "
        "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() GROUP BY 1"
    )
    return Counter(dict(rows))


def expect(server: Postgres, wanted: Counter[str], what: str) -> None:
    """There are so many, and go on being so many."""
    since: float | None = None
    seen = Counter[str]()

    def held() -> bool:
        nonlocal since, seen
        seen = sessions(server)
        if seen != wanted:
            since = None
            return False
        since = time.monotonic() if since is None else since
        return time.monotonic() - since >= HELD_S

    try:
        wait_until(held, what)
    except AssertionError:
        raise AssertionError(f"{what}: {dict(seen)}, and not {dict(wanted)}") from None


def two(server: Postgres, root: Path) -> tuple[Mosquitto, Path, Path]:
    """A broker, and the data directories of two bridges that share log and registry; the first one is at home."""
    broker = Mosquitto(root / "broker", share="all")
    first, settings = broker.data, (broker.data / "healthsync.toml").read_text()
    server.directory(root / "server")
    storage = (root / "server" / "healthsync.toml").read_text()
    registry = storage.replace("[storage]", "[registry]")
    (first / "healthsync.toml").write_text(f"{settings}{storage}shared = true\n{registry}")
    with DataDirectory(first).changing() as change:
        change.registry.add_user("alice", "all", NOW_US)
    second = root / "second"
    shutil.copytree(first, second)
    (second / "healthsync.toml").write_text(
        f'{settings}{storage}shared = true\n{registry}home = false\n[bridge]\nid = "second"\n'
    )
    return broker, first, second


async def test_what_the_page_says_is_what_the_server_counts(server: Postgres, tmp_path: Path) -> None:
    broker, first, second = two(server, tmp_path)
    run_cli(first, "sink", "add", "file", str(tmp_path / "out"))
    with open_log(first) as log:  # so that each follower has something to read
        log.stage([item("a")], [], NOW_US)
        log.commit()
    with broker:
        await broker.provision("main", "second")
        shutil.copytree(first / "credentials", second / "credentials", dirs_exist_ok=True)
        with BridgeProcess(first):

            def shipped() -> bool:
                with open_reader(first) as reader:
                    return reader.cursor("sink:file") == reader.head()

            await asyncio.to_thread(wait_until, shipped, "the sink")
            here = BRIDGE + AT_HOME + SINK
            await asyncio.to_thread(expect, server, here, "a bridge at home that runs a sink")
            with BridgeProcess(second):
                await asyncio.to_thread(expect, server, here + BRIDGE, "and another one")
                words = [*HEALTHSYNC, "broker", "provision", "mosquitto", "--bridges", "main,second", "--watch"]
                with child.started([*words, "--data", str(first)]):
                    await asyncio.to_thread(expect, server, here + BRIDGE + PROVISION, "and what provisions")


def test_each_session_of_a_machine_that_is_gone_makes_room_soon(server: Postgres) -> None:
    made: list[Callable[[ServerPlace], Connection]] = [
        connect_writer, connect_reader, partial(connect_watcher, name="x"), connect_registry,
    ]  # fmt: skip
    for connect in made:
        with connect(ServerPlace(server.url)) as connection:
            asked = [f"SHOW tcp_keepalives_{each}" for each in ("idle", "interval", "count")]
            found = [connection.execute(each.encode()).fetchall()[0][0] for each in asked]
        assert found == ["5", "2", "3"]


def test_the_page_says_how_many_there_are() -> None:
    said = dict(re.findall(r"^\| ([^|]+) \| (\d+) \|$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert {name: int(number) for name, number in said.items()} == {
        "each bridge": BRIDGE.total(),
        "the one at home, more": AT_HOME.total(),
        "each sink, where it runs, more": SINK.total(),
        "each gateway": GATEWAY.total(),
        "`broker provision --watch`, `auth serve`": PROVISION.total(),
    }


def test_hooks_have_one(server: Postgres, tmp_path: Path) -> None:
    _, first, _ = two(server, tmp_path)
    with child.started([*HEALTHSYNC, "auth", "serve", "--port", "0", "--data", str(first)]):
        expect(server, PROVISION, "the access hooks")


def test_a_gateway_has_as_many_at_once_and_readers_as_it_is_asked(server: Postgres, tmp_path: Path) -> None:
    _, first, _ = two(server, tmp_path)
    with open_log(first):
        pass
    run_cli(first, "broker", "credentials")
    gateway = GatewayRun(first)
    try:
        gateway.start()
        expect(server, GATEWAY - Counter({READER: READERS}), "a gateway that nobody asks")
    finally:
        gateway.end()


def test_a_bridge_needs_no_key_of_the_installation(server: Postgres, tmp_path: Path) -> None:
    """What the chart gives bridges beside the first one: what they log in with, and the CA of the broker."""
    broker, first, second = two(server, tmp_path)
    assert load_settings(second).external.ca_file == broker.certificates.ca_cert
    with broker:
        asyncio.run(broker.provision("main", "second"))
        shutil.copytree(first / "credentials", second / "credentials", dirs_exist_ok=True)
        for kind in ("keys", "certs"):
            shutil.rmtree(second / kind)
        with Registry.open(second / "registry.db") as registry:
            assert [each.id for each in registry.users()] == ["alice"]
        with BridgeProcess(first), BridgeProcess(second):
            assert not (second / "keys").exists()
