"""How soon a year of somebody's minutes is a picture in a browser, and how it moves under a finger."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.storage.opening import open_log
from healthsync_mqtt.storage.port import Item
from healthsync_mqtt.testing.log_items import item
from tests.support.bench.result import Result
from tests.support.bench.setting import Setting, progress
from tests.support.gateway import Browser
from tests.support.service import Service
from tests.support.web import Web

WEB = Path(__file__).parents[3] / "clients" / "web"
TYPES = {
    "heart_rate": ("bpm", 40, 150),
    "spo2": ("percent", 90, 100),
    "respiratory_rate": ("breaths_per_minute", 10, 24),
    "skin_temperature": ("celsius", 30, 37),
    "hrv_rmssd": ("ms", 15, 120),
    "stress": ("score", 0, 100),
}
_POINTS = 500_000
_AT_ONCE = 10_000
_YEAR_US = 365 * 86_400_000_000
_TARGET_MS = 1_500
_DAYS = 360
_LOOKS = 1_200
_FRAMES = 50


def year(setting: Setting) -> list[Result]:
    """500,000 points of six types: each is opened over the year in Chromium, and the picture is dragged."""
    data = setting.data("pictures")
    end = datetime.now(UTC) - timedelta(hours=1)
    progress(f"  filling {_POINTS:,} points")
    with DataDirectory(data).registry() as registry:
        registry.add_user("alice", "all", 1)
    with open_log(data) as log:
        points = _points(int(end.timestamp()) * 1_000_000 - _YEAR_US)
        while part := list(islice(points, _AT_ONCE)):
            log.stage(part, [], time.time_ns() // 1000)
            log.commit()
    with Service(data, "--http-port", "0") as service:
        web = Web(service.ready["http"], service.ca_file)
        browser = Browser(web)
        browser.post(service.cli("user", "invite", "alice")[0]["url"].removeprefix(web.url))
        since = (end - timedelta(days=364)).date().isoformat()
        for _ in range(_LOOKS):  # all is read before the first day is worked out
            if _worked_out(browser, since) > _DAYS:
                break
            time.sleep(1.0)
        else:
            raise AssertionError("its days are not worked out")
        progress("  its days are worked out")
        link = service.cli("user", "invite", "alice")[0]["url"]
        told = _paced(link)
    shown, frames = [each["shown_ms"] for each in told], [each["frames_per_s"] for each in told]
    return [
        Result(
            row="pictures",
            work="a year of a type, among 500,000 points of 6 types, is opened and drawn",
            unit="ms",
            values=shown,
            target=f"≤ {_TARGET_MS:,} ms",
            met=max(shown) <= _TARGET_MS,
            note=f"all six one after the other: {sum(shown):,.0f} ms",
        ),
        Result(
            row="pictures",
            work="frames a second while it is dragged",
            unit="1/s",
            values=frames,
            target=f"≥ {_FRAMES}",
            met=min(frames) >= _FRAMES,
        ),
    ]


def _worked_out(browser: Browser, since: str) -> int:
    """Days of which every type is known."""
    days = browser.get(f"/v1/users/alice/summary?since={since}").json()["days"]
    return sum(set(day["types"]) >= set(TYPES) for day in days)


def _points(begin_us: int) -> Iterator[Item]:
    step_us = _YEAR_US * len(TYPES) // _POINTS
    for place in range(_POINTS // len(TYPES)):
        for name, (field, low, high) in TYPES.items():
            number = low + (place * 7919 + len(name) * 31) % (high - low)
            one = item(f"{name}-{place}", event_type=name, start_us=begin_us + place * step_us)
            yield one._replace(event=one.event._replace(body=b'{"value":{"%b":%d}}' % (field.encode(), number)))


def _paced(link: str) -> list[dict[str, Any]]:
    node = shutil.which("node")
    assert node is not None, "node is not installed"
    command = [node, str(WEB / "e2e" / "pace.mjs"), link, *TYPES]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    paced: list[dict[str, Any]] = json.loads(done.stdout)
    return paced


ROWS = {"pictures": year}
"""Rows of the benchmark by name."""
