"""What is registered, over HTTP: for admins all of it, for a person the own; told as commands tell it, and audited."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from typer.testing import CliRunner

from healthsync_mqtt.cli.main import program
from healthsync_mqtt.gateway.login.rules import Administrator, Keeper
from healthsync_mqtt.identity.people.sessions import SessionRole
from tests.support.gateway import Browser, GatewayHere, filled, gateway_here
from tests.support.web import Web, basic


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayHere]:
    data = tmp_path_factory.mktemp("administration") / "data"
    filled(data, ["alice", "bob"], [])
    with gateway_here(data) as here:
        yield here


@pytest.fixture(scope="module")
def root(scene: GatewayHere) -> Web:
    return scene.admin("root")


@pytest.fixture(scope="module")
def alice(scene: GatewayHere) -> Browser:
    return scene.invited("alice")


def changed(browser: Browser, method: str, path: str, body: Any = None) -> Any:
    """What a page of the session's own changes."""
    answer = browser.call(method, path, {} if body is None else body, x_csrf_token=browser.csrf)
    assert answer.status == 200, (path, answer.body)
    return answer.json()


def done(web: Web, method: str, path: str, body: Any = None) -> Any:
    answer = web.call(method, path, {} if body is None else body)
    assert answer.status == 200, (path, answer.body)
    return answer.json()


def command(scene: GatewayHere, *words: str) -> list[Any]:
    """What a command prints as JSON."""
    told = CliRunner().invoke(program(words[:1]), [*words, "--data", str(scene.place.path), "--json"])
    assert told.exit_code == 0, told.output
    return [json.loads(line) for line in told.stdout.splitlines()]


def test_a_user_is_added_listed_suspended_invited_and_removed(scene: GatewayHere, root: Web) -> None:
    added = done(root, "POST", "/v1/users", {"user_id": "carol", "consent": ["steps", "hr"], "purposes": ["store"]})
    assert (added["user_id"], added["consent"], added["devices"]) == ("carol", ["heart_rate", "steps"], [])
    again = root.post("/v1/users", {"user_id": "carol", "consent": []})
    assert (again.status, again.json()["reason"]) == (409, "conflict")
    assert done(root, "POST", "/v1/users/carol/suspend")["suspended_at"] is not None
    assert done(root, "POST", "/v1/users/carol/resume")["suspended_at"] is None
    path = done(root, "POST", "/v1/users/carol/invites", {"lifetime_s": 600})["path"]
    carol = Browser(scene.web)
    assert carol.post(path).json()["name"] == "carol"
    assert carol.get("/v1/users/carol").json()["user_id"] == "carol"
    assert done(root, "DELETE", "/v1/users/carol")["user_id"] == "carol"
    assert root.get("/v1/users/carol").status == 404
    assert carol.get("/v1/session").status == 401
    assert {"user.added", "consent.granted", "user.suspended", "user.resumed", "user.invited", "user.removed"} <= set(
        scene.audited()
    )


def test_lists_go_on_where_a_page_ends(scene: GatewayHere, root: Web) -> None:
    for number in range(5):
        done(root, "POST", "/v1/users/bob/devices", {"device_id": f"d{number}"})
    for path, name, key in (("/v1/users", "users", "user_id"), ("/v1/users/bob/devices", "devices", "device_id")):
        whole = [each[key] for each in root.get(f"{path}?limit=1000").json()[name]]
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = root.get(f"{path}?limit=2&cursor={cursor}").json()
            assert 1 <= len(page[name]) <= 2
            found += [each[key] for each in page[name]]
            cursor = page["next"]
        assert found == whole
        assert len(whole) >= 2
    assert root.get("/v1/users?limit=0").status == 400


def test_a_person_keeps_the_own_devices(scene: GatewayHere, alice: Browser) -> None:
    made = changed(alice, "POST", "/v1/users/alice/devices/watch/enrolment")
    assert made["qr_svg"].startswith("<svg")
    enrolled = scene.web.post("/v1/enroll", {"code": made["code"]})
    assert enrolled.status == 200, enrolled.body
    watch = scene.web.as_(enrolled.json()["token"])
    assert watch.get("/v1/users/alice/types").status == 200
    listed = alice.get("/v1/users/alice/devices").json()["devices"]
    assert [each["device_id"] for each in listed] == ["watch"]
    assert {"client_id", "last_seen_at", "version", "refused_lately"} <= set(listed[0])
    changed(alice, "POST", "/v1/users/alice/devices/watch/rename", {"title": "Running watch"})
    assert alice.get("/v1/users/alice/devices/watch").json()["title"] == "Running watch"
    assert "device.renamed" in scene.audited()
    for title in ("x" * 65, "two\nlines", 7):
        asked = {"title": title}
        refused = alice.call("POST", "/v1/users/alice/devices/watch/rename", asked, x_csrf_token=alice.csrf)
        assert (refused.status, refused.json()["reason"]) == (400, "bad_input"), title
    changed(alice, "POST", "/v1/users/alice/devices/watch/rename", {"title": ""})
    assert alice.get("/v1/users/alice/devices").json()["devices"][0]["title"] is None
    changed(alice, "POST", "/v1/users/alice/devices/watch/suspend")
    assert watch.get("/v1/users/alice/types").status == 401
    changed(alice, "POST", "/v1/users/alice/devices/watch/resume")
    assert watch.get("/v1/users/alice/types").status == 200
    changed(alice, "POST", "/v1/users/alice/devices/watch/revoke")
    assert watch.get("/v1/users/alice/types").status == 401
    issued = changed(alice, "POST", "/v1/users/alice/devices/watch/token", {"lifetime_s": 60})
    assert scene.web.as_(issued["token"]).get("/v1/users/alice/types").status == 200
    changed(alice, "DELETE", "/v1/users/alice/devices/watch")
    assert scene.web.as_(issued["token"]).get("/v1/users/alice/types").status == 401
    assert alice.get("/v1/users/alice/devices/watch").status == 404
    wrong = alice.call("POST", "/v1/users/alice/devices", {"device_id": "a/b"}, x_csrf_token=alice.csrf)
    assert (wrong.status, wrong.json()["reason"]) == (400, "bad_input")


def test_a_person_keeps_the_own_apps(scene: GatewayHere, alice: Browser) -> None:
    asked = {"device_id": "phone", "formats": ["health_auto_export"], "zone": "Europe/Berlin", "bucket_s": 3_600}
    made = changed(alice, "POST", "/v1/users/alice/apps", asked)
    assert made["topics"][0].startswith("users/alice/devices/phone/formats/health_auto_export")
    old = scene.web.as_(basic(made["username"], made["password"]))
    assert old.get("/v1/users/alice/events").status == 404  # known; an app reads nothing
    new = changed(alice, "POST", "/v1/users/alice/apps/phone/rotate")
    assert old.get("/v1/users/alice/events").status == 401
    assert scene.web.as_(basic(new["username"], new["password"])).get("/v1/users/alice/events").status == 404
    listed = alice.get("/v1/users/alice/apps").json()["apps"]
    assert [(each["device_id"], each["declared"]["zone"]) for each in listed] == [("phone", "Europe/Berlin")]
    assert made["password"] not in json.dumps(listed)
    for wrong in (
        {"formats": ["no_such"]},
        {"zone": "Europe/Nowhere"},
        {"unit": "furlong"},
        {"bucket_s": 0},
        {"slot": ""},
        {"formats": []},
        {"colour": "red"},
    ):
        refused = alice.call("POST", "/v1/users/alice/apps", asked | wrong, x_csrf_token=alice.csrf)
        assert (refused.status, refused.json()["reason"]) == (400, "bad_input"), wrong
    changed(alice, "DELETE", "/v1/users/alice/apps/phone")
    assert alice.get("/v1/users/alice/apps").json() == {"apps": [], "next": None}


def test_a_person_decides_what_is_agreed_to(scene: GatewayHere, alice: Browser, root: Web) -> None:
    before = len(alice.get("/v1/users/alice/consents/history").json()["decisions"])
    asked = {"action": "withdraw", "types": ["hr"], "purposes": ["share"]}
    held = changed(alice, "POST", "/v1/users/alice/consents", asked)["consents"]
    assert [(each["types"], each["state"]) for each in held if each["purpose"] == "share"] == [
        (["all"], "granted"),
        (["heart_rate"], "withdrawn"),
    ]
    granted = asked | {"action": "grant", "expires_at": "2100-01-01T00:00:00Z", "text_version": "2026-11"}
    done(root, "POST", "/v1/users/alice/consents", granted)
    page = alice.get(f"/v1/users/alice/consents/history?cursor={before}").json()
    assert [(each["action"], each["recorded_by"], each["types"]) for each in page["decisions"]] == [
        ("withdraw", "user", ["heart_rate"]),
        ("grant", "admin root", ["heart_rate"]),
    ]
    assert page["next"] is None
    assert alice.get(f"/v1/users/alice/consents/history?limit={before}").json()["next"] == before
    for wrong in ({"types": ["no_such"]}, {"purposes": ["fun"]}, {"action": "sell"}, {"expires_at": "soon"}):
        refused = alice.call("POST", "/v1/users/alice/consents", granted | wrong, x_csrf_token=alice.csrf)
        assert refused.status == 400, wrong


def test_subscribers_and_webhooks_are_kept_by_admins(scene: GatewayHere, root: Web) -> None:
    made = done(root, "POST", "/v1/subscribers", {"name": "board", "users": ["alice"], "types": ["steps"]})
    assert (made["users"], made["types"]) == (["alice"], ["steps"])
    token = done(root, "POST", "/v1/subscribers/board/token")["token"]
    board = scene.web.as_(token)
    assert board.get("/v1/users/alice/events").status == 200
    hook = {"name": "hook", "subscriber": "board", "url": "https://example.org/hook"}
    assert done(root, "POST", "/v1/webhooks", hook)["secret"].startswith("whsec_")
    assert "secret" not in done(root, "GET", "/v1/webhooks/hook")
    assert done(root, "POST", "/v1/webhooks/hook/rotate")["secret"].startswith("whsec_")
    assert done(root, "POST", "/v1/webhooks/hook/enable")["state"] == "enabled"
    for url in ("http://example.org/", "https://user:pass@example.org/", "ftp://example.org/"):
        refused = root.post("/v1/webhooks", hook | {"name": "other", "url": url})
        assert (refused.status, refused.json()["reason"]) == (400, "bad_input"), url
    assert root.post("/v1/webhooks", hook | {"name": "other", "subscriber": "nobody"}).status == 404
    done(root, "POST", "/v1/subscribers/board/revoke")
    assert board.get("/v1/users/alice/events").status == 401
    board = scene.web.as_(done(root, "POST", "/v1/subscribers/board/token")["token"])
    assert board.get("/v1/users/alice/events").status == 200
    done(root, "POST", "/v1/subscribers/board/suspend")
    assert board.get("/v1/users/alice/events").status == 401
    done(root, "POST", "/v1/subscribers/board/resume")
    assert [each["name"] for each in root.get("/v1/webhooks").json()["webhooks"]] == ["hook"]
    done(root, "DELETE", "/v1/webhooks/hook")
    done(root, "DELETE", "/v1/subscribers/board")
    assert board.get("/v1/users/alice/events").status == 401


def test_an_admin_has_a_session_by_a_link_until_another_one_ends_it(scene: GatewayHere, root: Web) -> None:
    done(root, "POST", "/v1/admins", {"name": "second"})
    path = done(root, "POST", "/v1/admins/second/invites")["path"]
    second = Browser(scene.web)
    assert second.post(path).json()["role"] == "admin"
    assert "alice" in [each["user_id"] for each in second.get("/v1/users").json()["users"]]
    assert second.call("POST", "/v1/users/alice/suspend", {}).json()["reason"] == "csrf"
    changed(second, "POST", "/v1/admins", {"name": "third"})
    own = second.call("DELETE", "/v1/admins/second", x_csrf_token=second.csrf)
    assert (own.status, own.json()["reason"]) == (409, "conflict")
    waiting = done(root, "POST", "/v1/admins/second/invites")["path"]
    done(root, "DELETE", "/v1/admins/second")
    assert second.get("/v1/users").status == 401
    assert scene.web.post(waiting, b"").status == 401
    done(root, "POST", "/v1/admins", {"name": "second"})
    assert second.get("/v1/users").status == 401  # who comes back begins anew
    done(root, "DELETE", "/v1/admins/second")
    done(root, "DELETE", "/v1/admins/third")


def test_a_token_of_an_admin_who_came_back_is_void(scene: GatewayHere, root: Web) -> None:
    old = scene.admin("fourth")
    assert old.get("/v1/users").status == 200
    done(root, "DELETE", "/v1/admins/fourth")
    assert old.get("/v1/users").status == 401
    done(root, "POST", "/v1/admins", {"name": "fourth"})
    assert old.get("/v1/users").status == 401
    done(root, "DELETE", "/v1/admins/fourth")


def guarded(scene: GatewayHere) -> list[tuple[str, str]]:
    """Method and path of every route that is for admins, or for them and a user."""
    routes = [each for router in scene.house.routers() for each in router.routes if isinstance(each, APIRoute)]
    return [
        (method, each.path)
        for each in routes
        for method in sorted(each.methods)
        if any(isinstance(rule.call, Administrator | Keeper) for rule in each.dependant.dependencies)
    ]


def test_for_everybody_else_none_of_it_is_there(scene: GatewayHere) -> None:
    bob = scene.invited("bob")
    others = {
        "device": scene.device("bob", "own"),
        "subscriber": scene.subscriber("every", "*", "*"),
    }
    found = guarded(scene)
    assert len(found) >= 40
    absent = scene.subscriber("other", ["bob"], "*").get("/v1/users/nobody/events").json() | {"request_id": ""}
    for method, path in found:
        for user in ("alice", "nobody"):
            url = path.replace("{user}", user).replace("{device}", "watch").replace("{app}", "phone")
            url = url.replace("{name}", "board").replace("{number:int}", "1")
            assert scene.web.call(method, url, {}).status == 401, url
            for name, web in others.items():
                said = web.call(method, url, {})
                assert said.status == 404, (name, method, url)
                assert said.json() | {"request_id": ""} == absent
            said = bob.call(method, url, {}, x_csrf_token=bob.csrf)
            assert said.json() | {"request_id": ""} == absent, (method, url)


def test_what_is_asked_as_an_object_is_nothing_else(root: Web) -> None:
    for body in (b"", b"[]", b"{", b"\xff", b'{"user_id": 1}', b"[" * 20_000, b'{"user_id":"x","consent":"all"}'):
        refused = root.post("/v1/users", body)
        assert (refused.status, refused.json()["reason"]) == (400, "bad_input"), body[:20]
    assert root.post("/v1/users", b"x" * 70_000).status == 413


def test_commands_and_the_api_tell_the_same(scene: GatewayHere, root: Web) -> None:
    done(root, "POST", "/v1/users/bob/devices", {"device_id": "shown"})
    done(root, "POST", "/v1/users/bob/apps", {"device_id": "gadget", "formats": ["nightscout"]})
    done(root, "POST", "/v1/subscribers", {"name": "same", "users": ["*"], "types": ["*"]})
    hook = {"name": "same", "subscriber": "same", "url": "https://example.org/"}
    done(root, "POST", "/v1/webhooks", hook)
    pairs = [
        (root.get("/v1/users/bob").json(), command(scene, "user", "show", "bob")[0]),
        (root.get("/v1/users/bob/devices/shown").json(), command(scene, "device", "show", "bob", "shown")[0]),
        (
            next(each for each in root.get("/v1/users/bob/apps").json()["apps"] if each["device_id"] == "gadget"),
            command(scene, "app", "list", "--user", "bob")[0],
        ),
        (root.get("/v1/subscribers/same").json(), command(scene, "subscriber", "show", "same")[0]),
        (root.get("/v1/webhooks/same").json(), command(scene, "webhook", "show", "same")[0]),
    ]
    for told, printed in pairs:
        assert told, printed
        assert {name: printed[name] for name in told if name != "last_event_at"} == {
            name: value for name, value in told.items() if name != "last_event_at"
        }
    consents = root.get("/v1/users/bob/consents").json()["consents"]
    assert [{"user_id": "bob"} | line for line in consents] == command(scene, "consent", "show", "bob")
    assert root.get("/v1/users/bob/consents/history").json()["decisions"] == command(scene, "consent", "history", "bob")


def test_an_invitation_of_an_admin_opens_nothing_once_the_admin_is_gone(scene: GatewayHere, root: Web) -> None:
    done(root, "POST", "/v1/admins", {"name": "fifth"})
    now_us = time.time_ns() // 1000
    with scene.registry() as registry:
        code = registry.sessions.invite(SessionRole.admin, "fifth", now_us, until_us=now_us + 60_000_000)
    done(root, "DELETE", "/v1/admins/fifth")
    assert scene.web.post(f"/v1/invites/{code}", b"").status == 401


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/users", "GET, HEAD, POST"),
        ("/v1/users/alice", "DELETE, GET, HEAD"),
        ("/v1/users/alice/carers/bob", "DELETE, PUT"),
        ("/v1/rejected/purge", "POST"),  # and not what /v1/rejected/{number} takes
        ("/v1/rejected/7", "GET, HEAD"),
    ],
)
def test_the_answer_to_another_method_lists_all_that_the_path_takes(root: Web, path: str, allowed: str) -> None:
    answer = root.call("PATCH", path)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)


def test_a_word_where_a_number_stands_is_no_other_route(root: Web) -> None:
    answer = root.get("/v1/rejected/purge")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert (root.get("/v1/rejected/x").status, root.get("/v1/rejected/999").status) == (404, 404)


@pytest.mark.parametrize(
    "path", ["/v1/users/{}/suspend", "/v1/users/{}/devices/watch/suspend", "/v1/subscribers/{}/token"]
)
def test_a_name_that_is_no_id_is_answered_like_one_that_nobody_has(root: Web, path: str) -> None:
    ghost, none = (root.post(path.format(name), {}, x_request_id="same") for name in ("ghost", "%C3%AE%12"))
    assert (ghost.status, none.status) == (404, 404)
