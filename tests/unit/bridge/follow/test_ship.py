"""The service's side of sinks: processes are kept running, their cursors written down."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.follow.ship import Shipping
from healthsync_mqtt.sinks.config import Sinks, made
from tests.support.patience import PATIENCE_S, until


class Journal:
    def __init__(self) -> None:
        self.cursors: list[tuple[str, int]] = []

    def keep_cursors(self, cursors: dict[str, int]) -> None:
        self.cursors += cursors.items()


class Chores:
    """Durable at once."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def add(self, write: Callable, done: Callable[[], None]) -> None:
        write(self._journal)
        done()


def stand_in(path: Path, *messages: dict, ends: bool = False) -> tuple[str, ...]:
    """A process that says these lines, and stays until its stdin ends unless it ``ends``."""
    script = path / "stand_in.py"
    wait = "" if ends else "sys.stdin.read()"
    script.write_text(
        f"import sys\nfor line in {[json.dumps(m) for m in messages]!r}: print(line, flush=True)\n{wait}\n"
    )
    return (sys.executable, str(script))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir(mode=0o700)
    Sinks(tmp_path / "data").put(made(name="main", url="http://127.0.0.1:9"))
    return tmp_path / "data"


def shipping(data: Path, command: tuple[str, ...], changes: list) -> tuple[Shipping, Journal]:
    journal = Journal()
    made_ = Shipping(
        data,
        chores=Chores(journal),  # type: ignore[arg-type]
        changed=lambda: changes.append(1),
        command=command,
    )
    return made_, journal


async def test_cursors_and_states_are_heard_and_the_process_ends_with_the_service(data: Path, tmp_path: Path) -> None:
    status = {"sink": "main", "state": "paused", "reason": "unauthorized", "cursor": 7}
    changes: list[int] = []
    ship, journal = shipping(data, stand_in(tmp_path, {"cursor": 5}, {"cursor": 7}, {"status": status}), changes)
    task = asyncio.create_task(ship.run())
    await until(ship.status)
    ship.keep_positions()
    ship.keep_positions()
    assert journal.cursors == [("sink:main", 7)]
    assert ship.summary() == [{"sink": "main", "state": "paused", "reason": "unauthorized"}]
    assert changes == [1]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]


async def test_a_process_that_ends_is_started_again_and_said(data: Path, tmp_path: Path) -> None:
    marker = tmp_path / "runs"
    script = tmp_path / "failing.py"
    script.write_text(f"open({str(marker)!r}, 'a').write('x')\nraise SystemExit(3)\n")
    changes: list[int] = []
    ship, _ = shipping(data, (sys.executable, str(script)), changes)
    task = asyncio.create_task(ship.run())
    await until(lambda: marker.exists() and len(marker.read_text()) >= 2)
    assert ship.status()[0]["state"] == "failed"
    assert ship.status()[0]["message"] == "its process ended with 3"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_sink_that_is_taken_away_is_ended(data: Path, tmp_path: Path) -> None:
    changes: list[int] = []
    status = {"sink": "main", "state": "idle", "reason": ""}
    ship, _ = shipping(data, stand_in(tmp_path, {"status": status}), changes)
    task = asyncio.create_task(ship.run())
    await until(ship.status)
    Sinks(data).file("main").unlink()
    await until(lambda: not ship.status())
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("said", ["hello", "7", "[]", '{"status": 5}', '{"cursor": []}', '{"cursor": "x"}'])
async def test_a_process_that_talks_nonsense_is_started_again(data: Path, tmp_path: Path, said: str) -> None:
    script = tmp_path / "nonsense.py"
    script.write_text(f"import sys\nprint({said!r}, flush=True)\nsys.stdin.read()\n")
    changes: list[int] = []
    ship, _ = shipping(data, (sys.executable, str(script)), changes)
    task = asyncio.create_task(ship.run())
    await until(ship.status)
    assert (ship.status()[0]["state"], ship.status()[0]["reason"]) == ("failed", "process_ended")
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_defect_of_ours_ends_the_service_and_not_one_sink_in_silence(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> int:
        raise AssertionError("a defect")

    ship, _ = shipping(data, (sys.executable, "-c", ""), [])
    monkeypatch.setattr("bridge.follow.ship._LOOK_S", 0.01)
    monkeypatch.setattr(ship, "_run_once", broken)
    with pytest.raises(AssertionError, match="a defect"):
        async with asyncio.timeout(PATIENCE_S):
            await ship.run()


async def test_a_process_that_hangs_is_shown_as_such_and_started_again(data: Path, tmp_path: Path) -> None:
    marker = tmp_path / "runs"
    script = tmp_path / "hanging.py"
    said = json.dumps({"status": {"sink": "main", "state": "idle", "reason": "", "lag": 0, "cursor": 9}})
    script.write_text(
        f"import os, signal\nopen({str(marker)!r}, 'a').write('x')\nprint({said!r}, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGSTOP)\n"
    )
    Sinks(data).put(made(name="main", url="http://127.0.0.1:9", timeout_s=0.2), replace=True)
    states: list[dict] = []
    ship = Shipping(data, chores=Chores(Journal()), command=(sys.executable, str(script)), silence_s=0.2)  # type: ignore[arg-type]
    ship.on_change = lambda: states.extend(ship.status())
    task = asyncio.create_task(ship.run())
    await until(lambda: marker.exists() and len(marker.read_text()) >= 2)
    hung = [status for status in states if status["state"] == "hung"]
    assert hung
    assert hung[0]["reason"] == "process_hangs"
    assert "lag" not in hung[0]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_a_process_says_before_it_ends_is_its_reason(data: Path, tmp_path: Path) -> None:
    failed = {"failed": {"reason": "pseudonym_lost", "message": "gone", "fix": "restore it"}}
    changes: list[int] = []
    script = tmp_path / "failing.py"
    script.write_text(f"print({json.dumps(failed)!r}, flush=True)\nraise SystemExit(1)\n")
    ship, _ = shipping(data, (sys.executable, str(script)), changes)
    task = asyncio.create_task(ship.run())
    await until(ship.status)
    status = ship.status()[0]
    assert [status[key] for key in ("state", "reason", "fix")] == ["failed", "pseudonym_lost", "restore it"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_process_is_told_again_and_again_that_the_service_is_there(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.follow.ship._ATTEND_S", 0.01)
    script = tmp_path / "listening.py"
    script.write_text(
        "import json, sys\n"
        "for number, _ in enumerate(sys.stdin, 1): print(json.dumps({'cursor': number}), flush=True)\n"
    )
    ship, journal = shipping(data, (sys.executable, str(script)), [])
    task = asyncio.create_task(ship.run())
    await until(lambda: ship.keep_positions() or (journal.cursors and journal.cursors[-1][1] >= 3))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]


async def test_where_sinks_were_before_another_bridge_shipped_is_not_written_any_more(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log's cursor would be set back; and what is said again at the new start is heard."""
    monkeypatch.setattr("bridge.follow.ship._KEEP_S", 600.0)
    status = {"sink": "main", "state": "idle", "reason": "", "cursor": 7}
    ship, journal = shipping(data, stand_in(tmp_path, {"cursor": 7}, {"status": status}), [])

    async def turn() -> None:
        task = asyncio.create_task(ship.run())
        await until(ship.status)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await turn()
    Sinks(data).file("main").rename(tmp_path / "away")
    task = asyncio.create_task(ship.run())
    await asyncio.sleep(0)
    ship.keep_positions()
    assert journal.cursors == []
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    (tmp_path / "away").rename(Sinks(data).file("main"))
    await turn()
    ship.keep_positions()
    assert journal.cursors == [("sink:main", 7)]
