"""``healthsync storage copy`` on a real PostgreSQL: there and back, killed anywhere, and a device that is moved."""

import asyncio
import json
import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.client import Backoff, Credentials, DeviceClient, SqliteOutbox
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event import Omitted, Op, Rejection
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.storage import move
from healthsync_mqtt.storage.crossing import Crossing
from healthsync_mqtt.storage.move import MoveState
from healthsync_mqtt.storage.opening import encryption, open_log, open_reader
from healthsync_mqtt.storage.port import CountKey, EventLog, FormatMemory, LogReader, Quarantined
from healthsync_mqtt.storage.postgres import counts
from healthsync_mqtt.storage.quotas import Quotas
from healthsync_mqtt.testing.log_items import NOW_US, item, rejected
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.postgres import NEEDED, Postgres, server_of_a_module
from tests.support.service import Service, run_cli

pytestmark = NEEDED
server = server_of_a_module


@pytest.fixture
def data(server: Postgres, tmp_path: Path) -> Path:
    return server.directory(tmp_path / "data")


@pytest.fixture(params=["plain", "sealed"])
def source(request: pytest.FixtureRequest, data: Path) -> Path:
    """A data directory with a log in it, and a server of which its settings say nothing yet."""
    with on_disk(data), open_log(data, seal_new=request.param == "sealed", quotas=Quotas(row_bytes=64)) as log:
        fill(log)
    return data


@pytest.fixture(autouse=True)
def counts_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "ROWS_AT_ONCE", 4)


@contextmanager
def on_disk(data: Path) -> Iterator[None]:
    """While the settings name no server, the log is in the directory."""
    settings, away = data / "healthsync.toml", data / "settings.away"
    settings.rename(away)
    try:
        yield
    finally:
        away.rename(settings)


def fill(log: EventLog, rows: int = 60) -> None:
    """Something of everything that a log can hold."""
    for first in range(0, rows, 6):
        log.stage([item(f"e{n}", f"user{n % 5}") for n in range(first, first + 6)], [], NOW_US + first)
        log.commit()
    again = [item(f"e{n}", f"user{n % 5}", version=1) for n in range(0, rows, 7)]
    gone = [item("e1", "user1", version=1, op=Op.DELETE), item("s", "user2", event_type="steps")]
    provider = item("p", "user3")._replace(origin=Origin("user3", None, "withings", ""))
    leaver = [item("leaver", "zoe"), item("leaver", "zoe", version=1)]
    zoe = log.stage([*again, *gone, provider, *leaver], [], NOW_US + 1)[-2:]
    odd = rejected("user1", event_id="a\x00b")
    cut = rejected("user2", event_id="long", raw=b"x" * 100)
    origin = odd.origin
    omitted = Rejection(0, None, Reason.NO_CONSENT, None, "none", b"", omitted=Omitted(77, "ab" * 32))
    held = Rejection(0, "h", Reason.FUTURE_TIME, None, "early", b"{}" * 50, due_us=NOW_US + 9)
    log.stage([], [odd, odd, cut, Quarantined(origin, NOW_US, omitted), Quarantined(origin, NOW_US, held)], NOW_US)
    log.commit()
    log.discard_rejected(1)
    log.stage([], [rejected("user4", event_id="twice"), rejected("user4", event_id="twice")], NOW_US)
    log.remember(FormatMemory("user1", "watch", "health_connect", b"state", [("n1", "e1"), ("n2", "e6")]))
    log.remember(FormatMemory("user2", "watch", "zepp", b""))
    log.purge("heart_rate", NOW_US + 1, [2, 3, 4])
    log.commit()
    log.erase("zoe", zoe)
    log.forget_user("zoe", [], zoe[-1])
    for name, seq in (("sink:influxdb", 40), ("followers", log.head())):
        log.set_cursor(name, seq)
    log.commit()
    log.stage([item("last", "user4")], [], NOW_US + 2)
    log.commit()


def everything(reader: LogReader) -> dict[str, Any]:
    """All that a reader can tell of a log."""
    rows, read = reader.every(0, 9999), reader.read(0, 9999)
    counts = Counter(
        CountKey(row.user, row.type, row.device, row.provider, row.start_us // 86_400_000_000)
        for row in read
        if not row.op
    )
    assert reader.counts() == counts
    return {
        "epoch": reader.epoch,
        "rows": rows,
        "read": read,
        "counts": counts,
        "superseded": reader.superseded_by(1, len(rows)),
        "found": [reader.find(row.user, row.id) for row in rows],
        "users": {user: (reader.types(user), reader.rows_of(user, 0, 999)) for user in reader.users()},
        "rejected": reader.rejected(),
        "due": reader.rejected_due(NOW_US + 99, 9),
        "cursors": reader.cursors(),
        "purged": [reader.purged_before(name) for name in CATALOGUE],
        "purgeable": reader.purgeable("heart_rate", NOW_US + 99, 0, len(rows), len(rows)),
        "formats": sorted(reader.format_memories()),
        "totals": reader.totals(),
    }


def on_disk_now(data: Path) -> dict[str, Any]:
    with on_disk(data), open_reader(data) as reader:
        return everything(reader)


def on_server_now(data: Path) -> dict[str, Any]:
    with open_reader(data) as reader:
        return everything(reader)


def cross(data: Path, *, to_server: bool = True) -> move.Moved:
    return Crossing(data, to_server=to_server, plain=False).run(lambda _: None)


def test_a_log_goes_there_and_back_and_nothing_of_it_changes(server: Postgres, source: Path) -> None:
    before = on_disk_now(source)
    with on_disk(source):
        sealed = encryption(source).mode
    assert len(before["rows"]) > 70
    assert {row.user for row in before["rows"]} > {"~erased", "user1"}
    assert Crossing(source, to_server=True, plain=False).plan() == (MoveState.NEW, len(before["rows"]), 0)
    cross(source)
    assert on_server_now(source) == before
    assert encryption(source).mode == sealed
    stored = server.execute("SELECT DISTINCT sealed FROM healthsync.log WHERE username <> '~erased'", of=source)
    assert stored == [(None if sealed == "none" else 1,)]
    assert Crossing(source, to_server=True, plain=False).plan().state is MoveState.DONE
    assert cross(source).now == 0, "once more is no harm"
    (source / "events.db").rename(source / "away.db")
    with open_log(source) as log:
        goes_on(log)
    then = on_server_now(source)
    cross(source, to_server=False)
    then["rejected"][-1] = then["rejected"][-1]._replace(event_id="half ?")  # half a character is no text in a file
    assert on_disk_now(source) == then
    with on_disk(source), open_log(source) as log:
        assert log.stage([item("back", "user1")], [], NOW_US) == [len(then["rows"]) + 1]
        log.commit()


def goes_on(log: EventLog) -> None:
    """Ids are known, versions supersede, positions and numbers count on, equal refusals are counted up."""
    head, position = log.head(), log.position("user1")
    events = [item("e1", "user1"), item("e2", "user2"), item("e7", "user2", version=2), item("new", "user1")]
    assert log.stage(events, [rejected("user4", event_id="twice")], NOW_US) == [0, 0, head + 1, head + 2]
    log.stage([item("leaver", "zoe")], [rejected("user0", event_id="half \ud800")], NOW_US)
    log.commit()
    assert (log.position("user1"), log.position("zoe")) == (position + 1, 1)
    log.purge("heart_rate", NOW_US + 2, [6])
    log.erase("user3", [4])
    log.commit()


@pytest.mark.parametrize("source", ["plain"], indirect=True)
def test_what_is_left_is_used_only_by_who_says_so(source: Path) -> None:
    cross(source)
    with on_disk(source):
        with pytest.raises(UnavailableError, match="was moved to another place"):
            open_log(source)
        told: list[str] = []
        with open_log(source, accept_restored=lambda _, epoch: told.append(epoch)) as log:
            assert [log.epoch] == told
        open_log(source).close()
    with pytest.raises(UnavailableError, match="there is another event log already"):
        cross(source)


@pytest.mark.parametrize("source", ["plain"], indirect=True)
def test_a_part_of_a_log_is_not_used(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(move, "_A_COMMIT", 20)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    crossing = Crossing(source, to_server=True, plain=False)
    with pytest.raises(KeyboardInterrupt):
        crossing.run(stop)
    assert crossing.plan()[::2] == (MoveState.BEGUN, 20)
    (source / "events.db").rename(source / "away.db")
    with pytest.raises(UnavailableError, match="only partly here"):
        open_log(source)
    (source / "away.db").rename(source / "events.db")
    with on_disk(source), pytest.raises(UnavailableError, match="was moved"):
        open_log(source)
    with on_disk(source):
        open_log(source, accept_restored=lambda *_: None).close()
    with pytest.raises(UnavailableError, match="used since"):
        crossing.run(lambda _: None)


@pytest.mark.parametrize("source", ["sealed"], indirect=True)
def test_a_sealed_log_is_not_stored_in_the_clear_by_mistake(server: Postgres, source: Path) -> None:
    before, settings = on_disk_now(source), source / "healthsync.toml"
    settings.write_text(f"{settings.read_text()}shared = true\n")
    with pytest.raises(UnavailableError, match="one that bridges share would not be"):
        cross(source)
    with on_disk(source):
        open_log(source).close()
    Crossing(source, to_server=True, plain=True).run(lambda _: None)
    assert on_server_now(source) == before
    assert server.execute("SELECT DISTINCT sealed FROM healthsync.log", of=source) == [(None,)]


@pytest.mark.parametrize("source", ["plain"], indirect=True)
def test_a_log_that_is_used_is_not_moved(source: Path) -> None:
    with on_disk(source):
        log = open_log(source)
    with log, pytest.raises(UnavailableError, match="another"):
        cross(source)
    cross(source)
    (source / "events.db").rename(source / "away.db")
    with open_log(source), pytest.raises(UnavailableError, match="another service writes"):
        cross(source, to_server=False)
    assert not (source / "events.db").exists()


@pytest.mark.parametrize(("source", "to_server"), [("plain", True), ("sealed", False)], indirect=["source"])
def test_killed_anywhere_it_goes_on(source: Path, monkeypatch: pytest.MonkeyPatch, to_server: bool) -> None:
    """HEALTHSYNC_TEST_KILLS: about how often."""
    monkeypatch.setattr(move, "_A_COMMIT", 3)
    monkeypatch.setattr(move, "_REFUSALS", 1)
    before = on_disk_now(source)
    if not to_server:
        cross(source)
        (source / "events.db").rename(source / "away.db")
    least, rng = int(os.environ.get("HEALTHSYNC_TEST_KILLS", "4")), random.Random(19)
    kills = run = 0
    while _killed(source, to_server, rng.uniform(0, 0.02 * (1 + run / least) ** 3)):
        kills, run = kills + 1, run + 1
    assert kills >= 3
    assert (on_server_now if to_server else on_disk_now)(source) == before


def _killed(data: Path, to_server: bool, after_s: float) -> bool:
    """Whether a process that does it was ended at that time, as kill -9 does: nothing of it is done any more."""
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            crossing = Crossing(data, to_server=to_server, plain=False)
            signal.setitimer(signal.ITIMER_REAL, after_s)
            crossing.run(lambda _: None)
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


async def test_a_device_goes_on_with_the_same_token_and_loses_nothing(server: Postgres, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Service(data) as service:
        service.cli("user", "add", "alice", "--consent", "all")
        (identity,) = service.cli("device", "add", "alice", "watch")
        credentials = Credentials.from_mapping(identity)
        outbox = tmp_path / "outbox.db"
        await send(service, credentials, outbox, range(10))
        service.kill()
    settings = server.directory(tmp_path / "settings") / "healthsync.toml"
    shutil.copy(settings, data / "healthsync.toml")
    waiting = SqliteOutbox(outbox)
    waiting.put([(event["id"], json.dumps(event).encode()) for event in map(_event, range(10, 15))])
    waiting.close()
    [plan] = run_cli(data, "storage", "copy", "sqlite", "postgresql", "--dry-run")
    assert plan == {"state": "new", "rows": 10, "there": 0, "dry_run": True}
    [copied] = run_cli(data, "storage", "copy", "sqlite", "postgresql")
    assert copied == {"rows": 10, "copied": 10, "rejected": 0, "cursors": copied["cursors"]}
    (data / "events.db").rename(data / "away.db")
    with Service(data) as service:
        await send(service, credentials, outbox, range(15, 18))
        assert [each["id"] for each in service.cli("events", "list")] == [f"e{n}" for n in range(18)]
        # The anchor follows commits about a second behind.
        wait_until(lambda: service.cli("storage", "status")[0]["anchor"] == "whole")
        [status] = service.cli("storage", "status")
        assert (status["events"], status["superseded"], status["anchor"]) == (18, 0, "whole")
        assert any(each["action"] == "storage.copied" for each in service.cli("audit", "list"))


async def send(service: Service, credentials: Credentials, outbox: Path, events: range) -> None:
    host, port = service.mqtts
    options = {"ca_file": service.ca_file, "backoff": Backoff(first=0.05, longest=0.2)}
    async with (
        DeviceClient(
            host, port, credentials=credentials, outbox=SqliteOutbox(outbox), batch_size=5, **options
        ) as device,
        asyncio.timeout(PATIENCE_S),
    ):
        await device.publish([_event(n) for n in events])
        await device.drain()


def _event(n: int) -> dict[str, Any]:
    return {"id": f"e{n}", "type": "heart_rate", "start_time": "2026-01-01T00:00:00Z", "value": {"bpm": 60}}
