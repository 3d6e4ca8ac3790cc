"""Deliveries that are worked off: what they say is asked for, and replayed, reordered or of nobody they do no harm."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.adapters.user_standing import UserStanding
from healthsync_mqtt.adapters.web import CloudAnswer
from healthsync_mqtt.cloud_links.inbox import NoticeInbox
from healthsync_mqtt.errors import UnavailableError
from tests.support.clouds import answer
from tests.unit.adapters.test_fetch import Killed, Rig, night, weighing

DAY_US = 86_400_000_000


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Callable[[str], Rig]]:
    made: list[Rig] = []

    def make(provider: str) -> Rig:
        made.append(Rig(tmp_path, provider))
        made[-1].link()
        made[-1].sync()
        return made[-1]

    yield make
    for each in made:
        each.close()


def deliver(here: Rig, said: dict[str, Any] | str) -> None:
    body = said if isinstance(said, str) else json.dumps(said)
    here.inbox.put(here.provider, body.encode(), here.now_us)
    look(here)


def look(here: Rig) -> None:
    async def once() -> None:
        async with asyncio.TaskGroup() as group:
            here.worker.look(group)

    asyncio.run(once())


def of_oura(happened: str, name: str, account: str = "oura-user-1") -> dict[str, Any]:
    return {
        "event_type": happened, "data_type": "sleep", "object_id": name, "user_id": account,
        "event_time": "2026-11-17T06:00:00Z",
    }  # fmt: skip


def test_what_is_new_is_fetched_and_no_cursor_moves(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    link = here.book.of("ann", "oura")
    assert here.book.account(link.id) == "oura-user-1"
    before, asked = here.book.cursor(link.id, "sleep"), len(here.cloud.log)
    here.cloud.records["sleep"] = [night("n1")]
    deliver(here, of_oura("create", "n1"))
    assert [path for path, _ in here.cloud.log[asked:]] == ["/v2/usercollection/sleep/n1"]
    assert len(here.log.told("sleep")) == 1
    assert (here.book.cursor(link.id, "sleep"), here.inbox.waiting()) == (before, {})


def test_replayed_it_is_a_duplicate_and_reordered_it_comes_to_what_holds(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    here.cloud.records["sleep"] = [night("n1")]
    for _ in range(3):
        deliver(here, of_oura("create", "n1"))
    assert len(here.log.told("sleep")) == 1
    here.cloud.records["sleep"] = []
    deliver(here, of_oura("delete", "n1"))
    assert here.log.told("sleep") == []
    for late in ("update", "create", "delete"):  # they come after what they were about has gone
        deliver(here, of_oura(late, "n1"))
    assert here.log.told("sleep") == []
    deliver(here, of_oura("delete", "n2"))
    here.cloud.records["sleep"] = [night("n2")]
    deliver(here, of_oura("create", "n2"))
    assert len(here.log.told("sleep")) == 1


def test_of_an_account_that_nobody_is_linked_to_nothing_is_asked(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    asked = len(here.cloud.log)
    deliver(here, of_oura("create", "n1", account="somebody"))
    assert (len(here.cloud.log), here.worker.ignored, here.inbox.waiting()) == (asked, 1, {})


def test_who_was_linked_a_moment_ago_is_heard_when_it_is_known_who_it_is(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    here.book.is_account(here.book.of("ann", "oura"), "")
    here.cloud.records["sleep"] = [night("n1")]
    deliver(here, of_oura("create", "n1"))
    assert here.inbox.waiting() == {"oura": 1}
    here.cloud.records["sleep"], found = [], here.cloud.records["sleep"]
    here.sync()
    here.cloud.records["sleep"] = found
    here.now_us += 120_000_000
    look(here)
    assert (len(here.log.told("sleep")), here.inbox.waiting()) == (1, {})


def test_what_cannot_be_worked_off_is_tried_again_and_after_a_week_no_more(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    here.cloud.records["sleep"] = [night("n1")]
    here.cloud.faults = [CloudAnswer(status=503)] * 2
    deliver(here, of_oura("create", "n1"))
    assert (here.log.told("sleep"), here.inbox.waiting()) == ([], {"oura": 1})
    look(here)
    assert len(here.cloud.faults) == 1, "not before its time"
    here.now_us += 120_000_000
    look(here)
    here.now_us += 240_000_000
    look(here)
    assert (len(here.log.told("sleep")), here.inbox.waiting()) == (1, {})
    here.log.broken = lambda: True
    here.cloud.records["sleep"] = [night("n2")]
    deliver(here, of_oura("create", "n2"))
    here.now_us += 7 * DAY_US + 1
    look(here)
    assert here.inbox.waiting() == {}


def test_killed_between_the_commit_and_the_end_it_is_worked_off_again(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    here.cloud.records["sleep"] = [night("n1")]

    def die() -> None:
        raise Killed

    here.log.after = die
    with pytest.RaisesGroup(Killed, flatten_subgroups=True):
        deliver(here, of_oura("create", "n1"))
    here.log.after = lambda: None
    assert here.inbox.waiting() == {"oura": 1}
    here.worker = here.new_worker()
    look(here)
    assert (len(here.log.told("sleep")), here.inbox.waiting()) == (1, {})


def test_the_same_bytes_are_one_delivery_until_somebody_begins_with_them(rig: Callable[[str], Rig]) -> None:
    here = rig("withings")
    for _ in range(5):
        here.inbox.put("withings", b"userid=41234567&appli=16&date=2026-10-25", here.now_us)
    (one,) = here.inbox.due(here.now_us, 8)
    here.inbox.begin(one)
    here.inbox.put("withings", b"userid=41234567&appli=16&date=2026-10-25", here.now_us)
    assert here.inbox.waiting() == {"withings": 2}, "it may be about what came after the question"


def test_a_notice_of_withings_is_a_question_of_the_time_that_it_names(rig: Callable[[str], Rig]) -> None:
    here = rig("withings")
    here.cloud.records["measure"] = [weighing(1, 72_000)]
    deliver(here, f"userid=41234567&appli=1&startdate={1_794_800_060}&enddate={1_794_800_061}")
    assert here.log.told("weight") == [{"kg": 72}]
    (asked,) = [each for path, each in here.cloud.log[-1:] if path == "/measure"]
    assert int(asked["lastupdate"]) == 1_794_800_060 - 3_600


def test_of_whoop_the_recovery_comes_by_the_cycle_of_its_sleep_and_goes_with_it(rig: Callable[[str], Rig]) -> None:
    here = rig("whoop")
    sleep = {
        "id": "s-1", "cycle_id": 93845, "start": "2026-11-17T22:00:00Z", "end": "2026-11-18T05:00:00Z",
        "timezone_offset": "+01:00", "score_state": "SCORED", "updated_at": "2026-11-18T06:00:00Z",
        "score": {"stage_summary": {"total_in_bed_time_milli": 25_200_000}, "respiratory_rate": 16.0},
    }  # fmt: skip
    recovery = {
        "cycle_id": 93845, "sleep_id": "s-1", "created_at": "2026-11-18T06:00:00Z", "score_state": "SCORED",
        "updated_at": "2026-11-18T06:00:00Z", "score": {"recovery_score": 44, "resting_heart_rate": 64},
    }  # fmt: skip
    here.cloud.records |= {"sleep": [sleep], "recovery": [recovery]}
    said = {"user_id": 10129, "id": "s-1", "trace_id": "t"}
    deliver(here, said | {"type": "recovery.updated"})
    assert (here.log.told("resting_heart_rate"), len(here.log.told("sleep"))) == ([{"bpm": 64}], 1)
    here.cloud.records |= {"sleep": [], "recovery": []}
    deliver(here, said | {"type": "sleep.deleted"})
    deliver(here, said | {"type": "recovery.deleted"})
    assert (here.log.told("resting_heart_rate"), here.log.told("sleep")) == ([], [])


def test_who_took_our_access_away_needs_to_agree_again_and_who_did_not_goes_on(rig: Callable[[str], Rig]) -> None:
    here = rig("withings")
    unlinked = "userid=41234567&appli=46&action=unlink"
    deliver(here, unlinked)
    assert here.book.of("ann", "withings").state == "ok", "it was forged, or is of before: the token works"
    here.cloud.revoked = True
    deliver(here, unlinked)
    assert here.book.of("ann", "withings").state == "needs_reauth"
    assert here.log.states[-1][1]["state"] == "needs_reauth"
    assert here.inbox.waiting() == {}


def test_who_consents_to_nothing_is_not_asked_about_and_comes_later(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    here.people.known["ann"] = UserStanding.held
    here.cloud.records["sleep"] = [night("n1")]
    asked = len(here.cloud.log)
    deliver(here, of_oura("create", "n1"))
    assert (len(here.cloud.log), here.inbox.waiting()) == (asked, {"oura": 1})
    here.people.known["ann"] = UserStanding.gone
    here.now_us += 120_000_000
    look(here)
    assert here.inbox.waiting() == {}
    look(here)
    assert {path for path, _ in here.cloud.log[asked:]} <= {"/oauth/revoke"}, "all that is said is that it is over"


def test_a_deletion_of_google_takes_back_what_does_not_come_any_more(rig: Callable[[str], Rig]) -> None:
    here = rig("google_health")
    here.book.is_account(here.book.of("ann", "google_health"), "h7")

    def slept(name: str, hour: int) -> dict[str, Any]:
        interval = {"startTime": f"2026-11-17T{hour:02}:00:00Z", "endTime": f"2026-11-17T{hour + 1:02}:00:00Z"}
        return {
            "name": f"users/h7/dataTypes/sleep/dataPoints/{name}",
            "sleep": {"type": "STAGES", "interval": interval, "updateTime": "2026-11-17T23:00:00Z"},
        }

    here.cloud.records["sleep"] = [slept("a", 1), slept("b", 13)]
    here.sync()
    assert len(here.log.told("sleep")) == 2
    here.cloud.records["sleep"] = [slept("a", 1)]
    times = {"startTime": "2026-11-17T13:00:00Z", "endTime": "2026-11-17T14:00:00Z"}
    deliver(here, {
        "data": {
            "healthUserId": "h7", "operation": "DELETE", "dataType": "sleep",
            "intervals": [{"physicalTimeInterval": times}],
        }
    })  # fmt: skip
    assert len(here.log.told("sleep")) == 1


def test_the_inbox_is_bounded_and_what_is_in_it_is_nowhere_in_the_clear(tmp_path: Path) -> None:
    with NoticeInbox.open(tmp_path, rows=3, most=2_000) as inbox:
        for number in range(3):
            inbox.put("garmin", b"marker-%d" % number, 1)
        with pytest.raises(UnavailableError):
            inbox.put("garmin", b"one too many", 1)
        inbox.put("oura", b"another's are taken", 1)
        with pytest.raises(UnavailableError):
            inbox.put("oura", b"x" * 2_000, 1)
        assert inbox.secrets("oura") == inbox.secrets("oura")
        assert inbox.secrets("oura").word != inbox.secrets("garmin").word
        word = inbox.secrets("oura").word.encode()
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert b"marker" not in file.read_bytes(), file
            assert word not in file.read_bytes(), file


def test_a_question_that_is_refused_for_good_is_not_asked_for_a_week(rig: Callable[[str], Rig]) -> None:
    here = rig("oura")
    here.cloud.faults = [answer(400, {"detail": "no"})]
    deliver(here, of_oura("create", "n1"))
    assert here.inbox.waiting() == {}
