"""The identity index: collisions, rollbacks, reopening, and a filter that never says "no" wrongly."""

from collections.abc import Callable

import pytest

from healthsync_mqtt.storage.sqlite import index
from healthsync_mqtt.storage.sqlite.index import IDENTITY_MASK
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.log_items import NOW_US, item

Opener = Callable[[], SqliteEventLog]


@pytest.mark.parametrize("everything_is", [7, IDENTITY_MASK])
def test_events_with_the_same_hash_never_merge(
    open_log: Opener, tmp_path, monkeypatch: pytest.MonkeyPatch, everything_is: int
) -> None:
    monkeypatch.setattr(index, "identity_function", lambda secret: lambda user, event_id: everything_is)
    log = open_log()
    events = [item(f"e{n}", user) for n in range(12) for user in ("alice", "bob")]
    assert log.stage(events[:10], [], NOW_US) == list(range(1, 11))
    log.commit()
    assert log.stage(events, [], NOW_US) == [0] * 10 + list(range(11, 25))
    log.commit()
    assert log.stage([item("e3", "bob", version=2)], [], NOW_US) == [25]
    log.commit()
    log.close()
    log = open_log()
    assert log.stage([*events, item("e3", "bob", version=2)], [], NOW_US) == [0] * 25
    with SqliteLogReader.open(tmp_path / "events.db") as reader:
        for staged in events:
            found = reader.find(staged.origin.user, staged.event.id)
            assert found is not None
            assert (found.user, found.id) == (staged.origin.user, staged.event.id)
        assert reader.find("alice", "e99") is None


def test_a_log_reopened_after_every_commit_knows_all_ids(open_log: Opener) -> None:
    for n in range(60):
        log = open_log()
        assert log.head() == n * 4
        assert log.stage([item(f"e{i}") for i in range(n * 4)], [], NOW_US) == [0] * n * 4
        assert log.stage([item(f"e{n * 4 + i}") for i in range(4)], [], NOW_US) == [n * 4 + i for i in range(1, 5)]
        log.commit()
        log.close()


def test_the_index_reaches_merged_runs_and_several_filters(open_log: Opener) -> None:
    log = open_log()
    for n in range(0, 400, 2):
        log.stage([item(f"e{i}") for i in range(n, n + 2)], [], NOW_US)
        log.commit()
    query = log._connection.execute
    assert query("SELECT max(level) FROM identity_run").fetchall()[0][0] >= 3
    assert query("SELECT count(*) FROM identity").fetchall() == [(400,)]
    assert query("SELECT count(*) FROM identity_run").fetchall()[0][0] < 20
    assert len(log._index.filters) >= 2
    assert log._index.filters[0].through > 0, "the filter was saved"
    assert query("SELECT count(*) FROM block_user").fetchall() == [(log._index.indexed_through,)]


def test_a_saved_filter_holds_every_row_it_claims(open_log: Opener) -> None:
    log = open_log()
    for n in range(0, 240, 3):
        log.stage([item(f"e{i}") for i in range(n, n + 3)], [], NOW_US)
        log.commit()
        for generation, first_seq, through in log._connection.execute(
            "SELECT generation, first_seq, through FROM identity_filter"
        ).fetchall():
            held = index.Filter(generation, log._index.filters[generation - 1].bits_log2, first_seq, through)
            for part, bits in log._connection.execute(
                "SELECT part, bits FROM identity_filter_part WHERE generation = ?", (generation,)
            ).fetchall():
                held.add_part(part, bits)
            saved = bytes(held.bits)
            held.add_all(
                row[0]
                for row in log._connection.execute(
                    "SELECT identity FROM log WHERE seq BETWEEN ? AND ?", (first_seq, through)
                ).fetchall()
            )
            assert bytes(held.bits) == saved


def test_a_rollback_in_the_middle_of_upkeep_loses_no_identity(open_log: Opener) -> None:
    log = open_log()
    for n in range(0, 300, 6):
        events = [item(f"e{i}") for i in range(n, n + 6)]
        log.stage(events, [], NOW_US)
        log._upkeep.run(6, log._staged_head)
        log.rollback()
        assert log.head() == n
        log.stage(events, [], NOW_US)
        assert log.commit() == n + 6
    assert log.stage([item(f"e{i}") for i in range(300)], [], NOW_US) == [0] * 300


def test_a_stage_that_raises_leaves_nothing_behind(open_log: Opener) -> None:
    log = open_log()
    log.stage([item("a")], [], NOW_US)
    with pytest.raises(OverflowError):
        log.stage([item("b"), item("c", start_us=2**70)], [], NOW_US)
    assert log.commit() == 0
    assert log.stage([item("c"), item("b"), item("a")], [], NOW_US) == [1, 2, 3]
    assert log.commit() == 3
