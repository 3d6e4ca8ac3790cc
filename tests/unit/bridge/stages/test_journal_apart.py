"""A group that is written beside the event loop altogether, as one for a log on another machine is."""

import asyncio
import threading
from typing import Any

import pytest

from bridge.stages import journal as stage
from bridge.stages.journal import Journal, UnexpectedError
from healthsync_mqtt.errors import HealthSyncError, StoreError, UnavailableError
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.testing.log_items import NOW_US, item, rejected
from tests.support.patience import until


class Watched(MemoryEventLog):
    """It says which threads wrote, and fails as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[str] = set()
        self.failure: Exception | None = None

    def stage(self, *group: Any) -> list[int]:
        self.threads.add(threading.current_thread().name)
        if self.failure is not None:
            raise self.failure
        return super().stage(*group)


async def stored(journal: Journal, *portions: Any) -> tuple[list[int], int, StoreError | None]:
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    journal.store(portions, NOW_US, lambda *told: done.set_result(told))
    answer: tuple[list[int], int, StoreError | None] = await done
    return answer


async def test_all_portions_are_one_commit_of_the_journals_thread() -> None:
    log = Watched()
    journal = Journal(log, apart=True)
    assert await stored(journal, ([item("a"), item("b")], ()), ([item("a")], [rejected()])) == ([1, 2, 0], 2, None)
    assert log.threads == {"journal"}
    assert (log.reader().head(), len(log.reader().rejected())) == (2, 1)
    journal.close()


async def test_a_group_that_cannot_be_written_is_told_and_the_next_one_is_stored() -> None:
    log = Watched()
    journal = Journal(log, apart=True)
    log.failure = StoreError("away", hint="wait")
    assert await stored(journal, ([item("a")], ())) == ([], 0, log.failure)
    log.failure = None
    assert await stored(journal, ([item("a")], ())) == ([1], 1, None)
    journal.close()


async def test_whatever_happens_the_loop_is_answered() -> None:
    log = Watched()
    journal = Journal(log, apart=True)
    log.failure = KeyError("surprise")
    _, _, error = await stored(journal, ([item("a")], ()))
    assert isinstance(error, UnexpectedError)
    assert not error.retryable
    journal.close()


class TakenLog(MemoryEventLog):
    """Its lock is looked after with these endings, and then well."""

    def __init__(self, *ends: Exception) -> None:
        super().__init__()
        self.ends, self.looks, self.anchors = list(ends), 0, 0

    def keep_lock(self) -> None:
        assert threading.current_thread().name == "journal"
        self.looks += 1
        if self.ends:
            raise self.ends.pop(0)

    def anchor(self) -> None:
        self.anchors += 1


class ForGoodError(StoreError):
    retryable = False


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_LOOK_S", 0.005)


@pytest.mark.usefixtures("often")
async def test_the_lock_is_looked_after_while_nothing_comes_and_what_passes_is_nobodys_news() -> None:
    log, told = TakenLog(StoreError("away"), StoreError("taken")), list[Exception]()
    journal = Journal(log, apart=True, failed=told.append)
    await until(lambda: log.looks > 9)
    assert await stored(journal, ([item("a")], ())) == ([1], 1, None)
    looks = log.looks
    await until(lambda: log.looks > looks)
    journal.close()
    assert told == []


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("end", [ForGoodError("taken"), UnavailableError("moved"), KeyError("surprise")])
async def test_what_is_for_good_is_told_once_and_ends_the_looking(end: Exception) -> None:
    log, told = TakenLog(StoreError("taken"), end), list[Exception]()
    journal = Journal(log, apart=True, failed=told.append)
    await until(lambda: told != [])
    assert await stored(journal, ([item("a")], ())) == ([1], 1, None)
    journal.close()
    (error,) = told
    assert error is end if isinstance(end, HealthSyncError) else isinstance(error, UnexpectedError)
    assert log.looks == 2


@pytest.mark.usefixtures("often")
async def test_a_log_that_is_looked_after_is_anchored_no_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_ANCHOR_S", 3600.0)
    log = TakenLog()
    journal = Journal(log, apart=True)
    await until(lambda: log.looks > 9)
    assert log.anchors == 0
    monkeypatch.setattr(stage, "_ANCHOR_S", 0.0)
    await until(lambda: log.anchors > 0)
    journal.close()


async def test_a_log_in_the_data_directory_is_not_looked_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_ANCHOR_S", 0.005)
    log = TakenLog()
    journal = Journal(log)
    assert await stored(journal, ([item("a")], ())) == ([1], 1, None)
    await until(lambda: log.anchors > 0)
    journal.close()
    assert log.looks == 0
