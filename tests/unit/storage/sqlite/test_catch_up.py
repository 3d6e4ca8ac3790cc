"""A log that was just opened has read nothing of its index, and tells every old event all the same."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from healthsync_mqtt.storage.sqlite import index
from healthsync_mqtt.storage.sqlite.index import IDENTITY_MASK, Filter
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.unit.storage.conftest import SMALL

Opener = Callable[[], SqliteEventLog]

#: The slowest way to catch up: one part and a few identities with each commit.
SLOW = replace(SMALL, parts_per_catch_up=1, identities_per_row=1, identities_per_catch_up=3)


def copy_of(source: Path, target: Path) -> Path:
    """The files as a killed process leaves them."""
    target.mkdir()
    for name in ("events.db", "events.db-wal"):
        if (source / name).exists():
            shutil.copy(source / name, target / name)
    return target / "events.db"


def missed(log: SqliteEventLog) -> list[int]:
    """Identities that are in runs although the filters, or what is left to catch up, say that they are in none."""
    rows = log._connection.execute("SELECT identity FROM identity").fetchall()
    return [identity for (identity,) in rows if not log._index.newest(identity)]


@pytest.mark.parametrize("tuning", [SMALL, SLOW], ids=["usual", "slow"])
def test_opened_at_every_moment_of_upkeep_no_event_is_new(open_log: Opener, tmp_path: Path, tuning) -> None:
    log = open_log()
    states = set()
    for n in range(0, 252, 3):
        log.stage([item(f"e{i}") for i in range(n, n + 3)], [], NOW_US)
        log.commit()
        with SqliteEventLog.open(copy_of(tmp_path, tmp_path / f"at{n}"), tuning=tuning) as opened:
            caught_up = opened._index.catch_up
            merging = bool(opened._connection.execute(index.SQL["merge_in_progress"]).fetchall())
            states.add((merging, caught_up is not None and caught_up._low == 0, len(opened._index.filters)))
            assert missed(opened) == []
            assert opened.stage([item(f"e{i}") for i in range(n + 3)], [], NOW_US) == [0] * (n + 3)
    assert {(True, True, 1), (True, True, 2), (False, True, 2)} <= states, "merges, filters behind, several filters"


def test_while_it_catches_up_new_rows_merges_and_rollbacks_lose_nothing(open_log: Opener, tmp_path: Path) -> None:
    log = open_log()
    for n in range(0, 200, 4):
        log.stage([item(f"e{i}") for i in range(n, n + 4)], [], NOW_US)
        log.commit()
    ends = set()
    for rolled_back in (0, 1, 2, 3):
        path = copy_of(tmp_path, tmp_path / f"back{rolled_back}")
        with SqliteEventLog.open(path, tuning=SLOW) as opened:
            known = 200
            for turn in range(120):
                events = [item(f"e{i}") for i in range(known, known + 2)]
                opened.stage(events, [], NOW_US)
                if rolled_back and turn % 4 < rolled_back:
                    opened._upkeep.run(2, opened._staged_head)
                    opened.rollback()
                    opened.stage(events, [], NOW_US)
                opened.commit()
                known += 2
                assert missed(opened) == []
                ends.add(opened._index.catch_up is None)
            assert opened.stage([item(f"e{i}") for i in range(known)], [], NOW_US) == [0] * known
    assert ends == {False, True}, "it took several commits, and it ended"


def test_what_caught_up_is_saved_only_as_a_whole(open_log: Opener, tmp_path: Path) -> None:
    log = open_log()
    for n in range(0, 100, 4):
        log.stage([item(f"e{i}") for i in range(n, n + 4)], [], NOW_US)
        log.commit()
    path, known = copy_of(tmp_path, tmp_path / "again0"), 100
    for turn in range(1, 60):
        with SqliteEventLog.open(path, tuning=SLOW) as opened:
            for _ in range(turn % 7):
                opened.stage([item(f"e{known}"), item(f"e{known + 1}")], [], NOW_US)
                opened.commit()
                known += 2
            assert missed(opened) == []
        path = copy_of(path.parent, tmp_path / f"again{turn}")
    with SqliteEventLog.open(path, tuning=SLOW) as opened:
        assert opened.stage([item(f"e{i}") for i in range(known)], [], NOW_US) == [0] * known


def test_opening_reads_no_row_and_no_part_of_a_filter(open_log: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    log = open_log()
    for n in range(0, 400, 4):
        log.stage([item(f"e{i}") for i in range(n, n + 4)], [], NOW_US)
        log.commit()
    log.close()
    added: list[int] = []

    def counted(self: Filter, identities: Iterable[int]) -> None:
        added.extend(identities)

    monkeypatch.setattr(Filter, "add_all", counted)
    monkeypatch.setattr(Filter, "add_part", lambda self, part, saved: added.append(part))
    log = open_log()
    assert added == []
    assert len(log._index.recent) < 2 * SMALL.rows_per_block
    catch_up = log._index.catch_up
    assert catch_up is not None
    assert any(held.unread for held in log._index.filters)


def test_an_identity_at_either_end_of_the_range_is_caught_up(
    open_log: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slices meet without a gap and the last one includes the largest number."""
    numbers = {f"e{n}": n * (IDENTITY_MASK // 39) for n in range(39)} | {"e39": IDENTITY_MASK}
    monkeypatch.setattr(index, "identity_function", lambda secret: lambda user, event_id: numbers[event_id])
    log = open_log()
    events = [item(name) for name in numbers]
    for n in range(0, 40, 4):
        log.stage(events[n : n + 4], [], NOW_US)
        log.commit()
    log.close()
    log = SqliteEventLog.open(tmp_path / "events.db", tuning=SLOW)
    with log:
        while log._index.catch_up is not None:
            log.set_cursor("any", 1)
            log.commit()
            assert missed(log) == []
        assert log.stage(events, [], NOW_US) == [0] * 40


def test_a_part_that_is_read_late_keeps_what_was_added_meanwhile() -> None:
    saved, late = Filter(1, 8, 1, 0), Filter(1, 8, 1, 0)
    saved.add_all([5, 1 << 40])
    late.add_all([77])
    late.add_part(1, bytes(saved.bits[16:32]))
    late.add_part(0, bytes(saved.bits[:16]))
    saved.add_all([77])
    assert bytes(late.bits) == bytes(saved.bits)
