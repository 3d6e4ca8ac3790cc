"""Days of users: added up right, told to who may know, taken back with what they were made of."""

import asyncio
import json
import time
from typing import Any

import pytest

from healthsync_mqtt.identity.consent.decisions import Purpose
from healthsync_mqtt.summaries.day import day_number
from healthsync_mqtt.summaries.file import SummaryFile
from tests.support.inprocess import Bystander, House
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.peer import Identity, Peer
from tests.support.service import Service, run_cli

TOPIC = "users/alice/insights/daily"


def now_us() -> int:
    return time.time_ns() // 1000


def walked(event_id: str, steps: int, start: str, end: str, kind: str | None = None, **more: Any) -> dict[str, Any]:
    device = {"device": {"type": kind}} if kind else {}
    times = {"start_time": f"2026-01-05T{start}:00+01:00", "end_time": f"2026-01-05T{end}:00+01:00"}
    return {"id": event_id, "type": "steps", **times, "value": {"steps": steps}, "utc_offset": 3600, **device, **more}


async def sent(house: House, device: Identity, *events: dict[str, Any]) -> None:
    peer = await house.connect(device)
    for each in events:
        await peer.publish(device.events, json.dumps(each).encode())
    await peer.leave()


class Listener:
    """What a subscriber was told last on one topic; None: that nothing is retained any more."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.told: dict[str, Any] | None = None

    async def until(self, found: Any) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not found(self.told):
                for message in await self.peer.settle():
                    self.told = json.loads(message.payload) if message.payload else None
                await asyncio.sleep(0.05)


async def listener(house: House, who: Identity) -> Listener:
    peer = await house.connect(who)
    assert await peer.subscribe((TOPIC, 1)) == (1,)
    return Listener(peer)


async def test_three_devices_are_one_day_and_a_correction_and_a_deletion_reach_it(house: House, bob: Bystander) -> None:
    watch, phone, ring = (house.device("alice", name) for name in ("watch", "phone", "ring"))
    app = await listener(house, house.subscriber("app", ["alice"]))
    await sent(house, watch, walked("w1", 1000, "08:00", "09:00", "watch"))
    await sent(house, phone, walked("p1", 900, "08:00", "09:00", "phone"), walked("p2", 400, "10:00", "11:00", "phone"))
    await sent(house, ring, walked("r1", 600, "08:30", "09:30", "ring"))
    # 08:00-09:00 of the ring, as far as it has it (worn things go by name), else of the watch, 09:00-09:30 the ring's.
    await app.until(lambda told: told and told["types"]["steps"]["steps"] == 500 + 600 + 400)
    assert app.told == {
        "user_id": "alice", "day": "2026-01-05", "utc_offset": 3600,
        "types": {"steps": {"steps": 1500, "sources": ["ring", "watch", "phone"]}},
    }  # fmt: skip
    await sent(house, phone, walked("p2", 500, "10:00", "11:00", "phone", version=1))
    await app.until(lambda told: told["types"]["steps"]["steps"] == 1600)
    await sent(house, ring, {"id": "r1", "type": "steps", "op": "delete", "version": 1})
    await app.until(lambda told: told["types"]["steps"]["steps"] == 1500)
    assert app.told["types"]["steps"]["sources"] == ["watch", "phone"]
    house.registry.sources.prefer("alice", ["phone"], now_us())
    await app.until(lambda told: told["types"]["steps"]["steps"] == 1400)
    await house.still_serves(bob)


async def test_who_may_read_only_some_types_is_told_of_no_day(house: House) -> None:
    watch = house.device("alice")
    await sent(house, watch, walked("w1", 1000, "08:00", "09:00"))
    some = await house.connect(house.subscriber("some", ["alice"], ["steps"]))
    assert await some.subscribe((TOPIC, 1), ("users/alice/insights/+", 1)) == (128, 128)
    other = await house.connect(house.subscriber("other", ["carol"]))
    assert await other.subscribe((TOPIC, 1)) == (128,)


async def test_what_is_guarded_is_in_no_message_and_what_is_withdrawn_goes(house: House) -> None:
    watch = house.device("alice")
    house.registry.consent.grant("alice", ["state_of_mind"], now_us())
    app = await listener(house, house.subscriber("app", ["alice"]))
    mood = {"id": "m", "type": "state_of_mind", "start_time": "2026-01-05T08:00:00Z", "value": {"valence": 0.5}}
    kilos = {"id": "k", "type": "weight", "start_time": "2026-01-05T08:00:00Z", "value": {"kg": 70}}
    await sent(house, watch, walked("w1", 1000, "08:00", "09:00"), mood, kilos)
    await app.until(lambda told: told and len(told["types"]) == 2)
    assert set(app.told["types"]) == {"steps", "weight"}
    house.registry.consent.withdraw("alice", ["weight"], now_us(), purposes=[Purpose.insights])
    await app.until(lambda told: set(told["types"]) == {"steps"})
    house.registry.consent.withdraw("alice", "*", now_us(), purposes=[Purpose.share])
    await app.until(lambda told: told is None)
    late = await listener(house, house.subscriber("late", ["alice"]))
    assert await late.peer.settle() == []
    with SummaryFile.read(house.settings.paths.summaries_db) as file:
        day = day_number("2026-01-05")
        assert "weight" not in file.days("alice", day, day)[day], "what may not be evaluated is not kept"


async def test_of_a_user_who_is_removed_no_figure_is_kept(house: House) -> None:
    watch = house.device("alice")
    app = await listener(house, house.subscriber("app", ["alice"]))
    await sent(house, watch, walked("w1", 1000, "08:00", "09:00"))
    await app.until(lambda told: told is not None)
    house.registry.remove_user("alice", now_us(), recorded_by="test")
    await app.until(lambda told: told is None)
    with SummaryFile.read(house.settings.paths.summaries_db) as file:
        day = day_number("2026-01-05")
        assert file.days("alice", day - 9, day + 9) == {}
        assert file.sources("alice") == []


def test_the_command_shows_days_with_the_night_that_ended_on_them(tmp_path: Any) -> None:
    data = tmp_path / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    run_cli(data, "device", "add", "alice", "phone")
    night = {
        "id": "n", "type": "sleep", "start_time": "2026-01-04T22:30:00Z", "end_time": "2026-01-05T06:00:00Z",
        "utc_offset": 3600, "value": {"total_asleep_s": 25000},
    }  # fmt: skip
    beats = {
        "id": "h", "type": "heart_rate", "start_time": "2026-01-05T08:00:00Z", "utc_offset": 3600,
        "value": {"samples": [[0, 60], [60, 70]]},
    }  # fmt: skip
    file = tmp_path / "events.json"
    file.write_text(json.dumps([walked("w1", 1000, "08:00", "09:00"), night, beats]))
    with Service(data) as service:
        service.cli("publish", str(file), "--user", "alice", "--device", "watch")

        def shown() -> list[dict[str, Any]]:
            return run_cli(data, "summary", "--user", "alice", "--day", "2026-01-05", check=False)

        wait_until(lambda: [len(each["types"]) for each in shown()] == [3], "the day is worked out")
        (day,) = shown()
        assert (day["day"], day["utc_offset"]) == ("2026-01-05", 3600)
        assert day["types"]["steps"] == {"steps": 1000, "sources": ["watch"]}
        assert day["types"]["heart_rate"] == {"mean": 65, "min": 60, "max": 70, "count": 2, "sources": ["watch"]}
        assert day["types"]["sleep"] == {
            "start_time": "2026-01-04T22:30:00.000000Z", "end_time": "2026-01-05T06:00:00.000000Z",
            "duration_s": 27_000, "total_asleep_s": 25_000, "sources": ["watch"],
        }  # fmt: skip
        assert [row["source"] for row in run_cli(data, "source", "list", "--user", "alice")] == ["watch"]
        with pytest.raises(AssertionError, match="alice has no source scale"):
            run_cli(data, "source", "prefer", "scale", "watch", "--user", "alice")
        run_cli(data, "source", "prefer", "phone", "watch", "--user", "alice")
        listed = run_cli(data, "source", "list", "--user", "alice")
        assert [(row["place"], row["source"], row["events"]) for row in listed] == [(1, "phone", 0), (2, "watch", 3)]
    # A day stays when the service has stopped, and when it starts again nothing is counted twice.
    assert run_cli(data, "summary", "--user", "alice", "--since", "2026-01-01")[0] == day
    with Service(data):
        assert run_cli(data, "summary", "--user", "alice") == [day]
