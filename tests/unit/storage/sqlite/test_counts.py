"""Counts, and pages by device, version, time and backwards, are what the log in memory says, whatever is indexed."""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from healthsync_mqtt.model.choice import Contents, ValueRange
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.storage.port import Item
from healthsync_mqtt.storage.sqlite.index import Tuning
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.unit.storage.sqlite.test_shelves import instructions

DAY_US = 86_400_000_000
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
SMALL = Tuning(
    rows_per_block=4, runs_per_level=2, rows_per_step=2, moves_per_step=4, first_filter_log2=6, rows_per_sketching=3,
    rows_per_sketch=2, rows_sketched_together=9, rows_at_once=3,
)  # fmt: skip


values = st.one_of(
    st.fixed_dictionaries({"bpm": st.integers(58, 63)}),
    st.fixed_dictionaries({"kg": st.sampled_from([70, 70.01, 5e-324, 1e300, -1, True])}),
    st.just({"samples": [[0, 61], [1, 62.5], [2]]}),
    st.just("none"),
)
sources = st.fixed_dictionaries(
    {}, optional={"app": st.sampled_from(["a", "b"]), "provider": st.sampled_from(["googlefit", "oura"])}
)

contents = st.builds(
    Contents,
    app=st.sampled_from([None, None, "a", "c"]),
    provider=st.sampled_from([None, None, "google_fit", "fitbit", "polar"]),
    value=st.sampled_from([None, "bpm:60..60", "kg:70.005..", "kg:..0", "..59", "62.4..62.6", "kg:70..70"]).map(
        lambda text: text and ValueRange.of(text)
    ),
)


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
    said = {"value": draw(values), "source": draw(sources)}
    body = made.event.body if made.event.op else json.dumps(said, separators=(",", ":")).encode()
    return Item(Origin(user, device, provider, "t"), made.event._replace(body=body))


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

#: What happens to a log: a commit, one that is rolled back, a purge, an erasure of some rows or of a user, another
#: start, and a release that counts nothing.
deeds = st.one_of(
    st.lists(rows(), min_size=1, max_size=6),
    st.lists(rows(), min_size=1, max_size=6),
    st.lists(rows(), min_size=1, max_size=6),
    st.sampled_from(["rolled back", "purged", "erased", "forgotten", "opened", "of before"]),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(rows(), max_size=6), max_size=6), wishes, st.integers(0, 30), st.data())
def test_what_is_counted_and_chosen_is_what_memory_says(
    commits: list[list[Item]], wish: dict[str, Any], purged: int, data: st.DataObject
) -> None:
    memory = MemoryEventLog()
    with TemporaryDirectory(dir=IN_MEMORY) as folder:
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
                "contents": data.draw(st.one_of(st.none(), contents)),
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


@settings(deadline=None, max_examples=int(os.environ.get("HEALTHSYNC_HISTORIES", "40")))
@given(st.lists(deeds, min_size=4, max_size=24), st.lists(wishes, min_size=1, max_size=4), st.data())
def test_whatever_happens_to_rows_counts_are_what_memory_says(
    happening: list[list[Item] | str], asked: list[dict[str, Any]], data: st.DataObject
) -> None:
    memory, leaving = MemoryEventLog(), False
    with TemporaryDirectory(dir=IN_MEMORY) as folder:
        path = Path(folder) / "events.db"
        log = SqliteEventLog.open(path, tuning=SMALL)
        try:
            for number, deed in enumerate(happening, 1):
                if isinstance(deed, list):
                    # Of somebody whose rows are going nothing is taken.
                    taken = [each for each in deed if not leaving or each.origin.user != "alice"]
                    for each in (memory, log):
                        each.stage(taken, [], number)
                        each.commit()
                elif deed == "rolled back":
                    log.stage([item("never", "alice")], [], number)
                    log.rollback()
                elif deed == "purged":
                    gone = memory.reader().purgeable("weight", DAY_US, 0, data.draw(st.integers(0, 30)), memory.head())
                    for each in (memory, log):
                        each.purge("weight", DAY_US, gone)
                        each.commit()
                elif deed in {"erased", "forgotten"}:
                    leaving = deed == "erased"
                    theirs = memory.reader().rows_of("alice", 0, 1000 if deed == "forgotten" else 3)
                    for each in (memory, log):
                        each.erase("alice", theirs)
                        if deed == "forgotten":
                            each.forget_user("alice", [], each.head())
                        each.commit()
                else:
                    if deed == "of before":
                        as_before(log)
                    log.close()
                    log = SqliteEventLog.open(path, tuning=SMALL)
            known = memory.reader()
            with SqliteLogReader.open(path) as reader:
                for wish in asked:
                    for days in (True, False):
                        assert reader.counts(**wish, days=days) == known.counts(**wish, days=days)
                    wish["version"] = data.draw(st.sampled_from([None, 0, 1]))
                    wish["contents"] = data.draw(st.one_of(st.none(), contents))
                    for newest in (True, False):
                        after, limit = data.draw(st.integers(0, 40)), data.draw(st.integers(1, 60))
                        found = reader.read(after, limit, **wish, newest=newest)
                        assert found == known.read(after, limit, **wish, newest=newest)
                (least,) = log._connection.execute("SELECT min(events) FROM shelf_count").fetchone()
                assert not least or least > 0, "each shelf counts its own rows"
        finally:
            log.close()


def as_before(log: SqliteEventLog) -> None:
    """As a release has left it that did not count."""
    query = log._connection.execute
    for statement in (
        "INSERT OR IGNORE INTO shelf_user (shelf, user, type) SELECT DISTINCT shelf, user, type FROM shelf_count",
        "DROP TABLE shelf_count",
        "DROP TABLE block_version",
        "DROP TABLE block_sketch",
        "DROP TABLE block_sketched",
        "DROP TABLE block_unsketched",
        "DELETE FROM meta WHERE name = 'uncounted'",
        "PRAGMA user_version = 10",
    ):
        query(statement).fetchall()


def test_who_gets_the_number_of_somebody_erased_has_none_of_their_types(tmp_path: Path) -> None:
    """A log of before has a user's types on shelves; they stayed there, under a number that is given out again."""
    path = tmp_path / "events.db"
    with SqliteEventLog.open(path, tuning=SMALL) as log:
        log.stage([item("a", "alice"), item("w", "alice", event_type="weight")], [], NOW_US)
        log.stage([item(f"e{n}", "bob", event_type="weight") for n in range(4)], [], NOW_US)
        for _ in range(3):
            log.commit()
            log.set_cursor("some", 1)
        as_before(log)
    with SqliteEventLog.open(path, tuning=SMALL) as log, SqliteLogReader.open(path) as reader:
        assert reader.types("bob") == ["weight"]
        log.erase("bob", reader.rows_of("bob", 0, 9))
        log.forget_user("bob", ["bob-watch"], log.head())
        log.commit()
        log.stage([item("c", "carol")], [], NOW_US)
        log.commit()
        assert reader.types("carol") == ["heart_rate"]


def test_a_purged_row_that_is_taken_over_is_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with SqliteEventLog.open(path, tuning=SMALL) as log, SqliteLogReader.open(path) as reader:
        for number in range(6):
            made = item(f"e{number}", "alice", start_us=number)
            log.stage([made, made._replace(event=made.event._replace(id=f"p{number}", body=b""))] * 2, [], NOW_US)
            log.commit()
        ((_, events),) = reader.counts(days=False).items()
        assert events == 6


def test_counts_are_kept_and_not_worked_out_from_rows(tmp_path: Path) -> None:
    """With 20 million events it took 14 s; and a day that is asked for in part costs its own shelves."""
    costs = []
    for blocks in (20, 200):
        path = tmp_path / f"{blocks}.db"
        with SqliteEventLog.open(path, tuning=SMALL) as log:
            for number in range(blocks * 2):  # a commit for the run, one for the block
                at = number * DAY_US // 100
                log.stage([item(f"e{number}-{n}", "alice", start_us=at) for n in range(4)], [], NOW_US)
                log.commit()
        costs.append([instructions(path, ask) for ask in (everything, since_noon)])
    assert all(more - few < 900 for few, more in zip(*costs, strict=True)), costs


def everything(reader: SqliteLogReader) -> object:
    return reader.counts(days=False)


def since_noon(reader: SqliteLogReader) -> object:
    return reader.counts(user="alice", since_us=DAY_US // 10, until_us=DAY_US // 10 * 2)
