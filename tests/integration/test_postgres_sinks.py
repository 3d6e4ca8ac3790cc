"""Sinks of bridges that share a log on a real PostgreSQL: for everybody, by whoever has their directory alone."""

import asyncio
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.cli.doctor.sinks import sinks as doctor_of_sinks
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.client import Credentials, DeviceClient
from healthsync_mqtt.control.channel import call
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.model.shard import Shard
from healthsync_mqtt.sinks import belonging
from healthsync_mqtt.sinks.config import Sinks, made
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.storage.opening import open_log, open_reader
from healthsync_mqtt.storage.postgres.election import Ballot, PostgresElection
from healthsync_mqtt.storage.postgres.log import PostgresEventLog
from healthsync_mqtt.storage.postgres.sinks_claim import adopt, claim
from tests.support.external_bridge import BridgeProcess
from tests.support.mosquitto import Mosquitto
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.postgres import NEEDED, Postgres, server_of_a_module
from tests.support.service import run_cli

pytestmark = NEEDED
server = server_of_a_module

PARTS = ("1/3", "2/3", "3/3")
NAMES = ("main", "second", "third")
USERS = tuple(next(f"u{n}" for n in range(99) if Shard.parse(part).owns(f"u{n}")) for part in PARTS)
"""One of each part."""


# -- the election


def test_sinks_move_to_a_bridge_with_their_directory_and_to_no_other(server: Postgres) -> None:
    place, last = server.place(), dict[str, Ballot]()
    PostgresEventLog.open(place).close()
    marks = {"one": "same", "two": "same", "three": "other", "four": ""}
    with ExitStack() as standing:
        there = {
            name: standing.enter_context(
                closing(PostgresElection(place, name, partial(last.__setitem__, name), lambda mark=mark: mark))
            )
            for name, mark in marks.items()
        }
        wait_until(lambda: len(last) == 4 and all(len(b.bridges) == 4 and b.leader for b in last.values()))
        assert {b.shipper for b in last.values()} == {""}, "the log has no directory yet"
        claim(place, "same")
        claim(place, "other")
        wait_until(lambda: all(ballot.shipper for ballot in last.values()), "somebody ships")
        (shipper,) = {ballot.shipper for ballot in last.values()}
        assert shipper in {"one", "two"}
        assert [name for name, ballot in last.items() if ballot.ships] == [shipper]
        assert {name for name, ballot in last.items() if ballot.may_ship} == {"one", "two"}
        with pytest.raises(UnavailableError, match="runs the sinks of this log"):
            adopt(place, "other")
        there.pop(shipper).close()
        del last[shipper]
        (heir,) = {"one", "two"} - {shipper}
        wait_until(lambda: {ballot.shipper for ballot in last.values()} == {heir}, "the other one ships")
        there.pop(heir).close()
        del last[heir]
        wait_until(
            lambda: all(len(b.bridges) == 2 and b.leader and not b.shipper for b in last.values()),
            "nobody ships, and somebody leads",
        )
        adopt(place, "other")
        wait_until(lambda: {ballot.shipper for ballot in last.values()} == {"three"}, "the one that adopted them ships")


def test_a_bridge_that_loses_the_directory_lets_it_go(server: Postgres) -> None:
    place, last, mark = server.place(), dict[str, Ballot](), {"one": "same", "two": ""}
    PostgresEventLog.open(place).close()
    claim(place, "same")
    with ExitStack() as standing:
        for name in mark:
            election = PostgresElection(place, name, partial(last.__setitem__, name), partial(mark.__getitem__, name))
            standing.enter_context(closing(election))
        wait_until(lambda: len(last) == 2 and {b.shipper for b in last.values()} == {"one"})
        mark.update(one="", two="same")
        wait_until(lambda: {b.shipper for b in last.values()} == {"two"}, "the other one has it")
        assert (last["one"].ships, last["two"].ships) == (False, True)


# -- data directories


def shared(path: Path) -> Path:
    with (path / "healthsync.toml").open("a") as settings:
        settings.write("shared = true\n")
    return path


def test_a_copy_of_the_directory_is_another_one_and_a_link_is_the_same(server: Postgres, tmp_path: Path) -> None:
    one = shared(server.directory(tmp_path / "one"))
    two = shared(server.directory(tmp_path / "two", like=one))
    open_log(one).close()
    belonging.claim(one, {})
    assert belonging.elsewhere(one) is None
    shutil.copytree(one / "sinks", two / "sinks")
    fault = belonging.elsewhere(two)
    assert fault is not None
    assert "another directory" in str(fault)
    shutil.rmtree(two / "sinks")
    (two / "sinks").symlink_to(one / "sinks")
    assert belonging.elsewhere(two) is None


def test_where_sinks_have_shipped_from_elsewhere_a_person_decides(server: Postgres, tmp_path: Path) -> None:
    """As in an installation of before, whose leaders shipped each from a directory of its own."""
    data = shared(server.directory(tmp_path / "data"))
    with open_log(data) as log:
        log.set_cursor("sink:influx", 5)
        log.commit()
    with open_reader(data) as reader:
        belonging.claim(data, reader.cursors())
    assert belonging.elsewhere(data) is not None
    with pytest.raises(AssertionError, match="no directory of sinks yet"):
        run_cli(data, "sink", "user", "alice")
    (finding,) = doctor_of_sinks(data)
    assert finding.fix.endswith("healthsync sink adopt")
    with pytest.raises(AssertionError, match="Run the sinks of the log from here"):
        run_cli(data, "sink", "adopt")
    assert run_cli(data, "sink", "adopt", "--yes") == [{"adopted": True}]
    assert belonging.elsewhere(data) is None
    assert list(doctor_of_sinks(data)) == []
    assert run_cli(data, "sink", "adopt", "--yes") == [{"adopted": False}]
    (row,) = run_cli(data, "audit", "list", "--action", "sink.adopted")
    assert row["action"] == "sink.adopted"


# -- bridges


def bridge_directories(server: Postgres, broker: Mosquitto, names: tuple[str, ...]) -> dict[str, Path]:
    """A data directory for each on one log; the first one's has the registry."""
    external = broker.data / "healthsync.toml"
    server.directory(broker.root / "server")
    storage = (broker.root / "server" / "healthsync.toml").read_text() + "shared = true\n"
    text = external.read_text() + f'registry_file = "{broker.settings.paths.registry_db}"\n' + storage
    found = {}
    for name in names:
        found[name] = data = broker.data if name == names[0] else broker.root / name
        data.mkdir(mode=0o700, exist_ok=True)
        if data != broker.data:
            shutil.copytree(broker.data / "credentials", data / "credentials")
        (data / "healthsync.toml").write_text(f'{text}[bridge]\nid = "{name}"\n')
    return found


async def publish(broker: Mosquitto, user: str, *names: str) -> None:
    account = broker.account(f"{user}-watch")
    login = Credentials(
        user_id=user, device_id="watch", client_id=account.client_id, username=account.username, token=account.password
    )
    events = [
        {"id": name, "type": "heart_rate", "start_time": "2026-01-05T08:00:00Z", "value": {"bpm": 60}} for name in names
    ]
    async with DeviceClient("localhost", broker.port, credentials=login, ca_file=broker.certificates.ca_cert) as client:
        assert (await client.publish(events, within_s=PATIENCE_S)).stored == len(names)


async def came(found: Callable[[], object], what: str) -> None:
    await asyncio.to_thread(wait_until, found, what)


def lines(folder: Path, stem: str) -> list[dict[str, Any]]:
    files = sorted(folder.glob(f"{stem}-*.ndjson"))
    return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]


def installation(data: Path) -> dict[str, Any]:
    found: dict[str, Any] = call(data, "status", within_s=PATIENCE_S).get("installation") or {}
    return found


async def test_bridges_with_shards_ship_everybody_and_another_one_goes_on_at_the_place(
    server: Postgres, tmp_path: Path
) -> None:
    """The third has a directory of its own, whose sink knows nothing: it ships nothing when the others are gone."""
    broker, folder, other = Mosquitto(tmp_path / "broker"), tmp_path / "out", tmp_path / "out-of-the-third"
    with broker.registry() as registry:
        for user in USERS:
            registry.add_user(user, "all", time.time_ns() // 1000)
            registry.add_device(user, "watch", time.time_ns() // 1000)
    with broker, ExitStack() as running:
        await broker.provision(*NAMES)
        data = bridge_directories(server, broker, NAMES)
        Sinks(data["main"]).put(made(kind="file", name="file", path=str(folder)))
        Sinks(data["third"]).put(made(kind="file", name="file", path=str(other)))
        (data["second"] / "sinks").symlink_to(data["main"] / "sinks")
        bridges = {}
        for name, part in zip(NAMES, PARTS, strict=True):
            bridge = BridgeProcess(data[name], "--shard", part, by_command=True)
            bridges[name] = running.enter_context(await asyncio.to_thread(bridge.start))
        for user in USERS:
            await publish(broker, user, *(f"{user}-{number}" for number in range(20)))
        first = {f"{user}-{number}" for user in USERS for number in range(20)}
        await came(lambda: {line["id"] for line in lines(folder, "events")} >= first, "everybody's events")
        await came(lambda: {line["user_id"] for line in lines(folder, "days")} == set(USERS), "everybody's days")

        def state() -> dict[str, Any]:
            with closing(SinkLedger.open(Sinks(data["main"]).ledger("file"))) as ledger:
                return ledger.state()

        def written_down() -> bool:
            with open_reader(data["main"]) as log:
                return log.head() == log.cursor("sink:file") == state()["cursor"]

        await came(written_down, "how far it is")  # else the rest would rightly be sent again
        await came(lambda: installation(data["third"]).get("shipper"), "the third knows who ships")
        shipper = installation(data["third"])["shipper"]
        assert shipper in {"main", "second"}
        assert installation(data[shipper])["ships"]
        assert not installation(data["third"])["may_ship"]
        (heir,) = {"main", "second"} - {shipper}
        await asyncio.to_thread(bridges[shipper].kill)
        await came(lambda: installation(data[heir]).get("ships"), "the other one ships")
        await publish(broker, USERS[PARTS.index("3/3")], "after")
        await came(lambda: "after" in {line["id"] for line in lines(folder, "events")}, "what came after it")

        await came(lambda: state()["since_start"]["events"] == 1, "it has shipped that one, and nothing again")
        await asyncio.to_thread(bridges[heir].kill)
        await came(lambda: installation(data["third"])["shipper"] == "", "nobody ships")
        await came(lambda: installation(data["third"])["leads"], "it leads all the same")
        assert not other.exists()
        (shown,) = run_cli(data["third"], "sink", "status", "file", check=False)
        assert (shown["state"], shown["reason"]) == ("elsewhere", "sinks_elsewhere")
        assert [each.message for each in doctor_of_sinks(data["third"]) if each.check == "sinks"] == [shown["message"]]
        assert "bridge.sinks_elsewhere" in bridges["third"].log_path.read_text()
        assert "bridge.sinks_elsewhere" not in bridges["main"].log_path.read_text()
        assert set(Counter(line["id"] for line in lines(folder, "events")).values()) == {1}


async def test_an_erasure_waits_for_the_ledgers_that_know_the_person(server: Postgres, tmp_path: Path) -> None:
    """The bridge at home is without the directory of the sinks for a while, as when home moves to another machine."""
    broker, folder = Mosquitto(tmp_path / "broker"), tmp_path / "out"
    with broker.registry() as registry:
        for user in ("alice", "bob"):
            registry.add_user(user, "all", time.time_ns() // 1000)
            registry.add_device(user, "watch", time.time_ns() // 1000)

    def left() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = call(data, "status", within_s=PATIENCE_S).get("erasures") or []
        return found

    with broker:
        await broker.provision("main")
        data = bridge_directories(server, broker, ("main",))["main"]
        Sinks(data).put(made(kind="file", name="file", path=str(folder)))
        with BridgeProcess(data, by_command=True):
            await publish(broker, "alice", "a1", "a2")
            await publish(broker, "bob", "b1")
            await came(lambda: len(lines(folder, "events")) == 3, "their events")
        (data / "sinks").rename(data / "sinks-of-before")
        with BridgeProcess(data, by_command=True) as bridge:
            assert "bridge.sinks_elsewhere" in bridge.log_path.read_text()
            with DataDirectory(data).changing() as change:
                change.registry.erase("alice", time.time_ns() // 1000, recorded_by="a test")
            await came(lambda: [each["step"] for each in left()] == ["sinks"] and "message" in left()[0], "it waits")
            assert "another directory" in left()[0]["message"]
            shutil.rmtree(data / "sinks")
            (data / "sinks-of-before").rename(data / "sinks")
            await came(lambda: left() == [], "it is done")
            for stem in ("events", "days"):
                assert {line["user_id"] for line in lines(folder, stem)} <= {"bob"}
            # Its first process may have ended before it wrote down that the lines are there: they are written again.
            await came(lambda: [line["id"] for line in lines(folder, "events")] == ["b1"], "the other one's event")
