"""What rows hold inside is kept with their block: a question goes by it, and it goes with what it tells of."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.keys.faults import TamperedError
from healthsync_mqtt.model.choice import Contents, ValueRange
from healthsync_mqtt.storage.port import Item
from healthsync_mqtt.storage.sketch import Gathering
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.unit.storage.conftest import SMALL
from tests.unit.storage.sealed import codec, own_ring, sealed_reader, sealed_writer
from tests.unit.storage.sqlite.test_counts import as_before
from tests.unit.storage.sqlite.test_shelves import instructions

ROWS = 20
TUNING = replace(SMALL, rows_per_block=ROWS, rows_per_sketch=2, rows_per_sketching=7, rows_sketched_together=ROWS)
APP = "org.example.onceonly"
NEVER = Contents(app="no.such.app")


def row(number: int, user: str = "alice", app: str = "a", *, event_type: str = "heart_rate") -> Item:
    made = item(f"{user}-{number}", user, event_type=event_type)
    body = b'{"value":{"bpm":%d},"source":{"app":"%b"}}' % (60 + number % 5, app.encode())
    return made._replace(event=made.event._replace(body=body))


def settle(log: SqliteEventLog, commits: int = 40) -> None:
    """As many rows of somebody else and commits as the last block and the looking through of others take."""
    log.stage([row(log.head() + n, "zoe", "later") for n in range(TUNING.rows_per_step)], [], NOW_US)
    for _ in range(commits):
        log.set_cursor("some", 1)
        log.commit()


def fill(log: SqliteEventLog, blocks: int, *, once: int | None = None) -> None:
    """Blocks of rows of alice and bob; in block ``once`` an app of alice's that is in no other."""
    for block in range(blocks):
        rows = [row(block * ROWS + n, "alice" if n % 2 else "bob") for n in range(ROWS)]
        if block == once:
            rows[1] = row(block * ROWS + 1, app=APP)
        log.stage(rows, [], NOW_US)
        log.commit()
        log.set_cursor("some", block)
        log.commit()
    settle(log)


def kept(log: SqliteEventLog, user: str | None = None) -> list[tuple[int, bytes, int | None]]:
    """The sketches of a user's rows, or of all rows: block, bytes, whether it is sealed."""
    number = 0 if user is None else log._names[user]
    statement = "SELECT block, sketch, sealed FROM block_sketch WHERE user = ? ORDER BY block"
    return log._connection.execute(statement, (number,)).fetchall()


def unsketched(log: SqliteEventLog) -> list[Any]:
    return log._connection.execute("SELECT block FROM block_unsketched").fetchall()


@pytest.mark.parametrize("who", [{"user": "alice"}, {"device": "alice-watch"}, {}])
@pytest.mark.parametrize("newest", [True, False])
def test_rows_are_read_only_where_what_is_asked_for_may_be(tmp_path: Path, who: dict[str, str], newest: bool) -> None:
    with SqliteEventLog.open(tmp_path / "events.db", tuning=TUNING) as log:
        fill(log, 60, once=30)

    def asked(contents: Contents | None) -> int:
        def ask(reader: SqliteLogReader) -> object:
            return reader.read(0, 5000, newest=newest, contents=contents, **who)

        return instructions(tmp_path / "events.db", ask)

    everything = asked(None)
    for contents in (NEVER, Contents(app=APP), Contents(provider="oura"), Contents(value=ValueRange.of("bpm:65.."))):
        assert asked(contents) < everything / 3
    with SqliteLogReader.open(tmp_path / "events.db") as reader:
        found = reader.read(0, 9, newest=newest, contents=Contents(app=APP), **who)
        assert [each.id for each in found] == [f"alice-{30 * ROWS + 1}"]


def test_a_page_is_as_long_as_is_wanted_however_rare_it_is(tmp_path: Path) -> None:
    with SqliteEventLog.open(tmp_path / "events.db", tuning=TUNING) as log:
        for number in range(900):
            log.stage([row(number, app="rare" if number % 100 == 0 else "a")], [], NOW_US)
        log.commit()
        settle(log)
    with SqliteLogReader.open(tmp_path / "events.db") as reader:
        rare = Contents(app="rare")
        assert [each.seq for each in reader.read(0, 3, contents=rare)] == [1, 101, 201]
        assert [each.seq for each in reader.read(0, 3, contents=rare, newest=True)] == [601, 701, 801]
        assert [each.seq for each in reader.read(0, 3, contents=rare, newest=True, before=601)] == [301, 401, 501]
        assert reader.read(0, 0, contents=rare) == reader.read(0, 0, contents=rare, newest=True) == []


def test_what_is_purged_is_in_no_sketch_and_the_others_come_back(tmp_path: Path) -> None:
    with SqliteEventLog.open(tmp_path / "events.db", tuning=TUNING) as log:
        fill(log, 4, once=2)
        assert [block for block, sketch, _ in kept(log) if APP.encode() in sketch] == [3 * ROWS]
        log.purge("heart_rate", NOW_US + 1, [2 * ROWS + 2])
        log.commit()
        assert not any(APP.encode() in sketch for _, sketch, _ in kept(log) + kept(log, "alice"))
        settle(log)
        assert unsketched(log) == []
        assert [block for block, _, _ in kept(log)] == [ROWS, 2 * ROWS, 3 * ROWS, 4 * ROWS]
        assert not any(APP.encode() in sketch for _, sketch, _ in kept(log) + kept(log, "alice"))


def test_an_erased_user_is_in_no_sketch(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with SqliteEventLog.open(path, tuning=TUNING) as log:
        fill(log, 4, once=2)
        number = log._names["alice"]
        with SqliteLogReader.open(path) as reader:
            log.erase("alice", reader.rows_of("alice", 0, 1000))
        log.forget_user("alice", ["alice-watch"], log.head())
        log.scrub()
        log.commit()
        settle(log)
        users = log._connection.execute("SELECT DISTINCT user FROM block_sketch").fetchall()
        assert (number,) not in users
        assert {(0,), (log._names["bob"],)} == set(users)
    assert not any(APP.encode() in each.read_bytes() for each in tmp_path.iterdir())


def test_a_log_of_before_is_looked_through_by_and_by(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with SqliteEventLog.open(path, tuning=TUNING) as log:
        fill(log, 6, once=2)
        before = kept(log), kept(log, "alice"), kept(log, "bob")
        as_before(log)
    with SqliteEventLog.open(path, tuning=TUNING) as log, SqliteLogReader.open(path) as reader:
        assert len(unsketched(log)) == 6
        assert [each.seq for each in reader.read(0, 9, contents=Contents(app=APP))] == [2 * ROWS + 2]
        settle(log)
        assert unsketched(log) == []
        assert (kept(log), kept(log, "alice"), kept(log, "bob")) == before


def test_some_blocks_have_their_sketches_together_and_an_end_between_them_leaves_none_out(tmp_path: Path) -> None:
    path, together = tmp_path / "events.db", replace(TUNING, rows_sketched_together=3 * ROWS)

    def stretches(log: SqliteEventLog) -> list[tuple[int, int]]:
        statement = "SELECT count(*), count(DISTINCT sketched) FROM block_sketched"
        return log._connection.execute(statement).fetchall()

    with SqliteEventLog.open(path, tuning=together) as log:
        fill(log, 8, once=7)  # the last two blocks wait
        assert stretches(log) == [(6, 2)]
        assert (len(kept(log, "alice")), unsketched(log)) == (2, [])
    with SqliteEventLog.open(path, tuning=together) as log, SqliteLogReader.open(path) as reader:
        assert [each.seq for each in reader.read(0, 9, contents=Contents(app=APP))] == [7 * ROWS + 2]
        for block in range(50, 54):
            log.stage([row(block * ROWS + n, "alice" if n % 2 else "bob") for n in range(ROWS)], [], NOW_US)
            log.commit()
            settle(log)
        ((_, groups),) = stretches(log)
        assert (groups, unsketched(log)) == (3, [])
        last, *_ = reversed(kept(log))
        assert APP.encode() in last[1]
        for who in ({"user": "alice"}, {}):
            for newest in (True, False):
                found = reader.read(0, 9, newest=newest, contents=Contents(app=APP), **who)
                assert [each.seq for each in found] == [7 * ROWS + 2]


def test_in_a_sealed_log_it_is_sealed_for_each_user(tmp_path: Path) -> None:
    with sealed_writer(tmp_path, tuning=TUNING) as log:
        fill(log, 6, once=2)
        assert [(sketch, how) for _, sketch, how in kept(log)] == [(b"", None)] * 6
        assert {how for _, _, how in kept(log, "alice") + kept(log, "bob")} == {1}
        assert not any(b"onceonly" in sketch for _, sketch, _ in kept(log, "alice"))
        sizes = {len(sketch) for _, sketch, _ in kept(log, "alice")}
        assert len(sizes) == 1, "its length does not tell where another app is"
    with sealed_reader(tmp_path) as reader:
        for who in ({"user": "alice"}, {}):
            found = reader.read(0, 9, contents=Contents(app=APP), **who)
            assert [each.seq for each in found] == [2 * ROWS + 2]
            assert reader.read(0, 9, contents=NEVER, **who) == []
    own_ring(tmp_path).destroy("alice")
    with sealed_reader(tmp_path) as reader:
        assert reader.read(0, 9, contents=Contents(app=APP)) == []
        assert len(reader.read(0, 999, contents=Contents(app="a"))) == 6 * ROWS // 2


def test_a_sealed_log_opens_sketches_and_not_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sealed_writer(tmp_path, tuning=TUNING) as log:
        fill(log, 6, once=2)
    with sealed_reader(tmp_path) as reader:
        opened: list[int] = []
        real = type(reader)._record

        def record(self: SqliteLogReader, stored: Any) -> Any:
            opened.append(stored[0])
            return real(self, stored)

        monkeypatch.setattr(SqliteLogReader, "_record", record)
        assert reader.read(0, 9, user="alice", contents=NEVER) == reader.read(0, 9, contents=NEVER) == []
        assert not [seq for seq in opened if seq <= 6 * ROWS]
        reader.read(0, 9, user="alice", contents=Contents(app=APP))
        assert {(seq - 1) // ROWS for seq in opened if seq <= 6 * ROWS} == {2}


def test_who_has_too_few_rows_for_a_sketch_is_found(tmp_path: Path) -> None:
    for name in ("plain", "sealed"):
        (tmp_path / name).mkdir(mode=0o700)
    with (
        sealed_writer(tmp_path / "sealed", tuning=TUNING) as sealed,
        SqliteEventLog.open(tmp_path / "plain" / "events.db", tuning=TUNING) as plain,
    ):
        for log in (sealed, plain):
            rows = [row(n, ("alice", "bob")[n % 2]) for n in range(ROWS - 1)]
            log.stage([*rows, row(ROWS, "carol", APP)], [], NOW_US)
            log.commit()
            settle(log)
            assert kept(log, "alice")
            assert not kept(log, "carol")
    for reader in (sealed_reader(tmp_path / "sealed"), SqliteLogReader.open(tmp_path / "plain" / "events.db")):
        with reader:
            assert [each.user for each in reader.read(0, 9, contents=Contents(app=APP))] == ["carol"]
            assert [each.user for each in reader.read(0, 9, contents=Contents(app=APP), user="carol")] == ["carol"]


def test_a_log_that_is_not_sealed_says_what_all_rows_hold_however_many_users_have_few(tmp_path: Path) -> None:
    many = 600
    tuning = replace(TUNING, rows_per_block=many, rows_sketched_together=many, rows_per_sketch=64)
    with SqliteEventLog.open(tmp_path / "events.db", tuning=tuning) as log:
        for number in range(2 * many):  # the first block is looked through, the second one gathered meanwhile
            app = APP if number == many + 5 else "a"
            log.stage([row(number, f"user{number % many}", app)], [], NOW_US)
            if number % many == many - 1:
                log.commit()
        settle(log)
        settle(log, 200)
        assert [APP.encode() in sketch for _, sketch, _ in kept(log)] == [False, True]
        log.purge("heart_rate", NOW_US + 1, [many + 6])
        log.commit()
        settle(log, 200)
        assert unsketched(log) == []
        assert [APP.encode() in sketch for _, sketch, _ in kept(log)] == [False, False]


def test_a_sketch_that_is_not_sealed_is_not_gone_by_in_a_sealed_log(tmp_path: Path) -> None:
    with sealed_writer(tmp_path, tuning=TUNING) as log:
        fill(log, 3, once=1)
        nothing = Gathering().encoded()
        statement = "UPDATE block_sketch SET sketch = ?, sealed = NULL WHERE user <> 0 RETURNING 1"
        assert log._connection.execute(statement, (nothing,)).fetchall()
    with sealed_reader(tmp_path) as reader:
        assert [each.seq for each in reader.read(0, 9, user="alice", contents=Contents(app=APP))] == [ROWS + 2]
        assert [each.seq for each in reader.read(0, 9, contents=Contents(app=APP))] == [ROWS + 2]


def test_when_a_log_is_sealed_later_its_sketches_are(tmp_path: Path) -> None:
    with SqliteEventLog.open(tmp_path / "events.db", tuning=TUNING) as log:
        fill(log, 4, once=2)
    with SqliteEventLog.open(tmp_path / "events.db", tuning=TUNING, codec=codec(tmp_path), seal_new=False) as log:
        while log.seal_older(7):
            log.commit()
        log.commit()
        settle(log)
        assert unsketched(log) == []
        assert {how for _, _, how in kept(log, "alice") + kept(log, "bob")} == {1}
        assert [(sketch, how) for _, sketch, how in kept(log)] == [(b"", None)] * 4
    assert not any(APP.encode() in each.read_bytes() for each in tmp_path.glob("events.db*"))
    with sealed_reader(tmp_path) as reader:
        assert [each.seq for each in reader.read(0, 9, contents=Contents(app=APP))] == [2 * ROWS + 2]


def test_with_a_new_key_nothing_is_sealed_of_a_user_whose_key_was_destroyed(tmp_path: Path) -> None:
    with sealed_writer(tmp_path, tuning=TUNING) as log:
        fill(log, 1)
        rows = [row(1000 + n, "alice" if n % 2 else "bob") for n in range(ROWS)]
        log.stage(rows, [], NOW_US)
        log.commit()
        own_ring(tmp_path).destroy("alice")
        settle(log)
        assert len(kept(log, "bob")) == 2
        assert [block for block, _, _ in kept(log, "alice")] == [ROWS]
        assert own_ring(tmp_path).users() == 2  # of bob and zoe


def test_a_key_that_is_away_holds_up_no_commit_and_blocks_have_their_sketches_later(tmp_path: Path) -> None:
    """A log of before was written no more: each commit looks through some rows of whoever has some."""
    outer, away = tmp_path / "keys" / "outer.json", tmp_path / "away.json"
    with sealed_writer(tmp_path, tuning=TUNING) as log:
        fill(log, 4, once=2)
        as_before(log)
    with sealed_writer(tmp_path, tuning=TUNING) as log:
        outer.rename(away)
        for _ in range(3):
            log.set_cursor("some", 1)
            log.commit()
        assert len(unsketched(log)) == 4
        away.rename(outer)
    with sealed_writer(tmp_path, tuning=TUNING) as log:
        settle(log)
        assert unsketched(log) == []
        assert len(kept(log, "alice")) == len(kept(log, "bob")) == 4


def test_a_key_that_is_away_when_a_block_is_made_holds_up_nobody_else(tmp_path: Path) -> None:
    outer, away = tmp_path / "keys" / "outer.json", tmp_path / "away.json"
    with sealed_writer(tmp_path, tuning=TUNING) as log:
        settle(log)
        fill(log, 1)
        log.stage([row(100 + n, "alice" if n % 2 else "zoe") for n in range(ROWS)], [], NOW_US)
        log.commit()
        # Somebody else was erased: the ring keeps no key any more, and zoe's is the first that is used then.
        own_ring(tmp_path).destroy("bob")
        log.stage([row(200, "zoe")], [], NOW_US)
        log.commit()
        outer.rename(away)
        settle(log)
        missing = unsketched(log)
        assert len(missing) == 1
        away.rename(outer)
        log.rollback()
        settle(log)
        assert unsketched(log) == []
        assert missing[0] in [(block,) for block, _, _ in kept(log, "alice")]


def test_a_damaged_row_ends_no_commit_and_nothing_is_said_of_its_user(tmp_path: Path) -> None:
    with sealed_writer(tmp_path, tuning=TUNING) as log:
        fill(log, 3, once=1)
        damage = "UPDATE log SET body = zeroblob(length(body)) WHERE seq = ? RETURNING 1"
        assert log._connection.execute(damage, (ROWS + 4,)).fetchall()
        log.purge("heart_rate", NOW_US + 1, [ROWS + 6])
        log.commit()
        settle(log)
        assert unsketched(log) == []
        assert [block for block, _, _ in kept(log, "alice")] == [ROWS, 3 * ROWS]
        assert [block for block, _, _ in kept(log, "bob")] == [ROWS, 2 * ROWS, 3 * ROWS]
        assert [block for block, _, _ in kept(log)] == [ROWS, 3 * ROWS]
    with sealed_reader(tmp_path) as reader, pytest.raises(TamperedError):
        reader.read(0, 99, contents=Contents(app=APP))
