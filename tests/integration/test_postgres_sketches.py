"""Which rows of a log on a real PostgreSQL may say something inside: kept for its blocks, as for those in SQLite."""

from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.keys.faults import TamperedError
from healthsync_mqtt.model.choice import Contents, ValueRange
from healthsync_mqtt.postgres.connection import ServerPlace
from healthsync_mqtt.storage.port import Item
from healthsync_mqtt.storage.postgres import counts, reader, sketches
from healthsync_mqtt.storage.postgres.log import PostgresEventLog
from healthsync_mqtt.storage.postgres.reader import PostgresLogReader
from healthsync_mqtt.storage.sketch import Gathering
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.support.postgres import NEEDED, Postgres, server_of_a_module
from tests.unit.storage.sealed import codec, own_ring

pytestmark = NEEDED
server = server_of_a_module

LOG2 = 4
ROWS = 1 << LOG2
APP = "org.example.onceonly"
NEVER = Contents(app="no.such.app")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few dozen rows reach each state."""
    monkeypatch.setattr(sketches, "BLOCK_LOG2", LOG2)
    monkeypatch.setattr(sketches, "_ROWS_PER_STEP", 5)
    monkeypatch.setattr(sketches, "_LEAST_ROWS", 2)
    monkeypatch.setattr(sketches, "_BLOCKS_AT_ONCE", 3)
    monkeypatch.setattr(counts, "ROWS_AT_ONCE", 4)
    monkeypatch.setattr(reader, "ROWS_AT_ONCE", 0)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seq of each row that a reader has made a record of."""
    looked: list[int] = []
    record = PostgresLogReader._record

    def counted(self: PostgresLogReader, *row: Any) -> Any:
        looked.append(row[0])
        return record(self, *row)

    monkeypatch.setattr(PostgresLogReader, "_record", counted)
    return looked


def row(number: int, user: str = "alice", app: str = "a") -> Item:
    made = item(f"{user}-{number}", user)
    body = b'{"value":{"bpm":%d},"source":{"app":"%b"}}' % (60 + number % 5, app.encode())
    return made._replace(event=made.event._replace(body=body))


def fill(log: PostgresEventLog, blocks: int, *, once: int | None = None) -> None:
    """Blocks of rows of alice and bob; in block ``once`` an app of alice's that is in no other."""
    for block in range(blocks):
        rows = [row(block * ROWS + n, "alice" if n % 2 else "bob") for n in range(ROWS)]
        if block == once:
            rows[1] = row(block * ROWS + 1, app=APP)
        log.stage(rows[:5], [], NOW_US)
        log.commit()
        log.stage(rows[5:], [], NOW_US)
        log.commit()


def settle(log: PostgresEventLog, commits: int = 40) -> None:
    """As many commits as looking through what there is takes."""
    for _ in range(commits):
        log.set_cursor("some", 1)
        log.commit()


def kept(server: Postgres, place: ServerPlace, user: str = "") -> list[tuple[int, bytes, int | None]]:
    """The sketches of a user's rows, or of all rows: block, bytes, whether it is sealed."""
    statement = f"SELECT block, sketch, sealed FROM {place.schema}.sketch WHERE username = '{user}' ORDER BY block"
    return [(block, bytes(sketch), how) for block, sketch, how in server.execute(statement)]


def unsketched(server: Postgres, place: ServerPlace) -> list[int]:
    return [block for (block,) in server.execute(f"SELECT block FROM {place.schema}.unsketched ORDER BY block")]


def sealed(place: ServerPlace, data: Path, *, seal_new: bool = True) -> PostgresEventLog:
    return PostgresEventLog.open(place, codec=codec(data), alone=True, seal_new=seal_new)


@pytest.mark.parametrize("is_sealed", [True, False])
@pytest.mark.parametrize("newest", [True, False])
def test_rows_are_read_only_where_what_is_asked_for_may_be(
    server: Postgres, tmp_path: Path, looked_at: list[int], newest: bool, is_sealed: bool
) -> None:
    place = server.place()
    with sealed(place, tmp_path) if is_sealed else PostgresEventLog.open(place) as log:
        fill(log, 8, once=4)
        log.stage([row(999)], [], NOW_US)
        log.commit()
        assert unsketched(server, place) == [], "they were made while the rows were staged"
    keys = codec(tmp_path) if is_sealed else None
    with PostgresLogReader.open(place, codec=keys) as log_reader:
        for who in ({"user": "alice"}, {"device": "alice-watch"}, {}):
            for contents in (NEVER, Contents(provider="oura"), Contents(value=ValueRange.of("bpm:65.."))):
                looked_at.clear()
                assert log_reader.read(0, 99, newest=newest, contents=contents, **who) == []
                assert looked_at == [8 * ROWS + 1], "only the row that is in no whole block"
            looked_at.clear()
            found = log_reader.read(0, 1, newest=newest, contents=Contents(app=APP), **who)
            assert [each.id for each in found] == [f"alice-{4 * ROWS + 1}"]
            assert {(seq - 1) // ROWS for seq in looked_at} <= {4, 8}


def test_a_page_is_as_long_as_is_wanted_however_rare_it_is(server: Postgres) -> None:
    place = server.place()
    with PostgresEventLog.open(place) as log, PostgresLogReader.open(place) as log_reader:
        log.stage([row(number, app="rare" if number % 100 == 0 else "a") for number in range(900)], [], NOW_US)
        log.commit()
        rare = Contents(app="rare")
        assert [each.seq for each in log_reader.read(0, 3, contents=rare)] == [1, 101, 201]
        assert [each.seq for each in log_reader.read(0, 3, contents=rare, newest=True)] == [601, 701, 801]
        assert [each.seq for each in log_reader.read(0, 3, contents=rare, newest=True, before=601)] == [301, 401, 501]
        assert log_reader.read(0, 0, contents=rare) == log_reader.read(0, 0, contents=rare, newest=True) == []


def test_a_device_of_one_user_is_looked_for_among_theirs_and_among_what_is_not_counted(
    server: Postgres, looked_at: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = server.place()
    with PostgresEventLog.open(place) as log, PostgresLogReader.open(place) as log_reader:
        fill(log, 3)
        monkeypatch.setattr(counts, "ROWS_AT_ONCE", 100)
        other = row(1000, "carol", APP)
        log.stage([other._replace(origin=other.origin._replace(device="alice-watch"))], [], NOW_US)
        log.commit()
        for newest in (True, False):
            found = log_reader.read(0, 99, device="alice-watch", newest=newest)
            assert len(found) == 3 * ROWS // 2 + 1
            assert found[-1].user == "carol"
        looked_at.clear()
        assert log_reader.read(0, 9, device="nobody-has-it") == []
        assert log_reader.read(0, 9, user="bob", device="alice-watch") == []
        assert log_reader.read(0, 9, type="weight") == log_reader.read(0, 9, until_us=NOW_US - 86_400_000_000) == []
        assert looked_at == []


def test_what_is_purged_is_in_no_sketch_and_the_others_come_back(server: Postgres) -> None:
    place = server.place()
    with PostgresEventLog.open(place) as log:
        fill(log, 4, once=2)
        assert [block for block, sketch, _ in kept(server, place) if APP.encode() in sketch] == [2]
        log.purge("heart_rate", NOW_US + 1, [2 * ROWS + 2])
        log.commit()
        both = kept(server, place) + kept(server, place, "alice")
        assert not any(APP.encode() in sketch for _, sketch, _ in both)
        settle(log)
        assert unsketched(server, place) == []
        assert [block for block, _, _ in kept(server, place)] == [0, 1, 2, 3]
        both = kept(server, place) + kept(server, place, "alice")
        assert not any(APP.encode() in sketch for _, sketch, _ in both)


def test_what_is_purged_of_a_block_that_is_not_whole_yet_is_in_no_sketch(server: Postgres) -> None:
    """One bridge writes the block, another one takes something out of it meanwhile."""
    place = server.place()
    with PostgresEventLog.open(place) as log, PostgresEventLog.open(place) as other:
        log.stage([row(0, app=APP), row(1)], [], NOW_US)
        log.commit()
        other.purge("heart_rate", NOW_US + 1, [1])
        other.commit()
        log.stage([row(n) for n in range(2, ROWS + 1)], [], NOW_US)
        log.commit()
        settle(log)
        assert unsketched(server, place) == []
        ((block, sketch, _),) = kept(server, place)
        assert (block, APP.encode() in sketch) == (0, False)


def test_what_several_bridges_wrote_is_looked_through_and_what_changes_meanwhile_is_looked_through_again(
    server: Postgres,
) -> None:
    place = server.place()
    with PostgresEventLog.open(place) as one, PostgresEventLog.open(place) as other:
        for number in range(0, ROWS, 4):
            for log, user in ((one, "alice"), (other, "carol")):
                log.stage([row(number, user), row(number + 1, user, APP)], [], NOW_US)
                log.commit()
        one.stage([row(n, "bob") for n in range(3 * ROWS)], [], NOW_US)
        one.commit()
        assert 0 in unsketched(server, place)
        settle(one, 2)
        other.purge("heart_rate", NOW_US + 1, [2])
        other.commit()
        settle(one)
        settle(other)
        assert unsketched(server, place) == []
        with PostgresLogReader.open(place) as log_reader:
            found = log_reader.read(0, 99, contents=Contents(app=APP))
            assert found == [each for each in log_reader.every(0, 99) if APP.encode() in each.body]
            assert found


def test_a_group_that_failed_is_in_no_sketch(server: Postgres) -> None:
    place = server.place()
    with PostgresEventLog.open(place) as log:
        log.stage([row(0)], [], NOW_US)
        log.commit()
        log.stage([row(n, app=APP) for n in range(1, 5)], [], NOW_US)
        log.rollback()
        log.stage([row(n) for n in range(5, 2 * ROWS + 5)], [], NOW_US)
        log.commit()
        settle(log)
        assert unsketched(server, place) == []
        assert [block for block, _, _ in kept(server, place)] == [0, 1]
        assert not any(APP.encode() in sketch for _, sketch, _ in kept(server, place))


@pytest.mark.parametrize("is_sealed", [True, False])
def test_an_erased_user_is_in_no_sketch(server: Postgres, tmp_path: Path, is_sealed: bool) -> None:
    place = server.place()
    with sealed(place, tmp_path) if is_sealed else PostgresEventLog.open(place) as log:
        fill(log, 4, once=2)
        keys = codec(tmp_path) if is_sealed else None
        with PostgresLogReader.open(place, codec=keys) as log_reader:
            log.erase("alice", log_reader.rows_of("alice", 0, 1000))
        log.forget_user("alice", ["alice-watch"], log.head())
        log.commit()
        assert kept(server, place, "alice") == []
        settle(log)
        assert unsketched(server, place) == []
        assert len(kept(server, place, "bob")) == len(kept(server, place)) == 4
        assert not any(APP.encode() in sketch for _, sketch, _ in kept(server, place))


def test_a_log_of_before_is_looked_through_by_and_by(server: Postgres) -> None:
    place = server.place()
    with PostgresEventLog.open(place) as log:
        fill(log, 6, once=2)
        before = [kept(server, place, user) for user in ("", "alice", "bob")]
    server.execute(
        f"DELETE FROM {place.schema}.sketch; INSERT INTO {place.schema}.unsketched SELECT generate_series(0, 5)"
    )
    with PostgresEventLog.open(place) as log, PostgresLogReader.open(place) as log_reader:
        assert [each.seq for each in log_reader.read(0, 9, contents=Contents(app=APP))] == [2 * ROWS + 2]
        settle(log)
        assert unsketched(server, place) == []
        assert [kept(server, place, user) for user in ("", "alice", "bob")] == before


def test_the_schema_of_before_gets_its_tables_and_what_is_to_be_looked_through(
    server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sketches, "BLOCK_LOG2", 14)
    place = server.place()
    PostgresEventLog.open(place).close()
    schema = place.schema
    for head, blocks in ((16_383, []), (16_384, [0]), (50_000, [0, 1, 2])):
        server.execute(
            f"DROP TABLE {schema}.sketch, {schema}.unsketched, {schema}.process; UPDATE {schema}.head SET seq = {head};"
            f"UPDATE {schema}.schema_version SET version = 3"
        )
        PostgresEventLog.open(place).close()
        assert unsketched(server, place) == blocks


def test_in_a_sealed_log_it_is_sealed_for_each_user(server: Postgres, tmp_path: Path) -> None:
    place = server.place()
    with sealed(place, tmp_path) as log:
        fill(log, 6, once=2)
        assert [(sketch, how) for _, sketch, how in kept(server, place)] == [(b"", None)] * 6
        assert {how for _, _, how in kept(server, place, "alice") + kept(server, place, "bob")} == {1}
        assert not any(b"onceonly" in sketch for _, sketch, _ in kept(server, place, "alice"))
        assert len({len(sketch) for _, sketch, _ in kept(server, place, "alice")}) == 1
    own_ring(tmp_path).destroy("alice")
    with PostgresLogReader.open(place, codec=codec(tmp_path)) as log_reader:
        assert log_reader.read(0, 9, contents=Contents(app=APP)) == []
        assert len(log_reader.read(0, 999, contents=Contents(app="a"))) == 6 * ROWS // 2


def test_a_sketch_that_is_not_sealed_is_not_gone_by_in_a_sealed_log(server: Postgres, tmp_path: Path) -> None:
    place = server.place()
    with sealed(place, tmp_path) as log:
        fill(log, 3, once=1)
    nothing = (Gathering().encoded() or b"").hex()
    server.execute(
        f"UPDATE {place.schema}.sketch SET sketch = decode('{nothing}', 'hex'), sealed = NULL WHERE username <> ''"
    )
    with PostgresLogReader.open(place, codec=codec(tmp_path)) as log_reader:
        for who in ({"user": "alice"}, {}):
            assert [each.seq for each in log_reader.read(0, 9, contents=Contents(app=APP), **who)] == [ROWS + 2]


def test_when_a_log_is_sealed_later_its_sketches_are(server: Postgres, tmp_path: Path) -> None:
    place = server.place()
    with PostgresEventLog.open(place) as log:
        fill(log, 4, once=2)
    with sealed(place, tmp_path, seal_new=False) as log:
        while log.seal_older(7):
            log.commit()
        log.commit()
        settle(log)
        assert unsketched(server, place) == []
        assert {how for _, _, how in kept(server, place, "alice") + kept(server, place, "bob")} == {1}
        assert [(sketch, how) for _, sketch, how in kept(server, place)] == [(b"", None)] * 4
    with PostgresLogReader.open(place, codec=codec(tmp_path)) as log_reader:
        assert [each.seq for each in log_reader.read(0, 9, contents=Contents(app=APP))] == [2 * ROWS + 2]


def test_with_a_new_key_nothing_is_sealed_of_a_user_whose_key_was_destroyed(server: Postgres, tmp_path: Path) -> None:
    place = server.place()
    with sealed(place, tmp_path) as log:
        log.stage([row(n, "alice" if n % 2 else "bob") for n in range(ROWS - 2)], [], NOW_US)
        log.commit()
        own_ring(tmp_path).destroy("alice")
        log.stage([row(n, "bob") for n in range(100, 102)], [], NOW_US)
        log.commit()
        settle(log)
        assert len(kept(server, place, "bob")) == 1
        assert kept(server, place, "alice") == []
        assert own_ring(tmp_path).users() == 1


def test_a_key_that_is_away_holds_up_no_commit_and_blocks_have_their_sketches_later(
    server: Postgres, tmp_path: Path
) -> None:
    place = server.place()
    outer, away = tmp_path / "keys" / "outer.json", tmp_path / "away.json"
    with sealed(place, tmp_path) as log:
        fill(log, 4, once=2)
    server.execute(
        f"DELETE FROM {place.schema}.sketch; INSERT INTO {place.schema}.unsketched SELECT generate_series(0, 3)"
    )
    with sealed(place, tmp_path) as log:
        outer.rename(away)
        settle(log, 3)
        assert len(unsketched(server, place)) == 4
        away.rename(outer)
    with sealed(place, tmp_path) as log:
        settle(log)
        assert unsketched(server, place) == []
        assert len(kept(server, place, "alice")) == len(kept(server, place, "bob")) == 4


def test_a_key_that_is_away_when_a_block_ends_holds_up_nobody_else(server: Postgres, tmp_path: Path) -> None:
    place = server.place()
    outer, away = tmp_path / "keys" / "outer.json", tmp_path / "away.json"
    with sealed(place, tmp_path) as log:
        log.stage([row(999, "gone")], [], NOW_US)
        log.stage([row(n, "alice" if n % 2 else "bob") for n in range(ROWS - 2)], [], NOW_US)
        log.commit()
        # Somebody was erased: the ring keeps no key any more, and bob's is the only one that is used then.
        own_ring(tmp_path).destroy("gone")
        log.stage([row(200, "bob")], [], NOW_US)
        outer.rename(away)
        assert log.commit() == ROWS
        assert unsketched(server, place) == [0]
        away.rename(outer)
        log.rollback()
        settle(log)
        assert unsketched(server, place) == []
        assert len(kept(server, place, "alice")) == 1


def test_a_damaged_row_ends_no_commit_and_nothing_is_said_of_its_user(server: Postgres, tmp_path: Path) -> None:
    place = server.place()
    with sealed(place, tmp_path) as log:
        fill(log, 3, once=1)
        server.execute(f"UPDATE {place.schema}.log SET body = sha256('x') WHERE seq = {ROWS + 4}")
        log.purge("heart_rate", NOW_US + 1, [ROWS + 6])
        log.commit()
        settle(log)
        assert unsketched(server, place) == []
        assert [block for block, _, _ in kept(server, place, "alice")] == [0, 2]
        assert [block for block, _, _ in kept(server, place, "bob")] == [0, 1, 2]
        assert [block for block, _, _ in kept(server, place)] == [0, 2]
    with PostgresLogReader.open(place, codec=codec(tmp_path)) as log_reader, pytest.raises(TamperedError):
        log_reader.read(0, 99, contents=Contents(app=APP))
