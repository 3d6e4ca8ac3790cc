"""Whatever a client asks, and however often, it is a few lines of log."""

import asyncio
import json
from pathlib import Path

import pytest

from bridge.edges.desks import Desks, OpenRequests
from bridge.edges.external import Origins
from bridge.edges.requests import TokenRequests
from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.identity.exchange import TokenExchange
from healthsync_mqtt.identity.keys.signing import Keyring
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.gateway import GATEWAY
from healthsync_mqtt.identity.login.proof import Login
from healthsync_mqtt.identity.login.tokens import TokenIssuer
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.model.shard import Shard
from tests.unit.bridge.bench import REGISTRY

LOGIN = Login(
    principal=Principal(role=Role.device, client_id="alice-d", user="alice", device="d"), expires_at=1e12, jti=None
)


async def test_requests_that_are_not_heard_are_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    open_requests, channel = OpenRequests(), REGISTRY.channels["changes_request"]
    answered = asyncio.Event()

    async def answering() -> None:
        await answered.wait()

    heard = [open_requests.admit(channel, LOGIN, answering) for _ in range(1_000)]
    assert heard == [True] + [False] * 999
    answered.set()
    await open_requests.drain()
    assert 1 <= sum(each.message == "bridge.request_ignored" for each in caplog.records) <= 10


def test_a_request_that_nobody_answers_here_is_not_taken() -> None:
    """A gateway calls bridges of external brokers; at the front door its own acknowledgement says what it asks."""
    gateway = Login(principal=GATEWAY, expires_at=1e12, jti=None)
    assert not Desks({}).take(REGISTRY.channels["gateway_request"], gateway, b"", lambda _: None)


def test_topics_that_are_none_are_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    origins = Origins(REGISTRY, Shard.parse(""))
    for number in range(1_000):
        origins.learn(b"nowhere/%d" % number)
    assert 1 <= sum(each.message == "bridge.unknown_topic" for each in caplog.records) <= 10


def test_formats_that_are_none_are_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    origins = Origins(REGISTRY, Shard.parse(""))
    for number in range(1_000):
        assert not origins.learn(b"users/alice/devices/watch/formats/nobodys-%d/x" % number).user
    lines = [each for each in caplog.records if each.message == "bridge.unknown_format"]
    assert 1 <= len(lines) <= 10
    assert not any("nobodys" in str(vars(each)) for each in lines), "what a stranger calls it is not in the log"


async def test_refused_tokens_are_a_few_lines_and_every_request_is_answered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A device asks again as soon as it was refused, as often as it likes: with a made-up token, and with nonsense."""
    registry = Registry.open(tmp_path / "registry.db")
    audit = AuditLog.open(tmp_path / "audit.db", tmp_path / "keys" / "audit.key")
    requests = TokenRequests(TokenExchange(registry, TokenIssuer(Keyring.generate()), audit), Directory(registry))
    channel = REGISTRY.channels["token_request"]
    answers: list[bytes] = []
    for number in range(200):
        payload = b'{"refresh_token": "made-up-%d"}' % number if number % 2 else b"{" * (1 + number)
        assert requests.take(channel, LOGIN, payload, answers.append)
        await requests.drain()
        await asyncio.sleep(0)
    registry.close()
    assert [json.loads(each)["status"] for each in answers] == ["error"] * 200
    lines = [each for each in caplog.records if each.message == "bridge.token_refused"]
    assert 1 <= len(lines) <= 10
    assert not any("made-up" in str(vars(each)) for each in lines), "no token is in the log"
