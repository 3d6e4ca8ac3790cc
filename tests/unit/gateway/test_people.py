"""People at the gateway: a link, its session in a browser, what each of them sees, and how it ends."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from healthsync_mqtt.gateway.routes.events import history
from healthsync_mqtt.identity.consent.decisions import Purpose
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.port import Item
from healthsync_mqtt.summaries.file import SummaryFile
from healthsync_mqtt.testing.log_items import item
from tests.support.gateway import Browser, GatewayHere, filled, gateway_here
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.web import Web

START_US = 1_790_000_000_000_000


def steps(name: str, user: str = "alice") -> Item:
    one = item(name, user, event_type="steps", start_us=START_US)
    event = one.event._replace(end_us=START_US + 600_000_000, body=b'{"value":{"steps":412}}')
    return one._replace(event=event)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayHere]:
    data = tmp_path_factory.mktemp("people") / "data"
    rates = [item(f"h-{n}", start_us=START_US + n * 60_000_000) for n in range(3)]
    filled(data, ["alice", "bob", "carol", "dave"], [*rates, steps("s-1"), item("b-1", "bob")])
    with gateway_here(data) as here:
        yield here


@pytest.fixture(scope="module")
def watch(scene: GatewayHere) -> Web:
    return scene.device("alice", "watch")


def test_a_link_opens_a_session_once_and_its_cookies_are_guarded(scene: GatewayHere) -> None:
    link, browser = scene.link("alice"), Browser(scene.web)
    opened = browser.post(link)
    assert opened.status == 200, opened.body
    assert {name: opened.json()[name] for name in ("role", "name")} == {"role": "user", "name": "alice"}
    for name, attributes in browser.kept.items():
        assert "secure" in attributes
        assert "samesite=strict" in attributes
        assert ("httponly" in attributes) is not name.endswith("csrf")
        assert "domain" not in attributes
    assert browser.get("/v1/session").json()["name"] == "alice"
    again = scene.web.post(link, b"")
    assert (again.status, again.json()["reason"]) == (401, "token_invalid")
    assert scene.web.post("/v1/invites/" + "x" * 43, b"").json() | {"request_id": ""} == again.json() | {
        "request_id": ""
    }


@pytest.mark.parametrize(
    "accept", [None, "*/*", "text/html,application/xhtml+xml,*/*;q=0.8", "image/png", "application/*"]
)
def test_who_looks_at_a_link_uses_nothing_up(scene: GatewayHere, accept: str | None) -> None:
    """Previews of messengers and scanners of mail ask for every link, some of them more than once."""
    link, said = scene.link("alice"), {} if accept is None else {"accept": accept}
    for method in ("GET", "HEAD", "GET", "OPTIONS"):
        seen = scene.web.call(method, link, **said)
        assert seen.cookies == ()
        assert (method == "GET") is (seen.status == 200)
    assert Browser(scene.web).post(link).status == 200


def test_a_program_that_asks_for_json_by_name_uses_it_by_get_too(scene: GatewayHere) -> None:
    link, browser = scene.link("alice"), Browser(scene.web)
    assert browser.get(link, accept="application/json").json()["name"] == "alice"
    assert browser.get("/v1/session").json()["name"] == "alice"
    assert scene.web.get(link, accept="application/json").status == 401


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_signs_nobody_in(scene: GatewayHere, site: str) -> None:
    link = scene.link("alice")
    refused = scene.web.post(link, b"", sec_fetch_site=site)
    assert (refused.status, refused.json()["reason"], refused.cookies) == (403, "csrf", ())
    assert scene.web.post(link, b"", sec_fetch_site="same-origin", origin="null").status == 200


def test_a_person_reads_the_own_data_and_nobody_elses(scene: GatewayHere) -> None:
    alice, bob = scene.invited("alice"), scene.invited("bob")
    assert len(alice.get("/v1/users/alice/events").json()["events"]) == 4
    assert [each["id"] for each in bob.get("/v1/users/bob/events").json()["events"]] == ["b-1"]
    for path in ("events", "events/h-1", "types", "summary", "carers"):
        others, absent = (bob.get(f"/v1/users/{user}/{path}") for user in ("alice", "nobody"))
        assert others.status == 404
        assert others.json() | {"request_id": ""} == absent.json() | {"request_id": ""}
    assert bob.get("/events/alice").status == 404
    assert alice.call("POST", "/v1/events", [], x_csrf_token=alice.csrf).status == 403  # people send nothing


@pytest.mark.parametrize("said", ["", "Bearer", "Bearer x.y.z", "Basic YTpi"])
def test_a_session_does_not_stand_in_for_a_credential_that_is_no_good(scene: GatewayHere, said: str) -> None:
    alice = scene.invited("alice")
    assert alice.get("/v1/session/passkeys").status == 200
    assert alice.get("/v1/session/passkeys", authorization=said).status == 401


def test_what_changes_something_repeats_the_word_of_its_session(scene: GatewayHere) -> None:
    alice, other = scene.invited("alice"), scene.invited("alice")
    for said in ({}, {"x_csrf_token": "x"}, {"x_csrf_token": other.csrf}):
        for method, path in (
            ("DELETE", "/v1/session"),
            ("POST", "/v1/session/refresh"),
            ("PUT", "/v1/users/alice/carers/bob"),
            ("DELETE", "/v1/users/alice/carers/bob"),
        ):
            refused = alice.call(method, path, b"{}", **said)
            assert (refused.status, refused.json()["reason"]) == (403, "csrf"), (method, path, said)
    assert alice.get("/v1/session").status == 200


def test_a_refresh_gives_the_next_cookies_and_logging_out_ends_all(scene: GatewayHere) -> None:
    alice = scene.invited("alice")
    before = dict(alice.cookies)
    assert alice.call("POST", "/v1/session/refresh", b"", x_csrf_token=alice.csrf).status == 200
    changed = {name for name in before if alice.cookies[name] != before[name]}
    assert changed == {"__Host-healthsync", "__Secure-healthsync-refresh"}
    left = Browser(scene.web, dict(alice.cookies))
    assert alice.call("DELETE", "/v1/session", x_csrf_token=alice.csrf).status == 200
    assert alice.cookies == {}
    for method, path in (("GET", "/v1/session"), ("POST", "/v1/session/refresh")):
        assert left.call(method, path, b"", x_csrf_token=before["__Host-healthsync-csrf"]).status == 401


def test_a_carer_sees_the_types_that_a_user_grants_until_they_are_taken_back(scene: GatewayHere) -> None:
    alice, bob = scene.invited("alice"), scene.invited("bob")
    until = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    grant = {"types": ["steps"], "until": until}
    path = "/v1/users/alice/carers/bob"
    assert bob.call("PUT", path, grant, x_csrf_token=bob.csrf).status == 404  # only alice grants what is hers
    given = alice.call("PUT", path, grant, x_csrf_token=alice.csrf)
    assert given.status == 200, given.body
    assert [each["carer"] for each in alice.get("/v1/users/alice/carers").json()["carers"]] == ["bob"]
    of_alice, of_bob = (each.get("/v1/session").json() for each in (alice, bob))
    assert (of_bob["cares_for"], of_alice["cares_for"]) == (["alice"], [])
    assert (of_bob["grants"], of_alice["grants"]) == (
        [grant | {"user_id": "alice", "until": given.json()["until"]}],
        [],
    )
    assert [each["type"] for each in bob.get("/v1/users/alice/events").json()["events"]] == ["steps"]
    assert [each["type"] for each in bob.get("/v1/users/alice/types").json()["types"]] == ["steps"]
    assert bob.get("/v1/users/alice/events/h-1").status == 404
    assert bob.get("/v1/users/alice/carers").status == 404
    over = "2020-01-01T00:00:00Z"
    for wrong in ({"types": ["steps"]}, grant | {"types": ["no_such"]}, grant | {"until": over}):
        assert alice.call("PUT", path, wrong, x_csrf_token=alice.csrf).status == 400
    assert alice.call("PUT", "/v1/users/alice/carers/nobody", grant, x_csrf_token=alice.csrf).status == 404
    assert alice.call("DELETE", path, x_csrf_token=alice.csrf).json() == {"carers": []}
    assert alice.call("DELETE", path, x_csrf_token=alice.csrf).status == 404
    assert bob.get("/v1/users/alice/events").status == 404
    assert {"carer.granted", "carer.withdrawn", "session.begun"} <= set(scene.audited())
    audit = scene.place.audit_log()
    said = [row.detail["carer"] for row in audit.rows() if row.action.startswith("carer.")]
    assert said == [audit.pseudonym("user", "bob")] * 2


def test_who_is_suspended_is_logged_out_and_the_stream_ends(scene: GatewayHere) -> None:
    carol = scene.invited("carol")
    header = {"Cookie": "; ".join(f"{name}={value}" for name, value in carol.cookies.items())}
    url = scene.web.url.replace("http", "ws") + "/v1/stream"
    with pytest.raises(InvalidStatus) as said:
        connect(url, additional_headers=header, origin="https://evil.example")  # type: ignore[arg-type]
    assert said.value.response.status_code == 403
    with connect(url, additional_headers=header, origin=scene.web.url) as stream:  # type: ignore[arg-type]
        with scene.registry() as registry:
            registry.revocation.suspend_user("carol", time.time_ns() // 1000)
        with pytest.raises(ConnectionClosed) as closed:
            stream.recv(timeout=PATIENCE_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
    assert carol.get("/v1/session").status == 401


def test_bytes_on_a_stream_are_refused_and_are_no_defect(
    scene: GatewayHere, watch: Web, caplog: pytest.LogCaptureFixture
) -> None:
    url = scene.web.url.replace("http", "ws") + "/v1/stream"
    header = {"Authorization": watch.authorization}
    with connect(url, additional_headers=header) as stream:
        stream.send("texts mean nothing")
        stream.send(b"\x00\x01")
        with pytest.raises(ConnectionClosed) as closed:
            stream.recv(timeout=PATIENCE_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1003
    assert "defect" not in caplog.text
    assert "exception" not in caplog.text.lower()


def test_the_newest_come_first_where_that_is_asked(watch: Web) -> None:
    first = watch.get("/v1/users/alice/events?order=desc&limit=3").json()
    assert [each["id"] for each in first["events"]] == ["s-1", "h-2", "h-1"]
    rest = watch.get(f"/v1/users/alice/events?order=desc&limit=3&cursor={first['next']}").json()
    assert ([each["id"] for each in rest["events"]], rest["next"]) == (["h-0"], None)
    assert watch.get(f"/v1/users/alice/events?cursor={first['next']}").status == 400  # of the other order
    assert watch.get("/v1/users/alice/events?order=up").status == 400


def test_a_cursor_is_good_for_whom_it_was_given_to(scene: GatewayHere, watch: Web) -> None:
    path = "/v1/users/alice/events?limit=1"
    cursor = watch.get(path).json()["next"]
    assert watch.get(f"{path}&cursor={cursor}").status == 200
    other = scene.subscriber("other", ["alice"], "*").get(f"{path}&cursor={cursor}")
    assert (other.status, other.json()["reason"]) == (400, "bad_cursor")


def test_the_types_of_a_user(scene: GatewayHere, watch: Web) -> None:
    found = watch.get("/v1/users/alice/types").json()["types"]
    assert [each["type"] for each in found] == ["heart_rate", "steps"]
    assert datetime.fromisoformat(found[0]["last_start_time"]).timestamp() == START_US / 1e6 + 120
    walker = scene.subscriber("walker", ["alice"], ["steps"])
    seen = walker.get("/v1/users/alice/types").json()["types"]
    assert [each["type"] for each in seen] == ["steps"]


def test_fhir_is_a_bundle_of_observations(watch: Web) -> None:
    answer = watch.get("/v1/users/alice/events?limit=2", accept="application/fhir+json")
    assert answer.headers["content-type"] == "application/fhir+json"
    bundle = answer.json()
    assert bundle["resourceType"] == "Bundle"
    assert [each["resource"]["valueQuantity"]["value"] for each in bundle["entry"]] == [60, 60]
    assert 'rel="next"' in answer.headers["link"]


def worked_out(place: Path, log: Any) -> None:
    """summaries.db, as a running service keeps it."""

    def since(_user: str, _type: str) -> int:
        return 0

    with log:
        rows: list[Record] = log.read(0, 99, history=True)
        file = SummaryFile.open(place)
        file.begin_anew(log.epoch)
        for user in ("alice", "bob"):
            file.agree(user, "*", since)
        file.take(log.head(), rows, {})
        while file.waiting:
            file.work_out(50, since, within_s=60.0)
        file.close()


def test_the_days_of_a_user_as_far_as_they_may_be_evaluated(scene: GatewayHere, watch: Web) -> None:
    day = (datetime.fromtimestamp(START_US // 1_000_000, UTC)).date().isoformat()

    def days(who: Any = watch) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = who.get(f"/v1/users/alice/summary?since={day}").json()["days"]
        return found

    assert days() == []  # nothing is worked out yet
    log = scene.place.log()
    assert log is not None
    worked_out(scene.place.path / "summaries.db", log)
    [found] = days()
    assert (found["day"], found["types"]["steps"]["steps"]) == (day, 412)
    assert set(found["types"]) == {"heart_rate", "steps"}
    [seen] = days(scene.subscriber("stepper", ["alice"], ["steps"]))
    assert set(seen["types"]) == {"steps"}
    alice = scene.invited("alice")
    assert days(alice) == [found]
    for wrong in ("since=yesterday", "since=2026-11-24&until=2026-11-23", "since=2020-01-01&until=2026-01-01"):
        assert watch.get(f"/v1/users/alice/summary?{wrong}").status == 400
    with scene.registry() as registry:
        registry.consent.withdraw("alice", ["steps"], time.time_ns() // 1000, purposes=[Purpose.insights])
    wait_until(lambda: set(days(alice)[0]["types"]) == {"heart_rate"})


def test_the_first_apis_list_is_one_array_however_it_is_sent(
    scene: GatewayHere, watch: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "_OLD_AT_ONCE", 2)
    listed = watch.get("/events/alice").json()
    assert [each["id"] for each in listed] == ["h-0", "h-1", "h-2", "s-1"]
    assert json.loads(scene.device("dave", "phone").get("/events/dave").body) == []
