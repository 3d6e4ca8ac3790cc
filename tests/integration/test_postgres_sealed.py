"""A sealed log on a real PostgreSQL: what its server can tell, and what whoever writes to its tables can do."""

from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.cli.doctor.posture import posture
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.keys.faults import TamperedError
from healthsync_mqtt.keys.opening import ring_of
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.postgres.connection import Connection, unremarked
from healthsync_mqtt.storage.crossing import Crossing
from healthsync_mqtt.storage.opening import Encryption, encryption, open_log, open_reader, seal_log
from healthsync_mqtt.storage.port import EventLog, FormatMemory
from healthsync_mqtt.storage.postgres.faults import ServerBusyError
from healthsync_mqtt.storage.postgres.sealing import ServerSealing
from healthsync_mqtt.testing.log_items import NOW_US, item, rejected
from tests.integration.test_storage_copy import on_disk
from tests.support.patience import wait_until
from tests.support.postgres import NEEDED, Postgres, server_of_a_module
from tests.support.service import Service, run_cli

pytestmark = NEEDED
server = server_of_a_module

TABLES = ("log", "sketch", "quarantine", "format_state", "format_record", "format_record_sealed")
LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
READABLE = "SELECT count(*) FROM healthsync.log WHERE seq > 8 AND position('bpm'::bytea IN body) > 0"
SECRETS = ("secret-id", "bpm", "secret-name", "secret-state", "secret-refused")


@pytest.fixture
def data(server: Postgres, tmp_path: Path) -> Path:
    return server.directory(tmp_path / "data")


def fill(log: EventLog, first: int = 0) -> None:
    """Values, ids, refused bytes, and what formats remember, of two users."""
    for number in range(first, first + 6):
        log.stage([item(f"secret-id-{number}", f"user{number % 2}")], [], NOW_US)
    log.stage([item(f"secret-id-{first}", "user0", version=1)], [], NOW_US)
    log.stage([], [rejected("user0", event_id=f"secret-id-{first}", raw=b"secret-refused")], NOW_US)
    log.remember(FormatMemory("user1", f"watch{first}", "zepp", b"secret-state", [("secret-name", "secret-id")]))
    log.commit()
    log.purge("heart_rate", NOW_US + 1, [first + 2])
    log.commit()


def seen(data: Path) -> Any:
    with open_reader(data) as reader:
        return reader.every(0, 99), reader.rejected(), sorted(reader.format_memories()), reader.totals()


def in_the_clear(server: Postgres, data: Path) -> list[str]:
    """What of it stands in the tables, as text or as bytes."""
    found = "".join(
        str(row) for table in TABLES for row in server.execute(f"SELECT * FROM healthsync.{table}", of=data)
    )
    return [word for word in SECRETS if word in found or word.encode().hex() in found]


def change(server: Postgres, data: Path, assignment: str) -> None:
    server.execute(f"UPDATE healthsync.log SET {assignment} WHERE seq = 1", of=data)


def test_what_was_stored_before_is_sealed_in_steps_and_reads_the_same(server: Postgres, data: Path) -> None:
    with open_log(data) as log:
        fill(log)
    before = seen(data)
    assert set(in_the_clear(server, data)) == set(SECRETS)
    assert encryption(data) == Encryption()
    left: list[int] = []
    seal_log(data, 3, left.append)
    assert left == [8, 5], "rows first, then a refusal, a state and a name"
    assert in_the_clear(server, data) == []
    assert seen(data) == before
    assert encryption(data) == Encryption("rows", "file", 2, 0)
    with open_log(data) as log:
        assert log.stage([item("secret-id-1", "user1"), item("secret-id-2", "user0")], [], NOW_US) == [0, 0]
        fill(log, 10)
    assert in_the_clear(server, data) == []
    findings = {each.check: each for each in posture(DataDirectory(data), load_settings(data), NOW_US)}
    assert "whoever copies this disk and the server's" in findings["data keys"].message


def test_a_commit_that_no_standby_waited_for_does_not_take_back_that_the_log_is_sealed(
    server: Postgres, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made, and nothing is acknowledged; what is written next is sealed."""

    def remarked(connection: Connection, statement: bytes) -> bool:
        unremarked(connection, statement)
        return False

    with open_log(data, seal_new=False) as log:
        fill(log)
        log.seal_older(99)
        with monkeypatch.context() as patch:
            patch.setattr("healthsync_mqtt.storage.postgres.log.unremarked", remarked)
            with pytest.raises(ServerBusyError, match="did not wait for its standby"):
                log.commit()
        wait_until(lambda: server.execute(LOCKS) == [(0,)], "its session has ended")
        fill(log, 10)
    assert encryption(data).mode == "rows"
    assert server.execute(READABLE, of=data) == [(0,)]


def refuse_again_while_it_is_sealed(data: Path) -> None:
    """One refusal as it is and, from a device that goes on, the same one sealed."""
    again = rejected("user0", event_id="again", raw=b"x")
    with open_log(data, seal_new=False) as log:
        log.stage([item(f"e{number}") for number in range(6)], [again], NOW_US)
        log.commit()
    with open_log(data) as log:
        log.seal_older(2)
        log.stage([], [again], NOW_US + 1)
        log.commit()
        while log.seal_older(2):
            log.commit()
        log.stage([], [again], NOW_US + 2)
        log.commit()


def test_what_is_refused_again_while_older_refusals_are_sealed_ends_nothing(data: Path) -> None:
    """The older one came to the mark of the newer one, which no two rows may have: sealing never ended."""
    refuse_again_while_it_is_sealed(data)
    assert encryption(data).plain_rows == 0
    with open_reader(data) as reader:
        assert [(row.event_id, row.times, row.raw) for row in reader.rejected()] == [
            ("again", 1, b"x"), ("again", 2, b"x")
        ]  # fmt: skip


def test_a_purge_of_what_nobody_can_open_now_holds_up_nobody(server: Postgres, data: Path) -> None:
    """Every commit failed until the key was back, for a damaged row for ever."""
    outer, away = data / "keys" / "outer.json", data / "away.json"
    with open_log(data, seal_new=True) as log:
        log.stage([item("a1"), item("b1", "bob"), item("b2", "bob")], [], NOW_US)
        log.commit()
        server.execute("UPDATE healthsync.log SET body = sha256('x') WHERE seq = 3", of=data)
        ring_of(data)._known.clear()  # as after a start
        outer.rename(away)
        log.purge("heart_rate", NOW_US + 1, [1, 3])
        assert log.commit() == 3
        away.rename(outer)
    with open_reader(data) as reader:
        assert [(row.id, bool(row.body)) for row in reader.every(0, 9)] == [("a1", True), ("b1", True), ("", False)]
        assert sum(reader.counts(days=False).values()) == 2


def test_two_rows_of_one_refusal_are_copied_to_the_server(data: Path) -> None:
    with on_disk(data):
        refuse_again_while_it_is_sealed(data)
        before = seen(data)[1]
    assert len(before) == 2
    assert Crossing(data, to_server=True, plain=False).run(lambda _: None).refusals == 2
    assert seen(data)[1] == before


def test_a_row_that_somebody_changed_is_not_shown(server: Postgres, data: Path) -> None:
    with open_log(data, seal_new=True) as log:
        fill(log)
    [row] = server.execute("SELECT body, sealed FROM healthsync.log WHERE seq = 1", of=data)
    assert row[1] == 1
    for assignment in (
        "version = version + 1", "start_us = 0", "end_us = 5", "received_us = 0", "device = 'other'", "provider = 'x'",
        "username = 'user1'", "type = 'weight'", "position = 9", "op = 1", "sealed = NULL", "sealed = 7", "id = 'x'",
        "body = (SELECT body FROM healthsync.log WHERE seq = 3)", "identity = sha256('x')",
    ):  # fmt: skip
        server.execute("CREATE TABLE kept AS SELECT * FROM healthsync.log WHERE seq = 1", of=data)
        change(server, data, assignment)
        with open_reader(data) as reader, pytest.raises(TamperedError):
            reader.get(1)
        server.execute("DELETE FROM healthsync.log WHERE seq = 1", of=data)
        server.execute("INSERT INTO healthsync.log SELECT * FROM kept", of=data)
        server.execute("DROP TABLE kept", of=data)
    with open_reader(data) as reader:
        assert _id(reader.get(1)) == "secret-id-0"


def test_what_a_format_remembers_is_opened_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One delivery asks about one device for each thing that its source takes back: all of it was opened each time."""
    opened = []
    real = ServerSealing.record_again

    def record_again(self: ServerSealing, whose: tuple[str, str, str], stored: bytes) -> tuple[str, str] | None:
        opened.append(whose[1])
        return real(self, whose, stored)

    monkeypatch.setattr(ServerSealing, "record_again", record_again)
    named = [(f"night-{number}", f"id-{number}") for number in range(5)]
    with open_log(data, seal_new=True) as log, open_reader(data) as reader:

        def found(device: str, prefix: str = "night-") -> list[tuple[str, str]]:
            opened.clear()
            return reader.format_records("alice", device, "zepp", prefix, 99)

        log.remember(FormatMemory("alice", "watch", "zepp", None, named[:3]))
        log.remember(FormatMemory("alice", "ring", "zepp", None, named[:1]))
        log.commit()
        assert (found("watch"), opened) == (named[:3], ["watch"] * 3)
        assert (found("watch", "night-1"), opened) == (named[1:2], [])
        log.remember(FormatMemory("alice", "watch", "zepp", None, named[3:], named[:1]))
        log.commit()
        assert (found("watch"), opened) == (named[1:], ["watch"] * 2)
        assert (found("ring"), opened) == (named[:1], ["ring"])
        assert ring_of(data).destroy("alice")
        assert (found("ring"), found("watch")) == ([], []), "also what was just told, while its rows are there"


def _id(row: Record | None) -> str:
    assert row is not None
    return row.id


def test_a_key_that_is_destroyed_takes_the_rows_of_its_user_along(data: Path) -> None:
    with open_log(data, seal_new=True) as log, open_reader(data) as reader:
        fill(log)
        assert len(reader.read(0, 99, user="user0")) == 3
        assert ring_of(data).destroy("user0")
        assert {(row.id, row.body) for row in reader.every(0, 99) if row.user == "user0"} == {("", b"")}
        assert len(reader.read(0, 99, user="user1")) == 2
        assert [row.raw for row in reader.rejected()] == [b""]


def test_rows_whose_key_is_destroyed_are_left_out_as_purged_ones_are(data: Path) -> None:
    """Followers and sinks took them for events, until the erasure had come to the last one."""
    with open_log(data, seal_new=True) as log, open_reader(data) as reader:
        fill(log)
        left = [row.seq for row in reader.read(0, 99) if row.user == "user1"]
        assert ring_of(data).destroy("user0")
        for limit in (1, 2, 99):
            for newest in (True, False):
                expected = left[-limit:] if newest else left[:limit]
                assert [row.seq for row in reader.read(0, limit, newest=newest)] == expected
        assert reader.read(0, 99, user="user0") == []
        at, met, more = 0, list[int](), True
        while more:
            rows, at, more = reader.stretch(at, 1, look=2)
            met += [row.seq for row in rows]
        assert met == left
        assert reader.stretch(0, 99, look=99, user="user0").rows == []
        assert reader.find("user0", "secret-id-4") is None


def test_without_its_keys_it_is_not_opened_and_bridges_do_not_share_it(data: Path) -> None:
    with open_log(data, seal_new=True) as log:
        fill(log)
    settings = data / "healthsync.toml"
    alone = settings.read_text()
    settings.write_text(f"{alone}shared = true\n")
    with pytest.raises(UnavailableError, match="files of one data directory"):
        open_log(data)
    settings.write_text(alone)
    (data / "keys.db").rename(data / "away.db")
    with pytest.raises(UnavailableError, match="no data keys"):
        open_log(data)
    with open_reader(data) as reader, pytest.raises(UnavailableError, match="no data keys"):
        reader.get(1)


def test_a_service_seals_what_is_new_and_seals_the_rest_while_it_runs(server: Postgres, data: Path) -> None:
    with open_log(data) as log:
        fill(log)
    before = seen(data)
    with Service(data):
        [told] = run_cli(data, "storage", "encrypt")
    assert told == {"encryption": "rows", "plain_rows": 0, "compacted": False}
    assert seen(data)[:2] == before[:2], "what a format remembers of who is not registered goes"
    assert in_the_clear(server, data) == []
