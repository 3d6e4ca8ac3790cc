"""Every recorded webhook is answered as its recording says, and says what EXPECTED.md says of it: no I/O at all."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.adapters.catalogue import shipped
from healthsync_mqtt.adapters.hooks import garmin as garmin_hooks
from healthsync_mqtt.adapters.hooks import polar as polar_hooks
from healthsync_mqtt.adapters.notices import (
    CloudDelivery,
    CloudNotices,
    HookOwner,
    Notice,
    RecordQuestion,
    WindowQuestion,
)
from healthsync_mqtt.cloud_links.inbox import HookSecrets

FOLDER = Path(__file__).parents[5] / "shared" / "data" / "providers"
CLIENT = {"garmin": "healthsync-test-client"}
WORDS = {
    "withings": "k9-invented",
    "garmin": "k3-invented-unguessable-path",
    "google_health": "invented-google-hook-secret",
}
NOW_US = 1_794_000_001_000_000


def notices_of(provider: str) -> CloudNotices:
    cloud = shipped(provider).cloud
    found = cloud.notices if cloud is not None else {"garmin": garmin_hooks, "polar": polar_hooks}[provider].NOTICES
    assert found is not None
    return found


def recordings() -> list[str]:
    """Those that are requests to us."""
    files = sorted(FOLDER.glob("*/*.json"))
    return [f"{each.parent.name}/{each.stem}" for each in files if '"webhook": {' in each.read_text(encoding="utf-8")]


def recorded(name: str) -> tuple[CloudDelivery, HookOwner, dict[str, Any]]:
    said = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    provider = name.partition("/")[0]
    asked = said["webhook"]
    there = urlsplit(asked["url"])
    _, _, word = there.path.removeprefix(f"/v1/hooks/{provider}").partition("/")
    at = said.get("received_at")
    delivery = CloudDelivery(
        method=asked["method"],
        query=dict(parse_qsl(there.query)),
        headers={key.lower(): value for key, value in asked["headers"].items()},
        body=(asked["body"] or "").encode(),
        word=word,
        received_us=int(datetime.fromisoformat(at).timestamp() * 1e6) if at else NOW_US,
    )
    keys = ""
    if "keyset" in said:
        keyset = json.loads((FOLDER / provider / said["keyset"]).read_text(encoding="utf-8"))
        keys = json.dumps(keyset["response"]["body"])
    known = HookSecrets(
        WORDS.get(provider, "") or said.get("verification_token") or said.get("verify_token") or "unguessed",
        signing=said.get("signature_secret_key", ""),
        subscription=str(said.get("subscription_id", "")),
        keys=keys,
    )
    return delivery, HookOwner(CLIENT.get(provider, "app"), said.get("client_secret", ""), known), said["answer"]


@pytest.mark.shared_data
@pytest.mark.parametrize("name", recordings())
def test_it_is_answered_as_it_should_be(name: str) -> None:
    delivery, owner, expected = recorded(name)
    answer = notices_of(name.partition("/")[0]).receive(delivery, owner)
    assert answer.status == expected["status"]
    if "body" in expected:
        assert dict(answer.body or {}) == expected["body"]
    if answer.status >= 400:
        assert (answer.kept, answer.body) == (False, None), "nothing of a stranger's is repeated, and nothing kept"


@pytest.mark.shared_data
@pytest.mark.parametrize("name", recordings())
def test_one_that_differs_by_a_byte_is_refused(name: str) -> None:
    """Of those that are signed. Where nothing is, the address is the secret."""
    delivery, owner, _ = recorded(name)
    notices = notices_of(name.partition("/")[0])
    if not notices.receive(delivery, owner).kept:
        return
    if notices.secret_path:
        other = CloudDelivery(method="POST", body=delivery.body, headers=delivery.headers, word=delivery.word[:-1])
        assert notices.receive(other, owner).status == 404
        return
    changed = delivery.body.replace(b"0", b"1", 1)
    assert changed != delivery.body
    other = CloudDelivery(method="POST", headers=delivery.headers, body=changed, received_us=delivery.received_us)
    assert (notices.receive(other, owner).status, notices.receive(other, owner).kept) == (401, False)


def said(name: str) -> list[Notice]:
    delivery, _, _ = recorded(name)
    return notices_of(name.partition("/")[0]).read(delivery.body, delivery.received_us)


def paths(notice: Notice) -> list[str]:
    return [each.path if isinstance(each, RecordQuestion) else each.kind for each in notice.ask]


SAYS = {
    "whoop/webhook_sleep_updated": ["/developer/v2/activity/sleep/0b8f1f8e-1111-4111-8111-000000000003"],
    "whoop/webhook_recovery_updated": ["/developer/v2/activity/sleep/0b8f1f8e-1111-4111-8111-000000000003"],
    "whoop/webhook_v1_integer_id": ["workout"],
    "oura/webhook_create": ["/v2/usercollection/sleep/aa11-sleep-1"],
    "oura/webhook_update": ["/v2/usercollection/vO2_max/vo-1"],
    "strava/webhook_activity_create": ["/api/v3/activities/10000000001"],
    "strava/webhook_activity_update": ["/api/v3/activities/10000000001"],
    "strava/webhook_activity_private": ["/api/v3/activities/10000000001"],
    "polar/webhook_exercise": ["/v3/exercises/2AC312F"],
    "polar/webhook_sleep": ["/v3/users/sleep/2026-11-22", "/v3/users/nightly-recharge/2026-11-22"],
    "polar/webhook_physical_information": ["/v3/users/physical-info"],
    "withings/webhook_weight": ["measure"],
    "withings/webhook_sleep": ["sleep_summary", "sleep_detail"],
    "withings/webhook_activity": ["activity", "workouts"],
    "google_health/webhook_upsert": ["steps"],
    "google_health/webhook_civil_only": ["weight"],
    "google_health/webhook_delete": ["sleep"],
    "garmin/ping_dailies": ["/wellness-api/rest/dailies"],
    "garmin/ping_activity_file": ["/wellness-api/rest/activityFile"],
}
NOTHING = (
    "polar/webhook_foreign_url",
    "polar/webhook_sleep_wise",
    "withings/webhook_bed_in",
)
GONE = {
    "whoop/webhook_workout_deleted": ("workout 0b8f1f8e-2222-4222-8222-000000000002;",),
    "whoop/webhook_sleep_deleted": (
        "sleep 0b8f1f8e-1111-4111-8111-000000000001;",
        "recovery 0b8f1f8e-1111-4111-8111-000000000001;",
    ),
    "whoop/webhook_recovery_deleted": ("recovery 0b8f1f8e-1111-4111-8111-000000000001;",),
    "oura/webhook_delete": ("workout wo-2;",),
    "strava/webhook_activity_delete": ("activity 10000000002;",),
}
CHECKED = (
    "strava/webhook_athlete_deauthorized", "withings/webhook_user_unlink", "withings/webhook_user_delete",
    "garmin/push_deregistration", "garmin/push_permission_change",
)  # fmt: skip


@pytest.mark.shared_data
@pytest.mark.parametrize("name", SAYS)
def test_what_is_new_is_asked_for(name: str) -> None:
    (notice,) = said(name)
    assert paths(notice) == SAYS[name]
    assert (notice.gone, notice.check) == ((), False)
    for each in notice.ask:
        if isinstance(each, WindowQuestion):
            assert 0 < each.start < each.end


@pytest.mark.shared_data
@pytest.mark.parametrize("name", NOTHING)
def test_of_what_there_is_no_type_or_no_trust_nothing_is_asked(name: str) -> None:
    assert [each for each in said(name) if each.ask or each.gone or each.pushed] == []


@pytest.mark.shared_data
@pytest.mark.parametrize("name", GONE)
def test_what_is_gone_is_taken_back_without_a_question(name: str) -> None:
    (notice,) = said(name)
    assert (notice.ask, notice.gone) == ((), GONE[name])


@pytest.mark.shared_data
@pytest.mark.parametrize("name", CHECKED)
def test_who_may_have_taken_our_access_away_is_checked(name: str) -> None:
    assert [each.check for each in said(name)] == [True]


@pytest.mark.shared_data
def test_a_push_of_many_users_is_one_notice_each_and_an_array_of_google_too() -> None:
    assert {each.account for each in said("garmin/push_mixed_users")} >= {"9f3c1d2e4b5a69788796a5b4c3d2e1f0"}
    assert all(each.pushed == "push" for each in said("garmin/push_mixed_users"))
    first, second = said("google_health/webhook_upsert_array")
    assert (len(first.ask), first.account != second.account) == (2, True)


@pytest.mark.shared_data
def test_a_recovery_is_asked_for_by_the_cycle_of_its_sleep() -> None:
    (notice,) = said("whoop/webhook_recovery_updated")
    (question,) = notice.ask
    assert isinstance(question, RecordQuestion)
    assert question.then is not None
    assert [each.path for each in question.then({"cycle_id": 93845})] == ["/developer/v2/cycle/93845/recovery"]
    assert question.then({"cycle_id": "../x"}) == ()


def test_unsigned_deliveries_of_strava_are_a_setting() -> None:
    strava = notices_of("strava")
    body = json.dumps({"object_type": "activity", "object_id": 7, "owner_id": 1, "subscription_id": 120475}).encode()
    known = HookSecrets("word", subscription="120475")
    delivery = CloudDelivery(method="POST", body=body, received_us=NOW_US)
    assert strava.receive(delivery, HookOwner("app", "secret", known)).status == 401
    assert strava.receive(delivery, HookOwner("app", "secret", known, signed=False)).kept
    other = HookSecrets("word", subscription="1")
    assert strava.receive(delivery, HookOwner("app", "secret", other, signed=False)).status == 401
    assert strava.receive(delivery, HookOwner("app", "secret", HookSecrets("word"), signed=False)).status == 401


def test_without_a_secret_nothing_is_taken() -> None:
    """Signed with nothing is not signed."""
    for provider in ("oura", "whoop", "strava", "polar", "google_health", "withings", "garmin"):
        notices = notices_of(provider)
        for method in ("POST", "GET", "HEAD"):
            answer = notices.receive(
                CloudDelivery(method=method, body=b"{}", received_us=NOW_US), HookOwner("", "", HookSecrets(""))
            )
            assert (answer.status >= 400, answer.kept) == (True, False), (provider, method)


def test_a_ping_that_leads_elsewhere_is_followed_by_nobody() -> None:
    for url in (
        "https://apis.garmin.com.evil.example/wellness-api/rest/dailies?token=x",
        "http://apis.garmin.com/wellness-api/rest/dailies?token=x",
        "https://apis.garmin.com/partner-gateway/rest/user/id",
        "https://apis.garmin.com/wellness-api/rest/../../x",
        "https://user@evil.example/wellness-api/rest/x",
        17,
    ):
        body = json.dumps({"dailies": [{"userId": "u", "callbackURL": url}]}).encode()
        assert [each for each in notices_of("garmin").read(body, NOW_US) if each.ask] == [], url


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from([
    "user_id", "id", "type", "object_id", "data_type", "event_type", "owner_id", "object_type", "data", "healthUserId",
    "dataType", "intervals", "physicalTimeInterval", "startTime", "endTime", "event", "entity_id", "date", "url",
    "dailies", "userId", "callbackURL", "deregistrations",
])  # fmt: skip
NESTED = st.recursive(
    JSON | st.sampled_from(["sleep", "sleep.updated", "activity", "SLEEP", "https://[", "2026-02-30"]),
    lambda inner: st.dictionaries(KEYS, inner, max_size=5) | st.lists(inner, max_size=2),
    max_leaves=12,
)


@pytest.mark.parametrize("provider", ["oura", "whoop", "strava", "polar", "google_health", "withings", "garmin"])
@given(document=NESTED, raw=st.binary(max_size=40))
def test_reading_never_raises(provider: str, document: Any, raw: bytes) -> None:
    notices = notices_of(provider)
    for body in (json.dumps(document).encode(), raw, b"userid=1&appli=1&startdate=" + raw):
        assert all(each.account for each in notices.read(body, NOW_US))
