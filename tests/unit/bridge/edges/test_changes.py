"""Requests for what changed keep the contract of the door's requests, and say what a client may know."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.edges.changes import ChangeRequests
from bridge.edges.desks import Desks
from healthsync_mqtt.broker.embedded.ports import Requests
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.identity.login.proof import APP_PASSWORD, Login
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.testing.door_contract import RequestDesk, RequestsContract
from healthsync_mqtt.testing.log_items import item
from healthsync_mqtt.testing.memory_bridge import MemoryRequests
from tests.support.consent import agreeing
from tests.unit.bridge.bench import REGISTRY


class TheLog:
    """A desk over a log in memory, whose clients are devices of alice."""

    channel = REGISTRY.channels["changes_request"]

    def __init__(self) -> None:
        self.log = MemoryEventLog()
        self.log.stage([item("a"), item("b")], [], 1)
        self.log.commit()
        self.known: dict[str, Principal] = {}
        self.failing = 0
        self._requests = ChangeRequests(
            open_reader=self._open, gate=agreeing("alice"), principal=self.known.get, clock_us=lambda: 10
        )
        self.requests: Requests = self._requests

    def _open(self) -> LogReader:
        if self.failing:
            self.failing -= 1
            raise StoreError("the disk is away: /secret/path")
        return self.log.reader()

    def login(self, number: int, device: str | None = None, jti: str | None = None) -> Login:
        device = device or f"d{number}"
        principal = Principal(
            role=Role.device, client_id=f"c{number}", user="alice", device=device, formats=frozenset()
        )
        self.known[principal.client_id] = principal
        return Login(principal=principal, expires_at=1e12, jti=jti)

    async def settle(self) -> None:
        await self._requests.drain()
        await asyncio.sleep(0)

    async def ask(self, login: Login, **request: Any) -> dict[str, Any]:
        got: list[bytes] = []
        assert self.requests.take(self.channel, login, json.dumps(request).encode(), got.append)
        await self.settle()
        said: dict[str, Any] = json.loads(got[0])
        return said

    async def close(self) -> None:
        await self._requests.close()


@pytest.fixture
async def desk() -> AsyncIterator[TheLog]:
    made = TheLog()
    yield made
    await made.close()


class TestChangeRequests(RequestsContract):
    @pytest.fixture
    def counter(self, desk: TheLog) -> RequestDesk:
        return desk


async def test_an_app_is_told_what_it_brought_itself(desk: TheLog) -> None:
    app = desk.login(1, "scale", APP_PASSWORD)
    said = await desk.ask(app)
    assert (said["status"], said["events"]) == ("ok", [])
    own = await desk.ask(desk.login(2, "alice-watch", APP_PASSWORD))
    assert [each["id"] for each in own["events"]] == ["a", "b"]
    everything = await desk.ask(desk.login(3, "scale"))
    assert [each["id"] for each in everything["events"]] == ["a", "b"], "it has a token that expires"
    taken = await desk.ask(app, token=everything["token"])
    assert taken["reason"] == "token_expired", "what may be read with it is something else"


async def test_who_was_removed_meanwhile_is_told_nothing(desk: TheLog) -> None:
    login = desk.login(1)
    desk.known.clear()
    said = await desk.ask(login, transaction="t")
    assert (said["transaction"], said["status"], said["reason"]) == ("t", "error", "denied")


async def test_a_log_that_cannot_be_read_is_said_without_its_words_and_opened_again(desk: TheLog) -> None:
    desk.failing = 1
    login = desk.login(1)
    said = await desk.ask(login)
    assert (said["reason"], said["message"]) == ("unavailable", "the log cannot be read at the moment")
    assert [each["id"] for each in (await desk.ask(login))["events"]] == ["a", "b"]


async def test_a_request_goes_to_the_desk_of_its_channel(desk: TheLog) -> None:
    other = MemoryRequests()
    desks = Desks({"changes_request": desk.requests, "token_request": other})
    got: list[bytes] = []
    assert desks.take(REGISTRY.channels["token_request"], desk.login(1), b"{}", got.append)
    await desk.settle()
    assert got == []
    other.answer()
    assert len(got) == 1
