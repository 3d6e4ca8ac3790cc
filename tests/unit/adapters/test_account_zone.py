"""The zone of an account: a day that is a date alone is that zone's, and stays one event when the zone is another."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from healthsync_mqtt.adapters.links import LinkBook
from tests.support.clouds import answer
from tests.unit.adapters.test_fetch import Rig

SETTINGS = "/v4/users/me/settings"
DAY_US = 86_400_000_000
KIND = "daily-resting-heart-rate"


def pulse(bpm: str) -> dict[str, Any]:
    return {"dailyRestingHeartRate": {"beatsPerMinute": bpm, "date": {"year": 2026, "month": 11, "day": 16}}}


def days(here: Rig) -> list[tuple[int, Any]]:
    return [(each["start"] // 1_000_000, json.loads(each["body"])["value"]["bpm"]) for each in here.log.events.values()]


@pytest.fixture
def here(rig: Callable[..., Rig]) -> Rig:
    made = rig("google_health")
    made.cloud.records[KIND] = [pulse("57")]
    made.cloud.manners.fixed[SETTINGS] = answer(200, {"timeZone": "Europe/Paris", "utcOffset": "3600s"})
    made.link()
    return made


def asked(here: Rig) -> int:
    return [path for path, _ in here.cloud.log].count(SETTINGS)


def test_it_is_known_before_the_first_day_is_read_and_asked_for_once_a_day(here: Rig) -> None:
    assert here.sync()["state"] == "ok"
    assert days(here) == [(1_794_783_600, 57)], "midnight in Paris, not in London"
    here.sync()
    assert asked(here) == 1
    here.now_us += DAY_US
    here.sync()
    assert asked(here) == 2


def test_who_travels_has_the_same_day_once(here: Rig) -> None:
    here.sync()
    here.cloud.manners.fixed[SETTINGS] = answer(200, {"timeZone": "America/New_York"})
    here.now_us += DAY_US
    assert here.sync()["state"] == "ok"
    assert days(here) == [(1_794_805_200, 57)]


@pytest.mark.parametrize(
    "said",
    [answer(403, {}), answer(404, {}), answer(200, {}), answer(200, {"timeZone": "Mars/Phobos"}),
     answer(200, {"timeZone": "../../etc/passwd"}), answer(200, {"timeZone": ["UTC"]}), answer(200, [])],
)  # fmt: skip
def test_where_nobody_says_it_a_day_begins_at_midnight_in_utc(rig: Callable[..., Rig], said: Any) -> None:
    here = rig("google_health")
    here.cloud.records[KIND] = [pulse("57")]
    here.cloud.manners.fixed[SETTINGS] = said
    here.link()
    done = here.sync()
    assert (done["state"], done.get("not_granted")) == ("ok", ["time zone"] if said.status == 403 else None)
    assert days(here) == [(1_794_787_200, 57)]


def test_another_account_has_another_zone(here: Rig) -> None:
    here.sync()
    link = here.link()
    assert here.book.zone(link.id) == ""
    here.sync()
    assert here.book.zone(link.id) == "Europe/Paris"


def test_it_is_not_kept_for_a_link_that_was_made_anew_meanwhile(here: Rig) -> None:
    old = here.book.of("ann", "google_health")
    here.link()
    with LinkBook.open(here.data) as book:
        book.is_in_zone(old, "Asia/Tokyo")
        assert book.zone(old.id) == ""
