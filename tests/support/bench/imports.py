"""What reading an archive takes on one core: Apple's export from its bytes to events, beside the XML parser alone."""

import time
from pathlib import Path
from xml.parsers import expat

from healthsync_mqtt.imports.catalogue import read_all
from healthsync_mqtt.imports.port import Read, Whose
from healthsync_mqtt.testing.apple_export import AppleExport
from tests.support.bench.result import Result
from tests.support.bench.setting import Setting, progress

_HOURS, _HOURS_OF_A_GB = 1_500, 23_000
_CHUNK = 1 << 18


def imports(setting: Setting) -> list[Result]:
    """Processor time, so that what else runs on the machine counts as little as can be."""
    path = AppleExport(_HOURS_OF_A_GB if setting.full else _HOURS).write_xml(setting.directory / "export.xml")
    megabytes = path.stat().st_size / 1e6
    rates, floors, events = [], [], 0
    for _ in range(setting.repeats):
        began = time.process_time()
        events = sum(isinstance(item, Read) for item in read_all(path, Whose("alice", "phone")))
        rates.append(megabytes / (time.process_time() - began))
        floors.append(megabytes / _parsed_alone(path))
        progress(f"  {rates[-1]:.1f} MB/s, the parser alone {floors[-1]:.1f} MB/s")
    return [
        Result(
            row="imports",
            work=f"an Apple Health export of {megabytes:,.0f} MB read, to {events:,} events",
            unit="MB/s",
            values=rates,
            target="≥ 40 MB/s of XML on one core",
            met=min(rates) >= 40,
            floor=sorted(floors)[len(floors) // 2],
            note="floor: expat with empty handlers over the same bytes",
        )
    ]


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
