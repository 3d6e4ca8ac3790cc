"""Readings of archives, one after the other, in a process of their own: what each took, as a line of JSON."""

import json
import sys
import time
from pathlib import Path

from healthsync_mqtt.imports.catalogue import read_all
from healthsync_mqtt.imports.port import Read, Whose


def _most_held_bytes() -> int:
    """The most memory that this program had at once until now. ru_maxrss would be at least that of who started it."""
    (line,) = (each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    for name in sys.argv[1:]:
        began = time.process_time()
        events = sum(isinstance(item, Read) for item in read_all(Path(name), Whose("alice", "phone")))
        found = {"events": events, "cpu_s": time.process_time() - began, "held": _most_held_bytes()}
        sys.stdout.write(json.dumps(found) + "\n")
