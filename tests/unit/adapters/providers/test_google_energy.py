"""What Google has of all energy is of hours that are over: it has no list of it, and each hour is one event."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest
from tests.support.clouds import answer
from tests.unit.adapters.test_fetch import NOW_US, Rig

ROLL_UP = "/v4/users/me/dataTypes/total-calories/dataPoints:rollUp"
DAY_S = 86_400


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def text(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Burnt:
    """Google, with so much an hour; two hours a page."""

    def __init__(self, here: Rig) -> None:
        self.asked: list[tuple[int, int]] = []
        self.kcal: dict[int, float] = {}
        self._ask = here.cloud.ask
        here.cloud.ask = self.ask  # type: ignore[method-assign]

    def ask(self, request: CloudRequest) -> CloudAnswer:
        if urlsplit(request.url).path != ROLL_UP:
            return self._ask(request)
        assert (request.method, request.headers["Content-Type"]) == ("POST", "application/json")
        document: dict[str, Any] = json.loads(request.body or b"")
        assert document["windowSize"] == "3600s"
        start, end = (seconds(document["range"][each]) for each in ("startTime", "endTime"))
        self.asked.append((start, end))
        hours = [hour for hour in sorted(self.kcal) if start <= hour < end]
        at = int(document.get("pageToken", 0))
        points = [
            {"startTime": text(hour), "endTime": text(hour + 3_600), "totalCalories": {"kcalSum": self.kcal[hour]}}
            for hour in hours[at : at + 2]
        ]
        return answer(200, {"rollupDataPoints": points} | ({"nextPageToken": str(at + 2)} if hours[at + 2 :] else {}))


def test_each_hour_is_one_event_though_it_is_asked_for_again_and_revised(rig: Callable[..., Rig]) -> None:
    here = rig("google_health", 30)
    here.now_us = NOW_US - 7_200_000_000
    here.link()
    google = Burnt(here)
    hour = here.now_us // 1_000_000 // 3_600 * 3_600
    google.kcal = {hour - number * 3_600: 60.0 + number for number in range(6)} | {hour - 20 * DAY_S: 99.0}
    here.sync()
    energy = here.log.told("energy_total")
    assert [each["kcal"] for each in energy] == [99, 65, 64, 63, 62, 61], "the hour that is not over is not there"
    google.kcal[hour - 3_600] = 71.5
    here.now_us += 3_600_000_000
    here.sync()
    assert [each["kcal"] for each in here.log.told("energy_total")][-3:] == [62, 71.5, 60]
    assert len(here.log.told("energy_total")) == 7
    assert all(start % 3_600 == end % 3_600 == 0 and 0 < end - start <= 14 * DAY_S for start, end in google.asked)
