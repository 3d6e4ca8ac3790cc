"""Every recorded answer of a provider comes to the rows of EXPECTED.md beside it; where not, it says why."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from healthsync_mqtt.adapters.catalogue import shipped
from healthsync_mqtt.formats.port import AppMessage
from healthsync_mqtt.formats.reading.moment import moment
from healthsync_mqtt.model.declaration import Declared
from healthsync_mqtt.model.times import iso
from tests.support.app_messages import Shelf

pytestmark = pytest.mark.shared_data

AT_US = 1_800_000_000_000_000
PARIS = Declared(zone="Europe/Paris")

#: By provider, the kind of each recorded answer: by the beginning of its name.
KINDS = {
    "google_health": {"": "dataPoints"},
    "garmin": {"ping_callback": "dailies", "push": "push"},
    "withings": {
        "measure": "measure", "activity_intraday": "activity_intraday", "activity": "activity", "workouts": "workouts",
        "sleep_summary": "sleep_summary", "sleep_detail": "sleep_detail", "heart_list": "heart_list",
        "heart_get": "heart_get",
    },
    "oura": {
        "sleep": "sleep", "daily_sleep": "daily_sleep", "daily_readiness": "daily_readiness",
        "daily_activity": "daily_activity", "daily_spo2": "daily_spo2", "daily_stress": "daily_stress",
        "daily_cardiovascular_age": "daily_cardiovascular_age", "vo2_max": "vO2_max", "heartrate": "heartrate",
        "workout": "workout", "session": "session", "enhanced_tag": "enhanced_tag", "personal_info": "personal_info",
    },
    "whoop": {
        "sleep": "sleep", "recovery": "recovery", "cycle": "cycle", "workout": "workout",
        "body_measurement": "body_measurement",
    },
    "polar": {
        "exercise": "exercises", "sleep_available": "sleep_available", "sleep": "sleep",
        "nightly_recharge": "nightly_recharge", "activities": "activities",
        "continuous_heart_rate": "continuous_heart_rate", "cardio_load": "cardio_load",
        "physical_info": "physical_info", "biosensing_spo2": "spo2", "biosensing_ecg": "ecg",
        "biosensing_temperature": "body_temperature", "biosensing_skin_temperature": "skin_temperature",
    },
    "strava": {"athlete": "athlete", "activit": "activities", "streams": "streams"},
    "dexcom": {
        "egvs": "egvs", "events": "events", "calibrations": "calibrations", "data_range": "data_range",
        "devices": "devices", "alerts": "alerts",
    },
}  # fmt: skip
#: Answers that came before, and are remembered.
BEFORE = {
    "whoop/recovery": ("whoop/sleep_page_first",),
    "polar/continuous_heart_rate": ("polar/sleep_night",),
    "polar/nightly_recharge": ("polar/sleep_night",),
    "strava/streams": ("strava/activities_page_first",),
    "withings/sleep_detail": ("withings/sleep_summary",),
}
ZONED = {"google_health/steps_daily_rollup"}

_DAILY = {
    "steps": "daily_steps", "distance": "daily_distance", "energy_active": "daily_energy_active",
    "energy_total": "daily_energy_total", "energy_basal": "daily_energy_basal", "floors_climbed": "daily_floors",
    "hrv_rmssd": "daily_hrv_rmssd", "spo2": "daily_spo2", "respiratory_rate": "daily_respiratory_rate",
    "stress": "daily_stress",
}  # fmt: skip
_OURS = {
    "sleep_session": "sleep", "blood_glucose": "glucose", "floors_climbed": "floors",
    "irregular_rhythm": "heart_notification", "breathing_disturbance": "breathing_disturbances",
    "menstrual_period": "menstruation", "active_minutes": "active_minutes_moderate", "symptom": "mental_symptom",
    "score.garmin.body_battery": "body_battery", "score.oura.sleep": "sleep_score",
    "score.oura.readiness": "readiness", "score.oura.activity": "activity_score", "score.whoop.recovery": "recovery",
    "score.whoop.strain": "strain", "score.polar.ans_charge": "nightly_recharge", "score.polar.cardio_load": "",
}  # fmt: skip

ARGUED = {
    "google_health/activity_intervals active_minutes": "active minutes are of whole days here",
    "google_health/exercise_tcx": "a file, and not asked for: it needs a location scope",
    "oura/personal_info": "a profile's values have no time: they are not taken",
    "whoop/body_measurement": "the same",
    "oura/daily_stress": "seconds in a zone of stress have no type: left out by name",
    "oura/webhook_delete": "a webhook",
    "whoop/cycle energy_total 2": "a cycle that still runs is left out until it has ended",
    "whoop/sleep_page_first score.whoop.sleep_performance": "a score of a night is in the night",
    "polar/cardio_load": "there is no type: left out by name",
    "polar/activities steps": "without an offset of that day only its totals",
    "polar/exercise_samples_zones_route distance": "a distance that grows is no amount of an interval",
    "garmin/push_dailies stress": "the mean was not measured, and a highest value is no mean",
    "garmin/push_body_comp body_water": "there is a type for the percentage",
    "withings/measure_segments energy_basal": "a rate a day is basal_metabolic_rate",
    "withings/sleep_summary breathing_disturbance": "it is of the day",
    "withings/heart_get": "the answer says no zone",
    "withings/sleep_summary respiratory_rate": "a mean of a night is in the night",
}
"""Rows that come out otherwise, and why."""


class Row(NamedTuple):
    """A row of a table."""

    type: str
    start: str
    end: str
    offset: str
    value: str


@cache
def expected(folder: Path) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    name = ""
    for line in (folder / "EXPECTED.md").read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"### (\w+/\w+)\.json", line):
            name = heading[1]
            found[name] = []
        elif line.startswith("| ") and not line.startswith("| type"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            found[name].append(Row(*cells[:5]))
    return found


def kind_of(provider: str, name: str) -> str | None:
    kinds = KINDS[provider]
    known = sorted((each for each in kinds if name.startswith(each)), key=len)
    return kinds[known[-1]] if known else None


def taken(folder: Path, name: str) -> Shelf:
    provider = name.partition("/")[0]
    mapping = shipped(provider).mapping
    assert mapping is not None
    shelf = Shelf(mapping)
    for each in (*BEFORE.get(name, ()), name):
        exchange = json.loads((folder / f"{each}.json").read_text(encoding="utf-8"))
        body = (exchange.get("response") or exchange["webhook"])["body"]
        payload = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        kind = kind_of(provider, each.partition("/")[2])
        url = exchange.get("request", {}).get("url", "")
        declared = PARIS if name in ZONED else Declared()
        shelf.take([AppMessage(payload, "ann", "x", f"{kind}/{url}", at_us=AT_US, declared=declared)])
    return shelf


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for each in value.values():
            yield from numbers(each)
    elif isinstance(value, list):
        for each in value:
            yield from numbers(each)
    elif type(value) in {int, float}:
        yield value


def spread(events: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The events; of a series each sample, too."""
    for event in events:
        yield event
        for seconds, value in event.get("value", {}).get("samples", ()):
            yield event | {"start_us": event["start_us"] + round(seconds * 1e6), "value": {"sample": value}}


def comes_out(row: Row, events: list[dict[str, Any]]) -> bool:
    """Whether an event is of the row: its type, its start, and the first number that the row says."""
    word, _, flag = row.type.partition(" ")
    daily = flag.startswith("(daily")
    type_ = _DAILY.get(word, _OURS.get(word, word)) if daily else _OURS.get(word, word)
    if word == "cadence":
        type_ = "cadence_steps"
    if word == "ecg":
        type_ = "ecg"
    start = re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z", row.start)
    local = re.search(r"local_date (\d{4}-\d\d-\d\d)", f"{row.start} {row.value}")
    first = re.search(r"(?<![\w.])-?\d+(?:\.\d+)?", re.sub(r"\d\d:\d\d\S*|avg|lead I,|\b\d:", "", row.value))
    for event in spread(events):
        if event["type"] != type_ or ("op delete" in row.value):
            continue
        if start and abs(event["start_us"] - moment(start[0]).us) > 0:
            continue
        if local and not start and event.get("source", {}).get("local_date") != local[1]:
            continue
        offset = re.match(r"([+-])(\d\d):(\d\d)", row.offset)
        if offset and event.get("utc_offset") != int(f"{offset[1]}1") * (int(offset[2]) * 3600 + int(offset[3]) * 60):
            continue
        if row.offset == "-" and not daily and "local" not in row.start and "utc_offset" in event:
            continue
        if first is None:
            return True
        wanted = float(first[0])
        values = list(numbers(event["value"]))
        if any(abs(each - wanted) <= max(1e-4, abs(wanted) * 1e-4) for each in values):
            return True
        if any(abs(each - wanted * 60) < 1e-6 for each in values):
            return True
        if word in {"workout", "ecg", "heart_notification", "irregular_rhythm", "mindfulness", "menstrual_period"}:
            return True
    return False


def argued(name: str, row: Row, place: int) -> bool:
    word = row.type.partition(" ")[0]
    return any(key in ARGUED for key in (name, f"{name} {word}", f"{name} {word} {place}"))


def answers() -> list[str]:
    folder = Path(__file__).parents[4] / "shared" / "data" / "providers"
    if not folder.is_dir():
        return []
    return [name for name in expected(folder) if kind_of(*name.split("/")) is not None and not_state(name)]


def not_state(name: str) -> bool:
    return not re.search(r"/(error|token|webhook|subscri|backfill|no_content|fitbit_410|user_|.*404)", name)


@pytest.mark.parametrize("name", answers())
def test_an_answer_comes_to_what_is_expected(shared_data: Path, name: str) -> None:
    folder = shared_data / "providers"
    shelf = taken(folder, name)
    events = list(shelf.events.values())
    missing = [
        row
        for place, row in enumerate(expected(folder)[name])
        if "op delete" not in row.value and not argued(name, row, place) and not comes_out(row, events)
    ]
    told = [(each["type"], iso(each["start_us"]), each.get("utc_offset"), each.get("value")) for each in events]
    assert missing == [], (told, shelf.refused)


#: By answer, types of which more comes than its table says: of a day or night that is like another's but for what the
#: table names, or that EXPECTED.md calls arguable.
ALSO = {
    "garmin/push_dailies": {"active_minutes_vigorous"},
    "garmin/push_epochs": {"distance", "energy_active", "met"},
    "garmin/push_epochs_completed": {"distance", "energy_active", "met"},
    "garmin/push_sleep_tentative": {"spo2", "respiratory_rate"},
    "garmin/push_sleep_final": {"spo2", "respiratory_rate"},
    "garmin/push_body_comp": {"body_water_percentage"},
    "withings/measure_segments": {"basal_metabolic_rate"},
    "withings/measure_ecg_intervals": {"heart_rate"},
    "withings/activity": {
        "daily_elevation_gain", "active_minutes_light", "active_minutes_vigorous", "daily_heart_rate",
    },
    "withings/sleep_summary": {"breathing_disturbances"},
    "withings/heart_get": {"ecg"},
    "oura/sleep_revised": {"respiratory_rate", "hrv_rmssd", "heart_rate"},
    "oura/daily_activity": {"active_minutes_light", "active_minutes_vigorous"},
    "whoop/sleep_page_last": {"respiratory_rate"},
    "whoop/sleep_scored_later": {"respiratory_rate"},
    "whoop/sleep_no_data_time": {"respiratory_rate"},
    "polar/exercise_samples_zones_route": {"cadence_steps"},
    "polar/sleep_list": {"heart_rate"},
    "polar/nightly_recharge": {"hrv_rmssd", "respiratory_rate"},
}  # fmt: skip
#: Days that are those of ``garmin/push_dailies``, delivered otherwise.
LIKE_DAILIES = {
    "garmin/push_dailies_grown", "garmin/ping_callback_answer", "garmin/push_mixed_users",
    "garmin/push_wrong_client_id", "garmin/push_wrong_path",
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in answers() if name not in LIKE_DAILIES])
def test_nothing_comes_out_that_is_not_expected(shared_data: Path, name: str) -> None:
    folder = shared_data / "providers"
    before = {event for each in BEFORE.get(name, ()) for event in taken(folder, each).events}
    rows = [row for row in expected(folder)[name] if "op delete" not in row.value]
    more = [
        each["type"]
        for event, each in taken(folder, name).events.items()
        if event not in before and "value" in each and not any(comes_out(row, [each]) for row in rows)
    ]
    assert set(more) - ALSO.get(name, set()) == set()
