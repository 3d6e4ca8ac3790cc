"""Passkeys at the gateway: made in a session, good for one of its own, and everything that is none refused alike."""

import copy
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.login.ceremonies import CHALLENGE_S, Ceremonies
from healthsync_mqtt.identity.people.sessions import SessionRole
from tests.support.authenticator import PRESENT, Authenticator
from tests.support.gateway import Browser, GatewayHere, filled, gateway_here
from tests.support.web import HttpAnswer

ORIGIN = "https://health.example.org"
PATH = "/v1/session/passkeys"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayHere]:
    data = tmp_path_factory.mktemp("passkeys") / "data"
    filled(data, ["alice", "bob", "carol", "dave"], [])
    # A dozen are refused here: what a refusal waits is no matter of these tests.
    with gateway_here(data, **{"gateway.public_url": ORIGIN, "limits.failed_login_base_s": 0.001}) as here:
        yield here


def added(browser: Browser, device: Authenticator, name: str, **changed: Any) -> HttpAnswer:
    options = browser.call("POST", f"{PATH}/challenge", x_csrf_token=browser.csrf)
    assert options.status == 200, options.body
    credential = device.make(options.json(), **changed)
    return browser.call("POST", PATH, {"name": name, "credential": credential}, x_csrf_token=browser.csrf)


def came_back(scene: GatewayHere, device: Authenticator) -> tuple[Browser, HttpAnswer]:
    browser = Browser(scene.web)
    options = browser.call("POST", "/v1/session/challenge").json()
    return browser, browser.call("POST", "/v1/session", {"credential": device.sign(options)})


def refused(answer: HttpAnswer) -> dict[str, Any]:
    assert answer.status == 401, answer.body
    said: dict[str, Any] = answer.json() | {"request_id": ""}
    return said


def test_a_person_adds_a_passkey_and_comes_back_with_it(scene: GatewayHere) -> None:
    alice, device = scene.invited("alice"), Authenticator(ORIGIN)
    answer = added(alice, device, "phone")
    assert answer.status == 200, answer.body
    (line,) = answer.json()["passkeys"]
    assert (line["name"], line["id"], line["used_at"]) == ("phone", device.held[0].id, None)
    assert "alice" not in device.held[0].handle
    back, said = came_back(scene, device)
    assert (said.status, said.json()["role"], said.json()["name"]) == (200, "user", "alice")
    assert back.get("/v1/session").json()["name"] == "alice"
    assert back.call("DELETE", "/v1/session", x_csrf_token=back.csrf).status == 200
    assert alice.get(PATH).json()["passkeys"][0]["used_at"] is not None
    assert {"passkey.added", "session.begun"} <= set(scene.audited())
    assert added(alice, Authenticator(ORIGIN), "phone").status == 409, "a name is one passkey's"
    assert added(alice, Authenticator(ORIGIN), "key").status == 200
    known = alice.call("POST", f"{PATH}/challenge", x_csrf_token=alice.csrf).json()
    assert {each["id"] for each in known["excludeCredentials"]} == {
        each["id"] for each in alice.get(PATH).json()["passkeys"]
    }
    assert known["user"]["id"] == device.held[0].handle
    bob = scene.invited("bob")
    assert bob.get(PATH).json() == {"passkeys": []}
    assert bob.call("DELETE", f"{PATH}/{line['id']}", x_csrf_token=bob.csrf).status == 404
    assert alice.call("DELETE", f"{PATH}/{line['id']}", x_csrf_token=alice.csrf).status == 200
    assert came_back(scene, device)[1].status == 401
    assert "passkey.removed" in scene.audited()


@pytest.mark.parametrize(
    "changed",
    [
        {"origin": "https://evil.example.org"},
        {"origin": f"{ORIGIN}:444"},
        {"type": "webauthn.get"},
        {"challenge": "eHg"},
    ],
)
def test_what_was_made_somewhere_else_is_not_kept(scene: GatewayHere, changed: dict[str, str]) -> None:
    bob = scene.invited("bob")
    assert added(bob, Authenticator(ORIGIN), "phone", **changed).status == 400
    assert bob.get(PATH).json() == {"passkeys": []}


def test_a_passkey_asks_for_the_person_and_its_challenge_is_of_one_session_and_one_time(scene: GatewayHere) -> None:
    bob, other = scene.invited("bob"), scene.invited("bob")
    assert added(bob, Authenticator(ORIGIN, PRESENT), "phone").status == 400, "nobody was verified"
    options = bob.call("POST", f"{PATH}/challenge", x_csrf_token=bob.csrf).json()
    wish = {"name": "phone", "credential": Authenticator(ORIGIN).make(options)}
    assert other.call("POST", PATH, wish, x_csrf_token=other.csrf).status == 400, "another session's challenge"
    assert bob.call("POST", PATH, wish).status == 403, "without the word of the session"
    assert bob.call("POST", PATH, wish, x_csrf_token=bob.csrf).status == 200
    again = wish | {"name": "two", "credential": Authenticator(ORIGIN).make(options)}
    assert bob.call("POST", PATH, again, x_csrf_token=bob.csrf).status == 400, "answered before"
    assert len(bob.get(PATH).json()["passkeys"]) == 1


def test_everything_that_is_no_passkey_of_here_is_refused_alike(scene: GatewayHere) -> None:
    carol, device = scene.invited("carol"), Authenticator(ORIGIN)
    assert added(carol, device, "phone").status == 200
    browser = Browser(scene.web)

    def options() -> dict[str, Any]:
        found: dict[str, Any] = browser.call("POST", "/v1/session/challenge").json()
        return found

    def tried(credential: dict[str, Any]) -> dict[str, Any]:
        return refused(browser.call("POST", "/v1/session", {"credential": credential}))

    stranger = Authenticator(ORIGIN)
    stranger.make(carol.call("POST", f"{PATH}/challenge", x_csrf_token=carol.csrf).json())
    nobodys = tried(stranger.sign(options()))
    forged = copy.copy(stranger.held[0])
    forged.id, forged.handle = device.held[0].id, device.held[0].handle
    unverified = Authenticator(ORIGIN, PRESENT, device.held)
    elsewhere = copy.copy(device.held[0])
    elsewhere.domain = "evil.example.org"
    handled = copy.copy(device.held[0])
    handled.handle = "eA"
    for wrong in (
        stranger.sign(options(), forged),
        device.sign(options(), origin="https://evil.example.org"),
        device.sign(options(), type="webauthn.create"),
        device.sign(options() | {"challenge": "eHg"}),
        device.sign(Browser(scene.web).call("POST", "/v1/session/challenge").json()),  # another browser's
        unverified.sign(options()),
        device.sign(options(), elsewhere),
        device.sign(options(), handled),
        {},
        {"id": device.held[0].id, "response": {"clientDataJSON": "e30"}},
        {"id": 5, "response": 5},
    ):
        assert tried(wrong) == nobodys, wrong
    browser.call("POST", "/v1/session/challenge")
    assert browser.call("POST", "/v1/session", b"no json").status == 400
    assert came_back(scene, device)[1].status == 200, "and the passkey is good"


def test_a_signature_is_good_once_and_a_counter_that_goes_back_is_a_copy(scene: GatewayHere) -> None:
    carol, device = scene.invited("carol"), Authenticator(ORIGIN)
    assert added(carol, device, "counted").status == 200
    browser = Browser(scene.web)
    options = browser.call("POST", "/v1/session/challenge").json()
    cookies = dict(browser.cookies)
    signed = device.sign(options)
    assert browser.call("POST", "/v1/session", {"credential": signed}).status == 200
    replayed = Browser(scene.web, cookies)
    refused(replayed.call("POST", "/v1/session", {"credential": signed}))
    device.held[0].count += 5
    refused(Browser(scene.web, cookies).call("POST", "/v1/session", {"credential": device.sign(options)}))
    device.held[0].count = 0
    refused(came_back(scene, device)[1])
    device.held[0].count = 50
    assert came_back(scene, device)[1].status == 200


@pytest.mark.parametrize("how", ["suspend", "remove"])
def test_who_is_suspended_or_removed_does_not_come_back(scene: GatewayHere, how: str) -> None:
    with scene.registry() as registry:
        registry.add_user(how, "all", 1)
        dave, device = scene.invited(how), Authenticator(ORIGIN)
        assert added(dave, device, "phone").status == 200
        if how == "suspend":
            registry.revocation.suspend_user(how, 5)
            refused(came_back(scene, device)[1])
            registry.revocation.resume_user(how)
            assert came_back(scene, device)[1].status == 200
        else:
            registry.remove_user(how, 5)
            refused(came_back(scene, device)[1])
            assert registry.passkeys.of(SessionRole.user, how) == []


def test_passkeys_need_a_domain_and_challenges_end() -> None:
    for bare in ("", "https://127.0.0.1:8443", "http://health.example.org", "https://[::1]"):
        with pytest.raises(HttpError):
            Ceremonies(bare, lambda: "secret").place()
    assert Ceremonies("http://localhost:81", lambda: "secret").place() == ("localhost", "http://localhost:81")
    here, device = Ceremonies(ORIGIN, lambda: "secret"), Authenticator(ORIGIN)
    made, _ = here.made("s", device.make(here.to_make("s", "alice", "eA", [], 7)), 8)
    options = here.to_sign("b", 7)
    end_us = 7 + CHALLENGE_S * 1_000_000
    count, challenge = here.signed("b", device.sign(options), made.public_key, "eA", end_us - 1)
    assert (count, challenge.expires_us) == (1, end_us)
    with pytest.raises(TokenError) as error:
        here.signed("b", device.sign(options), made.public_key, "eA", end_us)
    assert "is over" in error.value.detail
    with pytest.raises(TokenError) as error:
        Ceremonies(ORIGIN, lambda: "another").signed("b", device.sign(options), made.public_key, "eA", 8)
    assert "given out" in error.value.detail


def test_who_is_not_signed_in_is_told_where_passkeys_are_good(scene: GatewayHere) -> None:
    assert scene.web.get("/v1/session/ways").json() == {"passkeys": ORIGIN, "organisation": None}
    assert Ceremonies("https://127.0.0.1:8443", lambda: "secret").origin() is None


def test_attempts_to_sign_in_are_bounded_and_sessions_go_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    filled(data, ["alice"], [])
    with gateway_here(data, **{"gateway.public_url": ORIGIN}) as here:
        alice = here.invited("alice")
        assert here.web.call("POST", "/v1/session/challenge").status == 200
        here.house.beginnings.take("127.0.0.1", time.monotonic() + 600)  # as if there had been too many
        late = here.web.call("POST", "/v1/session/challenge")
        assert (late.status, late.json()["reason"]) == (429, "too_many")
        assert int(late.headers["retry-after"]) > 1
        assert here.web.call("POST", "/v1/session", {"credential": {}}).status == 429, "and nothing is looked at"
        assert alice.get("/v1/session").status == 200
        assert here.invited("alice").get("/v1/session").status == 200, "a link is good"
