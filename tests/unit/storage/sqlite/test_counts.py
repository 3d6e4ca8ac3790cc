"""Counts, and pages by device, version, time and backwards, are what the log in memory says, whatever is indexed."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.storage.port import Item
from healthsync_mqtt.storage.sqlite.index import Tuning
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.log_items import item

DAY_US = 86_400_000_000
SMALL = Tuning(rows_per_block=4, runs_per_level=2, rows_per_step=2, moves_per_step=4, first_filter_log2=6)


@st.composite
def rows(draw: st.DrawFn) -> Item:
    user = draw(st.sampled_from(["alice", "bob"]))
    made = item(
        f"e{draw(st.integers(0, 12))}",
        user,
        version=draw(st.integers(0, 2)),
        op=draw(st.sampled_from([0, 0, 0, 1])),
        event_type=draw(st.sampled_from(["heart_rate", "weight"])),
        start_us=draw(st.integers(-2, 3)) * DAY_US // 2 + draw(st.integers(-1, 1)),
    )
    device = draw(st.sampled_from(["watch", "phone", None]))
    provider = None if device else "fitbit"
    return made._replace(origin=Origin(user, device, provider, "t"))


wishes = st.fixed_dictionaries(
    {},
    optional={
        "user": st.sampled_from(["alice", "bob", "nobody"]),
        "type": st.sampled_from(["heart_rate", "weight", "steps"]),
        "device": st.sampled_from(["watch", "phone", "other"]),
        "since_us": st.integers(-2, 3).map(lambda half: half * DAY_US // 2),
        "until_us": st.integers(-2, 3).map(lambda half: half * DAY_US // 2),
    },
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(rows(), max_size=6), max_size=6), wishes, st.integers(0, 30), st.data())
def test_what_is_counted_and_chosen_is_what_memory_says(
    commits: list[list[Item]], wish: dict[str, Any], purged: int, data: st.DataObject
) -> None:
    memory = MemoryEventLog()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "events.db"
        with SqliteEventLog.open(path, tuning=SMALL) as log, SqliteLogReader.open(path) as reader:
            for number, items in enumerate(commits, 1):
                for each in (memory, log):
                    each.stage(items, [], number)
                    each.commit()
            gone = memory.reader().purgeable("weight", DAY_US, 0, purged, memory.head())
            for each in (memory, log):
                each.purge("weight", DAY_US, gone)
                each.commit()
            known = memory.reader()
            assert reader.counts(**wish) == known.counts(**wish)
            more: dict[str, Any] = {
                "version": data.draw(st.sampled_from([None, 0, 1])),
                "history": data.draw(st.booleans()),
            }
            limit = data.draw(st.integers(1, 5))
            assert reader.read(0, limit, **wish, **more) == known.read(0, limit, **wish, **more)
            forwards = known.read(0, 1000, **wish, **more)
            before: int | None = None
            backwards: list[Record] = []
            while page := reader.read(0, limit, newest=True, before=before, **wish, **more):
                backwards[:0] = page
                before = page[0].seq
            assert backwards == forwards
