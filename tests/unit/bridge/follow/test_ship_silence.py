"""A sink's process that says nothing: what it waits for and since when is told long before it is killed."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.follow.ship import Shipping
from healthsync_mqtt.sinks.config import Sinks, made
from tests.support.patience import until
from tests.unit.bridge.follow.test_ship import Chores, Journal, stand_in

NOW_US = 1_790_000_000_000_000
SINCE = "2026-09-21T14:13:20.000000Z"
IDLE = {"sink": "main", "state": "idle", "since": "2026-09-21T10:00:00.000000Z", "reason": "", "lag": 0, "cursor": 9}


class Told:
    """The states that were told, and a clock that is turned by hand."""

    def __init__(self, data: Path, command: tuple[str, ...]) -> None:
        self.now = 0.0
        self.changes: list[list[dict[str, str]]] = []
        self.ship = Shipping(
            data,
            chores=Chores(Journal()),  # type: ignore[arg-type]
            changed=lambda: self.changes.append(self.ship.summary()),
            command=command,
            quiet_s=5.0,
            clock=lambda: self.now,
            now_us=lambda: NOW_US + round(self.now * 1e6),
        )

    @property
    def shown(self) -> dict:
        return self.ship.status()[0]


@asynccontextmanager
async def told(tmp_path: Path, *messages: dict) -> AsyncIterator[Told]:
    """A service whose sink says these things and is silent from then on."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    Sinks(data).put(made(name="main", url="http://127.0.0.1:9", timeout_s=60))
    found = Told(data, stand_in(tmp_path, *messages))
    task = asyncio.create_task(found.ship.run())
    await until(lambda: found.ship.status() and (not messages[-1].get("asks") or found.ship._words["main"].asks))
    yield found
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(("asks", "words"), [("ship", "for what was sent"), ("probe", "sign of life")])
async def test_a_server_that_does_not_answer_is_named_with_the_time_of_the_question(
    tmp_path: Path, asks: str, words: str
) -> None:
    async with told(tmp_path, {"status": IDLE}, {"asks": asks}) as found:
        assert found.shown == IDLE
        found.now = 5.0
        shown = found.shown
        assert (shown["state"], shown["reason"], shown["since"]) == ("waiting", "no_answer_yet", SINCE)
        assert words in shown["message"]
        assert SINCE in shown["message"]
        await until(lambda: found.changes[-1] == [{"sink": "main", "state": "waiting", "reason": "no_answer_yet"}])


async def test_a_process_that_is_stopped_while_it_has_nothing_to_do_hangs(tmp_path: Path) -> None:
    async with told(tmp_path, {"asks": "mend"}, {"asks": ""}, {"status": IDLE}) as found:
        found.now = 4.9
        assert found.shown == IDLE
        found.now = 5.0
        shown = found.shown
        assert (shown["state"], shown["reason"], shown["since"]) == ("hung", "process_hangs", SINCE)
        assert "lag" not in shown
        await until(lambda: found.changes[-1] == [{"sink": "main", "state": "hung", "reason": "process_hangs"}])


async def test_since_when_a_process_fails_is_the_first_time(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    Sinks(data).put(made(name="main", url="http://127.0.0.1:9"))
    runs = tmp_path / "runs"
    found = Told(data, (sys.executable, "-c", f"open({str(runs)!r}, 'a').write('x'); raise SystemExit(3)"))
    task = asyncio.create_task(found.ship.run())
    await until(found.ship.status)
    found.now = 100.0
    await until(lambda: len(runs.read_text()) >= 2)
    assert (found.shown["state"], found.shown["since"]) == ("failed", SINCE)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
