"""A past of which much is purged: nobody on the loop waits until all of it was looked through."""

import pytest

from bridge.follow import canonical_events
from healthsync_mqtt.model.start_position import FromPosition, FromTime
from healthsync_mqtt.storage.port import Stretch
from healthsync_mqtt.storage.subscriber_start import place
from healthsync_mqtt.testing.log_items import item
from tests.unit.bridge.bench import until
from tests.unit.bridge.follow.test_from import all_of, connected
from tests.unit.bridge.follow.test_publish import Stand, stand
from tests.unit.bridge.follow.test_shared_feed import grown

__all__ = ["stand"]

LEFT = [f"old{number}" for number in range(2_990, 3_000)]


async def test_it_is_passed_in_short_steps_and_others_are_served_between_them(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a reader of its own and for a group; no step looks at more rows than the bound."""
    monkeypatch.setattr(canonical_events, "_LOOK", 100)
    stand.store(*(f"old{number}" for number in range(3_000)))
    stand.log.purge("heart_rate", 1 << 62, range(1, 2_991))
    stand.log.commit()
    looked: list[int] = []
    reader = stand.publisher._reader
    stretch = reader.stretch

    def counted(after: int, limit: int, *, look: int, user: str | None = None) -> Stretch:
        found = stretch(after, limit, look=look, user=user)
        looked.append(found.through - after)
        return found

    monkeypatch.setattr(reader, "stretch", counted)
    monkeypatch.setattr(reader, "read", None)  # has no bound
    other = stand.connect("other", "users/bob/canonical/+")
    line = connected(stand, since="earliest")
    group = grown(stand, "member", since="earliest")
    stand.store("bobs", user="bob")
    await until(lambda: other.ids() == ["bobs"])
    assert line.ids() == group.ids() == [], "others wait until all of it was looked through"
    await all_of(line, LEFT)
    await all_of(group, [*LEFT, "bobs"])
    assert max(looked) <= 100
    assert len(looked) >= 30
    assert stand.publisher.lag_s >= 0


async def test_a_seq_or_a_time_in_it_is_found_in_few_looks(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(400):
        stand.log.stage([item(f"a{number}"), item(f"b{number}", "bob")], [], 1_700_000_000_000_000 + number)
        stand.log.commit()
    stand.log.purge("heart_rate", 1 << 62, range(1, 701))
    stand.log.commit()
    reader = stand.log.reader()
    stretch = reader.stretch
    looked: list[int] = []

    def counted(after: int, limit: int, *, look: int, user: str | None = None) -> Stretch:
        looked.append(look)
        return stretch(after, limit, look=look, user=user)

    monkeypatch.setattr(reader, "stretch", counted)
    monkeypatch.setattr(reader, "read", None)
    for position, seq in ((1, 701), (101, 701), (351, 701), (352, 703), (399, 797), (400, 799), (401, None)):
        looked.clear()
        found = place(FromPosition(position), reader, 800, "alice")
        assert sum(looked) <= 12
        rows = stretch(found, 1, look=800, user="alice").rows
        assert [row.seq for row in rows] == ([] if seq is None else [seq])
    for number in (0, 100, 351, 399, 400):
        looked.clear()
        assert place(FromTime(1_700_000_000_000_000 + number), reader, 800, None) == 2 * number
        assert sum(looked) <= 12
