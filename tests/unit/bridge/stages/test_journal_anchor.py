"""How old the anchor of the log can be: a second and a commit while there are commits, not at all when they pause."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from bridge.stages import journal as stage
from bridge.stages.journal import Journal
from healthsync_mqtt.storage.port import LogHealth
from tests.support.patience import until


@dataclass
class Log:
    """The writer's side of a log, of which only commits and the anchor count. ``fails``: so many anchors in a row."""

    fails: int = 0
    head: int = 0
    anchored: int = 0
    tried: int = 0
    behind: list[int] = field(default_factory=list)

    def commit(self) -> int:
        self.behind.append(self.head - self.anchored)
        self.head += 1
        return self.head

    def anchor(self) -> None:
        self.tried += 1
        if self.fails:
            self.fails -= 1
        else:
            self.anchored = self.head

    def health(self) -> LogHealth:
        return LogHealth(anchor_failing=self.anchored < self.head)

    def close(self) -> None:
        self.anchor()


async def committed(journal: Journal, times: int) -> None:
    for _ in range(times):
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        journal.commit(lambda head, error, done=done: done.set_result((head, error)))  # type: ignore[misc]
        await done


async def test_what_was_committed_last_is_anchored_though_nothing_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_ANCHOR_S", 0.05)
    log = Log()
    journal = Journal(log)  # type: ignore[arg-type]
    await committed(journal, 3)
    await until(lambda: log.anchored == 3)
    journal.close()


async def test_under_commits_that_never_pause_it_follows_when_its_time_has_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stage, "_ANCHOR_S", 0.0)
    log = Log()
    journal = Journal(log)  # type: ignore[arg-type]
    await committed(journal, 50)
    assert max(log.behind) <= 1, "one commit and no more"
    journal.close()


async def test_one_that_could_not_be_written_is_tried_again_though_nothing_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stage, "_ANCHOR_S", 0.02)
    log = Log(fails=5)
    journal = Journal(log)  # type: ignore[arg-type]
    await committed(journal, 1)
    await until(lambda: log.anchored == 1)
    journal.close()
