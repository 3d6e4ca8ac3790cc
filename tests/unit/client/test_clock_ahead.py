"""The device's own clock is ahead: what it says of a token is a reason at most, never the end, and causes no storm."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest

from healthsync_mqtt.client import Backoff, ClientState, Credentials, DeviceClient, TokenExpiredError
from healthsync_mqtt.client.enrolment import Renewal
from healthsync_mqtt.mqtt.links.farewell import TokenEndedError
from healthsync_mqtt.topics.registry import TopicRegistry

from .fake_service import FakeClock, FakeService, until

DAYS = 2 * 86_400
LIVES_S = 900


class Ahead(FakeClock):
    """Two days ahead of the service; what counts seconds is right."""

    def time(self) -> float:
        return self.now + DAYS


def token(clock: FakeClock) -> str:
    """As the service issues one now, by its own clock."""
    claims = json.dumps({"iat": clock.now, "exp": clock.now + LIVES_S}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).rstrip(b'=').decode()}.c2ln"


def login(clock: FakeClock, **more: Any) -> Credentials:
    own = {"user_id": "alice", "device_id": "watch", "client_id": "alice-watch", "username": "alice-watch"}
    return Credentials(**own, token=token(clock), **more)


def event(n: int) -> dict[str, Any]:
    return {"id": f"e{n}", "type": "heart_rate", "start_time": "2026-11-23T06:00:00Z", "value": {"bpm": 72}}


async def test_a_refusal_does_not_end_it_and_what_it_keeps_is_stored_later(service: FakeService) -> None:
    """It took a good token for an old one, ended, and every later event was refused by the client itself."""
    clock = Ahead()
    how = {"transport": service, "clock": clock, "rng": Random(7), "backoff": Backoff(first=1, longest=60)}
    async with DeviceClient("fake", credentials=login(clock), **how) as client:
        service.denied = True  # suspended, say
        service.drop()
        await until(lambda: client.state is ClientState.WAITING)
        await clock.advance(61)
        await until(lambda: client.state is ClientState.DENIED)
        assert isinstance(client.last_error, TokenExpiredError)
        publishing = asyncio.create_task(client.publish([event(1)]))
        for _ in range(5):
            await clock.advance(90)
        assert not publishing.done()
        service.denied = False
        for _ in range(20):
            await clock.advance(90)
        assert (await publishing).stored == 1


@pytest.mark.parametrize("told", [True, False], ids=["told", "counted"])
async def test_the_only_token_that_is_over_ends_the_waiting_calls_with_its_fix(
    service: FakeService, caplog: pytest.LogCaptureFixture, told: bool
) -> None:
    """The service says so by its own clock; one of MQTT 3.1.1 cannot, and then it is the seconds that have passed."""
    clock = Ahead()
    how = {"transport": service, "clock": clock, "rng": Random(7), "backoff": Backoff(first=1, longest=60)}
    async with DeviceClient("fake", credentials=login(clock), **how) as client:
        publishing = asyncio.create_task(lost_with(service, client, TokenEndedError("over") if told else None))
        await until(lambda: client.state is ClientState.WAITING)
        if not told:
            await clock.advance(61)
            await until(lambda: client.state is ClientState.DENIED)
            assert not publishing.done()
        await clock.advance(61 if told else LIVES_S)
        with pytest.raises(TokenExpiredError, match="the token has expired") as caught:
            await publishing
        with pytest.raises(TokenExpiredError):
            await client.publish([event(2)])
    assert "fix: issue a new one: healthsync device token" in caught.value.__notes__[0]
    assert any("client.denied the token has expired" in each for each in caplog.messages)


async def test_a_token_that_was_taken_again_is_not_over_whatever_was_said_of_it_before(service: FakeService) -> None:
    """Another broker says the same of connections that were open long enough; ours had its clock set, say."""
    clock = Ahead()
    how = {"transport": service, "clock": clock, "rng": Random(7), "backoff": Backoff(first=1, longest=60)}
    async with DeviceClient("fake", credentials=login(clock), **how) as client:
        assert service.live is not None
        service.live.end_with = TokenEndedError("over")
        service.drop()
        await until(lambda: client.state is ClientState.WAITING)
        await clock.advance(61)
        await until(lambda: client.state is ClientState.ONLINE)
        service.denied = True  # suspended, say
        service.drop()
        await until(lambda: client.state is ClientState.WAITING)
        await clock.advance(61)
        await until(lambda: client.state is ClientState.DENIED)
        service.denied = False
        await clock.advance(61)
        await until(lambda: client.state is ClientState.ONLINE)
        assert (await client.publish([event(1)])).stored == 1


async def lost_with(service: FakeService, client: DeviceClient, why: TokenEndedError | None) -> None:
    service.hold, service.denied = True, True
    assert service.live is not None
    service.live.end_with = why
    service.drop()
    await client.publish([event(1)])


class Lobby:
    """Gives a new token for whatever it is asked."""

    def __init__(self, clock: FakeClock, asked: list[str]) -> None:
        self.clock = clock
        self.all = asked

    @contextlib.asynccontextmanager
    async def connect(self, _token: str) -> AsyncIterator["Lobby"]:
        yield self

    async def subscribe(self, topic: str) -> None:
        self.topic = topic

    async def publish(self, _topic: str, payload: bytes) -> None:
        self.asked = json.loads(payload)
        self.all.append(self.asked["refresh_token"])

    async def messages(self) -> AsyncIterator[tuple[str, bytes]]:
        own = {"user_id": "alice", "device_id": "watch", "client_id": "alice-watch", "username": "alice-watch"}
        answer = {"transaction": self.asked["transaction"], "status": "ok", "token": token(self.clock), **own}
        yield self.topic, json.dumps({**answer, "refresh_token": "r", "expires_at": "1970-01-13T00:00:00Z"}).encode()


async def test_a_token_that_was_just_got_is_not_asked_for_again_at_each_connection() -> None:
    clock = Ahead()
    asked: list[str] = []
    known = login(clock, refresh_token="r", expires_at=clock.now + LIVES_S)
    renewal = Renewal(known, lambda _: Lobby(clock, asked), topics=TopicRegistry.load(), clock=clock)
    for _ in range(10):
        await renewal()
        clock.now += 60
    assert asked == ["r"]
    clock.now += LIVES_S
    await renewal()
    assert asked == ["r", "r"]


async def test_a_live_connection_gets_the_next_token_twice_in_a_lifetime_and_not_every_ten_seconds(
    service: FakeService,
) -> None:
    clock = Ahead()
    service.tells = True
    got: list[float] = []

    def next_token() -> str:
        got.append(clock.now)
        return token(clock)

    how = {"transport": service, "clock": clock, "rng": Random(7), "backoff": Backoff(first=1, longest=60)}
    async with DeviceClient("fake", credentials=login(clock), token=next_token, **how):
        for _ in range(4 * LIVES_S // 10):
            await clock.advance(10)
    assert 3 <= len(got) <= 12, got
