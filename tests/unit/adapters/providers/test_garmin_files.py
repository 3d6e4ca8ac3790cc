"""Files of activities that Garmin pings about: fetched once, on disk before anything is made of them, one workout."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.adapters.catalogue import shipped
from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest
from healthsync_mqtt.formats.fit.clock import EPOCH_S
from healthsync_mqtt.formats.port import AppMessage, RefusedRecord, folded
from healthsync_mqtt.model.reasons import RefusedError
from tests.support.clouds import answer
from tests.support.fit_files import U32, fit_file, record, session
from tests.unit.adapters.test_fetch import NOW_US, Rig
from tests.unit.adapters.test_lives import deliver

AT = NOW_US // 1_000_000 - 86_400
BEGIN = AT - EPOCH_S
NAME = 20993311
RUN = fit_file(
    (34, [(253, U32, BEGIN + 1_800), (5, U32, BEGIN + 1_800 + 3_600)]),
    record(BEGIN, bpm=120), record(BEGIN + 5, bpm=125, meters=10), session(BEGIN, BEGIN + 1_800, meters=5_000),
)  # fmt: skip
FILE = "/wellness-api/rest/activityFile"
PING = {
    "activityFiles": [{
        "userId": "g-1", "summaryId": f"{NAME}-file", "fileType": "FIT", "activityId": NAME,
        "callbackURL": f"https://apis.garmin.com{FILE}?id={NAME}&token=XPT-invented-2",
    }]
}  # fmt: skip
SUMMARY = {
    "startTimeInSeconds": AT, "startTimeOffsetInSeconds": 3_600, "durationInSeconds": 1_800, "activityType": "RUNNING",
    "distanceInMeters": 5_000.0,
}  # fmt: skip
PUSH = {"activities": [{"userId": "g-1", "activityId": NAME, **SUMMARY}]}
DETAILS = {
    "activityDetails": [{
        "userId": "g-1", "activityId": NAME, "summary": SUMMARY,
        "samples": [{"startTimeInSeconds": AT, "heartRate": 119}, {"startTimeInSeconds": AT + 5, "heartRate": 124}],
    }]
}  # fmt: skip


class Garmin:
    """Gives each file once; all else goes to the scripted cloud."""

    def __init__(self, behind: Any, *files: CloudAnswer) -> None:
        self.behind = behind
        self.files = list(files)
        self.asked: list[CloudRequest] = []

    def ask(self, request: CloudRequest) -> CloudAnswer:
        if FILE not in request.url:
            found: CloudAnswer = self.behind.ask(request)
            return found
        self.asked.append(request)
        if not self.files:
            return answer(400, {"errorMessage": "InvalidPullTokenException failure"})
        return self.files.pop(0)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, "garmin")
    made.link()
    made.sync()
    yield made
    made.close()


def gives(here: Rig, *files: CloudAnswer) -> Garmin:
    garmin = Garmin(here.cloud, *files)
    here.cloud = garmin  # type: ignore[assignment]
    return garmin


def fit(body: bytes = RUN) -> CloudAnswer:
    return CloudAnswer(status=200, headers={"content-type": "application/octet-stream"}, body=body)


def test_a_file_is_the_workout_that_a_push_and_its_details_are(here: Rig) -> None:
    garmin = gives(here, fit())
    deliver(here, PING)
    (request,) = garmin.asked
    assert request.url.endswith(f"{FILE}?id={NAME}&token=XPT-invented-2")
    assert request.most == 32 * 1024 * 1024
    assert here.log.told("workout") == [{"activity": "running", "distance_m": 5_000}]
    assert here.log.told("heart_rate") == [{"samples": [[0, 120], [5, 125]]}]
    assert here.log.told("distance") == [], "it is in the epochs"
    assert {each["start"] for each in here.log.events.values()} == {AT * 1_000_000}
    deliver(here, PUSH)
    deliver(here, DETAILS)
    assert len(here.log.told("workout")) == 1
    assert here.log.told("heart_rate") == [{"samples": [[0, 119], [5, 124]]}], "the newest holds"


def test_a_file_that_was_fetched_and_not_committed_is_not_asked_for_again(here: Rig) -> None:
    garmin = gives(here, fit())
    here.log.broken = lambda: True
    with pytest.raises(AssertionError, match="garmin"):
        deliver(here, PING)  # it waits
    assert len(garmin.asked) == 1
    (link,) = here.book.links("ann")
    assert here.book.shelved(link, f"activityFiles/{NAME}") == RUN
    assert RUN not in b"".join(each.read_bytes() for each in here.data.glob("adapters.db*")), "sealed"
    here.log.broken = lambda: False
    here.now_us += 3_600_000_000
    deliver(here, {"dailies": []})
    assert len(garmin.asked) == 1
    assert len(here.log.told("workout")) == 1
    assert here.book.shelved(link, f"activityFiles/{NAME}") is None


def test_a_ping_said_twice_leads_to_nothing_more(here: Rig) -> None:
    garmin = gives(here, fit())
    deliver(here, PING)
    events = dict(here.log.events)
    deliver(here, PING)
    assert (len(garmin.asked), here.log.events) == (2, events)


def test_a_question_that_is_refused_leaves_the_others_of_its_delivery(here: Rig) -> None:
    gives(here)
    url = "https://apis.garmin.com/wellness-api/rest/dailies?token=x"
    here.cloud.behind.manners.fixed["/wellness-api/rest/dailies"] = answer(200, [])  # type: ignore[attr-defined]
    asked = len(here.cloud.behind.log)  # type: ignore[attr-defined]
    deliver(here, {**PING, "dailies": [{"userId": "g-1", "callbackURL": url}]})
    assert len(here.cloud.behind.log) == asked + 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("given", [CloudAnswer(status=0, fault="too_large"), answer(404, {}), answer(403, {})])
def test_what_is_no_file_is_not_asked_for_for_ever(here: Rig, given: CloudAnswer) -> None:
    garmin = gives(here, given)
    deliver(here, PING)
    assert (len(garmin.asked), here.log.told("workout")) == (1, [])
    assert here.book.of("ann", "garmin").state == "ok"


@pytest.mark.parametrize("body", [b"<html>a portal</html>", b"", b"{}"])
def test_what_is_no_file_is_an_answer_that_failed_and_asked_for_again(here: Rig, body: bytes) -> None:
    garmin = gives(here, fit(body), fit())
    with pytest.raises(AssertionError, match="garmin"):
        deliver(here, PING)  # it waits
    here.now_us += 3_600_000_000
    deliver(here, {"dailies": []})
    assert (len(garmin.asked), len(here.log.told("workout"))) == (2, 1)


@pytest.mark.parametrize(
    "change",
    [{"fileType": "GPX"}, {"activityId": "../x"}, {"callbackURL": "https://elsewhere.example/wellness-api/rest/x"},
     {"callbackURL": "http://apis.garmin.com/wellness-api/rest/activityFile"}],
)  # fmt: skip
def test_what_is_no_activity_of_garmins_is_not_asked_for(here: Rig, change: dict[str, Any]) -> None:
    garmin = gives(here, fit())
    deliver(here, {"activityFiles": [PING["activityFiles"][0] | change]})
    assert garmin.asked == []


def outcomes(body: bytes) -> list[Any]:
    mapping = shipped("garmin").mapping
    assert mapping is not None
    return folded(mapping, AppMessage(body, "ann", topic=f"activityFiles/{NAME}", at_us=NOW_US)).outcomes


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(RefusedError):
        outcomes(body)


@given(st.integers(0, len(RUN)), st.integers(0, len(RUN) - 1), st.integers(0, 255))
def test_a_file_cut_or_damaged_never_raises(cut: int, place: int, byte: int) -> None:
    broken = bytearray(RUN)
    broken[place] = byte
    for body in (RUN[:cut], bytes(broken)):
        with contextlib.suppress(RefusedError):
            outcomes(body)


def test_a_cut_file_says_where() -> None:
    assert any(isinstance(each, RefusedRecord) and "byte" in each.place for each in outcomes(RUN[: len(RUN) // 2]))
