"""A full disk, a smaller limit, a rewind in the middle of a reading, an expired token: none of them ends in silence."""

import asyncio
import base64
import contextlib
import json
import sqlite3
from pathlib import Path

import pytest

from healthsync_mqtt.client import (
    Credentials,
    DeviceClient,
    MemoryOutbox,
    SqliteOutbox,
    TokenExpiredError,
    enrolment,
)
from healthsync_mqtt.client.enrolment import Renewal
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.topics.registry import TopicRegistry

from .fake_service import FakeClock, FakeService, until


def event(number: int) -> dict:
    return {"id": f"e{number}", "type": "heart_rate", "start_time": "2026-01-01T00:00:00Z", "value": {"bpm": 60}}


class FullDisk(MemoryOutbox):
    """Takes events, and for a while no acknowledgements."""

    failures = 2

    def acknowledge(self, keys, position, now) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreError("cannot write the outbox: database or disk is full")
        super().acknowledge(keys, position, now)


async def test_a_full_disk_is_an_outage_and_not_the_end(make_client, service, clock) -> None:
    outbox = FullDisk()
    async with make_client(outbox=outbox) as client:
        publishing = asyncio.create_task(client.publish(event(1)))
        for _ in range(2):
            await until(lambda: isinstance(client.last_error, StoreError))
            await clock.advance(70)
        results = await publishing
    assert results.all_accepted
    assert list(service.log) == ["e1"]


def test_what_sqlite_says_is_said_as_a_store_error(tmp_path: Path) -> None:
    outbox = SqliteOutbox(tmp_path / "outbox.db")
    outbox.close()
    for call in (lambda: outbox.pending(0, 1), outbox.position):
        with pytest.raises(StoreError) as caught:
            call()
        assert isinstance(caught.value.__cause__, sqlite3.Error)


class Small(FakeService):
    """Refuses a batch of more than ``most`` events as a whole."""

    most = 3
    word = "too_many"

    def receive(self, payload: bytes) -> None:
        batch = json.loads(payload)
        if len(batch["events"]) <= self.most:
            super().receive(payload)
            return
        self.deliveries.append(batch)
        refusal = {"index": 0, "id": None, "code": self.word, "message": "no"}
        receipt = {"epoch": self.epoch, "seq": self.seq, "batch": batch["batch"], "stored": 0, "duplicate": 0}
        self.queue.append(json.dumps(receipt | {"rejected": [refusal]}).encode())
        self.flush()


@pytest.mark.parametrize("word", ["too_many", "too_large"])
async def test_a_batch_that_is_too_large_is_split_and_the_size_learnt(make_client, word: str) -> None:
    service = Small()
    service.word = word
    async with make_client(transport=service, batch_size=10) as client:
        results = await client.publish([event(n) for n in range(10)])
        assert (results.stored, results.rejected) == (10, 0)
        service.deliveries.clear()
        await client.publish([event(n) for n in range(10, 20)])
    assert max(len(delivery["events"]) for delivery in service.deliveries) <= 3


async def test_a_single_event_that_is_too_large_is_rejected(make_client) -> None:
    service = Small()
    service.most = 0
    async with make_client(transport=service, batch_size=2) as client:
        results = await client.publish([event(1), event(2)])
    assert results.rejected == 2


class Cutting(FakeService):
    """Cuts the connection at a batch of more than ``most`` events, as for a packet over the limit."""

    most = 2

    def receive(self, payload: bytes) -> None:
        if len(json.loads(payload)["events"]) > self.most:
            self.drop()
            return
        super().receive(payload)


async def test_batches_that_cut_the_connection_get_smaller(make_client, clock: FakeClock) -> None:
    service = Cutting()
    async with make_client(transport=service, batch_size=8) as client:
        publishing = asyncio.create_task(client.publish([event(n) for n in range(8)]))
        for _ in range(20):
            await clock.advance(70)
            if publishing.done():
                break
        assert (await publishing).stored == 8


class Slow(MemoryOutbox):
    """A reading that takes until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.blocking = False
        self.after_read = lambda: None

    def pending(self, after, limit):
        found = super().pending(after, limit)
        self.after_read()
        return found


async def test_a_rewind_in_the_middle_of_a_reading_is_not_forgotten(make_client, service) -> None:
    """The log went back while the sender read on: everything kept is sent again, at once."""
    outbox = Slow()
    async with make_client(outbox=outbox) as client:
        await client.publish([event(n) for n in range(3)])
        exchange = None
        for task in asyncio.all_tasks():
            if task.get_name() == "healthsync sender":
                exchange = task.get_coro().cr_frame.f_locals["self"]
        assert exchange is not None
        service.log.clear()

        def rewind_once() -> None:
            outbox.after_read = lambda: None
            outbox.rewind()
            exchange._start_over()

        outbox.after_read = rewind_once
        await client.enqueue(event(9))
        await until(lambda: set(service.log) == {"e0", "e1", "e2", "e9"})


def token(expires: float) -> str:
    body = base64.urlsafe_b64encode(json.dumps({"exp": expires}).encode()).rstrip(b"=").decode()
    return f"e30.{body}.c2ln"


async def test_an_expired_token_is_an_error_of_its_own_with_its_fix(service, clock) -> None:
    login = Credentials(
        user_id="alice", device_id="watch", client_id="alice-watch", username="alice-watch", token=token(clock.now + 60)
    )
    once = {"credentials": login, "transport": service, "clock": clock, "fail_when_denied": True}
    async with DeviceClient("fake", **once) as client:
        service.denied = True
        publishing = asyncio.create_task(_lost(service, client))
        for _ in range(6):
            await clock.advance(61)
        with pytest.raises(TokenExpiredError) as caught:
            await publishing
    assert "healthsync device token" in (caught.value.hint or "")


async def _lost(service: FakeService, client: DeviceClient) -> None:
    service.hold = True
    service.drop()
    await client.publish(event(1))


async def test_credentials_that_cannot_be_written_are_used_and_written_later(tmp_path: Path, monkeypatch) -> None:
    known = Credentials(
        user_id="alice", device_id="watch", client_id="alice-watch", username="alice-watch", token="old",
        expires_at=0.0, refresh_token="r1", file=tmp_path / "watch.json",
    )  # fmt: skip
    full = [True]
    write = Credentials.save

    def save(self: Credentials) -> None:
        if full[0]:
            raise OSError(28, "No space left on device")
        write(self)

    monkeypatch.setattr(Credentials, "save", save)
    renewal = Renewal(known, Lobby, topics=TopicRegistry.load())
    assert await renewal() == "new"
    assert not (tmp_path / "watch.json").exists()
    full[0] = False
    assert await renewal() == "new"
    assert json.loads((tmp_path / "watch.json").read_text())["refresh_token"] == "r2"


class Lobby:
    """Gives new credentials for whatever it is asked."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.asked: dict = {}

    @contextlib.asynccontextmanager
    async def connect(self, _token: str):
        yield self

    async def subscribe(self, topic: str) -> None:
        self.topic = topic

    async def publish(self, _topic: str, payload: bytes) -> None:
        self.asked = json.loads(payload)

    async def messages(self):
        answer = {
            "transaction": self.asked["transaction"], "status": "ok", "user_id": "alice", "device_id": "watch",
            "client_id": "alice-watch", "username": "alice-watch", "token": "new", "refresh_token": "r2",
            "expires_at": "2999-01-01T00:00:00Z",
        }  # fmt: skip
        yield self.topic, json.dumps(answer).encode()


async def test_a_code_is_not_used_up_when_its_credentials_could_not_be_saved(tmp_path: Path, monkeypatch) -> None:
    asked: list[str] = []

    def lobby(client_id: str) -> Lobby:
        asked.append(client_id)
        return Lobby(client_id)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / "watch.json"
    with monkeypatch.context() as disk:
        disk.setattr(enrolment, "write_durably", full)
        with pytest.raises(StoreError, match="No space left"):
            await enrolment.enroll("fake", code="X", save_to=file, transport=lobby)
    assert asked == []
    with monkeypatch.context() as disk:
        disk.setattr(Credentials, "save", full)
        assert (await enrolment.enroll("fake", code="X", save_to=file, transport=lobby)).refresh_token == "r2"
    assert not file.exists()
    await enrolment.enroll("fake", code="X", save_to=file, transport=lobby)
    assert json.loads(file.read_text())["refresh_token"] == "r2"
    assert [path.name for path in tmp_path.iterdir()] == ["watch.json"]  # noqa: ASYNC240
