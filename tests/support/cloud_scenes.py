"""What providers have of one user while a worker is killed: records of a kind, how they change, how that is said."""

import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from tests.support.clouds import CLOUDS, CloudManners


class CloudScene(NamedTuple):
    """One kind of records of a provider.

    ``make`` is a record by its number, ``value`` as it is after its number of revisions; ``reads`` is that value in an
    event of ``type``. ``says`` is what the provider sends of a change; None: nothing. ``pushes``: there is no asking.
    """

    provider: str
    kind: str
    make: Callable[[int, int, int], dict[str, Any]]
    type: str
    reads: str
    #: from a record's value to that of its event
    of: Callable[[int], float] = float
    says: Callable[[str, dict[str, Any]], Any] | None = None
    deletes: bool = False
    renews: bool = True
    pushes: bool = False
    #: what stands beside the records, by the name of its list
    beside: Callable[[dict[str, Any]], dict[str, Any]] | None = None

    @property
    def manners(self) -> CloudManners:
        """How the provider speaks."""
        return CLOUDS[self.provider]

    def lists(self, records: Iterable[dict[str, Any]]) -> dict[str, list[Any]]:
        """What the provider has where it has these records: they, and what stands beside each."""
        found: dict[str, list[Any]] = {self.kind: list(records)}
        for each in found[self.kind] if self.beside is not None else ():
            for name, beside in self.beside(each).items():
                found.setdefault(name, []).append(beside)
        return found


def _night(number: int, value: int, _revision: int) -> dict[str, Any]:
    day, hour = 1 + number % 17, number // 17 % 20
    return {
        "id": f"n{number}", "type": "sleep", "bedtime_start": f"2026-11-{day:02}T{hour:02}:00:00+01:00",
        "bedtime_end": f"2026-11-{day:02}T{hour + 2:02}:00:00+01:00", "total_sleep_duration": value,
    }  # fmt: skip


def _night_of_whoop(number: int, value: int, revision: int) -> dict[str, Any]:
    day, hour = 1 + number % 17, number // 17 % 20
    return {
        "id": f"s{number}", "cycle_id": number, "start": f"2026-11-{day:02}T{hour:02}:00:00Z",
        "end": f"2026-11-{day:02}T{hour + 2:02}:00:00Z", "timezone_offset": "+01:00", "score_state": "SCORED",
        "updated_at": f"2026-11-20T{revision // 60 % 24:02}:{revision % 60:02}:00Z",
        "score": {"stage_summary": {"total_in_bed_time_milli": value * 1_000}},
    }  # fmt: skip


def _run_of_strava(number: int, value: int, _revision: int) -> dict[str, Any]:
    day, hour = 1 + number % 17, number // 17 % 22
    return {
        "id": number + 1, "start_date": f"2026-11-{day:02}T{hour:02}:10:00Z", "utc_offset": 3_600.0,
        "elapsed_time": 2_100, "sport_type": "Run", "distance": float(value),
    }  # fmt: skip


def _run_of_polar(number: int, value: int, _revision: int) -> dict[str, Any]:
    day, hour = 1 + number % 17, number // 17 % 22
    return {
        "id": f"E{number}", "start_time": f"2026-11-{day:02}T{hour:02}:10:00", "start_time_utc_offset": 60,
        "duration": "PT33M", "distance": float(value), "sport": "RUNNING", "detailed_sport_info": "RUNNING",
    }  # fmt: skip


def _weighing(number: int, value: int, revision: int) -> dict[str, Any]:
    return {
        "grpid": number + 1, "attrib": 0, "date": 1_794_000_000 + number * 600, "modified": 1_794_900_000 + revision,
        "category": 1, "measures": [{"value": value, "type": 1, "unit": -1}],
    }  # fmt: skip


def _night_of_google(number: int, value: int, revision: int) -> dict[str, Any]:
    day, hour = 1 + number % 17, number // 17 % 20
    return {
        "name": f"users/h7/dataTypes/sleep/dataPoints/n{number}",
        "sleep": {
            "type": "STAGES", "updateTime": f"2026-11-20T{revision // 60 % 24:02}:{revision % 60:02}:00Z",
            "interval": {
                "startTime": f"2026-11-{day:02}T{hour:02}:00:00Z", "endTime": f"2026-11-{day:02}T{hour + 2:02}:00:00Z",
            },
            "summary": {"minutesAsleep": str(value)},
        },
    }  # fmt: skip


def _glucose(number: int, value: int, _revision: int) -> dict[str, Any]:
    day, hour, minute = 1 + number % 17, number // 17 % 24, number // 408 * 5 % 60
    at = f"2026-11-{day:02}T{hour:02}:{minute:02}:00Z"
    return {
        "recordId": f"g{number}", "systemTime": at, "displayTime": at, "value": 40 + value % 300, "unit": "mg/dL",
        "status": "ok",
    }  # fmt: skip


def _day_of_garmin(number: int, value: int, _revision: int) -> dict[str, Any]:
    at = 1_780_000_000 + number * 86_400
    return {
        "userId": "g-1", "summaryId": f"x-{number}", "calendarDate": "2026-11-01", "startTimeInSeconds": at,
        "startTimeOffsetInSeconds": 3_600, "durationInSeconds": 86_400, "steps": value,
    }  # fmt: skip


def _of_google(happened: str, record: dict[str, Any]) -> Any:
    operation = "DELETE" if happened == "delete" else "UPSERT"
    times = [{"physicalTimeInterval": record["sleep"]["interval"]}]
    data = {"healthUserId": "h7", "operation": operation, "dataType": "sleep", "intervals": times}
    return {"data": data}


SCENES = {
    scene.provider: scene
    for scene in (
        CloudScene(
            "oura", "sleep", _night, "sleep", "total_asleep_s", deletes=True,
            says=lambda happened, record: {
                "event_type": happened, "data_type": "sleep", "object_id": record["id"], "user_id": "oura-user-1",
            },
        ),
        CloudScene(
            "whoop", "sleep", _night_of_whoop, "sleep", "in_bed_s", deletes=True,
            says=lambda happened, record: {
                "user_id": 10129, "id": record["id"],
                "type": "sleep.deleted" if happened == "delete" else "sleep.updated",
            },
        ),
        CloudScene(
            "strava", "activities", _run_of_strava, "workout", "distance_m", deletes=True,
            says=lambda happened, record: {
                "object_type": "activity", "object_id": record["id"], "aspect_type": happened, "owner_id": 13481599,
                "updates": {},
            },
            beside=lambda found: {
                "details": found | {"calories": 300.0}, "streams": {"id": found["id"], "time": {"data": [0, 60]}},
            },
        ),
        CloudScene(
            "polar", "exercises", _run_of_polar, "workout", "distance_m", renews=False,
            says=lambda _happened, record: {"event": "EXERCISE", "user_id": 61234567, "entity_id": record["id"]},
        ),
        CloudScene(
            "withings", "measure", _weighing, "weight", "kg", of=lambda value: value / 10,
            says=lambda _happened, record: (
                f"userid=41234567&appli=1&startdate={record['date']}&enddate={record['date'] + 1}"
            ),
        ),
        CloudScene(
            "google_health", "sleep", _night_of_google, "sleep", "total_asleep_s", of=lambda value: value * 60.0,
            deletes=True, says=_of_google,
        ),
        CloudScene("dexcom", "egvs", _glucose, "glucose", "mg_dl", of=lambda value: 40.0 + value % 300),
        CloudScene(
            "garmin", "dailies", _day_of_garmin, "daily_steps", "steps", pushes=True,
            says=lambda _happened, record: {"dailies": [record]},
        ),
    )
}  # fmt: skip


def delivery(said: Any, nonce: int) -> bytes:
    """What a provider sends, never the same bytes twice."""
    if isinstance(said, str):
        return f"{said}&nonce={nonce}".encode()
    return json.dumps(said | {"nonce": [nonce]}).encode()
