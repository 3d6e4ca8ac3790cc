"""SIGHUP: what changes while the service runs, what waits, and that nothing of it ends the service."""

import asyncio
from pathlib import Path
from typing import Any

from bridge.process import reload_on
from bridge.reload import CHANGEABLE, changes
from healthsync_mqtt.config.settings import Settings, load_settings
from healthsync_mqtt.testing.log_items import item
from tests.unit.bridge.bench import Bench, delivery, event
from tests.unit.bridge.follow.test_retention import OLD_US, sweeper


def settings(path: Path, **changed: object) -> Settings:
    return load_settings(path / "data", dict(changed))


def test_what_counts_now_and_what_at_the_next_start(tmp_path: Path) -> None:
    before = settings(tmp_path)
    assert changes(before, settings(tmp_path)).now == ()
    after = settings(
        tmp_path,
        **{
            "log.level": "debug",
            "events.max_string": 64,
            "limits.device_events_per_day": 7,
            "limits.max_packet": 9_999,
            "broker.mqtt_port": 1,
        },
    )
    found = changes(before, after)
    assert set(found.now) == {"log.level", "events.max_string", "limits.device_events_per_day"}
    assert set(found.at_next_start) == {"limits.max_packet", "broker.mqtt_port"}


def test_every_changeable_setting_exists(tmp_path: Path) -> None:
    values = settings(tmp_path).model_dump()
    for name in CHANGEABLE:
        found = values
        for part in name.split("."):
            assert part in found, name
            found = found[part]


async def test_whatever_a_reading_ends_with_the_next_one_counts(tmp_path: Path) -> None:
    given, answers = settings(tmp_path), iter((ZeroDivisionError(), PermissionError(), None))

    class Reloaded:
        def __init__(self) -> None:
            self.seen: asyncio.Queue[Settings] = asyncio.Queue()

        async def reload(self, found: Settings) -> None:
            await self.seen.put(found)

    def reread() -> Settings:
        if (error := next(answers)) is not None:
            hung_up.set()  # and again
            raise error
        return given

    service: Any = Reloaded()
    hung_up = asyncio.Event()
    hung_up.set()
    reloading = asyncio.create_task(reload_on(service, hung_up, reread))
    first = asyncio.create_task(service.seen.get())
    await asyncio.wait((reloading, first), return_when=asyncio.FIRST_COMPLETED)
    assert not reloading.done()
    assert first.result() is given
    reloading.cancel()


async def test_retention_goes_by_other_days_at_once() -> None:
    bench = Bench()
    try:
        bench.log.stage([item("old", start_us=OLD_US)], [], 1)
        bench.log.commit()
        retention = sweeper(bench, days={})
        while await retention.step():
            pass
        retention.use({"heart_rate": 30})
        while await retention.step():
            await bench.settle()
        assert bench.log.reader().read(0, 10, history=True) == []
    finally:
        bench.close()


async def test_events_are_held_to_the_newer_limits() -> None:
    from bridge.decode.delivery import Limits

    bench = Bench()
    try:
        long = event("a", device={"model": "m" * 100})
        bench.pipeline.limits = Limits(max_string=64)
        bench.pipeline.submit([delivery(bench.source(), 1, long)])
        await bench.settle()
        assert bench.ids() == []
        bench.pipeline.limits = Limits()
        bench.pipeline.submit([delivery(bench.source(), 2, long)])
        await bench.settle()
        assert bench.ids() == ["a"]
    finally:
        bench.close()
