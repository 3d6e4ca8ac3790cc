"""What a sealed log costs: floods of a service whose log is sealed, in turns with one whose log is not."""

import statistics
from typing import Any

import psutil

from tests.support.bench.load import flood_for, stored_events
from tests.support.bench.result import Result
from tests.support.bench.setting import Setting, progress
from tests.support.identities import logins
from tests.support.service import Service

KINDS = (("single", 1, 500, 0.85), ("batch", 50, 20, 0.8))


def sealed(setting: Setting) -> list[Result]:
    """Rates beside each other, since those of one run say nothing of another hour's; and processor time an event.

    Turns are short and many, and each begins with the other of the two: what else the machine does falls on both alike.
    """
    plain, closed = setting.data("sealed-plain"), setting.data("sealed-rows")
    who = {data: logins(data, users=1, devices=10) for data in (plain, closed)}
    results = []
    with (
        Service(plain, env={"HEALTHSYNC_STORAGE__ENCRYPTION": "none"}) as open_log,
        Service(closed, env={"HEALTHSYNC_STORAGE__ENCRYPTION": "rows"}) as sealed_log,
    ):
        for name, events, window, least in KINDS:
            ratios, costs, found = [], [], []
            for turn in range(max(setting.repeats, 3) * 2):
                measured = {}
                for service in (open_log, sealed_log) if turn % 2 else (sealed_log, open_log):
                    measured[service.data] = _flooded(
                        setting, service, who[service.data], f"{name}{turn}", (events, window)
                    )
                rates, spent = zip(measured[plain], measured[closed], strict=True)
                ratios.append(rates[1] / rates[0])
                costs.append(spent[1] / spent[0])
                found.append({"rates": rates, "cpu_us_an_event": spent})
                progress(f"  {name}: {rates[1]:,.0f} events/s, {ratios[-1]:.2f} of plain; processor {costs[-1]:.2f}")
            results.append(
                Result(
                    row="sealed",
                    work=f"{'batches of 50' if events > 1 else 'single events'}, sealed, of those that are not",
                    unit="x",
                    values=ratios,
                    target=f"≥ {least}",
                    met=statistics.median(ratios) >= least,
                    note=f"processor time an event {statistics.median(costs):.2f} x",
                    detail={"turns": found},
                )
            )
    return results


def _flooded(setting: Setting, service: Service, who: Any, run: str, shape: tuple[int, int]) -> tuple[float, float]:
    """Events a second, and microseconds of processor time that the service took for one."""
    events, window = shape
    process, before = psutil.Process(service.pid), stored_events(service.data)
    began = sum(process.cpu_times()[:2])
    found = flood_for(
        setting.seconds / 2, service.mqtt, who, run, guess=20_000 / events, events_per_message=events, window=window
    )
    gained = stored_events(service.data) - before
    spent = sum(process.cpu_times()[:2]) - began
    assert gained == found["events"] + found["trial_events"], f"{gained} of {found['events']} events are stored"
    return found["events_per_second"], spent / gained * 1e6


ROWS = {"sealed": sealed}
