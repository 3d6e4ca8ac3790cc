"""A group that is written beside the event loop altogether, as one for a log on another machine is."""

import asyncio
import threading
from typing import Any

from bridge.stages.journal import Journal, UnexpectedError
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.testing.log_items import NOW_US, item, rejected


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
