"""Any sequence of operations on the log leaves what a dictionary would hold."""

import random
import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.storage.port import Item
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.log_items import NOW_US, item, rejected
from tests.unit.storage.conftest import SMALL

ITEMS = st.lists(
    st.builds(
        item,
        st.sampled_from([f"e{n}" for n in range(12)]),
        st.sampled_from(["alice", "bob", "carol"]),
        version=st.integers(0, 3),
        op=st.integers(0, 1),
    ),
    max_size=12,
)

Latest = dict[tuple[str, str], tuple[int, bytes]]


def without_place(record: Record) -> Record:
    """What does not tell when it came."""
    return record._replace(seq=0, position=0)


def rank(one: Item) -> int:
    return one.event.version * 2 + one.event.op


@given(items=ITEMS, order=st.randoms(use_true_random=False), commit_after=st.sets(st.integers(0, 30)))
@settings(max_examples=60, deadline=None)
def test_any_order_with_any_repeats_ends_in_the_same_state(
    items: list[Item], order: random.Random, commit_after: set[int]
) -> None:
    memory = MemoryEventLog()
    memory.stage(items, [], NOW_US)
    memory.commit()
    again = items + order.sample(items, len(items) // 2)
    order.shuffle(again)
    with tempfile.TemporaryDirectory() as directory, SqliteEventLog.open(f"{directory}/events.db", tuning=SMALL) as log:
        for n, one in enumerate(again):
            log.stage([one], [], NOW_US)
            if n in commit_after:
                log.commit()
        log.commit()
        with SqliteLogReader.open(f"{directory}/events.db") as reader:
            ended = {without_place(record) for record in reader.read(0, 999)}
    assert ended == {without_place(record) for record in memory.reader().read(0, 999)}


class LogMachine(RuleBasedStateMachine):
    """``committed`` and ``staged`` hold rank and body of the latest row of each (user, id)."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.log = self.open()
        self.reader = SqliteLogReader.open(self.directory / "events.db")
        self.committed: Latest = {}
        self.staged: Latest = {}
        self.rows = self.staged_rows = 0

    def open(self) -> SqliteEventLog:
        return SqliteEventLog.open(self.directory / "events.db", tuning=SMALL)

    @rule(items=ITEMS, bad=st.booleans())
    def stage(self, items: list[Item], bad: bool) -> None:
        expected = []
        for one in items:
            name = (one.origin.user, one.event.id)
            stored = name not in self.staged or rank(one) > self.staged[name][0]
            if stored:
                self.staged[name] = (rank(one), one.event.body)
                self.staged_rows += 1
            expected.append(self.staged_rows if stored else 0)
        assert self.log.stage(items, [rejected()] if bad else [], NOW_US) == expected

    @rule()
    def commit(self) -> None:
        assert self.log.commit() == self.staged_rows
        self.committed, self.rows = dict(self.staged), self.staged_rows

    @rule()
    def rollback(self) -> None:
        self.log.rollback()
        self.staged, self.staged_rows = dict(self.committed), self.rows

    @rule()
    def restart(self) -> None:
        self.log.close()
        self.log = self.open()
        self.staged, self.staged_rows = dict(self.committed), self.rows

    @rule()
    def crash(self) -> None:
        """Go on with the files as a killed process leaves them."""
        left = Path(tempfile.mkdtemp())
        for name in ("events.db", "events.db-wal"):
            shutil.copy(self.directory / name, left / name)
        self.teardown()
        self.directory = left
        self.log = self.open()
        self.reader = SqliteLogReader.open(self.directory / "events.db")
        self.staged, self.staged_rows = dict(self.committed), self.rows

    @invariant()
    def readers_see_what_is_committed(self) -> None:
        found = {
            (record.user, record.id): (record.version * 2 + record.op, record.body)
            for record in self.reader.read(0, 999)
        }
        assert found == self.committed
        assert self.reader.head() == self.log.head() == self.rows
        by_user = [record for user in ("alice", "bob", "carol") for record in self.reader.read(0, 999, user=user)]
        assert len(by_user) == len(self.committed)
        for user, event_id in self.committed:
            latest = self.reader.find(user, event_id)
            assert latest is not None
            assert latest.version * 2 + latest.op == self.committed[user, event_id][0]

    def teardown(self) -> None:
        self.reader.close()
        self.log.close()
        shutil.rmtree(self.directory)


LogMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestLogMachine = LogMachine.TestCase
