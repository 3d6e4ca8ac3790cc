"""Every query of the dashboard of a user's day runs on a real InfluxDB and finds the day that was shipped there."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import Influxd
from tests.support.sink import NOW_US, Rig, event, pulses

BOARDS = [Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards" / "users-day.json"]
_HOUR_US = 3_600_000_000


def queries(board: dict[str, Any]) -> list[tuple[str, str]]:
    return [(panel["title"], target["query"]) for panel in board["panels"] for target in panel["targets"]]


@pytest.mark.real_server
def test_every_query_finds_the_day(tmp_path: Path) -> None:
    stages = [
        {"stage": "deep", "start_time": "2026-09-21T14:13:20Z", "end_time": "2026-09-21T15:13:20Z"},
        {"stage": "rem", "start_time": "2026-09-21T15:13:20Z", "end_time": "2026-09-21T16:13:20Z"},
    ]
    with Influxd(tmp_path / "influxd") as server:
        rig = Rig(tmp_path, server.url, dialect="v1")
        rig.store(
            *pulses(100),
            event("s1", {"steps": 400}, "steps", end_us=NOW_US + _HOUR_US),
            event("s2", {"steps": 12}, "steps", start_us=NOW_US + _HOUR_US, end_us=NOW_US + 2 * _HOUR_US),
            event("n", {"stages": stages}, "sleep", end_us=NOW_US + 2 * _HOUR_US),
            event("w", {"kg": 71.5}, "weight"),
            event("r", {"bpm": 52}, "resting_heart_rate"),
            event("b", {"systolic": 120, "diastolic": 80}, "blood_pressure"),
            event("o", {"percent": 97}, "spo2"),
        )
        rig.ship()
        found = {}
        for board in BOARDS:
            content = json.loads(board.read_text())
            for variable in content["templating"]["list"]:
                assert next(value for _, value in server.rows(variable["query"])) == "s-alice"
            for title, query in queries(content):
                day = f"time >= {NOW_US * 1000} AND time < {(NOW_US + 24 * _HOUR_US) * 1000}"
                run = query.replace("$timeFilter", day).replace("$user", "s-alice").replace("$__interval", "1m")
                assert "$" not in run
                found[title] = [row[1:] for row in server.rows(run)]
                assert found[title], title
        assert found["Steps"] == [[412]]
        assert found["Sleep stages"] == [["deep"], ["rem"]]
        assert found["Weight"] == [[71.5]]
        assert found["Blood pressure"] == [[120, 80]]
        rig.close()
