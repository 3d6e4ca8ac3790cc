"""One trace from a request by HTTP to the sink: every step is told to a collector, and nothing of anybody with it."""

import json
import ssl
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.otlp_double import OtlpDouble, SeenSpan, collector
from tests.support.outsider import CONNACK, Listener, Outsider
from tests.support.patience import wait_until
from tests.support.service import Service
from tests.support.web import Web

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
STEPS = ["POST /v1/events", "commit events", "publish canonical event", "write to sink"]
TOPIC = "users/alice/devices/watch/events"


@dataclass
class Scene:
    service: Service
    web: Web
    told: OtlpDouble
    watch: dict[str, Any]
    reader: dict[str, Any]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    data: Path = tmp_path_factory.mktemp("opentelemetry") / "data"
    with collector() as told:
        settings = {
            "HEALTHSYNC_GATEWAY__TLS": "false",
            "HEALTHSYNC_GATEWAY__HOST": "127.0.0.1",
            "HEALTHSYNC_TRACING__ENDPOINT": told.endpoint,
            "HEALTHSYNC_TRACING__SAMPLE_RATIO": "0",
        }
        with Service(data, "--http-port", "0", env=settings) as service:
            service.cli("user", "add", "alice", "--consent", "all")
            watch = service.cli("device", "add", "alice", "watch")[0]
            reader = service.cli("subscriber", "add", "reader", "--users", "alice", "--types", "*")[0]
            service.cli("sink", "add", "file", str(data.parent / "out"))
            wait_until(lambda: service.cli("sink", "status")[0]["state"] == "idle")
            yield Scene(service, Web(service.ready["http"], "").as_(watch["token"]), told, watch, reader)


def event(name: str) -> dict[str, Any]:
    return {"id": name, "type": "heart_rate", "start_time": "2026-11-23T06:00:00Z", "value": {"bpm": 63.25}}


async def client(scene: Scene, who: dict[str, Any]) -> Outsider:
    made = await Outsider.open(scene.service.ready["mqtt"], Listener.PLAIN, ssl.create_default_context())
    answer = await made.connect(who["client_id"], who["token"])
    assert (answer.kind, answer.reason) == (CONNACK, 0)
    return made


def steps(scene: Scene, trace: str, names: list[str]) -> list[SeenSpan]:
    """The spans of a trace by these names, when all of them have come."""

    def found() -> list[SeenSpan]:
        spans = [each for each in list(scene.told.spans) if each.trace == trace]
        return [each for name in names for each in spans if each.name == name]

    wait_until(lambda: len(found()) >= len(names))
    return found()


async def test_a_request_is_followed_to_the_sink(scene: Scene) -> None:
    reader = await client(scene, scene.reader)
    await reader.subscribe(("users/alice/canonical/#", 1))
    answer = scene.web.post("/v1/events", [event("t-1")], traceparent=f"00-{TRACE}-{SPAN}-01")
    assert answer.status == 200, answer.body
    message = await reader.message()
    request, commit, canonical, sink = steps(scene, TRACE, STEPS)
    assert message.told["traceparent"] == f"00-{TRACE}-{canonical.id}-01"
    assert [request.parent, commit.parent, canonical.parent, sink.parent] == [SPAN, request.id, commit.id, commit.id]
    assert [each.service for each in (request, commit, sink)] == ["healthsync-gateway", "healthsync", "healthsync"]
    assert request.start <= commit.end <= sink.end
    assert request.attributes == {
        "http.request.method": "POST", "http.route": "/v1/events", "http.response.status_code": 200,
    }  # fmt: skip
    assert commit.attributes["healthsync.events.stored"] == 1
    assert sink.attributes == {"healthsync.events": 1, "healthsync.sink.kind": "file"}
    await reader.cut()


async def test_a_device_sends_its_trace_with_its_message(scene: Scene) -> None:
    watch = await client(scene, scene.watch)
    trace = "a" * 32
    said = [("traceparent", f"00-{trace}-{SPAN}-01")]
    await watch.put(TOPIC, json.dumps([event("t-2"), event("t-2")]).encode(), user_property=said)
    commit, sink = steps(scene, trace, ["commit events", "write to sink"])
    assert commit.parent == SPAN
    assert (commit.attributes["healthsync.events.stored"], commit.attributes["healthsync.events.duplicate"]) == (1, 1)
    assert sink.parent == commit.id
    await watch.cut()


async def test_what_is_not_to_be_told_is_not(scene: Scene) -> None:
    """Not sampled, two of them, one that nobody can read, a stranger's: of ``sample_ratio`` 0."""
    watch = await client(scene, scene.watch)
    bad = [[("traceparent", f"00-{'b' * 32}-{SPAN}-00")], [("traceparent", f"00-{'c' * 32}-{SPAN}-01")] * 2,
           [("traceparent", "nonsense")]]  # fmt: skip
    for number, said in enumerate(bad):
        await watch.put(TOPIC, json.dumps(event(f"u-{number}")).encode(), user_property=said)
    await watch.cut()
    nobody = Web(scene.service.ready["http"], "")
    assert nobody.post("/v1/events", [event("x")], traceparent=f"00-{'d' * 32}-{SPAN}-01").status == 401
    quiet = scene.web.post("/v1/events", [event("u-9")], traceparent=f"00-{'b' * 32}-{SPAN}-00")
    assert quiet.status == 200
    # What comes now is told after all of that would have been.
    assert scene.web.post("/v1/events", [event("u-10")], traceparent=f"00-{'e' * 32}-{SPAN}-01").status == 200
    steps(scene, "e" * 32, ["POST /v1/events", "commit events", "write to sink"])
    assert {each.trace for each in scene.told.spans} <= {TRACE, "a" * 32, "e" * 32}


def test_spans_say_nothing_of_anybody(scene: Scene) -> None:
    assert scene.web.get("/v1/users/alice/events", traceparent=f"00-{'f' * 32}-{SPAN}-01").status == 200
    (span,) = steps(scene, "f" * 32, ["GET /v1/users/{user}/events"])
    assert not span.failed
    said = b"".join(scene.told.bodies)
    for word in (b"alice", b"watch", b"reader", b"heart_rate", b"bpm", b"63.25"):
        assert word not in said, word
    assert scene.told.refused == []


def test_spans_are_counted_by_who_told_them(scene: Scene) -> None:
    trace = "1" * 32
    assert scene.web.post("/v1/events", [event("v-1")], traceparent=f"00-{trace}-{SPAN}-01").status == 200
    steps(scene, trace, ["POST /v1/events", "commit events", "write to sink"])
    told = Counter(each.service for each in list(scene.told.spans))

    def counted() -> bool:
        # A span is counted when the collector has answered, which is after the collector has it.
        said = scene.service.cli("status")[0]
        counts = {"healthsync": said["spans"], "healthsync-gateway": said["gateway"]["spans"]}
        assert {name: found["dropped"] for name, found in counts.items()} == dict.fromkeys(counts, 0)
        return all(found["exported"] == told[name] > 0 for name, found in counts.items())

    wait_until(counted)
