"""Whatever a client asks, and however often, it is a few lines of log."""

import asyncio

import pytest

from bridge.edges.asking import Asking
from bridge.edges.external import Origins
from healthsync_mqtt.identity.login.proof import Login
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.model.shard import Shard
from tests.unit.bridge.bench import REGISTRY

LOGIN = Login(
    principal=Principal(role=Role.device, client_id="alice-d", user="alice", device="d"), expires_at=1e12, jti=None
)


async def test_requests_that_are_not_heard_are_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    asking, channel = Asking(), REGISTRY.channels["changes_request"]
    answered = asyncio.Event()

    async def answering() -> None:
        await answered.wait()

    heard = [asking.admit(channel, LOGIN, answering) for _ in range(1_000)]
    assert heard == [True] + [False] * 999
    answered.set()
    await asking.drain()
    assert 1 <= sum(each.message == "bridge.request_ignored" for each in caplog.records) <= 10


def test_topics_that_are_none_are_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    origins = Origins(REGISTRY, Shard.parse(""))
    for number in range(1_000):
        origins.learn(b"nowhere/%d" % number)
    assert 1 <= sum(each.message == "bridge.unknown_topic" for each in caplog.records) <= 10
