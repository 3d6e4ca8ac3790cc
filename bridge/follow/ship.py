"""Events to sinks. Each sink is a process that reads the log by its own cursor; here they are kept running.

A process that ends is started again, later each time. One that works says something each second: a few seconds of
silence are told at once, with what it waits for; one that is silent for longer than a request may take hangs, and after
as long again it is killed and started anew. It is told each second that the service is there, and ends where that
stops: a service that is stopped ships no more, and its processes do not work beside those of the next one. The cursors
it reports are written into the log between two commits; one that is lost with a crash only means that some points are
sent once more.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self

from bridge.cursors import Cursors
from bridge.own_process import own_process
from bridge.ports import Chores
from bridge.spans import EventSpans
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.sinks.bridge_part import BridgePart
from healthsync_mqtt.sinks.config import CURSOR, Sinks
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("ship")

_LOOK_S = 1.0
_KEEP_S = 1.0
_ATTEND_S = 1.0
_STOP_S = 1.0
"""A process ends at once when it is told to; one that does not hangs."""
_FIRST_WAIT_S, _MOST_WAIT_S = 0.5, 30.0
_STEADY_S = 30.0
#: Beside what one request may take: a process that works says its status every second.
_SILENCE_S = 10.0
#: From so much silence on its last word is not shown as if it held.
_QUIET_S = 5.0
_WORKER = "healthsync_mqtt.sinks.worker"
_ASKED = {"ship": "for what was sent to it", "mend": "for what was kept aside", "probe": "for a sign of life"}


class _LastWord(NamedTuple):
    """When a running process said something last, by a monotonic clock and the wall's; what it asks its server."""

    at: float
    at_us: int
    asks: str = ""


class Shipping:
    """The sinks of one data directory. ``run`` is a task of the service; it ends them when it is cancelled."""

    def __init__(
        self,
        data: Path,
        *,
        chores: Chores,
        changed: Callable[[], None] = lambda: None,
        spans: EventSpans | None = None,
        command: tuple[str, ...] = (sys.executable, "-m", _WORKER),
        silence_s: float = _SILENCE_S,
        quiet_s: float = _QUIET_S,
        clock: Callable[[], float] = time.monotonic,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._data = data
        self._sinks = Sinks(data)
        #: called when a sink's state or reason has changed
        self.on_change = changed
        self._command = command
        self._silence_s = silence_s
        self._quiet_s = quiet_s
        self._now_us = now_us
        self._clock = clock
        self._words: dict[str, _LastWord] = {}
        #: state and reason of each sink as they were told last
        self._told: dict[str, tuple[object, object]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._status: dict[str, dict[str, Any]] = {}
        self._cursors: dict[str, int] = {}
        self._spans = spans
        self._chores = chores
        self._kept = Cursors(chores, CURSOR)
        self._failed: dict[str, dict[str, str]] = {}

    @classmethod
    def of(
        cls, settings: Settings, chores: Chores, changed: Callable[[], None], spans: EventSpans | None = None
    ) -> Self:
        """The sinks of a bridge, for the part of the users that is its own."""
        part = BridgePart.of(settings)
        command = (sys.executable, "-m", _WORKER, "--registry", str(part.registry), "--shard", part.shard.text)
        return cls(settings.paths.root, chores=chores, changed=changed, spans=spans, command=command)

    def status(self) -> list[dict[str, Any]]:
        """The last word of each sink: state, since when, reason, cursor, lag and counts; and its silence."""
        return [self._as_of_now(name) for name in sorted(self._status)]

    def summary(self) -> list[dict[str, str]]:
        """Name, state and reason of each sink, for ``bridge/{bridge}/status``."""
        return [{key: status[key] for key in ("sink", "state", "reason")} for status in self.status()]

    async def run(self) -> None:
        """Look for sinks and keep their processes running, for ever."""
        # Another bridge may have shipped since this one did: what was heard then is not where sinks are.
        self._cursors.clear()
        self._kept = Cursors(self._chores, CURSOR)
        loop = asyncio.get_running_loop()
        kept = loop.time()
        try:
            while True:
                try:
                    self._look()
                except (HealthSyncError, OSError) as error:
                    log.error("ship.sinks_unreadable", error=error)  # noqa: TRY400 - no traceback
                await asyncio.sleep(_LOOK_S)
                if loop.time() - kept >= _KEEP_S:
                    kept = loop.time()
                    self.keep_positions()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), *self._ending, return_exceptions=True)
            self._tasks.clear()
            self._status.clear()
            self._told.clear()

    def keep_positions(self) -> None:
        """Write down how far the sinks are, where that changed."""
        self._kept.keep()

    def _look(self) -> None:
        for task in self._tasks.values():
            if task.done():
                task.result()  # a defect: nobody would keep that sink running
        self._tell_changes()
        names = set(self._sinks.names())
        for name in names - self._tasks.keys():
            self._tasks[name] = asyncio.create_task(self._keep_running(name), name=f"bridge.ship.{name}")
        for name in self._tasks.keys() - names:
            task = self._tasks.pop(name)
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            self._status.pop(name, None)
            self._told.pop(name, None)
            self.on_change()

    async def _keep_running(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        wait = _FIRST_WAIT_S
        while True:
            started = loop.time()
            try:
                code = await self._run_once(name)
            except (
                HealthSyncError,
                OSError,
                ValueError,
                KeyError,
                TypeError,
            ) as error:  # no process to be had, or it talks nonsense
                log.error("ship.process_failed", sink=name, error=error)  # noqa: TRY400 - no traceback
                code = -1
            if code == 0 or loop.time() - started > _STEADY_S:
                wait = _FIRST_WAIT_S
            else:
                self._heard(name, {"status": self._why(name, code)})
                log.warning("ship.process_ended", sink=name, code=code, again_in_s=wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _MOST_WAIT_S)

    async def _run_once(self, name: str) -> int:
        """One run of the process; its exit code."""
        async with own_process(*self._command, str(self._data), name, stop_s=_STOP_S) as process:
            attending = asyncio.create_task(_attend(process), name=f"bridge.ship.{name}.attend")
            try:
                while line := await self._listen(name, process):
                    message = _message(line)
                    self._words[name] = _LastWord(self._clock(), self._now_us(), str(message.get("asks", "")))
                    self._heard(name, message)
            finally:
                self._words.pop(name, None)
                attending.cancel()
                await asyncio.gather(attending, return_exceptions=True)
            return await process.wait()

    async def _listen(self, name: str, process: asyncio.subprocess.Process) -> bytes:
        """Its next line; empty at its end, which is brought about when it has hung too long."""
        assert process.stdout
        limit_s = self._silence_s + self._sinks.get(name).timeout_s
        reading = asyncio.create_task(process.stdout.readline(), name=f"bridge.ship.{name}.read")
        try:
            if not (await asyncio.wait({reading}, timeout=limit_s))[0]:
                log.warning("ship.process_hangs", sink=name, silent_s=limit_s)
                word = self._words.pop(name, None)
                since = iso(word.at_us if word else self._now_us() - round(limit_s * 1e6))
                self._heard(name, {"status": _hung(self._status.get(name, {}), name, since)})
                if not (await asyncio.wait({reading}, timeout=limit_s))[0]:
                    process.kill()
            return await reading
        finally:
            reading.cancel()

    def _why(self, name: str, code: int) -> dict[str, Any]:
        """The status of a process that has ended: what it said last about it, else its exit code."""
        said = self._failed.pop(name, None)
        broken = _broken(name, code, self._cursors.get(name, 0)) | (said or {})
        before = self._status.get(name, {})
        as_before = all(before.get(key) == broken[key] for key in ("state", "reason"))
        return broken | {"since": before["since"] if as_before else iso(self._now_us())}

    def _heard(self, name: str, message: dict[str, Any]) -> None:
        if "cursor" in message:
            cursor = int(message["cursor"])
            before = self._cursors.get(name)
            if before != cursor:
                if self._spans is not None and before is not None:
                    self._spans.shipped(self._sinks.get(name).kind, before, cursor)
                self._cursors[name] = cursor
                self._kept.move(name, cursor)
        if "failed" in message:
            self._failed[name] = message["failed"]
        if "status" in message:
            self._status[name] = message["status"]
            self._tell_changes()

    def _tell_changes(self) -> None:
        """Say so when a sink's state or reason has become another one, by a word of its process or by none."""
        shown = {name: self._as_of_now(name) for name in self._status}
        now = {name: (each.get("state"), each.get("reason")) for name, each in shown.items()}
        if now != self._told:
            self._told = now
            self.on_change()

    def _as_of_now(self, name: str) -> dict[str, Any]:
        """What its process said last; what it waits for, once that is a while ago."""
        status, word = self._status[name], self._words.get(name)
        if word is None or self._clock() - word.at < self._quiet_s:
            return status
        since = iso(word.at_us)
        return _unanswered(status, name, word.asks, since) if word.asks else _hung(status, name, since)


async def _attend(process: asyncio.subprocess.Process) -> None:
    """Tell a process again and again that the service is there; from before it can ask."""
    assert process.stdin
    with contextlib.suppress(ConnectionError):  # it has ended, which is noticed elsewhere
        while True:
            process.stdin.write(b"\n")
            await process.stdin.drain()
            await asyncio.sleep(_ATTEND_S)


def _message(line: bytes) -> dict[str, Any]:
    """What a process says; ValueError for anything that is not of its form."""
    message = json.loads(line)
    if not isinstance(message, dict) or not all(isinstance(message.get(key, {}), dict) for key in ("status", "failed")):
        raise ValueError("it says what no process of a sink says")
    return message


def _broken(name: str, code: int, cursor: int) -> dict[str, Any]:
    return {
        "sink": name,
        "state": "failed",
        "reason": "process_ended",
        "message": f"its process ended with {code}",
        "fix": "look at the service's log for sink.stopped",
        "cursor": cursor,
    }


def _unanswered(last: dict[str, Any], name: str, asks: str, since: str) -> dict[str, Any]:
    return {"sink": name, "cursor": 0} | last | {
        "state": "waiting",
        "since": since,
        "reason": "no_answer_yet",
        "message": f"its server was asked {_ASKED.get(asks, 'something')} at {since} and has not answered",
        "fix": "it is given up after the sink's timeout_s and tried again; is the server overloaded, or the way to it?",
    }  # fmt: skip


def _hung(last: dict[str, Any], name: str, since: str) -> dict[str, Any]:
    known = {key: value for key, value in last.items() if key != "lag"}  # which nobody knows now
    return {"sink": name, "cursor": 0} | known | {
        "state": "hung",
        "since": since,
        "reason": "process_hangs",
        "message": f"its process has said nothing since {since}",
        "fix": "it is killed and started again soon; is the machine overloaded, or the process stopped?",
    }  # fmt: skip
