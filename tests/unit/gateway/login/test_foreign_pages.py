"""A page of another site that has a browser ask in a person's session: nothing is changed for it, on any route."""

from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute

from healthsync_mqtt.gateway.login.rules import Anybody, Rule
from healthsync_mqtt.testing.log_items import item
from tests.support.gateway import GatewayHere, filled, gateway_here

SAFE = {"get", "head", "options"}
NAMED = {
    "user": "alice", "carer": "bob", "device": "watch", "app": "phone", "provider": "oura", "name": "reader",
    "number": "1", "passkey": "x", "format": "fhir", "client": "alice-watch",
}  # fmt: skip
"""What stands for the parameters of paths."""
NOT_BY_COOKIE = {
    ("POST", "/v1/enroll"): "by a code",
    ("POST", "/v1/oauth/token"): "by a refresh token",
    ("POST", "/v1/oauth/revoke"): "by the token itself",
    ("POST", "/v1/session"): "by a passkey: who begins a session has none",
    ("POST", "/v1/session/challenge"): "it tells the same to everybody",
    ("POST", "/v1/session/organisation"): "who begins a session has none",
    ("POST", "/v1/invites/{code}"): "by the code in the address: who uses one has no session yet",
    ("POST", "/v1/hooks/{provider}"): "by a signature",
    ("POST", "/v1/hooks/{client}/{format}"): "by a signature",
    ("POST", "/v1/hooks/garmin/{word}"): "by the word in the address",
    ("POST", "/v1/hooks/withings/{word}"): "by the word in the address",
    ("POST", "/v1/session/refresh"): "by the cookie of the refresh, whose word it asks for itself",
}
"""Unsafe routes that ask nobody who is calling, and by what they go instead."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayHere]:
    data = tmp_path_factory.mktemp("foreign-pages") / "data"
    filled(data, ["alice", "bob"], [item("h-1")])
    with gateway_here(data) as here:
        yield here


def unsafe(scene: GatewayHere) -> set[tuple[str, str]]:
    """Methods and paths of the document that may change something."""
    paths = scene.web.get("/v1/openapi.json").json()["paths"]
    return {(method.upper(), path) for path, each in paths.items() for method in each if method not in SAFE}


def test_every_unsafe_route_by_a_cookie_asks_for_the_word_of_its_session(scene: GatewayHere) -> None:
    alice, other = scene.invited("alice"), scene.invited("alice")
    routes = unsafe(scene)
    by_cookie = (routes - set(NOT_BY_COOKIE)) | {("POST", "/v1/session/refresh")}
    assert len(by_cookie) >= 50
    cookies, rows = dict(alice.cookies), scene.audited()
    for method, path in sorted(by_cookie):
        for said in ({}, {"x_csrf_token": ""}, {"x_csrf_token": other.csrf}):
            answer = alice.call(method, path.format(**NAMED), b"{}", **said)
            assert (answer.status, answer.json()["reason"]) == (403, "csrf"), (method, path, said, answer.body)
    assert alice.cookies == cookies
    assert scene.audited() == rows, "nothing was done"
    assert alice.get("/v1/session").status == 200


def test_the_routes_that_ask_nobody_are_those_that_are_named(scene: GatewayHere) -> None:
    """A route that is added under ``Anybody`` says here by what it goes."""
    served = {
        (method, route.path_format): (route, rule_of(route))
        for router in scene.house.routers()
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
        if method.lower() not in SAFE
    }
    assert {key for key, (_, rule) in served.items() if isinstance(rule, Anybody)} == set(NOT_BY_COOKIE)
    told = {key for key, (route, _) in served.items() if route.include_in_schema}
    assert told == unsafe(scene)
    assert set(served) - told <= set(NOT_BY_COOKIE), "what the document leaves out takes no cookie"


def rule_of(route: APIRoute) -> Rule:
    [rule] = [each.call for each in route.dependant.dependencies if isinstance(each.call, Rule)]
    return rule
