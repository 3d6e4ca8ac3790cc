"""The process that makes one scheduled backup. ``bridge.jobs.backups`` starts it, lowly from its first moment.

A process of its own, because copying and digesting hold the interpreter. It says one JSON line on stdout:
``{"made": {…}}`` or ``{"failed": {…}}``. When stdin ends the service is gone and so is this process, at once: what it
wrote is no set yet.
"""

import argparse
import time
from pathlib import Path
from typing import Any

from healthsync_mqtt.backup.calendar import RetentionCalendar, kept
from healthsync_mqtt.backup.creation import make_backup
from healthsync_mqtt.backup.keyfile import write_keys
from healthsync_mqtt.backup.place import BackupDirectory
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.telemetry.parent import end_with_parent, tell


def main(arguments: list[str]) -> int:
    """Make one set, and take away those that are not kept any longer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys-file", type=Path)
    parser.add_argument("--topics-file", type=Path)
    for name in RetentionCalendar._fields:
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("data", type=Path)
    parser.add_argument("directory", type=Path)
    said = parser.parse_args(arguments)
    end_with_parent()
    try:
        tell({"made": _scheduled(said)})
    except HealthSyncError as error:
        tell({"failed": {"reason": error.reason, "message": str(error), "fix": error.hint}})
        return error.exit_code
    return 0


def _scheduled(said: argparse.Namespace) -> dict[str, Any]:
    began = time.monotonic()
    now_us = time.time_ns() // 1000
    directory = BackupDirectory.make(said.directory)
    made = make_backup(said.data, directory, now_us=now_us, topics_file=said.topics_file)
    if said.keys_file is not None:
        write_keys(said.data, said.keys_file, now_us)
    keeping = RetentionCalendar(*(getattr(said, name) for name in RetentionCalendar._fields))
    with directory.alone():
        sets = {name: directory.read_set(name).made_us for name in directory.ids()}
        going = sets.keys() - kept(sets, keeping)
        if going:
            directory.remove_sets(going)
            directory.sweep()
    return {
        "set": made.made.id,
        "made_us": made.made.made_us,
        "bytes": made.made.size,
        "copied_bytes": made.copied,
        "sets": len(sets) - len(going),
        "seconds": round(time.monotonic() - began, 3),
    }
