"""What has to follow on every recorded answer without data, as EXPECTED.md says: of tokens, limits and faults."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.adapters.catalogue import shipped
from healthsync_mqtt.adapters.cloud import (
    Cloud,
    CloudFault,
    Failed,
    TokenRefused,
    Tokens,
    dated,
    document_of,
    tokens_of,
)
from healthsync_mqtt.adapters.web import CloudAnswer

pytestmark = pytest.mark.shared_data

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "providers"
NOW_US = 1_794_000_000_000_000
OLD = Tokens("access-0", "refresh-0", NOW_US, "scopes-0", "account-0", 0)
DAY_S = 86_400.0

RETRY, LIMITED, OURS = CloudFault.retry, CloudFault.rate_limited, CloudFault.ours
DEAD, NOT_GRANTED, GONE = CloudFault.unauthorised, CloudFault.not_granted, CloudFault.gone

#: What it says, and for how long nothing is asked: 0, as long as it takes.
FAULTS: dict[str, tuple[CloudFault, float]] = {
    "google_health/error_400_not_linked": (CloudFault.user, DAY_S),
    "google_health/error_400_type_in_url": (OURS, 0),
    "google_health/error_401": (DEAD, 0),
    "google_health/error_403_scope": (NOT_GRANTED, 0),
    "google_health/error_403_service_disabled": (OURS, 0),
    "google_health/error_404": (GONE, 0),
    "google_health/error_429": (LIMITED, 0),
    "google_health/error_503_html": (RETRY, 0),
    "google_health/error_truncated_json": (RETRY, 0),
    "google_health/error_200_html": (RETRY, 0),
    "garmin/backfill_range": (OURS, 0),
    "garmin/backfill_too_old": (DEAD, 0),  # of a window: test_lives
    "garmin/backfill_no_permission": (NOT_GRANTED, 0),
    "garmin/pull_refused": (OURS, 0),
    "garmin/error_429": (LIMITED, 0),
    "garmin/error_503_html": (RETRY, 0),
    "withings/error_401": (DEAD, 0),
    "withings/error_601": (LIMITED, 60),
    "withings/error_2555": (RETRY, 0),
    "withings/error_403_scope": (NOT_GRANTED, 0),
    "withings/error_502_html": (RETRY, 0),
    "oura/error_400": (OURS, 0),
    "oura/error_401": (DEAD, 0),
    "oura/ring_configuration_scope_missing": (DEAD, 0),  # of a kind, while the token is good: below
    "oura/error_403_subscription": (CloudFault.user, DAY_S),
    "oura/error_404": (GONE, 0),
    "oura/error_422": (OURS, 0),
    "oura/error_429": (LIMITED, 120),
    "oura/error_500_html": (RETRY, 0),
    "whoop/error_400": (OURS, 0),
    "whoop/error_401": (DEAD, 0),
    "whoop/error_404": (GONE, 0),
    "whoop/recovery_404_for_nap_cycle": (GONE, 0),
    "whoop/error_429": (LIMITED, 23),
    "whoop/error_500_html": (RETRY, 0),
    "polar/error_400_old_date": (GONE, 0),
    "polar/error_401": (DEAD, 0),
    "polar/error_403_consents": (CloudFault.user, DAY_S),
    "polar/error_404": (GONE, 0),
    "polar/error_429": (LIMITED, 95),
    "polar/error_503_html": (RETRY, 0),
    "strava/error_401": (DEAD, 0),
    "strava/error_403_scope": (NOT_GRANTED, 0),
    "strava/error_429_15min": (LIMITED, 450),  # from 14:22:30 to 14:30
    "strava/error_429_daily": (LIMITED, 9 * 3_600 + 37 * 60 + 30),  # to midnight
    "strava/error_500_html": (RETRY, 0),
    "strava/activity_404_deleted": (GONE, 0),
    "strava/streams_404_manual": (GONE, 0),
    "dexcom/error_400_window": (OURS, 0),
    "dexcom/error_401": (DEAD, 0),
    "dexcom/error_403_region": (CloudFault.user, 0),
    "dexcom/error_404": (OURS, 0),
    "dexcom/error_429": (LIMITED, 600),
    "dexcom/error_503_html": (RETRY, 0),
    "dexcom/error_empty_body": (RETRY, 0),
}
NO_FAULT = ("garmin/backfill_accepted", "garmin/backfill_duplicate", "polar/no_content_204")
#: Access, refresh, seconds, account, seconds until the user has to agree again; "0" is what was there before.
TOKENS: dict[str, tuple[str, str, int, str, int]] = {
    "google_health/token_first": ("ya29.invented-access-1", "1//0invented-refresh-A", 3_599, "account-0", 0),
    "google_health/token_first_testing": (
        "ya29.invented-access-T", "1//0invented-refresh-T", 3_599, "account-0", 604_799,
    ),
    "google_health/token_refresh": ("ya29.invented-access-2", "refresh-0", 3_599, "account-0", 0),
    "garmin/token_first": ("garmin-access-1", "garmin-refresh-A", 86_400, "account-0", 7_775_998),
    "garmin/token_refresh": ("garmin-access-2", "garmin-refresh-B", 86_400, "account-0", 7_775_998),
    "withings/token_first": ("withings-access-1", "withings-refresh-A", 10_800, "41234567", 0),
    "withings/token_refresh": ("withings-access-2", "withings-refresh-B", 10_800, "41234567", 0),
    "oura/token_first": ("oura-access-1", "oura-refresh-A", 86_400, "account-0", 0),
    "oura/token_refresh": ("oura-access-2", "oura-refresh-B", 86_400, "account-0", 0),
    "whoop/token_first": ("whoop-access-1", "whoop-refresh-A", 3_600, "account-0", 0),
    "whoop/token_refresh": ("whoop-access-2", "whoop-refresh-B", 3_600, "account-0", 0),
    "polar/token_first": ("polar-access-1", "refresh-0", 315_359_999, "61234567", 0),
    "strava/token_first": ("strava-access-1", "strava-refresh-A", 21_600, "13481599", 0),
    "strava/token_refresh": ("strava-access-2", "strava-refresh-B", 20_566, "account-0", 0),
    "strava/token_refresh_same": ("strava-access-2", "strava-refresh-B", 9_000, "account-0", 0),
    "dexcom/token_first": ("dexcom-access-1", "dexcom-refresh-A", 7_200, "account-0", 0),
    "dexcom/token_refresh": ("dexcom-access-2", "dexcom-refresh-B", 7_200, "account-0", 0),
}  # fmt: skip
DEAD_TOKENS = (
    "google_health/token_refresh_revoked", "garmin/token_refresh_reused", "withings/token_refresh_dead",
    "oura/token_refresh_reused", "whoop/token_refresh_reused", "strava/token_refresh_revoked",
    "dexcom/token_refresh_dead",
)  # fmt: skip
NO_LINK = ("polar/token_error", "withings/token_code_expired")
ELSEWHERE = {
    "whoop/token_first_without_offline": "test_agreeing: no link is made",
    "google_health/fitbit_410_gone": "the adapter fitbit has ended, and asks nothing",
    "oura/subscription_renew_gone": "test_subscribing", "oura/subscription_create": "test_subscribing",
    "strava/subscription_create": "test_subscribing", "google_health/subscriber_create": "test_google_subscriber",
    "polar/webhook_created": "test_subscribing", "polar/webhook_exists": "test_subscribing",
    "polar/user_register_conflict": "test_refusals",
    "polar/user_delete": "test_parting", "whoop/revoke_access": "test_parting", "garmin/deregister": "test_parting",
}  # fmt: skip
"""Other answers without data, and where it is tried what comes of them."""


def read(name: str) -> tuple[Cloud, CloudAnswer]:
    exchange: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    response, body = exchange["response"], exchange["response"]["body"]
    content = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    headers = {key.lower(): value for key, value in response["headers"].items()}
    at = exchange.get("received_at")
    at_us = int(datetime.fromisoformat(at).timestamp() * 1e6) if at else NOW_US
    cloud = shipped(name.partition("/")[0]).cloud
    assert cloud is not None
    return cloud, dated(CloudAnswer(status=response["status"], headers=headers, body=content), at_us)


def judgement(name: str) -> Failed | None:
    cloud, answer = read(name)
    return cloud.judge(answer, document_of(answer) if answer.body else None)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_what_it_is(name: str) -> None:
    failed = judgement(name)
    assert failed is not None
    assert (failed.fault, failed.wait_s) == FAULTS[name]
    if failed.fault is CloudFault.user:
        assert failed.hint, "somebody has to do something"


@pytest.mark.parametrize("name", NO_FAULT)
def test_no_fault_is_none(name: str) -> None:
    assert judgement(name) is None


@pytest.mark.parametrize("name", TOKENS)
def test_tokens_are_taken_as_they_come(name: str) -> None:
    cloud, answer = read(name)
    found = tokens_of(cloud, answer, NOW_US, OLD)
    assert isinstance(found, Tokens)
    access, refresh, lasts_s, account, until_s = TOKENS[name]
    assert (found.access, found.refresh, found.account) == (access, refresh, account)
    assert found.expires_us == NOW_US + lasts_s * 1_000_000
    assert found.until_us == (NOW_US + until_s * 1_000_000 if until_s else 0)


@pytest.mark.parametrize("name", DEAD_TOKENS)
def test_a_refresh_token_that_is_no_more_is_not_asked_with_for_ever(name: str) -> None:
    cloud, answer = read(name)
    found = tokens_of(cloud, answer, NOW_US, OLD)
    assert isinstance(found, TokenRefused)
    assert found.dead


@pytest.mark.parametrize("name", NO_LINK)
def test_a_code_that_is_no_good_makes_no_link(name: str) -> None:
    cloud, answer = read(name)
    assert isinstance(tokens_of(cloud, answer, NOW_US), TokenRefused)


def test_every_recorded_answer_without_data_is_here() -> None:
    known = {*FAULTS, *NO_FAULT, *TOKENS, *DEAD_TOKENS, *NO_LINK, *ELSEWHERE}
    without = set()
    for file in FOLDER.glob("*/*.json"):
        response = json.loads(file.read_text(encoding="utf-8")).get("response")
        name = f"{file.parent.name}/{file.stem}"
        if response and (response["status"] != 200 or "token_" in name or "error_" in name):
            without.add(name)
    assert without - known == set()
    assert known - without <= set(ELSEWHERE)
