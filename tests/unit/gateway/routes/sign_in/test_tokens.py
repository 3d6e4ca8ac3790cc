"""What a token is worth, and its end, over HTTP; and the page about the API."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from healthsync_mqtt.gateway.document.page import POLICY
from tests.support.gateway import GatewayHere, filled, gateway_here
from tests.support.patience import wait_until
from tests.support.web import HttpAnswer, Web


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayHere]:
    data = tmp_path_factory.mktemp("tokens") / "data"
    filled(data, ["alice", "bob"], [])
    with gateway_here(data) as here:
        yield here


def token_of(web: Web) -> str:
    return web.authorization.removeprefix("Bearer ")


def form(web: Web, path: str, token: str) -> HttpAnswer:
    return web.post(path, f"token={token}".encode(), content_type="application/x-www-form-urlencoded")


def asked(web: Web, token: str) -> dict[str, Any]:
    answer = form(web, "/v1/oauth/introspect", token)
    assert answer.status == 200, answer.body
    said: dict[str, Any] = answer.json()
    return said


def test_a_token_is_told_to_its_holder_and_to_admins_and_to_nobody_else(scene: GatewayHere) -> None:
    alice, bob, root = scene.device("alice", "watch"), scene.device("bob", "watch"), scene.admin()
    for who in (alice, root):
        said = asked(who, token_of(alice))
        assert (said["active"], said["sub"], said["role"], said["device_id"]) == (True, "alice", "device", "watch")
        assert said["exp"] > 0
    for who, token in ((bob, token_of(alice)), (alice, "x.y.z"), (root, "hsr.x.y.z"), (root, "")):
        if token:
            assert asked(who, token) == {"active": False}
    assert form(scene.web, "/v1/oauth/introspect", token_of(alice)).status == 401
    assert alice.post("/v1/oauth/introspect", b"").status == 400


def test_an_access_token_ends_at_the_word_of_its_holder(scene: GatewayHere) -> None:
    watch = scene.device("alice", "ring")
    assert watch.get("/v1/users/alice/events").status == 200
    before = scene.audited().count("token.revoked")
    assert form(scene.web, "/v1/oauth/revoke", token_of(watch)).status == 200
    wait_until(lambda: watch.get("/v1/users/alice/events").status == 401)
    assert form(scene.web, "/v1/oauth/revoke", token_of(watch)).status == 200
    assert scene.audited().count("token.revoked") == before + 1


def test_a_refresh_token_takes_all_that_its_device_was_given_with_it(scene: GatewayHere) -> None:
    with scene.registry() as registry:
        code = registry.enrolments.create("bob", "phone", time.time_ns() // 1000)
    given = scene.web.post("/v1/enroll", {"code": code}).json()
    phone = scene.web.as_(given["token"])
    assert phone.get("/v1/users/bob/events").status == 200
    assert form(scene.web, "/v1/oauth/revoke", given["refresh_token"]).json() == {}
    wait_until(lambda: phone.get("/v1/users/bob/events").status == 401)
    body = f"grant_type=refresh_token&refresh_token={given['refresh_token']}".encode()
    refused = scene.web.post("/v1/oauth/token", body)
    assert (refused.status, refused.json()["reason"]) == (401, "token_invalid")
    assert refused.json()["error"] == "invalid_grant"  # RFC 6749, 5.2: libraries go by it


def test_what_is_no_token_is_answered_alike_and_writes_nothing(scene: GatewayHere) -> None:
    with scene.registry() as registry:
        before = registry.generation()
        for token in ("x", "x.y.z", "hsr.x.y.z", "a" * 9_000):
            answer = form(scene.web, "/v1/oauth/revoke", token)
            assert (answer.status, answer.json()) == (200, {})
        assert registry.generation() == before
    assert scene.web.post("/v1/oauth/revoke", b"token=" + b"a" * 20_000).status == 413


def test_the_page_about_the_api_has_nothing_from_elsewhere(scene: GatewayHere) -> None:
    answer = scene.web.get("/docs")
    text = answer.body.decode()
    assert answer.status == 200
    assert "<script" not in text
    assert re.findall(r"(?:src|href)=.(\w+:)?//", text) == []
    assert answer.headers["content-security-policy"] == POLICY
    paths = scene.web.get("/v1/openapi.json").json()["paths"]
    assert all(f"<code>{method.upper()} {path}</code>" in text for path, each in paths.items() for method in each)
