"""What reading an archive takes on one core: Apple's export from its bytes to events, beside the XML parser alone."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.parsers import expat

from healthsync_mqtt.testing.apple_export import AppleExport
from tests.support.bench.load import ROOT
from tests.support.bench.result import Result
from tests.support.bench.setting import Setting, progress

_HOURS, _HOURS_OF_A_GB = 1_500, 23_000
_CHUNK = 1 << 18


def imports(setting: Setting) -> list[Result]:
    """Processor time, so that what else runs on the machine counts as little as can be.

    Each reading is in a process of its own, whose memory is its own too. A tenth of the hours is read before: it warms
    the program up, and the whole is not to hold much more.
    """
    tenth = AppleExport((_HOURS_OF_A_GB if setting.full else _HOURS) // 10).write_xml(setting.directory / "tenth.xml")
    path = AppleExport(_HOURS_OF_A_GB if setting.full else _HOURS).write_xml(setting.directory / "export.xml")
    megabytes = path.stat().st_size / 1e6
    rates, floors, held, held_before, events = [], [], [], [], 0
    for _ in range(setting.repeats):
        before, found = _read(tenth, path)
        events = found["events"]
        held_before.append(before["held"] / 1e6)
        held.append(found["held"] / 1e6)
        rates.append(megabytes / found["cpu_s"])
        floors.append(megabytes / _parsed_alone(path))
        progress(f"  {rates[-1]:.1f} MB/s, {held[-1]:.0f} MB of memory, the parser alone {floors[-1]:.1f} MB/s")
    return [
        Result(
            row="imports",
            work=f"an Apple Health export of {megabytes:,.0f} MB read, to {events:,} events",
            unit="MB/s",
            values=rates,
            target="≥ 40 MB/s of XML on one core",
            met=min(rates) >= 40,
            floor=sorted(floors)[len(floors) // 2],
            note=(
                f"at most {max(held):.0f} MB of memory, {max(held_before):.0f} MB for a tenth of it; "
                "floor: expat with empty handlers over the same bytes"
            ),
            detail={"held_mb": held, "held_for_a_tenth_mb": held_before},
        )
    ]


def _read(*files: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "tests.support.bench.one_reading", *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _parsed_alone(path: Path) -> float:
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda _name, _attributes: None
    parser.EndElementHandler = lambda _name: None
    began = time.process_time()
    with path.open("rb") as file:
        head = file.read(_CHUNK)
        parser.Parse(head[: head.find(b"<!DOCTYPE")] + head[head.find(b"]>") + 2 :])
        while chunk := file.read(_CHUNK):
            parser.Parse(chunk.replace(b"\x0b", b""))
    return time.process_time() - began


ROWS = {"imports": imports}
