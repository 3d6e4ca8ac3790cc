"""A number over time by HTTP: exact, in buckets, and by days; for whom it is, and never more work than a bound."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from healthsync_mqtt.gateway.routes.events import series
from healthsync_mqtt.storage.port import Item
from healthsync_mqtt.summaries.file import SummaryFile
from healthsync_mqtt.testing.log_items import item
from tests.support.gateway import GatewayHere, filled, gateway_here
from tests.support.web import HttpAnswer, Web

DAY_S = 86_400
START = datetime(2026, 9, 21, tzinfo=UTC)
START_US = int(START.timestamp()) * 1_000_000


def rate(minute: int, bpm: int) -> Item:
    one = item(f"h-{minute}", "alice", start_us=START_US + minute * 60_000_000)
    return one._replace(event=one.event._replace(body=b'{"value":{"bpm":%d}}' % bpm))


def walk(hour: int, steps: int) -> Item:
    one = item(f"s-{hour}", "alice", event_type="steps", start_us=START_US + hour * 3_600_000_000)
    end_us = one.event.start_us + 600_000_000
    return one._replace(event=one.event._replace(end_us=end_us, body=b'{"value":{"steps":%d}}' % steps))


def pressure(hour: int) -> Item:
    one = item(f"p-{hour}", "alice", event_type="blood_pressure", start_us=START_US + hour * 3_600_000_000)
    return one._replace(event=one.event._replace(body=b'{"value":{"systolic":121,"diastolic":79}}'))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayHere]:
    data = tmp_path_factory.mktemp("series") / "data"
    rates = [rate(minute, 180 if minute == 777 else 60 + minute % 10) for minute in range(1440)]
    filled(data, ["alice", "bob"], [*reversed(rates), *(walk(hour, 100) for hour in range(24)), pressure(5)])
    with gateway_here(data) as here:
        yield here


@pytest.fixture(scope="module")
def watch(scene: GatewayHere) -> Web:
    return scene.device("alice", "watch")


def asked(web: Web, type_name: str, hours: float = 24, user: str = "alice", **more: Any) -> HttpAnswer:
    until = START + timedelta(hours=hours)
    span = {"type": type_name, "since": START.isoformat(), "until": until.isoformat()}
    return web.get(f"/v1/users/{user}/series?{urlencode(span | more)}")


def test_few_points_are_told_as_they_are(watch: Web) -> None:
    found = asked(watch, "heart_rate", 1).json()
    assert (found["resolution"], found["width_s"], found["complete"]) == ("exact", 0, True)
    assert found["at"] == [START_US // 1000 + minute * 60_000 for minute in range(60)]
    assert found["value"] == [60 + minute % 10 for minute in range(60)]
    assert (found["field"], found["unit"]) == ("bpm", "/min")


def test_more_come_in_buckets_that_keep_what_stands_out(watch: Web) -> None:
    found = asked(watch, "heart_rate", points=100).json()
    assert (found["resolution"], found["width_s"], len(found["at"])) == ("bucket", 900, 96)
    assert max(found["high"]) == 180
    assert max(found["value"]) < 80
    assert min(found["low"]) == 60


def test_amounts_add_up(watch: Web) -> None:
    found = asked(watch, "steps", points=10).json()
    assert (found["adds_up"], sum(found["value"])) == (True, 2400)
    assert len(found["at"]) <= 11


def test_a_number_among_several_is_chosen(watch: Web) -> None:
    found = asked(watch, "blood_pressure", field="diastolic").json()
    assert (found["value"], found["unit"]) == ([79], "mm[Hg]")
    assert asked(watch, "blood_pressure").json()["field"] == "systolic"
    for wrong in ({"field": "bpm"}, {"points": 5}, {"points": 100_000}, {"offset": 90_000}):
        assert asked(watch, "blood_pressure", **wrong).status == 400
    assert asked(watch, "menstruation").status == 400
    assert asked(watch, "no_such").status == 400
    assert asked(watch, "steps", -1).status == 400
    assert asked(watch, "steps", 24 * 366 * 101).status == 400


def test_nobody_else_learns_anything(scene: GatewayHere) -> None:
    bob = scene.invited("bob")
    assert bob.get("/v1/users/alice/series?type=steps").status == 404
    subscriber = scene.subscriber("research", ["alice"], ["steps"])
    assert asked(subscriber, "heart_rate").json()["at"] == []
    assert asked(subscriber, "steps").json()["value"] != []


def test_the_work_has_a_bound_and_the_newest_is_told(watch: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "_MOST_ROWS", 600)
    monkeypatch.setattr(series, "_AT_ONCE", 200)
    found = asked(watch, "heart_rate", points=2000).json()
    assert (found["complete"], len(found["at"])) == (False, 600)


def test_a_long_time_is_told_by_its_days(scene: GatewayHere, watch: Web) -> None:
    worked_out(scene)
    rates = asked(watch, "heart_rate", 24 * 365 * 10).json()
    assert (rates["resolution"], rates["at"]) == ("day", [START_US // 1000])
    assert (rates["low"], rates["high"]) == ([60], [180])
    walked = asked(watch, "steps", 24 * 365 * 10).json()
    assert (walked["value"], walked["width_s"]) == ([2400], DAY_S)
    low = asked(watch, "blood_pressure", 24 * 365 * 10, field="diastolic").json()
    assert (low["resolution"], low["value"]) == ("day", [79])


def worked_out(scene: GatewayHere) -> None:
    """summaries.db, as a running service keeps it."""

    def since(_user: str, _type: str) -> int:
        return 0

    log = scene.place.log()
    assert log is not None
    with log:
        rows = log.read(0, 10_000, history=True)
        with SummaryFile.open(scene.place.path / "summaries.db") as file:
            file.begin_anew(log.epoch)
            file.agree("alice", "*", since)
            file.take(log.head(), rows, {})
            while file.waiting:
                file.work_out(50, since, within_s=60.0)
