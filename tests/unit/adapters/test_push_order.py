"""Pushes of an account are heard in their order: what failed is not said after what came later."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.adapters.links import FetchCursor
from healthsync_mqtt.adapters.worker import AdapterWorker
from healthsync_mqtt.cloud_links.flights import Flights
from tests.unit.adapters.test_fetch import Rig
from tests.unit.adapters.test_lives import day_of_garmin

HOUR_US = 3_600_000_000


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, "garmin")
    for user, account in (("ann", "g-1"), ("bob", "g-2")):
        made.cloud.manners.account[1]["userId"] = account
        made.link(user)
        made.sync(user)
    yield made
    made.close()


def push(here: Rig, steps: int, *accounts: str) -> None:
    said: dict[str, Any] = {"dailies": [day_of_garmin(steps) | {"userId": each} for each in accounts]}
    here.inbox.put("garmin", json.dumps(said).encode(), here.now_us)


def look(here: Rig, *, anew: bool = True) -> None:
    async def once(worker: AdapterWorker) -> None:
        async with asyncio.TaskGroup() as group:
            worker.look(group)

    if not anew:
        asyncio.run(once(here.worker))
        return
    with contextlib.closing(Flights(here.data)) as flights:
        asyncio.run(once(here.new_worker(flights=flights)))


def steps(here: Rig) -> list[int]:
    return [each["steps"] for each in here.log.told("daily_steps")]


def failing_for(here: Rig, user: str) -> None:
    """The broker takes nothing of one user."""
    publish = here.log.publish

    async def broken(who: str, provider: str, payload: bytes) -> Any:
        here.log.broken = lambda: who == user
        return await publish(who, provider, payload)

    here.log.publish = broken  # type: ignore[method-assign]


def test_what_failed_is_heard_before_what_came_later(here: Rig) -> None:
    here.log.broken = lambda: True
    push(here, 9_000, "g-1")
    look(here)
    here.log.broken = lambda: False
    push(here, 9_120, "g-1")
    look(here)
    assert steps(here) == [], "the first one is still to come"
    for _ in range(2):
        here.now_us += HOUR_US
        look(here)
    assert (steps(here), here.inbox.waiting()) == ([9_120], {})


def test_what_is_said_of_others_does_not_wait(here: Rig) -> None:
    failing_for(here, "ann")
    push(here, 9_000, "g-1", "g-2")
    look(here)
    assert steps(here) == [9_000]
    push(here, 9_120, "g-1")
    push(here, 9_240, "g-2")
    here.now_us += 1
    look(here)
    assert 9_120 not in steps(here)


def test_many_at_once_come_to_the_last_one(here: Rig) -> None:
    for number in range(20):
        push(here, 9_000 + number, "g-1")
    for _ in range(6):
        look(here)
    assert (steps(here), here.inbox.waiting()) == ([9_019], {})


def test_bob_is_heard_by_the_same_worker_while_ann_cannot_be(here: Rig) -> None:
    failing_for(here, "ann")
    worker = here.worker
    push(here, 9_000, "g-1", "g-2")
    push(here, 9_240, "g-2")
    with contextlib.closing(Flights(here.data)) as flights:
        worker._flights = flights

        async def twice() -> None:
            for _ in range(2):
                async with asyncio.TaskGroup() as group:
                    worker.look(group)

        asyncio.run(twice())
    assert steps(here) == [9_240]
    assert here.inbox.waiting() == {"garmin": 1}


def test_a_full_disk_loses_no_push(here: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again: the delivery is all there is of it."""
    pages = here.book._db.execute("PRAGMA page_count").fetchone()[0]
    push(here, 9_000, "g-1")
    note = here.book.note

    def full(*words: Any) -> None:
        here.book._db.execute(f"PRAGMA max_page_count={pages}")
        with contextlib.closing(here.book._db.cursor()):
            note(*words)
            here.book.advance(here.book.of("ann", "garmin"), "x", FetchCursor(1, 1), b"m" * 200_000)

    monkeypatch.setattr(here.book, "note", full)
    look(here)
    here.book._db.execute("PRAGMA max_page_count=1000000")
    monkeypatch.setattr(here.book, "note", note)
    assert here.inbox.waiting() == {"garmin": 1}
    here.now_us += HOUR_US
    look(here)
    assert (steps(here), here.inbox.waiting()) == ([9_000], {})


def test_what_came_before_it_was_known_whose_it_is_is_heard_first(here: Rig) -> None:
    link = here.book.of("ann", "garmin")
    here.book.is_account(link, "")
    push(here, 9_000, "g-1")
    worker = here.worker
    with contextlib.closing(Flights(here.data)) as flights:
        worker._flights = flights

        async def looks() -> None:
            async with asyncio.TaskGroup() as group:
                worker.look(group)
            here.book.is_account(link, "g-1")
            push(here, 9_120, "g-1")
            for _ in range(4):
                async with asyncio.TaskGroup() as group:
                    worker.look(group)
                here.now_us += 10_000_000

        asyncio.run(looks())
    assert (steps(here), here.inbox.waiting()) == ([9_120], {})


def test_who_only_waits_has_not_failed(here: Rig) -> None:
    """Each failure doubles the wait: a delivery that waited for its account is tried soon when it fails then."""
    here.book.is_account(here.book.of("ann", "garmin"), "")
    push(here, 9_000, "g-1")
    for _ in range(9):
        look(here)
        here.now_us += 10_000_000
    (waiting,) = here.inbox.due(here.now_us, 9)
    assert waiting.failures == 0
