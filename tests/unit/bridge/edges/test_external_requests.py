"""Requests of clients behind an external broker: each is acknowledged, and told that it is not answered there."""

import json

import pytest

from bridge.edges.changes import refusal
from bridge.edges.external import LinkSource, LongAllowance, Origins
from healthsync_mqtt.broker.external.canary_world import COMMON
from healthsync_mqtt.client.changes import _checked
from healthsync_mqtt.errors import DeniedError, HealthSyncError, UnavailableError
from healthsync_mqtt.model.shard import Shard
from healthsync_mqtt.mqtt.codec import encode_pubacks
from healthsync_mqtt.mqtt.codec.packets import Publish
from healthsync_mqtt.mqtt.message_room import MessageRoom
from tests.unit.bridge.edges.test_external_source import TOPICS, Bench, FakeLink

REQUEST = b"changes/app/request"


async def test_a_request_is_acknowledged_and_given_to_who_answers_and_is_no_delivery(bench: Bench) -> None:
    asked: list[tuple[str, bytes]] = []
    link = FakeLink()
    long = LongAllowance(MessageRoom(1_048_576, 1_048_576), lambda *_: 1_048_576)
    answers = {"changes_request": lambda client, payload: asked.append((client, payload))}
    source = LinkSource(bench.pipeline, Origins(TOPICS, Shard.parse(""), asked=answers), long)
    source.release(link)
    canary = f"changes/{COMMON.intruder.client_id}/request".encode()
    source.received(
        [
            Publish(REQUEST, b"{}", 1, packet_id=1),
            Publish(REQUEST, b"old", 1, packet_id=2, retain=True),
            Publish(canary, b"{}", 1, packet_id=3),
        ]
    )
    assert asked == [("app", b"{}")], "neither what was retained nor a canary is answered"
    assert link.acknowledged == encode_pubacks([1, 2, 3])
    assert bench.counters.messages_received == 0


@pytest.mark.parametrize(
    ("payload", "named"), [(b'{"transaction": "t-1", "user": "alice"}', {"transaction": "t-1"}), (b"{", {})]
)
def test_a_refusal_names_the_request_as_far_as_it_can_be_read(payload: bytes, named: dict[str, str]) -> None:
    said = json.loads(refusal(payload, UnavailableError("not here")))
    assert said == named | {"status": "error", "reason": "unavailable", "message": "not here"}


@pytest.mark.parametrize(("reason", "kind"), [("unavailable", UnavailableError), ("denied", DeniedError)])
def test_the_client_tells_a_refusal_of_the_place_from_one_of_the_right(
    reason: str, kind: type[HealthSyncError]
) -> None:
    with pytest.raises(kind, match="not here"):
        _checked({"status": "error", "reason": reason, "message": "not here"})
