"""The process of the insights: ``python -m healthsync_mqtt.insights --data DIR``.

When stdin ends the service is gone and so is this process. Each second it says on stdout that it works.
"""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Final

from healthsync_mqtt.config.settings import Settings, load_settings
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.insights import language_model
from healthsync_mqtt.insights.file import InsightFile
from healthsync_mqtt.insights.reports import WeeklyReports
from healthsync_mqtt.insights.worker import InsightWorker
from healthsync_mqtt.telemetry.log import configure, get_logger

log = get_logger("insights")

_NICE: Final = 10
_LOOK_S: Final = 1.0
_REPORT_S: Final = 5.0


async def work(settings: Settings) -> None:
    """Look at days until stdin ends."""
    worker = InsightWorker(settings.paths, now_us=lambda: time.time_ns() // 1000)
    tasks = [
        asyncio.create_task(_look(worker), name="insights.worker"),
        asyncio.create_task(_end_of_stdin(), name="insights.over"),
    ]
    if settings.insights.model.url:
        tasks.append(asyncio.create_task(_phrase(settings), name="insights.reports"))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()
    finally:
        worker.close()


async def _look(worker: InsightWorker) -> None:
    while True:
        try:
            more = await asyncio.to_thread(worker.step)
        except HealthSyncError as error:
            more = False
            log.warning("insights.step_failed", error=error)
        _say({"status": worker.status()})
        if not more:
            await asyncio.sleep(_LOOK_S)


async def _phrase(settings: Settings) -> None:
    """Have reports phrased, in a thread that nobody waits for: a model may take its time, and the end does not."""
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()

    def fail(error: BaseException) -> None:
        if not failed.done():  # nobody may wait any more
            failed.set_exception(error)

    def phrase() -> None:
        try:
            _phrase_for_ever(settings)
        except BaseException as error:  # noqa: BLE001  # it is raised where the process waits
            with contextlib.suppress(RuntimeError):  # it is at its end
                loop.call_soon_threadsafe(fail, error)

    threading.Thread(target=phrase, name="insights.reports", daemon=True).start()
    await failed


def _phrase_for_ever(settings: Settings) -> None:
    paths, model = settings.paths, settings.insights.model
    with InsightFile.open(paths.insights_db) as file, Registry.open(paths.registry_db) as registry:
        reports = WeeklyReports(model.name, partial(language_model.ask, model), registry, file)
        while True:
            try:
                more = reports.step(time.time_ns() // 1000)
            except HealthSyncError as error:
                more = False
                log.warning("insights.step_failed", error=error)
            if not more:
                time.sleep(_REPORT_S)


def _say(message: dict[str, object]) -> None:
    with contextlib.suppress(OSError):  # nobody listens: stdin ends, too
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


async def _end_of_stdin() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        pass


def main(arguments: list[str]) -> int:
    """The exit code is 0 after the end of stdin, and an error's own otherwise."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    said = parser.parse_args(arguments)
    try:
        settings = load_settings(said.data)
        configure(settings.log.level, settings.log.format)
        with contextlib.suppress(OSError):
            os.nice(_NICE)  # whatever else this machine does goes first
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        asyncio.run(work(settings))
    except HealthSyncError as error:
        log.error("insights.stopped", error=error)  # noqa: TRY400  # no traceback
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
