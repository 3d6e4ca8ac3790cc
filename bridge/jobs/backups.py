"""Backups on a schedule: one process for each, started here; what it said last is in the status.

When a set is due is read off the directory itself, so that neither a restart nor a set that somebody made by hand
changes the rhythm. A failure is tried again sooner, and told until one works.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from bridge.own_process import own_process
from healthsync_mqtt.backup.place import BackupDirectory, misplaced
from healthsync_mqtt.config.sections import BackupSettings
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.errors import ConfigError, HealthSyncError, NotFoundError
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.parent import UNHURRIED

log = get_logger("backup")

_PROGRAM: Final = f"""\
import os, sys
os.nice({UNHURRIED})
from healthsync_mqtt.backup.worker import main
sys.exit(main(sys.argv[1:]))
"""
_COMMAND: Final = (sys.executable, "-c", _PROGRAM)
_FIRST_WAIT_S: Final = 60.0
_STOP_S: Final = 2.0


class BackupState(StrEnum):
    """What the schedule does."""

    #: until the next set is due
    waiting = "waiting"
    running = "running"
    #: the last one failed, and is tried again
    failed = "failed"


class Backups:
    """The schedule of one service. ``run`` is a task of it."""

    def __init__(
        self,
        data: Path,
        settings: BackupSettings,
        topics_file: Path | None,
        *,
        command: tuple[str, ...] = _COMMAND,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        """``settings`` name a directory."""
        assert settings.directory is not None
        self._directory = settings.directory
        self._every_us = int(settings.every_s * 1_000_000)
        self._clock_us = clock_us
        keys = () if settings.keys_file is None else ("--keys-file", str(settings.keys_file))
        topics = () if topics_file is None else ("--topics-file", str(topics_file))
        kept = (f"--{name}={getattr(settings, name)}" for name in ("hourly", "daily", "weekly"))
        self._command = (*command, *keys, *topics, *kept, str(data), str(self._directory))
        self._began_us = clock_us()
        self.state = BackupState.waiting
        self._made_us = 0
        self._said: dict[str, Any] = {}
        self._failures = 0

    @classmethod
    def of(cls, settings: Settings) -> "Backups | None":
        """The schedule that the settings ask for; None: they ask for none.

        ConfigError: it would leave out the log, or lie where it is lost or erased with the data, or beside its keys.
        """
        if settings.backup.directory is None:
            return None
        if settings.storage.url:
            raise ConfigError(
                "backup.directory is for a log in the data directory, and storage.url names a server",
                hint="back up the database with its own tools (pg_basebackup, pg_dump), and remove backup.directory",
            )
        wrong = misplaced(settings.data, settings.backup.directory, settings.backup.keys_file)
        if wrong is not None:
            raise ConfigError(f"backup: {wrong.message}", hint=wrong.hint)
        return cls(settings.data, settings.backup, settings.topics_file)

    def report(self) -> dict[str, Any]:
        """State, seconds since the last set (before the first: since the start), failures in a row, the last word."""
        since_us = self._made_us or self._began_us
        return {
            "state": self.state.value,
            "directory": str(self._directory),
            "age_s": round(max(0, self._clock_us() - since_us) / 1e6, 3),
            "failures": self._failures,
            **self._said,
        }

    async def run(self) -> None:
        """Make sets for ever."""
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                self._made_us = await asyncio.to_thread(newest_us, self._directory) or self._made_us
            except (HealthSyncError, OSError) as error:
                self._failed({"reason": "backup_unreadable", "message": str(error)})
            else:
                due_us = self._made_us + self._every_us if self._made_us else 0
                # A set of the future is of a clock that was wrong: it holds nothing up.
                if self._every_us >= (left_us := due_us - self._clock_us()) > 0:
                    # A clock that was set is seen at the latest after this.
                    await asyncio.sleep(min(left_us / 1e6, _FIRST_WAIT_S))
                    continue
                if await self._once():
                    wait_s = _FIRST_WAIT_S
                    continue
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, self._every_us / 1e6)

    async def _once(self) -> bool:
        """Make one; whether there is one."""
        self.state = BackupState.running
        try:
            async with own_process(*self._command, stop_s=_STOP_S) as process:
                assert process.stdout
                said = json.loads(await process.stdout.readline())
        except (OSError, ValueError) as error:
            self._failed({"reason": "process_ended", "message": f"its process made no set: {type(error).__name__}"})
            return False
        if "made" not in said:
            self._failed(said.get("failed", {"reason": "process_ended", "message": "its process made no set"}))
            return False
        made = said["made"]
        self._made_us, self._said, self._failures = int(made["made_us"]), made, 0
        self.state = BackupState.waiting
        log.info("backup.made", **made)
        return True

    def _failed(self, why: dict[str, Any]) -> None:
        self.state, self._said = BackupState.failed, why
        self._failures += 1
        if self._failures == 1:
            log.error("backup.failed", **why)


def newest_us(directory: Path) -> int:
    """When the newest set of a directory was made; 0: it has none, or there is no such directory yet."""
    try:
        place = BackupDirectory.open(directory)
    except NotFoundError:
        return 0
    names = place.ids()
    return place.read_set(names[-1]).made_us if names else 0
