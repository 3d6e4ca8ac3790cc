"""Webhooks that a subscriber keeps by itself: its own alone, and nothing of others, of admins or of what is inside."""

from collections.abc import Iterator
from typing import Any

import pytest

from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.routes.service import webhooks
from healthsync_mqtt.gateway.routes.service.webhooks import MOST_OWN, TEST_EVERY_S, TESTS_AT_ONCE
from tests.support.gateway import GatewayHere, filled, gateway_here
from tests.support.web import HttpAnswer, Web

URL = "https://example.org/hook"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayHere]:
    data = tmp_path_factory.mktemp("own-webhooks") / "data"
    filled(data, ["alice", "bob"], [])
    (data / "healthsync.toml").write_text('[gateway]\nwebhook_hosts = ["hooks.lan"]\n')
    with gateway_here(data) as here:
        yield here


@pytest.fixture(scope="module")
def reader(scene: GatewayHere) -> Web:
    return scene.subscriber("reader", ["alice"], "*")


@pytest.fixture(scope="module")
def other(scene: GatewayHere) -> Web:
    return scene.subscriber("other", ["bob"], "*")


@pytest.fixture(scope="module")
def root(scene: GatewayHere) -> Web:
    return scene.admin()


def made(web: Web, name: str, subscriber: str = "reader", url: str = URL) -> HttpAnswer:
    return web.post("/v1/webhooks", {"name": name, "subscriber": subscriber, "url": url})


def names(web: Web) -> list[str]:
    return [each["name"] for each in web.get("/v1/webhooks").json()["webhooks"]]


def told(answer: HttpAnswer) -> tuple[int, Any]:
    return answer.status, answer.json() | {"request_id": ""}


def test_a_subscriber_keeps_what_it_made(scene: GatewayHere, reader: Web, root: Web) -> None:
    added = made(reader, "reader-board")
    assert added.status == 200, added.body
    secret = added.json()["secret"]
    assert secret.startswith("whsec_")
    assert names(reader) == ["reader-board"]
    assert "reader-board" in names(root)
    shown = reader.get("/v1/webhooks/reader-board").json()
    assert (shown["url"], shown["subscriber"], "secret" in shown) == (URL, "reader", False)
    assert reader.post("/v1/webhooks/reader-board/rotate", {}).json()["secret"] not in {secret, None}
    assert reader.post("/v1/webhooks/reader-board/enable", {}).json()["state"] == "enabled"
    assert made(reader, "reader-board").status == 409
    assert reader.call("DELETE", "/v1/webhooks/reader-board").status == 200
    assert names(reader) == []
    actors = {row.actor for row in scene.place.audit_log().rows() if row.action.startswith("webhook.")}
    assert actors == {"subscriber reader"}


def test_of_others_it_learns_and_changes_nothing(reader: Web, other: Web, root: Web) -> None:
    assert made(other, "other-board", "other").status == 200
    assert made(root, "board", "other").status == 200
    assert names(reader) == []
    for name in ("other-board", "board"):
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/enable"), ("POST", "/rotate"), ("POST", "/test")):
            theirs, nobodys = (
                told(reader.call(method, f"/v1/webhooks/{each}{path}", None if method == "GET" else {}))
                for each in (name, "nothing")
            )
            assert theirs == nobodys
            assert theirs[0] == 404
    assert told(made(reader, "reader-x", "other")) == told(made(reader, "reader-x", "nobody"))
    for name in ("board", "other-board", "readerboard", "hook"):
        refused = made(reader, name)
        assert (refused.status, refused.json()["reason"]) == (400, "bad_input"), name
    assert names(other) == ["board", "other-board"]


def test_what_an_admin_made_is_seen_and_not_touched(reader: Web, root: Web) -> None:
    assert made(root, "reader-of-admin").status == 200
    assert names(reader) == ["reader-of-admin"]
    assert reader.get("/v1/webhooks/reader-of-admin").status == 200
    for method, path in (("DELETE", ""), ("POST", "/enable"), ("POST", "/rotate"), ("POST", "/test")):
        refused = reader.call(method, f"/v1/webhooks/reader-of-admin{path}", {})
        assert (refused.status, refused.json()["reason"]) == (403, "not_allowed"), path
    assert root.call("DELETE", "/v1/webhooks/reader-of-admin").status == 200


def test_hosts_that_may_be_anywhere_are_for_admins(reader: Web, root: Web) -> None:
    for url in ("http://hooks.lan/x", "https://hooks.lan/x", "http://example.org/x", "https://u:p@example.org/"):
        refused = made(reader, "reader-inside", url=url)
        assert (refused.status, refused.json()["reason"]) == (400, "bad_input"), url
    assert made(root, "inside", url="http://hooks.lan/x").status == 200
    assert root.call("DELETE", "/v1/webhooks/inside").status == 200


def test_there_are_ten_and_no_more(reader: Web) -> None:
    for number in range(MOST_OWN):
        assert made(reader, f"reader-{number}").status == 200
    refused = made(reader, "reader-more")
    assert (refused.status, refused.json()["reason"]) == (409, "conflict")
    for number in range(MOST_OWN):
        assert reader.call("DELETE", f"/v1/webhooks/reader-{number}").status == 200


def test_for_everybody_else_there_are_none(scene: GatewayHere) -> None:
    person = scene.invited("alice")
    watch = scene.device("alice", "watch")
    for method, path in (("GET", "/v1/webhooks"), ("POST", "/v1/webhooks"), ("DELETE", "/v1/webhooks/reader")):
        body = None if method == "GET" else {}
        assert watch.call(method, path, body).status == 404
        assert person.call(method, path, body, x_csrf_token=person.csrf).status == 404
        assert scene.web.call(method, path, body).status == 401


def test_messages_to_try_it_are_counted() -> None:
    tests = webhooks._Tests()
    for _ in range(TESTS_AT_ONCE):
        tests.take("reader", 1_000.0)
    with pytest.raises(HttpError) as refused:
        tests.take("reader", 1_000.0)
    assert (refused.value.status, refused.value.retry_after_s) == (429, pytest.approx(TEST_EVERY_S))
    tests.take("other", 1_000.0)
    tests.take("reader", 1_000.0 + TEST_EVERY_S)
