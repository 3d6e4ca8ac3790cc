"""Credentials over HTTP: a one-time code, refresh tokens, and what a guesser gets."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.patience import wait_until
from tests.support.service import Service
from tests.support.web import HttpAnswer, Web

EVENT = {"type": "heart_rate", "start_time": "2026-11-23T06:00:00Z", "value": {"bpm": 70}}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("gateway-enrol") / "data", "--http-port", "0") as service:
        service.cli("user", "add", "alice", "--consent", "all")
        yield service


@pytest.fixture
def web(service: Service) -> Web:
    return Web(service.ready["http"], service.ca_file)


def code(service: Service, device: str) -> str:
    return str(service.cli("device", "enroll", "alice", device)[0]["code"])


def enrolled(service: Service, web: Web, device: str) -> dict[str, Any]:
    answer = web.post("/v1/enroll", {"code": code(service, device)})
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json()
    return found


def refreshed(web: Web, token: str) -> HttpAnswer:
    form = urlencode({"grant_type": "refresh_token", "refresh_token": token}).encode()
    return web.post("/v1/oauth/token", form, content_type="application/x-www-form-urlencoded")


def test_a_code_is_exchanged_once_for_credentials_that_are_good_at_once(service: Service, web: Web) -> None:
    one_time = code(service, "phone")
    answer = web.post("/v1/enroll", {"code": one_time})
    assert answer.status == 200, answer.body
    made = answer.json()
    assert (made["user_id"], made["device_id"]) == ("alice", "phone")
    assert answer.headers["cache-control"] == "no-store"
    assert web.as_(made["token"]).post("/v1/events", [EVENT | {"id": "p-1"}]).json()["stored"] == 1
    assert web.post("/v1/enroll", {"code": one_time}).status == 401


def test_an_answer_that_was_lost_may_be_asked_for_again(service: Service, web: Web) -> None:
    one_time = code(service, "lossy")
    mine = {"code": one_time, "client": "a-name-of-my-own-1"}
    first, again = web.post("/v1/enroll", mine), web.post("/v1/enroll", mine)
    assert (first.status, again.status) == (200, 200)
    assert web.post("/v1/enroll", mine | {"client": "a-name-of-a-thief"}).status == 401
    assert web.as_(again.json()["token"]).post("/v1/events", [EVENT | {"id": "l-1"}]).status == 200


def test_a_refresh_token_brings_the_next_ones(service: Service, web: Web) -> None:
    made = enrolled(service, web, "watch")
    answer = refreshed(web, made["refresh_token"])
    assert answer.status == 200, answer.body
    found = answer.json()
    assert (found["token_type"], set(found)) == (
        "Bearer", {"access_token", "token_type", "expires_in", "refresh_token"},
    )  # fmt: skip
    assert 0 < found["expires_in"] <= 3600
    assert web.as_(found["access_token"]).post("/v1/events", [EVENT | {"id": "w-1"}]).status == 200
    assert refreshed(web, found["refresh_token"]).status == 200


def test_a_wrong_code_a_used_token_and_a_made_up_one_are_refused_alike(service: Service, web: Web) -> None:
    made = enrolled(service, web, "spent")
    service.cli("device", "remove", "alice", "spent", "--yes")
    wait_until(lambda: refreshed(web, made["refresh_token"]).status == 401)
    refused = [
        refreshed(web, made["refresh_token"]),
        refreshed(web, "hsr_made-up"),
        web.post("/v1/enroll", {"code": "AAAA-AAAA-AAAA-AAAA"}),
        web.post("/v1/enroll", {"code": "none"}),
    ]
    assert {each.status for each in refused} == {401}
    # Refresh tokens are refused as RFC 6749 has it, too, whatever is wrong with them.
    told = [each.json() | {"request_id": ""} for each in refused]
    assert [each.pop("error", None) for each in told] == ["invalid_grant", "invalid_grant", None, None]
    assert len({str(each) for each in told}) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/enroll", b""),
        ("/v1/enroll", b'{"code": 7}'),
        ("/v1/enroll", b'{"code": "a", "more": 1}'),
        ("/v1/enroll", b'{"code": "a", "client": "short"}'),
        ("/v1/oauth/token", b""),
        ("/v1/oauth/token", b"grant_type=password&username=a&password=b"),
        ("/v1/oauth/token", b"grant_type=refresh_token&refresh_token=a&refresh_token=b"),
        ("/v1/oauth/token", b"\xff"),
    ],
)
def test_what_asks_for_nothing_is_said(web: Web, path: str, body: bytes) -> None:
    answer = web.post(path, body)
    assert (answer.status, answer.json()["reason"]) == (400, "bad_input")


def test_a_body_that_is_no_request_of_this_kind_is_not_read(web: Web) -> None:
    assert web.post("/v1/enroll", b" " * 5_000).status == 413


def test_an_admin_has_the_running_service_do_it(service: Service, web: Web) -> None:
    """What only the service can: a refusal is tried again, a file is imported, a person is erased."""
    root = web.as_(service.cli("admin", "add", "root")[0]["token"])
    service.cli("user", "add", "erin", "--consent", "all")
    made = root.post("/v1/users/erin/devices/watch/enrolment", {})
    watch = web.as_(web.post("/v1/enroll", {"code": made.json()["code"]}).json()["token"])
    assert watch.post("/v1/events", EVENT | {"id": "e-1", "value": {"bpm": 9_000}}).status == 422
    (refused,) = root.get("/v1/rejected?user=erin").json()["rejected"]
    again = root.post(f"/v1/rejected/{refused['number']}/replay", {})
    assert (again.status, again.json()["outcome"], again.json()["reason"]) == (200, "rejected", refused["reason"])
    assert root.post("/v1/rejected/purge", {"before": "2100-01-01T00:00:00Z", "user_id": "erin"}).status == 200
    wait_until(lambda: root.get("/v1/rejected?user=erin").json()["rejected"] == [], "the purge")

    file = "\n".join(json.dumps(EVENT | {"id": f"i-{number}"}) for number in range(3)).encode()
    taken = root.post("/v1/users/erin/imports", file)
    assert taken.status == 200, taken.body
    path = f"/v1/users/erin/imports/{taken.json()['id']}"
    wait_until(lambda: root.get(path).json()["ended_at"], "the end of the import")
    assert root.get(path).json()["state"] == "done", root.get(path).body
    assert root.get(path).json()["outcome"]["stored"] == 3
    status = root.get("/v1/status").json()
    assert (status["running"], status["listeners"]["http"]) == (True, service.ready["http"])

    begun = root.post("/v1/users/erin/erasure", {"confirm": "erin"}).json()
    wait_until(lambda: root.get(f"/v1/erasures/{begun['erasure']}").json()["erased"], "the end of the erasure")
    assert watch.get("/v1/users/erin/events").status == 401
