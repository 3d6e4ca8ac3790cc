"""G5 in full: which row is the latest depends on ranks alone; of equal ranks the first that arrived stays."""

import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.storage.port import EventLog, Item, LogReader
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.unit.storage.conftest import SMALL


@st.composite
def variants(draw: st.DrawFn) -> Item:
    """An event of one id; its content may differ where its rank does not."""
    one = item("a", version=draw(st.integers(0, 2)), op=draw(st.integers(0, 1)))
    body = b'{"value":{"bpm":%d}}' % draw(st.integers(60, 62)) if not one.event.op else b"{}"
    return one._replace(event=one.event._replace(body=body))


def rank(one: Item) -> int:
    return one.event.version * 2 + one.event.op


def write(log: EventLog, reader: LogReader, arrivals: list[Item], commit_after: set[int]) -> None:
    best: Item | None = None
    for n, one in enumerate(arrivals):
        [seq] = log.stage([one], [], NOW_US)
        newer = best is None or rank(one) > rank(best)
        assert bool(seq) == newer, "an equal or a lower rank is a duplicate, whatever it holds"
        best = one if newer else best
        if n in commit_after:
            log.commit()
    log.commit()
    assert best is not None
    [latest] = reader.read(0, 9)
    assert (latest.version, latest.op, latest.body) == (best.event.version, best.event.op, best.event.body)
    highest = max(map(rank, arrivals))
    assert latest.body == next(one.event.body for one in arrivals if rank(one) == highest)


@given(st.lists(variants(), min_size=1, max_size=8).flatmap(st.permutations), st.sets(st.integers(0, 8)))
@settings(max_examples=40, deadline=None)
def test_of_equal_ranks_the_first_that_arrived_stays(arrivals: list[Item], commit_after: set[int]) -> None:
    memory = MemoryEventLog()
    write(memory, memory.reader(), arrivals, commit_after)
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/events.db"
        with SqliteEventLog.open(path, tuning=SMALL) as log, SqliteLogReader.open(path) as reader:
            write(log, reader, arrivals, commit_after)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_where_equal_ranks_are_equal_every_order_ends_the_same(data: st.DataObject) -> None:
    ranks = data.draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1)), min_size=1, max_size=8))
    items = [item("a", version=version, op=op) for version, op in ranks]
    ended = set()
    for arrivals in (items, data.draw(st.permutations(items)), data.draw(st.permutations(items))):
        memory = MemoryEventLog()
        memory.stage(arrivals, [], NOW_US)
        memory.commit()
        [latest] = memory.reader().read(0, 9)
        ended.add(latest._replace(seq=0, position=0))
    assert len(ended) == 1
