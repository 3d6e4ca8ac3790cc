"""Refusals that come together are written together: a few statements for all, and the same rows as one by one."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from healthsync_mqtt.model.event import omitted
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.storage.port import Quarantined
from healthsync_mqtt.storage.quotas import ROW_COST, Quotas, fingerprint
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.log_items import NOW_US, rejected


class Counting:
    """A connection whose calls are counted."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        if name in {"execute", "executemany"}:
            self.calls += 1
        return getattr(self._connection, name)


def refused(n: int, user: str = "alice", device: str = "watch", size: int = 100, at_us: int = NOW_US) -> Quarantined:
    one = rejected(user, f"e{n}", b"x" * size)
    return one._replace(origin=one.origin._replace(device=device), received_us=at_us)


def test_a_full_quarantine_takes_five_hundred_new_refusals_in_a_few_statements(tmp_path: Path) -> None:
    quotas = Quotas(device_bytes=500 * (100 + ROW_COST))
    with SqliteEventLog.open(tmp_path / "events.db", quotas=quotas) as log:
        log.stage([], [refused(n) for n in range(500)], NOW_US)
        log.commit()
        counting = log._quarantine._connection = Counting(log._quarantine._connection)  # type: ignore[assignment]
        log.stage([], [refused(n) for n in range(500, 1000)], NOW_US)
        log.commit()
        assert counting.calls <= 12
        assert log.health().quarantine_evicted == 500
    with SqliteLogReader.open(tmp_path / "events.db") as reader:
        assert [row.event_id for row in reader.rejected(0, 999)] == [f"e{n}" for n in range(500, 1000)]


SMALL = Quotas(device_bytes=4 * ROW_COST, user_bytes=6 * ROW_COST, total_bytes=9 * ROW_COST, row_bytes=300)
ONES = st.builds(
    refused,
    st.integers(0, 6),
    user=st.sampled_from(["alice", "bob"]),
    device=st.sampled_from(["watch", "phone"]),
    size=st.sampled_from([0, 1, 299, 301, 2000]),
    at_us=st.integers(NOW_US, NOW_US + 3),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(ONES, max_size=12), max_size=5))
def test_both_stores_keep_the_same_rows_within_the_quotas(batches: list[list[Quarantined]]) -> None:
    memory = MemoryEventLog(SMALL)
    with TemporaryDirectory() as folder, SqliteEventLog.open(Path(folder) / "events.db", quotas=SMALL) as log:
        for batch in batches:
            for each in (memory, log):
                each.stage([], batch, NOW_US)
                each.commit()
        with SqliteLogReader.open(Path(folder) / "events.db") as reader:
            rows = reader.rejected(0, 999)
    wanted = memory.reader().rejected(0, 999)
    places = {row.no: place for place, row in enumerate(wanted)}
    assert rows == wanted
    assert list(places) == sorted(places)
    for of, bound in ((("user", "device"), SMALL.device_bytes), (("user",), SMALL.user_bytes), ((), SMALL.total_bytes)):
        held: dict[Any, list[int]] = {}
        for row in rows:
            held.setdefault(tuple(getattr(row, name) for name in of), []).append(len(row.raw) + ROW_COST)
        assert all(sum(sizes) <= bound or len(sizes) == 1 for sizes in held.values())


def test_equal_refusals_that_come_together_are_one_row_with_the_first_and_the_last_time(tmp_path: Path) -> None:
    with SqliteEventLog.open(tmp_path / "events.db") as log:
        log.stage([], [refused(1, at_us=NOW_US), refused(2), refused(1, at_us=NOW_US + 7)], NOW_US)
        log.stage([], [refused(1, at_us=NOW_US + 9), refused(1, at_us=NOW_US + 10)], NOW_US)
        log.commit()
    with SqliteLogReader.open(tmp_path / "events.db") as reader:
        rows = [(row.event_id, row.times, row.received_us, row.last_us) for row in reader.rejected(0, 9)]
    assert rows == [("e1", 4, NOW_US, NOW_US + 10), ("e2", 1, NOW_US, NOW_US)]


def test_a_quarantine_of_before_recognises_what_comes_again() -> None:
    """The fingerprints in a data directory of 0.1 are these."""
    one = rejected("alice", "e1", b"{}").rejection._replace(index=0, message="m")
    origin = Origin("alice", "watch", None, "users/alice/devices/watch/events")
    found = [
        fingerprint(origin, each).hex()
        for each in (
            one,
            one._replace(id=None, field=None),
            one._replace(form="fit"),
            one._replace(raw=b"", omitted=omitted(b"x")),
            one._replace(id="\ud800"),
        )
    ]
    assert found == [
        "2370e68d584ae518bdfcc9de6bf838a2",
        "de0791af6ec3f4ddf3f5da1f57bb5ad6",
        "8b598e4a40a37680bbd27f21278c3bd4",
        "303a35d92abf11ff13eaffca84f067b8",
        "4b6dc7fed6aa25672b59640947b29639",
    ]
    assert fingerprint(Origin("alice", None, "garmin", "t"), one).hex() == "4b4d44a92ea11d5af2b108f75acf9d97"
