"""How long what users' days come to takes to catch up with a log that it has not read yet."""

import time

from healthsync_mqtt.storage.opening import open_reader
from healthsync_mqtt.summaries.file import SummaryFile
from tests.support.bench.load import fill
from tests.support.bench.result import Result
from tests.support.bench.setting import Setting, progress

_EVENTS = 1_000_000
_ROWS = 2_000


def summaries(setting: Setting) -> list[Result]:
    """A million events of fifty users, read as the follower reads them, with every day worked out."""
    data = setting.data("summaries")
    progress(f"  filling {_EVENTS:,} events")
    fill(data / "events.db", _EVENTS)
    values, spent, days = [], [], 0
    for turn in range(setting.repeats if setting.full else 1):
        with open_reader(data) as reader, SummaryFile.open(data / f"summaries{turn}.db") as file:
            began, cpu = time.perf_counter(), time.process_time()
            file.begin_anew(reader.epoch)
            while file.seq < _EVENTS:
                found = reader.stretch(file.seq, _ROWS, look=_ROWS * 10)
                file.take(found.through, found.rows, {})
            progress(f"  read in {time.perf_counter() - began:.1f} s")
            days = 0
            while file.waiting:
                days += len(file.work_out(50, lambda _user, _type: 0))
            values.append(time.perf_counter() - began)
            spent.append(time.process_time() - cpu)
        progress(f"  {values[-1]:.1f} s, {days:,} days of a user and a type")
    return [
        Result(
            row="summaries",
            work="daily summaries catch up with 1 M events",
            unit="s",
            values=values,
            target="≤ 60 s",
            met=sorted(values)[len(values) // 2] <= 60,
            note=f"{min(spent):.1f} s of CPU; {days:,} days of a user and a type",
        )
    ]


ROWS = {"summaries": summaries}
