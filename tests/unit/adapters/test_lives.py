"""The whole life of a link, provider by provider, against a scripted server that speaks as the provider does.

Linked, imported, polled, told, revised, deleted; tokens renewed, access taken away, linked again, unlinked.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from healthsync_mqtt.adapters.revocation_endpoints import told
from healthsync_mqtt.adapters.worker import AdapterWorker
from healthsync_mqtt.cloud_links.flights import Flights
from tests.support.clouds import answer
from tests.unit.adapters.test_fetch import Rig, night, weighing


@dataclass
class Life:
    """What a provider has of one user: the records of before and after a revision, and how it says so."""

    provider: str
    kind: str
    first: dict[str, Any]
    new: dict[str, Any]
    revised: dict[str, Any]
    type: str
    #: what comes of the first, the new and the revised one
    values: tuple[Any, Any, Any]
    changed: Any = None
    deleted: Any = None
    more: dict[str, list[Any]] = field(default_factory=dict)
    #: other records that stand beside each: of Strava the details
    beside: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    renews: bool = True


def sleep_of_whoop(name: str, day: int, milli: int, updated: int = 8) -> dict[str, Any]:
    return {
        "id": name, "cycle_id": day, "start": f"2026-11-{day}T22:00:00Z", "end": f"2026-11-{day + 1}T05:00:00Z",
        "timezone_offset": "+01:00", "score_state": "SCORED", "updated_at": f"2026-11-{day + 1}T{updated:02}:00:00Z",
        "score": {"stage_summary": {"total_in_bed_time_milli": milli}},
    }  # fmt: skip


def run_of_strava(number: int, distance: float) -> dict[str, Any]:
    return {
        "id": number, "start_date": f"2026-11-1{number}T14:10:00Z", "utc_offset": -18000.0, "elapsed_time": 2100,
        "sport_type": "Run", "distance": distance,
    }  # fmt: skip


def run_of_polar(name: str, day: int, distance: float) -> dict[str, Any]:
    return {
        "id": name, "start_time": f"2026-11-{day}T10:10:00", "start_time_utc_offset": 60, "duration": "PT33M",
        "distance": distance, "sport": "RUNNING", "detailed_sport_info": "RUNNING",
    }  # fmt: skip


def slept_at_google(name: str, day: int, minutes: str, updated: int = 8) -> dict[str, Any]:
    interval = {"startTime": f"2026-11-{day}T01:00:00Z", "endTime": f"2026-11-{day}T06:00:00Z"}
    return {
        "name": f"users/h7/dataTypes/sleep/dataPoints/{name}",
        "sleep": {
            "type": "STAGES", "interval": interval, "updateTime": f"2026-11-{day}T{updated:02}:00:00Z",
            "summary": {"minutesAsleep": minutes},
        },
    }  # fmt: skip


def glucose(name: str, minute: int, value: int) -> dict[str, Any]:
    at = f"2026-11-17T15:{minute:02}:00Z"
    return {"recordId": name, "systemTime": at, "displayTime": at, "value": value, "unit": "mg/dL", "status": "ok"}


def google_notice(operation: str, day: int) -> dict[str, Any]:
    times = {"startTime": f"2026-11-{day}T01:00:00Z", "endTime": f"2026-11-{day}T06:00:00Z"}
    return {
        "data": {
            "healthUserId": "h7", "operation": operation, "dataType": "sleep",
            "intervals": [{"physicalTimeInterval": times}],
        }
    }  # fmt: skip


LIVES = (
    Life(
        "withings", "measure", weighing(1, 72_000), weighing(2, 71_500), weighing(2, 71_000, modified=1_794_990_000),
        "weight", ({"kg": 72}, {"kg": 71.5}, {"kg": 71}),
        changed=f"userid=41234567&appli=1&startdate={1_794_800_120}&enddate={1_794_800_121}",
    ),
    Life(
        "oura", "sleep", night("n1") | {"heart_rate": None},
        night("n2", "sleep", 22) | {"heart_rate": None},
        night("n2", "sleep", 22) | {"heart_rate": None, "total_sleep_duration": 23_000},
        "sleep", ("total_asleep_s", 24_000, 24_000, 23_000),
        changed={"event_type": "create", "data_type": "sleep", "object_id": "n2", "user_id": "oura-user-1"},
        deleted={"event_type": "delete", "data_type": "sleep", "object_id": "n2", "user_id": "oura-user-1"},
    ),
    Life(
        "whoop", "sleep", sleep_of_whoop("s1", 16, 25_200_000), sleep_of_whoop("s2", 17, 24_000_000),
        sleep_of_whoop("s2", 17, 23_000_000, 9), "sleep", ("in_bed_s", 25_200, 24_000, 23_000),
        changed={"user_id": 10129, "id": "s2", "type": "sleep.updated"},
        deleted={"user_id": 10129, "id": "s2", "type": "sleep.deleted"},
    ),
    Life(
        "strava", "activities", run_of_strava(6, 5000.0), run_of_strava(7, 6000.0), run_of_strava(7, 6100.0),
        "workout", ("distance_m", 5000, 6000, 6100),
        changed={
            "object_type": "activity", "object_id": 7, "aspect_type": "update", "owner_id": 13481599,
            "updates": {"title": "Messy"},
        },
        deleted={"object_type": "activity", "object_id": 7, "aspect_type": "delete", "owner_id": 13481599},
        beside=lambda found: {
            "details": found | {"calories": 300.0},
            "streams": {"id": found["id"], "time": {"data": [0, 60]}, "heartrate": {"data": [112, 113]}},
        },
    ),
    Life(
        "polar", "exercises", run_of_polar("E1", 16, 5000.0), run_of_polar("E2", 17, 6000.0),
        run_of_polar("E2", 17, 6100.0), "workout", ("distance_m", 5000, 6000, 6100),
        changed={"event": "EXERCISE", "user_id": 61234567, "entity_id": "E2", "timestamp": "2026-11-17T11:00:00Z"},
        renews=False,
    ),
    Life(
        "google_health", "sleep", slept_at_google("a", 16, "400"), slept_at_google("b", 17, "390"),
        slept_at_google("b", 17, "380", 9), "sleep", ("total_asleep_s", 24_000, 23_400, 22_800),
        changed=google_notice("UPSERT", 17), deleted=google_notice("DELETE", 17),
    ),
    Life(
        "dexcom", "egvs", glucose("g1", 0, 138), glucose("g2", 5, 140), glucose("g2", 5, 141),
        "glucose", ("mg_dl", 138, 140, 141),
    ),
)  # fmt: skip


def deliver(here: Rig, said: Any) -> None:
    body = said if isinstance(said, str) else json.dumps(said)
    here.inbox.put(here.provider, body.encode(), here.now_us)

    async def once(worker: AdapterWorker) -> None:
        async with asyncio.TaskGroup() as group:
            worker.look(group)

    with contextlib.closing(Flights(here.data)) as flights:
        asyncio.run(once(here.new_worker(flights=flights)))
    assert here.inbox.waiting() == {}


def has(here: Rig, life: Life, *records: dict[str, Any]) -> None:
    """The provider has these records, and no others."""
    here.cloud.records = {life.kind: list(records), **life.more}
    for each in records if life.beside is not None else ():
        for name, found in life.beside(each).items():
            here.cloud.records.setdefault(name, []).append(found)


def found(here: Rig, life: Life) -> list[Any]:
    values = here.log.told(life.type)
    key = life.values[0] if isinstance(life.values[0], str) else ""
    return [each.get(key) for each in values] if key else values


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.provider)
def test_a_life(rig: Callable[[str], Rig], life: Life) -> None:
    here = rig(life.provider)
    first, new, revised = life.values[-3:]
    link = here.link()
    has(here, life, life.first)
    assert here.sync()["state"] == "ok"
    assert found(here, life) == [first]
    has(here, life, life.first, life.new)
    if life.changed is not None:
        deliver(here, life.changed)
    else:
        here.sync()
    assert sorted(found(here, life), key=str) == sorted([first, new], key=str)
    again = here.sync()
    assert (again["stored"], again["state"]) == (0, "ok"), "what was told is a duplicate when it is polled"
    has(here, life, life.first, life.revised)
    here.sync()
    assert sorted(found(here, life), key=str) == sorted([first, revised], key=str)
    if life.deleted is not None:
        has(here, life, life.first)
        deliver(here, life.deleted)
        assert found(here, life) == [first]
        deliver(here, life.deleted)
        assert here.sync()["deleted"] == 0
    events = dict(here.log.events)
    if life.renews:
        here.cloud.expire()
        assert here.sync()["state"] == "ok"
        assert here.cloud.refreshes == 1
    here.cloud.revoked = True
    here.cloud.expire()
    assert here.sync()["state"] == "needs_reauth"
    assert here.link().id == link.id
    assert here.sync()["state"] == "ok"
    assert here.log.events == events, "nothing is lost and nothing double"
    tokens = here.book.tokens(link)
    leave = here.ready.cloud.leave
    assert tokens is not None
    if leave is not None:
        now = here.book.of("ann", life.provider)
        access = here.ready.cloud.access(
            here.ready.client, tokens._replace(account=here.book.account(now.id)), here.now_us
        )
        assert told(leave, access, here.cloud).done
        assert here.cloud.revoked
        assert here.sync()["state"] == "needs_reauth"


def day_of_garmin(steps: int) -> dict[str, Any]:
    return {
        "userId": "g-1", "summaryId": "x-1", "calendarDate": "2026-11-17", "startTimeInSeconds": 1_794_870_000,
        "startTimeOffsetInSeconds": 3_600, "durationInSeconds": 86_400, "steps": steps,
    }  # fmt: skip


def test_garmin_pushes_pings_and_is_asked_for_history_once(rig: Callable[[str], Rig]) -> None:
    here = rig("garmin")
    link = here.link()
    assert here.sync()["state"] == "ok"
    backfills = [path for path, _ in here.cloud.log if "/backfill/" in path]
    assert len(backfills) == len(set(backfills)) == 15
    assert here.book.account(here.book.of("ann", "garmin").id) == "g-1"
    asked = len(here.cloud.log)
    assert here.sync()["state"] == "ok"
    assert len(here.cloud.log) == asked, "nothing is polled, and no window asked for twice"
    deliver(here, {"dailies": [day_of_garmin(9_000), day_of_garmin(1) | {"userId": "another"}]})
    assert here.log.told("daily_steps") == [{"steps": 9_000}]
    deliver(here, {"dailies": [day_of_garmin(9_120)]})
    assert here.log.told("daily_steps") == [{"steps": 9_120}]
    here.cloud.records["called"] = [{"kind": "dailies"} | day_of_garmin(9_500)]
    url = "https://apis.garmin.com/wellness-api/rest/dailies?uploadStartTimeInSeconds=1&token=x"
    here.cloud.manners.fixed["/wellness-api/rest/dailies"] = answer(200, [day_of_garmin(9_500)])
    deliver(here, {"dailies": [{"userId": "g-1", "callbackURL": url}]})
    assert here.log.told("daily_steps") == [{"steps": 9_500}]
    assert here.cloud.log[-1][1] == {"uploadStartTimeInSeconds": "1", "token": "x"}
    deliver(here, {"deregistrations": [{"userId": "g-1"}]})
    assert here.book.of("ann", "garmin").state == "ok", "the token can be renewed: it was nobody's word"
    here.cloud.revoked = True
    deliver(here, {"deregistrations": [{"userId": "g-1"}]})
    assert here.book.of("ann", "garmin").state == "needs_reauth"
    assert here.link().id == link.id
    assert here.sync()["state"] == "ok"


@pytest.mark.parametrize(
    ("given", "state"),
    [(answer(409, {"errorMessage": "Duplicate"}), "ok"), (answer(403, {"errorMessage": "HISTORICAL"}), "ok"),
     (answer(401, {"errorMessage": "before the allowed window"}), "ok")],
)  # fmt: skip
def test_a_window_that_garmin_does_not_give_is_no_dead_token(rig: Callable[[str], Rig], given: Any, state: str) -> None:
    here = rig("garmin")
    here.link()
    here.cloud.manners.fixed["/wellness-api/rest/backfill/"] = given
    assert here.sync()["state"] == state
    assert here.book.of("ann", "garmin").state == state


def test_polar_registers_a_user_once_and_consents_that_are_missing_are_said(rig: Callable[[str], Rig]) -> None:
    here = rig("polar")
    here.link()
    here.sync()
    here.sync()
    assert [path for path, _ in here.cloud.log].count("/v3/users") == 1
    here.cloud.faults = [answer(403, {"message": "Consents missing"})]
    assert here.sync()["state"] == "error"
    assert "Polar Flow" in here.book.of("ann", "polar").hint
    limits = {"ratelimit-usage": "521, 800", "ratelimit-limit": "520, 5100", "ratelimit-reset": "95, 40112"}
    here.cloud.faults = [answer(429, None, **limits)]
    assert here.sync()["state"] == "rate_limited"
    assert here.book.of("ann", "polar").due_us == here.now_us + 95_000_000
