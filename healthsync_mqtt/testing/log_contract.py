# long: one promise after another, as in the port
"""The contract of EventLog and LogReader as tests that any implementation can run.

A test module of an implementation inherits the suite and gives it an empty store::

    class TestMyLog(EventLogContract):
        @pytest.fixture
        def store(self, tmp_path):
            with my_writer(tmp_path) as log, my_reader(tmp_path) as reader:
                yield Store(log, reader)
"""

from collections import Counter
from hashlib import sha256
from itertools import permutations, product
from random import Random
from typing import Any, NamedTuple

from msgspec.json import encode

from healthsync_mqtt.model.choice import Contents, ValueRange
from healthsync_mqtt.model.event import LATEST, Op, omitted
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.port import NOBODY, CountKey, EventLog, FormatMemory, Item, LogReader, Quarantined
from healthsync_mqtt.testing.log_items import NOW_US, item, rejected


class Store(NamedTuple):
    """An empty log, its writer, and a reader that sees what the writer commits."""

    log: EventLog
    reader: LogReader


DAY_US = 86_400_000_000


def some_event(random: Random) -> Item:
    """An event of one of few ids, around the border of a day; sometimes a deletion."""
    return item(
        f"e{random.randrange(30)}",
        random.choice(("alice", "bob")),
        version=random.randrange(3),
        op=random.choice((0, 0, 0, 1)),
        event_type=random.choice(("heart_rate", "weight")),
        start_us=(NOW_US // DAY_US + random.randrange(3)) * DAY_US + random.choice((-1, 0, DAY_US // 2)),
    )


def some_deed(store: Store, random: Random, number: int) -> None:
    """Something that changes a log, and what it counts."""
    log = store.log
    deed = random.choice(("commit", "commit", "commit", "commit", "purge", "erase", "roll back", "forget"))
    log.stage([some_event(random) for _ in range(random.randrange(1, 6))], [], NOW_US)
    if deed == "roll back":
        log.rollback()
    elif deed == "purge":
        gone = store.reader.purgeable("weight", NOW_US + DAY_US, 0, random.randrange(log.head() + 1), log.head())
        log.purge("weight", NOW_US + DAY_US, gone)
    elif deed in {"erase", "forget"} and number % 3 == 0:
        log.commit()
        log.erase("bob", store.reader.rows_of("bob", 0, 999 if deed == "forget" else 2))
        if deed == "forget":
            log.forget_user("bob", [], log.head())
    log.commit()


def purge_old(store: Store, before_us: int, user: str | None = None, *, spare_due_us: int | None = None) -> None:
    """Take out of the quarantine what was last refused before a time."""
    numbers = store.reader.rejected_old(0, 999, before_us, user=user, spare_due_us=spare_due_us)
    store.log.purge_rejected(numbers, before_us, spare_due_us=spare_due_us)
    store.log.commit()


def counted_as_read(reader: LogReader) -> None:
    """Counts are those of the rows that are read, for whole days, parts of days and all time."""
    midnight = (NOW_US // DAY_US + 1) * DAY_US
    times = (None, midnight, midnight - DAY_US // 2, midnight + 1)
    for user, kind, since, until in product((None, "alice", "bob"), (None, "weight"), times, times):
        wanted: dict[str, Any] = {"user": user, "type": kind, "since_us": since, "until_us": until}
        rows = [row for row in reader.read(0, 9999, **wanted) if not row.op]
        for days in (True, False):
            assert reader.counts(**wanted, days=days) == Counter(
                CountKey(row.user, row.type, row.device, row.provider, row.start_us // DAY_US if days else 0)
                for row in rows
            ), wanted


def ids(records: list[Record]) -> list[str]:
    """The ids of some rows."""
    return [record.id for record in records]


class EventLogContract:
    """Inherit it; ``store`` is a fixture of the heir."""

    def test_stored_events_come_back_as_they_were(self, store: Store) -> None:
        staged = item("a")
        assert store.log.stage([staged], [], NOW_US + 5) == [1]
        assert store.log.commit() == 1
        record = store.reader.get(1)
        assert record is not None
        assert (record.user, record.device, record.provider) == staged.origin[:3]
        assert (record.id, record.type, record.start_us, record.end_us) == staged.event[:4]
        assert (record.version, record.op, record.body) == staged.event[4:7]
        assert (record.seq, record.received_us) == (1, NOW_US + 5)

    def test_an_adapter_has_a_provider_and_no_device(self, store: Store) -> None:
        staged = item("a")
        origin = staged.origin._replace(device=None, provider="fitbit")
        store.log.stage([staged._replace(origin=origin)], [], NOW_US)
        store.log.commit()
        record = store.reader.find("alice", "a")
        assert record is not None
        assert (record.device, record.provider) == (None, "fitbit")

    def test_what_is_counted_is_what_there_is(self, store: Store) -> None:
        fetched = item("c", event_type="weight")
        fetched = fetched._replace(origin=fetched.origin._replace(device=None, provider="fitbit"))
        staged = [item("a"), item("b", start_us=NOW_US + 86_400_000_000), fetched, item("a", "bob"), item("gone")]
        store.log.stage([*staged, item("a", version=1), item("gone", version=1, op=1)], [], NOW_US)
        assert store.reader.counts() == {}
        store.log.commit()
        day = NOW_US // 86_400_000_000
        alice, bob = ("alice", "heart_rate", "alice-watch", None), ("bob", "heart_rate", "bob-watch", None)
        expected = {(*alice, day): 1, (*alice, day + 1): 1, ("alice", "weight", None, "fitbit", day): 1, (*bob, day): 1}
        assert store.reader.counts() == expected
        assert store.reader.counts(user="bob") == {(*bob, day): 1}
        assert store.reader.counts(type="weight", device="alice-watch") == {}
        assert store.reader.counts(device="alice-watch", since_us=NOW_US + 1) == {(*alice, day + 1): 1}
        assert store.reader.counts(until_us=NOW_US) == {}
        assert store.reader.counts(user="nobody") == {}
        assert store.reader.counts(user="alice", type="heart_rate", days=False) == {(*alice, 0): 2}

    def test_counts_are_what_is_read_whatever_happens_to_rows(self, store: Store) -> None:
        random = Random(14)  # noqa: S311  # the same deeds each time
        for number in range(60):
            some_deed(store, random, number)
            if number % 10 == 9:
                counted_as_read(store.reader)

    def test_rows_are_chosen_by_device_version_and_time_and_read_backwards(self, store: Store) -> None:
        store.log.stage([item(f"e{n}", ("alice", "bob")[n % 2], version=n // 4, start_us=n) for n in range(8)], [], 1)
        store.log.commit()
        read = store.reader.read
        assert ids(read(0, 9, device="bob-watch", until_us=6)) == ["e1", "e3", "e5"]
        assert ids(read(0, 9, version=1, user="alice")) == ["e4", "e6"]
        assert ids(read(0, 2, newest=True, before=7)) == ["e4", "e5"]
        assert ids(read(0, 2, newest=True, before=7, user="alice")) == ["e2", "e4"]
        assert read(0, 2, newest=True, before=1) == []

    def test_rows_are_chosen_by_what_they_say_inside(self, store: Store) -> None:
        apps = ("run", "ride", None)
        for number in range(120):
            made = item(f"e{number}", ("alice", "bob")[number % 2], start_us=number)
            source = {"app": apps[number % 3], "provider": "googlefit" if number == 50 else None}
            said = {"value": {"bpm": 60 + number % 7}, "source": {key: word for key, word in source.items() if word}}
            store.log.stage([made._replace(event=made.event._replace(body=encode(said)))], [], NOW_US)
        store.log.commit()
        read = store.reader.read
        assert ids(read(0, 2, contents=Contents(app="run"))) == ["e0", "e3"]
        assert ids(read(0, 2, contents=Contents(app="run"), user="bob")) == ["e3", "e9"]
        assert ids(read(0, 2, contents=Contents(app="run"), newest=True, user="bob")) == ["e111", "e117"]
        assert ids(read(0, 2, contents=Contents(app="run"), newest=True, before=118)) == ["e111", "e114"]
        assert ids(read(100, 2, contents=Contents(app="ride"))) == ["e100", "e103"]
        assert ids(read(0, 9, contents=Contents(provider="google_fit"))) == ["e50"]
        value = ValueRange.of("bpm:66..")
        assert len(read(0, 999, contents=Contents(value=value))) == 17
        assert ids(read(0, 9, contents=Contents(value=value, app="ride"), until_us=80)) == ["e13", "e34", "e55", "e76"]
        for contents in (Contents(app="none"), Contents(provider="oura"), Contents(value=ValueRange.of("..59"))):
            assert read(0, 9, contents=contents) == read(0, 9, contents=contents, user="alice", newest=True) == []
        fetched = item("c", "bob")
        store.log.stage([fetched._replace(origin=fetched.origin._replace(device=None, provider="oura"))], [], NOW_US)
        store.log.commit()
        assert ids(read(0, 9, contents=Contents(provider="oura"))) == ["c"]

    def test_nothing_is_visible_before_the_commit(self, store: Store) -> None:
        store.log.stage([item("a")], [rejected()], NOW_US)
        assert (store.reader.head(), store.reader.read(0, 9), store.reader.rejected()) == (0, [], [])
        assert store.log.head() == 0
        store.log.commit()
        assert (store.reader.head(), ids(store.reader.read(0, 9)), len(store.reader.rejected())) == (1, ["a"], 1)

    def test_several_stages_are_one_commit(self, store: Store) -> None:
        assert store.log.stage([item("a")], [], NOW_US) == [1]
        assert store.log.stage([item("b"), item("a")], [], NOW_US) == [2, 0]
        assert store.log.commit() == 2
        assert ids(store.reader.read(0, 9)) == ["a", "b"]

    def test_a_stage_knows_what_those_before_it_in_its_commit_have_stored(self, store: Store) -> None:
        log, reader = store
        log.stage([item("old")], [], NOW_US)
        log.commit()
        assert log.stage([item("old", version=1), item("a")], [], NOW_US) == [2, 3]
        more = [item("a", version=2), item("old", version=1), item("b", "zoe"), item("old", version=3)]
        assert log.stage(more, [], NOW_US) == [4, 0, 5, 6]
        assert log.stage([item("old", version=2), item("c", event_type="steps")], [], NOW_US) == [0, 7]
        assert log.commit() == 7
        found = [reader.find(*each) for each in (("alice", "old"), ("alice", "a"), ("zoe", "b"), ("alice", "c"))]
        assert [each and (each.seq, each.position) for each in found] == [(6, 5), (4, 4), (5, 1), (7, 6)]
        assert (log.position("alice"), log.position("zoe")) == (6, 1)
        assert reader.types("alice") == ["heart_rate", "steps"]
        assert [row.seq for row in reader.superseded_by(6, 6)[6]] == [1, 2]
        assert [row.seq for row in reader.superseded_by(4, 4)[4]] == [3]
        again = [item("old", version=3), item("b", "zoe"), item("c", event_type="steps")]
        assert log.stage(again, [], NOW_US) == [0, 0, 0]

    def test_sealing_what_is_there_changes_nothing_that_is_read(self, store: Store) -> None:
        log, reader = store
        for number in range(6):
            log.stage([item(f"e{number}", "alice" if number % 2 else "bob")], [rejected(raw=b"%d" % number)], NOW_US)
        log.stage([item("e1", version=1), item("e3", version=1, op=Op.DELETE)], [], NOW_US)
        log.remember(FormatMemory("alice", "watch", "fhir", b"state", [("name", "id")]))
        log.commit()
        log.purge("heart_rate", NOW_US + 1, [5])
        log.commit()

        def seen() -> tuple[Any, ...]:
            rows = [reader.get(seq) for seq in range(1, log.head() + 1)]
            return rows, reader.rejected(), reader.format_memories(), reader.find("alice", "e5"), reader.read(0, 3)

        before, left = seen(), [log.seal_older(2)]
        while left[-1]:
            log.commit()
            assert seen() == before
            left.append(log.seal_older(2))
        log.commit()
        assert seen() == before
        assert left[-1] == log.seal_older(2) == 0
        assert log.stage([item("e0", "bob"), item("new")], [], NOW_US) == [0, 9]
        log.commit()
        assert store.reader.read(8, 9)[0].id == "new"

    def test_rollback_forgets_rows_identities_and_names(self, store: Store) -> None:
        store.log.stage([item("a", "zoe"), item("b")], [rejected()], NOW_US)
        store.log.rollback()
        assert store.log.commit() == 0
        assert store.reader.totals() == {"events": 0, "superseded": 0, "rejected": 0, "users": 0}
        assert store.log.stage([item("b"), item("a", "zoe")], [], NOW_US) == [1, 2]
        store.log.commit()
        assert [record.user for record in store.reader.read(0, 9)] == ["alice", "zoe"]

    def test_looking_after_the_lock_changes_nothing(self, store: Store) -> None:
        store.log.keep_lock()
        store.log.stage([item("a")], [], NOW_US)
        store.log.keep_lock()
        assert store.reader.head() == 0
        assert store.log.commit() == 1
        store.log.keep_lock()
        assert ids(store.reader.read(0, 9)) == ["a"]

    def test_a_commit_of_nothing_returns_the_head(self, store: Store) -> None:
        assert store.log.commit() == 0
        assert store.log.stage([], [], NOW_US) == []
        assert store.log.commit() == 0
        store.log.stage([item("a"), item("b")], [], NOW_US)
        assert [store.log.commit() for _ in "123"] == [2, 2, 2]

    def test_what_is_read_inside_a_snapshot_is_of_one_moment(self, store: Store) -> None:
        """Rows, head, cursors and refusals; one inside another is of the outer one's. After it the log is as it is."""

        def seen() -> tuple[Any, ...]:
            reader = store.reader
            return reader.head(), ids(reader.read(0, 9)), reader.find("alice", "b"), reader.cursors(), reader.totals()

        store.log.stage([item("a")], [], NOW_US)
        store.log.set_cursor("x", 1)
        store.log.commit()
        with store.reader.snapshot():
            before = seen()
            store.log.stage([item("b"), item("a", version=1)], [rejected()], NOW_US)
            store.log.set_cursor("x", 2)
            store.log.commit()
            assert seen() == before
            with store.reader.snapshot():
                assert seen() == before
            assert seen() == before
        assert seen()[:2] == (3, ["b", "a"])
        assert store.reader.cursors() == {"x": 2}

    def test_the_positions_of_a_user_count_up_whoever_else_writes(self, store: Store) -> None:
        store.log.stage([item("a"), item("a", "bob"), item("b"), item("a"), item("a", version=1)], [], NOW_US)
        assert [store.log.position(user) for user in ("alice", "bob", "carol")] == [0, 0, 0], "nothing is committed"
        store.log.commit()
        assert [store.log.position(user) for user in ("alice", "bob", "carol")] == [3, 1, 0]
        store.log.stage([item("c"), item("a", "carol")], [], NOW_US)
        store.log.rollback()
        store.log.stage([item("d"), item("a", "dave")], [rejected("erin")], NOW_US)
        store.log.commit()
        assert [store.log.position(user) for user in ("alice", "dave", "carol", "erin")] == [4, 1, 0, 0]
        rows = store.reader.read(0, 99, history=True)
        assert [(row.seq, row.user, row.position) for row in rows] == [
            (1, "alice", 1),
            (2, "bob", 1),
            (3, "alice", 2),
            (4, "alice", 3),
            (5, "alice", 4),
            (6, "dave", 1),
        ]
        store.log.purge("heart_rate", NOW_US + 1, [3])
        store.log.commit()
        purged = store.reader.get(3)
        assert purged is not None
        assert purged.position == 2

    def test_the_next_row_is_the_users_own_and_may_be_purged(self, store: Store) -> None:
        store.log.stage([item(f"e{number}", ("alice", "bob", "bob")[number % 3]) for number in range(20)], [], NOW_US)
        store.log.commit()
        store.log.purge("heart_rate", NOW_US + 1, [4, 5, 6, 7])
        store.log.commit()

        def found(after: int, through: int, user: str | None = None) -> int | None:
            row = store.reader.next_row(after, through, user=user)
            assert row is None or row == store.reader.get(row.seq)
            return row and row.seq

        owners = [store.reader.get(seq + 1).user for seq in range(20)]  # type: ignore[union-attr]
        for user in (None, "alice", "bob", "carol"):
            mine = [seq for seq, owner in enumerate(owners, 1) if user in {None, owner}]
            for after in range(21):
                for through in (after, after + 1, after + 3, 20):
                    first = next((seq for seq in mine if after < seq <= min(through, 20)), None)
                    assert found(after, min(through, 20), user) == first, (user, after, through)

    def test_types_are_those_of_the_user_whatever_became_of_the_rows(self, store: Store) -> None:
        kinds = ("heart_rate", "weight", "steps")
        store.log.stage(
            [item(f"e{number}", ("alice", "bob")[number % 2], event_type=kinds[number % 3]) for number in range(4)],
            [], NOW_US,
        )  # fmt: skip
        store.log.commit()
        store.log.purge("weight", NOW_US + 1, [2])
        store.log.commit()
        assert store.reader.types("alice") == ["heart_rate", "steps"]
        assert store.reader.types("bob") == ["heart_rate", "weight"]
        assert store.reader.types("carol") == []

    def test_a_stretch_looks_at_so_many_rows_and_says_how_far_that_was(self, store: Store) -> None:
        store.log.stage([item(f"e{number}", ("alice", "bob")[number % 2]) for number in range(20)], [], NOW_US)
        store.log.commit()
        store.log.purge("heart_rate", NOW_US + 1, [3, 4, 5, 6, 7, 8, 9, 20])
        store.log.commit()

        def found(*asked: int, user: str | None = None) -> tuple[list[int], int, bool]:
            after, limit, look = asked
            rows, through, more = store.reader.stretch(after, limit, look=look, user=user)
            assert rows == [store.reader.get(row.seq) for row in rows]
            return [row.seq for row in rows], through, more

        assert found(0, 99, 99) == ([1, 2, *range(10, 20)], 20, False)
        assert found(0, 3, 99) == ([1, 2, 10], 10, True)
        assert found(0, 99, 5) == ([1, 2], 5, True)
        assert found(3, 99, 5) == ([], 8, True)
        assert found(8, 99, 5) == ([10, 11, 12, 13], 13, True)
        assert found(19, 99, 5) == ([], 20, False)
        assert found(20, 99, 5) == ([], 20, False)
        assert found(0, 99, 99, user="alice") == ([1, 11, 13, 15, 17, 19], 20, False)
        assert found(0, 2, 99, user="alice") == ([1, 11], 11, True)
        assert found(0, 99, 99, user="carol") == ([], 20, False)
        for limit, look in ((1, 1), (2, 3), (9, 2), (99, 1)):
            rows: list[int] = []
            after, more = 0, True
            while more:
                some, through, more = found(after, limit, look, user="bob")
                assert through > after or not more
                own = [seq for seq in range(2, 21, 2) if after < seq <= through]
                assert some == [seq for seq in own if seq not in {4, 6, 8, 20}]
                assert len(some) <= limit
                assert len(own) <= look
                rows, after = rows + some, through
            assert (rows, after) == ([2, 10, 12, 14, 16, 18], 20)

    def test_the_same_id_of_two_users_is_two_events(self, store: Store) -> None:
        assert store.log.stage([item("a"), item("a", "bob"), item("a")], [], NOW_US) == [1, 2, 0]

    def test_the_latest_row_does_not_depend_on_the_order(self, store: Store) -> None:
        ranks = [(0, Op.DELETE), (1, Op.UPSERT), (1, Op.DELETE), (0, Op.UPSERT)]
        for number, (commits, order) in enumerate(product(("one stage", "stages", "commits"), permutations(ranks))):
            items = [item(f"a{number}", version=version, op=op) for version, op in order]
            before = store.log.head(), store.reader.totals()["superseded"]
            if commits == "one stage":
                store.log.stage(items, [], NOW_US)
            for one in items if commits != "one stage" else []:
                store.log.stage([one], [], NOW_US)
                if commits == "commits":
                    store.log.commit()
            store.log.commit()
            [latest] = store.reader.read(before[0], 9)
            assert (latest.version, latest.op) == (1, Op.DELETE)
            assert store.reader.find("alice", f"a{number}") == latest
            rows = store.reader.read(before[0], 9, history=True)
            assert len(rows) == 1 + store.reader.totals()["superseded"] - before[1]

    def test_filters(self, store: Store) -> None:
        store.log.stage(
            [item("a", start_us=5), item("b", "bob", start_us=6), item("c", event_type="steps", start_us=7)], [], 9
        )
        store.log.stage([item("d", "bob", start_us=8), item("e", start_us=4), item("a", version=1, start_us=9)], [], 9)
        store.log.commit()
        read = store.reader.read
        assert ids(read(0, 99)) == ["b", "c", "d", "e", "a"]
        assert ids(read(0, 99, history=True)) == ["a", "b", "c", "d", "e", "a"]
        assert ids(read(2, 2)) == ["c", "d"]
        assert ids(read(0, 2, newest=True)) == ["e", "a"]
        assert ids(read(5, 9, newest=True)) == ["a"]
        assert ids(read(0, 2, newest=True, before=6)) == ["d", "e"]
        assert ids(read(0, 9, newest=True, before=2, history=True)) == ["a"]
        assert read(0, 9, newest=True, before=1) == []
        assert ids(read(0, 9, user="bob")) == ["b", "d"]
        assert ids(read(2, 9, user="bob")) == ["d"]
        assert ids(read(0, 1, user="bob")) == ["b"]
        assert ids(read(0, 1, user="bob", newest=True)) == ["d"]
        assert ids(read(0, 9, user="alice", type="steps")) == ["c"]
        assert ids(read(0, 9, type="heart_rate", since_us=6)) == ["b", "d", "a"]
        assert read(0, 9, user="carol") == []
        assert read(0, 9, type="sleep") == []
        assert read(0, 0) == []

    def test_paging_by_user_crosses_the_end_of_the_index(self, store: Store) -> None:
        for n in range(11):
            store.log.stage([item(f"a{n}"), item(f"b{n}", "bob")], [], NOW_US)
            store.log.commit()
        pages, after = [], 0
        while page := store.reader.read(after, 3, user="bob"):
            pages += ids(page)
            after = page[-1].seq
        assert pages == [f"b{n}" for n in range(11)]
        assert ids(store.reader.read(0, 8, user="bob", newest=True)) == pages[-8:]
        back, before = [], None
        while page := store.reader.read(0, 3, user="bob", newest=True, before=before):
            back += ids(page)[::-1]
            before = page[0].seq
        assert back == pages[::-1]

    def test_find_and_get_of_what_is_not_there(self, store: Store) -> None:
        store.log.stage([item("a")], [], NOW_US)
        store.log.commit()
        assert store.reader.find("alice", "b") is None
        assert store.reader.find("bob", "a") is None
        assert store.reader.get(0) is None
        assert store.reader.get(2) is None
        assert store.reader.find("alice", "a") == store.reader.get(1) is not None

    def test_cursors_travel_with_the_next_commit(self, store: Store) -> None:
        store.log.set_cursor("publish", 3)
        store.log.set_cursor("ship", 1)
        assert store.reader.cursor("publish") is None
        store.log.commit()
        store.log.set_cursor("publish", 4)
        store.log.drop_cursor("ship")
        store.log.commit()
        assert store.reader.cursor("publish") == 4
        assert store.reader.cursor("ship") is None
        assert store.reader.cursors() == {"publish": 4}

    def test_a_rollback_keeps_cursors_for_the_next_commit(self, store: Store) -> None:
        store.log.stage([item("a")], [], NOW_US)
        store.log.set_cursor("publish", 3)
        store.log.rollback()
        store.log.commit()
        assert store.reader.cursor("publish") == 3

    def test_the_quarantine_keeps_the_bytes(self, store: Store) -> None:
        raw = b"\x00\xff not json"
        store.log.stage([], [rejected(), rejected("bob", None, raw)], NOW_US)
        store.log.commit()
        first, second = store.reader.rejected()
        assert (first.reason, first.field, first.event_id, first.user) == ("out_of_range", "value.bpm", "bad", "alice")
        assert (second.raw, second.event_id, second.topic) == (raw, None, "users/bob/devices/bob-watch/events")
        assert store.reader.rejected(user="bob") == [second]
        assert store.reader.rejected(after=first.no, limit=1) == [second]
        newest = store.reader.rejected(before=second.no + 1), store.reader.rejected(before=second.no)
        assert newest == ([second, first], [first])
        assert store.reader.rejected(before=second.no + 1, limit=1) == [second]
        assert store.reader.rejected(before=second.no + 1, user="alice") == [first]
        assert store.reader.rejected_get(first.no) == first
        store.log.discard_rejected(second.no)
        store.log.commit()
        assert store.reader.rejected_get(second.no) is None
        store.log.stage([], [rejected(event_id="other")], NOW_US)
        store.log.commit()
        assert store.reader.rejected()[-1].no > second.no, "numbers are never reused"

    def test_the_same_refusal_again_is_one_row_with_a_count(self, store: Store) -> None:
        again = rejected()._replace(received_us=NOW_US + 9)
        store.log.stage([], [rejected(), rejected(), rejected("bob"), rejected(raw=b"other")], NOW_US)
        store.log.commit()
        store.log.stage([], [again], NOW_US)
        store.log.rollback()
        store.log.stage([], [again], NOW_US)
        store.log.commit()
        rows = store.reader.rejected()
        assert [(row.user, row.times, row.last_us) for row in rows] == [
            ("alice", 3, NOW_US + 9),
            ("bob", 1, NOW_US),
            ("alice", 1, NOW_US),
        ]
        assert rows[0].received_us == NOW_US
        store.log.discard_rejected(rows[0].no)
        store.log.commit()
        store.log.stage([], [again], NOW_US)
        store.log.commit()
        assert store.reader.rejected()[-1].times == 1, "what was taken out begins anew"

    def test_of_long_refusals_the_beginning_is_kept(self, store: Store) -> None:
        raw = b"x" * (64 * 1024 + 1)
        store.log.stage([], [rejected(raw=raw), rejected(raw=raw[1:])], NOW_US)
        store.log.commit()
        long, whole = store.reader.rejected()
        assert (long.raw, long.size, long.truncated) == (raw[1:], len(raw), True)
        assert long.sha256 == sha256(raw).hexdigest()
        assert (whole.raw, whole.size, whole.sha256, whole.truncated) == (raw[1:], 64 * 1024, None, False)

    def test_refused_bytes_keep_their_format(self, store: Store) -> None:
        one = rejected(raw=b"same bytes")
        other = one._replace(rejection=one.rejection._replace(form="fit"))
        store.log.stage([], [one, other, other], NOW_US)
        store.log.commit()
        assert [(row.form, row.times) for row in store.reader.rejected()] == [("json", 1), ("fit", 2)]
        assert [store.reader.rejected_get(row.no) for row in store.reader.rejected()] == store.reader.rejected()

    def test_of_bytes_that_are_not_kept_their_number_and_digest_are(self, store: Store) -> None:
        sent = [b"x" * 70, b"y" * 80, b"x" * 70]
        for raw in sent:
            one = rejected(raw=b"")
            store.log.stage([], [one._replace(rejection=one.rejection._replace(omitted=omitted(raw)))], NOW_US)
        store.log.commit()
        rows = store.reader.rejected()
        assert [(row.raw, row.size, row.sha256, row.times) for row in rows] == [
            (b"", 70, sha256(sent[0]).hexdigest(), 2),
            (b"", 80, sha256(sent[1]).hexdigest(), 1),
        ]

    def test_what_is_held_is_whole_and_due_when_the_clock_says_so(self, store: Store) -> None:
        def held(event_id: str, due_us: int | None, raw: bytes = b"{}") -> Quarantined:
            one = rejected(event_id=event_id, raw=raw)
            return one._replace(rejection=one.rejection._replace(due_us=due_us))

        long = b"x" * (64 * 1024 + 1)
        store.log.stage([], [held("b", 20, long), held("never", None), held("a", 10), held("c", 30)], NOW_US)
        store.log.commit()
        rows = {row.event_id: row for row in store.reader.rejected()}
        assert (rows["b"].raw, rows["b"].truncated, rows["b"].due_us, rows["never"].due_us) == (long, False, 20, None)
        a, b, c = (rows[each].no for each in "abc")
        assert store.reader.rejected_due(9, 9) == []
        assert store.reader.rejected_due(20, 9) == [a, b]
        assert store.reader.rejected_due(99, 2) == [a, b]
        assert store.reader.rejected_due(99, 9) == [a, b, c]
        store.log.hold_rejected(a, 40, NOW_US + 7)
        store.log.hold_rejected(b, None, NOW_US)
        store.log.commit()
        assert store.reader.rejected_due(99, 9) == [c, a]
        found = store.reader.rejected_get(a)
        assert found is not None
        assert (found.due_us, found.last_us) == (40, NOW_US + 7)

    def test_a_repeat_of_what_is_held_is_held_still(self, store: Store) -> None:
        one = rejected()
        store.log.stage([], [one], NOW_US)
        store.log.commit()
        store.log.stage([], [one._replace(rejection=one.rejection._replace(due_us=5))], NOW_US)
        store.log.commit()
        assert [(row.times, row.due_us) for row in store.reader.rejected()] == [(2, 5)]

    def test_what_is_due_is_not_purged_before_it_was_tried(self, store: Store) -> None:
        """A row of a time when the clock said 1970 is old at once when the clock is right."""
        ones = [rejected(event_id=name) for name in ("due", "later", "plain")]
        times = zip(ones, (NOW_US, NOW_US + 2, None), strict=True)
        held = [one._replace(rejection=one.rejection._replace(due_us=due_us)) for one, due_us in times]
        store.log.stage([], held, NOW_US)
        store.log.commit()
        purge_old(store, NOW_US + 1, spare_due_us=NOW_US + 1)
        assert [row.event_id for row in store.reader.rejected()] == ["due"]
        purge_old(store, NOW_US + 1)
        assert store.reader.rejected() == []

    def test_what_left_the_quarantine_counts_no_more(self, store: Store) -> None:
        for number in range(20):
            raw = bytes([65 + number]) * 1_000_000
            one = rejected(raw=raw, event_id=f"h{number}")
            store.log.stage([], [one._replace(rejection=one.rejection._replace(due_us=number))], NOW_US)
            store.log.discard_rejected(number)
            store.log.commit()
        assert [row.event_id for row in store.reader.rejected()] == ["h19"]
        assert store.log.health().quarantine_evicted == 0

    def test_old_refusals_are_purged_by_when_they_came_last(self, store: Store) -> None:
        old, other = rejected(event_id="old"), rejected("bob")
        store.log.stage([], [rejected(), old, other], NOW_US)
        store.log.stage([], [rejected()._replace(received_us=NOW_US + 5)], NOW_US)
        store.log.commit()
        store.log.purge_rejected(store.reader.rejected_old(0, 9, NOW_US + 5, user="alice"), NOW_US + 5)
        assert len(store.reader.rejected()) == 3, "with the next commit"
        store.log.commit()
        assert [(row.user, row.event_id) for row in store.reader.rejected()] == [("alice", "bad"), ("bob", "bad")]
        purge_old(store, NOW_US + 6)
        assert store.reader.rejected() == []

    def test_what_may_be_put_off_is_nothing_that_was_staged(self, store: Store) -> None:
        store.log.put_off()
        assert store.log.stage([item("a")], [rejected()], NOW_US) == [1]
        assert store.log.commit() == 1
        assert [record.id for record in store.reader.read(0, 9)] == ["a"]
        assert len(store.reader.rejected()) == 1
        assert store.log.stage([item("a"), item("b")], [], NOW_US) == [0, 2]
        store.log.put_off()
        assert store.log.commit() == 2
        store.log.stage([], [], NOW_US)
        assert store.log.commit() == 2
        assert not store.log.owes

    def test_old_refusals_are_found_some_at_a_time(self, store: Store) -> None:
        ones = [rejected("alice" if number % 2 else "bob", event_id=f"e{number}") for number in range(6)]
        store.log.stage([], [one._replace(received_us=NOW_US + number) for number, one in enumerate(ones)], NOW_US)
        store.log.commit()
        numbers = [row.no for row in store.reader.rejected()]
        assert store.reader.rejected_old(0, 9, NOW_US + 4) == numbers[:4]
        assert store.reader.rejected_old(0, 2, NOW_US + 4) == numbers[:2]
        assert store.reader.rejected_old(numbers[1], 9, NOW_US + 4) == numbers[2:4]
        assert store.reader.rejected_old(0, 9, NOW_US + 4, user="alice") == [numbers[1], numbers[3]]

    def test_what_was_refused_again_since_it_was_found_stays(self, store: Store) -> None:
        store.log.stage([], [rejected(), rejected(event_id="old")], NOW_US)
        store.log.commit()
        found = store.reader.rejected_old(0, 9, NOW_US + 1)
        store.log.stage([], [rejected()._replace(received_us=NOW_US + 5)], NOW_US)
        store.log.commit()
        store.log.purge_rejected([*found, 999], NOW_US + 1)
        store.log.commit()
        assert [row.event_id for row in store.reader.rejected()] == ["bad"]

    def test_names_of_later_users_are_read(self, store: Store) -> None:
        for n in range(5):
            store.log.stage([item("a", f"user{n}", event_type=f"type{n}")], [], NOW_US)
            store.log.commit()
            assert [record.user for record in store.reader.read(n, 9)] == [f"user{n}"]

    def test_totals(self, store: Store) -> None:
        store.log.stage([item("a"), item("a", version=1), item("a", "bob")], [rejected()], NOW_US)
        store.log.commit()
        assert store.reader.totals() == {"events": 3, "superseded": 1, "rejected": 1, "users": 2}

    def test_the_epoch_names_the_log(self, store: Store) -> None:
        assert store.log.epoch == store.reader.epoch
        assert len(store.log.epoch) == 16

    def test_hundreds_of_rows_stay_distinct_through_runs_and_merges(self, store: Store) -> None:
        for n in range(0, 600, 3):
            assert all(store.log.stage([item(f"e{i}") for i in range(n, n + 3)], [], NOW_US))
            store.log.commit()
        for n in range(0, 600, 50):
            assert store.log.stage([item(f"e{i}") for i in range(n, n + 50)], [], NOW_US) == [0] * 50
            newer = store.log.stage([item(f"e{n}", version=n + 1)], [], NOW_US)
            assert newer == [store.log.head() + 1]
            store.log.commit()
            assert store.log.stage([item(f"e{n}", version=n + 1)], [], NOW_US) == [0]
        for n in range(600):
            record = store.reader.find("alice", f"e{n}")
            assert record is not None
            assert record.version == (n + 1 if n % 50 == 0 else 0)

    def test_what_a_row_supersedes_directly_and_through_others(self, store: Store) -> None:
        store.log.stage([item("a"), item("b"), item("a", version=1), item("a", "zoe", version=2)], [], NOW_US)
        store.log.commit()
        store.log.stage([item("a", version=2), item("c")], [], NOW_US)
        store.log.commit()
        assert store.reader.superseded_by(4, 4) == {}
        assert {by: [row.seq for row in rows] for by, rows in store.reader.superseded_by(5, 6).items()} == {5: [1, 3]}
        assert [row.seq for row in store.reader.superseded_by(3, 3)[3]] == [1]
        newest = store.reader.superseded_by(5, 6, newest=1)
        assert {by: [row.seq for row in rows] for by, rows in newest.items()} == {5: [3]}
        assert {row.seq for rows in store.reader.superseded_by(1, 6).values() for row in rows} == {1, 3}

    def test_a_purged_row_is_read_no_more_and_its_id_stays_known(self, store: Store) -> None:
        store.log.stage([item(f"e{n}", version=1) for n in range(30)], [], NOW_US)
        store.log.commit()
        store.log.purge("heart_rate", NOW_US + 1, [*range(1, 26)])
        assert len(store.reader.read(0, 99)) == 30
        store.log.commit()
        kept = [f"e{n}" for n in range(25, 30)]
        for history in (False, True):
            assert ids(store.reader.read(0, 99, history=history)) == kept
            assert ids(store.reader.read(0, 99, user="alice", history=history)) == kept
            assert ids(store.reader.read(0, 3, user="alice", newest=True, history=history)) == kept[-3:]
            assert ids(store.reader.read(0, 3, newest=True, history=history)) == kept[-3:]
        assert (store.reader.head(), store.reader.totals()["events"]) == (30, 30)
        record = store.reader.find("alice", "e0")
        assert record is not None
        assert record == store.reader.get(1)
        assert (record.id, record.version, record.start_us, record.body) == ("e0", 1, NOW_US, b"")
        late = [item("e0", version=1), item("e1"), item("e2", version=2), item("e3", version=1, op=Op.DELETE)]
        assert store.log.stage(late, [], NOW_US) == [0, 0, 31, 32]
        store.log.commit()
        assert {by: [row.id for row in rows] for by, rows in store.reader.superseded_by(31, 32).items()} == {
            31: ["e2"],
            32: ["e3"],
        }
        assert (store.reader.purged_before("heart_rate"), store.reader.purged_before("steps")) == (NOW_US + 1, None)
        store.log.purge("heart_rate", NOW_US, [26])
        store.log.commit()
        assert store.reader.purged_before("heart_rate") == NOW_US + 1

    def test_every_row_comes_whatever_became_of_it(self, store: Store) -> None:
        store.log.stage(
            [item("a", version=1), item("b"), item("a", version=2), item("c", "bob"), item("d")], [], NOW_US
        )
        store.log.commit()
        store.log.purge("heart_rate", NOW_US + 1, [2])
        store.log.commit()
        store.log.erase("bob", [4])
        store.log.commit()
        rows = store.reader.every(0, 9)
        assert rows == [store.reader.get(seq) for seq in range(1, 6)]
        assert [(row.seq, row.id) for row in rows if row.user == "alice"] == [(1, "a"), (2, "b"), (3, "a"), (5, "d")]
        assert [row.body for row in rows if row.id == "b"] == [b""]
        assert store.reader.every(0, 2) + store.reader.every(2, 2) + store.reader.every(4, 2) == rows
        assert store.reader.every(5, 2) == []

    def test_what_can_be_purged(self, store: Store) -> None:
        store.log.stage(
            [
                item("old", start_us=NOW_US - 2),
                item("young"),
                item("other", event_type="steps", start_us=NOW_US - 2),
                item("gone", op=Op.DELETE, start_us=NOW_US - 2),
                item("changed", start_us=NOW_US - 2),
                item("changed", version=1, start_us=NOW_US - 2),
                item("changed", version=2, start_us=NOW_US - 2),
            ],
            [],
            NOW_US,
        )
        store.log.commit()
        find = store.reader.purgeable
        assert find("heart_rate", NOW_US, 0, 99, 7) == [1, 5, 6, 7]
        assert find("heart_rate", NOW_US, 1, 5, 7) == [5]
        assert find("heart_rate", NOW_US, 0, 6, 6) == [1]  # the newest version of "changed" is not shipped yet
        assert find("steps", NOW_US, 0, 7, 7) == [3]
        assert find("weight", NOW_US, 0, 7, 7) == []
        store.log.purge("heart_rate", NOW_US, [1, 5])
        store.log.commit()
        assert find("heart_rate", NOW_US, 0, 99, 7) == [6, 7]

    def test_a_purge_that_was_rolled_back_with_its_group_is_done_by_the_next_commit(self, store: Store) -> None:
        store.log.stage([item("a")], [], NOW_US)
        store.log.commit()
        store.log.purge("heart_rate", NOW_US + 1, [1])
        store.log.stage([item("b")], [], NOW_US)
        store.log.rollback()
        assert store.log.commit() == 1
        assert store.reader.read(0, 9) == []

    # -- what sources count no versions of, and what formats remember

    def test_an_equal_latest_is_a_duplicate_and_another_is_the_next_version(self, store: Store) -> None:
        first = _latest("a", 60)
        assert store.log.stage([first, first, _latest("a", 61)], [], NOW_US) == [1, 0, 2]
        store.log.commit()
        assert store.log.stage([_latest("a", 61), _latest("a", 60)], [], NOW_US) == [0, 3]
        store.log.commit()
        record = store.reader.find("alice", "a")
        assert record is not None
        assert (record.version, record.seq) == (2, 3)
        assert ids(store.reader.read(0, 9)) == ["a"]

    def test_of_a_latest_the_words_around_the_value_are_no_correction(self, store: Store) -> None:
        body = b'{"value":{"bpm":60},"device":{"app_version":"2"},"utc_offset":3600}'
        assert store.log.stage([_latest("a", 60), _latest("a", 0, body=body)], [], NOW_US) == [1, 0]
        store.log.commit()
        assert store.log.stage([_latest("a", 60, start_us=NOW_US + 1)], [], NOW_US) == [2]
        assert store.log.stage([_latest("a", 60, start_us=NOW_US + 1, event_type="weight")], [], NOW_US) == [3]

    def test_a_latest_delete_is_of_what_is_there_and_another_value_brings_it_back(self, store: Store) -> None:
        gone = _latest("a", 60, op=Op.DELETE)
        assert store.log.stage([gone, _latest("a", 60), gone, gone, _latest("a", 60)], [], NOW_US) == [0, 1, 2, 0, 3]
        store.log.commit()
        record = store.reader.find("alice", "a")
        assert record is not None
        assert (record.version, record.op) == (1, Op.UPSERT)

    def test_a_latest_goes_on_after_a_counted_version(self, store: Store) -> None:
        assert store.log.stage([item("a", version=7), _latest("a", 60)], [], NOW_US) == [1, 2]
        store.log.commit()
        assert store.log.stage([item("a", version=8)], [], NOW_US) == [0]

    def test_a_latest_of_a_purged_row_is_a_duplicate(self, store: Store) -> None:
        store.log.stage([_latest("a", 60)], [], NOW_US)
        store.log.commit()
        store.log.purge("heart_rate", NOW_US + 1, [1])
        store.log.commit()
        assert store.log.stage([_latest("a", 61)], [], NOW_US) == [0]

    def test_what_a_format_remembers_is_there_after_the_commit_and_not_before(self, store: Store) -> None:
        memory = FormatMemory("alice", "phone", "scale", b"17", [("m/1", "a"), ("m/2", "b"), ("n", "c")])
        store.log.remember(memory)
        assert store.reader.format_state("alice", "phone", "scale") == b""
        store.log.stage([item("a")], [], NOW_US)
        store.log.commit()
        assert store.reader.format_state("alice", "phone", "scale") == b"17"
        assert store.reader.format_records("alice", "phone", "scale", "m/", 9) == [("m/1", "a"), ("m/2", "b")]
        assert store.reader.format_records("alice", "phone", "scale", "", 2) == [("m/1", "a"), ("m/2", "b")]
        assert store.reader.format_state("alice", "tablet", "scale") == b""
        assert store.reader.format_records("bob", "phone", "scale", "", 9) == []
        assert store.reader.format_memories() == [memory]

    def test_what_formats_remember_of_a_user_is_found_without_names(self, store: Store) -> None:
        assert (store.reader.format_users(), store.reader.format_states("alice")) == ([], [])
        kept = [("alice", "phone", "scale"), ("alice", "band", "watch"), ("bob", "phone", "scale")]
        for number, whose in enumerate(kept):
            store.log.remember(FormatMemory(*whose, b"%d" % number, [("m", "a")]))
        store.log.remember(FormatMemory("zoe", "phone", "scale", None, [("m", "a")]))
        store.log.remember(FormatMemory("alice", "old", "scale", b""))
        store.log.commit()
        assert store.reader.format_users() == ["alice", "bob"]
        found = store.reader.format_states("alice")
        assert found == [
            FormatMemory("alice", "band", "watch", b"1"), FormatMemory("alice", "phone", "scale", b"0"),
        ]  # fmt: skip
        assert store.reader.format_states("nobody") == []

    def test_names_are_found_by_their_beginning_whatever_letters_it_has(self, store: Store) -> None:
        last, words = chr(0x10FFFF), ["", "m", "m/", "m0", "n", "\ud7ff", "\ud7ffa", "\ue000", "é", "éa", "😀", "😀/1"]
        names = sorted({*words, last, f"{last}a", f"m{last}", f"m{last}a", f"{last}{last}"})
        store.log.remember(FormatMemory("alice", "phone", "scale", None, [(name, "id") for name in names]))
        store.log.commit()
        for prefix in names:
            found = store.reader.format_records("alice", "phone", "scale", prefix, 99)
            assert [name for name, _ in found] == [name for name in names if name.startswith(prefix)]

    def test_what_is_remembered_later_takes_its_place(self, store: Store) -> None:
        def remembered(state: bytes | None, **records: list[tuple[str, str]]) -> None:
            store.log.remember(FormatMemory("alice", "phone", "scale", state, **records))
            store.log.commit()

        remembered(b"1", named=[("m", "a")])
        remembered(None, named=[("m", "a"), ("m", "b")])
        assert store.reader.format_state("alice", "phone", "scale") == b"1"
        remembered(b"", taken_back=[("m", "a")])
        assert store.reader.format_state("alice", "phone", "scale") == b""
        assert store.reader.format_records("alice", "phone", "scale", "m", 9) == [("m", "b")]

    def test_an_erased_user_is_in_nothing_and_others_are_as_they_were(self, store: Store) -> None:
        log, reader = store.log, store.reader
        corrected = item("a1", "alice", version=1)
        log.stage([item("a1"), item("b1", "bob"), item("a2"), corrected, item("b2", "bob")], [rejected()], NOW_US)
        log.stage([], [rejected("bob")], NOW_US)
        log.remember(FormatMemory("alice", "alice-watch", "json", b"{}", [("r1", "a1")]))
        log.commit()
        log.purge("heart_rate", NOW_US + 1, [3])
        log.commit()
        before = [reader.get(2), reader.get(5)]
        assert reader.users() == ["alice", "bob"]
        assert reader.rows_of("alice", 0, 2) == [1, 3]
        assert reader.named_in([1, 2]) == ["alice-watch", "bob-watch"]
        while rows := reader.rows_of("alice", 0, 2):
            log.erase("alice", [*rows, 2])
            log.commit()
        log.forget_user("alice", ["alice-watch"], reader.head())
        log.scrub()
        log.commit()
        assert reader.unused(["alice-watch", "bob-watch"]) in ([], ["alice-watch"]), (
            "a log without a file keeps no list"
        )
        assert not log.health().scrubbing
        assert [reader.get(2), reader.get(5)] == before
        assert (reader.head(), reader.users(), reader.totals()["users"]) == (5, ["bob"], 1)
        assert (reader.read(0, 9, history=True), reader.rows_of("alice", 0, 9)) == ([row for row in before if row], [])
        assert (reader.find("alice", "a1"), reader.types("alice"), reader.superseded_by(1, 5)) == (None, [], {})
        assert [row.user for row in reader.rejected()] == ["bob"]
        assert (reader.format_memories(), log.position("alice")) == ([], 0)
        husk = reader.get(4)
        assert husk is not None
        assert (husk.user, husk.type, husk.id, husk.device, husk.body) == (NOBODY, NOBODY, "", None, b"")
        assert husk.received_us == NOW_US

    def test_who_was_erased_may_come_back_and_begins_anew(self, store: Store) -> None:
        log, reader = store.log, store.reader
        log.stage([item("a1"), item("a2")], [], NOW_US)
        log.commit()
        log.erase("alice", [1, 2])
        log.forget_user("alice", ["alice-watch"], 2)
        log.commit()
        assert log.stage([item("a1")], [], NOW_US) == [3]
        log.commit()
        assert log.position("alice") == 1
        found = reader.find("alice", "a1")
        assert found is not None
        assert (found.seq, found.device, reader.unused(["alice-watch"])) == (3, "alice-watch", [])

    def test_a_name_that_somebody_else_took_meanwhile_stays(self, store: Store) -> None:
        log, reader = store.log, store.reader
        log.stage([item("a1")], [], NOW_US)
        log.commit()
        log.erase("alice", [1])
        log.commit()
        names, through = reader.unused(["alice-watch"]), reader.head()
        assert names == ["alice-watch"]
        taken = item("b1", "bob")
        log.stage([taken._replace(origin=taken.origin._replace(device="alice-watch"))], [], NOW_US)
        log.commit()
        log.forget_user("alice", names, through)
        log.commit()
        found = reader.find("bob", "b1")
        assert found is not None
        assert found.device == "alice-watch"


def _latest(event_id: str, bpm: int, *, body: bytes = b"", **how: Any) -> Item:
    made = item(event_id, version=LATEST, **how)
    value = body or b'{"value":{"bpm":%d}}' % bpm
    return made._replace(event=made.event._replace(body=b"{}" if made.event.op == Op.DELETE else value))
