"""The registry on a real PostgreSQL: its contract, its server's faults, and machines that share it."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path

import psycopg
import pytest

from bridge import embedded
from bridge.jobs import consent_watch
from healthsync_mqtt.cli.doctor.posture import posture
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.client import Credentials, DeviceClient
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import ConfigError, HealthSyncError, StoreError, UnavailableError
from healthsync_mqtt.gateway import house
from healthsync_mqtt.identity.audit.delivery import deliver
from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.people.postgres import home as homes
from healthsync_mqtt.identity.people.postgres import tables
from healthsync_mqtt.identity.people.postgres.home import home
from healthsync_mqtt.identity.people.postgres.move import AUDIT, OF_ONE_ROW, TABLES, move_in
from healthsync_mqtt.identity.people.postgres.tables import PostgresTables
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.shard import Shard
from healthsync_mqtt.mqtt.links.probe import talk
from healthsync_mqtt.postgres.connection import ServerPlace
from healthsync_mqtt.sinks import takeover
from healthsync_mqtt.storage.opening import open_log
from healthsync_mqtt.testing.log_items import item
from healthsync_mqtt.testing.registry_contract import NOW_US, Both, RegistryContract
from tests.support import child
from tests.support.external_bridge import BridgeProcess
from tests.support.mosquitto import Mosquitto
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.peer import Identity, Peer
from tests.support.postgres import NEEDED, PASSWORD, Postgres, server_of_a_module
from tests.support.service import HEALTHSYNC, Service, run_cli

pytestmark = NEEDED
server = server_of_a_module

WITHIN_S = 1.0
_NUMBERS = count(1)


@pytest.fixture
def place(server: Postgres) -> ServerPlace:
    return ServerPlace(server.url, schema=f"registry_{next(_NUMBERS)}")


@pytest.fixture
def both(place: ServerPlace) -> Iterator[Both]:
    with Registry(PostgresTables.open(place)) as one, Registry(PostgresTables.open(place)) as other:
        yield Both(one, other)


class TestPostgresRegistry(RegistryContract):
    pass


def test_the_server_has_every_table_and_column_of_the_files(
    server: Postgres, place: ServerPlace, tmp_path: Path
) -> None:
    Registry(PostgresTables.open(place)).close()
    there = {
        (str(table), str(column))
        for table, column in server.execute(
            f"SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = '{place.schema}'"
        )
    }
    Registry.open(tmp_path / "registry.db").close()
    AuditLog.open(tmp_path / "audit.db", tmp_path / "audit.key")
    for file in ("registry.db", "audit.db"):
        with closing(sqlite3.connect(tmp_path / file)) as database:
            here = {
                (table, column)
                for table, column in database.execute(
                    "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c"
                    " WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%'"
                )
            }
        assert here
        assert here - there == set(), file
        assert {table for table, _ in here} <= {*TABLES, *AUDIT, *OF_ONE_ROW, "changes"}, "moves in, or is made anew"


def test_looks_are_often_enough() -> None:
    """A loss is seen by each look that begins so late that the server is asked: together that is within a second."""
    for pause_s in (embedded._REVOCATION_S, house._REVOCATION_S, consent_watch._POLL_S):
        assert tables._ASK_S + pause_s < WITHIN_S


def test_a_loss_is_seen_as_soon_as_promised_also_on_a_connection_that_was_cut(server: Postgres, both: Both) -> None:
    both.one.add_user("alice", "all", NOW_US)
    for device in ("watch", "phone"):
        both.one.add_device("alice", device, NOW_US)
    directory = Directory(both.other)
    both.one.remove_device("alice", "watch", NOW_US + 1)
    _sees(directory, "alice-watch")
    server.cut()
    both.one.remove_device("alice", "phone", NOW_US + 2)
    _sees(directory, "alice-phone")


def test_while_the_server_is_away_known_logins_go_on_and_nothing_is_changed(server: Postgres, both: Both) -> None:
    both.one.add_user("alice", "all", NOW_US)
    both.one.add_device("alice", "watch", NOW_US)
    directory = Directory(both.other)
    server.kill()
    for _ in range(2):
        with pytest.raises(StoreError, match="PostgreSQL cannot be reached"):
            both.one.remove_device("alice", "watch", NOW_US + 1)
    time.sleep(tables._ASK_S)
    with pytest.raises(StoreError):
        directory.refresh()
    assert directory.has_device("alice", "watch")
    server.start()
    both.one.remove_device("alice", "watch", NOW_US + 2)
    _sees(directory, "alice-watch")


def test_a_transaction_whose_connection_is_cut_is_no_change(server: Postgres, both: Both) -> None:
    def add_and_be_cut() -> None:
        with both.one.write():
            both.one.add_user("alice", "all", NOW_US)
            server.cut()

    with pytest.raises(StoreError):
        add_and_be_cut()
    assert both.one.users() == both.other.users() == []
    both.one.add_user("alice", "all", NOW_US)
    assert [each.id for each in both.other.users()] == ["alice"]


def test_a_change_that_stood_still_for_so_long_that_its_session_was_ended_says_so(server: Postgres, both: Both) -> None:
    """As when nothing passes for a while: that is an outage, and no defect to report."""

    def add_late() -> None:
        with both.one.write():
            both.one.add_user("alice", "all", NOW_US)
            connection = both.one._tables._connection  # type: ignore[attr-defined]
            connection.execute("SET LOCAL idle_in_transaction_session_timeout = 1")
            there = f"SELECT 1 FROM pg_stat_activity WHERE pid = {connection.info.backend_pid}"
            wait_until(lambda: server.execute(there) == [], "the server has ended it")
            both.one.add_user("bob", "all", NOW_US)

    with pytest.raises(StoreError, match="cannot be reached"):
        add_late()
    assert both.one.users() == both.other.users() == []


def _sees(directory: Directory, client_id: str) -> None:
    """The first look that begins so late that the server is asked says it, where none before did."""
    asked_by = time.monotonic() + tables._ASK_S
    late = False
    while client_id not in directory.refresh():
        assert not late
        time.sleep(0.05)
        late = time.monotonic() >= asked_by


@pytest.fixture
def data(server: Postgres, tmp_path: Path) -> Path:
    """A data directory whose log and registry are on the server."""
    return _shared(server.directory(tmp_path / "data"))


def _shared(data: Path, *lines: str) -> Path:
    text = (data / "healthsync.toml").read_text()
    registry = text[text.index("[storage]") :].replace("[storage]", "[registry]")
    (data / "healthsync.toml").write_text("\n".join([text, registry, *lines]))
    return data


def _desk(server: Postgres, data: Path, path: Path) -> Path:
    """Another machine: the same server, and the keys of the installation."""
    _shared(server.directory(path, like=data))
    shutil.copytree(data / "keys", path / "keys")
    return path


async def test_a_command_on_another_machine_closes_a_connection(server: Postgres, data: Path, tmp_path: Path) -> None:
    """The service's own registry was in files before: it moves in when the service starts."""
    with Registry.open(tmp_path / "before" / "registry.db") as before:
        before.add_user("alice", "all", NOW_US)
        before.audit_outbox.note("user.added", actor="cli", now_us=NOW_US)
    shutil.move(tmp_path / "before" / "registry.db", data / "registry.db")
    with pytest.raises(UnavailableError, match="there is a registry in"):
        DataDirectory(data).registry()
    with await asyncio.to_thread(Service(data).start) as service:
        desk = await asyncio.to_thread(_desk, server, data, tmp_path / "desk")
        with DataDirectory(desk).changing() as change:
            device = change.registry.add_device("alice", "watch", NOW_US)
            change.note("device.added", user="alice", device="watch")
        made = DataDirectory(desk).device_identity(device)
        who = Identity(client_id=made["client_id"], token=made["token"])
        async with asyncio.timeout(PATIENCE_S):  # the server may tell of the device later than it is there
            while (await (peer := await Peer.open(service.ready["mqtt"])).connect(who)).code:
                await peer.closed()
        await asyncio.to_thread(run_cli, desk, "device", "remove", "alice", "watch", "--yes")
        await peer.closed()
        for each in (data, desk):
            log = DataDirectory(each).audit_log()
            actions = [row.action for row in log.rows()]
            assert {"user.added", "device.added", "token.issued", "device.removed"} <= set(actions)
            with DataDirectory(each).registry() as registry:
                assert log.verify(registry.audit_outbox.anchor()).first_bad is None
        findings = {each.check: each.grade for each in posture(DataDirectory(desk), load_settings(desk), NOW_US)}
        assert (findings["registry"], findings["shared keys"]) == ("good", "good")
        assert PASSWORD not in service.log_tail(1_000_000)


def test_all_of_a_registry_moves_in_once(place: ServerPlace, tmp_path: Path) -> None:
    path, audit = tmp_path / "registry.db", tmp_path / "audit.db"
    log = AuditLog.open(audit, tmp_path / "audit.key")
    with Registry.open(path) as before:
        for name in ("alice", "bob"):
            before.add_user(name, "all", NOW_US)
            before.add_device(name, "watch", NOW_US)
        before.add_subscriber("panel", ["alice"], "*", NOW_US)
        before.revocation.revoke_device_tokens("bob", "watch", NOW_US)
        before.remove_user("bob", NOW_US)
        before.certificates.revoke("abc1", NOW_US, why="lost", foreign=True)
        before.audit_outbox.note("deed.1", actor="cli", now_us=NOW_US)
        deliver(before.audit_outbox, log)
        before.audit_outbox.note("deed.2", actor="cli", now_us=NOW_US)
        roster, history = before.roster(), before.consent.history("bob")
        mark = before.erasures._mark("name")  # the key of erased names is the same
    copies = {each: each.read_bytes() for each in (path, audit)}
    for _ in range(2):  # the second time as after a kill between the commit and the new names
        move_in(place, path, audit)
        assert not path.exists()
        assert not audit.exists()
        with Registry(PostgresTables.open(place)) as after:
            there = after.roster()
            assert (there.devices, there.subscribers, there.denied) == (
                roster.devices, roster.subscribers, roster.denied,
            )  # fmt: skip
            assert there.permissions == roster.permissions
            assert there.generation > roster.generation
            assert after.consent.history("bob") == history
            assert after.erasures._mark("name") == mark
            assert [note.action for note in after.audit_outbox.pending()] == ["deed.2"]
            assert after.audit_outbox.anchor() is not None
        for file, content in copies.items():
            file.touch(mode=0o600)
            file.write_bytes(content)
    with Registry.open(tmp_path / "other" / "registry.db") as stranger:
        stranger.add_user("carol", None, NOW_US)
    with pytest.raises(UnavailableError, match="a server that has users"):
        move_in(place, tmp_path / "other" / "registry.db", tmp_path / "other" / "audit.db")


@pytest.mark.parametrize("name", [0, 1])
def test_killed_before_a_file_has_its_new_name_it_has_it_at_the_next_start(
    place: ServerPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: int
) -> None:
    path, audit = tmp_path / "registry.db", tmp_path / "audit.db"
    log = AuditLog.open(audit, tmp_path / "audit.key")
    with Registry.open(path) as before:
        before.add_user("alice", "all", NOW_US)
        before.audit_outbox.note("deed.1", actor="cli", now_us=NOW_US)
        deliver(before.audit_outbox, log)
    copies = {each: each.read_bytes() for each in (path, audit)}
    rename, turns = Path.rename, iter(range(9))

    def dying(file: Path, to: Path) -> Path:
        if next(turns) == name:
            raise KeyboardInterrupt
        return rename(file, to)

    monkeypatch.setattr(Path, "rename", dying)
    with pytest.raises(KeyboardInterrupt):
        move_in(place, path, audit)
    move_in(place, path, audit)
    for file, content in copies.items():
        assert not file.exists()
        assert file.with_name(f"{file.name}.moved").read_bytes() == content


def at_home(server: Postgres, place: ServerPlace) -> int:
    """The process of the server whose session is at home in this registry; 0: none is."""
    found = server.execute(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 1213415240 "
        f"AND objid = (hashtext('{place.schema}')::bigint & 4294967295)::oid"
    )
    return int(found[0][0]) if found else 0


def test_who_is_at_home_is_there_again_when_its_connection_was_cut(
    server: Postgres, place: ServerPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(homes, "_HOME_S", 0.5)
    told = list[HealthSyncError]()
    with home(place, told.append):
        first = at_home(server, place)
        assert first
        server.cut()
        wait_until(lambda: at_home(server, place) not in {0, first})
        with pytest.raises(UnavailableError, match="another bridge of this registry"), home(place, told.append):
            pass
    wait_until(lambda: at_home(server, place) == 0)
    assert told == []


def test_who_finds_another_one_at_home_is_told_so(
    server: Postgres, place: ServerPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(homes, "_GONE_S", 0.3)
    told = list[HealthSyncError]()
    with (
        home(place, told.append),
        psycopg.connect(server.url, autocommit=True) as other,
        ThreadPoolExecutor(1) as beside,
    ):
        waiting = beside.submit(other.execute, "SELECT pg_advisory_lock(1213415240, hashtext(%s))", (place.schema,))
        wait_until(lambda: server.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
        server.execute(f"SELECT pg_terminate_backend({at_home(server, place)}, 10000)")
        waiting.result(PATIENCE_S)
        wait_until(lambda: told != [])
        (error,) = told
        assert isinstance(error, UnavailableError)
        assert "took over the files about persons" in str(error)


def test_a_bridge_that_joins_one_of_its_own_log_copies_no_row(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = server.directory(tmp_path / "one")
    two = server.directory(tmp_path / "two", like=one)
    for each in (one, two):
        with (each / "healthsync.toml").open("a") as settings:
            settings.write("shared = true\n")
    with open_log(one) as log:
        log.stage([item("a")], [], NOW_US)
        log.commit()

    def copied(*_: object) -> int:
        raise AssertionError("each row of the log was read")

    monkeypatch.setattr(takeover, "take_over", copied)
    assert takeover.join(two, one, Shard.parse("")).events == 0
    assert (two / "sinks" / "pseudonyms.db").exists()


def test_a_machine_with_other_keys_is_refused(server: Postgres, data: Path, tmp_path: Path) -> None:
    def device(at: Path) -> None:
        place = DataDirectory(at)
        with place.registry() as registry:
            place.device_identity(registry.device("alice", "watch"))

    with DataDirectory(data).changing() as change:
        change.registry.add_user("alice", "all", NOW_US)
        change.registry.add_device("alice", "watch", NOW_US)
    device(data)
    other = _shared(server.directory(tmp_path / "other", like=data))
    with pytest.raises(ConfigError, match=r"audit\.key is missing"):
        DataDirectory(other).audit_log()
    with pytest.raises(ConfigError, match="this registry has some"):
        device(other)
    shutil.copytree(data / "keys", other / "keys", dirs_exist_ok=True)
    (other / "keys" / "audit.key").write_text("00" * 32)
    with pytest.raises(ConfigError, match="is not the key of the other machines"):
        DataDirectory(other).audit_log()
    shutil.copy2(data / "keys" / "audit.key", other / "keys" / "audit.key")
    device(other)
    before = DataDirectory(data).key_store().records(NOW_US)[0]
    made = DataDirectory(data).key_store().rotate(NOW_US + 1, publish_s=0)
    with pytest.raises(ConfigError, match=f"{made.kid} is not here"):
        device(other)
    shutil.copytree(data / "keys", other / "keys", dirs_exist_ok=True)
    device(other)
    DataDirectory(data).key_store().retire(before.kid, NOW_US + 2, force=True)
    with pytest.raises(ConfigError, match=f"{before.kid} is retired, and is not here"):
        device(other)


async def test_two_bridges_of_mosquitto_refuse_what_a_third_machine_takes_back(
    server: Postgres, tmp_path: Path
) -> None:
    broker = Mosquitto(tmp_path / "broker", share="all")
    first, settings = broker.data, (broker.data / "healthsync.toml").read_text()
    server.directory(tmp_path / "server")
    storage = (tmp_path / "server" / "healthsync.toml").read_text()
    registry = storage.replace("[storage]", "[registry]")
    bridge = '[bridge]\nid = "{}"\n'
    (first / "healthsync.toml").write_text(settings + storage + "shared = true\n" + registry)
    with DataDirectory(first).changing() as change:
        change.registry.add_user("alice", "all", NOW_US)
        for device in ("watch", "phone"):
            change.registry.add_device("alice", device, NOW_US)
    second = tmp_path / "second"
    shutil.copytree(first, second)
    (second / "healthsync.toml").write_text(
        settings + storage + "shared = true\n" + registry + "home = false\n" + bridge.format("second")
    )
    with broker:
        provision = child.start(
            [*HEALTHSYNC, "broker", "provision", "mosquitto", "--bridges", "main,second", "--watch", "--json"],
            env=os.environ | {"HEALTHSYNC_DATA": str(first)}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert provision.stdout
            await asyncio.to_thread(provision.stdout.readline)
            shutil.copytree(first / "credentials", second / "credentials", dirs_exist_ok=True)
            with BridgeProcess(first), BridgeProcess(second):
                assert await _publish(broker, "watch", "before", 8) == ["stored"] * 8
                await asyncio.to_thread(run_cli, second, "device", "remove", "alice", "phone", "--yes")
                await asyncio.to_thread(run_cli, second, "consent", "withdraw", "alice", "--yes")
                async with asyncio.timeout(PATIENCE_S):
                    while await _publish(broker, "watch", f"after-{next(_NUMBERS)}", 8) != ["rejected"] * 8:
                        pass
                    while await _login(broker, "alice-phone") not in {4, 5}:
                        pass
                assert await _publish(broker, "watch", "later", 8) == ["rejected"] * 8
            third = BridgeProcess(second)
            (second / "healthsync.toml").write_text(
                (second / "healthsync.toml").read_text().replace("home = false\n", "")
            )
            with BridgeProcess(first), pytest.raises(AssertionError, match="another bridge of this registry"):
                third.start()
        finally:
            child.end(provision)


async def _login(broker: Mosquitto, client_id: str) -> int:
    async with talk(broker.address) as client:
        return (await client.login(broker.account(client_id))).code


async def _publish(broker: Mosquitto, device: str, name: str, number: int) -> list[str]:
    account = broker.account(f"alice-{device}")
    login = Credentials(
        user_id="alice", device_id=device, client_id=account.client_id, username=account.username,
        token=account.password,
    )  # fmt: skip
    events = [
        {"id": f"{name}-{each}", "type": "heart_rate", "start_time": "2026-01-01T00:00:00Z", "value": {"bpm": 60}}
        for each in range(number)
    ]
    async with DeviceClient(
        "localhost", broker.port, credentials=login, ca_file=broker.certificates.ca_cert, batch_size=1
    ) as client:
        results = await client.publish(events, within_s=PATIENCE_S)
    return [*["stored"] * results.stored, *["rejected"] * results.rejected]
