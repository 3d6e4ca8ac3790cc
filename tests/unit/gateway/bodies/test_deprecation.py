"""The routes of the first API say with every answer what has taken their place, and until when they stay."""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest
from websockets.sync.client import connect

from tests.support.gateway import GatewayHere, filled, gateway_here


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayHere]:
    data = tmp_path_factory.mktemp("outdated") / "data"
    filled(data, ["123"], [])
    with gateway_here(data) as here:
        yield here


def test_every_answer_of_an_old_route_says_so(scene: GatewayHere) -> None:
    phone = scene.device("123", "phone")
    asked = [
        (phone.get("/events/123"), 200, "/v1/users/{user}/events"),
        (phone.get("/events/alice"), 404, "/v1/users/{user}/events"),
        (scene.web.get("/events/123"), 401, "/v1/users/{user}/events"),
        (scene.web.post("/sync/events", []), 401, "/v1/events"),
    ]
    for answer, status, successor in asked:
        assert answer.status == status
        assert answer.headers["deprecation"].startswith("@")
        assert int(answer.headers["deprecation"][1:]) < datetime.now(UTC).timestamp() + 86_400
        assert parsedate_to_datetime(answer.headers["sunset"]) > datetime(2028, 1, 1, tzinfo=UTC)
        assert answer.headers["link"] == f'<{successor}>; rel="successor-version"'
    url = scene.web.url.replace("http", "ws") + "/ws"
    with connect(url, additional_headers={"Authorization": phone.authorization}) as stream:
        assert stream.response is not None
        assert stream.response.headers["link"] == '</v1/stream>; rel="successor-version"'


def test_no_other_route_says_so(scene: GatewayHere) -> None:
    paths = scene.web.get("/v1/openapi.json").json()["paths"]
    old = {path for path, methods in paths.items() if any(each.get("deprecated") for each in methods.values())}
    assert old == {"/sync/events", "/events/{user}"}
    assert "deprecation" not in scene.web.get("/v1/catalogue").headers
