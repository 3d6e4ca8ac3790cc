"""Ten thousand links on one worker: what it holds, how often it wakes, how fast it asks, whether a slow one delays."""

import asyncio
import contextlib
import json
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import SystemRandom
from typing import Any
from urllib.parse import urlsplit

from healthsync_mqtt.adapters.catalogue import shipped
from healthsync_mqtt.adapters.cloud import CloudClient, Tokens
from healthsync_mqtt.adapters.fetch import CommittedEvents
from healthsync_mqtt.adapters.links import LinkBook
from healthsync_mqtt.adapters.ready_adapters import ReadyAdapter
from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest
from healthsync_mqtt.adapters.worker import AdapterWorker
from healthsync_mqtt.cloud_links.flights import Flights
from healthsync_mqtt.cloud_links.former_links import PartingBook
from healthsync_mqtt.cloud_links.inbox import NoticeInbox
from tests.support.adapter_child import Everybody
from tests.support.bench.result import Result
from tests.support.bench.setting import Setting, progress

PROVIDERS = ("withings", "oura", "whoop", "dexcom", "strava", "google_health", "polar")
SLOW = "oura"
_LINKS = 10_000
_SLOW_S = 2.0
_IDLE_S = 5.0


class Shelf:
    """Takes everything, and keeps nothing."""

    async def publish(self, user: str, provider: str, payload: bytes) -> CommittedEvents:
        """See ``adapters.fetch.EventOutlet``."""
        del user, provider
        return CommittedEvents(len(json.loads(payload)), 0, 0)

    async def retain(self, user: str, provider: str, state: dict[str, object]) -> None:
        """See ``adapters.worker.States``."""


class Clouds:
    """All providers at once: nothing is new anywhere, and one of them takes its time."""

    def __init__(self, slow_s: float) -> None:
        self._slow_s = slow_s
        self._turn = threading.Lock()
        self.asked: Counter[str] = Counter()

    def ask(self, request: CloudRequest) -> CloudAnswer:
        """See ``adapters.web.Web``."""
        provider = (urlsplit(request.url).hostname or "").partition(".")[0].replace("-", "_")
        with self._turn:
            self.asked[provider] += 1
        if provider == SLOW and self._slow_s:
            time.sleep(self._slow_s)
        body = b'{"status": 0, "body": {}}' if provider == "withings" else b"[]" if provider == "strava" else b"{}"
        return CloudAnswer(status=200, body=body)


def _ready() -> dict[str, ReadyAdapter]:
    found = {}
    for name in PROVIDERS:
        adapter = shipped(name)
        assert adapter.cloud is not None
        adapter = replace(adapter, capability=replace(adapter.capability, budgets=(), history_days=None))
        cloud = replace(adapter.cloud, base_url=f"https://{name.replace('_', '-')}.example", account=None, enrol=None)
        found[name] = ReadyAdapter(adapter, cloud, CloudClient("c", "s"), poll_s=3_600.0)
    return found


def _worked(data: Path, slow_s: float, until: Callable[[AdapterWorker, Clouds], bool], idle_s: float) -> dict[str, Any]:
    """A worker until something is so, and what it cost."""
    clouds = Clouds(slow_s)

    async def run() -> dict[str, Any]:
        with (
            LinkBook.open(data) as book,
            PartingBook.open(data) as partings,
            NoticeInbox.open(data) as inbox,
            contextlib.closing(Flights(data)) as flights,
        ):
            worker = AdapterWorker(
                _ready(), book=book, partings=partings, inbox=inbox, people=Everybody(), flights=flights, web=clouds,
                outlet=Shelf(), rng=SystemRandom(),
            )  # fmt: skip
            began = time.monotonic()
            running = asyncio.create_task(worker.run())
            while not until(worker, clouds):  # noqa: ASYNC110  # figures of the worker
                await asyncio.sleep(0.05)
            seconds = time.monotonic() - began
            looks, cpu = worker.looks, time.process_time()
            if idle_s:
                await asyncio.sleep(idle_s)
            found = {
                "seconds": seconds,
                "fetched": worker.fetched,
                "asked": dict(clouds.asked),
                "idle_looks_s": (worker.looks - looks) / idle_s if idle_s else 0.0,
                "idle_cpu_percent": (time.process_time() - cpu) / idle_s * 100 if idle_s else 0.0,
                "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
            running.cancel()
            worker.close()
            await asyncio.gather(running, return_exceptions=True)
            return found

    return asyncio.run(run())


def _child(data: Path, links: int, mode: str) -> dict[str, Any]:
    """In a process of its own, so that its memory is the worker's."""
    if mode == "round":
        return _worked(data, 0.0, lambda worker, _: worker.fetched >= links, _IDLE_S)
    others = links - links // len(PROVIDERS) - 1
    return _worked(data, _SLOW_S, lambda worker, _: worker.fetched >= others, 0.0)


def _filled(data: Path, links: int) -> None:
    now_us = time.time_ns() // 1000
    with LinkBook.open(data) as book:
        book._db.execute("PRAGMA synchronous=OFF")
        tokens = Tokens("access", "refresh", now_us + 10**13, account="x")
        for number in range(links):
            who = f"u{number // len(PROVIDERS)}"  # each has a key of its own: making one takes longer than a link
            book.agree(who, PROVIDERS[number % len(PROVIDERS)], tokens, "all", now_us)


def _again(data: Path) -> None:
    with LinkBook.open(data) as book:
        book._db.execute("UPDATE links SET due_us = 0")


def clouds(setting: Setting) -> list[Result]:
    """Every link is fetched once where nothing is new; then once more while one cloud takes two seconds a request."""
    links = _LINKS if setting.full else 1_000
    data = setting.data("clouds")
    progress(f"  making {links:,} links")
    _filled(data, links)
    whole = _run(data, links, "round")
    progress(f"  {whole}")
    _again(data)
    slow = _run(data, links, "slow")
    progress(f"  {slow}")
    others = links - links // len(PROVIDERS) - 1
    requests = sum(whole["asked"].values())
    return [
        Result(
            row="clouds",
            work=f"{links:,} links of {len(PROVIDERS)} clouds are each asked what is new, on one worker",
            unit="links/s",
            values=[links / whole["seconds"]],
            target="≥ 12 (each link within 15 min)",
            met=links / whole["seconds"] >= 12,
            note=f"{requests / whole['seconds']:,.0f} requests/s; RSS {whole['rss_mb']:,.0f} MB",
            detail=whole,
        ),
        Result(
            row="clouds",
            work="the same worker with nothing due: CPU of one core",
            unit="%",
            values=[whole["idle_cpu_percent"]],
            target="≤ 2 %",
            met=whole["idle_cpu_percent"] <= 2,
            note=f"{whole['idle_looks_s']:.1f} looks/s, 4 wake-ups/s",
        ),
        Result(
            row="clouds",
            work=f"the links of the other clouds while {SLOW} takes {_SLOW_S:.0f} s a request, of the time without",
            unit="x",
            values=[slow["seconds"] / (whole["seconds"] * others / links)],
            target="≤ 1.5",
            met=slow["seconds"] / (whole["seconds"] * others / links) <= 1.5,
        ),
    ]


def _run(data: Path, links: int, mode: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.support.bench.clouds", str(data), str(links), mode]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


ROWS = {"clouds": clouds}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(_child(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])) + "\n")
