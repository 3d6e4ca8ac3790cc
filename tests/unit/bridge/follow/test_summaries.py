"""The follower of the days: it catches up in long stretches, and leaves the service to what comes in meanwhile."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.follow.summaries import Summaries
from bridge.stages.consent import ConsentGate
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.storage.port import Item, Stretch
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.summaries.file import SummaryFile
from healthsync_mqtt.summaries.preferences import Preferences
from healthsync_mqtt.testing.log_items import item
from healthsync_mqtt.topics.registry import TopicRegistry
from tests.unit.bridge.follow.test_homeassistant import Broker

ROWS = 5_000
LOG = "events.db"


class FloodedReader(SqliteLogReader):
    """A reader of the log; so many events come in while a stretch of it is read."""

    come = 0
    #: where the loop knows the log's end to be
    head_now = ROWS

    def stretch(self, after: int, limit: int, *, look: int, user: str | None = None) -> Stretch:
        self.head_now += self.come
        return super().stretch(after, limit, look=look, user=user)


def short(number: int) -> Item:
    return item(f"e{number}")


def long(number: int) -> Item:
    made = item(f"e{number}")
    return made._replace(
        event=made.event._replace(body=b'{"value":{"bpm":60},"device":{"name":"%b"}}' % (b"x" * 4_096))
    )


@pytest.mark.parametrize(
    ("come", "read", "made"),
    [
        (0, ROWS, short), (50, ROWS, short), (51, 2_000, short), (25, ROWS, long), (26, 2_000, long),
    ],
)  # fmt: skip
async def test_a_stretch_is_the_last_one_where_events_come_in_fast(
    tmp_path: Path, come: int, read: int, made: Callable[[int], Item]
) -> None:
    """Long rows count as so many more as they take longer: a flood of series was read as if nobody else were there."""
    now_us, now_s = 1_790_000_000_000_000, 0.0
    with SqliteEventLog.open(tmp_path / LOG) as log:
        log.stage([made(number) for number in range(ROWS)], [], now_us)
        log.commit()
    reader = FloodedReader.open(tmp_path / LOG)
    reader.come = come
    file = SummaryFile.open(tmp_path / "summaries.db")
    preferences = Preferences(Registry.open(tmp_path / "registry.db"))
    follower = Summaries(
        head=lambda: reader.head_now,
        open_reader=lambda: reader,
        topics=TopicRegistry.load(),
        gate=ConsentGate(),
        shelf=Broker(),
        preferences=preferences,
        file=file,
        clock_us=lambda: now_us,
        monotonic_s=lambda: now_s,
    )
    try:
        await follower.look()  # these rows are known to be there from now on
        assert file.seq == 0
        now_s = 2.0
        await follower.look()
        assert file.seq == read
    finally:
        await follower.close()
        preferences.close()
