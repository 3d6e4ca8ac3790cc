"""A commit costs the subscribers that get its events, and nobody else; only places that moved are written."""

import time
from collections.abc import AsyncIterator

import pytest

from bridge.follow.abandoned_cursors import living
from bridge.follow.canonical import CanonicalFeed
from healthsync_mqtt.broker.embedded.sessions.session import Session
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.testing.log_items import item
from tests.unit.bridge.bench import until
from tests.unit.bridge.follow.test_publish import Line, Stand, standing

NAMES = [f"u{number}" for number in range(1000)]


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    async with standing(MemoryEventLog()) as made:
        yield made


def crowd(stand: Stand, *, clean: bool = True) -> list[Line]:
    return [stand.connect(name, f"users/{name}/canonical/+", clean=clean) for name in NAMES]


async def settled(stand: Stand) -> None:
    await until(lambda: stand.publisher.lag == 0)


async def test_a_commit_asks_nobody_whom_it_does_not_concern(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd(stand)
    mine = stand.connect("mine")
    await settled(stand)
    asked: list[str] = []
    room = Session.room

    def counted(session: Session) -> int:
        asked.append(session.client_id)
        return room.__get__(session)

    monkeypatch.setattr(Session, "room", property(counted))
    monkeypatch.setattr(CanonicalFeed, "_fill", None)  # nobody is behind: nobody reads for itself
    for number in range(20):
        stand.store(f"e{number}")
    await until(lambda: len(mine.ids()) == 20)
    assert set(asked) == {"mine"}


async def test_keeping_places_looks_at_those_that_moved_and_a_bounded_number_more(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(stand, clean=False)
    mine = stand.connect("mine", clean=False)
    await settled(stand)
    for _ in range(len(NAMES)):
        stand.publisher.keep()
    looked: list[str] = []
    note = CanonicalFeed._note
    monkeypatch.setattr(
        CanonicalFeed, "_note", lambda feed, session: looked.append(session.client_id) or note(feed, session)
    )
    stand.store("e")
    await until(lambda: mine.ids() == ["e"])
    mine.acknowledge()
    stand.publisher.keep()
    assert "mine" in looked
    assert len(looked) <= 51
    # Whom nothing came for moves too, a few at each keep, so that a restart finds everybody near the head.
    for _ in range(len(NAMES) // 50 + 1):
        stand.publisher.keep()
    assert set(stand.log.reader().cursors().values()) == {stand.log.head()}


async def test_who_has_no_room_falls_behind_alone_and_comes_back(stand: Stand) -> None:
    slow, quick = stand.connect("slow"), stand.connect("quick")
    slow.reads = False
    for number in range(500):
        stand.store(f"e{number}")
        await until(lambda: quick.session is not None and quick.session.position == stand.log.head())
        quick.acknowledge()
    assert slow.session in stand.publisher._stalled
    assert quick.session in stand.publisher._live
    slow.reads = True
    while (before := len(slow.ids())) < 500:
        slow.acknowledge()
        await until(lambda: len(slow.ids()) > before)
    await until(lambda: slow.session in stand.publisher._live)
    assert slow.ids() == quick.ids() == [f"e{number}" for number in range(500)]


async def test_a_payload_is_made_once_whoever_reads(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    import bridge.follow.canonical_events as module

    made: list[int] = []
    plain = module.canonical_json
    monkeypatch.setattr(module, "canonical_json", lambda record: made.append(record.seq) or plain(record))
    lines = [stand.connect(f"app-{number}") for number in range(20)]
    stand.store("a", "b", "c")
    await until(lambda: all(line.ids() == ["a", "b", "c"] for line in lines))
    assert made == [1, 2, 3]


async def test_places_of_clients_that_may_not_come_back_are_dropped(stand: Stand) -> None:
    stand.log.stage([], [], 1)
    for name in ("gone", "away", "dead", "here"):
        stand.log.set_cursor(f"subscriber:{name}", 0)
    stand.log.commit()
    async with standing(stand.log) as again:
        now = int(time.time() * 1e6)
        again.log.stage([item("old")], [], now - 10 * 86_400_000_000)
        again.log.commit()
        again.log.set_cursor("subscriber:away", 1)
        again.log.commit()
    async with standing(stand.log) as third:
        third.connect("here", clean=False).reads = False
        week_ago_us = third.publisher._clock_us() - 7 * 86_400_000_000
        third.publisher.drop_abandoned(lambda name: name != "gone", since_us=week_ago_us)
        assert set(third.log.reader().cursors()) == {"subscriber:away", "subscriber:here"}


async def test_the_first_place_of_a_session_is_written_down_at_once(stand: Stand) -> None:
    stand.store("before")
    stand.connect("app", clean=False)
    assert stand.log.reader().cursors() == {"subscriber:app": 1}


async def test_an_external_broker_begins_where_the_living_are_and_not_where_the_dead_were() -> None:
    log = MemoryEventLog()
    day_us = 86_400_000_000
    now_us = 100 * day_us
    for number, received_us in enumerate((now_us - 30 * day_us, now_us - day_us, now_us)):
        log.stage([item(f"e{number}")], [], received_us)
        log.commit()
    for name, seq in (("revoked", 0), ("away-for-long", 0), ("backend", 1), ("other", 2)):
        log.set_cursor(f"subscriber:{name}", seq)
    log.commit()
    registered = {"away-for-long", "backend", "other"}
    assert living(log.reader(), registered, since_us=now_us - 7 * day_us) == {"backend": 1, "other": 2}
