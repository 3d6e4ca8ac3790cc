"""What one caller may have of the gateway: messages a second, streams, and nothing of anybody else on any route."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from healthsync_mqtt.broker.embedded.limits.rates import Rates
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.gateway.bodies.problem import HttpError, problem
from healthsync_mqtt.gateway.bodies.room import Room
from healthsync_mqtt.gateway.connections.publisher import NotTakenError
from healthsync_mqtt.gateway.login.callers import Caller
from healthsync_mqtt.gateway.routes.events import stream
from healthsync_mqtt.gateway.routes.events.intake import EventIntake
from healthsync_mqtt.gateway.routes.events.stream import MOST_OF_ONE, Streams
from healthsync_mqtt.identity.login.proof import Login
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.mqtt.links.port import Answer
from healthsync_mqtt.testing.log_items import item
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.registry import TopicRegistry
from tests.support.gateway import GatewayHere, filled, gateway_here
from tests.support.web import HttpAnswer


def device(user: str, name: str = "watch") -> Caller:
    principal = Principal(role=Role.device, client_id=f"{user}-{name}", user=user, device=name)
    return Caller(Login(principal=principal, expires_at=2e9, jti="1"), 0)


def request() -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"[]", "more_body": False}

    return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)


class Away:
    """A broker that cannot be reached."""

    async def publish(self, topic: str, payload: bytes, sender: Callable[[], bool]) -> None:
        del topic, payload, sender
        raise NotTakenError("away")


async def test_one_message_more_than_a_device_may_send_is_answered_when_to_come_again() -> None:
    limits = LimitSettings(device_messages_per_s=0.01, device_burst=2)
    publisher: Any = Away()
    intake = EventIntake(
        rules=AccessRules(TopicRegistry.load()),
        publisher=publisher,
        rates=Rates(limits),
        room=Room(1_000_000, "bodies"),
        most=1_000,
        still=lambda _: True,
    )

    async def sent(caller: Caller) -> HttpError:
        with pytest.raises(HttpError) as said:
            await intake.take(caller, intake.device_topic(caller), request())
        return said.value

    alice = device("alice")
    statuses = [(await sent(alice)).status for _ in range(4)]
    assert statuses[0] == 503
    assert statuses[-1] == 429
    refused = await sent(alice)
    assert int(problem(refused, "").headers["retry-after"]) >= 1
    assert (await sent(device("alice", "ring"))).status == 503  # another device has its own
    assert (await sent(device("bob"))).status == 503


class Full:
    """A broker whose service takes no more of this: MQTT 5 has a reason code for it."""

    async def publish(self, topic: str, payload: bytes, sender: Callable[[], bool]) -> Answer:
        del topic, payload, sender
        return Answer(code=0x97, why="quota exceeded")


async def test_what_the_service_has_no_room_for_is_answered_when_to_come_again() -> None:
    publisher: Any = Full()
    intake = EventIntake(
        rules=AccessRules(TopicRegistry.load()),
        publisher=publisher,
        rates=Rates(LimitSettings()),
        room=Room(1_000_000, "bodies"),
        most=1_000,
        still=lambda _: True,
    )
    alice = device("alice")
    with pytest.raises(HttpError) as said:
        await intake.take(alice, intake.device_topic(alice), request())
    assert (said.value.status, said.value.word) == (429, "too_many")
    assert int(problem(said.value, "").headers["retry-after"]) >= 1


def test_one_stream_more_than_a_login_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: Any = (None, None, None)
    streams = Streams(*parts)
    monkeypatch.setattr(stream, "MOST", MOST_OF_ONE + 2)
    with ExitStack() as held:
        for _ in range(MOST_OF_ONE):
            held.enter_context(streams.admitted(device("alice")))
        with pytest.raises(HttpError) as said:
            held.enter_context(streams.admitted(device("alice")))
        assert (said.value.status, said.value.retry_after_s) == (429, 5.0)
        for user in ("bob", "carol"):
            held.enter_context(streams.admitted(device(user)))
        with pytest.raises(HttpError):  # of all there are too many now
            held.enter_context(streams.admitted(device("dave")))
    assert streams.open == 0
    with streams.admitted(device("alice")):
        assert streams.open == 1


NAMED = {"event_id": "h-1", "carer": "alice", "device": "watch", "app": "phone", "provider": "oura", "number": "1"}
"""What stands for the parameters of paths."""
ASKED = {
    "/v1/users/{user}/series": "?type=heart_rate&since=2026-11-01T00:00:00Z&until=2026-11-02T00:00:00Z",
}
"""What a path cannot be asked without."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayHere]:
    data = tmp_path_factory.mktemp("bounds") / "data"
    filled(data, ["alice", "bob"], [item("h-1"), item("h-1", "bob")])
    with gateway_here(data) as here:
        yield here


def same(first: HttpAnswer, second: HttpAnswer) -> bool:
    """Whether nobody can tell them apart but by the id of the request."""
    told = [
        (answer.status, answer.json() | {"request_id": ""}, {**answer.headers, "x-request-id": "", "date": ""})
        for answer in (first, second)
    ]
    return told[0] == told[1]


def test_on_every_route_what_is_somebody_elses_is_like_what_does_not_exist(scene: GatewayHere) -> None:
    paths = scene.web.get("/v1/openapi.json").json()["paths"]
    routes = [(path, method.upper()) for path, each in paths.items() if "{user}" in path for method in each]
    assert len(routes) >= 8
    person = scene.invited("alice")
    callers: list[Any] = [
        SimpleNamespace(call=scene.device("alice", "watch").call),
        SimpleNamespace(call=scene.subscriber("reader", ["alice"], "*").call),
        SimpleNamespace(call=lambda *words, **named: person.call(*words, x_csrf_token=person.csrf, **named)),
    ]
    for path, method in routes:
        for caller in callers:
            asked = [
                caller.call(method, path.format(user=user, **NAMED), b"{}" if method in {"PUT", "POST"} else None)
                for user in ("bob", "nobody")
            ]
            assert asked[0].status == 404, (path, method)
            assert same(*asked), (path, method)
    reads = [path for path, method in routes if method == "GET" and "events out" in paths[path]["get"]["tags"]]
    assert len(reads) >= 4
    for path in reads:
        for caller in callers:
            own = caller.call("GET", path.format(user="alice", **NAMED) + ASKED.get(path, ""))
            assert own.status == 200, path


@pytest.mark.parametrize(
    "path", ["/v1/users/bob/../alice/events", "/v1/users/alice%2f..%2fbob/events", "//v1/users/bob/events"]
)
def test_a_path_that_is_written_otherwise_gives_nothing_else(scene: GatewayHere, path: str) -> None:
    reader = scene.subscriber(f"r{abs(hash(path))}", ["alice"], "*")
    for tricks in ({}, {"x_original_url": "/v1/users/alice/events"}, {"x_http_method_override": "DELETE"}):
        answer = reader.get(path, **tricks)
        assert answer.status == 404
        assert b"h-1" not in answer.body
