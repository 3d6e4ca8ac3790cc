"""A request that cannot be carried out is a line of the log the first time, not each time it is sent again."""

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest
from healthsync_mqtt.broker.embedded.limits.rates import Rates
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import StoreError, UnavailableError
from healthsync_mqtt.gateway.app import Failures
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.bodies.room import Room
from healthsync_mqtt.gateway.routes.events.intake import EventIntake
from healthsync_mqtt.gateway.routes.sign_in.organisations import Organisation
from healthsync_mqtt.mqtt.links.port import Answer
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.registry import TopicRegistry
from tests.unit.gateway.test_bounds import device, request

NOT_AUTHORIZED = 0x87
TIMES = 50


def lines(caplog: pytest.LogCaptureFixture, event: str) -> int:
    return [record.getMessage() for record in caplog.records].count(event)


async def test_a_broker_that_takes_nothing_of_the_gateway(caplog: pytest.LogCaptureFixture) -> None:
    class Refusing:
        async def publish(self, topic: str, payload: bytes, sender: Callable[[], bool]) -> Answer:
            del topic, payload, sender
            return Answer(code=NOT_AUTHORIZED)

    publisher: Any = Refusing()
    intake = EventIntake(
        rules=AccessRules(TopicRegistry.load()), publisher=publisher, rates=Rates(LimitSettings()),
        room=Room(1_000_000, "bodies"), most=1_000, still=lambda _: True,
    )  # fmt: skip
    for number in range(TIMES):
        alice = device("alice", f"d{number}")
        with pytest.raises(HttpError) as said:
            await intake.take(alice, intake.device_topic(alice), request())
        assert said.value.status == 503
    assert lines(caplog, "gateway.publish_refused") == 1


async def test_an_organisation_that_is_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Away:
        def ask(self, request: CloudRequest) -> CloudAnswer:
            del request
            return CloudAnswer(status=0, fault="unreachable")

    said = {"public_url": "https://health.example.org", "oidc.issuer": "https://id.example.org", "oidc.client_id": "c"}
    settings = load_settings(tmp_path, {f"gateway.{name}": value for name, value in said.items()})
    sessions: Any = SimpleNamespace(now_us=lambda: 1)
    organisation = Organisation(settings.gateway, sessions, lambda: "secret", Away())
    for _ in range(TIMES):
        with pytest.raises(HttpError) as said:
            await organisation.leave("browser")
        assert said.value.status == 503
    assert lines(caplog, "gateway.organisation_away") == 1


async def test_a_store_that_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    failures = Failures()
    asked = Request({"type": "http", "method": "GET", "path": "/", "headers": [], "state": {}})
    with caplog.at_level(logging.INFO):
        for _ in range(TIMES):
            answer = await failures.told(asked, StoreError("no room"))
            assert answer is not None
            assert answer.status_code == 500
        assert lines(caplog, "gateway.request_failed") == 1
        await failures.told(asked, UnavailableError("away"))  # another trouble is seen, too
    assert lines(caplog, "gateway.request_failed") == 2
