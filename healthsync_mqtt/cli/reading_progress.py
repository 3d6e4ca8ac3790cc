"""How far a file is read: a bar with rate and time left on a terminal, else a line now and then; on stderr."""

import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.progress_bar import bar
from healthsync_mqtt.imports.source import size_of

_SAID_EVERY_S: Final = 10.0
_DRAWN_EVERY_S: Final = 0.2


class ReadingProgress:
    """A statement around the reading of one file; ``moved`` and ``seen`` are called as it goes on.

    ``printed``: what is read goes to stdout.
    """

    def __init__(self, file: Path, *, printed: bool = False) -> None:
        self._name = file.name or str(file)
        self._total = size_of(file)
        self._printed = printed
        self._read = 0
        self._things = self._events = 0
        self._began = self._said = time.monotonic()
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        said = TextColumn("{task.fields[events]:,} events, {task.fields[rate]:,.0f}/s")
        name = TextColumn("{task.description}")
        self._bar = bar(name, BarColumn(), TransferSpeedColumn(), said, TimeRemainingColumn(), printed=self._printed)
        if self._bar is not None:
            self._task = self._bar.add_task(self._name, total=self._total or None, events=0, rate=0)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if kind is None:
            output.say(f"{self._name}: {self._events} events read in {time.monotonic() - self._began:.1f} s")

    def moved(self, count: int) -> None:
        """So many bytes more were read."""
        self._read += count

    def seen(self, *, event: bool) -> None:
        """One more thing was read: an event, or what becomes none."""
        self._things += 1
        self._events += event
        if self._things % 256:
            return
        now = time.monotonic()
        if now - self._said < (_SAID_EVERY_S if self._bar is None else _DRAWN_EVERY_S):
            return
        self._said = now
        rate = self._events / max(now - self._began, 0.001)
        read = min(self._read, self._total)
        if self._bar is not None:
            self._bar.update(self._task, completed=read, events=self._events, rate=rate)
            return
        left = (now - self._began) * (self._total - read) / read if read else 0
        percent = 100 * read // self._total if self._total else 0
        output.say(f"{self._name}: {percent} %, {self._events} events, {rate:.0f}/s, {left:.0f} s left")
