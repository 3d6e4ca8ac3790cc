"""What a user takes back, what retention purges and what a kill interrupts: the file of days follows at once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.summaries.file import SummaryFile
from healthsync_mqtt.summaries.part import DAY_US
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.unit.summaries.test_histories import read_on

DAY = NOW_US // DAY_US


def always(_user: str, _type: str) -> int | None:
    return 0


def log_of(*, users: tuple[str, ...] = ("alice", "bob"), days: int = 3) -> MemoryEventLog:
    log = MemoryEventLog()
    rows = [
        item(f"{user}-{kind}-{n}", user, event_type=kind, start_us=NOW_US + n * DAY_US)
        for user in users
        for kind in ("heart_rate", "resting_heart_rate")
        for n in range(days)
    ]
    log.stage(rows, [], 1)
    log.commit()
    return log


def read(file: SummaryFile, log: MemoryEventLog) -> None:
    read_on(file, log, 1000)
    while file.waiting:
        file.work_out(100, always)


def types(file: SummaryFile, user: str = "alice") -> set[str]:
    return {name for found in file.days(user, DAY - 5, DAY + 9).values() for name in found}


@pytest.fixture
def file(tmp_path: Path) -> SummaryFile:
    found = SummaryFile.open(tmp_path / "summaries.db")
    read(found, log_of())
    assert types(found) == {"heart_rate", "resting_heart_rate"}
    return found


def test_what_is_withdrawn_is_gone_before_any_day_is_worked_out(file: SummaryFile) -> None:
    changes = file.changed_since(0, 1000)

    def since(_user: str, type_name: str) -> int | None:
        return None if type_name == "heart_rate" else 0

    file.agree("alice", "all but one", since)
    assert types(file) == {"resting_heart_rate"}
    assert types(file, "bob") == {"heart_rate", "resting_heart_rate"}
    newer = file.changed_since(changes[-1][0], 1000)
    assert [user for _, user, _ in newer] == ["alice"] * 3, "whoever ships days learns of each"
    assert len({change for change, _, _ in newer}) == 3, "also page by page"
    file.agree("alice", "", lambda _user, _type: None)
    assert types(file) == set()
    assert file.newest_day("alice") is None


def test_a_later_beginning_takes_back_what_was_made_of_more(file: SummaryFile) -> None:
    file.agree("alice", "since later", lambda _user, _type: 2)
    assert types(file) == set(), "all came in before"
    while file.waiting:
        file.work_out(100, lambda _user, _type: 2)
    assert types(file) == set()


def test_a_new_word_that_covers_the_same_leaves_the_days(file: SummaryFile) -> None:
    file.agree("alice", "another text", always)
    assert types(file) == {"heart_rate", "resting_heart_rate"}


def test_many_withdrawals_and_other_logs_do_not_make_numbers_grow_too_large(file: SummaryFile) -> None:
    log = log_of()
    for turn in range(70):
        file.agree("alice", str(turn), lambda _user, _type: None)
        file.agree("alice", "", always)
        file.begin_anew(f"epoch {turn}")
        read(file, log)
    assert types(file) == {"heart_rate", "resting_heart_rate"}
    assert file.changed_since(0, 10_000)[-1][0] < 100_000


def test_what_is_purged_is_in_no_day(file: SummaryFile) -> None:
    assert file.purge("heart_rate", (DAY + 1) * DAY_US) == 2
    while file.waiting:
        file.work_out(100, always)
    days = file.days("alice", DAY, DAY + 2)
    assert [sorted(days[day]) for day in sorted(days)] == [
        ["resting_heart_rate"], ["heart_rate", "resting_heart_rate"], ["heart_rate", "resting_heart_rate"],
    ]  # fmt: skip


CHILD = """
import os, sys
from pathlib import Path
from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.summaries.file import SummaryFile
steps, place = int(sys.argv[2]), Path(sys.argv[1])
with open_reader(place) as reader, SummaryFile.open(place / "summaries.db") as file:
    if file.epoch != reader.epoch:
        file.begin_anew(reader.epoch)
    for step in range(steps):
        if step % 2 == 0 and file.seq < reader.head():
            found = reader.stretch(file.seq, 7, look=70)
            older = reader.superseded_by(found.rows[0].seq, found.rows[-1].seq)
            file.take(found.through, found.rows, older)
        else:
            file.work_out(2, lambda _user, _type: 0)
    os.kill(os.getpid(), 9)
"""


def test_killed_wherever_it_was_it_comes_to_the_same_days(tmp_path: Path) -> None:
    with SqliteEventLog.open(tmp_path / "events.db") as log:
        for version in range(3):
            log.stage(
                [item(f"e{n}", event_type="heart_rate", version=version, start_us=NOW_US + n * DAY_US // 4 + version)
                 for n in range(version, 20)],
                [], version + 1,
            )  # fmt: skip
            log.commit()
    for steps in (1, 2, 3, 5, 8, 4, 1):
        done = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path), str(steps)], check=False, env=os.environ)
        assert done.returncode == -signal.SIGKILL

    def result(name: str) -> dict[int, dict[str, object]]:
        from healthsync_mqtt.storage.opening import open_reader

        with open_reader(tmp_path) as reader, SummaryFile.open(tmp_path / name) as found:
            if found.epoch != reader.epoch:
                found.begin_anew(reader.epoch)
            while found.seq < reader.head():
                rows = reader.stretch(found.seq, 1000, look=10_000).rows
                found.take(rows[-1].seq, rows, reader.superseded_by(rows[0].seq, rows[-1].seq))
            while found.waiting:
                found.work_out(100, always)
            return {
                day: {n: f.figures for n, f in types.items()}
                for day, types in found.days("alice", DAY - 9, DAY + 9).items()
            }

    assert result("summaries.db") == result("undisturbed.db") != {}


def test_who_is_forgotten_is_not_named_again_by_what_is_cleared(tmp_path: Path) -> None:
    with SummaryFile.open(tmp_path / "summaries.db") as file:
        file.show({"alice": b""})
        assert file.people() == frozenset()
    assert b"alice" not in (tmp_path / "summaries.db").read_bytes()
