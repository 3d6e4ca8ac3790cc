"""The device client and the service in MQTT 5: results from acknowledgements, a new token on a live connection."""

import asyncio
import time
from pathlib import Path

from healthsync_mqtt.client import (
    ClientState,
    Credentials,
    DeviceClient,
    DismissedError,
    Rejected,
    SqliteOutbox,
    Stored,
    TakenOverError,
)
from healthsync_mqtt.client.backoff import Backoff
from healthsync_mqtt.errors import DeniedError
from tests.support.inprocess import House
from tests.support.peer import Identity


def event(number: int, bpm: int = 60) -> dict:
    return {"id": f"e{number}", "type": "heart_rate", "start_time": "2026-01-01T00:00:00Z", "value": {"bpm": bpm}}


def client(house: House, identity: Identity, **options: object) -> DeviceClient:
    host, _, port = house.ready.mqtts.rpartition(":")
    credentials = Credentials(
        user_id=identity.user,
        device_id=identity.device,
        client_id=identity.client_id,
        username=identity.client_id,
        token=identity.token,
    )
    ca_file = Path(house.ready.ca_file)
    return DeviceClient(host, int(port), credentials=credentials, ca_file=ca_file, **options)  # type: ignore[arg-type]


async def test_results_come_from_acknowledgements_and_no_receipt_is_asked_for(house: House) -> None:
    alice = house.device("alice")
    async with client(house, alice) as watch:
        assert list(await watch.publish(event(1))) == [Stored(id="e1")]
        results = await watch.publish([event(1), event(2), event(3, bpm=900), event(4), event(5, bpm=-1)])
        assert [type(each) for each in results if not isinstance(each, Rejected)] != []
        assert [(each.id, each.reason, each.field) for each in results if isinstance(each, Rejected)] == [
            ("e3", "out_of_range", "value.bpm"),
            ("e5", "out_of_range", "value.bpm"),
        ]
        assert (results.stored, results.duplicate, results.rejected) == (2, 1, 2)
        many = await watch.publish([event(n, bpm=-1) for n in range(100, 200)])
        assert {(each.reason, each.field) for each in many if isinstance(each, Rejected)} == {
            ("out_of_range", "value.bpm")
        }
        assert many.rejected == 100
        assert house.edge.sessions.filters(alice.client_id) == ()
    assert house.stored() == ["e1", "e2", "e4"]


async def test_what_is_held_is_told_at_once_and_a_durable_outbox_sends_it_again(house: House, tmp_path: Path) -> None:
    alice = house.device("alice")
    early = event(1) | {"start_time": "2999-01-01T00:00:00Z"}
    async with client(house, alice, outbox=SqliteOutbox(tmp_path / "outbox.db")) as watch:
        first, second = await watch.publish([early, event(2)])
        assert isinstance(first, Rejected)
        assert (first.reason, first.held, second) == ("future_time", True, Stored(id="e2"))
        assert await watch.close()
    assert [row.times for row in house.service.reader.rejected()] == [1]
    async with client(house, alice, outbox=SqliteOutbox(tmp_path / "outbox.db")) as watch:
        await house.until(lambda: [row.times for row in house.service.reader.rejected()] == [2], "it is sent again")
        assert await watch.publish(event(3))
    assert house.stored() == ["e2", "e3"]


class MovedClock:
    """The machine's clock, and as much ahead of it as the test has moved it; who sleeps wakes when it is moved."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.slept: list[float] = []
        self._moved = asyncio.Condition()

    def time(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        wakes = self.ahead + seconds
        async with self._moved:
            await self._moved.wait_for(lambda: self.ahead >= wakes)

    async def move(self, seconds: float) -> None:
        self.ahead += seconds
        async with self._moved:
            self._moved.notify_all()


async def test_a_new_token_keeps_the_connection_past_the_end_of_the_first(house: House) -> None:
    alice, clock = house.device("alice"), MovedClock()
    principal = house.registry.device("alice", "watch").principal
    given: list[str] = []

    def fresh() -> str:
        given.append(house.token(principal, 600 if not given else 3_600))
        return given[-1]

    def ends() -> list[float]:
        return [each.login.expires_at for each in house.door._connections if each.login is not None]

    async with client(house, alice, token=fresh, clock=clock) as watch:
        (before,), (first,) = house.door.clients(), ends()
        await house.until(lambda: clock.slept, "it waits until shortly before the end of its token")
        assert 500 < clock.slept[0] < 600
        assert len(given) == 1
        await clock.move(clock.slept[0])
        await house.until(lambda: ends() > [first], "the service has the second token")
        house.age_tokens(601)
        assert (await watch.publish(event(1))).stored == 1
        (after,) = house.door.clients()
        assert after == before
        assert len(given) == 2


async def test_what_the_service_says_at_the_end_is_an_error_of_its_kind(house: House) -> None:
    alice = house.device("alice")
    slow = Backoff(first=60.0, longest=60.0)
    async with client(house, alice, backoff=slow) as first, client(house, alice, backoff=slow) as second:
        await house.until(lambda: isinstance(first.last_error, TakenOverError), "the first is told")
        assert house.door.kick(alice.client_id)
        await house.until(lambda: isinstance(second.last_error, DismissedError), "the second is told")
        assert first.last_error is not None
        assert first.last_error.hint


async def test_who_was_revoked_is_told_and_tries_slowly(house: House) -> None:
    alice = house.device("alice")
    async with client(house, alice) as watch:
        await watch.publish(event(1))
        house.registry.revocation.revoke_device_tokens("alice", "watch", 2_000_000_000_000_000)
        house.look()
        await house.until(lambda: watch.state is ClientState.DENIED, "it knows that it is refused")
        assert isinstance(watch.last_error, DeniedError)
