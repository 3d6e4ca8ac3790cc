"""Connections to virtual peripherals: bleak above bumble's host and controllers, real ATT packets between them."""

import asyncio
from typing import Any

import pytest
from bumble.gatt import Characteristic

from healthsync_mqtt.ble.assigned_numbers import CURRENT_TIME, CURRENT_TIME_SERVICE, RECORD_ACCESS_CONTROL_POINT
from healthsync_mqtt.ble.catalogue import PROFILES
from healthsync_mqtt.ble.faults import (
    NothingToReadError,
    PairingNeededError,
    PeripheralAwayError,
    PeripheralSilentError,
    RadioUnavailableError,
)
from healthsync_mqtt.ble.profile import Peripheral, Profile
from healthsync_mqtt.ble.radio import Radio
from healthsync_mqtt.ble.session import HeardTally, ListeningTerms, PeripheralSession
from healthsync_mqtt.ble.watch import PeripheralWatch
from healthsync_mqtt.errors import UsageError
from healthsync_mqtt.model.declaration import Declared
from tests.support.patience import PATIENCE_S
from tests.support.virtual_ble import Air, Gadget, air, records_of

NOTIFY, INDICATE = Characteristic.Properties.NOTIFY, Characteristic.Properties.INDICATE
WRITE = Characteristic.Properties.WRITE
NOW_US = 1_795_384_800_000_000
BERLIN = Declared(zone="Europe/Berlin")
RECORDS = INDICATE | WRITE
SCALE = {0x181D: {0x2A9D: INDICATE}}
METER = {0x1808: {0x2A18: NOTIFY, 0x2A34: NOTIFY, RECORD_ACCESS_CONTROL_POINT: RECORDS}}

#: 72.4 kg at 2026-11-20 07:12:33
WEIGHING = bytes.fromhex("02 9038 ea07 0b14 07 0c 21")


@pytest.fixture
async def space() -> Any:
    async with air() as made:
        yield made


class Heard:
    """What a session delivers, as it comes."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.more = asyncio.Event()

    async def __call__(self, events: Any) -> None:
        self.events += events
        self.more.set()

    async def count(self, number: int) -> None:
        while len(self.events) < number:
            self.more.clear()
            await self.more.wait()


def told(gadget: Gadget, declared: Declared = BERLIN, **more: Any) -> Peripheral:
    return Peripheral(user="alice", address=gadget.address, declared=declared, **more)


async def listen(space: Air, gadget: Gadget, heard: Heard, wanted: ListeningTerms, **more: Any) -> HeardTally:
    tally = HeardTally()
    async with space.radio().connect(gadget.address, within_s=5, pair=more.pop("pair", False)) as found:
        await PeripheralSession(found, told(gadget, **more), wanted, lambda: NOW_US, tally).run(heard)
    return tally


def value_of(sequence: int, *, milligrams: int = 98) -> bytes:
    """A glucose measurement: 2026-11-20 06:10:00 and an hour, so many mg/dL in kg/L, capillary blood of a finger."""
    at = bytes.fromhex("ea07 0b14 06 0a 00")
    return (
        bytes((0x03,))
        + sequence.to_bytes(2, "little")
        + at
        + b"\x3c\x00"
        + (milligrams | 0xB000).to_bytes(2, "little")
        + b"\x11"
    )


async def test_a_scan_names_devices_and_what_of_them_is_read(space: Air) -> None:
    await space.gadget(SCALE, name="Scale")
    await space.gadget({0x180F: {0x2A19: NOTIFY}}, name="Battery", address="C1:C2:C3:C4:C5:C7")
    found = {each.name: each for each in await space.radio().scan(0.3)}
    assert found["Scale"].profiles == ("weight_scale",)
    assert found["Scale"].address == "C1:C2:C3:C4:C5:C6"
    assert found["Battery"].profiles == ()


async def test_a_weighing_is_an_event_with_the_scales_own_time(space: Air) -> None:
    gadget, heard = await space.gadget(SCALE), Heard()
    listening = asyncio.create_task(listen(space, gadget, heard, ListeningTerms()))
    await gadget.subscribed[0x2A9D].wait()
    await gadget.says(0x2A9D, WEIGHING)
    await heard.count(1)
    await gadget.hangs_up()
    tally = await listening
    (event,) = heard.events
    assert event["type"] == "weight"
    assert event["value"] == {"kg": 72.4}
    assert event["start_time"] == "2026-11-20T06:12:33.000000Z"
    assert event["utc_offset"] == 3600
    assert event["device"] == {"manufacturer": "Acme", "model": "M-1"}
    assert gadget.address not in str(event)
    assert tally.as_dict() == {"profiles": ["weight_scale"], "events": 1, "left_out": {}, "examples": {}}


#: Characteristics that their specifications want indicated; the others are notified.
INDICATED = {0x2A35, 0x2A9D, 0x2A9C, 0x2A1C, 0x2A5E}
#: By profile: values of its first characteristic as a device says them, and what they come to; the bytes are explained
#: in test_profiles, by the sections of the specifications.
SAID: dict[str, tuple[tuple[str, ...], list[tuple[str, dict[str, Any]]]]] = {
    "heart_rate": (("00 48",), [("heart_rate", {"bpm": 72})]),
    "blood_pressure": (
        ("1e 7900 4f00 5d00 ea07 0b14 07 0c 21 80f2 01 0000",),
        [("blood_pressure", {"systolic": 121, "diastolic": 79, "pulse": 64})],
    ),
    "weight_scale": (("02 9038 ea07 0b14 07 0c 21",), [("weight", {"kg": 72.4})]),
    "body_composition": (("0200 d700 ea07 0b14 07 0c 21",), [("body_fat_percentage", {"percent": 21.5})]),
    "thermometer": (("02 6c0100ff ea07 0b14 07 0c 21",), [("body_temperature", {"celsius": 36.4})]),
    "glucose": (("03 0500 ea07 0b14 06 0a 00 3c00 62b0 11",), [("glucose", {"mg_dl": 98})]),
    "pulse_oximeter": (
        ("01 6100 4000 ea07 0b14 07 0c 21",), [("spo2", {"percent": 97}), ("heart_rate", {"bpm": 64})],
    ),
    "running": (
        ("04 2003 a8",),
        [("running_speed", {"meters_per_second": 3.125}), ("cadence_steps", {"steps_per_minute": 168})],
    ),
    "cycling": (
        ("03 e8030000 00fe f401 00fe", "03 eb030000 0002 f501 0001"),
        [("cycling_speed", {"meters_per_second": 6.288}), ("cadence_revolutions", {"revolutions_per_minute": 80})],
    ),
}  # fmt: skip


@pytest.mark.parametrize("profile", PROFILES, ids=lambda each: each.name)
async def test_every_profile_is_read_from_a_device_that_has_it(space: Air, profile: Profile) -> None:
    """Found by its service, subscribed to as its characteristics want it, the values sent over the air."""
    values, expected = SAID[profile.name]
    shape = {number: INDICATE if number in INDICATED else NOTIFY for number in profile.heard}
    if profile.records is not None:
        shape[profile.records] = RECORDS
    kept = [(number, bytes.fromhex(value)) for number, value in enumerate(values, start=5)]
    gadget = await space.gadget({profile.service: shape}, records=records_of(kept, number=profile.heard[0]))
    heard = Heard()
    listening = asyncio.create_task(listen(space, gadget, heard, ListeningTerms(), wheel_mm=2096))
    async with asyncio.timeout(PATIENCE_S):
        for each in gadget.subscribed.values():
            await each.wait()
        for _, value in kept if profile.records is None else ():  # a store is asked for what it has
            await gadget.says(profile.heard[0], value)
        await heard.count(len(expected))
        await gadget.hangs_up()
        tally = await listening
    found = [(each["type"], each["value"]) for each in heard.events]
    assert [
        (type_, {key: value[key] for key in wanted if key in value})
        for (type_, value), (_, wanted) in zip(found, expected, strict=True)
    ] == expected, (found, tally)
    assert tally.as_dict()["profiles"] == [profile.name]


def test_every_profile_is_here() -> None:
    assert set(SAID) == {each.name for each in PROFILES}


async def test_a_stored_weighing_that_comes_again_has_the_same_id(space: Air) -> None:
    gadget, ids = await space.gadget(SCALE), []
    for _ in range(2):
        heard = Heard()
        listening = asyncio.create_task(listen(space, gadget, heard, ListeningTerms()))
        await gadget.subscribed[0x2A9D].wait()
        await gadget.says(0x2A9D, WEIGHING)
        await gadget.hangs_up()
        await listening
        ids.append(heard.events[0]["id"])
        await gadget.wakes()
    assert ids[0] == ids[1]


async def test_what_is_stored_is_asked_for_and_the_next_time_only_what_is_new(space: Air) -> None:
    kept = [(1, value_of(1)), (2, value_of(2, milligrams=110))]
    gadget, heard = await space.gadget(METER, records=records_of(kept)), Heard()
    async with space.radio().connect(gadget.address, within_s=5) as found:
        session = PeripheralSession(found, told(gadget), ListeningTerms(once=True), lambda: NOW_US, HeardTally())
        await session.run(heard)
        newest = session.newest
    assert [each["value"]["mg_dl"] for each in heard.events] == [98, 110]
    assert heard.events[0]["start_time"] == "2026-11-20T06:10:00.000000Z"
    assert newest == {"glucose": 2}
    await gadget.wakes()
    again = Heard()
    await listen(space, gadget, again, ListeningTerms(once=True, newest=newest))
    assert gadget.requests == [b"\x01\x01", b"\x01\x03\x01\x02\x00"]
    assert [each["id"] for each in again.events] == [heard.events[1]["id"]]


async def test_an_empty_store_is_an_answer(space: Air) -> None:
    gadget, heard = await space.gadget(METER, records=records_of([], answer=6)), Heard()
    tally = await listen(space, gadget, heard, ListeningTerms(once=True))
    assert heard.events == []
    assert tally.left_out == {}


async def test_a_refused_request_is_told(space: Air) -> None:
    gadget, heard = await space.gadget(METER, records=records_of([], answer=2)), Heard()
    tally = await listen(space, gadget, heard, ListeningTerms(once=True))
    assert tally.examples == {"records_refused": "glucose: it does not know the request"}


async def test_a_device_that_says_nothing_is_told_in_time(space: Air) -> None:
    gadget = await space.gadget(SCALE)
    with pytest.raises(PeripheralSilentError, match=r"measured nothing within 0\.2 s"):
        await listen(space, gadget, Heard(), ListeningTerms(silence_s=0.2))


async def test_a_device_that_is_not_there_is_told_with_what_to_do(space: Air) -> None:
    with pytest.raises(PeripheralAwayError) as caught:
        async with space.radio().connect("00:00:00:00:00:01", within_s=0.3):
            pass
    assert "wake it" in caught.value.hint


async def test_a_device_of_other_profiles_is_told(space: Air) -> None:
    gadget = await space.gadget({0x180F: {0x2A19: NOTIFY}})
    with pytest.raises(NothingToReadError, match="no profile"):
        await listen(space, gadget, Heard(), ListeningTerms())


async def test_a_clock_on_a_wall_needs_a_zone(space: Air) -> None:
    gadget = await space.gadget(SCALE)
    with pytest.raises(UsageError) as caught:
        await listen(space, gadget, Heard(), ListeningTerms(), declared=Declared())
    assert "--zone" in caught.value.hint


async def test_a_device_that_wants_pairing_says_so_and_is_read_when_paired(space: Air) -> None:
    gadget, heard = await space.gadget(METER, secret=True, records=records_of([(1, value_of(1))])), Heard()
    with pytest.raises(PairingNeededError) as caught:
        await listen(space, gadget, heard, ListeningTerms(once=True))
    assert "--pair" in caught.value.hint
    await gadget.wakes()
    await listen(space, gadget, heard, ListeningTerms(once=True), pair=True)
    assert [each["value"]["mg_dl"] for each in heard.events] == [98]


async def test_a_device_that_refuses_to_pair_is_told(space: Air) -> None:
    gadget = await space.gadget(METER, secret=True, refuses_pairing=True)
    with pytest.raises((PairingNeededError, PeripheralAwayError)):
        await listen(space, gadget, Heard(), ListeningTerms(), pair=True)


async def test_its_clock_is_set_by_the_wall_of_its_zone(space: Air) -> None:
    services = {0x2A9D: INDICATE}
    gadget = await space.gadget({0x181D: services, CURRENT_TIME_SERVICE: {CURRENT_TIME: WRITE}})
    with pytest.raises(PeripheralSilentError):
        await listen(space, gadget, Heard(), ListeningTerms(set_clock=True, silence_s=0.2))
    # Sunday 2026-11-22 23:00 in Berlin, set by hand (Current Time Service 1.1, 3.1.1 and 3.1.2)
    (written,) = gadget.clock
    assert written.hex(" ") == "ea 07 0b 16 17 00 00 07 00 01"


async def test_a_value_that_cannot_be_read_keeps_no_other_from_being_read(space: Air) -> None:
    gadget, heard = await space.gadget(SCALE), Heard()
    listening = asyncio.create_task(listen(space, gadget, heard, ListeningTerms()))
    await gadget.subscribed[0x2A9D].wait()
    await gadget.says(0x2A9D, b"\x02\x90")
    await gadget.says(0x2A9D, WEIGHING)
    await heard.count(1)
    await gadget.hangs_up()
    tally = await listening
    assert dict(tally.refused) == {"malformed": 1}
    assert len(heard.events) == 1


async def test_what_comes_in_the_moment_in_which_it_is_stopped_keeps_its_order(
    space: Air, monkeypatch: pytest.MonkeyPatch
) -> None:
    gadget, heard = await space.gadget({0x181B: {0x2A9C: INDICATE}}), Heard()
    subscribed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    async with space.radio().connect(gadget.address, within_s=5) as found:
        subscribe = found.subscribe

        async def listens(service: int, number: int, says: Any) -> None:
            await subscribe(service, number, says)
            subscribed.set_result(says)

        monkeypatch.setattr(found, "subscribe", listens)
        session = PeripheralSession(found, told(gadget), ListeningTerms(), lambda: NOW_US, HeardTally())
        running = asyncio.create_task(session.run(heard))
        says = await subscribed
        for _ in range(20):
            await asyncio.sleep(0)  # it waits for a value now
        says(bytes.fromhex("0210 d700 ea07 0b14 07 0c 21"))
        await asyncio.sleep(0)
        says(bytes.fromhex("0011 ffff 8000"))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert {each["type"]: each["start_time"] for each in heard.events} == dict.fromkeys(
        ("body_fat_percentage", "body_water"), "2026-11-20T06:12:33.000000Z"
    )


class Waits:
    """A clock on which waiting takes no time, and is counted."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    def time(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        await asyncio.sleep(0)


async def test_a_device_that_comes_back_is_read_again(space: Air) -> None:
    gadget, heard, said = await space.gadget(SCALE), Heard(), []
    keeping = PeripheralWatch(
        space.radio(),
        told(gadget),
        ListeningTerms(),
        within_s=0.3,
        pair=False,
        clock=lambda: NOW_US,
        waiting=Waits(),
        say=said.append,
    )
    running = asyncio.create_task(keeping.run(heard, HeardTally()))
    try:
        for round_ in range(2):
            await gadget.subscribed[0x2A9D].wait()
            await gadget.says(0x2A9D, WEIGHING)
            await heard.count(round_ + 1)
            await gadget.sleeps()
            await gadget.hangs_up()
            await gadget.wakes()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert heard.events[0]["id"] == heard.events[1]["id"]
    assert said[:2] == [f"{gadget.address} is connected", f"{gadget.address} has hung up"]


async def test_a_machine_without_bluetooth_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus")
    with pytest.raises(RadioUnavailableError) as caught:
        await Radio().scan(0.1)
    assert "bluez" in caught.value.hint.lower()
