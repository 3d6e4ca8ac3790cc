"""HEAD is answered as GET without the body, where GET does nothing."""

from collections.abc import Iterator

import pytest

from healthsync_mqtt.testing.log_items import item
from tests.support.gateway import GatewayHere, filled, gateway_here
from tests.support.web import Web


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayHere]:
    data = tmp_path_factory.mktemp("head") / "data"
    filled(data, ["alice", "bob"], [item("h-1"), item("b-1", "bob")])
    with gateway_here(data) as here:
        yield here


@pytest.fixture(scope="module")
def watch(scene: GatewayHere) -> Web:
    return scene.device("alice", "watch")


@pytest.fixture(scope="module")
def root(scene: GatewayHere) -> Web:
    return scene.admin()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/docs", 200),
        ("/v1/openapi.json", 200),
        ("/v1/catalogue", 200),
        ("/v1/users/alice/events", 200),
        ("/v1/users/alice/events/h-1", 200),
        ("/v1/users/bob/events", 404),
        ("/v1/users/alice/events?limit=0", 400),
        ("/events/alice", 200),
        ("/nowhere", 404),
    ],
)
def test_it_says_what_get_says(watch: Web, path: str, status: int) -> None:
    head, got = (watch.call(method, path) for method in ("HEAD", "GET"))
    assert (head.status, head.body) == (status, b"")
    passing = {"date", "x-request-id", "content-length", "transfer-encoding"}
    told = [{name: value for name, value in each.headers.items() if name not in passing} for each in (head, got)]
    assert told[0] == told[1]
    if status == 200 and "content-length" in got.headers:
        assert head.headers["content-length"] == str(len(got.body))


def test_without_a_credential_it_tells_nothing(scene: GatewayHere) -> None:
    assert scene.web.call("HEAD", "/v1/users/alice/events").status == 401


@pytest.mark.parametrize(
    "path", ["/v1/stream", "/v1/users/alice/export", "/v1/session/organisation/callback", "/v1/link/oura/callback"]
)
def test_where_get_does_something_it_is_not_answered(root: Web, path: str) -> None:
    refused = root.call("HEAD", path)
    assert refused.status == 405
    assert "HEAD" not in refused.headers["allow"]


def test_who_looks_at_a_link_does_not_use_it_up(scene: GatewayHere) -> None:
    link = scene.link("alice")
    assert scene.web.call("HEAD", link).status == 405
    assert scene.web.post(link, b"").status == 200


def test_a_method_that_is_none_of_a_path_names_those_that_are(scene: GatewayHere) -> None:
    for path, allowed in (("/v1/catalogue", "GET, HEAD"), ("/docs", "GET, HEAD"), ("/v1/events", "POST")):
        assert scene.web.call("PATCH", path).headers["allow"] == allowed
    told = scene.web.call("OPTIONS", "/v1/events", origin="https://other.example")
    assert told.status == 405
    assert [name for name in told.headers if name.startswith("access-control")] == []


def test_it_is_counted_by_its_route(scene: GatewayHere) -> None:
    def counted() -> int:
        return sum(
            count
            for method, route, _, count in scene.house.traffic.told()["answers"]
            if (method, route) == ("HEAD", "/v1/catalogue")
        )

    before = counted()
    scene.web.call("HEAD", "/v1/catalogue")
    assert counted() == before + 1
